"""Layers of gain and loss: two colours about 0, glass shown as glass."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

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

    from napari_maskvit.explain.signed import SignedHeatmap

OPACITY, FADED = 0.9, 0.25
FAINTEST = 0.15
"""Opacity at 0, so that the slide is seen where there is next to nothing to tell."""


class SignedLayers:
    """One float32 image a level, of values about 0.

    Parameters
    ----------
    viewer
        Where the layers live.
    what
        What they show, in a word; the layers are called ``what: level``.
    """

    def __init__(self, viewer: napari.Viewer, what: str) -> None:
        self.viewer, self.what = viewer, what
        self.layers: dict[str, Any] = {}
        self.faded = False

    def show(self, level: str, picture: SignedHeatmap, slide_spacing: float) -> None:
        """Show a level, and hide the others.

        Parameters
        ----------
        level
            Names the layer.
        picture
            Values about 0; NaN is transparent.
        slide_spacing
            µm a level-0 pixel.
        """
        array, limits = picture.array, picture.limits
        layer = self.layers.get(level)
        if layer is None or layer not in self.viewer.layers or layer.data.shape != array.shape:
            remove(self.viewer, [layer] if layer is not None else [])
            layer = self.layers[level] = self._make(level, picture, slide_spacing)
        else:
            np.copyto(layer.data, array)
            layer.refresh(extent=False, thumbnail=False, highlight=False)
        if tuple(layer.contrast_limits) != limits:
            layer.contrast_limits_range = layer.contrast_limits = limits
        for name, other in self.layers.items():
            if other.visible != (name == level):
                other.visible = name == level

    def value_at(self, x: float, y: float) -> float | None:
        """Value under a level-0 pixel; NaN on glass, None where no layer is seen."""
        for layer in self.layers.values():
            if layer.visible and layer in self.viewer.layers:
                step = layer.metadata[TAG]["step"]
                row, column = int(y // step), int(x // step)
                rows, columns = layer.data.shape
                if 0 <= row < rows and 0 <= column < columns:
                    return float(layer.data[row, column])
        return None

    def fade(self, on: bool) -> None:
        """Show faintly what no longer holds; between, the opacity is a person's own."""
        if on != self.faded:
            self.faded = on
            for layer in self.layers.values():
                layer.opacity = FADED if on else OPACITY

    def clear(self) -> None:
        """Take the layers away."""
        remove(self.viewer, list(self.layers.values()))
        self.layers.clear()

    def _make(self, level: str, picture: SignedHeatmap, slide_spacing: float) -> Any:
        from napari.layers import Image

        layer = Image(
            picture.array.copy(),
            name=f"{self.what}: {level}",
            colormap=_colours(),
            contrast_limits=(-1.0, 1.0),
            interpolation2d="nearest",
            blending=FLAT,
            opacity=FADED if self.faded else OPACITY,
            metadata={TAG: {"kind": self.what, "level": level, "step": picture.step}},
            **geometry(picture.step, slide_spacing),
        )
        # Over the marks of what was added and removed, whose colours would mix with these.
        kinds = [kind_of(one) for one in self.viewer.layers]
        beside = kinds.index("copy") if "copy" in kinds else len(kinds)
        insert_quietly(self.viewer, beside, layer)
        return layer


@cache
def _colours() -> Any:
    from cmap import Colormap as Catalogue
    from napari.utils.colormaps import Colormap

    from napari_maskvit.explain.signed import DIVERGING

    share = np.linspace(0, 1, 255)  # an odd number, so that one colour is 0's own
    colours = np.asarray(Catalogue(DIVERGING)(share)).copy()
    colours[:, 3] = FAINTEST + (1 - FAINTEST) * np.sqrt(np.abs(2 * share - 1))
    return Colormap(colours, name="gain and loss")
