"""Slides in OME-Zarr."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import zarr

from napari_maskvit.errors import SlideError
from napari_maskvit.slide.backend import Header, Pixels, StoredLevel, TileError
from napari_maskvit.slide.colour import BLACK_IS_ZERO, RGB, converter, refuse_channels
from napari_maskvit.slide.spacing import MICROMETRES, UNKNOWN, Spacing, from_sizes

MARKERS = ("zarr.json", ".zattrs", ".zgroup")
SMALLEST_TILE = 256


def is_zarr(path: Path) -> bool:
    """Tell whether a folder is a Zarr group."""
    return any((path / marker).is_file() for marker in MARKERS)


class ZarrBackend:
    """An open OME-Zarr image."""

    def __init__(self, path: Path) -> None:
        name = path.name
        try:
            group = zarr.open_group(str(path), mode="r")
            group, scales = _multiscales(group, name)
            self._arrays = [group[each["path"]] for each in scales["datasets"]]
            self._axes = _axes(scales, self._arrays[0])
            self.header = self._read_header(name, group, scales)
        except SlideError:
            raise
        except Exception as error:
            raise SlideError(f"{name} is no readable OME-Zarr: {error}.") from error

    def _read_header(self, name: str, group: Any, scales: dict[str, Any]) -> Header:
        first = self._arrays[0]
        sizes = dict(zip(self._axes, first.shape, strict=True))
        channels = sizes.get("c", 1)
        omero = _attributes(group).get("omero", {}).get("channels", [])
        if channels not in (1, 3, 4) or (channels == 4 and first.dtype != np.uint8):
            raise refuse_channels(name, channels, ", ".join(str(c.get("label")) for c in omero))
        limits = {int(c.get("window", {}).get("max", 0)) for c in omero}
        largest = limits.pop() if len(limits) == 1 else 0
        fits = first.dtype.kind == "u" and 0 < largest <= np.iinfo(first.dtype).max
        self._convert = converter(
            name,
            first.dtype,
            channels,
            BLACK_IS_ZERO if channels == 1 else RGB,
            alpha=2 if channels == 4 else 0,
            largest=largest if fits else None,
        )
        warnings = [
            f"{name} holds {sizes[axis]} {what}, of which one is shown."
            for axis, what in (("z", "focal planes"), ("t", "points in time"))
            if sizes.get(axis, 1) > 1
        ]
        return Header(
            format="OME-Zarr",
            levels=tuple(self._level(array) for array in self._arrays),
            spacing=_spacing(scales),
            properties={"name": str(scales.get("name", "")), "version": str(scales.get("version"))},
            warnings=tuple(warnings),
        )

    def _level(self, array: Any) -> StoredLevel:
        y, x = self._axes.index("y"), self._axes.index("x")
        sides = [max(1, -(-SMALLEST_TILE // array.chunks[k])) * array.chunks[k] for k in (y, x)]
        return StoredLevel((array.shape[y], array.shape[x]), (sides[0], sides[1]))

    def decode_tile(self, level: int, row: int, column: int) -> Pixels:
        """Decode one tile; see `Backend`."""
        array = self._arrays[level]
        (height, width), (th, tw) = self.header.levels[level].shape, self.header.levels[level].tile
        place = {
            "y": slice(row * th, min((row + 1) * th, height)),
            "x": slice(column * tw, min((column + 1) * tw, width)),
            "c": slice(None),
        }
        index = tuple(
            place.get(axis, size // 2 if axis == "z" else 0)
            for axis, size in zip(self._axes, array.shape, strict=True)
        )
        try:
            stored = np.asarray(array[index])
        except MemoryError:
            raise
        except Exception as error:
            raise TileError(str(error)) from error
        left = [axis for axis in self._axes if axis in "yxc"]
        if "c" not in left:
            return self._convert(stored.transpose(left.index("y"), left.index("x"))[..., None])
        return self._convert(stored.transpose([left.index(axis) for axis in "yxc"]))

    def close(self) -> None:
        """Zarr keeps no file open."""


def _attributes(group: Any) -> dict[str, Any]:
    attributes = dict(group.attrs)
    return dict(attributes.get("ome", attributes))


def _multiscales(group: Any, name: str) -> tuple[Any, dict[str, Any]]:
    attributes = _attributes(group)
    # bioformats2raw puts each image of a file into a numbered group of its own.
    if "multiscales" not in attributes and "bioformats2raw.layout" in attributes and "0" in group:
        group = group["0"]
        attributes = _attributes(group)
    if not attributes.get("multiscales"):
        raise SlideError(f"{name} is a Zarr folder but not an OME-Zarr image: it lists no levels.")
    return group, dict(attributes["multiscales"][0])


def _axes(scales: dict[str, Any], array: Any) -> str:
    axes = [
        each["name"] if isinstance(each, dict) else each for each in scales.get("axes", "tczyx")
    ]
    joined = "".join(axes).lower()
    if len(joined) != array.ndim or not {"y", "x"} <= set(joined) <= set("tczyx"):
        raise SlideError(f"Its axes {joined!r} do not fit an array of {array.ndim} dimensions.")
    return joined


def _spacing(scales: dict[str, Any]) -> Spacing:
    sizes = {"y": 1.0, "x": 1.0}
    units = {"y": "", "x": ""}
    axes = [each if isinstance(each, dict) else {"name": each} for each in scales.get("axes", [])]
    known = False
    for transforms in (
        scales["datasets"][0].get("coordinateTransformations", []),
        scales.get("coordinateTransformations", []),
    ):
        for transform in transforms:
            if transform.get("type") != "scale":
                continue
            known = True
            for axis, factor in zip(axes, transform["scale"], strict=False):
                if axis["name"] in sizes:
                    sizes[axis["name"]] *= float(factor)
    for axis in axes:
        if axis["name"] in units:
            units[axis["name"]] = str(axis.get("unit", "")).lower()
    if not known or any(unit not in MICROMETRES for unit in units.values()):
        return UNKNOWN
    return from_sizes(
        sizes["x"] * MICROMETRES[units["x"]], sizes["y"] * MICROMETRES[units["y"]], "OME-Zarr scale"
    )
