"""Levels as dask arrays over the tile cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_maskvit.slide.pyramid import Pyramid

if TYPE_CHECKING:
    from dask.array import Array

CHUNK = 1024


class LevelPixels:
    """One level as something that dask can slice."""

    ndim = 3
    dtype = np.dtype(np.uint8)

    def __init__(self, pyramid: Pyramid, level: int) -> None:
        self._pyramid = pyramid
        self._level = level
        self.shape = (*pyramid.levels[level].shape, 3)

    def __getitem__(self, index: Any) -> np.ndarray:
        rows, columns, samples = (
            slice(*part.indices(size)) for part, size in zip(index, self.shape, strict=True)
        )
        pixels = np.empty((rows.stop - rows.start, columns.stop - columns.start, 3), np.uint8)
        self._pyramid.copy(self._level, rows.start, columns.start, pixels)
        return pixels[:: rows.step, :: columns.step, samples]


def level_arrays(pyramid: Pyramid, name: str) -> tuple[Array, ...]:
    """Return each level as a dask array (y, x, 3), in chunks of about 1024 px of whole tiles."""
    import dask.array as da

    return tuple(
        da.from_array(  # type: ignore[no-untyped-call]
            LevelPixels(pyramid, index),
            chunks=(_chunk(level.tile[0]), _chunk(level.tile[1]), 3),
            name=f"{name}-{id(pyramid):x}-{index}",
            asarray=True,
            fancy=False,
            meta=np.empty((0, 0, 0), np.uint8),
        )
        for index, level in enumerate(pyramid.levels)
    )


def _chunk(tile: int) -> int:
    return tile * max(1, round(CHUNK / tile)) if tile <= 2 * CHUNK else CHUNK
