"""From a path to a slide."""

from __future__ import annotations

import os
from pathlib import Path

from napari_maskvit.errors import SlideError
from napari_maskvit.slide.backend import Backend
from napari_maskvit.slide.cache import DEFAULT_CACHE_BYTES, TileCache
from napari_maskvit.slide.pyramid import Pyramid
from napari_maskvit.slide.slide import Slide
from napari_maskvit.slide.spacing import given

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def open_slide(
    path: str | os.PathLike[str],
    *,
    spacing: float | None = None,
    cache_bytes: int | None = None,
) -> Slide:
    """Open a whole-slide image; reads headers only.

    Parameters
    ----------
    path
        TIFF of any vendor, what OpenSlide reads, OME-Zarr, PNG or JPEG.
    spacing
        µm per pixel of the finest level, where the file does not say or is wrong.
    cache_bytes
        Most bytes of decoded tiles to hold; 512 MiB unless given.

    Raises
    ------
    SlideError
        The file is missing, unreadable, damaged, or of a kind that is not supported; the message
        says which.
    """
    place = Path(path).expanduser()
    chosen = None if spacing is None else given(spacing)
    backend = _backend(place)
    cache = TileCache(DEFAULT_CACHE_BYTES if cache_bytes is None else cache_bytes)
    return Slide(place, Pyramid(backend, cache), chosen or backend.header.spacing)


def _backend(path: Path) -> Backend:
    try:
        with path.open("rb") as file:
            magic = file.read(64)
    except OSError as error:
        raise SlideError(f"{path} cannot be opened: {error.strerror}.") from error
    if magic[:4] in TIFF_MAGIC:
        from napari_maskvit.slide.tiff import TiffBackend

        return TiffBackend(path)
    raise SlideError(f"{path.name} is not a slide.")
