"""From a path to a slide."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from napari_maskvit.errors import SlideError
from napari_maskvit.slide.backend import Backend
from napari_maskvit.slide.cache import DEFAULT_CACHE_BYTES, TileCache
from napari_maskvit.slide.pyramid import Pyramid
from napari_maskvit.slide.slide import Slide
from napari_maskvit.slide.spacing import given

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8\xff"
OPENSLIDE_ENDINGS = (".mrxs", ".dcm", ".vms", ".vmu", ".bif", ".svslide", ".czi")


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
    if path.is_dir():
        return _folder(path)
    magic = _first_bytes(path)
    if magic[:4] in TIFF_MAGIC:
        return _tiff(path)
    if magic.startswith((PNG_MAGIC, JPEG_MAGIC)):
        from napari_maskvit.slide.flat import FlatBackend

        return FlatBackend(path)
    from napari_maskvit.slide.through_openslide import OpenSlideBackend, is_known

    is_dicom = magic[128:132] == b"DICM"
    if is_dicom or path.suffix.lower() in OPENSLIDE_ENDINGS or is_known(path):
        return OpenSlideBackend(path)
    raise SlideError(
        f"{path.name} is not a slide: its content is of no known format. "
        "TIFF of any vendor, DICOM, MRXS, BIF, OME-Zarr, PNG and JPEG can be read."
    )


def _folder(path: Path) -> Backend:
    from napari_maskvit.slide.ome_zarr import ZarrBackend, is_zarr

    if is_zarr(path):
        return ZarrBackend(path)
    instances = sorted(path.glob("*.dcm"), key=lambda file: -file.stat().st_size)
    if instances:
        from napari_maskvit.slide.through_openslide import OpenSlideBackend

        return OpenSlideBackend(instances[0])
    raise SlideError(f"{path} is a folder, not a slide: choose the file, or the .zarr folder.")


def _first_bytes(path: Path) -> bytes:
    try:
        # A pipe or a device would block for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise SlideError(f"{path} is not an ordinary file.")
        with path.open("rb") as file:
            magic = file.read(132)
    except FileNotFoundError as error:
        raise SlideError(f"There is no file {path}.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SlideError(f"{path} cannot be opened: {reason}.") from error
    if not magic:
        raise SlideError(f"{path.name} is empty.")
    return magic


def _tiff(path: Path) -> Backend:
    from napari_maskvit.slide.tiff import StitchedError, TiffBackend

    try:
        return TiffBackend(path)
    except SlideError:
        raise
    except StitchedError:
        from napari_maskvit.slide.through_openslide import OpenSlideBackend

        return OpenSlideBackend(path)
    except OSError as error:
        raise SlideError(f"{path} cannot be opened: {error.strerror or error}.") from error
    except Exception as error:
        # Python's own complaints of what it found in a damaged header would tell nobody anything.
        why = f" ({str(error)[:200]})" if type(error).__name__ == "TiffFileError" else ""
        raise SlideError(
            f"{path.name} is damaged or cut short: its TIFF header cannot be read{why}. "
            "Copy the file again."
        ) from error
