"""Masks as TIFF: tiled, deflated, in colours a person can see, with spacing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_maskvit.errors import MaskError
from napari_maskvit.tissue.picture import OURS, Picture, palette
from napari_maskvit.tissue.spacing import LONGEST_SIDE

_UM_PER_UNIT = {2: 25_400.0, 3: 10_000.0, 4: 1_000.0, 5: 1.0}


def write(array: NDArray[np.uint8], spacing: float, path: Path) -> None:
    """Write a mask, its colours as a palette."""
    per_centimetre = 1e4 / spacing
    tifffile.imwrite(
        path,
        array,
        photometric="palette",
        colormap=palette().T.astype(np.uint16) * 257,
        tile=(512, 512),
        compression="adobe_deflate",
        resolution=(per_centimetre, per_centimetre),
        resolutionunit="CENTIMETER",
        # Resolution is a ratio of whole numbers; the description holds the spacing exactly.
        description=json.dumps({"kind": OURS, "spacing_um": spacing}),
        metadata=None,
        software="napari-maskvit",
    )


def read(path: Path) -> Picture:
    """Read the finest level that is small enough to be edited.

    Raises
    ------
    MaskError
        If the file is no TIFF, is damaged, or has no level that is small enough.
    """
    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            levels = [lv for lv in series.levels if max(_plane(lv)) <= LONGEST_SIDE]
            if not levels:
                width, height = _plane(series)[::-1]
                raise MaskError(
                    f"The tissue mask {path} is {width:,} x {height:,} pixels; at most "
                    f"{LONGEST_SIDE:,} a side can be edited. Export it at a coarser spacing."
                )
            page = series.keyframe
            ours, exact = _description(page.description)
            spacing = exact or _resolution(page)
            if spacing is not None:
                spacing *= _plane(series)[0] / _plane(levels[0])[0]
            pixels = levels[0].asarray()
            if levels[0].axes == "SYX":
                pixels = np.moveaxis(pixels, 0, 2)
            if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and not ours:
                pixels = pixels.max(initial=1) - pixels
            return Picture(pixels, spacing, ours)
    except MaskError:
        raise
    except Exception as error:
        raise MaskError(
            f"The tissue mask {path} cannot be read as TIFF ({error}); it is damaged or of another "
            "kind. Export it again as TIFF, PNG or GeoJSON."
        ) from error


def _plane(series: Any) -> tuple[int, int]:
    axes = dict(zip(series.axes, series.shape, strict=True))
    return axes["Y"], axes["X"]


def _description(text: str) -> tuple[bool, float | None]:
    try:
        known = json.loads(text)
        if known["kind"] == OURS:
            return True, float(known["spacing_um"])
    except (ValueError, KeyError, TypeError):
        pass
    return False, None


def _resolution(page: Any) -> float | None:
    tag, unit = page.tags.get("XResolution"), page.tags.get("ResolutionUnit")
    um = _UM_PER_UNIT.get(int(unit.value) if unit is not None else 1)
    if tag is None or um is None:
        return None
    above, below = tag.value
    return um * below / above if above and below else None
