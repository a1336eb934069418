"""Pictures to hand on: a heatmap laid over its slide."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain.heatmap import Heatmap
    from napari_maskvit.slide import Slide

BAND = 100
"""Rows of a picture that are read at once."""


def overlay(
    slide: Slide,
    heatmap: Heatmap,
    *,
    colormap: str = "inferno",
    opacity: float = 0.6,
    side: int = 1600,
) -> NDArray[np.uint8]:
    """A heatmap over its slide, with glass shown as glass.

    Parameters
    ----------
    slide
        The slide that was explained.
    heatmap
        Any level of its explanation.
    colormap
        Name of a perceptually uniform colormap.
    opacity
        Of the heatmap, in [0, 1].
    side
        Pixels of the picture's longer side.

    Returns
    -------
    ndarray
        (height, width, 3) uint8 RGB.
    """
    height, width = slide.shape
    scale = max(height, width) / side
    rows, columns = max(1, round(height / scale)), max(1, round(width / scale))
    picture = _whole(slide, rows, columns, scale)
    # Nearest cell, never interpolated: what is seen is what was measured.
    y = ((np.arange(rows) + 0.5) * scale / heatmap.step).astype(int)
    x = ((np.arange(columns) + 0.5) * scale / heatmap.step).astype(int)
    y, x = y.clip(max=heatmap.array.shape[0] - 1), x.clip(max=heatmap.array.shape[1] - 1)
    shown = replace(heatmap, array=heatmap.array[y[:, None], x[None, :]])
    colours = shown.colourise(colormap).astype(np.float32)
    alpha = colours[..., 3:] / 255 * opacity
    return np.rint(picture * (1 - alpha) + colours[..., :3] * alpha).astype(np.uint8)


def _whole(slide: Slide, rows: int, columns: int, scale: float) -> NDArray[np.uint8]:
    """The slide in a picture, read in bands: the level below it may be much larger."""
    picture = np.empty((rows, columns, 3), np.uint8)
    spacing = slide.require_spacing() * scale
    for top in range(0, rows, BAND):
        height = min(BAND, rows - top)
        picture[top : top + height] = slide.read_region(0, top * scale, columns, height, spacing)
    return picture
