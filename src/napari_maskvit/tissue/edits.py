"""Corrections of a whole mask at once: smooth, grow, shrink, fill holes, drop specks.

Each looks at the mask in tiles or bands and gives back the boxes that change, so that memory stays
bounded on the largest mask. Excluded kinds (pen, fold, …) stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_maskvit.tissue.kinds import GLASS, TISSUE, Kind
from napari_maskvit.tissue.mask import TissueMask
from napari_maskvit.tissue.pieces import small_pieces

Box = tuple[slice, slice]

TILE = 1024
_SIGMAS = 3.0


@dataclass(frozen=True, eq=False)
class Patch:
    """New values of a box of the mask.

    Attributes
    ----------
    box : tuple of slice
        Rows and columns.
    values : uint8 (rows, columns)
        What the mask holds there afterwards.
    """

    box: Box
    values: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Edit:
    """A correction: boxes that do not overlap, each with a pixel that changes on every side.

    Attributes
    ----------
    name : str
        What was done, in the past tense: "grown by 10 µm".
    patches : tuple of Patch
        Empty where nothing changes.
    """

    name: str
    patches: tuple[Patch, ...]

    @property
    def missing(self) -> str:
        """What there was none of, where nothing changes: "holes below 2,000 µm²"."""
        words = self.name.removesuffix(" filled").removesuffix(" dropped")
        return words if words != self.name else "edge that moves"

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return not self.patches

    @property
    def box(self) -> Box | None:
        """Smallest box around every change."""
        if not self.patches:
            return None
        rows, columns = zip(*(patch.box for patch in self.patches), strict=True)
        return _around(rows), _around(columns)

    def applied(self, mask: TissueMask) -> TissueMask:
        """The mask afterwards."""
        array = mask.array.copy()
        for patch in self.patches:
            array[patch.box] = patch.values
        return TissueMask(array, mask.spacing, mask.name)


def grown(mask: TissueMask, um: float, *, tile: int = TILE) -> Edit:
    """Turn glass within a distance of tissue into tissue.

    Parameters
    ----------
    mask : TissueMask
    um : float
        Distance between pixel centres, µm.
    tile : int
        Side of what is looked at at once, pixels.
    """
    return _spread(mask, TISSUE, GLASS, um, f"grown by {um:g} µm", tile)


def shrunk(mask: TissueMask, um: float, *, tile: int = TILE) -> Edit:
    """Turn tissue within a distance of glass into glass.

    The slide's border is no edge of the tissue, and neither is one towards an excluded kind: it was
    drawn there on purpose. A mask that is first grown, then shrunk holds all that it held before.

    Parameters
    ----------
    mask : TissueMask
    um : float
        Distance between pixel centres, µm.
    tile : int
        Side of what is looked at at once, pixels.
    """
    return _spread(mask, GLASS, TISSUE, um, f"shrunk by {um:g} µm", tile)


def smoothed(mask: TissueMask, um: float, *, tile: int = TILE) -> Edit:
    """Even out the edge between tissue and glass: what is finer than ``um`` goes.

    Each pixel becomes what most of its surroundings are, weighted by a Gaussian with a standard
    deviation of half of ``um``; excluded kinds carry no weight.

    Parameters
    ----------
    mask : TissueMask
    um : float
        Width of what is evened out, µm.
    tile : int
        Side of what is looked at at once, pixels.
    """
    sigma = um / 2 / mask.spacing

    def change(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
        free = array <= TISSUE.value
        # +1 where tissue, -1 where glass: the sign of the mean is the majority, kinds or not.
        lean = np.where(array == TISSUE.value, np.float32(1), np.float32(-1)) * free
        lean = ndimage.gaussian_filter(lean, sigma, mode="nearest", truncate=_SIGMAS)
        new = np.where(lean > 0, np.uint8(TISSUE.value), np.uint8(GLASS.value))
        return np.where(free & (np.abs(lean) > 1e-6), new, array)

    halo = int(_SIGMAS * sigma + 0.5) + 1
    return _tiled(mask, f"smoothed by {um:g} µm", change, halo, tile)


def holes_filled(mask: TissueMask, um2: float) -> Edit:
    """Turn holes in the tissue smaller than an area into tissue.

    A hole is a connected piece of what is not tissue that does not reach the slide's border;
    excluded kinds in it count as part of the hole, and stay.

    Parameters
    ----------
    mask : TissueMask
    um2 : float
        Area of the smallest hole that stays, µm².
    """
    array = mask.array
    found = small_pieces(
        lambda rows: array[rows] != TISSUE.value,
        len(array),
        um2 / mask.spacing**2,
        spare_border=True,
    )
    changed = ((rows, where & (array[rows] == GLASS.value)) for rows, where in found)
    return Edit(f"holes below {um2:,.0f} µm² filled", tuple(_set(array, changed, TISSUE.value)))


def specks_dropped(mask: TissueMask, um2: float) -> Edit:
    """Turn pieces of tissue smaller than an area into glass.

    Parameters
    ----------
    mask : TissueMask
    um2 : float
        Area of the smallest piece that stays, µm².
    """
    array = mask.array
    found = small_pieces(
        lambda rows: array[rows] == TISSUE.value,
        len(array),
        um2 / mask.spacing**2,
        spare_border=False,
    )
    return Edit(f"specks below {um2:,.0f} µm² dropped", tuple(_set(array, found, GLASS.value)))


def painted(mask: TissueMask, box: Box, where: NDArray[np.bool_], value: int, name: str) -> Edit:
    """Give a part of a box one value.

    Parameters
    ----------
    mask : TissueMask
    box : tuple of slice
        Rows and columns, within the mask.
    where : bool (rows, columns)
        Which pixels of the box.
    value : int
        Of a kind.
    name : str
        What was done, in the past tense.
    """
    values = np.where(where, np.uint8(value), mask.array[box])
    return Edit(name, tuple(_patches(mask.array, box, values)))


def between(before: TissueMask, after: TissueMask, name: str) -> Edit:
    """The correction that makes one mask into another of the same shape."""
    return Edit(
        name,
        tuple(
            patch
            for box in _tiles(before.shape, TILE)
            for patch in _patches(before.array, box, after.array[box])
        ),
    )


def _spread(mask: TissueMask, kind: Kind, over: Kind, um: float, name: str, tile: int) -> Edit:
    """Let one kind take what is of another within a distance of it."""
    radius = um / mask.spacing

    def change(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
        near = _within(array == kind.value, radius)
        return np.where(near & (array == over.value), np.uint8(kind.value), array)

    return _tiled(mask, name, change, math.ceil(radius) + 1, tile)


def _within(where: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """Pixels no farther from ``where`` than ``radius`` pixels, centre to centre."""
    if not where.any():
        return where
    distance = ndimage.distance_transform_edt(~where)
    near: NDArray[np.bool_] = distance <= radius + 1e-9
    return near


def _tiled(
    mask: TissueMask,
    name: str,
    change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    halo: int,
    tile: int,
) -> Edit:
    """Apply a change that looks no farther than ``halo`` pixels."""
    array = mask.array
    patches: list[Patch] = []
    for box in _tiles(array.shape, max(tile, 2 * halo)):
        top, left = (max(0, side.start - halo) for side in box)
        seen = array[top : box[0].stop + halo, left : box[1].stop + halo]
        tissue = seen == TISSUE.value
        if not tissue.any() or tissue.all():
            continue
        inner = (
            slice(box[0].start - top, box[0].stop - top),
            slice(box[1].start - left, box[1].stop - left),
        )
        patches.extend(_patches(array, box, change(seen)[inner]))
    return Edit(name, tuple(patches))


def _tiles(shape: tuple[int, ...], side: int) -> Iterator[Box]:
    for top in range(0, shape[0], side):
        for left in range(0, shape[1], side):
            yield (
                slice(top, min(top + side, shape[0])),
                slice(left, min(left + side, shape[1])),
            )


def _set(
    array: NDArray[np.uint8],
    found: Iterator[tuple[slice, NDArray[np.bool_]]],
    value: int,
) -> Iterator[Patch]:
    for rows, where in found:
        box = (rows, slice(0, array.shape[1]))
        yield from _patches(array, box, np.where(where, np.uint8(value), array[rows]))


def _patches(array: NDArray[np.uint8], box: Box, values: NDArray[np.uint8]) -> Iterator[Patch]:
    """The part of a box that changes, if any."""
    changed = values != array[box]
    rows = np.flatnonzero(changed.any(axis=1))
    if not len(rows):
        return
    columns = np.flatnonzero(changed.any(axis=0))
    down, across = (slice(int(one[0]), int(one[-1]) + 1) for one in (rows, columns))
    top, left = box[0].start, box[1].start
    yield Patch(
        (
            slice(top + down.start, top + down.stop),
            slice(left + across.start, left + across.stop),
        ),
        np.ascontiguousarray(values[down, across]),
    )


def _around(sides: tuple[slice, ...]) -> slice:
    return slice(min(side.start for side in sides), max(side.stop for side in sides))
