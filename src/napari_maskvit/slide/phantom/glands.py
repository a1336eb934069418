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
    Ints,
    cells,
    grid_noise,
    key_of,
    places,
    point_noise,
    uniform,
)
from napari_maskvit.slide.phantom.nuclei import (
    BASAL,
    COLUMNAR,
    MALIGNANT,
    SPINDLE,
    VARIANTS,
    Nuclei,
)
from napari_maskvit.slide.phantom.spec import PhantomSpec, generator

BENIGN, SMALL, FUSED, SHEET, VESSEL = range(5)
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
        radius = _radius(kind, uniform(i, j, key + 3))
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
        depth = _union(x, y, discs, 7.0 if gland.kind != SHEET else 4.0)
        if gland.kind in (BENIGN, VESSEL):
            wall = 5.5 if gland.kind == VESSEL else rng.uniform(15, 21)
            lumen = depth - wall
            if gland.kind == BENIGN:
                lumen -= 5 * grid_noise(xs, ys, 55.0, self._warp + 4)
                lumen -= 24 * np.maximum(grid_noise(xs, ys, 30.0, self._warp + 5) - 0.05, 0)
        else:
            lumen = _union(x, y, holes, 2.0) if len(holes) else np.full_like(depth, -50)
            lumen = np.minimum(lumen, depth - (9 if gland.kind == SMALL else 11))
        nuclei = _place(gland.kind, rng, depth, lumen, xs, ys)
        return Drawn(row, column, depth, lumen, _look(gland.kind, rng), LABEL[gland.kind], nuclei)


# Amplitudes (µm) of the noise that bends outlines, at 62 and 21 µm.
WARP = ((13.0, 3.5), (5.0, 2.0), (10.0, 3.0), (26.0, 9.0), (5.0, 1.5))


def _radius(kind: int, u: Floats) -> Floats:
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
    holes = _scatter(rng, radius, 33.0)
    room = _union(holes[:, 0], holes[:, 1], discs, 7.0) - 13
    holes[:, 2] = np.minimum(rng.uniform(4.0, 12, len(holes)), room)
    return discs, holes[room > 3]


def _sheet(rng: np.random.Generator, radius: float) -> tuple[Discs, Discs]:
    return _chain(rng, radius, int(rng.integers(5, 10)), radius * 0.38), np.zeros((0, 3))


def _vessel(rng: np.random.Generator, radius: float) -> tuple[Discs, Discs]:
    count = int(rng.integers(1, 3))
    return _chain(rng, radius, count, radius * (0.9 if count == 1 else 0.6)), np.zeros((0, 3))


SHAPES = (_benign, _small, _fused, _sheet, _vessel)


def _scatter(rng: np.random.Generator, radius: float, pitch: float) -> Discs:
    """Rows (x, y, 0) of a jittered hexagonal lattice in a circle."""
    count = math.ceil(radius / pitch) + 1
    i, j = np.meshgrid(np.arange(-count, count + 1), np.arange(-count, count + 1))
    points = np.stack([(i + 0.5 * (j % 2)).ravel(), 0.866 * j.ravel()], axis=1) * pitch
    points = points + rng.uniform(-0.3, 0.3, points.shape) * pitch
    points = points[np.hypot(points[:, 0], points[:, 1]) < radius]
    return np.concatenate([points, np.zeros((len(points), 1))], axis=1)


def _union(x: Doubles, y: Doubles, discs: Discs, blend: float) -> Floats:
    """Depth (µm) inside a union of discs whose inner corners are rounded over `blend` µm."""
    total = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.float32)
    for cx, cy, r in discs.astype(np.float32):
        inside = r - np.sqrt((x - cx) ** 2 + (y - cy) ** 2)
        total += np.exp(np.clip(inside / np.float32(blend), -30, 60))
    return np.asarray(np.float32(blend) * np.log(total + np.float32(1e-12)), np.float32)


