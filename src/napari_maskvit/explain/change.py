"""What a correction changed: the signed difference of two explanations of the same slide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.errors import ExplainError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain.attention import Head, LevelAttention
    from napari_maskvit.explain.explanation import Explanation
    from napari_maskvit.explain.heatmap import Heatmap
    from napari_maskvit.model import Prediction

SMALLEST = 1e-6
"""Half-width of a colour scale of changes where nothing changed."""


@dataclass(frozen=True)
class LevelChange:
    """Gain and loss of attention at one level.

    Parameters
    ----------
    array
        (rows, columns) float32 value now minus value then, on the finer of the two lattices.
        Background has no attention, so that a position that is kept only now gains what it has
        now, and one that was kept only then loses what it had. NaN where neither keeps anything.
    step
        Side of a cell in level-0 pixels.
    spacing
        Side of a cell in µm.
    level
        What is shown.
    limit
        The colour scale runs from ``-limit`` to ``limit``.
    """

    array: NDArray[np.float32]
    step: float
    spacing: float
    level: str
    limit: float

    @property
    def limits(self) -> tuple[float, float]:
        """Values at the two ends of the colour scale, which has 0 in its middle."""
        return -self.limit, self.limit


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
) -> LevelChange:
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
            head=_head(one, level, head),
            normalisation=normalisation,
            scope=scope,
            gamma=gamma,
            combine=combine,
        )
        for one in (now, then)
    ]
    return heatmap_change(*shown)


def heatmap_change(now: Heatmap, then: Heatmap) -> LevelChange:
    """The same of two heatmaps over the same slide, on the finer lattice of the two."""
    finer = now if now.step <= then.step else then
    mine, other = (_on_lattice_of(finer, one) for one in (now, then))
    nothing = np.isnan(mine) & np.isnan(other)
    array = np.nan_to_num(mine, nan=0.0) - np.nan_to_num(other, nan=0.0)
    array[nothing] = np.nan
    return LevelChange(array, finer.step, finer.spacing, now.level, symmetric_limit(array))


def symmetric_limit(array: NDArray[np.float32]) -> float:
    """Half-width of a colour scale about 0: 99 % of what changed is within it."""
    sizes = np.abs(array[np.isfinite(array) & (array != 0)])
    return max(float(np.quantile(sizes, 0.99)), SMALLEST) if len(sizes) else SMALLEST


def _check(now: Explanation, then: Explanation) -> None:
    if now.slide_identity != then.slide_identity or now.slide_spacing != then.slide_spacing:
        raise ExplainError(
            f"Explanations of {now.slide_name} and {then.slide_name} cannot be compared: they "
            "belong to different slides, or to different spacings of one."
        )


def _head(explanation: Explanation, level: str, head: Head) -> Head:
    heads = {name: attention.heads for name, attention in explanation.levels.items()}
    most = heads.get(level, max(heads.values(), default=1))
    return "mean" if isinstance(head, int) and head >= most else head


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
    width = mine.shape[1]
    cells = [one.rows.astype(np.int64) * width + one.columns for one in (mine, other)]
    all_cells, back = np.unique(np.concatenate(cells), return_inverse=True)
    coverage = np.concatenate([mine.coverage, -other.coverage.astype(np.float64)])
    differences = np.bincount(back.reshape(-1), coverage, minlength=len(all_cells))
    cell = (mine.step * now.slide_spacing) ** 2 / 1e6
    gained = float(differences[differences > 0].sum()) * cell
    lost = -float(differences[differences < 0].sum()) * cell
    return gained, lost


def _area(attention: LevelAttention, slide_spacing: float) -> float:
    covered = float(attention.coverage.sum(dtype=np.float64))
    return covered * (attention.step * slide_spacing) ** 2 / 1e6
