"""Tissue masks in files: TIFF, PNG and GeoJSON, told apart by their ending."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_maskvit.errors import MaskError
from napari_maskvit.tissue import geojson, png, tiff
from napari_maskvit.tissue.picture import Pixels, fitted

if TYPE_CHECKING:
    from napari_maskvit.slide import Slide

_PICTURES = {".tif": tiff, ".tiff": tiff, ".png": png}
_POLYGONS = (".geojson", ".json")
ENDINGS = (*_PICTURES, *_POLYGONS)
"""Endings of the files that can be read and written."""


def load(path: Path, slide: Slide | None = None) -> Pixels:
    """Read a mask.

    TIFF and PNG written here come back as they were. In pictures from elsewhere every pixel that is
    not black is tissue; of a pyramid the finest level of at most 16,384 px a side is taken. In
    GeoJSON polygons named as an excluded kind ("Pen", "Fold", …) become that kind; of the others
    those named "Tissue" are tissue, or all of them where none has that name.

    Parameters
    ----------
    path : Path
        A file ending in .tif, .tiff, .png, .geojson or .json.
    slide : Slide, optional
        The slide the mask belongs to. Needed for GeoJSON, and for pictures that do not say how
        large their pixels are: these are then taken to cover the slide.

    Returns
    -------
    uint8 (rows, columns), float
        Values of the mask, and the side of a pixel in µm.

    Raises
    ------
    MaskError
        If the file cannot be read, is not a mask, or does not fit the slide.
    SpacingUnknown
        If a slide is given, and nobody said how large its pixels are.
    """
    ending = _ending(path, "read")
    if not path.is_file():
        raise MaskError(f"There is no file {path}; check the name of the tissue mask.")
    try:
        if ending in _POLYGONS:
            return geojson.read(path, slide)
        return fitted(_PICTURES[ending].read(path), path, slide)
    except MaskError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise MaskError(f"The tissue mask {path} cannot be read: {reason}.") from error


def save(array: NDArray[np.uint8], spacing: float, path: Path, slide: Slide | None = None) -> None:
    """Write a mask; the file appears complete or not at all.

    Parameters
    ----------
    array : uint8 (rows, columns)
        Values of the mask.
    spacing : float
        Side of a pixel, µm.
    path : Path
        A file ending in .tif, .tiff, .png, .geojson or .json; one that exists is replaced.
    slide : Slide, optional
        Needed for GeoJSON, whose corners are in the slide's pixels.

    Raises
    ------
    MaskError
        If the ending is another, the folder cannot be written to, or the slide is missing.
    SpacingUnknown
        If nobody said how large the slide's pixels are.
    """
    ending = _ending(path, "write")
    try:
        with _replacing(path) as temporary:
            if ending in _POLYGONS:
                geojson.write(array, spacing, temporary, slide)
            else:
                _PICTURES[ending].write(array, spacing, temporary)
    except OSError as error:
        reason = error.strerror or error
        raise MaskError(
            f"The tissue mask cannot be written to {path}: {reason}; choose another folder."
        ) from error


def _ending(path: Path, verb: str) -> str:
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise MaskError(
            f"Cannot {verb} the tissue mask {path.name}: the ending {ending or '(none)'} is not "
            f"one of {', '.join(ENDINGS)}."
        )
    return ending


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a file beside ``path`` to write to, which takes its place when all went well."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp lets nobody else read; a mask is shared like any other file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
