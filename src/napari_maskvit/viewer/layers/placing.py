"""What every layer made here has in common: its tag, its geometry, its place among the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import napari

TAG = "maskvit"
"""Key of a layer's metadata under which the layers made here are known."""

FLAT = "translucent_no_depth"
"""Blending of layers in one plane. napari's own choice for all but the lowest also compares
the depth of each pixel, a fifth of what such a layer costs where a processor draws."""

_OF_PIXELS = ("set_data", "labels_update", "paint", "_extent_augmented")
"""Events of which napari's list of layers would hear and draw itself, twice, and with it the whole
window: at each move of a brush, for each new picture. It shows nothing of what they tell."""


def geometry(step_px: float, spacing: float | None) -> dict[str, Any]:
    """Scale, translate and units of a layer over a slide.

    Parameters
    ----------
    step_px
        Side of a layer pixel in level-0 pixels.
    spacing
        µm of a level-0 pixel; None, as long as nobody knows, counts a pixel as 1 µm.

    Returns
    -------
    dict
        Layer arguments. napari puts the *centre* of the first pixel at the origin, so that a
        coarser layer has to move by half the difference for its corner to meet the slide's. The
        unit is the same for all: beside a layer in pixels napari leaves out every unit, loudly.
    """
    um = spacing or 1.0
    shift = (step_px - 1) / 2 * um
    return {"scale": (step_px * um,) * 2, "translate": (shift, shift), "units": ("um", "um")}


def level0_position(world: Sequence[float], spacing: float | None) -> tuple[float, float]:
    """Level-0 pixel (x, y) under a world position (..., y, x)."""
    um = spacing or 1.0
    return world[-1] / um + 0.5, world[-2] / um + 0.5


def kind_of(layer: Any) -> str | None:
    """Which of our layers this is ("slide", "mask", "outline", "attention"), if it is one."""
    tag = layer.metadata.get(TAG)
    return str(tag.get("kind")) if isinstance(tag, dict) else None


def insert_quietly(viewer: napari.Viewer, index: int, layer: Any) -> None:
    """Add a layer at its place in the stack and leave the selection as it was."""
    selected = set(viewer.layers.selection)
    active = viewer.layers.selection.active
    empty = not viewer.layers
    viewer.layers.insert(index, layer)
    for name in set(layer.events.emitters).intersection(_OF_PIXELS):
        layer.events[name].disconnect(layer.events)
    if not empty:
        viewer.layers.selection = selected
        viewer.layers.selection.active = active


def remove(viewer: napari.Viewer, layers: Sequence[Any]) -> None:
    """Take layers away, those that are still there."""
    for layer in layers:
        if layer in viewer.layers:
            viewer.layers.remove(layer)
