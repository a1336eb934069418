"""Masks as polygons along the edges of their pixels, and back."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import shapely
from numpy.typing import NDArray

_BAND = 512
_GRID = 2.0**-20  # of a pixel, to which outlines are rounded


def polygons_of(tissue: NDArray[np.bool_]) -> list[shapely.Polygon]:
    """Outline each piece of a mask, with its holes, along the edges of its pixels.

    Coordinates are (x, y) in pixels from the mask's corner; pixels that meet in a corner alone are
    different pieces. Filling the polygons gives the same mask again.
    """
    padded = np.pad(tissue, 1).astype(np.int8)
    across = _runs(np.diff(padded, axis=0)[:, 1:-1])
    down = _runs(np.diff(padded, axis=1)[1:-1].T)[..., ::-1]
    if not len(across):
        return []
    faces = shapely.get_parts(shapely.polygonize(shapely.linestrings(np.vstack([across, down]))))
    inside = shapely.get_coordinates(shapely.point_on_surface(faces))
    column, row = np.floor(inside).astype(np.int64).T
    found: list[shapely.Polygon] = shapely.simplify(faces[tissue[row, column]], 0).tolist()
    return found


def _runs(edges: NDArray[np.int8]) -> NDArray[np.float64]:
    """Longest straight lines along a row of edges of one sign, float64 (lines, 2, (x, y)).

    Where two pixels meet in a corner the sign changes, so that lines end in every corner.
    """
    bounds = np.pad(edges, ((0, 0), (1, 1)))
    changes = bounds[:, 1:] != bounds[:, :-1]
    row, column = np.nonzero(changes)
    start = bounds[row, column + 1] != 0
    end = bounds[row, column] != 0
    lines = np.empty((int(start.sum()), 2, 2))
    lines[:, 0, 0], lines[:, 0, 1] = column[start], row[start]
    lines[:, 1, 0], lines[:, 1, 1] = column[end], row[end]
    return lines


def together(geometries: Iterable[shapely.Geometry]) -> shapely.Geometry:
    """Areas, as they were drawn, as one geometry that is valid and does not overlap.

    Raises
    ------
    shapely.errors.ShapelyError
        If an outline cannot be followed.
    """
    # Edges that all but touch make outlines that cross themselves impossible to follow.
    rounded = [shapely.set_precision(one, _GRID, mode="pointwise") for one in geometries]
    return shapely.union_all([shapely.make_valid(one) for one in rounded])


def filled(geometry: shapely.Geometry, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Pixels whose centre lies inside a geometry, uint8 (rows, columns).

    Parameters
    ----------
    geometry : shapely geometry
        Valid areas that do not overlap, (x, y) in pixels from the mask's corner.
    shape : tuple of int
        Rows and columns.
    """
    crossings = np.zeros((shape[0], shape[1] + 1), np.uint8)
    rings = shapely.get_rings(shapely.get_parts(geometry))
    for ring in rings:
        points = shapely.get_coordinates(ring)
        _cross(crossings, points[:-1], points[1:])
    for start in range(0, shape[0], _BAND):
        band = crossings[start : start + _BAND]
        np.bitwise_xor.accumulate(band, axis=1, out=band)
    return np.ascontiguousarray(crossings[:, :-1])


def _cross(
    crossings: NDArray[np.uint8], begin: NDArray[np.float64], end: NDArray[np.float64]
) -> None:
    """Mark for each edge and row of centres it crosses the first pixel to its right."""
    upward = begin[:, 1] > end[:, 1]
    top, bottom = np.where(upward[:, None], end, begin), np.where(upward[:, None], begin, end)
    first = np.clip(np.ceil(top[:, 1] - 0.5), 0, crossings.shape[0]).astype(np.int64)
    last = np.clip(np.ceil(bottom[:, 1] - 0.5), 0, crossings.shape[0]).astype(np.int64)
    counts = last - first
    edge = np.repeat(np.arange(len(counts)), counts)
    row = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    slope = (bottom[edge, 0] - top[edge, 0]) / (bottom[edge, 1] - top[edge, 1])
    x = top[edge, 0] + (row + 0.5 - top[edge, 1]) * slope
    column = np.clip(np.ceil(x - 0.5), 0, crossings.shape[1] - 1).astype(np.int64)
    np.bitwise_xor.at(crossings, (row, column), 1)
