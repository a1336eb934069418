"""DINOv2 encoders in the layout of the `transformers` library, as Phikon-v2 and Hibou come.

There the position embedding is added to the class token and the patches, and registers follow
without one. timm's `no_embed_class` says the same once the class token's entry is added to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from napari_maskvit.errors import ModelError
from napari_maskvit.model.config import PatchArchitecture

_BLOCK = "encoder.layer."
_OUTSIDE = {
    "embeddings.patch_embeddings.projection.weight": "patch_embed.proj.weight",
    "embeddings.patch_embeddings.projection.bias": "patch_embed.proj.bias",
    "embeddings.register_tokens": "reg_token",
    "layernorm.weight": "norm.weight",
    "layernorm.bias": "norm.bias",
}
_INSIDE = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attention.output.dense": "attn.proj",
    "layer_scale1.lambda1": "ls1.gamma",
    "layer_scale2.lambda1": "ls2.gamma",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "mlp.weights_in": "mlp.fc1",
    "mlp.weights_out": "mlp.fc2",
}


def to_timm(
    weights: Mapping[str, Tensor], heads: int, where: str
) -> tuple[PatchArchitecture, dict[str, Tensor]]:
    """Architecture and tensors under timm's names.

    Parameters
    ----------
    weights
        Tensors under the names of `transformers`' Dinov2Model, with or without registers.
    heads
        Attention heads, which no tensor tells.
    where
        What to call the file in an error.

    Raises
    ------
    ModelError
        If a name is unknown or missing.
    """
    names = {name.removeprefix("dinov2."): tensor for name, tensor in weights.items()}
    unused = {"embeddings.mask_token"} | {name for name in names if name.startswith("classifier.")}
    found: dict[str, Tensor] = {}
    try:
        classes = names.pop("embeddings.cls_token")
        positions = names.pop("embeddings.position_embeddings")
        found["cls_token"] = classes + positions[:, :1]
        found["pos_embed"] = positions[:, 1:]
        for name in sorted(names.keys() - unused):
            if ".attention.attention." in name:
                if ".query." in name:
                    joined = _joined(names, name)
                    found[_inside(name.replace("attention.attention.query", "qkv"))] = joined
            else:
                found[_OUTSIDE[name] if name in _OUTSIDE else _inside(name)] = names[name]
        return _architecture(found, heads), found
    except KeyError as error:
        raise ModelError(
            f"The weights in {where} are no DINOv2 encoder that is known here: {error} is unknown "
            "or missing."
        ) from error


def _joined(names: Mapping[str, Tensor], query: str) -> Tensor:
    return torch.cat([names[query.replace("query", part)] for part in ("query", "key", "value")])


def _inside(name: str) -> str:
    if not name.startswith(_BLOCK):
        raise KeyError(name)
    index, _, rest = name.removeprefix(_BLOCK).partition(".")
    part, _, kind = rest.rpartition(".")
    if rest in _INSIDE:
        return f"blocks.{index}.{_INSIDE[rest]}"
    if part == "qkv":
        return f"blocks.{index}.attn.qkv.{kind}"
    if part not in _INSIDE:
        raise KeyError(name)
    return f"blocks.{index}.{_INSIDE[part]}.{kind}"


def _architecture(found: Mapping[str, Tensor], heads: int) -> PatchArchitecture:
    kernel, hidden = found["patch_embed.proj.weight"], found["blocks.0.mlp.fc1.weight"]
    dim = kernel.shape[0]
    options: dict[str, Any] = {
        "patch_size": kernel.shape[-1],
        "embed_dim": dim,
        "depth": len({name.split(".")[1] for name in found if name.startswith("blocks.")}),
        "num_heads": heads,
        # Half a unit above, so that timm's int(dim * ratio) cannot fall short.
        "mlp_ratio": (hidden.shape[0] + 0.5) / dim,
        "qkv_bias": "blocks.0.attn.qkv.bias" in found,
        "init_values": 1e-5 if "blocks.0.ls1.gamma" in found else None,
        "no_embed_class": True,
        "reg_tokens": found["reg_token"].shape[1] if "reg_token" in found else 0,
    }
    if found["blocks.0.mlp.fc2.weight"].shape[1] * 2 == hidden.shape[0]:
        options |= {"mlp_layer": "SwiGLUPacked", "act_layer": "SiLU"}
    return PatchArchitecture(name="vit_base_patch16_224", options=options)
