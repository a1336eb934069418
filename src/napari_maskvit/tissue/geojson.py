"""Masks as GeoJSON, in the slide's pixels, as QuPath writes and reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
import shapely.geometry
from numpy.typing import NDArray

from napari_maskvit.errors import MaskError
from napari_maskvit.tissue.kinds import EXCLUDED, TISSUE, Kind, kind_named
from napari_maskvit.tissue.picture import Pixels
from napari_maskvit.tissue.polygons import filled, polygons_of, together
from napari_maskvit.tissue.spacing import mask_shape, mask_spacing_for

if TYPE_CHECKING:
    from napari_maskvit.slide import Slide

_AREAS = ("Polygon", "MultiPolygon")


def write(array: NDArray[np.uint8], spacing: float, path: Path, slide: Slide | None) -> None:
    """Write each piece of tissue, and of every excluded kind, as an annotation of that name.

    Raises
    ------
    MaskError
        If no slide is given.
    SpacingUnknown
        If nobody said how large the slide's pixels are.
    """
    if slide is None:
        raise MaskError(
            f"Polygons in {path.suffix} are in the slide's pixels: save them together with the "
            "slide, or save a TIFF or PNG."
        )
    scale = spacing / slide.require_spacing()
    height, width = slide.shape
    features = []
    for kind in (TISSUE, *EXCLUDED):
        for polygon in polygons_of(array == kind.value):
            # The last mask pixels reach over the slide's border; annotations must not.
            points = shapely.transform(
                polygon, lambda xy: (xy * scale).clip((0, 0), (width, height))
            )
            if points.area > 0:
                features.append(_feature(points, kind))
    collection = {"type": "FeatureCollection", "features": features}
    path.write_text(json.dumps(collection), encoding="utf-8")


def read(path: Path, slide: Slide | None) -> Pixels:
    """Read annotations as a mask at the slide's mask spacing.

    Annotations named as an excluded kind become that kind, also where they lie over tissue. Of the
    others those named "Tissue" are tissue, or all of them where none has that name.

    Raises
    ------
    MaskError
        If no slide is given, the file is no GeoJSON, or none of its areas lies on the slide.
    SpacingUnknown
        If nobody said how large the slide's pixels are.
    """
    if slide is None:
        raise MaskError(f"The polygons in {path} are in a slide's pixels: load them with it.")
    spacing = mask_spacing_for(slide)
    areas = _areas(path)
    everything = [area for area in areas.values() if not area.is_empty]
    if everything:
        height, width = slide.shape
        left, top, right, bottom = shapely.total_bounds(everything)
        slack = 4 * spacing / slide.require_spacing()
        if min(left, top) < -slack or right > width + slack or bottom > height + slack:
            raise MaskError(
                f"The polygons in {path} reach from ({left:.0f}, {top:.0f}) to ({right:.0f}, "
                f"{bottom:.0f}), beyond the slide {slide.name} of {width} x {height} pixels. "
                "Choose the file that was made for this slide."
            )
    scale = slide.require_spacing() / spacing
    shape = mask_shape(slide, spacing)
    array = np.zeros(shape, np.uint8)
    for value, area in sorted(areas.items()):
        array[filled(shapely.transform(area, lambda xy: xy * scale), shape) != 0] = value
    return array, spacing


def _feature(polygon: shapely.Polygon, kind: Kind) -> dict[str, Any]:
    classification = {"name": kind.name, "color": list(kind.colour)}
    return {
        "type": "Feature",
        "geometry": shapely.geometry.mapping(polygon),
        "properties": {"objectType": "annotation", "classification": classification},
    }


def _areas(path: Path) -> dict[int, shapely.Geometry]:
    """What polygons cover, by the value of the mask that they stand for."""
    try:
        found = list(_features(json.loads(path.read_text(encoding="utf-8"))))
        chosen = _by_value(found)
        areas = {
            value: together(
                shapely.force_2d(shapely.geometry.shape(part))
                for geometry in geometries
                for part in _flat(geometry)
            )
            for value, geometries in chosen.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise MaskError(
            f"The tissue mask {path} is not GeoJSON as QuPath exports it "
            f"({type(error).__name__}: {error}); export the annotations again as GeoJSON."
        ) from error
    except shapely.errors.ShapelyError as error:
        raise MaskError(
            f"The tissue mask {path} holds a polygon that cannot be drawn ({error}); "
            "export the annotations again as GeoJSON."
        ) from error
    if found and all(area.is_empty for area in areas.values()):
        raise MaskError(
            f"The annotations in {path} are points and lines, which have no area; "
            "outline the tissue with polygons."
        )
    return areas


def _by_value(found: list[tuple[str, dict[str, Any]]]) -> dict[int, list[dict[str, Any]]]:
    values: dict[int, list[dict[str, Any]]] = {}
    others = []
    for name, geometry in found:
        kind = kind_named(name)
        if kind is None:
            others.append((name, geometry))
        else:
            values.setdefault(kind.value, []).append(geometry)
    tissue = [geometry for name, geometry in others if "tissue" in name.lower()]
    values[TISSUE.value] = tissue or [geometry for _, geometry in others]
    return values


def _features(content: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name of the classification and geometry of each annotation."""
    if isinstance(content, list):
        for item in content:
            yield from _features(item)
    elif content["type"] == "FeatureCollection":
        yield from _features(content["features"])
    elif content["type"] == "Feature":
        properties = content.get("properties") or {}
        kind = properties.get("objectType") or properties.get("object_type") or "annotation"
        if kind in ("annotation", "root") and content.get("geometry"):
            classification = properties.get("classification") or {}
            yield (
                str(classification.get("name") or properties.get("name") or ""),
                content["geometry"],
            )
    else:
        yield "", content


def _flat(geometry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Areas in a geometry; points and lines have none."""
    if geometry["type"] == "GeometryCollection":
        for part in geometry["geometries"]:
            yield from _flat(part)
    elif geometry["type"] in _AREAS:
        yield geometry
    elif "coordinates" not in geometry:
        raise ValueError(f"{geometry['type']!r} is no geometry")
