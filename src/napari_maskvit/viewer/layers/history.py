"""What the history of a Labels layer takes and holds: the pixels of a step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_maskvit.tissue.edits import Edit
from napari_maskvit.viewer.layers.boxes import Box

Places = tuple[NDArray[np.uint16], NDArray[np.uint16]]
Write = tuple[Places, int | NDArray[np.uint8]]
"""Rows and columns of pixels, and what they become."""


def writes_of(edit: Edit, array: NDArray[np.uint8]) -> list[Write]:
    """The pixels that an edit of a mask changes, as the layer's history takes them.

    They stay in the history for long: short indices, and one value where there is only one.
    """
    writes: list[Write] = []
    for patch in edit.patches:
        rows, columns = np.nonzero(patch.values != array[patch.box])
        values = patch.values[rows, columns]
        top, left = (side.start for side in patch.box)
        places = ((rows + top).astype(np.uint16), (columns + left).astype(np.uint16))
        if values.size:
            writes.append((places, int(values[0]) if (values == values[0]).all() else values))
    return writes


def box_of(item: Iterable[Any], shape: tuple[int, ...]) -> Box | None:
    """Smallest box around all atoms of a napari history item."""
    boxes = []
    for atom in item:
        key = getattr(atom, "slice_key", None)
        if key is None:
            rows, columns = (np.asarray(one) for one in atom[0])
            if not rows.size:
                continue
            key = (
                slice(int(rows.min()), int(rows.max()) + 1),
                slice(int(columns.min()), int(columns.max()) + 1),
            )
        boxes.append([one.indices(length) for one, length in zip(key, shape, strict=True)])
    if not boxes:
        return None
    low = np.min([[one[0] for one in box] for box in boxes], axis=0)
    high = np.max([[one[1] for one in box] for box in boxes], axis=0)
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))
