"""The pixels of one tile of a phantom, from its spec alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_maskvit.slide.phantom.fields import TILE, Fields, Ground, Living
from napari_maskvit.slide.phantom.noise import Floats, enlarge
from napari_maskvit.slide.phantom.nuclei import Nuclei, Stamps
from napari_maskvit.slide.phantom.spec import PhantomSpec
from napari_maskvit.slide.phantom.stroma import Course
from napari_maskvit.slide.phantom.textures import cobbles, fibres, grain

STRIP = 64  # rows of pixels computed at once

# Optical density of one unit of stain for red, green, blue, fitted by eye to prostate biopsies.
HEMATOXYLIN = np.array([0.88, 1.22, 0.68], np.float32)
EOSIN = np.array([0.115, 0.365, 0.182], np.float32)
HUE = np.array([-0.02, 0.0, 0.06], np.float32)


class Painter:
    """Paints any tile of a phantom; what it returns depends on the spec and the tile alone.

    Parameters
    ----------
    spec
        The slide. Safe to use from several threads.
    """

    def __init__(self, spec: PhantomSpec) -> None:
        self.spec = spec
        self.ground = Ground(spec)
        self._stamps = Stamps(spec.spacing)
        self._fibres = fibres()
        self._cobbles = cobbles()
        self._grain, self._mottle = grain(spec.spacing, TILE)
        self._glass: Floats = np.array(spec.stain.glass, np.float32)

    def paint(
        self, row: int, column: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]:
        """Return pixels (512, 512, 3), and labels and artefact mask of the cells between nodes."""
        fields = self.ground.fields(row, column)
        pixels = np.empty((TILE, TILE, 3), np.uint8)
        seam = (
            self.ground.seams.cut(column * TILE, row * TILE, TILE)
            if self.ground.seams.there
            else None
        )
        if fields.living is None and fields.overlay is None and seam is None:
            pixels[:] = self._glass.astype(np.uint8)
            return pixels, fields.labels, fields.artefacts
        nuclei = None if fields.living is None else self._cells(fields.living.nuclei, row, column)
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
                layer *= self._glass[channel]
                layer += np.float32(0.5)
                pixels[strip, :, channel] = np.minimum(layer, 255, out=layer)
        if seam is not None:
            pixels[~seam[1]] = 255
        return pixels, fields.labels, fields.artefacts

    def _up(self, field: Floats, strip: slice) -> Floats:
        """Enlarge a field from its nodes to the pixels of some rows of the tile."""
        rows = slice(
            self.ground.margin + strip.start // self.ground.factor,
            self.ground.margin + strip.stop // self.ground.factor + 1,
        )
        columns = slice(self.ground.margin, self.ground.margin + self.ground.nodes + 1)
        return enlarge(field[rows, columns], self.ground.factor)

    def _absorb(
        self, fields: Fields, row: int, column: int, strip: slice, nuclei: Floats | None
    ) -> Floats:
        """Optical density of a strip, shape (3, rows, 512)."""
        density = np.zeros((3, strip.stop - strip.start, TILE), np.float32)
        if fields.living is not None and nuclei is not None:
            hematoxylin, eosin = self._stained(fields.living, row, column, strip, nuclei[strip])
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
        self, living: Living, row: int, column: int, strip: slice, nuclei: Floats
    ) -> tuple[Floats, Floats]:
        """Amount of hematoxylin and eosin at each pixel of a strip."""
        stain = self.spec.stain
        edge = max(1.2, self.spec.spacing)
        grain, mottle = self._textures(row, column, strip)
        weave = self._weave(living.course, strip)
        inside = _ramp(
            self._up(living.depth, strip) + 0.5 * grain + 0.9 * mottle + 1.2 * weave, 1.6 * edge
        )
        gland = self._up(living.gland, strip) + 0.7 * mottle
        epithelium = _ramp(gland, edge)
        lumen = self._up(living.lumen, strip) + 0.9 * mottle
        hollow = _ramp(lumen, edge) * epithelium
        cell_h, cell_e, secretion, cleft = (self._up(field, strip) for field in living.look)
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
        thick = self._up(living.thickness, strip)
        hematoxylin *= thick * np.float32(stain.hematoxylin)
        eosin *= thick * np.float32(stain.eosin) * (1 + 0.03 * grain)
        return hematoxylin, eosin

    def _textures(self, row: int, column: int, strip: slice) -> tuple[Floats, Floats]:
        period = self._grain.shape[0] - TILE
        top, left = (row * TILE + strip.start) % period, (column * TILE) % period
        here = slice(top, top + STRIP), slice(left, left + TILE)
        return self._grain[here], self._mottle[here]

    def _weave(self, course: Course, strip: slice) -> Floats:
        """Look stroma up in its textures: fibres cut lengthwise, bundles cut across."""
        across = self._up(course.across, strip)
        along = self._up(course.along, strip)
        bundles = self._up(course.bundles, strip)
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
        weave += self._up(course.loose, strip)
        return np.asarray(weave, np.float32)

    def _cells(self, nuclei: Nuclei, row: int, column: int) -> Floats:
        pad = self._stamps.pad * 2
        layer = np.zeros((TILE + 2 * pad, TILE + 2 * pad), np.float32)
        self._stamps.stamp(layer, column * TILE - pad, row * TILE - pad, nuclei)
        return layer[pad:-pad, pad:-pad]


def _ramp(distance: Floats, edge: float) -> Floats:
    """Return 0 to 1 over `edge` µm around an outline."""
    return np.asarray(np.clip(distance * np.float32(1 / edge) + np.float32(0.5), 0, 1))
