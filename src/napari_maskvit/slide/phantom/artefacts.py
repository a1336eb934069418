"""What misleads a model: ink, dust, bubbles, coverslip, shadow and folds as optical density."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_maskvit.slide.phantom.noise import (
    Doubles,
    Floats,
    cells,
    grid_noise,
    key_of,
    line_noise,
    places,
    smoothstep,
    uniform,
)
from napari_maskvit.slide.phantom.spec import Artefact, PhantomSpec, rotation

DUST_PITCH = 130.0
HAIR = 260.0  # µm, no fibre of dust is longer
SEEN = 0.01  # optical density from which a place counts as covered


@dataclass(frozen=True)
class Overlay:
    """What artefacts do to a grid of nodes.

    Attributes
    ----------
    density
        Optical density to add for red, green and blue, shape (3, rows, columns).
    thickness
        Factor on the tissue's own density (2 in a fold), or None where it is 1 everywhere.
    mask
        Where any artefact can be seen.
    """

    density: Floats
    thickness: Floats | None
    mask: NDArray[np.bool_]


class Artefacts:
    """All artefacts of a spec but its seams, which are cut at pixels and not drawn on nodes."""

    def __init__(self, spec: PhantomSpec) -> None:
        self.items = [item for item in spec.artefacts if item.kind != "seam" and item.strength > 0]
        self._keys = [key_of(spec.seed, 40, index) for index in range(len(self.items))]

    def touches(self, x: Doubles, y: Doubles, reach: float) -> NDArray[np.bool_]:
        """Tell at which points something varies within `reach` µm."""
        found = np.zeros(np.broadcast_shapes(x.shape, y.shape), bool)
        for item in self.items:
            found |= touches(item, x, y, reach)
        return found

    def behind(self, x: Doubles, y: Doubles) -> Floats:
        """Return the even optical density of grey glass at points that nothing touches."""
        total = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.float32)
        for item in self.items:
            if item.kind == "coverslip":
                total += np.float32(_grey(item)) * (_local(item, x, y)[1] < 0)
        return total

    def on(self, xs: Doubles, ys: Doubles, depth: Floats) -> Overlay | None:
        """Return the overlay on the grid ys x xs, None where nothing lies.

        `depth` is the tissue's depth there, which most artefacts stay clear of.
        """
        x, y = xs[None, :], ys[:, None]
        middle = np.array([(xs[0] + xs[-1]) / 2]), np.array([(ys[0] + ys[-1]) / 2])
        reach = math.hypot(xs[-1] - xs[0], ys[-1] - ys[0]) / 2
        density = np.zeros((3, len(ys), len(xs)), np.float32)
        thickness: Floats | None = None
        mask = np.zeros(depth.shape, bool)
        clear = smoothstep((-20 - depth) / 30)
        drawn = False
        for item, key in zip(self.items, self._keys, strict=True):
            if item.kind == "coverslip":
                if not (touches(item, *middle, reach) | (_local(item, *middle)[1] < 0)).any():
                    continue
            elif not touches(item, *middle, reach).any():
                continue
            drawn = True
            if item.kind == "fold":
                crease = _fold(item, key, xs, ys) * (depth > 0)
                thickness = (1 if thickness is None else thickness) + 1.5 * item.strength * crease
                mask |= crease > SEEN
                continue
            layer = _DRAW[item.kind](item, key, x, y, xs, ys)
            if not item.over_tissue and item.kind != "coverslip":
                layer = layer * clear
            density += layer
            mask |= layer.max(axis=0) > SEEN
        return Overlay(density, thickness, mask) if drawn else None


def _local(item: Artefact, x: Doubles, y: Doubles) -> tuple[Doubles, Doubles]:
    """Coordinates (µm) along and across a line-like artefact, its bend taken out."""
    cosine, sine = rotation(item.angle)
    dx, dy = x - item.x, y - item.y
    along, across = dx * cosine + dy * sine, dy * cosine - dx * sine
    if item.curvature and item.kind in ("pen", "fold"):
        t = np.clip(along / item.size, -0.6, 0.6)
        across = across - item.curvature * item.size * (1 / 3 - 4 * t * t)
    return along, across


def touches(item: Artefact, x: Doubles, y: Doubles, reach: float) -> NDArray[np.bool_]:
    """Tell at which points an artefact varies within `reach` µm."""
    if item.kind == "coverslip":
        return np.asarray(np.abs(_local(item, x, y)[1]) < reach + 3 * item.width + 40)
    if item.kind in ("pen", "fold"):
        along, across = _local(item, x, y)
        steep = 1 + 5 * abs(item.curvature)
        return np.asarray(
            (np.abs(across) < 0.75 * item.width + 30 + reach * steep)
            & (np.abs(along) < item.size / 2 + item.width + reach)
        )
    far = item.size / 2 + {"bubble": 3 * item.width, "dust": HAIR}.get(item.kind, 0)
    return np.asarray(np.hypot(x - item.x, y - item.y) < far + reach)


def _ink(colour: tuple[int, int, int]) -> Floats:
    """Optical density of a colour on white, shape (3, 1, 1)."""
    shade = -np.log((np.array(colour, np.float32) + 5) / 260)
    return np.asarray(shade, np.float32)[:, None, None]


def _pen(item: Artefact, key: int, x: Doubles, y: Doubles, xs: Doubles, ys: Doubles) -> Floats:
    """Return a marker stroke: streaks along it, more ink at its rims, dry at its end."""
    along, across = _local(item, x, y)
    across = across + 0.05 * item.width * line_noise(along, 6 * item.width, key)
    half = item.width / 2 * (1 + 0.10 * line_noise(along, 2.5 * item.width, key + 1))
    rim = half - np.abs(across) + 4 * grid_noise(xs, ys, 25.0, key + 2)
    tip = (
        item.size / 2
        - np.abs(along)
        + 0.2 * item.width * line_noise(across, item.width / 6, key + 3)
    )
    inside = np.minimum(rim, tip).astype(np.float32)
    streak = line_noise(across, item.width / 14, key + 4) + 0.6 * line_noise(
        across, item.width / 45, key + 5
    )
    blot = grid_noise(xs, ys, 0.8 * item.width, key + 6) + 0.5 * grid_noise(xs, ys, 70.0, key + 7)
    ink = 0.72 + 0.16 * streak + 0.16 * blot + 0.45 * np.exp(-np.maximum(inside, 0) / 28)
    dry = smoothstep((along / item.size + 0.5).astype(np.float32) * 1.6 - 0.75)
    ink = ink * (1 - dry * smoothstep(0.9 * streak + 0.2))
    cover = smoothstep(inside / 9 + 0.5) * np.clip(ink, 0.02, 1.6)
    return np.asarray(_ink(item.colour) * (0.15 + 0.95 * item.strength) * cover, np.float32)


def _dust(item: Artefact, key: int, x: Doubles, y: Doubles, xs: Doubles, ys: Doubles) -> Floats:
    """Return specks, mostly small, and now and then a fibre."""
    layer = np.zeros((len(ys), len(xs)), np.float32)
    i, j = places(
        cells(xs[0] - HAIR, xs[-1] + HAIR, DUST_PITCH),
        cells(ys[0] - HAIR, ys[-1] + HAIR, DUST_PITCH),
    )
    cx = (i + uniform(i, j, key)) * DUST_PITCH
    cy = (j + uniform(i, j, key + 1)) * DUST_PITCH
    near = 1 - np.hypot(cx - item.x, cy - item.y) / (item.size / 2)
    there = uniform(i, j, key + 2) < (0.08 + 0.6 * item.strength) * np.clip(2 * near, 0, 1)
    size = uniform(i, j, key + 3) ** 3
    hair = uniform(i, j, key + 4) < 0.07
    turn = uniform(i, j, key + 5) * 2 * math.pi
    ragged = grid_noise(xs, ys, 9.0, key + 6) + grid_noise(xs, ys, 23.0, key + 7)
    tone = 0.7 + 0.9 * uniform(i, j, key + 8)
    for k in np.flatnonzero(there):
        reach = HAIR / 2 if hair[k] else 1.5 + item.width / 2 * size[k] * 1.8
        columns = slice(*np.searchsorted(xs, (cx[k] - reach, cx[k] + reach)))
        rows = slice(*np.searchsorted(ys, (cy[k] - reach, cy[k] + reach)))
        if columns.start == columns.stop or rows.start == rows.stop:
            continue
        dx, dy = xs[None, columns] - cx[k], ys[rows, None] - cy[k]
        u = dx * math.cos(turn[k]) + dy * math.sin(turn[k])
        v = dy * math.cos(turn[k]) - dx * math.sin(turn[k])
        if hair[k]:
            bent = v - 30 * np.sin(u / 38) * np.cos(u / 90)
            length = HAIR / 2 * (0.3 + 0.6 * size[k])
            inside = np.minimum(3.0 - np.abs(bent), length - np.abs(u))
        else:
            r = 1.5 + item.width / 2 * size[k]
            inside = r * (1 + 0.45 * ragged[rows, columns]) - np.hypot(u * 0.8, v * 1.25)
        speck = tone[k] * smoothstep((inside / 3 + 0.5).astype(np.float32))
        np.maximum(layer[rows, columns], speck, out=layer[rows, columns])
    shade = np.array([0.95, 1.0, 1.1], np.float32)[:, None, None]
    return np.asarray(layer * shade, np.float32)


def _bubble(item: Artefact, key: int, x: Doubles, y: Doubles, xs: Doubles, ys: Doubles) -> Floats:
    """Return a dark refracting rim, lopsided, with a bright line and a second faint rim inside."""
    dx, dy = x - item.x, y - item.y
    away = np.hypot(dx, dy)
    cosine, sine = rotation(item.angle)
    side = (dx * cosine + dy * sine) / np.maximum(away, 1)
    wobble = 0.02 * item.size * grid_noise(xs, ys, item.size / 2, key)
    off = (away - item.size / 2 + wobble).astype(np.float32) / np.float32(item.width)
    rim = np.exp(-((off / np.where(off > 0, 0.28, 0.5)) ** 2)) * (0.75 + 0.25 * side)
    inner = np.exp(-(((off + 2.1) / 0.4) ** 2)) * (0.35 - 0.2 * side)
    haze = 0.05 * smoothstep(-off)
    layer = 1.5 * item.strength * (rim + 0.35 * inner) + haze * item.strength
    return np.asarray(layer * np.array([1.0, 0.97, 0.9], np.float32)[:, None, None], np.float32)


def _grey(item: Artefact) -> float:
    return 0.02 + 0.12 * item.strength


def _coverslip(
    item: Artefact, key: int, x: Doubles, y: Doubles, xs: Doubles, ys: Doubles
) -> Floats:
    """Return a dark line with a faint second one, grey glass on its far side."""
    along, across = _local(item, x, y)
    off = across + 1.5 * line_noise(along, 400.0, key) + 0.8 * line_noise(along, 30.0, key + 1)
    scaled = (off / (item.width / 8)).astype(np.float32)
    line = 1.3 * np.exp(-(scaled**2)) + 0.45 * np.exp(-((scaled - 3.2) ** 2) / 2)
    smear = 0.25 * np.exp(-np.abs(scaled) / 6) * (0.5 + 0.5 * line_noise(along, 220.0, key + 2))
    layer = item.strength * (line + smear) * (np.abs(across) < 3 * item.width)
    layer = layer + _grey(item) * (across < 0)
    return np.asarray(np.stack([layer] * 3), np.float32)


def _shadow(item: Artefact, key: int, x: Doubles, y: Doubles, xs: Doubles, ys: Doubles) -> Floats:
    """Return a soft dark spot."""
    radius = item.size / 2 * (1 - 0.12 * (1 + grid_noise(xs, ys, item.size / 2, key)))
    away = np.hypot(x - item.x, y - item.y) / radius
    layer = 0.7 * item.strength * smoothstep((1 - away).astype(np.float32))
    return np.asarray(layer * np.array([1.0, 1.0, 0.95], np.float32)[:, None, None], np.float32)


def _fold(item: Artefact, key: int, xs: Doubles, ys: Doubles) -> Floats:
    """Return how much of a second layer lies over the tissue along a crease."""
    along, across = _local(item, xs[None, :], ys[:, None])
    across = across + 0.5 * item.width * line_noise(along, 5 * item.width, key)
    half = item.width / 2 * (0.75 + 0.35 * line_noise(along, 3 * item.width, key + 1))
    taper = np.clip((item.size / 2 - np.abs(along)) / (0.25 * item.size), 0, 1)
    inside = (half * taper - np.abs(across)).astype(np.float32)
    inside += 3 * grid_noise(xs, ys, 18.0, key + 2)
    return smoothstep(inside / 7 + 0.5) * smoothstep(np.asarray(taper * 20, np.float32))


_DRAW = {
    "pen": _pen,
    "dust": _dust,
    "bubble": _bubble,
    "coverslip": _coverslip,
    "shadow": _shadow,
}
