"""Which images of a TIFF file are the slide's levels, and which its label, macro and thumbnail."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from napari_maskvit.errors import SlideError
from napari_maskvit.slide.colour import refuse_channels

IMAGE_NAMES = ("label", "macro", "thumbnail")
GUESSED = ("generic", "uniform", "shaped", "imagej", "ndpi")


@dataclass(frozen=True)
class Layout:
    """tifffile's pages by role.

    Attributes
    ----------
    levels
        Finest first; each one page, or three, one a colour.
    images
        The other pictures.
    warnings
        What was left out.
    """

    levels: tuple[list[Any], ...]
    images: dict[str, Any]
    warnings: tuple[str, ...] = ()


def layout_of(tiff: Any, name: str) -> Layout:
    """Sort the pages of an open `tifffile.TiffFile`.

    Raises
    ------
    SlideError
        There is no image that could be a slide.
    """
    series = [each for each in tiff.series if _area(each) > 0]
    if not series:
        raise SlideError(f"{name} is a TIFF file without any image in it.")
    main = max(series, key=_area)
    warnings: list[str] = []
    levels = [_pages_of(level, name, warnings) for level in main.levels]
    others = [each for each in series if each is not main]
    levels += _orphans(main, others, levels[0][0])
    levels.sort(key=lambda pages: -pages[0].imagelength * pages[0].imagewidth)
    taken = {id(page) for pages in levels for page in pages}
    images: dict[str, Any] = {}
    for each in others:
        page = _first(each)
        role = next((n for n in IMAGE_NAMES if n in f"{each.name} {_says(page)}".lower()), None)
        if role is not None and role not in images and id(page) not in taken:
            images[role] = page
    return Layout(tuple(levels), images, tuple(dict.fromkeys(warnings)))


def _first(series: Any) -> Any:
    return series.pages[0].aspage()


def _says(page: Any) -> str:
    return str(page.description)[:200] if page.description else ""


def _area(series: Any) -> int:
    sizes = dict(zip(series.axes, series.shape, strict=False))
    return int(sizes.get("Y", 0) * sizes.get("X", 0))


def _pages_of(level: Any, name: str, warnings: list[str]) -> list[Any]:
    """Pages of one level that make up one RGB or grey picture."""
    page = _first(level)
    lead = [
        (axis, int(size))
        for axis, size in zip(level.axes, level.shape, strict=True)
        if axis not in "YXS" and size > 1
    ]
    count = math.prod(size for _, size in lead)
    if count == 1:
        return [page]
    channels = dict(lead).get("C", 1)
    if count != len(level.pages) or channels > 3 or channels == 2:
        raise refuse_channels(name, max(channels, 2))
    index = [0] * len(lead)
    for place, (axis, size) in enumerate(lead):
        if axis == "Z":
            index[place] = size // 2
            warnings.append(f"holds {size} focal planes, of which the middle one is shown")
        elif axis != "C":
            warnings.append(f"holds {size} images of the same size, of which the first is shown")
    picked = []
    for channel in range(channels):
        flat = 0
        for (axis, size), at in zip(lead, index, strict=True):
            flat = flat * size + (channel if axis == "C" else at)
        chosen = level.pages[flat]
        if chosen is None:
            raise SlideError(f"{name} does not hold all the images that its header lists.")
        picked.append(chosen.aspage())
    if channels > 1 and (page.samplesperpixel != 1 or page.dtype.str[1:] != "u1"):
        raise refuse_channels(name, channels)
    return picked


def _orphans(main: Any, others: list[Any], first: Any) -> list[list[Any]]:
    """Smaller images of the same aspect that tifffile did not recognise as levels.

    It knows steps of 2, 3 and 4 that are the same all the way.
    """
    if main.kind not in GUESSED or not first.is_tiled:
        return []
    found: list[list[Any]] = []
    height, width = first.imagelength, first.imagewidth
    for each in others:
        page = _first(each)
        h, w = page.imagelength, page.imagewidth
        ratio = max(height / h, width / w)
        fits = abs(height / ratio - h) <= 1.5 and abs(width / ratio - w) <= 1.5
        named = any(name in each.name.lower() for name in ("macro", "map", "label"))
        if page.is_tiled and fits and not named and page.dtype == first.dtype and ratio >= 1.5:
            found.append([page])
    return found
