"""How attention is shown: chosen by a person, applied to every heatmap layer at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LEVELS = ("patch", "region", "slide", "factorised")
COLORMAPS = ("inferno", "magma", "viridis", "plasma", "cividis")

Normalisation = Literal["rank", "min-max", "relative"]
Scope = Literal["slide", "window"]
Combine = Literal["average", "multiply"]
Head = Literal["mean", "max"] | int


@dataclass(frozen=True)
class Display:
    """Everything that decides how an explanation looks; nothing here needs another run.

    Parameters
    ----------
    level
        The level whose layer is visible: one of `LEVELS`.
    head
        Mean or maximum over the heads, or the number of one head.
    normalisation
        How raw attention becomes a colour: share of lower values, min-max, or relative to
        uniform attention (1 = as much as if attention were even).
    scope
        Whether values are normalised over the whole slide or within each patch / region.
    gamma
        In [0, 1]: weight of task-specific against frozen levels in the factorised heatmap.
    combine
        How the factorised heatmap joins the levels.
    colormap
        One of `COLORMAPS`, all perceptually uniform.
    opacity
        In [0, 1], of every heatmap layer.
    visible
        Whether the heatmap is shown at all.
    """

    level: str = "patch"
    head: Head = "mean"
    normalisation: Normalisation = "rank"
    scope: Scope = "slide"
    gamma: float = 0.5
    combine: Combine = "average"
    colormap: str = "inferno"
    opacity: float = 0.6
    visible: bool = True

    def same_values(self, other: Display) -> bool:
        """Whether both ask for the same heatmap values, so that only paint differs."""
        return self.values_key == other.values_key

    @property
    def values_key(self) -> tuple[object, ...]:
        """The part of the display that decides heatmap values."""
        return (self.head, self.normalisation, self.scope, self.gamma, self.combine)
