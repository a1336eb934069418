"""Ink and other black or painted things, told from stained tissue by hue and by smoothness.

Stained tissue is never smooth: over 36 µm the optical density of haematoxylin and eosin varies by
an eighth of its mean or more, even in the blandest stroma; a pen stroke by a few hundredths.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_maskvit.tissue.morphology import dilated, pieces_with, without_small

_WINDOW_UM = 36.0
_DILUTE = 0.12  # optical density below which a colour says nothing
_BLACK = 1.2
_MARGIN_UM = 40.0
_SMALLEST_STAIN_LIKE_UM2 = 150_000.0
_SMALLEST_UM2 = 4_000.0


def find_ink(
    density: NDArray[np.float32], stain: NDArray[np.float32], spacing: float
) -> NDArray[np.bool_]:
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
    mean = density.mean(axis=0)
    rough = _roughness(mean, spacing)
    red, green, blue = density
    least, most = density.min(axis=0), density.max(axis=0)
    foreign = (most > _DILUTE) & (
        (red > 1.2 * green + 0.03) | (blue > 1.15 * green + 0.03) | (green < 0.85 * least)
    )
    red_pen = (green > 0.8) & (red < 0.2 * green)
    # Tissue in a deep shadow is dark and nearly grey too, but never as dark as this.
    black = (mean > _BLACK) & (least > 0.8 * most)
    # Where resolution is lost tissue is smoother: 0.07 of the mean at 12 µm against 0.12 at 4 µm.
    # Roughness of the stain rather than of the density: a shadow adds to the latter's mean.
    smooth = (stain > 0.02) & (_roughness(stain, spacing) < (0.08 if spacing < 7 else 0.05))
    ink = _pieces((foreign | red_pen) & (rough < 0.2), _SMALLEST_UM2, spacing)
    ink |= _pieces(black & (rough < 0.15), _SMALLEST_UM2, spacing)
    bold = _pieces(smooth & (green > 0.45), _SMALLEST_STAIN_LIKE_UM2, spacing)
    ink |= pieces_with(smooth, bold) if bold.any() else bold
    if not ink.any():
        return ink
    near = dilated(ink, round(_MARGIN_UM / spacing))
    alike = (foreign | red_pen | black | smooth) & (mean > _DILUTE)
    return near | (_opened(alike) & dilated(near, round(2 * _MARGIN_UM / spacing)))


def _roughness(values: NDArray[np.float32], spacing: float) -> NDArray[np.float32]:
    """Standard deviation over mean in a window of 36 µm, at least 5 pixels."""
    size = max(5, int(_WINDOW_UM / spacing) | 1)
    mean = ndimage.uniform_filter(values, size)
    square = ndimage.uniform_filter(values * values, size)
    return np.sqrt(np.maximum(square - mean * mean, 0)) / (mean + 0.01)


def _pieces(where: NDArray[np.bool_], smallest_um2: float, spacing: float) -> NDArray[np.bool_]:
    """Connected pieces that have an area and are not threads."""
    return without_small(_opened(where), smallest_um2 / spacing**2)


def _opened(where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return dilated(~dilated(~where, 1), 1)
