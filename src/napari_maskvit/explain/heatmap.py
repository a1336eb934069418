"""From raw attention to a picture: normalise, factorise, colour."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.errors import ExplainError
from napari_maskvit.explain.attention import usable_head
from napari_maskvit.explain.ground import Ground
from napari_maskvit.explain.normalise import check, normalised

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_maskvit.explain.attention import Head, LevelAttention

COMBINATIONS = ("average", "multiply")
FACTORISED = "factorised"

_MEANING = {
    "rank": "share of the tissue that got less attention",
    "min-max": "0 = least, 1 = most attention",
    "relative": "1 = as much as if attention were even",
}
_WINDOW = {"patch": "patch", "region": "region", "slide": "slide"}


@dataclass(frozen=True)
class Heatmap:
    """A picture of attention on a lattice over the slide.

    Parameters
    ----------
    array
        (rows, columns) float32; NaN on background.
    step
        Side of a cell in level-0 pixels; the first cell starts at the slide's corner.
    spacing
        Side of a cell in µm.
    level, head, normalisation, scope
        What is shown.
    limits
        Values at the two ends of the colour scale.
    """

    array: NDArray[np.float32]
    step: float
    spacing: float
    level: str
    head: Head
    normalisation: str
    scope: str
    limits: tuple[float, float]

    @property
    def legend(self) -> str:
        """One sentence: what the colour means, at which level, head and normalisation."""
        head = f"head {self.head}" if isinstance(self.head, int) else f"{self.head} over heads"
        if self.level == FACTORISED:
            what = "all levels combined"
        else:
            over = {"patch": "tokens", "region": "patches", "slide": "regions"}[self.level]
            what = f"{self.level} level, over {over}"
        where = (
            "whole slide" if self.scope == "slide" else f"each {_WINDOW.get(self.level, 'window')}"
        )
        return f"{_MEANING[self.normalisation]} ({what}; {head}; compared within {where})"

    def colourise(self, colormap: str = "inferno") -> NDArray[np.uint8]:
        """(rows, columns, 4) RGBA; background fully transparent.

        Raises
        ------
        ExplainError
            If there is no such colormap.
        """
        from cmap import Colormap

        try:
            colours = Colormap(colormap)
        except (ValueError, KeyError, TypeError) as error:
            raise ExplainError(
                f"There is no colormap {colormap!r}; try inferno, magma, viridis or cividis."
            ) from error
        low, high = self.limits
        seen = np.isfinite(self.array)
        scaled = np.clip((np.where(seen, self.array, low) - low) / max(high - low, 1e-12), 0, 1)
        rgba = np.asarray(colours(scaled, bytes=True), np.uint8)
        rgba[~seen] = 0
        return rgba

    def save(self, path: str | Path) -> Path:
        """Write a float32 TIFF with resolution tags, whole or not at all; background is NaN."""
        import tifffile

        path = Path(path)
        partial = path.with_name(f".{path.name}.partial")
        per_cm = 1e4 / self.spacing
        try:
            tifffile.imwrite(
                partial,
                self.array,
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
                compression="zlib",
                tile=(256, 256),
                metadata={
                    "axes": "YX",
                    "level": self.level,
                    "head": str(self.head),
                    "normalisation": self.normalisation,
                    "scope": self.scope,
                    "spacing_um": self.spacing,
                    "legend": self.legend,
                },
            )
            partial.replace(path)
        except OSError as error:
            raise ExplainError(f"The heatmap cannot be written to {path}: {error}.") from error
        finally:
            partial.unlink(missing_ok=True)
        return path


def heatmap_levels(levels: tuple[str, ...]) -> tuple[str, ...]:
    """What can be shown of a model's levels: "factorised", too, where there is more than one."""
    return (*levels, FACTORISED) if len(levels) > 1 else levels


