"""Share of tissue in each square of a lattice, in whole numbers from end to end."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

# Lattice edges are rounded to 2**-16 of a mask pixel (0.1 nm at 8 µm/px). All sums are then whole
# numbers: a square without tissue is exactly 0 and a full one exactly 1, whatever the spacing, and
# a lattice that coincides with the mask's pixels but for float rounding does not borrow from its
# neighbours. A square of 2**15 pixels a side still fits: 2**(15 + 15 + 16 + 16) < 2**63.
_ONE = 1 << 16
_BLOCK = 1 << 20
_LARGEST_BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))

Edges = NDArray[np.int64]


def lattice_edges(start: float, side: float, count: int, spacing: float) -> Edges:
    """Edges of ``count`` squares in a row, in 2**-16 mask pixels, shape (count + 1,).

    Parameters
    ----------
    start, side, spacing : float
        First corner, side of a square and side of a mask pixel, µm.
    count : int
        Number of squares.
    """
    positions = (start + side * np.arange(count + 1, dtype=np.float64)) * (_ONE / spacing)
    return np.rint(positions).astype(np.int64)


def coverage(tissue: NDArray[np.uint8], rows: Edges, columns: Edges) -> NDArray[np.float32]:
    """Mean of a mask over each square of a lattice.

    Parameters
    ----------
    tissue : uint8 (height, width)
        Pixels equal to 1 are tissue, all others are not.
    rows, columns : int64 (R + 1,), (C + 1,)
        Edges of the lattice from `lattice_edges`; outside the mask there is no tissue.

    Returns
    -------
    float32 (R, C)
        0 exactly where no tissue pixel touches the square, 1 exactly where nothing but tissue does.
    """
    sums = np.zeros((len(rows) - 1, len(columns) - 1), np.int64)
    height, width = tissue.shape
    inside = slice(
        max(int(columns[0]) // _ONE, 0), max(min(-(-int(columns[-1]) // _ONE), width), 0)
    )
    crop = tissue[:, inside]
    if crop.size and rows[-1] > 0 and rows[0] < height * _ONE:
        across = np.clip(columns - inside.start * _ONE, 0, crop.shape[1] * _ONE)
        down = np.clip(rows, 0, height * _ONE)
        for band in _bands(down, crop.shape[1]):
            sums[band] = _sum_band(crop, down[band.start : band.stop + 1], across)
    areas = np.diff(rows)[:, None] * np.diff(columns)[None, :]
    shares: NDArray[np.float32] = (sums / areas).astype(np.float32)
    np.minimum(shares, _LARGEST_BELOW_ONE, out=shares, where=sums < areas)
    return shares


def _bands(rows: Edges, width: int) -> Iterator[slice]:
    """Cut the lattice into runs of rows over about `_BLOCK` mask pixels, to bound memory."""
    count = len(rows) - 1
    pixels = max(1, (int(rows[-1] - rows[0]) * width) // _ONE)
    step = max(1, count * _BLOCK // pixels)
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def _sum_band(tissue: NDArray[np.uint8], rows: Edges, columns: Edges) -> NDArray[np.int64]:
    first, last = int(rows[0]) // _ONE, -(-int(rows[-1]) // _ONE)
    height, width = last - first, tissue.shape[1]
    if height <= 0:
        return np.zeros((len(rows) - 1, len(columns) - 1), np.int64)
    step = max(1, 2 * _BLOCK // height)
    blocks = [
        _sum_between(tissue[first:last, start : start + step] == 1, rows - first * _ONE)
        for start in range(0, width, step)
    ]
    return _sum_between((blocks[0] if len(blocks) == 1 else np.hstack(blocks)).T, columns).T


def _sum_between(values: NDArray[np.generic], edges: Edges) -> NDArray[np.int64]:
    """Integral of ``values`` along axis 0 between consecutive edges, times 2**16."""
    whole, part = edges >> 16, edges & (_ONE - 1)
    small = values.dtype == np.bool_
    integral = np.zeros((len(values) + 1, values.shape[1]), np.int32 if small else np.int64)
    np.cumsum(values, axis=0, out=integral[1:])
    at = integral[whole].astype(np.int64) << 16
    if part.any():
        at += part[:, None] * values[np.minimum(whole, len(values) - 1)]
    sums: NDArray[np.int64] = np.diff(at, axis=0)
    return sums
