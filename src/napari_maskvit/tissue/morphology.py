"""Binary morphology that keeps up with a slider: shifts of whole arrays, and labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]


def dilated(where: Mask, radius: int) -> Mask:
    """Dilate by an octagon of ``radius`` pixels."""
    grown = where.copy()
    for step in range(radius):
        before = grown.copy() if step % 2 else grown
        down = before.copy()
        down[1:] |= before[:-1]
        down[:-1] |= before[1:]
        # Alternating steps to 8 and to 4 neighbours make an octagon.
        across = before if step % 2 else down
        grown = down.copy()
        grown[:, 1:] |= across[:, :-1]
        grown[:, :-1] |= across[:, 1:]
    return grown


def closed(where: Mask, radius: int) -> Mask:
    """Fill gaps narrower than twice ``radius`` pixels; nothing grows from the border."""
    return ~dilated(~dilated(where, radius), radius) | where


def pieces_with(possible: Mask, certain: Mask) -> Mask:
    """Keep the connected pieces of ``possible`` that hold a pixel of ``certain``."""
    labels, count = ndimage.label(possible)
    sure = np.zeros(count + 1, bool)
    sure[labels[certain]] = True
    sure[0] = False
    kept: Mask = sure[labels]
    return kept


def without_small(where: Mask, smallest: float, keep_at_border: bool = False) -> Mask:
    """Drop connected pieces of fewer than ``smallest`` pixels.

    With ``keep_at_border`` those that touch the array's border stay, whatever their size.
    """
    labels, count = ndimage.label(where)
    if not count:
        return where
    keep = np.bincount(labels.ravel()) >= smallest
    if keep_at_border:
        for border in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
            keep[border] = True
    keep[0] = False
    kept: Mask = keep[labels]
    return kept
