"""All levels of a slide: those in its file and those made from them, over one tile cache."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_maskvit.errors import SlideError
from napari_maskvit.slide.backend import Backend, Pixels, StoredLevel, TileError
from napari_maskvit.slide.cache import EMPTY, UNDECODABLE, Key, Tile, TileCache
from napari_maskvit.slide.keep import Keep

COARSEST_SIDE = 2048
LARGEST_GAP = 5.9
GAP_STEP = 4
MADE_TILE = 512
WHITE = 255


@dataclass(frozen=True)
class Level:
    """One level of the pyramid.

    Attributes
    ----------
    shape
        (height, width) in pixels.
    tile
        (height, width) of a tile.
    downsample
        Level-0 pixels a pixel.
    stored
        Index among the file's own levels; None where the level is made.
    factor
        Of a made level: how many pixels a side of the level before are averaged.
    """

    shape: tuple[int, int]
    tile: tuple[int, int]
    downsample: float
    stored: int | None = None
    factor: int = 1


def plan_levels(stored: tuple[StoredLevel, ...]) -> tuple[Level, ...]:
    """Add levels, so that steps are small and the last one is at most 2048 px a side."""
    levels: list[Level] = []
    for index, level in enumerate(stored):
        downsample = downsample_of(stored[0].shape, level.shape)
        while levels and downsample / levels[-1].downsample > LARGEST_GAP:
            levels.append(_made_from(levels[-1], GAP_STEP))
        levels.append(Level(level.shape, level.tile, downsample, stored=index))
    while max(levels[-1].shape) > COARSEST_SIDE:
        levels.append(_made_from(levels[-1], 2 if max(levels[-1].shape) <= 4096 else GAP_STEP))
    return tuple(levels)


def downsample_of(finest: tuple[int, int], shape: tuple[int, int]) -> float:
    """Level-0 pixels a pixel: the whole number that explains both sides, else their mean ratio.

    Writers drop or round up the last fraction of a pixel, so a level of 4000 x 3001 px under one
    of 1000 x 750 px is a quarter, not 1 / 4.0007.
    """
    ratios = [finest[0] / shape[0], finest[1] / shape[1]]
    whole = round(max(zip(shape, ratios, strict=True))[1])
    if whole >= 1 and all(abs(a / whole - b) <= 1 for a, b in zip(finest, shape, strict=True)):
        return float(whole)
    return sum(ratios) / 2


def _made_from(finer: Level, factor: int) -> Level:
    height, width = (-(-side // factor) for side in finer.shape)
    downsample = finer.downsample * factor
    return Level((height, width), (MADE_TILE, MADE_TILE), downsample, factor=factor)


class Pyramid:
    """Tiles of every level of one open file. Safe for threads."""

    def __init__(self, backend: Backend, cache: TileCache) -> None:
        self.backend = backend
        self.cache = cache
        self.levels = plan_levels(backend.header.levels)
        self._undecodable: set[Key] = set()
        self._lock = threading.Lock()
        self.closed = False

    @property
    def undecodable(self) -> frozenset[Key]:
        """(level, row, column) of the file's tiles that could not be decoded so far."""
        with self._lock:
            return frozenset(self._undecodable)

    def tile(self, level: int, row: int, column: int) -> Tile:
        """Return one tile, decoded or made where it is not in the cache."""
        # The cache may hold what another thread was still decoding as it was cleared.
        self._check_open()
        key = (level, row, column)
        if self.levels[level].stored is not None:
            return self.cache.get(key, lambda: self._decode(key))
        return self.cache.get(key, lambda: self._make(key), pin=level == len(self.levels) - 1)

    def _decode(self, key: Key) -> Tile:
        level, row, column = key
        stored = self.levels[level].stored
        assert stored is not None
        self.cache.count(key)
        try:
            pixels = self.backend.decode_tile(stored, row, column)
            self._check(key, pixels)
        except TileError:
            self._check_open()
            with self._lock:
                self._undecodable.add(key)
            return UNDECODABLE
        return EMPTY if pixels is None else Tile(np.ascontiguousarray(pixels))

    def _check_open(self) -> None:
        if self.closed:
            raise SlideError("The slide was closed: open it again to read from it.")

    def _check(self, key: Key, pixels: Pixels | None) -> None:
        level, row, column = key
        (height, width), (th, tw) = self.levels[level].shape, self.levels[level].tile
        least = (min(th, height - row * th), min(tw, width - column * tw))
        if pixels is not None and (pixels.shape[0] < least[0] or pixels.shape[1] < least[1]):
            raise TileError(f"it decodes to {pixels.shape}, less than the {least} that it covers")

    def _make(self, key: Key) -> Tile:
        level, row, column = key
        here, finer = self.levels[level], self.levels[level - 1]
        k = here.factor
        top, left = row * here.tile[0] * k, column * here.tile[1] * k
        height = min(here.tile[0] * k, finer.shape[0] - top)
        width = min(here.tile[1] * k, finer.shape[1] - left)
        pixels = np.empty((height, width, 3), np.uint8)
        invalid = self.copy(level - 1, top, left, pixels)
        return _shrink(pixels, invalid, k)

    def copy(
        self, level: int, top: int, left: int, out: Pixels, keep: Keep | None = None
    ) -> NDArray[np.bool_] | None:
        """Copy a rectangle of a level into `out`.

        Parameters
        ----------
        level
            Index of the level.
        top, left
            First pixel of the rectangle; may lie outside the level, where `out` becomes white.
        out
            RGB, shape (height, width, 3), uint8, contiguous; overwritten.
        keep
            Pixels in its False cells become white, and a tile without any pixel in a True cell
            is not decoded.

        Returns
        -------
        Shape (height, width), True where a tile could not be decoded; None where all could.
        """
        here = self.levels[level]
        height, width = out.shape[:2]
        y0, y1 = max(top, 0), min(top + height, here.shape[0])
        x0, x1 = max(left, 0), min(left + width, here.shape[1])
        if keep is not None or y1 - y0 < height or x1 - x0 < width:
            out.fill(WHITE)
        if y0 >= y1 or x0 >= x1:
            return None
        flat = out.reshape(height, width * 3)
        white = None if keep is None else keep.white()
        th, tw = here.tile
        invalid: NDArray[np.bool_] | None = None
        for row in range(y0 // th, (y1 - 1) // th + 1):
            a, b = max(y0, row * th), min(y1, row * th + th)
            down = slice(a - top, b - top)
            for column in range(x0 // tw, (x1 - 1) // tw + 1):
                c, d = max(x0, column * tw), min(x1, column * tw + tw)
                across = slice(c - left, d - left)
                if keep is not None and not keep.any(down, across):
                    continue
                tile = self.tile(level, row, column)
                inside = (
                    slice(a - row * th, b - row * th),
                    slice(c - column * tw, d - column * tw),
                )
                if tile.valid is not True:
                    if invalid is None:
                        invalid = np.zeros((height, width), np.bool_)
                    bad = ~tile.valid[inside] if isinstance(tile.valid, np.ndarray) else True
                    invalid[down, across] = bad if keep is None else bad & keep.pixels(down, across)
                if tile.pixels is None:
                    out[down, across] = WHITE
                elif white is None:
                    out[down, across] = tile.pixels[inside]
                else:
                    # A bitwise or with 255 is white, in one pass over the memory.
                    stored = tile.pixels.reshape(tile.pixels.shape[0], -1)
                    source = stored[inside[0], 3 * inside[1].start : 3 * inside[1].stop]
                    samples = slice(3 * across.start, 3 * across.stop)
                    np.bitwise_or(source, white[down, samples], out=flat[down, samples])
        return invalid

    def close(self) -> None:
        """Let go of the file and the decoded tiles."""
        self.closed = True
        self.backend.close()
        self.cache.clear()


def _shrink(pixels: Pixels, invalid: NDArray[np.bool_] | None, factor: int) -> Tile:
    from PIL import Image

    small = np.asarray(Image.fromarray(pixels).reduce(factor))
    if invalid is None:
        return Tile(small)
    rows = np.logical_or.reduceat(invalid, np.arange(0, invalid.shape[0], factor), axis=0)
    bad = np.logical_or.reduceat(rows, np.arange(0, invalid.shape[1], factor), axis=1)
    if bad.all():
        return UNDECODABLE
    return Tile(np.where(bad[..., None], np.uint8(WHITE), small), ~bad)
