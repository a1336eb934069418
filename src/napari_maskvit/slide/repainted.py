"""A slide whose pixels are painted over while they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from napari_maskvit.slide.backend import Backend, Header, Pixels
from napari_maskvit.slide.cache import TileCache
from napari_maskvit.slide.pyramid import Pyramid, downsample_of
from napari_maskvit.slide.slide import Slide

CACHE_BYTES = 64 << 20

Paint = Callable[[Pixels, int, int, float], None]
"""Paints over a tile in place: its RGB pixels, the column and the row of its first pixel in its
level, and how many level-0 pixels wide a pixel of that level is."""


class RepaintedBackend:
    """Tiles of another backend, each painted over after it was decoded."""

    def __init__(self, inner: Backend, paint: Paint) -> None:
        self._inner = inner
        self._paint = paint
        self._levels = inner.header.levels
        self.header: Header = replace(inner.header, images={})

    def decode_tile(self, level: int, row: int, column: int) -> Pixels:
        """Decode and paint one tile; see `Backend`."""
        import numpy as np

        height, width = self._levels[level].tile
        pixels = self._inner.decode_tile(level, row, column)
        painted = np.full((height, width, 3), 255, np.uint8) if pixels is None else pixels.copy()
        downsample = downsample_of(self._levels[0].shape, self._levels[level].shape)
        self._paint(painted, column * width, row * height, downsample)
        return painted

    def close(self) -> None:
        """Leave the other slide open: it is not ours."""


def repainted(slide: Slide, paint: Paint) -> Slide:
    """The same slide with other pixels, painted tile by tile as they are read.

    Parameters
    ----------
    slide
        Stays open and as it is; must not be closed before the painted one is done with.
    paint
        Called once a tile, from many threads; must depend on its arguments alone.
    """
    pyramid = Pyramid(RepaintedBackend(slide._pyramid.backend, paint), TileCache(CACHE_BYTES))
    return Slide(slide.path, pyramid, slide._spacing)
