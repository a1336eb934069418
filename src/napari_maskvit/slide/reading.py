"""A rectangle of a slide at any scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_maskvit.slide.keep import Keep
from napari_maskvit.slide.pyramid import WHITE, Pyramid
from napari_maskvit.slide.region import Region

# Scales that differ by less give the same pixels within a fifth of a pixel over a 256 px patch.
SAME_SCALE = 1e-3
LARGEST_READ = 1 << 29


@dataclass(frozen=True)
class Window:
    """What to read: level-0 corner, output size in pixels, level-0 pixels an output pixel."""

    x: float
    y: float
    width: int
    height: int
    scale: float


def read_window(pyramid: Pyramid, window: Window, keep: NDArray[np.bool_] | None) -> Region:
    """Read `window`; see `Slide.read` for what `keep` does.

    With `keep`, only levels of the file itself are used: a made level mixes pixels across the
    edges of cells.
    """
    level = choose_level(pyramid, window.scale, stored_only=keep is not None)
    ratio = window.scale / pyramid.levels[level].downsample
    if abs(ratio - 1) <= SAME_SCALE:
        return _crop(pyramid, level, window, keep)
    return _resample(pyramid, level, window, ratio, keep)


def choose_level(pyramid: Pyramid, scale: float, *, stored_only: bool) -> int:
    """Index of the coarsest level that is at least as fine as `scale`, else of the finest."""
    best = 0
    for index, level in enumerate(pyramid.levels):
        if stored_only and level.stored is None:
            continue
        if level.downsample <= scale * (1 + SAME_SCALE):
            best = index
    return best


def _crop(pyramid: Pyramid, level: int, window: Window, keep: NDArray[np.bool_] | None) -> Region:
    downsample = pyramid.levels[level].downsample
    top = math.floor(window.y / downsample + 0.5)
    left = math.floor(window.x / downsample + 0.5)
    pixels = np.empty((window.height, window.width, 3), np.uint8)
    cells = None
    if keep is not None and not keep.all():
        v = (np.arange(window.height) + 0.5) / window.height
        u = (np.arange(window.width) + 0.5) / window.width
        cells = Keep.over(keep, v, u)
    invalid = pyramid.copy(level, top, left, pixels, cells)
    return Region(pixels, _valid(invalid, window))


def _resample(
    pyramid: Pyramid, level: int, window: Window, ratio: float, keep: NDArray[np.bool_] | None
) -> Region:
    downsample = pyramid.levels[level].downsample
    x0, y0 = window.x / downsample, window.y / downsample
    margin = max(ratio, 1.0) + 1 if keep is None else 0.0
    ys = _source_range(y0, window.height * ratio, margin)
    xs = _source_range(x0, window.width * ratio, margin)
    pixels = np.empty((len(ys), len(xs), 3), np.uint8)
    cells = None
    if keep is not None and not keep.all():
        v = (ys + 0.5 - y0) / (ratio * window.height)
        u = (xs + 0.5 - x0) / (ratio * window.width)
        cells = Keep.over(keep, v, u)
    invalid = pyramid.copy(level, int(ys[0]), int(xs[0]), pixels, cells)
    left, top = float(x0 - xs[0]), float(y0 - ys[0])
    box = (left, top, left + window.width * ratio, top + window.height * ratio)
    out = _resize(pixels, window, box)
    if invalid is None:
        return Region(out, _valid(None, window))
    touched = _resize(invalid.astype(np.float32), window, box) > 1e-6
    out[touched] = WHITE
    return Region(out, ~touched)


def _source_range(start: float, length: float, margin: float) -> NDArray[np.int64]:
    """Indices of the pixels whose centre lies within `margin` of [start, start + length)."""
    first = math.ceil(start - margin - 0.5)
    last = math.ceil(start + length + margin - 0.5)
    if last <= first:
        first = math.floor(start + length / 2)
        last = first + 1
    return np.arange(first, last)


def _resize(
    source: NDArray[np.generic], window: Window, box: tuple[float, float, float, float]
) -> NDArray[np.uint8]:
    """Resize antialiased: a Hamming-windowed mean over the square that each output pixel covers.

    Its weights are positive and sum to one, so that nothing rings and no brightness is made; at
    a scale of one it is a linear interpolation.
    """
    from PIL import Image

    height, width = source.shape[:2]
    x0, y0, x1, y1 = box
    if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
        # Pixels whose centre is outside of the rectangle take no part; the last one that does
        # stands for them where the rectangle reaches over its edge, by half a pixel at most.
        source = np.pad(source, ((1, 1), (1, 1), (0, 0))[: source.ndim], mode="edge")
        height, width = source.shape[:2]
        x0, y0, x1, y1 = x0 + 1, y0 + 1, x1 + 1, y1 + 1
    inside = (max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height)))
    image = Image.fromarray(source)
    size = (window.width, window.height)
    return np.array(image.resize(size, Image.Resampling.HAMMING, box=inside))


def _valid(invalid: NDArray[np.bool_] | None, window: Window) -> NDArray[np.bool_]:
    return np.ones((window.height, window.width), np.bool_) if invalid is None else ~invalid
