"""What lies where on a phantom: the fields of one tile, on a grid of nodes about 2 µm apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_maskvit.slide.phantom.artefacts import Artefacts, Overlay, touches
from napari_maskvit.slide.phantom.cores import ROUGHNESS, Cores, Tissue
from napari_maskvit.slide.phantom.glands import Glands
from napari_maskvit.slide.phantom.noise import Doubles, Floats
from napari_maskvit.slide.phantom.nuclei import REACH, Nuclei
from napari_maskvit.slide.phantom.seams import Seams
from napari_maskvit.slide.phantom.spec import PhantomSpec
from napari_maskvit.slide.phantom.stroma import LOOSE, Course, Grid, Stroma

TILE = 512
NODE = 2.0  # µm between nodes, as nearly as whole pixels allow
ALONE = 1 + ROUGHNESS - LOOSE[0]  # µm from the smooth outline where nothing of it is left


@dataclass(frozen=True)
class Living:
    """Tissue on a grid of nodes.

    Attributes
    ----------
    depth
        µm inside its outline.
    gland, lumen
        µm inside the nearest gland and its lumen.
    look
        Its cytoplasm (hematoxylin, eosin), eosin in its lumen, cleft around it: (4, rows, columns).
    course
        Of the fibres.
    thickness
        Factor on the stain, which is never quite even.
    nuclei
        All that reach into the tile.
    """

    depth: Floats
    gland: Floats
    lumen: Floats
    look: Floats
    course: Course
    thickness: Floats
    nuclei: Nuclei


@dataclass(frozen=True)
class Fields:
    """What a tile shows.

    Attributes
    ----------
    living
        Tissue on nodes that reach past the tile on every side, None without any near.
    overlay
        Artefacts on the same nodes, None without any.
    labels
        PANDA's labels of the cells between the tile's nodes.
    artefacts
        Where artefacts or floating cells can be seen in those cells.
    lumina
        Where tissue has a hole in those cells.
    """

    living: Living | None
    overlay: Overlay | None
    labels: NDArray[np.uint8]
    artefacts: NDArray[np.bool_]
    lumina: NDArray[np.bool_]


class Ground:
    """All that a phantom shows, as functions of the place; safe to use from several threads.

    Parameters
    ----------
    spec
        The slide.

    Attributes
    ----------
    factor
        Pixels between nodes.
    step
        µm between nodes.
    nodes
        Cells between nodes along a tile.
    margin
        Nodes by which a tile's fields reach past it.
    """

    def __init__(self, spec: PhantomSpec) -> None:
        self.spec = spec
        self.factor = 1
        while self.factor < 16 and 2 * self.factor * spec.spacing <= 1.2 * NODE:
            self.factor *= 2
        self.step = self.factor * spec.spacing
        self.nodes = TILE // self.factor
        self.margin = math.ceil(REACH / self.step) + 2
        self.seams = Seams(spec, self._matters)
        self._cores = Cores(spec)
        self._glands = Glands(spec, self._cores, self.step)
        self._stroma = Stroma(spec.seed)
        self._artefacts = Artefacts(spec)

    def _matters(self, x: Doubles, y: Doubles, reach: float) -> NDArray[np.bool_]:
        touched = np.zeros(np.broadcast_shapes(x.shape, y.shape), bool)
        for item in self._artefacts.items:
            if item.kind not in ("coverslip", "fold"):
                touched |= touches(item, x, y, 0.7 * reach)
        return touched | (self._cores.smooth_depth(x, y) > -reach)

    def busy(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which tiles (rows x columns) hold anything but even glass; never misses one."""
        side = TILE * self.spec.spacing
        x, y = (columns[None, :] + 0.5) * side, (rows[:, None] + 0.5) * side
        reach = side * math.sqrt(0.5)
        busy = self._artefacts.touches(x, y, reach)
        # Depth changes by at most 1.7 µm a µm where a core is bent most.
        return np.asarray(busy | (self._cores.smooth_depth(x, y) > -1.7 * reach - ALONE))

    def even(self, row: int, column: int) -> tuple[int, int, int] | None:
        """Return the colour of a tile that is not `busy`, None if scan fields cut it."""
        if self.seams.there:
            blank = self.seams.blank(column * TILE, row * TILE, TILE)
            return (255, 255, 255) if blank else None
        side = TILE * self.spec.spacing
        at = np.array([(column + 0.5) * side]), np.array([(row + 0.5) * side])
        shade = self._artefacts.behind(*at)
        glass = np.array(self.spec.stain.glass, np.float32)
        red, green, blue = (glass * np.exp(-shade) + 0.5).astype(np.uint8).tolist()
        return red, green, blue

    def fields(self, row: int, column: int) -> Fields:
        """Return what a tile shows."""
        reach = np.arange(-self.margin, self.nodes + self.margin + 1)
        grid = Grid(
            (column * self.nodes + reach) * self.step,
            (row * self.nodes + reach) * self.step,
            self.step,
        )
        rough = self._cores.rough_grid(grid.xs, grid.ys)
        tissue = self._cores.at(grid.xs[None, :], grid.ys[:, None], rough)
        labels = (tissue.depth > 0).astype(np.uint8)
        mask = np.zeros(labels.shape, bool)
        lumina = np.zeros(labels.shape, bool)
        living = None
        if tissue.depth.max() > LOOSE[0]:
            living = self._living(grid, tissue, labels, mask)
            lumina = (living.lumen > 0) & (living.gland > 0) & (labels > 0)
        overlay = self._artefacts.on(grid.xs, grid.ys, tissue.depth)
        if overlay is not None:
            mask |= overlay.mask
        # A cell between four nodes is covered where one of them is.
        mask[:, :-1] |= mask[:, 1:]
        mask[:-1] |= mask[1:]
        inner = slice(self.margin, self.margin + self.nodes)
        return Fields(
            living, overlay, labels[inner, inner], mask[inner, inner], lumina[inner, inner]
        )

    def _living(
        self, grid: Grid, tissue: Tissue, labels: NDArray[np.uint8], mask: NDArray[np.bool_]
    ) -> Living:
        """Return tissue, and enter its glands in `labels` and its floating cells in `mask`."""
        depth = tissue.depth
        gland, lumen = np.full((2, *depth.shape), -60, np.float32)
        look = np.zeros((4, *depth.shape), np.float32)
        look[0], look[1] = 0.2, 0.6
        glandular = self._lay_glands(grid, depth, gland, lumen, look, labels)
        course = self._stroma.course(grid, tissue.angle)
        if (tissue.pattern == 5).any():
            cords = self._stroma.cords(grid, course.across)
            better = (tissue.pattern == 5) & (cords > gland)
            np.copyto(gland, cords, where=better)
            look[0][better], look[1][better], look[3][better] = 0.17, 0.75, 0.8
            labels[better & (cords > 0) & (depth > 0)] = 5
        stromal = self._stroma.nuclei(grid, depth, gland, course.angle, tissue.pattern)
        floating = self._stroma.floating(grid, depth)
        _mark(mask, *grid.at(floating), math.ceil(6 / self.step) - 1)
        uneven = np.float32(self.spec.stain.unevenness)
        return Living(
            depth,
            gland,
            lumen,
            look,
            course,
            1 + uneven * self._stroma.thickness(grid),
            Nuclei.join([glandular, stromal, floating]),
        )

    def _lay_glands(
        self,
        grid: Grid,
        depth: Floats,
        gland: Floats,
        lumen: Floats,
        look: Floats,
        labels: NDArray[np.uint8],
    ) -> Nuclei:
        """Enter all glands in the fields, each where it is deepest, and return their nuclei."""
        first = round(float(grid.ys[0]) / self.step), round(float(grid.xs[0]) / self.step)
        box = (float(v) for v in (grid.xs[0], grid.ys[0], grid.xs[-1], grid.ys[-1]))
        owner = np.full(depth.shape, -1, np.int64)
        found: list[Nuclei] = [Nuclei.none()]
        owners = [np.zeros(0, np.int64)]
        for number, place in enumerate(self._glands.near(*box)):
            drawn = self._glands.drawn(place)
            here, there = _overlap(
                drawn.row - first[0], drawn.column - first[1], drawn.depth.shape, depth.shape
            )
            better = drawn.depth[there] > gland[here]
            np.copyto(gland[here], drawn.depth[there], where=better)
            np.copyto(lumen[here], drawn.lumen[there], where=better)
            np.copyto(owner[here], number, where=better)
            for k in range(4):
                np.copyto(look[k][here], np.float32(drawn.look[k]), where=better)
            inside = better & (drawn.depth[there] > 0) & (depth[here] > 0)
            np.copyto(labels[here], np.uint8(drawn.label), where=inside)
            found.append(drawn.nuclei)
            owners.append(np.full(len(drawn.nuclei.x), number))
        nuclei, belongs = Nuclei.join(found), np.concatenate(owners)
        inside = grid.inside(nuclei)
        nuclei, belongs = nuclei.where(inside), belongs[inside]
        at = grid.at(nuclei)
        return nuclei.where((owner[at] == belongs) & (depth[at] > 1.0) & (lumen[at] < -1.5))


Window = tuple[slice, slice]


def _overlap(
    row: int, column: int, shape: tuple[int, ...], room: tuple[int, ...]
) -> tuple[Window, Window]:
    """Windows of an array of `shape` laid at (row, column): in the array below, and in itself."""
    top, left = max(row, 0), max(column, 0)
    bottom, right = (
        max(low, min(low_at + side, limit))
        for low, low_at, side, limit in (
            (top, row, shape[0], room[0]),
            (left, column, shape[1], room[1]),
        )
    )
    return (
        (slice(top, bottom), slice(left, right)),
        (slice(top - row, bottom - row), slice(left - column, right - column)),
    )


def _mark(
    mask: NDArray[np.bool_], rows: NDArray[np.int64], columns: NDArray[np.int64], reach: int
) -> None:
    """Set squares of nodes around the given ones."""
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            y = np.clip(rows + dy, 0, mask.shape[0] - 1)
            x = np.clip(columns + dx, 0, mask.shape[1] - 1)
            mask[y, x] = True
