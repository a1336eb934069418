"""A model: its levels, its facts and its card."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import timm
import timm.layers
import torch
from torch import nn

from napari_maskvit.errors import ModelError
from napari_maskvit.model.config import ModelConfig
from napari_maskvit.model.patch import PatchTransformer
from napari_maskvit.model.prediction import Prediction, decode
from napari_maskvit.model.region import RegionTransformer
from napari_maskvit.model.slide import SlideTransformer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True, eq=False)
class Model:
    """A hierarchical Vision Transformer, or as many of its levels as there are.

    Parameters
    ----------
    config
        What the bundle states.
    card
        The model card, Markdown.
    sha256
        Of the weights.
    patch, region, slide
        The transformers; None for levels that the model lacks.
    path
        The bundle's folder, where there is one.
    """

    config: ModelConfig
    card: str
    sha256: str
    patch: PatchTransformer
    region: RegionTransformer | None = None
    slide: SlideTransformer | None = None
    path: Path | None = None

    @property
    def name(self) -> str:
        """For commands."""
        return self.config.name

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels that the model has, finest first."""
        return self.config.levels

    def to(self, device: str, precision: str = "float32") -> Model:
        """A copy on a device; the patch transformer's weights are held in ``precision``.

        The region and slide transformers stay in float32: they are small, and what they say
        should not depend on where it was computed.
        """
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        return replace(
            self,
            patch=_copied(self.patch, device, dtype),
            region=None if self.region is None else _copied(self.region, device),
            slide=None if self.slide is None else _copied(self.slide, device),
        )

    def predict(self, logits: Tensor) -> Prediction:
        """The answer that a slide's logits mean.

        Raises
        ------
        ModelError
            If the model has no head.
        """
        if self.config.head is None:
            raise ModelError(f"{self.config.title!r} has no head and makes no prediction.")
        return decode(self.config, logits.detach().float().cpu().numpy())

    def parts(self) -> dict[str, nn.Module]:
        """The modules whose tensors a bundle holds, by level."""
        there: dict[str, nn.Module | None] = {
            "patch": self.patch.vit,
            "region": self.region,
            "slide": self.slide,
        }
        return {level: module for level, module in there.items() if module is not None}


def _copied(module: Module, device: str, dtype: torch.dtype = torch.float32) -> Module:
    """A copy for use, whose weights are converted as they are copied, once."""
    tensors: dict[int, Any] = {
        id(one): nn.Parameter(one.detach().to(device, dtype, copy=True), one.requires_grad)
        for one in module.parameters()
    }
    for one in module.buffers():
        kind = dtype if one.is_floating_point() else one.dtype
        tensors[id(one)] = one.detach().to(device, kind, copy=True)
    # What the copy would make of a tensor is there already.
    return copy.deepcopy(module, tensors).eval()


def build_model(
    config: ModelConfig, card: str = "", *, sha256: str = "", empty: bool = False
) -> Model:
    """The transformers that a config describes, with fresh random weights.

    Parameters
    ----------
    config, card, sha256
        What the model states.
    empty
        Without weights, on the meta device: quick to make, and of no use before it is filled.

    Raises
    ------
    ModelError
        If timm does not know the patch architecture, or it cannot be masked.
    """
    with torch.device("meta") if empty else nullcontext():
        patch = _build_patch(config)
        region = slide = None
        if config.region is not None:
            region = RegionTransformer(
                config.region,
                patch_dim=patch.dim,
                side=config.patches_per_side,
                position_side=config.position_side,
                resize=config.position_resize,
            ).eval()
            if config.slide is not None:
                slide = SlideTransformer(
                    config.slide, region_dim=config.region.dim, outputs=config.outputs
                ).eval()
    return Model(config, card, sha256, patch, region, slide)


def _build_patch(config: ModelConfig) -> PatchTransformer:
    try:
        vit = timm.create_model(
            config.patch.name,
            pretrained=False,
            num_classes=0,
            img_size=config.patch_px,
            **_layers(config.patch.options),
        )
    except (RuntimeError, TypeError, ValueError, AssertionError, KeyError) as error:
        raise ModelError(
            f"timm cannot make the patch transformer {config.patch.name!r} of {config.name!r} with "
            f"{config.patch.options}: {error}. Update timm, or mend config.json."
        ) from error
    patch = PatchTransformer(vit, config.mean, config.std)
    if patch.token_px != config.token_px:
        raise ModelError(
            f"{config.name!r} states tokens of {config.token_px} px, but {config.patch.name!r} has "
            f"{patch.token_px} px."
        )
    return patch.eval()


def _layers(options: Mapping[str, Any]) -> dict[str, Any]:
    """Layers that a config gives by name as classes; names that timm looks up itself stay."""

    def look_up(key: str, value: Any) -> Any:
        if not key.endswith("_layer") or not isinstance(value, str):
            return value
        return getattr(timm.layers, value, None) or getattr(nn, value, value)

    return {key: look_up(key, value) for key, value in options.items()}
