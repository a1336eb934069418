"""The pieces of tissue as geometry: outline, place along the core, lesion, course of fibres."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from napari_maskvit.slide.phantom.noise import (
    Doubles,
    Floats,
    Ints,
    grid_noise,
    key_of,
    line_noise,
    point_noise,
)
from napari_maskvit.slide.phantom.spec import Core, PhantomSpec, rotation

# Wavelength and amplitude (µm) of what roughens an outline, from lobes to single torn cells.
RAGGED = ((420.0, 36.0), (130.0, 26.0), (46.0, 14.0), (17.0, 5.5))
ROUGHNESS = sum(amplitude for _, amplitude in RAGGED)


@dataclass(frozen=True)
class Tissue:
    """Fields of the tissue at some points, all of one shape.

    Attributes
    ----------
    depth
        µm inside the outline, negative outside.
    pattern
        Gleason pattern of the lesion there, 2 where there is none.
    density
        Share of gland places taken.
    angle
        Main direction of the fibres, radians.
    """

    depth: Floats
    pattern: Ints
    density: Floats
    angle: Floats


class Cores:
    """All pieces of tissue of a spec, as functions of position."""

    def __init__(self, spec: PhantomSpec) -> None:
        self.cores = spec.cores
        self.keys = [key_of(spec.seed, 1, index) for index in range(len(spec.cores))]
        self._rough = [key_of(spec.seed, 2, index) for index in range(len(RAGGED))]
        self._zone = key_of(spec.seed, 3)
        self._boxes = [_reach(core) for core in spec.cores]

    def near(self, left: float, top: float, right: float, bottom: float) -> list[int]:
        """Return the indices of cores that may touch a box (µm)."""
        return [
            index
            for index, (x0, y0, x1, y1) in enumerate(self._boxes)
            if x0 <= right and x1 >= left and y0 <= bottom and y1 >= top
        ]

    def rough_grid(self, xs: Doubles, ys: Doubles) -> Floats:
        """Return what the outline's roughness adds to the depth, on a grid."""
        total = np.zeros((len(ys), len(xs)), np.float32)
        for (wavelength, amplitude), key in zip(RAGGED, self._rough, strict=True):
            total += np.float32(amplitude) * grid_noise(xs, ys, wavelength, key)
        return total

    def rough_points(self, x: Doubles, y: Doubles) -> Floats:
        """Return the same at single points."""
        total = np.zeros(x.shape, np.float32)
        for (wavelength, amplitude), key in zip(RAGGED, self._rough, strict=True):
            total += np.float32(amplitude) * point_noise(x, y, wavelength, key)
        return total

    def smooth_depth(self, x: Doubles, y: Doubles) -> Floats:
        """Return the depth at points before the outline is roughened (for culling)."""
        best = np.full(np.broadcast_shapes(x.shape, y.shape), -np.inf, np.float32)
        for index in self._near(x, y):
            best = np.maximum(best, self._depth(index, x, y)[0])
        return best

    def at(self, x: Doubles, y: Doubles, rough: Floats) -> Tissue:
        """Return the tissue at points (µm, shapes broadcast to `rough`'s)."""
        shape = rough.shape
        depth = np.full(shape, -1e6, np.float32)
        pattern = np.full(shape, 2, np.int64)
        density = np.zeros(shape, np.float32)
        angle = np.zeros(shape, np.float32)
        for index in self._near(x, y):
            core = self.cores[index]
            here, along = self._depth(index, x, y)
            better = here > depth
            if not better.any():
                continue
            np.copyto(depth, here, where=better)
            np.copyto(density, np.float32(core.gland_density), where=better)
            np.copyto(angle, np.float32(math.radians(core.angle)), where=better)
            np.copyto(pattern, self._pattern(index, along), where=better)
        return Tissue(depth + rough, pattern, density, angle)

    def _near(self, x: Doubles, y: Doubles) -> list[int]:
        if not x.size or not y.size:
            return []
        return self.near(float(x.min()), float(y.min()), float(x.max()), float(y.max()))

    def _pattern(self, index: int, along: Floats) -> Ints:
        core = self.cores[index]
        pattern = np.full(along.shape, 2, np.int64)
        for lesion in core.lesions:
            inside = (along >= lesion.start) & (along < lesion.stop)
            pattern[inside] = lesion.pattern
        return pattern

    def _depth(self, index: int, x: Doubles, y: Doubles) -> tuple[Floats, Floats]:
        """Return the smooth depth (µm) and the place along the core (0 to 1)."""
        core, key = self.cores[index], self.keys[index]
        cosine, sine = rotation(core.angle)
        dx, dy = x - core.x, y - core.y
        along = (dx * cosine + dy * sine).astype(np.float32)
        across = (dy * cosine - dx * sine).astype(np.float32)
        place = along / np.float32(core.length)
        bend, slope = _bend(core, place)
        slack = np.float32(min(0.22 * core.width, 160.0))
        half = np.float32(core.width / 2) + slack * line_noise(along, 900.0, key)
        across = np.abs(across - bend)
        side = (half - across) / np.sqrt(1 + slope * slope)
        end = np.float32(core.length / 2) - np.abs(along)
        radius = np.float32(min(0.35 * core.width, core.length / 2))
        a, b = np.maximum(radius - side, 0), np.maximum(radius - end, 0)
        depth = np.minimum(np.minimum(side, end), radius - np.sqrt(a * a + b * b))
        # Lesion borders run obliquely and waver, so that none is a straight cut.
        waver = 140 * line_noise(across + 40, 260.0, key ^ 0x5BD1) / np.float32(core.length)
        return depth.astype(np.float32), (place + 0.5 + waver).astype(np.float32)


def _bend(core: Core, place: Floats) -> tuple[Floats, Floats]:
    """Offset (µm) and slope of the core's middle line at a place in [-1/2, 1/2] along it."""
    height = np.float32(core.curvature * core.length)
    t = np.clip(place, -0.6, 0.6)
    offset = height * (1 / 3 - 4 * t * t + 0.35 * np.sin(9 * t))
    slope = np.float32(core.curvature) * (-8 * t + 3.15 * np.cos(9 * t))
    return offset.astype(np.float32), slope.astype(np.float32)


def _reach(core: Core) -> tuple[float, float, float, float]:
    """Box (µm) outside which no pixel depends on the core."""
    cosine, sine = rotation(core.angle)
    u = core.length / 2 + 300
    v = core.width / 2 + 160 + 300 + abs(core.curvature) * core.length * 1.2
    w, h = abs(u * cosine) + abs(v * sine), abs(u * sine) + abs(v * cosine)
    return core.x - w, core.y - h, core.x + w, core.y + h
