"""A small part of the mask at the slide's own resolution, for edges finer than its pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from napari_maskvit.errors import MaskError
from napari_maskvit.tissue.edits import Box, Edit, between
from napari_maskvit.tissue.kinds import KINDS
from napari_maskvit.tissue.mask import TissueMask

if TYPE_CHECKING:
    from napari_maskvit.slide import Slide

SIDE = 4096
"""Most pixels a side: as many as painting stays fluid on at full resolution."""


@dataclass(frozen=True)
class FineWindow:
    """A box of the mask whose every pixel is cut into squares.

    Attributes
    ----------
    box : tuple of slice
        Rows and columns of the mask.
    factor : int
        Fine pixels along the side of a mask pixel.
    spacing : float
        Side of a fine pixel, µm.
    """

    box: Box
    factor: int
    spacing: float

    @classmethod
    def around(
        cls, slide: Slide, mask: TissueMask, centre: tuple[float, float], *, side: int = SIDE
    ) -> Self:
        """Choose the window around a place.

        Parameters
        ----------
        slide : Slide
        mask : TissueMask
        centre : (y, x)
            µm from the slide's corner; the window is moved to lie on the mask.
        side : int
            Most fine pixels a side.

        Raises
        ------
        MaskError
            If the mask is as fine as the slide.
        """
        factor = math.ceil(mask.spacing / slide.require_spacing() - 1e-6)
        if factor < 2:
            raise MaskError(
                f"The mask is as fine as the slide ({mask.spacing:g} µm): paint on it directly."
            )
        rows, columns = (
            _around(int(place // mask.spacing), max(1, side // factor), length)
            for place, length in zip(centre, mask.shape, strict=True)
        )
        return cls((rows, columns), factor, mask.spacing / factor)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of fine pixels."""
        rows, columns = ((side.stop - side.start) * self.factor for side in self.box)
        return rows, columns

    @property
    def size_um(self) -> tuple[float, float]:
        """Height and width, µm."""
        return self.shape[0] * self.spacing, self.shape[1] * self.spacing

    @property
    def corner_um(self) -> tuple[float, float]:
        """Top and left, µm from the slide's corner."""
        step = self.spacing * self.factor
        return self.box[0].start * step, self.box[1].start * step

    def cut(self, mask: TissueMask) -> NDArray[np.uint8]:
        """What the mask holds in the window, uint8 of `shape`."""
        return mask.array[self.box].repeat(self.factor, axis=0).repeat(self.factor, axis=1)

    def edit(self, mask: TissueMask, before: NDArray[np.uint8], fine: NDArray[np.uint8]) -> Edit:
        """Bring what was changed in the window back into the mask.

        A mask pixel under which nothing was changed stays as it is. Any other becomes what covers
        most of its area; where two kinds cover the same, it stays what it is if that is one of
        them.

        Parameters
        ----------
        mask : TissueMask
            The mask as it stands, which may have changed since the window was cut.
        before, fine : uint8 of `shape`
            As cut, and as changed.
        """
        changed = self._blocks(before != fine) > 0
        now = mask.array[self.box]
        most, winner = np.full(now.shape, -1, np.int64), now.copy()
        for kind in KINDS:
            # The odd one decides between equals for what is there.
            covered = 2 * self._blocks(fine == kind.value) + (now == kind.value)
            better = covered > most
            most[better], winner[better] = covered[better], kind.value
        array = mask.array.copy()
        array[self.box] = np.where(changed, winner, now)
        after = TissueMask(array, mask.spacing, mask.name)
        return between(mask, after, "edges drawn")

    def _blocks(self, where: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Number of fine pixels that hold, for each mask pixel."""
        rows, columns = (side.stop - side.start for side in self.box)
        down = where.reshape(rows, self.factor, -1).sum(axis=1, dtype=np.int64)
        return down.reshape(rows, columns, self.factor).sum(axis=2)


def _around(place: int, length: int, whole: int) -> slice:
    length = min(length, whole)
    start = min(max(0, place - length // 2), whole - length)
    return slice(start, start + length)
