"""Ink and other black or painted things, told from stained tissue by hue and by smoothness.

Stained tissue is never smooth: over 36 µm the optical density of haematoxylin and eosin varies by
an eighth of its mean or more, even in the blandest stroma; a pen stroke by a few hundredths. And
tissue holds two dyes whose shares vary from place to place, a stroke one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_maskvit.tissue.morphology import Mask, dilated, pieces_with, without_small

_WINDOW_UM = 36.0
_STROKE_UM = 80.0
_MARGIN_UM = 40.0
_FRINGE_UM = 120.0
_SMALLEST_UM2 = 4_000.0
_SMALLEST_STROKE_UM2 = 15_000.0
_DILUTE = 0.12  # optical density below which a colour says nothing
_BLACK = 1.2  # tissue in a deep shadow is dark and nearly grey too, but never as dark as this


def find_ink(density: NDArray[np.float32], stain: NDArray[np.float32], spacing: float) -> Mask:
    """Where ink, scanner borders and other opaque things are, with a margin.

    Parameters
    ----------
    density : float32 (3, rows, columns)
        Optical density.
    stain : float32 (rows, columns)
        How much a pixel looks stained, from `stain_of`.
    spacing : float
        µm per pixel.

    Returns
    -------
    bool (rows, columns)
    """
    found = np.zeros(stain.shape, bool)
    for certain, alike in _kinds(density, stain, spacing):
        if certain.any():
            near = dilated(certain, round(_MARGIN_UM / spacing))
            fringe = _opened(alike) & dilated(near, round(_FRINGE_UM / spacing))
            found |= near | pieces_with(fringe | near, near)
    return found


def _kinds(
    density: NDArray[np.float32], stain: NDArray[np.float32], spacing: float
) -> Iterator[tuple[Mask, Mask]]:
    """Where each kind of ink certainly is, and what may be the rest of it."""
    red, green, blue = density
    least, most, mean = density.min(axis=0), density.max(axis=0), density.mean(axis=0)
    rough = _roughness(mean, spacing)

    # Blue, green, yellow: something else than green light is absorbed most.
    foreign = (most > _DILUTE) & (
        (red > 1.2 * green + 0.03) | (blue > 1.15 * green + 0.03) | (green < 0.85 * least)
    )
    yield _pieces(foreign & (rough < 0.2), _SMALLEST_UM2, spacing), foreign

    black = (mean > _BLACK) & (least > 0.8 * most)
    greyish = (mean > 0.3) & (least > 0.8 * most)
    yield _pieces(black & (rough < 0.2), _SMALLEST_UM2, spacing), greyish

    # Red: blue light is absorbed nearly as much as green, red hardly. Grey shade adds the same to
    # all three and so does not matter. Eosin lies near 0.3 to 0.5 on this scale.
    warm, depth = blue - red, green - red
    reddish = (depth > 0.2) & (warm > 0.55 * depth)
    scarlet = (depth > 0.5) & (warm > 0.6 * depth) & (rough < 0.12)
    yield _pieces(scarlet, _SMALLEST_UM2, spacing), reddish

    # Pink, violet: a colour that tissue could have, but smooth throughout (in a shadow the density
    # is smoother than the stain, in pale tissue the other way round), or streaky of a single dye.
    roughest = np.maximum(rough, _roughness(stain, spacing))
    dyes = _deviation(red / (3 * mean + 0.02), spacing)[1]
    strokes = _strokes((stain > 0.25) & ((roughest < 0.05) | (dyes < 0.005)), spacing)
    yield strokes, (stain > 0.02) & ((roughest < 0.06) | (dyes < 0.006))


def _strokes(smooth: Mask, spacing: float) -> Mask:
    size = max(5, int(_STROKE_UM / spacing) | 1)
    throughout = ndimage.uniform_filter(smooth.astype(np.float32), size) > 0.9
    wide = _pieces(throughout, _SMALLEST_STROKE_UM2, spacing)
    return smooth & dilated(wide, round(_STROKE_UM / spacing)) if wide.any() else wide


def _roughness(values: NDArray[np.float32], spacing: float) -> NDArray[np.float32]:
    mean, deviation = _deviation(values, spacing)
    return deviation / (mean + np.float32(0.01))


def _deviation(
    values: NDArray[np.float32], spacing: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation in a window of 36 µm, at least 5 pixels."""
    size = max(5, int(_WINDOW_UM / spacing) | 1)
    mean = ndimage.uniform_filter(values, size)
    square = ndimage.uniform_filter(values * values, size)
    return mean, np.sqrt(np.maximum(square - mean * mean, 0))


def _pieces(where: Mask, smallest_um2: float, spacing: float) -> Mask:
    """Connected pieces that have an area and are not threads."""
    return without_small(_opened(where), smallest_um2 / spacing**2)


def _opened(where: Mask) -> Mask:
    return dilated(~dilated(~where, 1), 1)
