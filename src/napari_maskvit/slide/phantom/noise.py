"""Random numbers that depend on a place alone: hashed lattices, smooth noise, textures.

Nothing here keeps a state, so any part of a phantom can be computed before any other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]


def key_of(seed: int, *stream: int) -> int:
    """Return a 32-bit key for one use of the seed."""
    return int(np.random.SeedSequence([seed, *stream]).generate_state(1)[0])


def hashed(i: Ints, j: Ints, key: int) -> NDArray[np.uint32]:
    """Mix two integer lattice coordinates and a key into 32 bits (shapes broadcast)."""
    a = (i & 0xFFFFFFFF).astype(np.uint32) * np.uint32(0x9E3779B1)
    b = (j & 0xFFFFFFFF).astype(np.uint32) * np.uint32(0x85EBCA77)
    h = (a ^ np.uint32(key & 0xFFFFFFFF)) + np.uint32(0x165667B1)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x2C1B3C6D)
    h = (h ^ (h >> np.uint32(13))) + b
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x297A2D39)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x7FEB352D)
    return np.asarray(h ^ (h >> np.uint32(16)))


def uniform(i: Ints, j: Ints, key: int) -> Floats:
    """Return hashed numbers in [0, 1) at lattice coordinates."""
    return (hashed(i, j, key) >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)


def _cell(x: Doubles, wavelength: float) -> tuple[Ints, Floats]:
    scaled = np.asarray(x, np.float64) / wavelength
    base = np.floor(scaled)
    t = (scaled - base).astype(np.float32)
    return base.astype(np.int64), t * t * t * (t * (t * 6 - 15) + 10)


def grid_noise(xs: Doubles, ys: Doubles, wavelength: float, key: int) -> Floats:
    """Return smooth noise in [-1, 1] on the grid ys x xs (µm), shape (len(ys), len(xs))."""
    ix, fx = _cell(xs, wavelength)
    iy, fy = _cell(ys, wavelength)
    nodes_x = np.arange(ix.min(), ix.max() + 2)
    nodes_y = np.arange(iy.min(), iy.max() + 2)
    nodes = uniform(nodes_x[None, :], nodes_y[:, None], key) * 2 - 1
    jx = ix - nodes_x[0]
    across = nodes[:, jx] * (1 - fx) + nodes[:, jx + 1] * fx
    jy = iy - nodes_y[0]
    low = across[jy]
    low += (across[jy + 1] - low) * fy[:, None]
    return np.asarray(low, np.float32)


def point_noise(x: Doubles, y: Doubles, wavelength: float, key: int) -> Floats:
    """Return the same noise as `grid_noise`, at single points."""
    ix, fx = _cell(x, wavelength)
    iy, fy = _cell(y, wavelength)
    top = uniform(ix, iy, key) * (1 - fx) + uniform(ix + 1, iy, key) * fx
    bottom = uniform(ix, iy + 1, key) * (1 - fx) + uniform(ix + 1, iy + 1, key) * fx
    return np.asarray((top + (bottom - top) * fy) * 2 - 1, np.float32)


def line_noise(x: Doubles, wavelength: float, key: int) -> Floats:
    """Return smooth noise in [-1, 1] along one axis, at any shape of points (µm)."""
    ix, fx = _cell(x, wavelength)
    zero = np.zeros_like(ix)
    a, b = uniform(ix, zero, key), uniform(ix + 1, zero, key)
    return np.asarray((a + (b - a) * fx) * 2 - 1, np.float32)


def smoothstep(x: Doubles) -> Floats:
    """Return 0 below 0, 1 above 1 and a smooth rise between."""
    t = np.clip(x, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def cells(low: float, high: float, pitch: float) -> Ints:
    """Return the indices of the lattice cells that touch [low, high]."""
    return np.arange(int(np.floor(low / pitch)), int(np.floor(high / pitch)) + 1, dtype=np.int64)


def places(columns: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """Return column and row of every cell of a lattice, flat."""
    i, j = np.meshgrid(columns, rows)
    return i.ravel(), j.ravel()


def enlarge(nodes: Floats, factor: int) -> Floats:
    """Interpolate grid nodes linearly to pixels, shape (n + 1, m + 1) -> (n f, m f).

    Node i lies at pixel coordinate i f, where pixel j covers [j, j + 1).
    """
    rows, columns = nodes.shape[0] - 1, nodes.shape[1] - 1
    if factor == 1:
        return np.asarray(
            (nodes[:-1, :-1] + nodes[1:, :-1] + nodes[:-1, 1:] + nodes[1:, 1:]) * 0.25, np.float32
        )
    weights = ((np.arange(factor) + 0.5) / factor).astype(np.float32)
    wide = np.empty((rows + 1, columns * factor), np.float32)
    step = np.diff(nodes, axis=1)
    for k in range(factor):
        wide[:, k::factor] = nodes[:, :-1] + step * weights[k]
    tall = np.empty((rows * factor, columns * factor), np.float32)
    step = np.diff(wide, axis=0)
    for k in range(factor):
        tall[k::factor] = wide[:-1] + step * weights[k]
    return tall
