"""A slide as a layer: read lazily, level by level."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_maskvit.viewer.layers.placing import TAG, geometry

if TYPE_CHECKING:
    from napari_maskvit.slide import Slide


def slide_layer_data(slide: Slide) -> tuple[Any, dict[str, Any], str]:
    """A lazily read multiscale RGB image of a slide, as napari's LayerData."""
    source = {
        "kind": "slide",
        "path": str(Path(slide.path).absolute()),
        "identity": slide.identity,
        "spacing": slide.spacing,
        "spacing_source": slide.spacing_source,
    }
    arguments = {
        "name": slide.name,
        "rgb": True,
        "multiscale": True,
        "cache": False,  # decoded tiles are kept below, within a bound
        "metadata": {TAG: source, "slide": slide},
        **geometry(1.0, slide.spacing),
    }
    return list(slide.levels), arguments, "image"
