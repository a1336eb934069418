"""Masked and plain attention side by side: two views that move as one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_maskvit.viewer.layers.marks import outline_only
from napari_maskvit.viewer.layers.placing import FLAT, TAG, insert_quietly, remove

if TYPE_CHECKING:
    import napari


FOLLOW_MS = 60
SEEN = 0.95
"""Share of a view that the slide fills."""


class SideBySide:
    """napari's grid, with everything there was on the left and plain attention on the right.

    The grid groups layers by their place in the list: the lowest ``stride`` layers share the first
    view, the rest the second, and all cameras move together.

    Parameters
    ----------
    viewer
        The viewer to divide.
    slide_layer
        The slide, of which the right side shows the same pixels.
    """

    def __init__(self, viewer: napari.Viewer, slide_layer: Any) -> None:
        from napari.layers import Image
        from superqt.utils import qdebounced

        self.viewer = viewer
        self._soon = qdebounced(self._follow, timeout=FOLLOW_MS)
        self._arranging = False
        self._outline: Any = None
        self._plain: list[Any] = []
        grid = viewer.canvas.grid
        self._before = (grid.enabled, grid.stride, grid.shape, grid.spacing)
        self.slide = Image(
            list(slide_layer.data),
            name=f"{slide_layer.name} (plain)",
            rgb=True,
            multiscale=True,
            scale=slide_layer.scale,
            translate=slide_layer.translate,
            units=slide_layer.units,
            blending=FLAT,
            metadata={TAG: {"kind": "copy"}},
        )
        insert_quietly(viewer, len(viewer.layers), self.slide)
        viewer.layers.events.inserted.connect(self._on_layers)
        viewer.layers.events.removed.connect(self._on_layers)

    def arrange(self, outline: Any, plain: Iterable[Any] | None = None) -> None:
        """Sort layers to their sides.

        Parameters
        ----------
        outline
            The mask's outline on the left, shown on the right as well; or None.
        plain
            Layers that belong on the right; None leaves them as they are.
        """
        if plain is not None:
            self._plain = list(plain)
        self._mirror(outline)
        self._arrange()

    def close(self) -> None:
        """One view again."""
        layers = self.viewer.layers
        self._soon.cancel()
        layers.events.inserted.disconnect(self._on_layers)
        layers.events.removed.disconnect(self._on_layers)
        grid = self.viewer.canvas.grid
        whole = self._sees_all()
        grid.enabled, grid.stride, grid.shape, grid.spacing = self._before
        if whole:
            self._fit()
        remove(self.viewer, [self.slide, *([self._outline] if self._outline else [])])

    def _mirror(self, outline: Any) -> None:
        from napari.layers import Labels

        if self._outline is not None and self._outline.metadata[TAG]["of"] is outline:
            return
        if self._outline is not None:
            remove(self.viewer, [self._outline])
            self._outline = None
        if outline is None:
            return
        self._outline = Labels(
            list(outline.data),
            multiscale=True,
            name=f"{outline.name} (plain)",
            colormap=outline_only(),
            opacity=outline.opacity,
            blending=FLAT,
            scale=outline.scale,
            translate=outline.translate,
            units=outline.units,
            metadata={TAG: {"kind": "copy", "of": outline}},
        )
        outline.events.set_data.connect(lambda: self._follow(outline))
        # Under the brush it is drawn in boxes, many a second.
        outline.events.labels_update.connect(lambda: self._soon(outline))
        insert_quietly(self.viewer, len(self.viewer.layers), self._outline)

    def _follow(self, outline: Any) -> None:
        copy = self._outline
        if copy is not None and copy.metadata[TAG]["of"] is outline:
            copy.refresh(extent=False)

    def _on_layers(self, event: Any) -> None:
        if not self._arranging:
            self._arrange()

    def _arrange(self) -> None:
        layers = self.viewer.layers
        right = [
            layer
            for layer in [self.slide, *self._plain, self._outline]
            if layer is not None and layer in layers
        ]
        self._arranging = True
        try:
            wanted = [layer for layer in layers if layer not in right] + right
            for place, layer in enumerate(wanted):
                here = layers.index(layer)
                if here != place:
                    layers.move(here, place)
        finally:
            self._arranging = False
        grid = self.viewer.canvas.grid
        grid.stride = max(1, len(layers) - len(right))
        grid.shape = (1, 2)
        grid.spacing = 0.01
        if grid.enabled != bool(right):
            whole = self._sees_all()
            grid.enabled = bool(right)
            if whole:
                self._fit()

    def _fit(self) -> None:
        """Show all of the slide: napari would fit the lattices, too, which reach beyond it."""
        height, width = self.viewer.canvas.size
        room = np.array([height, width / (2 if self.viewer.canvas.grid.enabled else 1)])
        low, high = self.slide.extent.world[:, -2:]
        camera = self.viewer.scene.camera
        camera.center = (*camera.center[:-2], *((low + high) / 2))
        camera.zoom = float(SEEN * (room / (high - low)).min())

    def _sees_all(self) -> bool:
        """Whether the view holds all of the slide, so that a smaller view should do so, too."""
        height, width = self.viewer.canvas.size
        zoom = self.viewer.scene.camera.zoom
        low, high = self.slide.extent.world[:, -2:]
        return bool(np.all((high - low) * zoom <= 1.1 * np.array([height, width])))
