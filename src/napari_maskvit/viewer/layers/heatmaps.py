"""Attention over a slide: a layer a level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_maskvit.viewer.display import LEVELS, Display
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

    from napari_maskvit.explain import Explanation, Heatmap

ATTENTION_NAMES = {level: f"attention: {level}" for level in LEVELS}


class HeatmapLayers:
    """One float32 image a level, over one slide; only what is seen is computed.

    Parameters
    ----------
    viewer
        Where the layers live.
    suffix
        Appended to their names, to tell plain attention from masked.
    """

    def __init__(self, viewer: napari.Viewer, suffix: str = "") -> None:
        self.viewer = viewer
        self.suffix = suffix
        self.layers: dict[str, Any] = {}
        self.pictures: dict[str, Heatmap] = {}
        self.limits: dict[str, tuple[float, float]] = {}
        self._explanation: Explanation | None = None
        self._display = Display()
        self.titled = False
        self._applying = False

    def explain(
        self, explanation: Explanation, display: Display, ready: dict[str, Heatmap] | None = None
    ) -> None:
        """Show an explanation; ``ready`` are pictures of it that were made beforehand."""
        self._explanation, self._display = explanation, display
        self.pictures = dict(ready or {})
        levels = explanation.heatmap_levels
        for name in [name for name in self.layers if name not in levels]:
            # A run that goes on may come to show what it has no layer for yet.
            if explanation.complete or _is_filled(self.layers[name]):
                remove(self.viewer, [self.layers.pop(name)])
        # napari takes a tenth of a second for each: while a run goes on, `Ahead` makes the others.
        for level in levels if explanation.complete else ():
            self._have(level)
        self._paint()

    def make(self, level: str, shape: tuple[int, int], step: float, spacing: float) -> None:
        """Have the layer of a level, hidden, unless it is there.

        Parameters
        ----------
        level
            A level, or "factorised".
        shape, step
            Of the finest lattice: rows and columns, side of a cell in level-0 pixels.
        spacing
            µm of a level-0 pixel.
        """
        from napari.layers import Image

        if self.layers.get(level) in self.viewer.layers:
            return
        layer = Image(
            np.full(shape, np.nan, np.float32),
            name=self._name(level),
            metadata={TAG: {"kind": "attention", "level": level}},
            contrast_limits=(0.0, 1.0),
            interpolation2d="nearest",
            blending=FLAT,
            visible=False,
            **geometry(step, spacing),
        )
        insert_quietly(self.viewer, self._place(level), layer)
        layer.events.visible.connect(self._on_eye)
        _title(layer, self.titled)
        self.layers[level] = layer

    def preview(self, pictures: dict[str, Heatmap]) -> None:
        """Show pictures of an unfinished update in place of those on display."""
        self.pictures.update(pictures)
        self._paint()

    def show(self, display: Display) -> None:
        """Follow a change of the display; values are computed again only where they differ."""
        if display.values_key != self._display.values_key:
            self.pictures.clear()
        self._display = display
        self._paint()

    def set_titles(self, on: bool) -> None:
        """Write the layers' names into the view, to tell two views apart."""
        self.titled = on
        for level, layer in self.layers.items():
            layer.name = self._name(level)
            _title(layer, on)

    def clear(self) -> None:
        """Take the layers away."""
        remove(self.viewer, list(self.layers.values()))
        self.layers.clear()
        self.pictures.clear()
        self._explanation = None

    def picture(self, level: str) -> Heatmap | None:
        """The heatmap of a level under the current display."""
        if level not in self.pictures and self._explanation is not None:
            self.pictures[level] = heatmap_for(self._explanation, level, self._display)
        return self.pictures.get(level)

    def set_limits(self, level: str, limits: tuple[float, float]) -> None:
        """Fix a level's colour scale, so that two sets of layers can be compared."""
        self.limits[level] = limits
        layer = self.layers.get(level)
        if layer is not None:
            _set_limits(layer, limits)

    def _have(self, level: str) -> None:
        """Make the layer of a level, unless it is there or there is nothing to show in it."""
        explanation = self._explanation
        if explanation is not None and level in explanation.heatmap_levels:
            # Every level is shown on the finest one's lattice, so that glass looks like glass.
            finest = min(explanation.levels.values(), key=lambda one: one.step)
            self.make(level, finest.shape, finest.step, explanation.slide_spacing)

    @property
    def in_order(self) -> list[Any]:
        """The layers, lowest first."""
        return [self.layers[level] for level in LEVELS if level in self.layers]

    @property
    def current_level(self) -> str | None:
        """The level on display; the first one there is where the chosen one is missing."""
        explained = self._explanation.heatmap_levels if self._explanation else ()
        there = [level for level in explained if level in self.layers]
        return self._display.level if self._display.level in there else next(iter(there), None)

    def _name(self, level: str) -> str:
        """What a layer is called; beside plain attention, that it is the masked one."""
        return ATTENTION_NAMES[level] + (self.suffix or (" (masked)" if self.titled else ""))

    def _place(self, level: str) -> int:
        """Above the slide, the mask's fill and the levels before it; under the outline."""
        below = LEVELS[: LEVELS.index(level)]
        mine = [self.layers[name] for name in below if self.layers.get(name) in self.viewer.layers]
        if mine:
            return max(self.viewer.layers.index(layer) for layer in mine) + 1
        above = [layer for layer in self.layers.values() if layer in self.viewer.layers]
        if above:
            return min(self.viewer.layers.index(layer) for layer in above)
        kinds = [kind_of(layer) for layer in self.viewer.layers]
        return kinds.index("outline") if "outline" in kinds else len(kinds)

    def _paint(self) -> None:
        self._applying = True
        try:
            self._have(self._display.level)
            chosen = self.current_level
            for level, layer in self.layers.items():
                visible = self._display.visible and level == chosen
                if visible:
                    self._fill(level, layer)
                _set(layer, colormap=self._display.colormap, opacity=self._display.opacity)
                _set(layer, visible=visible)
        finally:
            self._applying = False

    def _fill(self, level: str, layer: Any) -> None:
        heatmap = self.picture(level)
        if heatmap is None or layer.metadata[TAG].get("shown") is heatmap:
            return
        if layer.data.shape == heatmap.array.shape:
            # In place: no new texture, no new extent, so that frames stay cheap while a run grows.
            np.copyto(layer.data, heatmap.array)
            layer.refresh(extent=False, thumbnail=False, highlight=False)
        else:
            # A finer grid: the same place on the slide in other pixels.
            slide_spacing = heatmap.spacing / heatmap.step
            layer.data = heatmap.array.copy()
            for name, value in geometry(heatmap.step, slide_spacing).items():
                setattr(layer, name, value)
        layer.metadata[TAG]["shown"] = heatmap
        _set_limits(layer, self.limits.get(level, heatmap.limits))

    def _on_eye(self, event: Any) -> None:
        """A person opened an eye in the layer list: show what belongs there."""
        if self._applying or not event.source.visible:
            return
        level = event.source.metadata[TAG]["level"]
        if self.layers.get(level) is event.source:
            self._fill(level, event.source)


def heatmap_for(explanation: Explanation, level: str, display: Display) -> Heatmap:
    """The heatmap of a level as the display asks for; a head it lacks becomes the mean."""
    return explanation.heatmap(
        level,
        head=explanation.usable_head(level, display.head),
        normalisation=display.normalisation,
        scope=display.scope,
        gamma=display.gamma,
        combine=display.combine,
    )


def _is_filled(layer: Any) -> bool:
    return "shown" in layer.metadata[TAG]


def _set(layer: Any, **values: Any) -> None:
    """Set what differs: napari rebuilds its scene whenever it is told something again."""
    for name, value in values.items():
        now = getattr(layer, name)
        if (now.name if name == "colormap" else now) != value:
            setattr(layer, name, value)


def _title(layer: Any, on: bool) -> None:
    layer.name_overlay.visible = on
    layer.name_overlay.box = on
    layer.name_overlay.position = "top_left"


def _set_limits(layer: Any, limits: tuple[float, float]) -> None:
    low, high = limits
    if tuple(layer.contrast_limits) != (low, high):
        layer.contrast_limits_range = (min(low, 0.0), max(high, low + 1e-6))
        layer.contrast_limits = (low, max(high, low + 1e-6))
