"""What every picture of an explanation lies on: the finest positions that were looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from napari_maskvit.explain.attention import LevelAttention


@dataclass(frozen=True, eq=False)
class Ground:
    """The finest lattice of an explanation, and which of its cells were looked at.

    A patch or a region is a square, tissue is not: a coarser level is shown on those tokens alone
    that its squares hold, so that glass looks like glass at every level.

    Parameters
    ----------
    finest
        The level of the smallest cells.
    slide_shape
        Height and width of the slide in level-0 pixels, past which no background is shown; None
        where that is not known.
    """

    finest: LevelAttention
    slide_shape: tuple[int, int] | None = None

    @classmethod
    def of(
        cls, levels: Mapping[str, LevelAttention], slide_shape: tuple[int, int] | None = None
    ) -> Ground:
        """The ground of an explanation's levels."""
        return cls(min(levels.values(), key=lambda level: level.step), slide_shape)

    @property
    def step(self) -> float:
        """Side of a cell in level-0 pixels."""
        return self.finest.step

    @cached_property
    def kept(self) -> NDArray[np.bool_]:
        """(rows, columns) which cells were looked at."""
        return self.finest.kept

    def spread(self, picture: NDArray[np.float32], step: float) -> NDArray[np.float32]:
        """(rows, columns) values of a picture with other cells, NaN where nothing was looked at.

        Parameters
        ----------
        picture
            (rows, columns), NaN where there is nothing.
        step
            Side of its cells in level-0 pixels; the value under a cell's middle is taken.
        """
        rows, columns = self._under(picture.shape, step)
        spread: NDArray[np.float32] = np.take(picture[rows], columns, axis=1)
        spread[~self.kept] = np.nan
        return spread

    def lay(self, picture: NDArray[np.float32], step: float) -> NDArray[np.float32]:
        """A coarser level's picture, spread over what was looked at on the slide.

        A cell that was attended to without any finer position in it, as where one level alone is
        masked, is shown whole: that attention is there, and on glass.
        """
        laid = self.spread(picture, step)
        bare = np.isfinite(picture) & ~self._holds_any(picture.shape, step)
        if bare.any():
            self._fill(laid, picture, bare, step / self.step)
        return self.cut(laid)

    def cut(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        """No background past the slide's edge, whatever the last patch attends to there.

        Parameters
        ----------
        picture
            (rows, columns) of the finest lattice; changed in place, and returned.
        """
        if self.slide_shape is None:
            return picture
        rows, columns = (math.ceil(side / self.step - 1e-6) for side in self.slide_shape)
        # A mask's last pixel may reach past the edge, and tissue is never hidden.
        tissue = list(self._tissue_past(rows, columns))
        values = [picture[at] for at in tissue]
        picture[rows:] = np.nan
        picture[:, columns:] = np.nan
        for at, value in zip(tissue, values, strict=True):
            picture[at] = value
        return picture

    def _under(
        self, shape: tuple[int, ...], step: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row (column) of the coarser cell that holds the middle of each row (column) of cells."""
        rows, columns = (
            np.minimum((np.arange(cells) + 0.5) * self.step / step, length - 1).astype(np.int64)
            for cells, length in zip(self.finest.shape, shape, strict=True)
        )
        return rows, columns

    def _holds_any(self, shape: tuple[int, ...], step: float) -> NDArray[np.bool_]:
        """Which cells of a coarser lattice hold a finest position."""
        (rows, top), (columns, left) = (
            np.unique(under, return_index=True) for under in self._under(shape, step)
        )
        down = np.logical_or.reduceat(self.kept, top, axis=0)
        holds = np.zeros(shape, bool)
        holds[np.ix_(rows, columns)] = np.logical_or.reduceat(down, left, axis=1)
        return holds

    def _fill(
        self,
        laid: NDArray[np.float32],
        picture: NDArray[np.float32],
        bare: NDArray[np.bool_],
        ratio: float,
    ) -> None:
        """Paint whole cells of a coarser picture."""
        for row, column in zip(*np.nonzero(bare), strict=True):
            top, bottom, left, right = (
                round(edge * ratio) for edge in (row, row + 1, column, column + 1)
            )
            laid[top:bottom, left:right] = picture[row, column]

    def _tissue_past(
        self, rows: int, columns: int
    ) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
        """Rows and columns of finest positions that hold tissue, from a row and a column on."""
        for part in self.finest.parts:
            if part.reach[0] > rows or part.reach[1] > columns:
                past = ((part.rows >= rows) | (part.columns >= columns)) & (part.coverage > 0)
                yield part.rows[past], part.columns[past]
