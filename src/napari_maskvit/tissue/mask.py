"""The tissue mask: which pixels of a slide are tissue, at a spacing of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from napari_maskvit.errors import MaskError
from napari_maskvit.tissue.coverage import coverage, lattice_edges

if TYPE_CHECKING:
    from napari_maskvit.slide import Slide


@dataclass(frozen=True, eq=False)
class TissueMask:
    """A picture of what is tissue, its first pixel in the slide's top-left corner.

    Parameters
    ----------
    array : uint8 (rows, columns)
        1 is tissue, 0 background; other values name excluded kinds (a fold, pen) and count as
        background. Booleans are accepted. Kept as a read-only view: it is not copied, so the owner
        of the memory must not change it while the mask is in use.
    spacing : float
        Side of a pixel, µm.
    name : str
        For people.

    Raises
    ------
    MaskError
        If the array or the spacing cannot be a mask.
    """

    array: NDArray[np.uint8]
    spacing: float
    name: str = ""

    TISSUE: ClassVar[int] = 1

    def __post_init__(self) -> None:
        array = np.asarray(self.array)
        if array.ndim != 2 or array.dtype not in (np.dtype(np.uint8), np.dtype(np.bool_)):
            raise MaskError(
                f"The tissue mask {self.name!r} is a {array.ndim}-dimensional {array.dtype} array; "
                "give a two-dimensional one of uint8, 1 for tissue and 0 for background."
            )
        if not 0 < self.spacing < float("inf"):
            raise MaskError(
                f"The tissue mask {self.name!r} has a spacing of {self.spacing} µm/px; "
                "give the side of its pixels in µm, usually 2 to 8."
            )
        view = array.view(np.uint8)
        view.flags.writeable = False
        object.__setattr__(self, "array", view)
        object.__setattr__(self, "spacing", float(self.spacing))

    @property
    def tissue(self) -> NDArray[np.bool_]:
        """Where tissue is, bool (rows, columns)."""
        tissue: NDArray[np.bool_] = np.equal(self.array, self.TISSUE)
        return tissue

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.array.shape
        return rows, columns

    @property
    def size_um(self) -> tuple[float, float]:
        """Height and width, µm."""
        return self.shape[0] * self.spacing, self.shape[1] * self.spacing

    @cached_property
    def is_empty(self) -> bool:
        """Whether there is no tissue at all."""
        # Row by row, until there is some: the window asks this of masks of a hundred megapixels.
        return not any(np.equal(row, self.TISSUE).any() for row in self.array)

    @property
    def area_mm2(self) -> float:
        """Area of the tissue, mm²."""
        return self._area_of(np.count_nonzero(self.tissue))

    @property
    def fraction(self) -> float:
        """Share of the mask's own area that is tissue."""
        return int(np.count_nonzero(self.tissue)) / max(self.array.size, 1)

    def coverage(
        self, x: float, y: float, side: float, rows: int, columns: int
    ) -> NDArray[np.float32]:
        """Share of tissue in each square of a lattice.

        Parameters
        ----------
        x, y : float
            The lattice's top-left corner, µm from the slide's.
        side : float
            Side of a square, µm.
        rows, columns : int
            Squares down and across.

        Returns
        -------
        float32 (rows, columns)
            Fractional pixels count by their area (edges are taken to 2**-16 of a mask pixel), and
            what lies outside the mask is background. A square that no tissue touches is exactly 0,
            one that only tissue touches exactly 1, any other strictly between.
        """
        return coverage(
            self.array,
            lattice_edges(y, side, rows, self.spacing),
            lattice_edges(x, side, columns, self.spacing),
        )

    def difference(self, earlier: TissueMask) -> MaskDifference:
        """Compare with an earlier mask of the same slide.

        Raises
        ------
        MaskError
            If the two masks do not share shape and spacing.
        """
        if self.shape != earlier.shape or self.spacing != earlier.spacing:
            raise MaskError(
                f"Masks of {self.shape} pixels at {self.spacing:g} µm and {earlier.shape} at "
                f"{earlier.spacing:g} µm cannot be compared; load both for the same slide."
            )
        now, before = self.tissue, earlier.tissue
        added, removed = now & ~before, before & ~now
        return MaskDifference(
            added,
            removed,
            self._area_of(np.count_nonzero(added)),
            self._area_of(np.count_nonzero(removed)),
        )

    @classmethod
    def load(cls, path: str | Path, slide: Slide | None = None) -> TissueMask:
        """Read a mask from a TIFF, PNG or GeoJSON file; see `napari_maskvit.tissue.files.load`."""
        from napari_maskvit.tissue import files

        array, spacing = files.load(Path(path), slide)
        return cls(array, spacing, Path(path).stem)

    def save(self, path: str | Path, slide: Slide | None = None) -> None:
        """Write a TIFF, PNG or GeoJSON file; see `napari_maskvit.tissue.files.save`."""
        from napari_maskvit.tissue import files

        files.save(self.array, self.spacing, Path(path), slide)

    def _area_of(self, pixels: int | np.integer) -> float:
        return int(pixels) * self.spacing**2 / 1e6


@dataclass(frozen=True, eq=False)
class MaskDifference:
    """What changed between two masks: bool arrays (rows, columns), and their areas in mm²."""

    added: NDArray[np.bool_]
    removed: NDArray[np.bool_]
    added_mm2: float
    removed_mm2: float

    @property
    def is_empty(self) -> bool:
        """Whether nothing changed."""
        return not (self.added_mm2 or self.removed_mm2)

    @property
    def box(self) -> tuple[slice, slice] | None:
        """Smallest box of rows and columns around every change."""
        changed = self.added | self.removed
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        if not len(rows):
            return None
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
