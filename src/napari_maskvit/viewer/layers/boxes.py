"""Boxes of rows and columns: where something changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, slice]

TILE = 512


def tiles(box: Box) -> Iterator[Box]:
    """Cut a box, so that a change here and one far away do not cost all that lies between."""
    rows, columns = box
    for top in range(rows.start, rows.stop, TILE):
        for left in range(columns.start, columns.stop, TILE):
            yield (
                slice(top, min(top + TILE, rows.stop)),
                slice(left, min(left + TILE, columns.stop)),
            )


def bounding_box(where: NDArray[np.bool_]) -> Box | None:
    """Smallest box around what is True."""
    rows = np.flatnonzero(where.any(axis=1))
    if not len(rows):
        return None
    columns = np.flatnonzero(where[rows[0] : rows[-1] + 1].any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def joined(one: Box, other: Box) -> Box | None:
    """Smallest box around two that overlap; None where they do not."""
    sides = list(zip(one, other, strict=True))
    if any(a.start >= b.stop or b.start >= a.stop for a, b in sides):
        return None
    rows, columns = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in sides)
    return rows, columns


def everything(array: NDArray[Any]) -> Box:
    """The box of a whole array."""
    return slice(0, array.shape[0]), slice(0, array.shape[1])
