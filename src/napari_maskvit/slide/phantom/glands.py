"""Glands and vessels: where they are, what shape they have, where their nuclei sit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from napari_maskvit.slide.phantom.cores import Cores
from napari_maskvit.slide.phantom.noise import (
    Doubles,
    Floats,
    cells,
    grid_noise,
    key_of,
    places,
    point_noise,
    uniform,
)
from napari_maskvit.slide.phantom.nuclei import Nuclei
from napari_maskvit.slide.phantom.placing import place_nuclei
from napari_maskvit.slide.phantom.shapes import (
    BENIGN,
    SHAPES,
    SHEET,
    SMALL,
    VESSEL,
    WARP,
    look,
    radii,
    union,
)
from napari_maskvit.slide.phantom.spec import PhantomSpec, generator

PATTERN = (2, 3, 4, 5, 0)
LABEL = (2, 3, 4, 5, 1)
PITCH = (150.0, 68.0, 175.0, 170.0, 340.0)  # µm, one place for a gland in each square
REACH = 150.0  # µm, no gland reaches further from its middle
BLOCK = 1024.0


@dataclass(frozen=True)
class Gland:
    """One gland or vessel as a place on its lattice.

    Attributes
    ----------
    kind
        BENIGN, SMALL, FUSED, SHEET or VESSEL.
    i, j
        Cell of that kind's lattice.
    x, y, radius
        Circle that holds it, µm.
    """

    kind: int
    i: int
    j: int
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Drawn:
    """A gland on the grid of nodes.

    Attributes
    ----------
    row, column
        Grid indices of its first node.
    depth
        µm inside its outline, negative outside.
    lumen
        µm inside its lumen, negative outside.
    look
        Hematoxylin and eosin of its cytoplasm, eosin in its lumen, width of the cleft around it.
    label
        PANDA's label (1 stroma, 2 benign, 3 to 5 patterns).
    nuclei
        Its nuclei.
    """

    row: int
    column: int
    depth: Floats
    lumen: Floats
    look: tuple[float, float, float, float]
    label: int
    nuclei: Nuclei


class Glands:
    """All glands and vessels of a spec, found and drawn where they are asked for."""

    def __init__(self, spec: PhantomSpec, cores: Cores, step: float) -> None:
        self._seed = spec.seed
        self._cores = cores
        self._step = step
        self._keys = [key_of(spec.seed, 20, kind) for kind in range(len(PITCH))]
        self._lobules = key_of(spec.seed, 21)
        self._warp = key_of(spec.seed, 22)
        self._block = lru_cache(maxsize=256)(self._find)
        self.drawn: Callable[[Gland], Drawn] = lru_cache(maxsize=192)(self._draw)

    def near(self, left: float, top: float, right: float, bottom: float) -> list[Gland]:
        """Return the glands that may touch a box (µm), in one fixed order."""
        found = []
        for j in cells(top - REACH, bottom + REACH, BLOCK):
            for i in cells(left - REACH, right + REACH, BLOCK):
                for gland in self._block(int(i), int(j)):
                    r = gland.radius + 16
                    if left - r <= gland.x <= right + r and top - r <= gland.y <= bottom + r:
                        found.append(gland)
        return found

    def _find(self, i: int, j: int) -> tuple[Gland, ...]:
        """Glands whose middle lies in one block: of two that overlap the greater number stays."""
        x0, y0 = i * BLOCK, j * BLOCK
        margin = 2 * REACH
        found = [
            self._candidates(
                kind, x0 - margin, y0 - margin, x0 + BLOCK + margin, y0 + BLOCK + margin
            )
            for kind in range(len(PITCH))
        ]
        table = np.concatenate(found)
        if not len(table):
            return ()
        x, y, radius, rank = table[:, 0], table[:, 1], table[:, 2], table[:, 3]
        apart = np.hypot(x[:, None] - x[None], y[:, None] - y[None])
        # Only small glands fill their circle; the others may reach into each other's.
        small = table[:, 4] == SMALL
        tight = np.where(small[:, None] | small[None], 1.0, 0.84)
        clash = apart < tight * (radius[:, None] + radius[None]) + 3
        kept = ~(clash & (rank[None] > rank[:, None])).any(axis=1)
        kept &= (x >= x0) & (x < x0 + BLOCK) & (y >= y0) & (y < y0 + BLOCK)
        return tuple(
            Gland(int(k), int(a), int(b), float(gx), float(gy), float(r))
            for gx, gy, r, _, k, a, b in table[kept]
        )

    def _candidates(
        self, kind: int, left: float, top: float, right: float, bottom: float
    ) -> Doubles:
        """Rows (x, y, radius, rank, kind, i, j) of the places of one kind in a box."""
        pitch, key = PITCH[kind], self._keys[kind]
        i, j = places(cells(left, right, pitch), cells(top, bottom, pitch))
        x = (i + 0.12 + 0.76 * uniform(i, j, key)) * pitch
        y = (j + 0.12 + 0.76 * uniform(i, j, key + 1)) * pitch
        tissue = self._cores.at(x, y, self._cores.rough_points(x, y))
        lobule = point_noise(x, y, 620.0, self._lobules) * 0.5 + 0.5
        chance = 0.45 * uniform(i, j, key + 2) + 0.55 * lobule
        radius = radii(kind, uniform(i, j, key + 3))
        taken = tissue.depth > np.minimum(0.25 * radius, 18) - 12
        if kind == VESSEL:
            taken &= uniform(i, j, key + 2) < 0.5
        else:
            share = 0.1 + (0.55 if kind == SHEET else 0.9) * tissue.density
            taken &= (tissue.pattern == PATTERN[kind]) & (chance < share)
        rank = uniform(i, j, key + 4) + (0.5 if kind == BENIGN else 0.0)
        rows = [x, y, radius, rank, np.full(x.shape, kind), i, j]
        table = np.stack([np.asarray(row, np.float64) for row in rows], axis=1)
        return np.asarray(table[taken])

    def _draw(self, gland: Gland) -> Drawn:
        step = self._step
        rng = generator(self._seed, 23, gland.kind, gland.i & 0xFFFFFFFF, gland.j & 0xFFFFFFFF)
        reach = gland.radius + 14
        column, row = (math.floor((v - reach) / step) for v in (gland.x, gland.y))
        count = math.ceil(2 * reach / step) + 2
        xs, ys = (column + np.arange(count)) * step, (row + np.arange(count)) * step
        big, small = WARP[gland.kind]
        dx = big * grid_noise(xs, ys, 62.0, self._warp) + small * grid_noise(
            xs, ys, 21.0, self._warp + 1
        )
        dy = big * grid_noise(xs, ys, 62.0, self._warp + 2) + small * grid_noise(
            xs, ys, 21.0, self._warp + 3
        )
        x = (xs - gland.x).astype(np.float32)[None, :] + dx
        y = (ys - gland.y).astype(np.float32)[:, None] + dy
        discs, holes = SHAPES[gland.kind](rng, gland.radius)
        depth = union(x, y, discs, 7.0 if gland.kind != SHEET else 4.0)
        if gland.kind in (BENIGN, VESSEL):
            wall = 5.5 if gland.kind == VESSEL else rng.uniform(15, 21)
            lumen = depth - wall
            if gland.kind == BENIGN:
                lumen -= 5 * grid_noise(xs, ys, 55.0, self._warp + 4)
                lumen -= 24 * np.maximum(grid_noise(xs, ys, 30.0, self._warp + 5) - 0.05, 0)
        else:
            lumen = union(x, y, holes, 2.0) if len(holes) else np.full_like(depth, -50)
            lumen = np.minimum(lumen, depth - (9 if gland.kind == SMALL else 11))
        nuclei = place_nuclei(gland.kind, rng, depth, lumen, xs, ys)
        return Drawn(row, column, depth, lumen, look(gland.kind, rng), LABEL[gland.kind], nuclei)
