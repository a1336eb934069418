"""Slides in TIFF files of any vendor, through tifffile."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_maskvit.errors import SlideError
from napari_maskvit.slide.backend import Header, Pixels
from napari_maskvit.slide.files import PositionedFile
from napari_maskvit.slide.tiff_layout import layout_of
from napari_maskvit.slide.tiff_metadata import properties_of, spacing_of
from napari_maskvit.slide.tiff_page import PageReader, page_reader

# What tifffile finds wrong is said by our own errors and warnings.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

FORMATS = {
    "svs": "Aperio SVS",
    "ndpi": "Hamamatsu NDPI",
    "scn": "Leica SCN",
    "qpi": "PerkinElmer QPTIFF",
    "ome": "OME-TIFF",
    "philips": "Philips TIFF",
}


class StitchedError(Exception):
    """The tiles of this file overlap; OpenSlide knows how to lay them."""


class TiffBackend:
    """An open TIFF file."""

    def __init__(self, path: Path) -> None:
        self._file = PositionedFile(path)
        try:
            self._tiff = tifffile.TiffFile(path)
            try:
                self.header = self._read_header(path.name)
            except BaseException:
                self._tiff.close()
                raise
        except BaseException:
            self._file.close()
            raise

    def _read_header(self, name: str) -> Header:
        if not self._tiff.pages:
            raise SlideError(f"{name} is damaged or cut short: it holds no image. Copy it again.")
        if self._tiff.is_bif or str(self._tiff.pages.first.software).startswith("MedScan"):
            raise StitchedError
        layout = layout_of(self._tiff, name)
        if any(page.parent is not self._tiff for pages in layout.levels for page in pages):
            raise SlideError(f"{name} is one of several files that hold a slide; join them first.")
        main = self._tiff.series[0].kind
        # Aperio's empty tiles are known damage by the scanner; elsewhere a tile without place
        # and size is how TIFF says that nothing was scanned there.
        sparse = main != "svs"
        readers = [page_reader(self._file, pages, name, sparse=sparse) for pages in layout.levels]
        self._readers: tuple[PageReader, ...] = _decreasing(readers)
        warnings = [f"{name} {warning}." for warning in layout.warnings]
        missing = _missing(layout.levels[0], self._file.size)
        if missing >= 1:
            raise SlideError(
                f"{name} is cut short: it ends before the first pixel of its finest level. "
                "Copy the file again."
            )
        if missing > 0:
            warnings.append(
                f"{name} is cut short or damaged: {max(missing, 0.001):.1%} of its finest level is "
                "missing and is treated as background. Copy the file again."
            )
        lock = threading.Lock()
        return Header(
            format=FORMATS.get(main, "TIFF"),
            levels=tuple(reader.level for reader in self._readers),
            spacing=spacing_of(self._tiff, layout.levels[0][0], main),
            properties=properties_of(self._tiff, layout.levels[0][0], main),
            images={role: _image(page, name, lock) for role, page in layout.images.items()},
            warnings=tuple(warnings),
        )

    def decode_tile(self, level: int, row: int, column: int) -> Pixels | None:
        """Decode one tile; see `Backend`."""
        return self._readers[level].decode(row, column)

    def close(self) -> None:
        """Close the file."""
        self._tiff.close()
        self._file.close()


def _decreasing(readers: list[PageReader]) -> tuple[PageReader, ...]:
    kept = readers[:1]
    for reader in readers[1:]:
        if min(reader.level.shape) > 0 and reader.level.shape[0] < kept[-1].level.shape[0]:
            kept.append(reader)
    return tuple(kept)


def _missing(pages: list[Any], size: int) -> float:
    """Share of the pieces of an image that lie beyond the end of the file."""
    page = pages[0]
    offsets = np.asarray(page.dataoffsets, np.int64)
    counts = np.asarray(page.databytecounts, np.int64)
    length = min(len(offsets), len(counts))
    if length == 0:
        return 1.0
    beyond = (offsets[:length] + counts[:length] > size) & (counts[:length] > 0)
    if page.is_contiguous:
        expected = page.imagelength * page.imagewidth * page.samplesperpixel
        expected *= page.dtype.itemsize
        return float(np.clip((offsets[0] + expected - size) / expected, 0, 1))
    return float(beyond.mean())


def _image(page: Any, name: str, lock: threading.Lock) -> Callable[[], Pixels]:
    def decode() -> Pixels:
        from napari_maskvit.slide.colour import converter

        convert = converter(name, page.dtype, page.samplesperpixel, int(page.photometric))
        with lock:
            stored = page.asarray()
        if page.planarconfig == 2:
            stored = np.moveaxis(stored, 0, -1)
        return convert(stored if stored.ndim == 3 else stored[..., None])

    return decode
