"""Bare glass: how bright it is on this slide, and what absorbs more than it does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PADDING = 254  # pixels at least this white in every channel were never photographed
_GLASS_CHROMA = 30
_GLASS_DARKEST = 128
_GLASS_LEAST_SHARE = 0.005


def is_padding(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where pixels (rows, columns, 3) are pure white, as programs fill in what was not scanned."""
    white = pixels >= _PADDING
    padding: NDArray[np.bool_] = white[..., 0] & white[..., 1] & white[..., 2]
    return padding


def glass_colour(pixels: NDArray[np.uint8], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Colour of bare glass, float32 (3,).

    The median around the commonest brightness among pale, colourless pixels; white where there are
    none, as on a crop from the middle of tissue.

    Parameters
    ----------
    pixels : uint8 (rows, columns, 3)
    known : bool (rows, columns)
        Where the slide was scanned.
    """
    seen = np.ascontiguousarray(pixels[known].T)
    grey = seen.sum(axis=0, dtype=np.uint16) // 3
    pale = (np.ptp(seen, axis=0) < _GLASS_CHROMA) & (grey >= _GLASS_DARKEST)
    if pale.sum() < max(_GLASS_LEAST_SHARE * known.size, 1):
        return np.full(3, 255, np.float32)
    counts = np.bincount(grey[pale], minlength=256).astype(np.float64)
    mode = int(np.convolve(counts, np.ones(5), mode="same").argmax())
    near = pale & (np.abs(grey.astype(np.int16) - mode) <= 4)
    return np.median(seen[:, near], axis=1).astype(np.float32)


def optical_density(pixels: NDArray[np.uint8], glass: NDArray[np.float32]) -> NDArray[np.float32]:
    """Natural logarithm of glass over pixel in each channel, float32 (3, rows, columns), >= 0."""
    values = np.arange(256, dtype=np.float32) + 1
    table = np.maximum(np.log((glass[:, None] + 1) / values), 0).astype(np.float32)
    density: NDArray[np.float32] = np.stack([table[c][pixels[..., c]] for c in range(3)])
    return density
