"""Masked attention, the hierarchy built on it, and the bundles that models come in."""

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
from napari_maskvit.model.registry import ModelInfo, list_models, load_model

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
    "list_models",
    "load_model",
    "masked_forward",
    "resolve_device",
    "resolve_precision",
    "save_bundle",
]
