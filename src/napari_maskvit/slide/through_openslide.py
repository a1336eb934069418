"""Slides that OpenSlide reads: MIRAX, DICOM, Ventana, Hamamatsu VMS, and others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_maskvit.errors import SlideError
from napari_maskvit.slide.backend import Header, Pixels, StoredLevel, TileError
from napari_maskvit.slide.colour import over_white
from napari_maskvit.slide.gate import Gate
from napari_maskvit.slide.spacing import UNKNOWN, Spacing, from_sizes

IMAGE_NAMES = ("label", "macro", "thumbnail")
TILE = 512
SMALLEST_TILE, LARGEST_TILE = 128, 2048

VENDORS = {
    "dicom": "DICOM",
    "mirax": "3DHISTECH MIRAX",
    "ventana": "Ventana BIF",
    "hamamatsu": "Hamamatsu",
    "sakura": "Sakura SVSLIDE",
    "trestle": "Trestle TIFF",
    "zeiss": "Zeiss CZI",
}


def is_known(path: Path) -> bool:
    """Tell whether OpenSlide is installed and knows this file's format."""
    try:
        import openslide
    except ImportError:
        return False
    try:
        return openslide.OpenSlide.detect_format(str(path)) is not None
    except openslide.OpenSlideError:
        return True


class OpenSlideBackend:
    """A file that is open in OpenSlide."""

    def __init__(self, path: Path) -> None:
        try:
            import openslide
        except ImportError as error:
            raise SlideError(
                f"{path.name} needs OpenSlide, which is not installed: "
                "pip install openslide-python openslide-bin"
            ) from error
        self._path = path
        self._error: type[Exception] = openslide.OpenSlideError
        self._lock = threading.Lock()
        self._slide = self._open()
        self._gate = Gate(lambda: self._slide.close())
        try:
            self.header = self._read_header()
        except BaseException:
            self._slide.close()
            raise

    def _open(self) -> Any:
        import openslide

        try:
            return openslide.OpenSlide(str(self._path))
        except (openslide.OpenSlideError, OSError) as error:
            raise SlideError(
                f"{self._path.name} cannot be opened by OpenSlide: {error}."
            ) from error

    def _read_header(self) -> Header:
        slide = self._slide
        properties = dict(slide.properties)
        levels = tuple(
            StoredLevel((height, width), _tile(properties, index))
            for index, (width, height) in enumerate(slide.level_dimensions)
        )
        if min(levels[0].shape) < 1:
            raise SlideError(f"{self._path.name} holds no pixels.")
        vendor = properties.get("openslide.vendor", "")
        names = [name for name in IMAGE_NAMES if name in slide.associated_images]
        return Header(
            format=VENDORS.get(vendor, vendor or "OpenSlide"),
            levels=levels,
            spacing=_spacing(properties),
            properties=properties,
            images={name: self._image(name) for name in names},
        )

    def _image(self, name: str) -> Callable[[], Pixels]:
        def decode() -> Pixels:
            with self._gate:
                return _rgb(self._slide.associated_images[name])

        return decode

    def decode_tile(self, level: int, row: int, column: int) -> Pixels:
        """Decode one tile; see `Backend`."""
        (height, width), (th, tw) = self.header.levels[level].shape, self.header.levels[level].tile
        top, left = row * th, column * tw
        size = (min(tw, width - left), min(th, height - top))
        with self._gate:
            slide = self._slide
            scale = slide.level_downsamples[level]
            corner = (round(left * scale), round(top * scale))
            try:
                return _rgb(slide.read_region(corner, level, size))
            except self._error as error:
                self._reopen(slide)
                raise TileError(str(error)) from error

    def _reopen(self, failed: Any) -> None:
        """Replace a handle that failed: OpenSlide lets it fail forever after."""
        with self._lock:
            if self._slide is failed:
                self._slide = self._open()

    def close(self) -> None:
        """Close the file, once nobody reads from it."""
        self._gate.close()


def _tile(properties: Mapping[str, str], level: int) -> tuple[int, int]:
    sides = [
        int(properties.get(f"openslide.level[{level}].tile-{side}", TILE))
        for side in ("height", "width")
    ]
    fits = all(SMALLEST_TILE <= side <= LARGEST_TILE for side in sides)
    return (sides[0], sides[1]) if fits else (TILE, TILE)


def _spacing(properties: Mapping[str, str]) -> Spacing:
    try:
        x, y = (float(properties[f"openslide.mpp-{axis}"]) for axis in "xy")
    except (KeyError, ValueError):
        return UNKNOWN
    return from_sizes(x, y, "openslide.mpp-x")


def _rgb(image: Any) -> Pixels:
    pixels = np.asarray(image.convert("RGBA"))
    if pixels[..., 3].min() == 255:
        return np.ascontiguousarray(pixels[..., :3])
    return over_white(pixels[..., :3], pixels[..., 3:], multiplied=False)
