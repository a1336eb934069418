"""Pictures of what has two directions, coloured about 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.explain.heatmap import Heatmap

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIVERGING = "vik"
"""A colormap that is perceptually uniform on both sides of a pale middle (Crameri)."""


@dataclass(frozen=True)
class SignedHeatmap(Heatmap):
    """A heatmap whose values are gains and losses; its limits lie symmetric about 0.

    Parameters
    ----------
    meaning
        One sentence: what the colour means.
    """

    meaning: str = ""

    @property
    def legend(self) -> str:
        """One sentence: what the colour means."""
        return self.meaning

    def colourise(self, colormap: str = DIVERGING) -> NDArray[np.uint8]:
        """(rows, columns, 4) RGBA; background fully transparent.

        Raises
        ------
        ExplainError
            If there is no such colormap.
        """
        return super().colourise(colormap)


def symmetric_limits(values: NDArray[np.float32]) -> tuple[float, float]:
    """Ends of a colour scale about 0: the largest size among ``values``, NaN left aside."""
    finite = np.abs(values[np.isfinite(values)])
    largest = float(finite.max()) if finite.size else 0.0
    # Where nothing matters the scale must not blow rounding up to full colour.
    largest = max(largest, 1e-6)
    return -largest, largest
