"""From mask to plan, again and again: only regions whose mask pixels changed are planned anew."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.explain.plan import Plan, RegionPlan, plan_region
from napari_maskvit.tissue.coverage import coverage, lattice_edges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain.cache import ResultCache
    from napari_maskvit.explain.lattice import Lattice
    from napari_maskvit.tissue import TissueMask

PLAN_COST = 4.0
"""Of planning a region, in tokens of a patch transformer."""

_PIXEL = 1 << 16  # what `lattice_edges` divides a mask pixel into


@dataclass(frozen=True)
class _Band:
    """What was last seen of the mask pixels under a row of regions.

    Parameters
    ----------
    start
        First mask column that holds tissue; all before, and after ``pixels``, is background.
    pixels
        (rows, columns) a copy: the array that a mask was made of may be painted on meanwhile.
    """

    start: int
    pixels: NDArray[np.uint8]


class Planner:
    """Plans one mask after the other.

    Change is found by content: a mask is compared with a copy of the one before, so that undo,
    redo and masks from elsewhere need no bookkeeping.

    Parameters
    ----------
    lattice, masking, threshold
        As `Plan` has them.
    cache
        Where plans of regions are kept for when a mask comes back to them.
    """

    def __init__(
        self,
        lattice: Lattice,
        masking: tuple[str, ...],
        threshold: float,
        cache: ResultCache | None = None,
    ) -> None:
        self.lattice, self.masking, self.threshold = lattice, masking, threshold
        self._cache = cache
        self._geometry: tuple[tuple[int, int], float] | None = None
        self._bands: list[_Band | None] = []
        self._rows: list[dict[int, RegionPlan]] = []

    @property
    def nbytes(self) -> int:
        """Memory of the latest mask's copy and plan, in bytes."""
        copies = sum(band.pixels.nbytes for band in self._bands if band is not None)
        return copies + sum(part.nbytes for row in self._rows for part in row.values())

    def plan(self, mask: TissueMask) -> Plan:
        """What is kept under ``mask``."""
        rows, columns = self.lattice.shape("slide")
        if self._geometry != (mask.shape, mask.spacing):
            self._geometry = (mask.shape, mask.spacing)
            self._bands = [None] * rows
            self._rows = [{} for _ in range(rows)]
        down, right = (shift * self.lattice.spacing for shift in self.lattice.shift)
        side = self.lattice.region_px * self.lattice.spacing
        self._down = lattice_edges(-down, side, rows, mask.spacing)
        self._across = lattice_edges(-right, side, columns, mask.spacing)
        for row in range(rows):
            self._follow(mask, row)
        parts = tuple(known[column] for known in self._rows for column in sorted(known))
        return Plan(self.lattice, self.masking, self.threshold, parts)

    def _follow(self, mask: TissueMask, row: int) -> None:
        """Bring a row of regions up to date."""
        band = mask.array[_pixels(self._down, row, mask.shape[0])]
        old = self._bands[row]
        changed = np.flatnonzero(self._changed(band, old))
        if old is not None and not len(changed):
            return
        known = dict(self._rows[row])
        for column in changed.tolist():
            there = _pixels(self._across, column, mask.shape[1])
            if old is not None and column in known:
                self._remember(_key(row, column, _block(old, there)), known[column])
            part = None
            if old is not None and self._cache is not None:
                part = self._cache.get(_key(row, column, band[:, there]))
            if part is None:
                part = self._plan_region(mask, row, column)
            known.pop(column, None)
            if part is not None:
                known[column] = part
        # Last, so that what is interrupted before is found changed again.
        self._rows[row] = known
        self._bands[row] = _copy(band)

    def _changed(self, band: NDArray[np.uint8], old: _Band | None) -> NDArray[np.bool_]:
        """Regions of a row to plan anew."""
        if old is None:
            if "slide" not in self.masking:
                return np.ones(len(self._across) - 1, bool)
            differs = _maybe_tissue(band)
        else:
            stop = old.start + old.pixels.shape[1]
            differs = np.zeros(band.shape[1], bool)
            inside = band[:, old.start : stop]
            if not np.array_equal(inside, old.pixels):
                differs[old.start : stop] = (inside != old.pixels).any(axis=0)
            for outside in (slice(0, old.start), slice(stop, band.shape[1])):
                differs[outside] = _maybe_tissue(band[:, outside])
        before = np.concatenate([[0], np.cumsum(differs)])
        width = band.shape[1]
        first = np.clip(self._across[:-1] // _PIXEL, 0, width)
        last = np.clip(-(-self._across[1:] // _PIXEL), 0, width)
        changed: NDArray[np.bool_] = before[last] > before[first]
        return changed

    def _plan_region(self, mask: TissueMask, row: int, column: int) -> RegionPlan | None:
        return plan_region(
            self.lattice,
            self.masking,
            self.threshold,
            row,
            column,
            region_coverage(mask, self.lattice, row, column),
        )

    def _remember(self, key: tuple[str, int, int, bytes], part: RegionPlan) -> None:
        if self._cache is not None and key not in self._cache:
            self._cache.put(key, part, nbytes=part.nbytes, cost=PLAN_COST)


def make_plan(
    mask: TissueMask, lattice: Lattice, masking: tuple[str, ...], threshold: float
) -> Plan:
    """Decide what is kept, from scratch; `Planner` remembers what a mask left as it was."""
    return Planner(lattice, masking, threshold).plan(mask)


def region_coverage(
    mask: TissueMask, lattice: Lattice, row: int, column: int
) -> NDArray[np.float32]:
    """(n t, n t) share of tissue in each token of a region; only where there is some is summed.

    A token that lies past the slide's edge has none, though the mask's last pixel may reach there.
    """
    count = lattice.patches_per_side * lattice.tokens_per_side
    side, token = lattice.region_px * lattice.spacing, lattice.token_px * lattice.spacing
    down, right = (shift * lattice.spacing for shift in lattice.shift)
    rows = lattice_edges(row * side - down, token, count, mask.spacing)
    columns = lattice_edges(column * side - right, token, count, mask.spacing)
    on_slide = tuple(
        min(max(math.ceil((length * lattice.slide_spacing - start) / token - 1e-6), 0), count)
        for length, start in zip(
            lattice.slide_shape, (row * side - down, column * side - right), strict=True
        )
    )
    shares = np.zeros((count, count), np.float32)
    height, width = mask.shape
    top, bottom = (min(max(int(edge), 0), height) for edge in _ends(rows))
    left, end = (min(max(int(edge), 0), width) for edge in _ends(columns))
    tissue = mask.array[top:bottom, left:end] == 1
    inside = on_slide == shares.shape and rows[0] >= 0 and columns[0] >= 0
    inside &= rows[-1] <= height * _PIXEL and columns[-1] <= width * _PIXEL
    if inside and tissue.all():
        return np.ones_like(shares)
    box = _touched(tissue.any(axis=1), top, rows), _touched(tissue.any(axis=0), left, columns)
    if box[0].stop > box[0].start and box[1].stop > box[1].start:
        shares[box] = coverage(
            mask.array,
            rows[box[0].start : box[0].stop + 1],
            columns[box[1].start : box[1].stop + 1],
        )
    shares[on_slide[0] :] = 0
    shares[:, on_slide[1] :] = 0
    return shares


def _key(row: int, column: int, block: NDArray[np.uint8]) -> tuple[str, int, int, bytes]:
    content = hashlib.blake2b(np.equal(block, 1).tobytes(), digest_size=16).digest()
    return "plan", row, column, content


def _touched(tissue: NDArray[np.bool_], start: int, edges: NDArray[np.int64]) -> slice:
    """Squares between ``edges`` from the first to the last that tissue touches."""
    where = np.flatnonzero(tissue)
    if not len(where):
        return slice(0, 0)
    low, high = (start + int(where[0])) * _PIXEL, (start + int(where[-1]) + 1) * _PIXEL
    first = max(int(np.searchsorted(edges, low, side="right")) - 1, 0)
    last = min(int(np.searchsorted(edges, high, side="left")), len(edges) - 1)
    return slice(first, max(first, last))


def _ends(edges: NDArray[np.int64]) -> tuple[int, int]:
    """First and one past the last mask pixel between the outer edges."""
    return int(edges[0]) // _PIXEL, -(-int(edges[-1]) // _PIXEL)


def _pixels(edges: NDArray[np.int64], index: int, length: int) -> slice:
    """Mask pixels that a region touches along one axis."""
    first, last = int(edges[index]) // _PIXEL, -(-int(edges[index + 1]) // _PIXEL)
    return slice(min(max(first, 0), length), min(max(last, 0), length))


def _maybe_tissue(band: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Columns that may hold tissue: those that do, and few others; much faster than comparing."""
    held: NDArray[np.uint8] = np.bitwise_or.reduce(band, axis=0)
    return (held & 1).astype(bool)


def _copy(band: NDArray[np.uint8]) -> _Band:
    where = np.flatnonzero(np.bitwise_or.reduce(band, axis=0))
    if not len(where):
        return _Band(0, band[:, :0].copy())
    start, stop = int(where[0]), int(where[-1]) + 1
    return _Band(start, band[:, start:stop].copy())


def _block(old: _Band, columns: slice) -> NDArray[np.uint8]:
    """What was last seen of some columns of a band."""
    block = np.zeros((len(old.pixels), columns.stop - columns.start), np.uint8)
    first = max(columns.start, old.start)
    last = min(columns.stop, old.start + old.pixels.shape[1])
    if last > first:
        block[:, first - columns.start : last - columns.start] = old.pixels[
            :, first - old.start : last - old.start
        ]
    return block
