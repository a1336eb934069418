"""PNG and JPEG pictures as slides of one level."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from napari_maskvit.errors import SlideError
from napari_maskvit.slide.backend import Header, Pixels, StoredLevel, TileError
from napari_maskvit.slide.colour import CONVERT_IT, over_white
from napari_maskvit.slide.jpeg import END_OF_IMAGE
from napari_maskvit.slide.spacing import UNKNOWN, Spacing, from_density

TILE = 1024
# Decoded in one piece: 600 MB, about what Pillow's own guard lets through.
MOST_PIXELS = 200_000_000
MODES = ("1", "L", "P", "RGB", "CMYK", "YCbCr", "I;16", "I;16B", "I")
TAIL = 1 << 16


class FlatBackend:
    """A picture, decoded as a whole when its first pixel is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._pixels: Pixels | None = None
        self._failed: str | None = None
        width, height, info, kind = self._read_header()
        _check_end(path, kind)
        self.header = Header(
            format=kind,
            levels=(StoredLevel((height, width), (TILE, TILE)),),
            spacing=_spacing(info, kind),
            properties={
                key: str(value)
                for key, value in info.items()
                if isinstance(value, str | int | tuple)
            },
        )

    def _read_header(self) -> tuple[int, int, dict[Any, Any], str]:
        name = self._path.name
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                with Image.open(self._path, formats=("PNG", "JPEG")) as image:
                    width, height = image.size
                    mode, info, kind = image.mode, dict(image.info), str(image.format)
        except Image.DecompressionBombError as error:
            raise _too_large(name, "this many") from error
        except UnidentifiedImageError as error:
            raise SlideError(f"{name} is damaged: it begins like a picture but is none.") from error
        except (OSError, ValueError, SyntaxError) as error:
            raise SlideError(f"{name} is damaged: {error}.") from error
        if width * height > MOST_PIXELS:
            raise _too_large(name, f"{width} x {height}")
        if mode not in MODES and not mode.endswith("A"):
            raise SlideError(f"{name} stores pixels as {mode}; {CONVERT_IT}.")
        return width, height, info, kind

    def decode_tile(self, level: int, row: int, column: int) -> Pixels:
        """Cut one tile; see `Backend`."""
        with self._lock:
            if self._pixels is None and self._failed is None:
                try:
                    self._pixels = self._decode()
                except (OSError, ValueError, SyntaxError) as error:
                    self._failed = str(error)
            if self._pixels is None:
                raise TileError(self._failed)
            pixels = self._pixels
        top, left = row * TILE, column * TILE
        return pixels[top : top + TILE, left : left + TILE].copy()

    def _decode(self) -> Pixels:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(self._path, formats=("PNG", "JPEG")) as image:
                image.load()
                return _rgb(image)

    def close(self) -> None:
        """Forget the pixels."""
        self._pixels, self._failed = None, "the slide was closed"


def _rgb(image: Image.Image) -> Pixels:
    if image.mode.startswith("I"):
        grey = (np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)
    if image.mode.endswith("A") or "transparency" in image.info:
        pixels = np.asarray(image.convert("RGBA"))
        return over_white(pixels[..., :3], pixels[..., 3:], multiplied=False)
    return np.array(image.convert("RGB"))


def _spacing(info: dict[Any, Any], kind: str) -> Spacing:
    density = info.get("dpi")
    if not isinstance(density, tuple) or len(density) != 2:
        return UNKNOWN
    source = "PNG pHYs" if kind == "PNG" else "JPEG density"
    return from_density(float(density[0]), float(density[1]), "inch", source)


def _check_end(path: Path, kind: str) -> None:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL))
        tail = file.read()
    if (b"IEND" if kind == "PNG" else END_OF_IMAGE) not in tail:
        raise SlideError(f"{path.name} is cut short: its last pixels are missing. Copy it again.")


def _too_large(name: str, size: str) -> SlideError:
    return SlideError(
        f"{name} has {size} pixels, too many for a picture that can only be decoded in one piece "
        f"(at most {MOST_PIXELS // 10**6} million): convert it to a tiled pyramid first "
        f"(vips tiffsave {name} out.tif --tile --pyramid --bigtiff)."
    )