def _look(kind: int, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Cytoplasm (hematoxylin, eosin), eosin in the lumen, cleft (µm)."""
    vary = rng.uniform(0.85, 1.15)
    if kind == VESSEL:
        return 0.04, 1.15 * vary, (2.0 if rng.random() < 0.35 else 0.05), 0.0
    secretion = float(rng.uniform(0.1, 0.5)) if rng.random() < 0.3 else 0.0
    cleft = float(rng.uniform(1.5, 4.5)) if rng.random() < 0.4 else 0.0
    if kind == BENIGN:
        return 0.21 * vary, 0.5 * vary, secretion, 0.4 * cleft
    return 0.19 * vary, 0.72 * vary, secretion, cleft


def _place(
    kind: int, rng: np.random.Generator, depth: Floats, lumen: Floats, xs: Doubles, ys: Doubles
) -> Nuclei:
    """Rows of nuclei along the outline, and a packed filling where the epithelium is solid."""
    if kind == VESSEL:
        return _along(rng, depth, 2.5, 15.0, SPINDLE, 0, xs, ys)
    if kind == BENIGN:
        outer = _along(rng, depth, 3.0, 10.5, BASAL, 0, xs, ys)
        inner = _along(rng, depth, 9.5, 6.3, COLUMNAR, 1, xs, ys)
        fill = _packed(rng, (depth > 15.5) & (lumen < -5.5), COLUMNAR, 8.0, xs, ys)
        return Nuclei.join([outer, inner, fill])
    if kind == SMALL:
        ring = _along(rng, depth, 6.5, 8.2, MALIGNANT, 1, xs, ys)
        return Nuclei.join(
            [ring, _packed(rng, (depth > 13.5) & (lumen < -6), MALIGNANT, 9.5, xs, ys)]
        )
    pitch = 9.4 if kind == FUSED else 10.2
    return _packed(rng, (depth > 3.2) & (lumen < -4.2), MALIGNANT, pitch, xs, ys)


def _along(
    rng: np.random.Generator,
    field: Floats,
    level: float,
    spacing: float,
    form: int,
    upright: int,
    xs: Doubles,
    ys: Doubles,
) -> Nuclei:
    """Nuclei at even distances along a contour of `field`, upright on it or lying along it."""
    from skimage.measure import find_contours

    parts = []
    step = float(xs[1] - xs[0])
    for contour in find_contours(field, level):  # type: ignore[no-untyped-call]
        legs = np.hypot(*np.diff(contour, axis=0).T) * step
        run = np.concatenate([[0.0], np.cumsum(legs)])
        count = int(run[-1] / spacing)
        if count < 3:
            continue
        at = (np.arange(count) + rng.uniform(-0.28, 0.28, count)) * run[-1] / count
        y = np.interp(at, run, contour[:, 0])
        x = np.interp(at, run, contour[:, 1])
        ahead = np.interp(np.minimum(at + 3, run[-1]), run, contour[:, 0]) - y
        aside = np.interp(np.minimum(at + 3, run[-1]), run, contour[:, 1]) - x
        turn = np.arctan2(ahead, aside) + upright * math.pi / 2 + rng.normal(0, 0.18, count)
        sway = rng.normal(0, 1.4 if upright else 0.4, (2, count)) / step
        parts.append(
            Nuclei(
                (x + sway[0]) * step + xs[0],
                (y + sway[1]) * step + ys[0],
                turn.astype(np.float32),
                np.full(count, form),
                rng.integers(VARIANTS, size=count),
            )
        )
    return Nuclei.join(parts) if parts else Nuclei.none()


def _packed(
    rng: np.random.Generator, room: np.ndarray, form: int, pitch: float, xs: Doubles, ys: Doubles
) -> Nuclei:
    """Nuclei on a jittered hexagonal lattice wherever `room` is True."""
    step = float(xs[1] - xs[0])
    centre = (len(xs) - 1) * step / 2
    points = _scatter(rng, centre * 1.45, pitch)[:, :2] + centre
    turn = rng.uniform(0, math.pi, len(points)).astype(np.float32)
    variant = rng.integers(VARIANTS, size=len(points))
    at: Ints = np.rint(points / step).astype(np.int64)
    inside = np.asarray(((at >= 0) & (at < len(xs))).all(axis=1))
    inside[inside] = room[at[inside, 1], at[inside, 0]]
    points = points[inside]
    return Nuclei(
        points[:, 0] + xs[0],
        points[:, 1] + ys[0],
        turn[inside],
        np.full(len(points), form),
        variant[inside],
    )
