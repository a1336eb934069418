"""What a correction changed: the signed difference of two explanations of the same slide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.errors import ExplainError
from napari_maskvit.explain.signed import SignedHeatmap, symmetric_limits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain.attention import Head, LevelAttention
    from napari_maskvit.explain.explanation import Explanation
    from napari_maskvit.explain.heatmap import Heatmap
    from napari_maskvit.model import Prediction

SHOWN = 0.99
"""Share of what changed that lies within the colour scale: a few tokens change many times more."""


_UNITS = {
    "rank": "in shares of the tissue that got less",
    "min-max": "on the scale from least to most",
    "relative": "in multiples of even attention",
}


@dataclass(frozen=True)
class Change:
    """What is different between two explanations, apart from the pictures.

    Parameters
    ----------
    now, then
        Predictions; None where a model makes none.
    gained_mm2, lost_mm2
        Tissue that was attended to only now, and only then; measured on tokens, each of which
        counts by its coverage.
    """

    now: Prediction | None
    then: Prediction | None
    gained_mm2: float
    lost_mm2: float


def change(now: Explanation, then: Explanation) -> Change:
    """Compare predictions and tissue.

    Raises
    ------
    ExplainError
        If the two belong to different slides.
    """
    _check(now, then)
    gained, lost = _areas(now, then)
    return Change(now.prediction, then.prediction, gained, lost)


def level_change(
    now: Explanation,
    then: Explanation,
    level: str = "patch",
    *,
    head: Head = "mean",
    normalisation: str = "relative",
    scope: str = "slide",
    gamma: float = 0.5,
    combine: str = "average",
) -> SignedHeatmap:
    """Gain and loss of attention at a level; parameters as `Explanation.heatmap` takes them.

    "relative" is the default, since a rank changes wherever any other position does.

    Raises
    ------
    ExplainError
        If the two belong to different slides, or one lacks the level.
    """
    _check(now, then)
    for explanation, when in ((now, "now"), (then, "before")):
        if level not in explanation.heatmap_levels:
            raise ExplainError(
                f"There is no {level} level {when} ({explanation.model_title}), so nothing to "
                "compare. Choose another level, or another explanation to compare with."
            )
    shown = [
        one.heatmap(
            level,
            head=one.usable_head(level, head),
            normalisation=normalisation,
            scope=scope,
            gamma=gamma,
            combine=combine,
        )
        for one in (now, then)
    ]
    return heatmap_change(*shown)


def heatmap_change(now: Heatmap, then: Heatmap) -> SignedHeatmap:
    """Gain and loss between two heatmaps of the same slide, on the finer lattice of the two.

    Background has no attention, so that a position that is kept only now gains what it has now,
    and one that was kept only then loses what it had. NaN where neither keeps anything.
    """
    finer = now if now.step <= then.step else then
    mine, other = (_on_lattice_of(finer, one) for one in (now, then))
    nothing = np.isnan(mine) & np.isnan(other)
    array = np.nan_to_num(mine, nan=0.0) - np.nan_to_num(other, nan=0.0)
    array[nothing] = np.nan
    sizes = np.abs(array[np.isfinite(array) & (array != 0)])
    sizes = np.quantile(sizes, [SHOWN]).astype(np.float32) if len(sizes) else sizes
    return SignedHeatmap(
        array=array,
        step=finer.step,
        spacing=finer.spacing,
        level=now.level,
        head=now.head,
        normalisation=now.normalisation,
        scope=now.scope,
        limits=symmetric_limits(sizes),
        meaning=f"change of attention: now minus then ({_UNITS[now.normalisation]})",
    )


def _check(now: Explanation, then: Explanation) -> None:
    if now.slide_identity != then.slide_identity or now.slide_spacing != then.slide_spacing:
        raise ExplainError(
            f"Explanations of {now.slide_name} and {then.slide_name} cannot be compared: they "
            "belong to different slides, or to different spacings of one."
        )


def _on_lattice_of(finer: Heatmap, heatmap: Heatmap) -> NDArray[np.float32]:
    """Values at the middle of each cell of another lattice; NaN off the heatmap."""
    if heatmap.step == finer.step and heatmap.array.shape == finer.array.shape:
        return heatmap.array.copy()
    places = [
        ((np.arange(cells) + 0.5) * finer.step / heatmap.step).astype(np.int64)
        for cells in finer.array.shape
    ]
    inside = [at < cells for at, cells in zip(places, heatmap.array.shape, strict=True)]
    values = np.full(finer.array.shape, np.nan, np.float32)
    rows, columns = (at[where] for at, where in zip(places, inside, strict=True))
    values[: len(rows), : len(columns)] = heatmap.array[np.ix_(rows, columns)]
    return values


def _areas(now: Explanation, then: Explanation) -> tuple[float, float]:
    """Tissue gained and lost, mm²."""
    mine, other = now.levels["patch"], then.levels["patch"]
    if mine.step != other.step or mine.shape != other.shape:
        # Cells of two lattices do not pair off: only the balance can be told.
        balance = _area(mine, now.slide_spacing) - _area(other, then.slide_spacing)
        return max(balance, 0.0), max(-balance, 0.0)
    # Parts that the two share did not change; what is left is as small as the correction.
    shared = set(map(id, mine.parts)) & set(map(id, other.parts))
    signed = [
        (sign, part)
        for sign, one in ((1.0, mine), (-1.0, other))
        for part in one.parts
        if id(part) not in shared
    ]
    if not signed:
        return 0.0, 0.0
    cells = [part.rows.astype(np.int64) * mine.shape[1] + part.columns for _, part in signed]
    all_cells, back = np.unique(np.concatenate(cells), return_inverse=True)
    coverage = np.concatenate([sign * part.coverage.astype(np.float64) for sign, part in signed])
    differences = np.bincount(back.reshape(-1), coverage, minlength=len(all_cells))
    cell = (mine.step * now.slide_spacing) ** 2 / 1e6
    gained = float(differences[differences > 0].sum()) * cell
    lost = float(np.abs(differences[differences < 0]).sum()) * cell
    return gained, lost


def _area(attention: LevelAttention, slide_spacing: float) -> float:
    covered = float(attention.coverage.sum(dtype=np.float64))
    return covered * (attention.step * slide_spacing) ** 2 / 1e6
