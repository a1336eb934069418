"""What is out of date: patches whose tissue changed since they were looked at, under a veil."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_maskvit.viewer.layers.boxes import Box
from napari_maskvit.viewer.layers.placing import (
    FLAT,
    TAG,
    geometry,
    insert_quietly,
    kind_of,
    remove,
)

if TYPE_CHECKING:
    import napari
    from numpy.typing import NDArray

    from napari_maskvit.explain import Explanation, Heatmap

VEIL = (0.55, 0.55, 0.55)


class Stale:
    """Patches that wait for a run, and the layer that shows them.

    The layer is hidden while nothing is out of date.

    Parameters
    ----------
    viewer
        Where the layer goes.
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        self.viewer = viewer
        self.layer: Any = None
        self.patches: NDArray[np.bool_] = np.zeros((0, 0), bool)
        self._step = self._spacing = 0.0
        self._around = 0

    def lay_out(self, explanation: Explanation) -> None:
        """Take the lattice of an explanation; what was out of date on another is forgotten."""
        tokens = explanation.levels["patch"]
        side = tokens.window or 1
        shape = (-(-tokens.shape[0] // side), -(-tokens.shape[1] // side))
        step, spacing = tokens.step * side, explanation.slide_spacing
        region = explanation.levels.get("region")
        self._around = (region.window or 0) if region is not None else 0
        if (shape, step, spacing) != (self.patches.shape, self._step, self._spacing):
            self.drop()
            self.patches = np.zeros(shape, bool)
            self._step, self._spacing = step, spacing

    def add(self, box: Box, where: NDArray[np.bool_], um: float) -> None:
        """Mark patches as out of date.

        Parameters
        ----------
        box
            Rows and columns of the mask that changed.
        where
            Pixels of the box whose tissue changed.
        um
            Side of a mask pixel.
        """
        if not self.patches.size or not where.any():
            return
        side = self._step * self._spacing / um
        starts = []
        for axis, span in enumerate(box):
            # A pixel across a border counts for the patch that its centre lies in.
            cells = ((np.arange(span.start, span.stop) + 0.5) / side).astype(int)
            cells, first = np.unique(cells.clip(0, self.patches.shape[axis] - 1), return_index=True)
            where = np.logical_or.reduceat(where, first, axis=axis)
            starts.append(cells)
        self.patches[np.ix_(*starts)] |= where

    def done(self, places: Iterable[tuple[int, int]]) -> None:
        """These patches (row, column) are up to date again."""
        for row, column in places:
            if row < self.patches.shape[0] and column < self.patches.shape[1]:
                self.patches[row, column] = False

    def clear(self) -> None:
        """Everything is up to date."""
        self.patches[...] = False

    def drop(self) -> None:
        """Forget everything, the layer too."""
        self.patches = np.zeros((0, 0), bool)
        self._step = self._spacing = 0.0
        if self.layer is not None:
            remove(self.viewer, [self.layer])
            self.layer = None

    @property
    def any(self) -> bool:
        """Whether something is out of date."""
        return bool(self.patches.any())

    @property
    def is_shown(self) -> bool:
        """Whether the veil is there to be seen."""
        return self.layer is not None and bool(self.layer.visible)

    def cells(self, level: str) -> NDArray[np.bool_]:
        """Patches whose picture at a level is out of date.

        A patch's own attention depends on it alone, a region's on each of its patches, and the
        slide's on everything.
        """
        if level == "slide" and self.any:
            return np.ones_like(self.patches)
        if level == "region" and self._around:
            n = self._around
            rows, columns = (-(-side // n) for side in self.patches.shape)
            whole = np.zeros((rows * n, columns * n), bool)
            whole[: self.patches.shape[0], : self.patches.shape[1]] = self.patches
            around = whole.reshape(rows, n, columns, n).any(axis=(1, 3))
            spread = around.repeat(n, axis=0).repeat(n, axis=1)
            return spread[: self.patches.shape[0], : self.patches.shape[1]]
        return self.patches

    def show(self, level: str, visible: bool) -> None:
        """Veil what is out of date at a level."""
        wanted = visible and self.any
        if not wanted:
            if self.is_shown:
                self.layer.visible = False
            return
        self.prepare()
        self.layer.data[...] = self.cells(level)
        if self.layer.visible:
            self.layer.refresh(extent=False, thumbnail=False, highlight=False)
        else:
            self.layer.visible = True

    def prepare(self) -> None:
        """Put the layer among the others, unless it is there."""
        if self.patches.size and (self.layer is None or self.layer not in self.viewer.layers):
            self.layer = self._make()

    def _make(self) -> Any:
        from napari.layers import Image
        from napari.utils.colormaps import Colormap

        layer = Image(
            np.zeros(self.patches.shape, np.uint8),
            name="out of date",
            colormap=Colormap([[*VEIL, 0], [*VEIL, 1]], name="out of date"),
            contrast_limits=(0, 1),
            opacity=0.6,
            interpolation2d="nearest",
            blending=FLAT,
            visible=False,
            metadata={TAG: {"kind": "stale"}},
            **geometry(self._step, self._spacing),
        )
        kinds = [kind_of(one) for one in self.viewer.layers]
        place = kinds.index("outline") if "outline" in kinds else len(kinds)
        insert_quietly(self.viewer, place, layer)
        return layer


def kept_where_stale(
    fresh: Heatmap, before: Heatmap | None, stale: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """A picture of an unfinished update: what is not there yet stays as it was.

    Parameters
    ----------
    fresh
        The picture so far, NaN where patches are missing.
    before
        The picture on display.
    stale
        Patches (rows, columns) that were out of date when the update began.
    """
    if before is None or before.array.shape != fresh.array.shape or not stale.size:
        return fresh.array
    ratios = [
        cells / patches for cells, patches in zip(fresh.array.shape, stale.shape, strict=True)
    ]
    rows, columns = (
        np.minimum((np.arange(cells) / ratio).astype(int), patches - 1)
        for cells, ratio, patches in zip(fresh.array.shape, ratios, stale.shape, strict=True)
    )
    waiting = np.isnan(fresh.array) & stale[np.ix_(rows, columns)]
    return np.where(waiting, before.array, fresh.array)
