"""Which source pixels of a read take part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Keep:
    """A boolean grid laid over the source pixels of a read.

    Attributes
    ----------
    grid
        Shape (rows, columns).
    rows, columns
        Row and column of the grid in which each source pixel's centre lies, ascending.
    """

    grid: NDArray[np.bool_]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    @classmethod
    def over(
        cls, grid: NDArray[np.bool_], v: NDArray[np.floating], u: NDArray[np.floating]
    ) -> Keep:
        """Lay `grid` evenly over the unit square; v and u are the pixel centres in it."""
        return cls(grid, _cell(v, grid.shape[0]), _cell(u, grid.shape[1]))

    def any(self, rows: slice, columns: slice) -> bool:
        """Tell whether any cell of these source pixels is True."""
        i, j = self.rows[rows], self.columns[columns]
        return bool(self.grid[i[0] : i[-1] + 1, j[0] : j[-1] + 1].any())

    def white(self) -> NDArray[np.uint8]:
        """255 at each sample that takes no part, else 0; shape (rows, 3 x columns)."""
        cells = np.where(self.grid, np.uint8(0), np.uint8(255))
        return cells.take(np.repeat(self.columns, 3), axis=1).take(self.rows, axis=0)

    def pixels(self, rows: slice, columns: slice) -> NDArray[np.bool_]:
        """Whether each of these source pixels takes part."""
        return self.grid[np.ix_(self.rows[rows], self.columns[columns])]


def _cell(position: NDArray[np.floating], cells: int) -> NDArray[np.int64]:
    return np.clip(np.floor(position * cells), 0, cells - 1).astype(np.int64)
