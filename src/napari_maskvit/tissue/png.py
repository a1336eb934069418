"""Masks as PNG: in colours a person can see, with spacing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from napari_maskvit.errors import MaskError
from napari_maskvit.tissue.picture import OURS, Picture, palette
from napari_maskvit.tissue.spacing import LONGEST_SIDE

_KEY = "spacing_um"


def write(array: NDArray[np.uint8], spacing: float, path: Path) -> None:
    """Write a mask, its colours as a palette, its spacing in the pHYs chunk."""
    image = Image.fromarray(np.ascontiguousarray(array))
    image.putpalette(palette().tobytes())
    info = PngInfo()
    info.add_text("Description", OURS)
    # pHYs counts whole pixels per metre; the text holds the spacing exactly.
    info.add_text(_KEY, repr(spacing))
    per_inch = 25_400 / spacing
    image.save(path, "png", pnginfo=info, dpi=(per_inch, per_inch))


def read(path: Path) -> Picture:
    """Read a mask.

    Raises
    ------
    MaskError
        If the file is no PNG, is damaged or too large.
    """
    try:
        # Image.open refuses large pictures; masks have a limit of their own.
        with PngImageFile(path) as image:
            if max(image.size) > LONGEST_SIDE:
                raise MaskError(
                    f"The tissue mask {path} is {image.width:,} x {image.height:,} pixels; at most "
                    f"{LONGEST_SIDE:,} a side can be edited. Export it at a coarser spacing."
                )
            image.load()
            ours = image.info.get("Description") == OURS
            # What a foreign palette index means only its colour tells.
            coloured = image.mode == "P" and not ours
            pixels = np.asarray(image.convert("RGB") if coloured else image)
            return Picture(pixels, _spacing(image.info, ours), ours)
    except MaskError:
        raise
    except Exception as error:
        raise MaskError(
            f"The tissue mask {path} cannot be read as PNG ({error}); it is damaged or of another "
            "kind. Export it again as TIFF, PNG or GeoJSON."
        ) from error


def _spacing(info: dict[str | tuple[int, int], object], ours: bool) -> float | None:
    if ours and _KEY in info:
        return float(str(info[_KEY]))
    dots = info.get("dpi")
    if isinstance(dots, tuple) and dots[0] > 0:
        return 25_400 / float(dots[0])
    return None
