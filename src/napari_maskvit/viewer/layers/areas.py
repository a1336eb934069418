"""How large the tissue is, and what a person changed: counted where something changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_maskvit.tissue import TissueMask
from napari_maskvit.viewer.layers.boxes import Box, everything

TISSUE = TissueMask.TISSUE


@dataclass
class Areas:
    """Areas of a mask and of its corrections; pixels are counted, mm² told.

    Parameters
    ----------
    spacing
        Side of a pixel, µm.
    """

    spacing: float
    _tissue: int = 0
    _added: int = 0
    _removed: int = 0
    _excluded: int = 0

    @classmethod
    def of(cls, mask: NDArray[np.uint8], found: NDArray[np.uint8], spacing: float) -> Areas:
        """Of a mask (rows, columns) as it stands, against the one found; itself if as found."""
        made = cls(spacing)
        made.count(mask, found, everything(mask))
        return made

    @property
    def tissue_mm2(self) -> float:
        """Tissue, mm²."""
        return self._mm2(self._tissue)

    @property
    def added_mm2(self) -> float:
        """What a person added, mm²."""
        return self._mm2(self._added)

    @property
    def removed_mm2(self) -> float:
        """What a person removed, mm²."""
        return self._mm2(self._removed)

    @property
    def excluded_mm2(self) -> float:
        """What is marked as an excluded kind, mm²."""
        return self._mm2(self._excluded)

    @property
    def is_corrected(self) -> bool:
        """Whether anything was added, removed or marked as excluded."""
        return bool(self._added or self._removed or self._excluded)

    def count(self, mask: NDArray[np.uint8], found: NDArray[np.uint8], box: Box) -> None:
        """Take a box of the mask into account."""
        self._count(mask[box], None if found is mask else found[box], +1)

    def leave_out(self, mask: NDArray[np.uint8], found: NDArray[np.uint8], box: Box) -> None:
        """Leave a box out that is about to change."""
        self._count(mask[box], None if found is mask else found[box], -1)

    def _count(self, mask: NDArray[np.uint8], found: NDArray[np.uint8] | None, sign: int) -> None:
        now = mask == TISSUE
        self._tissue += sign * int(np.count_nonzero(now))
        self._excluded += sign * int(np.count_nonzero(mask > TISSUE))
        if found is None:
            return
        then = found == TISSUE
        self._added += sign * int(np.count_nonzero(now & ~then))
        self._removed += sign * int(np.count_nonzero(then & ~now))

    def _mm2(self, pixels: int) -> float:
        return pixels * self.spacing**2 / 1e6
