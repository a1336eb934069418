"""Stroma: the course of its fibres, its cells, and the cancer cells that creep through it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_maskvit.slide.phantom.noise import (
    Doubles,
    Floats,
    Ints,
    cells,
    grid_noise,
    key_of,
    places,
    point_noise,
    smoothstep,
    uniform,
)
from napari_maskvit.slide.phantom.nuclei import (
    COLUMNAR,
    LYMPHOCYTE,
    MALIGNANT,
    PLUMP,
    SPINDLE,
    VARIANTS,
    Nuclei,
)

LOOSE = (-58.0, -5.0)  # µm from the outline between which single cells float


@dataclass(frozen=True)
class Grid:
    """Nodes at even distances, µm.

    Attributes
    ----------
    xs, ys
        Places of its columns and rows.
    step
        Between them.
    """

    xs: Doubles
    ys: Doubles
    step: float

    def inside(self, nuclei: Nuclei) -> NDArray[np.bool_]:
        """Tell which nuclei lie within it, its outermost cells left out."""
        return np.asarray(
            (nuclei.x >= self.xs[0] + self.step)
            & (nuclei.x < self.xs[-1] - self.step)
            & (nuclei.y >= self.ys[0] + self.step)
            & (nuclei.y < self.ys[-1] - self.step)
        )

    def at(self, nuclei: Nuclei) -> tuple[Ints, Ints]:
        """Row and column of the node nearest to each nucleus."""
        return (
            np.rint((nuclei.y - self.ys[0]) / self.step).astype(np.int64),
            np.rint((nuclei.x - self.xs[0]) / self.step).astype(np.int64),
        )

    def noise(self, wavelength: float, key: int) -> Floats:
        """Smooth noise in [-1, 1] at its nodes."""
        return grid_noise(self.xs, self.ys, wavelength, key)

    def lattice(self, pitch: float) -> tuple[Ints, Ints]:
        """Column and row of each cell of a lattice that touches it."""
        return places(cells(self.xs[0], self.xs[-1], pitch), cells(self.ys[0], self.ys[-1], pitch))


@dataclass(frozen=True)
class Course:
    """How the fibres run, on a grid.

    Attributes
    ----------
    along, across
        Coordinates along and across them, µm.
    angle
        Their direction, radians.
    loose
        Dense (positive) or loose (negative).
    bundles
        0 where they are cut lengthwise, 1 where bundles of them are cut across.
    """

    along: Floats
    across: Floats
    angle: Floats
    loose: Floats
    bundles: Floats


class Stroma:
    """The stroma of one slide, a function of its seed."""

    def __init__(self, seed: int) -> None:
        self._keys = [key_of(seed, 30, index) for index in range(32)]

    def course(self, grid: Grid, main: Floats) -> Course:
        """Return how the fibres run around their main direction (radians)."""
        keys = self._keys
        swirl = 150 * grid.noise(430.0, keys[0])
        swirl += 42 * grid.noise(140.0, keys[1])
        swirl += 4.5 * grid.noise(36.0, keys[2])
        swirl += 2.2 * grid.noise(15.0, keys[3])
        cosine, sine = np.cos(main), np.sin(main)
        x, y = grid.xs[None, :], grid.ys[:, None]
        across = (y * cosine - x * sine).astype(np.float32) + swirl
        along = (x * cosine + y * sine).astype(np.float32)
        along += 120 * grid.noise(380.0, keys[4])
        down, right = np.gradient(across)
        loose = 0.55 * grid.noise(340.0, keys[5]) + 0.35 * grid.noise(95.0, keys[6])
        patch = grid.noise(300.0, keys[7]) + 0.4 * grid.noise(70.0, keys[8])
        return Course(
            along,
            across,
            np.arctan2(-right, down).astype(np.float32),
            loose,
            smoothstep((patch - 0.05) * 4),
        )

    def cords(self, grid: Grid, across: Floats) -> Floats:
        """Return µm inside thin cords and single files between the fibres, negative outside."""
        wave = np.sin(across / 7.5) + 1.5 * grid.noise(46.0, self._keys[9])
        wave += 0.9 * grid.noise(210.0, self._keys[10])
        return np.asarray((wave - 1.4) * 9, np.float32)

    def thickness(self, grid: Grid) -> Floats:
        """Return -1 to 1, the drift of the stain over a few millimetres."""
        return grid.noise(1900.0, self._keys[11])

    def nuclei(
        self, grid: Grid, depth: Floats, gland: Floats, angle: Floats, pattern: Ints
    ) -> Nuclei:
        """Spindle nuclei along the fibres, swarms of lymphocytes, cancer cells in the cords."""
        keys, pitch = self._keys[12:19], 9.0
        i, j = grid.lattice(pitch)
        x, y = (i + uniform(i, j, keys[0])) * pitch, (j + uniform(i, j, keys[1])) * pitch
        turn = uniform(i, j, keys[2])
        nuclei = Nuclei(x, y, turn, i, (uniform(i, j, keys[3]) * VARIANTS).astype(np.int64))
        inside = grid.inside(nuclei)
        nuclei, i, j = nuclei.where(inside), i[inside], j[inside]
        at = grid.at(nuclei)
        crowd = point_noise(nuclei.x, nuclei.y, 160.0, keys[4])
        swarm = point_noise(nuclei.x, nuclei.y, 300.0, keys[5]) + 0.35 * crowd
        chance = uniform(i, j, keys[6])
        free = gland[at] < -3.5
        lymph = free & (chance < np.clip(2.4 * (swarm - 0.66), 0, 0.75))
        spindle = free & ~lymph & (chance < 0.15 + 0.10 * crowd)
        cancer = (pattern[at] == 5) & (gland[at] > 1.5) & (gland[at] < 20) & (chance < 0.8)
        form = np.where(nuclei.angle < 0.25, PLUMP, SPINDLE)
        form = np.where(lymph, LYMPHOCYTE, np.where(cancer, MALIGNANT, form))
        lean = angle[at] + (nuclei.angle - 0.5) * np.where(spindle, 0.55, 6.0)
        chosen = Nuclei(nuclei.x, nuclei.y, lean.astype(np.float32), form, nuclei.variant)
        return chosen.where((lymph | spindle | cancer) & (depth[at] > 0.5))

    def floating(self, grid: Grid, depth: Floats) -> Nuclei:
        """Single cells and small clumps torn off the tissue."""
        keys, pitch = self._keys[19:25], 8.0
        i, j = grid.lattice(pitch)
        x, y = (i + uniform(i, j, keys[0])) * pitch, (j + uniform(i, j, keys[1])) * pitch
        turn = uniform(i, j, keys[2])
        form = np.where(turn < 0.5, COLUMNAR, LYMPHOCYTE)
        variant = (turn * 997).astype(np.int64) % VARIANTS
        nuclei = Nuclei(x, y, turn * np.float32(math.pi), form, variant)
        inside = grid.inside(nuclei)
        nuclei, i, j = nuclei.where(inside), i[inside], j[inside]
        here = depth[grid.at(nuclei)]
        clump = point_noise(nuclei.x, nuclei.y, 38.0, keys[3])
        clump += 0.6 * point_noise(nuclei.x, nuclei.y, 260.0, keys[4])
        keep = (here > LOOSE[0]) & (here < LOOSE[1]) & (uniform(i, j, keys[5]) < 0.7)
        return nuclei.where(keep & (clump > 0.95 - 0.006 * (here - LOOSE[1])))
