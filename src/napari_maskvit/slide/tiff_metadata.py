"""What TIFF files of each vendor say of themselves, and of the size of their pixels."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from napari_maskvit.slide.spacing import (
    MICROMETRES,
    UNKNOWN,
    Spacing,
    first_known,
    from_density,
    from_sizes,
)

INCH, CENTIMETRE = 2, 3
LONGEST = 20_000


def spacing_of(tiff: Any, page: Any, kind: str) -> Spacing:
    """Spacing at the finest level, from the vendor's metadata, else the resolution tags."""
    vendor = {
        "svs": _aperio,
        "scn": _leica,
        "ome": _ome,
        "qpi": _perkin_elmer,
        "philips": _philips,
        "imagej": _imagej,
    }.get(kind)
    said = None
    if vendor is not None:
        try:
            said = vendor(tiff, page)
        except (ValueError, KeyError, TypeError, AttributeError, ElementTree.ParseError):
            said = None
    name = {"ndpi": "Hamamatsu resolution tag"}.get(kind, "TIFF resolution tag")
    return first_known(said, _resolution_tag(page, name))


def properties_of(tiff: Any, page: Any, kind: str) -> dict[str, str]:
    """Text and numbers among the tags, and the vendor's own properties, under flat names."""
    properties = {"format": kind}
    for tag in page.tags:
        if tag.dtype == 2 or tag.count == 1:
            properties[f"tiff.{tag.name}"] = str(tag.value)[:LONGEST]
    if kind == "svs":
        for key, value in _aperio_items(page).items():
            properties[f"aperio.{key}"] = value
    return properties


def _aperio_items(page: Any) -> dict[str, str]:
    items = (item.split("=", 1) for item in str(page.description).split("|") if "=" in item)
    return {key.strip(): value.strip() for key, value in items}


def _aperio(tiff: Any, page: Any) -> Spacing | None:
    mpp = _aperio_items(page).get("MPP")
    return None if mpp is None else from_sizes(_number(mpp), _number(mpp), "aperio.MPP")


def _leica(tiff: Any, page: Any) -> Spacing | None:
    """Leica SCN: a view's size in nm over its pixels."""
    root = ElementTree.fromstring(tiff.pages.first.description)
    for image in root.iter():
        if not image.tag.endswith("}image"):
            continue
        view = next((e for e in image if e.tag.endswith("}view")), None)
        pixels = next((e for e in image if e.tag.endswith("}pixels")), None)
        if view is None or pixels is None:
            continue
        if [int(pixels.attrib["sizeX"]), int(pixels.attrib["sizeY"])] == [
            page.imagewidth,
            page.imagelength,
        ]:
            return from_sizes(
                int(view.attrib["sizeX"]) / page.imagewidth / 1000,
                int(view.attrib["sizeY"]) / page.imagelength / 1000,
                "leica.view",
            )
    return None


def _ome(tiff: Any, page: Any) -> Spacing | None:
    root = ElementTree.fromstring(tiff.ome_metadata)
    for pixels in root.iter():
        if not pixels.tag.endswith("Pixels") or "PhysicalSizeX" not in pixels.attrib:
            continue
        if int(pixels.attrib["SizeX"]) != page.imagewidth:
            continue
        if int(pixels.attrib["SizeY"]) != page.imagelength:
            continue
        return ome_spacing(pixels.attrib, "OME PhysicalSizeX")
    return None


def ome_spacing(attributes: dict[str, str], source: str) -> Spacing | None:
    """Spacing from the attributes of an OME ``Pixels`` element."""
    sizes = []
    for axis in "XY":
        unit = attributes.get(f"PhysicalSize{axis}Unit", "µm").lower()
        if unit not in MICROMETRES:
            reason = f"its OME metadata gives the pixel's size in {unit!r}"
            return Spacing(None, "unknown", reason)
        value = attributes.get(f"PhysicalSize{axis}", attributes["PhysicalSizeX"])
        sizes.append(_number(value) * MICROMETRES[unit])
    return from_sizes(sizes[0], sizes[1], source)


def _perkin_elmer(tiff: Any, page: Any) -> Spacing | None:
    found = re.search(r"<PixelSizeMicrons>\s*([\d.eE+-]+)", str(page.description))
    if found:
        return from_sizes(float(found[1]), float(found[1]), "PerkinElmer PixelSizeMicrons")
    return _resolution_tag(page, "PerkinElmer resolution tag")


def _philips(tiff: Any, page: Any) -> Spacing | None:
    """Philips: DICOM_PIXEL_SPACING holds the row and column spacing in mm, finest level first."""
    pattern = r'DICOM_PIXEL_SPACING"[^>]*>\s*(?:&quot;|")?([\d.eE+-]+)[^\d]+([\d.eE+-]+)'
    found = re.search(pattern, str(tiff.philips_metadata))
    if not found:
        return None
    row, column = float(found[1]) * 1000, float(found[2]) * 1000
    return from_sizes(column, row, "philips.DICOM_PIXEL_SPACING")


def _imagej(tiff: Any, page: Any) -> Spacing | None:
    """ImageJ: the resolution tags count pixels per unit of its own metadata."""
    unit = str((tiff.imagej_metadata or {}).get("unit", "")).lower()
    resolution = _resolution(page)
    if unit not in MICROMETRES or resolution is None:
        return None
    return from_density(*resolution, unit, "ImageJ unit")


def _resolution(page: Any) -> tuple[float, float] | None:
    values = []
    for code in (282, 283):
        value = page.tags.valueof(code)
        if isinstance(value, tuple) and len(value) == 2:
            value = value[0] / value[1] if value[1] else None
        if not isinstance(value, int | float):
            return None
        values.append(float(value))
    return values[0], values[1]


def _resolution_tag(page: Any, source: str) -> Spacing:
    resolution = _resolution(page)
    unit = {INCH: "inch", CENTIMETRE: "cm"}.get(int(page.tags.valueof(296, INCH)))
    if resolution is None or unit is None:
        return UNKNOWN
    return from_density(*resolution, unit, source)


def _number(text: str) -> float:
    return float(str(text).strip().replace(",", "."))
