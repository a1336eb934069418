"""Attention finer than its grid: the mean over grids that are shifted, mask and all.

Where a patch begins is arbitrary, and so is what its tokens compete with for attention. Every
copy cuts the slide and its mask anew, and is a run of its own; nothing is ever blurred.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.errors import ExplainError
from napari_maskvit.explain.ground import Ground
from napari_maskvit.explain.heatmap import Heatmap, colour_limits, factorised_heatmap
from napari_maskvit.explain.normalise import normalised
from napari_maskvit.explain.planner import make_plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain.attention import Head, LevelAttention
    from napari_maskvit.explain.engine import Engine
    from napari_maskvit.explain.explanation import Explanation
    from napari_maskvit.explain.hierarchy import Run
    from napari_maskvit.explain.lattice import Lattice
    from napari_maskvit.explain.progress import Progress
    from napari_maskvit.tissue import TissueMask

LEVELS = ("patch", "region")
MOST_DIVISIONS = 8


@dataclass(frozen=True)
class GranularHeatmap(Heatmap):
    """A heatmap averaged over ``grids`` shifted grids."""

    grids: int = 1

    @property
    def legend(self) -> str:
        """One sentence: what the colour means."""
        return f"{super().legend}, mean over {self.grids} shifted grids"


@dataclass(frozen=True, eq=False)
class Granular:
    """Attention of one level on shifted grids.

    Parameters
    ----------
    level
        "patch" (grids shifted by parts of a patch) or "region" (by parts of a region).
    lattice
        Of the grid that is not shifted.
    cell_px
        Side of a cell of the finer lattice in which all grids fit, in pixels at the lattice's
        spacing.
    copies
        Shift (rows, columns) in these pixels, and raw attention on that grid.
    grids
        How many copies there are when all are done.
    ground
        The tokens of the plain grid, on which a coarser level is shown; None while it is not done.
    """

    level: str
    lattice: Lattice
    cell_px: int
    copies: tuple[tuple[tuple[int, int], LevelAttention], ...]
    grids: int
    ground: Ground | None = None

    @property
    def complete(self) -> bool:
        """Whether every copy is there."""
        return len(self.copies) == self.grids

    @property
    def step(self) -> float:
        """Side of a cell in level-0 pixels."""
        return self.cell_px * self.lattice.spacing / self.lattice.slide_spacing

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        rows, columns = (math.ceil(side / self.step - 1e-6) for side in self.lattice.slide_shape)
        return rows, columns

    def heatmap(
        self, *, head: Head = "mean", normalisation: str = "rank", scope: str = "slide"
    ) -> GranularHeatmap:
        """Each cell the mean of what covers it; parameters as `Explanation.heatmap` takes them.

        Every copy is normalised for itself. A cell is background where no copy keeps what covers
        it; at the region level, where the plain grid holds no token.

        Raises
        ------
        ExplainError
            If a name is unknown.
        """
        total = np.zeros(self.shape, np.float32)
        count = np.zeros(self.shape, np.uint8)
        for shift, attention in self.copies:
            picture = normalised(attention, head, normalisation, scope)
            values = picture[self._covering(shift, attention)]
            seen = np.isfinite(values)
            np.add(total, values, out=total, where=seen)
            count += seen
        with np.errstate(invalid="ignore"):
            mean: NDArray[np.float32] = np.divide(total, count, dtype=np.float32)
        ground = self.ground
        step = self.step if ground is None else ground.step
        return GranularHeatmap(
            array=mean if ground is None else ground.cut(ground.spread(mean, self.step)),
            step=step,
            spacing=step * self.lattice.slide_spacing,
            level=self.level,
            head=head,
            normalisation=normalisation,
            scope=scope,
            limits=colour_limits(mean[count > 0], normalisation),
            grids=len(self.copies),
        )

    def _covering(
        self, shift: tuple[int, int], attention: LevelAttention
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each cell, row and column of the position of a copy that covers it."""
        side = _cell_px(self.lattice, self.level)
        rows, columns = (
            np.minimum((np.arange(cells) * self.cell_px + moved) // side, length - 1)
            for cells, moved, length in zip(self.shape, shift, attention.shape, strict=True)
        )
        return rows[:, None], columns[None, :]


def granular_factorised(
    explanation: Explanation, finer: Mapping[str, GranularHeatmap], *, gamma: float, combine: str
) -> GranularHeatmap:
    """All levels in one picture, with finer ones in place of those that there are.

    Parameters
    ----------
    explanation
        Of the plain grid.
    finer
        Pictures on shifted grids by level, in one normalisation and scope.
    gamma, combine
        As `Explanation.heatmap` takes them.

    Raises
    ------
    ExplainError
        If the explanation has fewer than two levels.
    """
    first = next(iter(finer.values()))
    whole = factorised_heatmap(
        explanation.levels,
        explanation.slide_spacing,
        frozen=explanation.frozen,
        head=first.head,
        normalisation=first.normalisation,
        scope=first.scope,
        gamma=gamma,
        combine=combine,
        slide_shape=explanation.slide_shape,
        finer=finer,
    )
    facts = {field.name: getattr(whole, field.name) for field in fields(whole)}
    return GranularHeatmap(**facts, grids=first.grids)


@dataclass(frozen=True)
class GranularProgress:
    """One step towards granular attention.

    Parameters
    ----------
    share
        Done, in [0, 1]; later grids are taken to cost what the first did.
    grids_done, grids
        Copies that are there, and in all.
    snapshot
        What is there when it is called.
    """

    share: float
    grids_done: int
    grids: int
    snapshot: Callable[[], Granular]


def granular_steps(
    engine: Engine,
    mask: TissueMask,
    level: str = "patch",
    *,
    divisions: int = 2,
    focus: tuple[float, float] | None = None,
) -> Generator[GranularProgress, None, Granular]:
    """Explain on one shifted grid after the other, the plain one first.

    Results are kept by content in `Engine.shifted_cache`, within a bound of its own so that
    they never push out what corrections need: asked again after a correction, only patches whose
    tokens changed are computed. Grids shifted by whole patches share the plain grid's patches.
    Closing the generator cancels; what is done stays known.

    Parameters
    ----------
    engine
        Whose model, masking and threshold are used.
    mask
        What is tissue.
    level
        "patch" or "region".
    divisions
        Shifts along each axis, fractions of a patch (or region) apart.
    focus
        Level-0 pixel (x, y) whose surroundings are computed first on each grid.

    Raises
    ------
    ExplainError
        If the model has no such level, or ``divisions`` is no small whole number.
    """
    _check(engine, level, divisions)
    lattice = engine.lattice
    side = lattice.patch_px if level == "patch" else lattice.region_px
    moves = sorted({round(part * side / divisions) for part in range(divisions)})
    shifts = [(down, right) for down in moves for right in moves]
    cell = math.gcd(_cell_px(lattice, level), *moves)
    copies: list[tuple[tuple[int, int], LevelAttention]] = []
    ground: Ground | None = None

    def snapshot() -> Granular:
        return Granular(level, lattice, cell, tuple(copies), len(shifts), ground)

    engine.shifted_cache.begin()
    for shift in shifts:
        run, running = _start(engine, mask, shift, focus)
        for step in running:
            share = (len(copies) + step.done / max(step.total, 1)) / len(shifts)
            yield GranularProgress(share, len(copies), len(shifts), snapshot)
        if level == "patch":
            copies.append((shift, run.patch_level()))
        else:
            # The plain grid comes first: its tokens say where there is tissue.
            ground = ground or Ground(run.patch_level(), lattice.slide_shape)
            copies.append((shift, run.region_level()))
        yield GranularProgress(len(copies) / len(shifts), len(copies), len(shifts), snapshot)
    return snapshot()


def _start(
    engine: Engine,
    mask: TissueMask,
    shift: tuple[int, int],
    focus: tuple[float, float] | None,
) -> tuple[Run, Generator[Progress, None, None]]:
    plain = shift == (0, 0)
    if plain:
        engine.cache.begin()
        run = engine.run_of(engine.plan(mask), engine.cache)
    else:
        lattice = replace(engine.lattice, shift=shift)
        plan = make_plan(mask, lattice, engine.masking, engine.threshold)
        run = engine.run_of(plan, engine.shifted_cache, keep_answers=False)
    return run, engine.advance(run, focus)


def _cell_px(lattice: Lattice, level: str) -> int:
    """Side of what a level attends over, in pixels at the lattice's spacing."""
    return lattice.token_px if level == "patch" else lattice.patch_px


def _check(engine: Engine, level: str, divisions: int) -> None:
    there = [name for name in engine.model.levels if name in LEVELS]
    if level not in there:
        raise ExplainError(
            f"{engine.model.config.title!r} has no grid to shift at level {level!r}; it has: "
            f"{', '.join(there)}."
        )
    if not 1 <= divisions <= MOST_DIVISIONS or int(divisions) != divisions:
        raise ExplainError(
            f"divisions is {divisions!r}; give a whole number from 1 to {MOST_DIVISIONS}, "
            "usually 2: the work grows with its square."
        )
