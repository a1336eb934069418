"""What every picture of an explanation lies on: the finest positions that were looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

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

    def sample(self, picture: NDArray[np.float32], step: float) -> NDArray[np.float32]:
        """(K,) values of a picture, with cells of ``step``, under the finest kept positions."""
        return picture[self._places(picture.shape, step)]

    def picture(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(rows, columns) picture of one value a finest kept position; NaN elsewhere."""
        return self._cut(self.finest.raster(values, np.nan))

    def lay(self, picture: NDArray[np.float32], step: float) -> NDArray[np.float32]:
        """A coarser picture on the finest lattice, NaN where nothing was looked at.

        A cell that was attended to without any finer position in it, as where one level alone is
        masked, is shown whole: that attention is there, and on glass.

        Parameters
        ----------
        picture
            (rows, columns), NaN where there is nothing.
        step
            Side of its cells in level-0 pixels.
        """
        under = self._places(picture.shape, step)
        laid = self.finest.raster(picture[under], np.nan)
        bare = np.isfinite(picture)
        bare[under] = False
        if bare.any():
            self._fill(laid, picture, bare, step / self.step)
        return self._cut(laid)

    def _places(
        self, shape: tuple[int, ...], step: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row and column of the coarser cell that holds each finest kept position's middle."""
        rows, columns = (
            # A cell's place is looked up: there are far fewer rows than positions.
            np.minimum((np.arange(cells) + 0.5) * self.step / step, length - 1).astype(np.int64)
            for cells, length in zip(self.finest.shape, shape, strict=True)
        )
        return rows[self.finest.rows], columns[self.finest.columns]

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

    def _cut(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        """No background past the slide's edge, whatever the last patch attends to there."""
        if self.slide_shape is None:
            return picture
        rows, columns = (math.ceil(side / self.step - 1e-6) for side in self.slide_shape)
        at = self.finest.rows, self.finest.columns
        # A mask's last pixel may reach past the edge, and tissue is never hidden.
        past = np.flatnonzero((at[0] >= rows) | (at[1] >= columns))
        past = past[self.finest.coverage[past] > 0]
        tissue = at[0][past], at[1][past]
        values = picture[tissue]
        picture[rows:] = np.nan
        picture[:, columns:] = np.nan
        picture[tissue] = values
        return picture
