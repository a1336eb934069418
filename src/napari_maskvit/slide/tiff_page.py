"""Tiles of one image in a TIFF file, however it cuts them."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_maskvit.errors import SlideError
from napari_maskvit.slide import jpeg
from napari_maskvit.slide.backend import LARGEST_TILE_BYTES, Pixels, StoredLevel, TileError
from napari_maskvit.slide.colour import APERIO_JPEG2000_YCBCR, Convert, converter, ycbcr_to_rgb
from napari_maskvit.slide.files import PositionedFile

# Strips and the flat tiles of NDPI are joined to blocks of about this size; tiles proper are not.
FLAT_ROWS = 32
BLOCK_ROWS = 128
BLOCK_BYTES = 4 << 20
RAW_BLOCK = (256, 1024)
# Without 6, whose streams may lack their markers.
JPEG = (7, 34892, 33007)
JPEG_2000 = (33003, 33004, 33005, 34712)
TRANSPARENT = (1, 2)


class PageReader(Protocol):
    """Tiles of one image."""

    level: StoredLevel

    def decode(self, row: int, column: int) -> Pixels | None:
        """Decode a tile; see `Backend.decode_tile`."""


def page_reader(file: PositionedFile, pages: list[Any], name: str, *, sparse: bool) -> PageReader:
    """Choose how to read an image.

    Parameters
    ----------
    file
        Where the bytes are.
    pages
        tifffile's page; or three pages, one a colour.
    name
        Of the file, for messages.
    sparse
        A tile whose offset and size are both zero was never scanned, and is white.

    Raises
    ------
    SlideError
        The image is of a kind that is not supported.
    """
    page = pages[0]
    samples = len(pages) if len(pages) > 1 else page.samplesperpixel
    photometric = 2 if len(pages) > 1 else int(page.photometric)
    convert = converter(
        name,
        page.dtype,
        samples,
        photometric,
        alpha=next((int(e) for e in page.extrasamples if int(e) in TRANSPARENT), 0),
        largest=_largest(page),
        palette=page.colormap,
    )
    if _is_raw(page):
        return Raw(file, pages, convert)
    return Segments(file, pages, convert, name, sparse=sparse)


def _is_raw(page: Any) -> bool:
    plain = page.compression == 1 and page.predictor == 1 and page.fillorder == 1
    whole_bytes = page.bitspersample in (8, 16) and not page.is_subsampled
    return bool(plain and whole_bytes and page.is_contiguous)


def _largest(page: Any) -> int | None:
    declared = page.tags.valueof(281)
    if declared is not None and page.dtype is not None and page.dtype.kind == "u":
        value = max(declared) if isinstance(declared, tuple) else int(declared)
        if 0 < value <= np.iinfo(page.dtype).max:
            return int(value)
    if isinstance(page.bitspersample, int) and page.bitspersample < 16:
        return (1 << page.bitspersample) - 1
    return None


class Segments:
    """Tiles or strips, each compressed by itself."""

    def __init__(
        self, file: PositionedFile, pages: list[Any], convert: Convert, name: str, *, sparse: bool
    ) -> None:
        page = pages[0]
        self._file, self._pages, self._convert, self._sparse = file, pages, convert, sparse
        height, width = page.imagelength, page.imagewidth
        if page.is_tiled:
            self._cut = (page.tilelength, page.tilewidth)
        else:
            self._cut = (min(page.rowsperstrip or height, height), width)
        self._down = -(-height // self._cut[0])
        self._across = -(-width // self._cut[1])
        self._planes = page.samplesperpixel if page.planarconfig == 2 else 1
        bytes_each = math.prod(self._cut) * max(page.samplesperpixel, 3) * page.dtype.itemsize
        if bytes_each > LARGEST_TILE_BYTES:
            raise SlideError(
                f"{name} is stored in one piece of {self._cut[1]} x {self._cut[0]} px, too large "
                "to read in parts: convert it to a tiled pyramid first "
                "(vips tiffsave in.tif out.tif --tile --pyramid --bigtiff)."
            )
        rows = min(-(-BLOCK_ROWS // self._cut[0]), max(1, BLOCK_BYTES // bytes_each), self._down)
        self._group = max(1, rows) if self._cut[0] <= FLAT_ROWS else 1
        self.level = StoredLevel((height, width), (self._cut[0] * self._group, self._cut[1]))
        self._is_jpeg = int(page.compression) in JPEG
        self._is_jpeg_2000 = int(page.compression) in JPEG_2000
        self._is_ycbcr = int(page.compression) == APERIO_JPEG2000_YCBCR
        for each in pages:
            # tifffile builds its decoder on first use, which threads must not race for.
            _ = each.decode

    def decode(self, row: int, column: int) -> Pixels | None:
        """Decode a tile, or a few strips."""
        rows = range(row * self._group, min((row + 1) * self._group, self._down))
        parts = [self._segment(each, column) for each in rows]
        if all(part is None for part in parts):
            return None
        if len(parts) == 1:
            return parts[0]
        height, width = self.level.tile
        block = np.full((height, width, 3), 255, np.uint8)
        for index, part in enumerate(parts):
            if part is not None:
                top = index * self._cut[0]
                block[top : top + part.shape[0], : part.shape[1]] = part
        return block[: self.level.shape[0] - row * height]

    def _segment(self, row: int, column: int) -> Pixels | None:
        index = row * self._across + column
        area = self._down * self._across
        planes = [
            self._samples(page, index + plane * area)
            for page in self._pages
            for plane in range(self._planes)
        ]
        stored = [plane for plane in planes if plane is not None]
        if len(stored) < len(planes):
            return None
        return self._convert(stored[0] if len(stored) == 1 else np.concatenate(stored, axis=-1))

    def _samples(self, page: Any, index: int) -> NDArray[Any] | None:
        try:
            offset, count = page.dataoffsets[index], page.databytecounts[index]
        except IndexError:
            raise TileError("the file's list of tiles ends before this one") from None
        if count == 0 and offset == 0 and self._sparse:
            return None
        if count == 0 or offset == 0:
            raise TileError("the file holds no data for this tile")
        data = self._file.read(offset, count)
        header = page.jpegheader
        if self._is_jpeg and not jpeg.whole(data, fragment=header is not None):
            raise TileError("its JPEG data is cut short or damaged")
        if self._is_jpeg_2000 and not jpeg.ends(data):
            raise TileError("its JPEG 2000 data is cut short")
        try:
            decoded = page.decode(data, index, jpegtables=page.jpegtables, jpegheader=header)[0]
        except MemoryError:
            raise
        except Exception as error:
            raise TileError(str(error)) from error
        if decoded is None:
            raise TileError("it decodes to nothing")
        samples: NDArray[Any] = decoded[0]
        return ycbcr_to_rgb(samples) if self._is_ycbcr else samples


class Raw:
    """An uncompressed image in one piece, read in blocks."""

    def __init__(self, file: PositionedFile, pages: list[Any], convert: Convert) -> None:
        page = pages[0]
        self._file, self._convert = file, convert
        self._dtype = np.dtype(f"{page.parent.byteorder}u{page.bitspersample // 8}")
        planes = page.samplesperpixel if page.planarconfig == 2 else 1
        self._samples = page.samplesperpixel // planes
        self._pixel_bytes = self._samples * self._dtype.itemsize
        height, width = page.imagelength, page.imagewidth
        self._row_bytes = width * self._pixel_bytes
        self._starts = [
            each.dataoffsets[0] + plane * self._row_bytes * height
            for each in pages
            for plane in range(planes)
        ]
        block = (min(RAW_BLOCK[0], height), width if width <= 2 * RAW_BLOCK[1] else RAW_BLOCK[1])
        self.level = StoredLevel((height, width), block)

    def decode(self, row: int, column: int) -> Pixels:
        """Read a block."""
        (height, width), (th, tw) = self.level.shape, self.level.tile
        top, left = row * th, column * tw
        size = (min(th, height - top), min(tw, width - left))
        planes = [self._block(start, top, left, size) for start in self._starts]
        return self._convert(planes[0] if len(planes) == 1 else np.concatenate(planes, axis=-1))

    def _block(self, start: int, top: int, left: int, size: tuple[int, int]) -> NDArray[Any]:
        begin = start + top * self._row_bytes + left * self._pixel_bytes
        count = size[1] * self._pixel_bytes
        if count == self._row_bytes:
            data = self._file.read(begin, size[0] * count)
        else:
            lines = (self._file.read(begin + k * self._row_bytes, count) for k in range(size[0]))
            data = b"".join(lines)
        return np.frombuffer(data, self._dtype).reshape(*size, self._samples)
