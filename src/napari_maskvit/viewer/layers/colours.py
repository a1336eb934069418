"""Colours of tissue and of what is no tissue, wherever a mask is drawn or painted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_maskvit.tissue.kinds import EXCLUDED

Colour = tuple[float, ...]

TISSUE_COLOUR = (0.0, 0.55, 0.60, 1.0)
KIND_ALPHA = 0.5
KIND_COLOURS = {
    kind.value: (*(part / 255 for part in kind.colour), KIND_ALPHA) for kind in EXCLUDED
}
CLEAR = (0.0, 0.0, 0.0, 0.0)


def label_colours(colours: Mapping[int, Colour], other: Colour = CLEAR) -> Any:
    """A colormap of a Labels layer: 0 is clear, and what is not named has the colour ``other``."""
    from napari.utils.colormaps import DirectLabelColormap

    table: dict[int | None, Any] = {None: other, 0: CLEAR}
    table.update(colours.items())
    return DirectLabelColormap(color_dict=table)
