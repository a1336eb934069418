"""One tile of a phantom from its spec alone: fields on a coarse grid, then pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_maskvit.slide.phantom.artefacts import Artefacts, Overlay, touches
from napari_maskvit.slide.phantom.cores import ROUGHNESS, Cores
from napari_maskvit.slide.phantom.glands import Glands
from napari_maskvit.slide.phantom.noise import (
    Doubles,
    Floats,
    cells,
    enlarge,
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
    Stamps,
)
from napari_maskvit.slide.phantom.nuclei import REACH as CELL
from napari_maskvit.slide.phantom.seams import Seams
from napari_maskvit.slide.phantom.spec import PhantomSpec, generator

TILE = 512
# Textures and pictures of nuclei are the same on all slides; where they lie is not.
TEXTURE = 1
STRIP = 64  # rows of pixels computed at once
NODE = 2.0  # µm between nodes, as nearly as whole pixels allow

# Optical density of one unit of stain for red, green, blue, fitted by eye to prostate biopsies.
HEMATOXYLIN = np.array([0.88, 1.22, 0.68], np.float32)
EOSIN = np.array([0.115, 0.365, 0.182], np.float32)
HUE = np.array([-0.02, 0.0, 0.06], np.float32)

LOOSE = (-58.0, -5.0)  # µm from the outline between which single cells float
FLOATING = 1 + ROUGHNESS  # a smooth depth from which no tissue or floating cell is near


@dataclass(frozen=True)
class Fields:
    """What a tile shows, on nodes that reach past it on every side.

    Attributes
    ----------
    xs, ys
        Places of the nodes, µm.
    depth
        µm inside the tissue.
    gland, lumen
        µm inside the nearest gland and its lumen.
    look
        Its cytoplasm (hematoxylin, eosin), eosin in its lumen, cleft around it: (4, rows, columns).
    label
        PANDA's label.
    along, across
        Coordinates along and across the fibres, µm.
    angle
        Of the fibres, radians.
    loose
        Dense (positive) or loose (negative) stroma.
    bundles
        0 where fibres are cut lengthwise, 1 where bundles are cut across.
    thickness
        Factor on the stain, which is never quite even.
    nuclei
        Nuclei that reach into the tile.
    overlay
        Artefacts, None without any.
    mask
        Where artefacts or floating cells can be seen.
    """

    xs: Doubles
    ys: Doubles
    depth: Floats
    gland: Floats
    lumen: Floats
    look: Floats
    label: NDArray[np.uint8]
    along: Floats
    across: Floats
    angle: Floats
    loose: Floats
    bundles: Floats
    thickness: Floats
    nuclei: Nuclei
    overlay: Overlay | None
    mask: NDArray[np.bool_]


class Painter:
    """Paints any tile of a phantom; what it returns depends on the spec and the tile alone.

    Parameters
    ----------
    spec
        The slide. Safe to use from several threads.
    """

    def __init__(self, spec: PhantomSpec) -> None:
        self.spec = spec
        self.factor = 1
        while self.factor < 16 and 2 * self.factor * spec.spacing <= 1.2 * NODE:
            self.factor *= 2
        self.step = self.factor * spec.spacing
        self.nodes = TILE // self.factor
        self.margin = math.ceil(CELL / self.step) + 2
        self.cores = Cores(spec)
        self.glands = Glands(spec, self.cores, self.step)
        self.artefacts = Artefacts(spec)
        self.seams = Seams(spec, self._matters)
        self._stamps = Stamps(spec.spacing)
        self._keys = [key_of(spec.seed, 30, index) for index in range(16)]
        self._fibres = _fibres()
        self._cobbles = _cobbles()
        self._grain, self._mottle = _grain(spec.spacing)
        self.glass: Floats = np.array(spec.stain.glass, np.float32)

    def _matters(self, x: Doubles, y: Doubles, reach: float) -> NDArray[np.bool_]:
        touched = np.zeros(np.broadcast_shapes(x.shape, y.shape), bool)
        for item in self.artefacts.items:
            if item.kind not in ("coverslip", "fold"):
                touched |= touches(item, x, y, 0.7 * reach)
        return touched | (self.cores.smooth_depth(x, y) > -reach)

    # -- which tiles need painting ------------------------------------------------------------

    def busy(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which tiles (rows x columns) hold anything but even glass; never misses one."""
        side = TILE * self.spec.spacing
        x, y = (columns[None, :] + 0.5) * side, (rows[:, None] + 0.5) * side
        reach = side * math.sqrt(0.5)
        busy = self.artefacts.touches(x, y, reach)
        busy |= self.cores.smooth_depth(x, y) > -1.7 * reach - FLOATING + LOOSE[0]
        return busy

    def even(self, row: int, column: int) -> tuple[int, int, int] | None:
        """Return the colour of a tile that is not `busy`, None if scan fields cut it."""
        if self.seams.there:
            blank = self.seams.blank(column * TILE, row * TILE, TILE)
            return (255, 255, 255) if blank else None
        side = TILE * self.spec.spacing
        at = np.array([(column + 0.5) * side]), np.array([(row + 0.5) * side])
        shade = np.array([1.0, 0.99, 0.97], np.float32) * self.artefacts.behind(*at)
        red, green, blue = (self.glass * np.exp(-shade) + 0.5).astype(np.uint8).tolist()
        return red, green, blue

    # -- fields -------------------------------------------------------------------------------

    def fields(self, row: int, column: int) -> Fields:
        """Return what a tile shows, on its nodes and a margin."""
        reach = np.arange(-self.margin, self.nodes + self.margin + 1)
        xs = (column * self.nodes + reach) * self.step
        ys = (row * self.nodes + reach) * self.step
        tissue = self.cores.at(xs[None, :], ys[:, None], self.cores.rough_grid(xs, ys))
        shape = tissue.depth.shape
        gland = np.full(shape, -60, np.float32)
        lumen = np.full(shape, -60, np.float32)
        look = np.zeros((4, *shape), np.float32)
        look[0], look[1] = 0.2, 0.6
        label = np.where(tissue.depth > 0, 1, 0).astype(np.uint8)
        parts: list[Nuclei] = []
        along = across = angle = loose = bundles = thickness = np.zeros(shape, np.float32)
        mask = np.zeros(shape, bool)
        if tissue.depth.max() > LOOSE[0]:
            self._add_glands(xs, ys, tissue.depth, gland, lumen, look, label, parts)
            along, across, angle = self._course(xs, ys, tissue.angle)
            loose = 0.55 * grid_noise(xs, ys, 340.0, self._keys[3])
            loose += 0.35 * grid_noise(xs, ys, 95.0, self._keys[4])
            patch = grid_noise(xs, ys, 300.0, self._keys[3] + 7)
            patch += 0.4 * grid_noise(xs, ys, 70.0, self._keys[3] + 8)
            bundles = smoothstep((patch - 0.05) * 4)
            uneven = np.float32(self.spec.stain.unevenness)
            thickness = 1 + uneven * grid_noise(xs, ys, 1900.0, self._keys[3] + 5)
            self._add_cords(xs, ys, tissue.pattern, tissue.depth, along, across, gland, look, label)
            parts.append(self._stroma(xs, ys, tissue.depth, gland, angle, tissue.pattern))
            floating = self._floating(xs, ys, tissue.depth)
            parts.append(floating)
            at = self._at(xs, ys, floating)
            for dy in range(-2, 3):
                for dx in range(-2, 3):
                    mask[
                        np.clip(at[0] + dy, 0, shape[0] - 1), np.clip(at[1] + dx, 0, shape[1] - 1)
                    ] = True
        overlay = self.artefacts.on(xs, ys, tissue.depth)
        if overlay is not None:
            mask |= overlay.mask
        # A cell between four nodes is covered where one of them is.
        mask[:, :-1] |= mask[:, 1:]
        mask[:-1] |= mask[1:]
        nuclei = Nuclei.join(parts) if parts else Nuclei.none()
        return Fields(
            xs, ys, tissue.depth, gland, lumen, look, label,
            along, across, angle, loose, bundles, thickness, nuclei, overlay, mask,
        )  # fmt: skip

    def _add_glands(
        self,
        xs: Doubles,
        ys: Doubles,
        depth: Floats,
        gland: Floats,
        lumen: Floats,
        look: Floats,
        label: NDArray[np.uint8],
        parts: list[Nuclei],
    ) -> None:
        first = round(ys[0] / self.step), round(xs[0] / self.step)
        found: list[Nuclei] = []
        owners: list[NDArray[np.int64]] = []
        owner = np.full(depth.shape, -1, np.int64)
        for number, place in enumerate(self.glands.near(xs[0], ys[0], xs[-1], ys[-1])):
            drawn = self.glands.drawn(place)
            row, column = drawn.row - first[0], drawn.column - first[1]
            height, width = drawn.depth.shape
            here = (
                slice(max(row, 0), min(row + height, depth.shape[0])),
                slice(max(column, 0), min(column + width, depth.shape[1])),
            )
            if here[0].start >= here[0].stop or here[1].start >= here[1].stop:
                continue
            there = (
                slice(here[0].start - row, here[0].stop - row),
                slice(here[1].start - column, here[1].stop - column),
            )
            better = drawn.depth[there] > gland[here]
            np.copyto(gland[here], drawn.depth[there], where=better)
            np.copyto(lumen[here], drawn.lumen[there], where=better)
            np.copyto(owner[here], number, where=better)
            for k in range(4):
                np.copyto(look[k][here], np.float32(drawn.look[k]), where=better)
            inside = better & (drawn.depth[there] > 0) & (depth[here] > 0)
            np.copyto(label[here], np.uint8(drawn.label), where=inside)
            found.append(drawn.nuclei)
            owners.append(np.full(len(drawn.nuclei.x), number))
        if not found:
            return
        nuclei, belongs = Nuclei.join(found), np.concatenate(owners)
        inside = self._inside(xs, ys, nuclei)
        nuclei, belongs = nuclei.where(inside), belongs[inside]
        at = self._at(xs, ys, nuclei)
        fits = (owner[at] == belongs) & (depth[at] > 1.0) & (lumen[at] < -1.5)
        parts.append(nuclei.where(fits))

    def _inside(self, xs: Doubles, ys: Doubles, nuclei: Nuclei) -> NDArray[np.bool_]:
        edge = self.step
        return np.asarray(
            (nuclei.x >= xs[0] + edge)
            & (nuclei.x < xs[-1] - edge)
            & (nuclei.y >= ys[0] + edge)
            & (nuclei.y < ys[-1] - edge)
        )

    def _at(self, xs: Doubles, ys: Doubles, nuclei: Nuclei) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the nodes nearest to nuclei."""
        return (
            np.rint((nuclei.y - ys[0]) / self.step).astype(np.int64),
            np.rint((nuclei.x - xs[0]) / self.step).astype(np.int64),
        )

    def _course(self, xs: Doubles, ys: Doubles, main: Floats) -> tuple[Floats, Floats, Floats]:
        """Coordinates along and across the fibres, and their angle."""
        keys = self._keys
        swirl = 150 * grid_noise(xs, ys, 430.0, keys[0])
        swirl += 42 * grid_noise(xs, ys, 140.0, keys[1])
        swirl += 4.5 * grid_noise(xs, ys, 36.0, keys[2])
        swirl += 2.2 * grid_noise(xs, ys, 15.0, keys[2] + 1)
        cosine, sine = np.cos(main), np.sin(main)
        x, y = xs[None, :], ys[:, None]
        across = (y * cosine - x * sine).astype(np.float32) + swirl
        along = (x * cosine + y * sine).astype(np.float32)
        along += 120 * grid_noise(xs, ys, 380.0, keys[5])
        down, right = np.gradient(across)
        return along, across, np.arctan2(-right, down).astype(np.float32)

    def _add_cords(
        self,
        xs: Doubles,
        ys: Doubles,
        pattern: NDArray[np.int64],
        depth: Floats,
        along: Floats,
        across: Floats,
        gland: Floats,
        look: Floats,
        label: NDArray[np.uint8],
    ) -> None:
        """Thin cords and single files of cancer cells between the fibres, pattern 5 only."""
        if not (pattern == 5).any():
            return
        wave = np.sin(across / 7.5) + 1.5 * grid_noise(xs, ys, 46.0, self._keys[6])
        wave += 0.9 * grid_noise(xs, ys, 210.0, self._keys[7])
        cord = (wave - 1.4) * 9
        better = (pattern == 5) & (cord > gland)
        np.copyto(gland, np.asarray(cord, np.float32), where=better)
        look[0][better], look[1][better], look[3][better] = 0.17, 0.75, 0.8
        label[better & (cord > 0) & (depth > 0)] = 5

    def _stroma(
        self,
        xs: Doubles,
        ys: Doubles,
        depth: Floats,
        gland: Floats,
        angle: Floats,
        pattern: NDArray[np.int64],
    ) -> Nuclei:
        """Spindle nuclei along the fibres, clusters of lymphocytes, cancer cells in cords."""
        keys, pitch = self._keys, 9.0
        i, j = places(cells(xs[0], xs[-1], pitch), cells(ys[0], ys[-1], pitch))
        x, y = (i + uniform(i, j, keys[8])) * pitch, (j + uniform(i, j, keys[9])) * pitch
        turn = uniform(i, j, keys[10])
        nuclei = Nuclei(x, y, turn, i, (uniform(i, j, keys[11]) * VARIANTS).astype(np.int64))
        inside = self._inside(xs, ys, nuclei)
        nuclei, i, j = nuclei.where(inside), i[inside], j[inside]
        at = self._at(xs, ys, nuclei)
        crowd = point_noise(nuclei.x, nuclei.y, 160.0, keys[12])
        swarm = point_noise(nuclei.x, nuclei.y, 300.0, keys[13]) + 0.35 * crowd
        chance = uniform(i, j, keys[14])
        in_cord = (pattern[at] == 5) & (gland[at] > 1.5) & (gland[at] < 20)
        free = gland[at] < -3.5
        lymph = free & (chance < np.clip(2.4 * (swarm - 0.66), 0, 0.75))
        spindle = free & ~lymph & (chance < 0.15 + 0.10 * crowd)
        cancer = in_cord & (chance < 0.8)
        form = np.where(turn[inside] < 0.25, PLUMP, SPINDLE)
        form = np.where(lymph, LYMPHOCYTE, np.where(cancer, MALIGNANT, form))
        lean = angle[at] + (nuclei.angle - 0.5) * np.where(spindle, 0.55, 6.0)
        chosen = Nuclei(nuclei.x, nuclei.y, lean.astype(np.float32), form, nuclei.variant)
        return chosen.where((lymph | spindle | cancer) & (depth[at] > 0.5))

    def _floating(self, xs: Doubles, ys: Doubles, depth: Floats) -> Nuclei:
        """Single cells and small clumps torn off the tissue."""
        keys, pitch = self._keys, 8.0
        i, j = places(cells(xs[0], xs[-1], pitch), cells(ys[0], ys[-1], pitch))
        x = (i + uniform(i, j, keys[8] + 1)) * pitch
        y = (j + uniform(i, j, keys[9] + 1)) * pitch
        turn = uniform(i, j, keys[10] + 1)
        form = np.where(turn < 0.5, COLUMNAR, LYMPHOCYTE)
        nuclei = Nuclei(
            x, y, turn * np.float32(math.pi), form, (turn * 997).astype(np.int64) % VARIANTS
        )
        inside = self._inside(xs, ys, nuclei)
        nuclei, i, j = nuclei.where(inside), i[inside], j[inside]
        here = depth[self._at(xs, ys, nuclei)]
        clump = point_noise(nuclei.x, nuclei.y, 38.0, keys[15])
        clump += 0.6 * point_noise(nuclei.x, nuclei.y, 260.0, keys[15] + 1)
        chance = uniform(i, j, keys[14] + 1)
        keep = (here > LOOSE[0]) & (here < LOOSE[1])
        keep &= (chance < 0.7) & (clump > 0.95 - 0.006 * (here - LOOSE[1]))
        return nuclei.where(keep)

    # -- pixels -------------------------------------------------------------------------------

    def paint(
        self, row: int, column: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]:
        """Return pixels (512, 512, 3), and on the nodes' cells labels and artefact mask."""
        fields = self.fields(row, column)
        inner = slice(self.margin, self.margin + self.nodes)
        pixels = np.empty((TILE, TILE, 3), np.uint8)
        seam = self.seams.cut(column * TILE, row * TILE, TILE) if self.seams.there else None
        living = bool(fields.depth.max() > LOOSE[0])
        if not living and fields.overlay is None and seam is None:
            pixels[:] = self.glass.astype(np.uint8)
            return pixels, fields.label[inner, inner], fields.mask[inner, inner]
        nuclei = self._cells(fields, row, column) if living else None
        # Strips fit the processor's cache; whole tiles take twice the time.
        for top in range(0, TILE, STRIP):
            strip = slice(top, top + STRIP)
            density = self._absorb(fields, row, column, strip, nuclei)
            for channel in range(3):
                layer = density[channel]
                if seam is not None:
                    layer += seam[0][strip]
                np.negative(layer, out=layer)
                np.exp(layer, out=layer)
                layer *= self.glass[channel]
                layer += np.float32(0.5)
                pixels[strip, :, channel] = np.minimum(layer, 255, out=layer)
        if seam is not None:
            pixels[~seam[1]] = 255
        return pixels, fields.label[inner, inner], fields.mask[inner, inner]

    def _up(self, field: Floats, strip: slice) -> Floats:
        """Enlarge a field from its nodes to the pixels of some rows of the tile."""
        rows = slice(
            self.margin + strip.start // self.factor, self.margin + strip.stop // self.factor + 1
        )
        columns = slice(self.margin, self.margin + self.nodes + 1)
        return enlarge(field[rows, columns], self.factor)

    def _absorb(
        self, fields: Fields, row: int, column: int, strip: slice, nuclei: Floats | None
    ) -> Floats:
        """Optical density of a strip, shape (3, rows, 512)."""
        density = np.zeros((3, strip.stop - strip.start, TILE), np.float32)
        if nuclei is not None:
            hematoxylin, eosin = self._stained(fields, row, column, strip, nuclei[strip])
            pink = EOSIN + np.float32(self.spec.stain.hue) * HUE
            for channel in range(3):
                np.multiply(hematoxylin, HEMATOXYLIN[channel], out=density[channel])
                density[channel] += eosin * pink[channel]
        if fields.overlay is not None:
            if fields.overlay.thickness is not None:
                density *= self._up(fields.overlay.thickness, strip)
            for channel in range(3):
                density[channel] += self._up(fields.overlay.density[channel], strip)
        return density

    def _stained(
        self, fields: Fields, row: int, column: int, strip: slice, nuclei: Floats
    ) -> tuple[Floats, Floats]:
        """Amount of hematoxylin and eosin at each pixel of a strip."""
        stain = self.spec.stain
        edge = max(1.2, self.spec.spacing)
        grain, mottle = self._textures(row, column, strip)
        weave = self._weave(fields, strip)
        inside = _ramp(
            self._up(fields.depth, strip) + 0.5 * grain + 0.9 * mottle + 1.2 * weave, 1.6 * edge
        )
        gland = self._up(fields.gland, strip) + 0.7 * mottle
        epithelium = _ramp(gland, edge)
        lumen = self._up(fields.lumen, strip) + 0.9 * mottle
        hollow = _ramp(lumen, edge) * epithelium
        cell_h, cell_e, secretion, cleft = (self._up(field, strip) for field in fields.look)
        gap = _ramp(gland + cleft, edge) - epithelium
        eosin = 1.0 + 0.19 * weave + 0.05 * mottle
        eosin *= 1 - 0.85 * np.clip((-1.3 - weave) * 1.1, 0, 1)
        eosin *= 1 - 0.9 * gap
        np.clip(eosin, 0.05, 1.8, out=eosin)
        apical = 1 - 0.4 * np.clip(1 + lumen / 9, 0, 1)
        cell_e *= (1 + 0.16 * mottle) * apical
        cell_h *= (1 + 0.30 * mottle) * apical
        eosin += (cell_e - eosin) * epithelium
        eosin += (secretion * (1 + 0.25 * mottle) - eosin) * hollow
        hematoxylin = 0.03 + (cell_h - 0.03) * epithelium
        hematoxylin *= 1 - hollow
        eosin *= inside
        hematoxylin *= inside
        eosin *= 1 - 0.45 * np.minimum(nuclei, 1)
        hematoxylin += nuclei * (1 + 0.06 * mottle)
        thick = self._up(fields.thickness, strip)
        hematoxylin *= thick * np.float32(stain.hematoxylin)
        eosin *= thick * np.float32(stain.eosin) * (1 + 0.03 * grain)
        return hematoxylin, eosin

    def _textures(self, row: int, column: int, strip: slice) -> tuple[Floats, Floats]:
        period = self._grain.shape[0] - TILE
        top, left = (row * TILE + strip.start) % period, (column * TILE) % period
        here = slice(top, top + STRIP), slice(left, left + TILE)
        return self._grain[here], self._mottle[here]

    def _weave(self, fields: Fields, strip: slice) -> Floats:
        """Look stroma up in its textures: fibres cut lengthwise, bundles cut across."""
        across = self._up(fields.across, strip)
        along = self._up(fields.along, strip)
        bundles = self._up(fields.bundles, strip)
        across *= 2
        row = across.astype(np.int32)
        row &= 1023
        row <<= 10
        column = (along * np.float32(0.25)).astype(np.int32)
        column &= 1023
        weave = self._fibres.take(row | column)
        if bundles.max() > 0:
            along *= 2
            column = along.astype(np.int32)
            column &= 1023
            weave += (self._cobbles.take(row | column) - weave) * bundles
        weave += self._up(fields.loose, strip)
        return np.asarray(weave, np.float32)

    def _cells(self, fields: Fields, row: int, column: int) -> Floats:
        pad = self._stamps.pad * 2
        layer = np.zeros((TILE + 2 * pad, TILE + 2 * pad), np.float32)
        self._stamps.stamp(layer, column * TILE - pad, row * TILE - pad, fields.nuclei)
        return layer[pad:-pad, pad:-pad]


