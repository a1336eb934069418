"""A mask at another spacing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_BAND = 128


def resize_mask(
    where: NDArray[np.bool_], spacing: float, shape: tuple[int, int], new_spacing: float
) -> NDArray[np.uint8]:
    """Resample a mask whose first pixel lies in the same corner.

    A smoothed copy is interpolated between pixel centres and cut at one half, so that outlines are
    even rather than in steps.

    Parameters
    ----------
    where : bool (rows, columns)
    spacing, new_spacing : float
        µm per pixel of ``where`` and of the result.
    shape : tuple of int
        Rows and columns of the result.

    Returns
    -------
    uint8, 1 where tissue is.
    """
    result = np.zeros(shape, np.uint8)
    if not where.any():
        return result
    if abs(spacing / new_spacing - 1) < 1e-6 and where.shape == shape:
        result[...] = where
        return result
    blur = max(0.6, 0.5 * new_spacing / spacing)
    field = ndimage.gaussian_filter(where.astype(np.float32), blur, mode="nearest")
    top, rows = _neighbours(shape[0], new_spacing / spacing, where.shape[0])
    left, columns = _neighbours(shape[1], new_spacing / spacing, where.shape[1])
    right = np.minimum(left + 1, where.shape[1] - 1)
    for start in range(0, shape[0], _BAND):
        band = slice(start, start + _BAND)
        first, last = top[band][0], top[band][-1] + 2
        near = field[first:last]
        if not near.any():
            continue
        wide = near[:, left]
        wide += (near[:, right] - wide) * columns
        upper = wide[top[band] - first]
        lower = wide[np.minimum(top[band] + 1, where.shape[0] - 1) - first]
        upper += (lower - upper) * rows[band, None]
        result[band] = upper > 0.5
    return result


def _neighbours(
    count: int, ratio: float, length: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Pixel before each new pixel's centre, and the share of the one after it."""
    centres = np.clip((np.arange(count) + 0.5) * ratio - 0.5, 0, length - 1)
    before = np.floor(centres).astype(np.int64)
    return before, (centres - before).astype(np.float32)