def level_heatmap(
    attention: LevelAttention,
    slide_spacing: float,
    head: Head = "mean",
    normalisation: str = "rank",
    scope: str = "slide",
    ground: Ground | None = None,
) -> Heatmap:
    """The heatmap of one level.

    Parameters
    ----------
    attention
        The level.
    slide_spacing
        µm a level-0 pixel.
    head, normalisation, scope
        As in `normalise`; compared are the level's own positions, whatever they are shown on.
    ground
        What the picture lies on; None: the level's own lattice.
    """
    picture = normalised(attention, head, normalisation, scope)
    limits = colour_limits(picture, normalisation)
    ground = ground or Ground(attention)
    if attention is ground.finest:
        array = ground.cut(picture)
    else:
        array = ground.lay(picture, attention.step)
    return Heatmap(
        array=array,
        step=ground.step,
        spacing=ground.step * slide_spacing,
        level=attention.level,
        head=head,
        normalisation=normalisation,
        scope=scope,
        limits=limits,
    )


def factorised_heatmap(
    levels: Mapping[str, LevelAttention],
    slide_spacing: float,
    *,
    frozen: tuple[str, ...],
    head: Head = "mean",
    normalisation: str = "rank",
    scope: str = "slide",
    gamma: float = 0.5,
    combine: str = "average",
    slide_shape: tuple[int, int] | None = None,
    finer: Mapping[str, Heatmap] | None = None,
) -> Heatmap:
    """All levels in one picture, on the lattice of the finest.

    With w_l = 1 - gamma for frozen (task-agnostic) levels and gamma for tuned ones, "average" is
    the weighted mean of the normalised levels and "multiply" the product of their powers (Grisi
    et al., Medical Image Analysis 2025). A level with a single kept position is left out; where
    every weight is 0 all levels count alike. ``finer`` are pictures to take for their levels in
    place of the levels themselves, as those of shifted grids; past ``slide_shape`` (level-0
    pixels) nothing is shown.

    Raises
    ------
    ExplainError
        If fewer than two levels are there, gamma lies outside [0, 1] or a name is unknown.
    """
    check("combine", combine, COMBINATIONS)
    if not 0 <= gamma <= 1:
        raise ExplainError(f"gamma is {gamma:g}; it weighs two kinds of levels, from 0 to 1.")
    if len(levels) < 2:
        raise ExplainError(
            "A factorised heatmap needs at least two levels; this explanation has only the "
            f"{next(iter(levels), 'no')} level."
        )
    ground = Ground.of(levels, slide_shape)
    weights = _weights(levels, frozen, gamma)
    total = sum(weights.values())
    whole = np.full(ground.finest.shape, 0 if combine == "average" else 1, np.float32)
    for name, attention in levels.items():
        if finer and name in finer:
            picture, step = finer[name].array, finer[name].step
        else:
            usable = usable_head(head, attention.heads)
            picture, step = normalised(attention, usable, normalisation, scope), attention.step
        if (picture.shape, step) != (ground.finest.shape, ground.step):
            picture = ground.spread(picture, step)
        if combine == "average":
            whole += picture * np.float32(weights[name] / total)
        else:
            whole *= picture ** np.float32(weights[name])
    if normalisation != "relative":
        np.clip(whole, 0, 1, out=whole)
    whole[~ground.kept] = np.nan
    limits = colour_limits(whole, normalisation)
    return Heatmap(
        array=ground.cut(whole),
        step=ground.step,
        spacing=ground.step * slide_spacing,
        level=FACTORISED,
        head=head,
        normalisation=normalisation,
        scope=scope,
        limits=limits,
    )


def _weights(
    levels: Mapping[str, LevelAttention], frozen: tuple[str, ...], gamma: float
) -> dict[str, float]:
    """How much each level counts."""
    # A level with a single position compares nothing: its rank of 0 would only darken the rest.
    weights = {
        name: (1 - gamma if name in frozen else gamma) if len(attention) > 1 else 0.0
        for name, attention in levels.items()
    }
    return weights if any(weights.values()) else dict.fromkeys(weights, 1.0)


def colour_limits(values: NDArray[np.float32], normalisation: str) -> tuple[float, float]:
    """Values at the two ends of the colour scale."""
    if normalisation != "relative":
        return 0.0, 1.0
    finite = values[np.isfinite(values)]
    # A few tokens draw many times the even share; the scale is for the rest.
    return 0.0, max(2.0, float(np.quantile(finite, 0.99))) if len(finite) else 2.0
