"""What did the model look at? Masked hierarchical Vision Transformers on whole-slide images.

The public names are imported when first used, so that ``import napari_maskvit`` loads neither
torch nor napari.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_maskvit.explain import Explainer, Explanation, Heatmap
    from napari_maskvit.model import Model, list_models, load_model, masked_forward
    from napari_maskvit.slide import Slide, open_slide
    from napari_maskvit.tissue import TissueMask, TissueParameters, segment_tissue

__all__ = [
    "Explainer",
    "Explanation",
    "Heatmap",
    "Model",
    "Slide",
    "TissueMask",
    "TissueParameters",
    "list_models",
    "load_model",
    "masked_forward",
    "open_slide",
    "segment_tissue",
]

_ROOMS = {
    "slide": ("open_slide", "Slide"),
    "tissue": ("segment_tissue", "TissueMask", "TissueParameters"),
    "model": ("load_model", "list_models", "masked_forward", "Model"),
    "explain": ("Explainer", "Explanation", "Heatmap"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("napari-maskvit")
    if name in _ROOM_OF:
        return getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
