"""Shapes of glands and vessels: unions of discs with holes, and how their cells are stained."""

from __future__ import annotations

import math

import numpy as np

from napari_maskvit.slide.phantom.noise import Doubles, Floats

BENIGN, SMALL, FUSED, SHEET, VESSEL = range(5)

# Amplitudes (µm) of the noise that bends outlines, at 62 and 21 µm.
WARP = ((13.0, 3.5), (5.0, 2.0), (10.0, 3.0), (26.0, 9.0), (5.0, 1.5))


def radii(kind: int, u: Floats) -> Floats:
    """Return the radii (µm) of the circles that hold glands, from even random numbers."""
    low, high = ((40, 118), (20, 38), (58, 120), (55, 120), (12, 28))[kind]
    return np.asarray(low + (high - low) * u**1.4, np.float32)


Discs = Doubles


def _chain(rng: np.random.Generator, radius: float, count: int, size: float) -> Discs:
    """Rows (x, y, r) of `count` discs in a circle, each meeting an earlier one."""
    discs = [(0.0, 0.0, size * rng.uniform(0.85, 1.1))]
    for _ in range(4 * count):
        if len(discs) == count:
            break
        x, y, r = discs[int(rng.integers(len(discs)))]
        turn, new = rng.uniform(0, 2 * math.pi), size * rng.uniform(0.7, 1.15)
        far = (r + new) * rng.uniform(0.6, 0.85)
        nx, ny = x + far * math.cos(turn), y + far * math.sin(turn)
        if math.hypot(nx, ny) + new <= radius:
            discs.append((nx, ny, new))
    return np.array(discs)


def _benign(rng: np.random.Generator, radius: float) -> tuple[Discs, Discs]:
    count = int(rng.integers(2, 6)) if radius > 62 else int(rng.integers(1, 3))
    return _chain(rng, radius, count, radius * (0.48 if count > 2 else 0.62)), np.zeros((0, 3))


def _small(rng: np.random.Generator, radius: float) -> tuple[Discs, Discs]:
    count = 1 if rng.random() < 0.7 else 2
    discs = _chain(rng, radius, count, radius * (0.95 if count == 1 else 0.66))
    holes = discs.copy()
    holes[:, 2] -= rng.uniform(11.5, 14.5)
    return discs, holes[holes[:, 2] > 2]


def _fused(rng: np.random.Generator, radius: float) -> tuple[Discs, Discs]:
    if rng.random() < 0.5:
        discs = _chain(rng, radius, 14, 25.0)
        holes = discs.copy()
        holes[:, 2] = rng.uniform(3, 1 + np.maximum(discs[:, 2] - 11, 3))
        return discs, holes[rng.random(len(holes)) < 0.8]
    discs = _chain(rng, radius, int(rng.integers(2, 5)), radius * 0.55)
    holes = scatter(rng, radius, 33.0)
    room = union(holes[:, 0], holes[:, 1], discs, 7.0) - 13
    holes[:, 2] = np.minimum(rng.uniform(4.0, 12, len(holes)), room)
    return discs, holes[room > 3]


def _sheet(rng: np.random.Generator, radius: float) -> tuple[Discs, Discs]:
    return _chain(rng, radius, int(rng.integers(5, 10)), radius * 0.38), np.zeros((0, 3))


def _vessel(rng: np.random.Generator, radius: float) -> tuple[Discs, Discs]:
    count = int(rng.integers(1, 3))
    return _chain(rng, radius, count, radius * (0.9 if count == 1 else 0.6)), np.zeros((0, 3))


SHAPES = (_benign, _small, _fused, _sheet, _vessel)


def scatter(rng: np.random.Generator, radius: float, pitch: float) -> Discs:
    """Rows (x, y, 0) of a jittered hexagonal lattice in a circle."""
    count = math.ceil(radius / pitch) + 1
    i, j = np.meshgrid(np.arange(-count, count + 1), np.arange(-count, count + 1))
    points = np.stack([(i + 0.5 * (j % 2)).ravel(), 0.866 * j.ravel()], axis=1) * pitch
    points = points + rng.uniform(-0.3, 0.3, points.shape) * pitch
    points = points[np.hypot(points[:, 0], points[:, 1]) < radius]
    return np.concatenate([points, np.zeros((len(points), 1))], axis=1)


def union(x: Doubles, y: Doubles, discs: Discs, blend: float) -> Floats:
    """Depth (µm) inside a union of discs whose inner corners are rounded over `blend` µm."""
    total = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.float32)
    for cx, cy, r in discs.astype(np.float32):
        inside = r - np.sqrt((x - cx) ** 2 + (y - cy) ** 2)
        total += np.exp(np.clip(inside / np.float32(blend), -30, 60))
    return np.asarray(np.float32(blend) * np.log(total + np.float32(1e-12)), np.float32)


def look(kind: int, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Cytoplasm (hematoxylin, eosin), eosin in the lumen, cleft (µm)."""
    vary = rng.uniform(0.85, 1.15)
    if kind == VESSEL:
        return 0.04, 1.15 * vary, (2.0 if rng.random() < 0.35 else 0.05), 0.0
    secretion = float(rng.uniform(0.1, 0.5)) if rng.random() < 0.3 else 0.0
    cleft = float(rng.uniform(1.5, 4.5)) if rng.random() < 0.4 else 0.0
    if kind == BENIGN:
        return 0.21 * vary, 0.5 * vary, secretion, 0.4 * cleft
    return 0.19 * vary, 0.72 * vary, secretion, cleft