def _ramp(distance: Floats, edge: float) -> Floats:
    """Return 0 to 1 over `edge` µm around an outline."""
    return np.asarray(np.clip(distance * np.float32(1 / edge) + np.float32(0.5), 0, 1))


@cache
def _fibres() -> Floats:
    """Texture of fibres, mean 0, deviation 1: 0.5 µm across (rows), 4 µm along (columns)."""
    rng = generator(TEXTURE, 31)
    total = np.zeros((1024, 1024), np.float32)
    for across, along, weight in ((1.3, 1.6, 0.5), (3.5, 4.5, 0.65), (11.0, 10.0, 0.5)):
        layer = rng.standard_normal(total.shape, np.float32)
        layer = gaussian_filter(layer, (across, along), mode="wrap")
        total += np.float32(weight) * layer / layer.std()
    return np.asarray(total / total.std(), np.float32)


@cache
def _cobbles() -> Floats:
    """Texture of bundles cut across, 0.5 µm a texel: patches with pale seams between them."""
    rng = generator(TEXTURE, 33)
    coarse, fine = (rng.standard_normal((1024, 1024), np.float32) for _ in range(2))
    patches = gaussian_filter(coarse, 9.0, mode="wrap") - gaussian_filter(coarse, 20.0, mode="wrap")
    patches /= patches.std()
    fine = gaussian_filter(fine, 2.2, mode="wrap")
    seams = np.exp(-((patches / np.float32(0.28)) ** 2))
    total = 0.65 + 0.35 * fine / fine.std() + 0.3 * np.abs(patches) - 2.1 * seams
    return np.asarray(total, np.float32)


@lru_cache(maxsize=4)
def _grain(spacing: float) -> tuple[Floats, Floats]:
    """Fine (0.5 µm) and coarser (1.4 µm) even textures, 1024 pixels period, one tile over."""
    rng = generator(TEXTURE, 32)
    textures = []
    for size in (0.5, 1.4):
        layer = rng.standard_normal((1024, 1024), np.float32)
        if size / spacing > 0.3:
            layer = gaussian_filter(layer, size / spacing, mode="wrap")
        layer = np.asarray(layer / layer.std(), np.float32)
        textures.append(np.pad(layer, ((0, TILE), (0, TILE)), mode="wrap"))
    return textures[0], textures[1]
