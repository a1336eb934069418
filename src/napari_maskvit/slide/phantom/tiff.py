"""Tiled TIFF files whose tiles arrive in any order and may share their bytes."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray


class TileFile:
    """A tiled TIFF (pyramid) that is filled tile by tile and appears under its name when done.

    tifffile writes the whole structure with empty tiles first; encoded tiles are then appended
    and their places entered in the tables at the end. Equal tiles are stored once.

    Parameters
    ----------
    path
        Of the file; until `close` it is written beside it under another name.
    shapes
        (height, width) of each level, finest first.
    samples
        Samples per pixel, 3 (RGB as YCbCr JPEG) or 1 (deflated).
    tile
        Side of a tile in pixels, a multiple of 16.
    spacings
        µm per pixel of each level.
    description
        ImageDescription of the first level, ASCII.
    big
        Whether the file may pass 4 GiB.
    """

    def __init__(
        self,
        path: Path,
        shapes: Sequence[tuple[int, int]],
        *,
        samples: int,
        tile: int,
        spacings: Sequence[float],
        description: str,
        big: bool,
    ) -> None:
        self.path = path
        self._part = path.with_name(f".{path.name}.{uuid4().hex}.part")
        self.grids = [(math.ceil(h / tile), math.ceil(w / tile)) for h, w in shapes]
        try:
            self._outline(shapes, samples, tile, spacings, description, big)
            self._file = self._part.open("ab")
        except BaseException:
            self._part.unlink(missing_ok=True)
            raise
        self._offsets = [np.zeros(grid, np.uint64) for grid in self.grids]
        self._counts = [np.zeros(grid, np.uint32) for grid in self.grids]
        self._shared: dict[bytes, int] = {}

    def _outline(
        self,
        shapes: Sequence[tuple[int, int]],
        samples: int,
        tile: int,
        spacings: Sequence[float],
        description: str,
        big: bool,
    ) -> None:
        """Write all pages with empty tiles."""
        import tifffile

        rgb: dict[str, Any] = {"photometric": "rgb", "compression": "jpeg"}
        grey: dict[str, Any] = {"photometric": "minisblack", "compression": "zlib"}
        with tifffile.TiffWriter(self._part, bigtiff=big) as writer:
            for level, (shape, spacing) in enumerate(zip(shapes, spacings, strict=True)):
                count = self.grids[level][0] * self.grids[level][1]
                writer.write(
                    _empty(count),
                    shape=(*shape, 3) if samples == 3 else shape,
                    dtype=np.uint8,
                    tile=(tile, tile),
                    subfiletype=1 if level else 0,
                    resolution=(1e4 / spacing, 1e4 / spacing),
                    resolutionunit="CENTIMETER",
                    description=None if level else description,
                    software="napari-maskvit phantom",
                    metadata=None,
                    **(rgb if samples == 3 else grey),
                )

    def put(self, level: int, row: int, column: int, data: bytes, *, shared: bool) -> None:
        """Enter an encoded tile; `shared` ones are stored once for all that are equal."""
        offset = self._shared.get(data) if shared else None
        if offset is None:
            offset = self._file.tell()
            if offset % 2:
                self._file.write(b"\0")
                offset += 1
            self._file.write(data)
            if shared:
                self._shared[data] = offset
        self._offsets[level][row, column] = offset
        self._counts[level][row, column] = len(data)

    def close(self) -> None:
        """Write the tables and give the file its name."""
        import tifffile

        self._file.close()
        with tifffile.TiffFile(self._part) as file:
            pages: Any = file.pages
            order = file.byteorder
            places = [
                (page.tags[code].valueoffset, page.tags[code].dtype)
                for page in pages
                for code in (324, 325)
            ]
        tables: list[NDArray[Any]] = [
            table for pair in zip(self._offsets, self._counts, strict=True) for table in pair
        ]
        with self._part.open("r+b") as out:
            for table, (offset, kind) in zip(tables, places, strict=True):
                out.seek(offset)
                out.write(table.astype(f"{order}u{_WIDTH[int(kind)]}").tobytes())
            out.flush()
            os.fsync(out.fileno())
        self._part.replace(self.path)

    def __enter__(self) -> TileFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            self._file.close()
            self._part.unlink(missing_ok=True)


# Bytes of the TIFF types SHORT, LONG and LONG8.
_WIDTH = {3: 2, 4: 4, 16: 8}


def _empty(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b""
