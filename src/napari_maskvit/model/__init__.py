"""Masked attention, the hierarchy built on it, and the bundles that models come in.

The names are imported when first used: listing models or reading a prediction needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_maskvit.model.bundle import save_bundle
    from napari_maskvit.model.config import (
        ModelConfig,
        PatchArchitecture,
        RegionArchitecture,
        SlideArchitecture,
    )
    from napari_maskvit.model.device import resolve_device, resolve_precision
    from napari_maskvit.model.masked import masked_forward
    from napari_maskvit.model.model import Model, build_model
    from napari_maskvit.model.packed import Encoded
    from napari_maskvit.model.prediction import Prediction
    from napari_maskvit.model.registry import ModelInfo, find_bundle, list_models, load_model

__all__ = [
    "Encoded",
    "Model",
    "ModelConfig",
    "ModelInfo",
    "PatchArchitecture",
    "Prediction",
    "RegionArchitecture",
    "SlideArchitecture",
    "build_model",
    "find_bundle",
    "list_models",
    "load_model",
    "masked_forward",
    "resolve_device",
    "resolve_precision",
    "save_bundle",
]

_NAMES = {
    "bundle": ("save_bundle",),
    "config": ("ModelConfig", "PatchArchitecture", "RegionArchitecture", "SlideArchitecture"),
    "device": ("resolve_device", "resolve_precision"),
    "masked": ("masked_forward",),
    "model": ("Model", "build_model"),
    "packed": ("Encoded",),
    "prediction": ("Prediction",),
    "registry": ("ModelInfo", "find_bundle", "list_models", "load_model"),
}
_FILE_OF = {name: file for file, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _FILE_OF:
        return getattr(import_module(f"{__name__}.{_FILE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
