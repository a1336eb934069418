"""What an explanation holds: the prediction, raw attention at every level, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from napari_maskvit.errors import ExplainError
from napari_maskvit.explain.attention import Head, LevelAttention, usable_head
from napari_maskvit.explain.ground import Ground
from napari_maskvit.explain.heatmap import (
    FACTORISED,
    Heatmap,
    factorised_heatmap,
    heatmap_levels,
    level_heatmap,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_maskvit.explain.patch_features import PatchFeatures
    from napari_maskvit.model import Prediction


@dataclass(frozen=True)
class Statistics:
    """What was kept, what lay on background, and what it took.

    Parameters
    ----------
    kept, total
        Positions kept, and positions that touch the slide, by level.
    background_mass
        Share of the attention that lies on background positions, by level, in [0, 1].
    undecodable_tiles
        Tiles of the slide that could not be decoded; they were treated as background.
    computed_patches, cached_patches
        Patches that ran through the patch transformer, and those already known.
    seconds
        Wall time by stage ("reading" runs beside "computing" and is counted while waited for).
    """

    kept: dict[str, int] = field(default_factory=dict)
    total: dict[str, int] = field(default_factory=dict)
    background_mass: dict[str, float] = field(default_factory=dict)
    undecodable_tiles: int = 0
    computed_patches: int = 0
    cached_patches: int = 0
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Explanation:
    """Prediction and attention of one model on one slide under one tissue mask.

    Parameters
    ----------
    levels
        Raw attention by level: "patch", and "region" and "slide" where the model has them.
    frozen
        Levels that are task-agnostic, for the factorised heatmap.
    prediction
        None where the model has no slide transformer, nothing was kept, or the run is unfinished.
    complete
        False for a snapshot of an unfinished run.
    features
        What `Explainer.recall` needs beside the levels; None where an older version saved it.
    """

    slide_name: str
    slide_identity: str
    slide_shape: tuple[int, int]
    slide_spacing: float
    model_name: str
    model_title: str
    model_sha256: str
    masking: tuple[str, ...]
    threshold: float
    device: str
    precision: str
    spacing: float
    levels: dict[str, LevelAttention]
    frozen: tuple[str, ...]
    prediction: Prediction | None
    statistics: Statistics
    warnings: tuple[str, ...]
    complete: bool
    features: PatchFeatures | None = field(default=None, compare=False, repr=False)

    @property
    def heatmap_levels(self) -> tuple[str, ...]:
        """Levels that `heatmap` can show, "factorised" last where there is more than one."""
        return heatmap_levels(tuple(self.levels))

    def usable_head(self, level: str, head: Head) -> Head:
        """The head asked for, or "mean" where the level ("factorised": every level) lacks it."""
        return usable_head(head, self.heads(level))

    def heads(self, level: str) -> int:
        """Number of heads of a level; of "factorised" the most of any."""
        heads = {name: attention.heads for name, attention in self.levels.items()}
        return heads.get(level, max(heads.values(), default=1))

    def attention(self, level: str, head: Head = "mean") -> NDArray[np.float32]:
        """Raw attention of a level as a picture.

        Parameters
        ----------
        level
            "patch", "region" or "slide".
        head
            "mean", "max" or a head's number.

        Returns
        -------
        ndarray
            (rows, columns) of the level's lattice; exactly 0 on background.

        Raises
        ------
        ExplainError
            If the model has no such level or head.
        """
        chosen = self._level(level)
        return chosen.raster(chosen.pooled(head), 0.0)

    def heatmap(
        self,
        level: str = "patch",
        *,
        head: Head = "mean",
        normalisation: str = "rank",
        scope: str = "slide",
        gamma: float = 0.5,
        combine: str = "average",
    ) -> Heatmap:
        """A level, or "factorised", normalised for showing.

        Every level lies on the lattice of the finest, on what was looked at alone: a patch that is
        half glass is half transparent at the region level, too.

        Parameters
        ----------
        level
            One of `heatmap_levels`.
        head
            "mean", "max" or a head's number.
        normalisation
            "rank", "min-max" or "relative" (1 = even attention).
        scope
            Compared over the whole "slide", or within each "window" (patch or region).
        gamma
            Weight in [0, 1] of tuned against frozen levels; "factorised" only.
        combine
            "average" or "multiply"; "factorised" only.

        Raises
        ------
        ExplainError
            If the level is not there or a name is unknown.
        """
        if level == FACTORISED:
            return factorised_heatmap(
                self.levels,
                self.slide_spacing,
                frozen=self.frozen,
                head=head,
                normalisation=normalisation,
                scope=scope,
                gamma=gamma,
                combine=combine,
                slide_shape=self.slide_shape,
            )
        chosen = self._level(level)
        return level_heatmap(
            chosen,
            self.slide_spacing,
            head,
            normalisation,
            scope,
            Ground.of(self.levels, self.slide_shape),
        )

    def save(self, path: str | Path) -> Path:
        """Write a Zarr store, whole or not at all; an older explanation there is replaced.

        Raises
        ------
        ExplainError
            If it cannot be written, or something else stands at ``path``.
        """
        from napari_maskvit.explain.store import save_explanation

        return save_explanation(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Explanation:
        """Read what `save` wrote.

        Raises
        ------
        ExplainError
            If there is no explanation at ``path`` or it is damaged.
        """
        from napari_maskvit.explain.store import load_explanation

        return load_explanation(Path(path))

    def _level(self, level: str) -> LevelAttention:
        if level not in self.levels:
            there = ", ".join(self.levels) or "none"
            raise ExplainError(
                f"{self.model_title!r} gives no {level!r} level here; it has: {there}."
            )
        return self.levels[level]
