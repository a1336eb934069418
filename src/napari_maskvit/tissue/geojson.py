"""Masks as GeoJSON, in the slide's pixels, as QuPath writes and reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import shapely
import shapely.geometry

from napari_maskvit.errors import MaskError
from napari_maskvit.tissue.mask import TissueMask
from napari_maskvit.tissue.polygons import filled, polygons_of
from napari_maskvit.tissue.spacing import mask_shape, mask_spacing_for

if TYPE_CHECKING:
    from napari_maskvit.slide import Slide

_CLASSIFICATION = {"name": "Tissue", "color": [46, 160, 103]}
_AREAS = ("Polygon", "MultiPolygon")


def write(mask: TissueMask, path: Path, slide: Slide | None) -> None:
    """Write each piece of tissue as an annotation.

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
    scale = mask.spacing / slide.require_spacing()
    height, width = slide.shape
    features = []
    for polygon in polygons_of(mask.tissue):
        # The last mask pixels reach over the slide's border; annotations must not.
        points = shapely.transform(polygon, lambda xy: (xy * scale).clip((0, 0), (width, height)))
        if points.area > 0:
            features.append(_feature(points))
    collection = {"type": "FeatureCollection", "features": features}
    path.write_text(json.dumps(collection), encoding="utf-8")


def read(path: Path, slide: Slide | None) -> TissueMask:
    """Read annotations as a mask at the slide's mask spacing.

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
    if areas:
        height, width = slide.shape
        left, top, right, bottom = shapely.total_bounds(areas)
        slack = 4 * spacing / slide.require_spacing()
        if min(left, top) < -slack or right > width + slack or bottom > height + slack:
            raise MaskError(
                f"The polygons in {path} reach from ({left:.0f}, {top:.0f}) to ({right:.0f}, "
                f"{bottom:.0f}), beyond the slide {slide.name} of {width} x {height} pixels. "
                "Choose the file that was made for this slide."
            )
    scale = slide.require_spacing() / spacing
    tissue = shapely.transform(shapely.union_all(areas), lambda xy: xy * scale)
    return TissueMask(filled(tissue, mask_shape(slide, spacing)), spacing, path.stem)


def _feature(polygon: shapely.Polygon) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": shapely.geometry.mapping(polygon),
        "properties": {"objectType": "annotation", "classification": _CLASSIFICATION},
    }


def _areas(path: Path) -> list[shapely.Geometry]:
    """Valid polygons of the annotations named "Tissue", of all where none is."""
    try:
        found = list(_features(json.loads(path.read_text(encoding="utf-8"))))
        tissue = [geometry for name, geometry in found if "tissue" in name.lower()]
        chosen = tissue or [geometry for _, geometry in found]
        shapes = [shapely.geometry.shape(part) for g in chosen for part in _flat(g)]
        areas = [shapely.make_valid(shapely.force_2d(shape)) for shape in shapes]
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
    if found and not areas:
        raise MaskError(
            f"The annotations in {path} are points and lines, which have no area; "
            "outline the tissue with polygons."
        )
    return areas


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
