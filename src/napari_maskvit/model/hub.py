"""Published encoders on the Hugging Face hub, loaded through timm.

Their licences differ and several ask for consent on the hub first; nothing of them is shipped.
"""

from __future__ import annotations

import hashlib
from typing import Any

import timm
import torch
from timm.data import resolve_model_data_config
from timm.layers import SwiGLUPacked
from torch import nn

from napari_maskvit.errors import ModelError
from napari_maskvit.model.config import ModelConfig, PatchArchitecture
from napari_maskvit.model.model import Model
from napari_maskvit.model.patch import PatchTransformer

PREFIX = "hf-hub:"
_SPACING = 0.5
_PATCH_PX = 224
_PATCHES_PER_SIDE = 8

_GATED_MLP: dict[str, Any] = {"mlp_layer": SwiGLUPacked, "act_layer": torch.nn.SiLU}

# Arguments as the model pages state them: the hub's own configs leave them out.
_OPTIONS: dict[str, dict[str, Any]] = {
    "MahmoodLab/UNI": {"init_values": 1e-5},
    "MahmoodLab/UNI2-h": {
        "patch_size": 14,
        "depth": 24,
        "num_heads": 24,
        "init_values": 1e-5,
        "embed_dim": 1536,
        "mlp_ratio": 2.66667 * 2,
        "no_embed_class": True,
        "reg_tokens": 8,
        **_GATED_MLP,
    },
    "paige-ai/Virchow2": _GATED_MLP,
    "bioptimus/H-optimus-0": {"init_values": 1e-5},
    "bioptimus/H-optimus-1": {"init_values": 1e-5},
}

# name: (repository, title, token side in px, training data, licence)
_KNOWN = {
    "prost40m": (
        "waticlems/Prost40M",
        "Prost40M (ViT-S/14)",
        14,
        "40 million patches of prostate biopsies",
        "Apache-2.0",
    ),
    "uni": ("MahmoodLab/UNI", "UNI (ViT-L/16)", 16, "100 million patches", "CC-BY-NC-ND-4.0"),
    "uni2-h": (
        "MahmoodLab/UNI2-h",
        "UNI 2 (ViT-H/14)",
        14,
        "200 million patches",
        "CC-BY-NC-ND-4.0",
    ),
    "virchow2": (
        "paige-ai/Virchow2",
        "Virchow2 (ViT-H/14)",
        14,
        "patches of 3.1 million slides",
        "CC-BY-NC-ND-4.0",
    ),
    "h-optimus-0": (
        "bioptimus/H-optimus-0",
        "H-optimus-0 (ViT-g/14)",
        14,
        "patches of 500,000 slides",
        "Apache-2.0",
    ),
    "h-optimus-1": (
        "bioptimus/H-optimus-1",
        "H-optimus-1 (ViT-g/14)",
        14,
        "patches of over 1 million slides",
        "CC-BY-NC-ND-4.0",
    ),
    "prov-gigapath": (
        "prov-gigapath/prov-gigapath",
        "Prov-GigaPath (ViT-g/16)",
        16,
        "1.3 billion patches of 171,189 slides",
        "Apache-2.0",
    ),
}


def known_encoders() -> tuple[ModelConfig, ...]:
    """Configs of the encoders that are known by name; nothing is downloaded."""
    return tuple(_config(name, repository) for name, (repository, *_) in _KNOWN.items())


def repository_of(name: str) -> str | None:
    """The hub repository behind a known name or an ``hf-hub:`` address; None for other names."""
    if name.startswith(PREFIX):
        return name.removeprefix(PREFIX)
    return _KNOWN[name][0] if name in _KNOWN else None


def load_encoder(repository: str) -> Model:
    """Load an encoder from the hub, or from the hub's local cache.

    Raises
    ------
    ModelError
        If it cannot be reached or is not a Vision Transformer that can be masked.
    """
    try:
        vit = timm.create_model(
            PREFIX + repository,
            pretrained=True,
            num_classes=0,
            img_size=_PATCH_PX,
            **_OPTIONS.get(repository, {}),
        )
    except (OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"The encoder {repository!r} cannot be loaded from the Hugging Face hub: "
            f"{_first_line(error)}. Check the name, the connection, and whether its page asks for "
            "consent (then log in with `hf auth login`)."
        ) from error
    data = resolve_model_data_config(vit)
    patch = PatchTransformer(vit, tuple(data["mean"]), tuple(data["std"]))
    names = {known: name for name, (known, *_) in _KNOWN.items()}
    config = _config(names.get(repository, repository.replace("/", "-")), repository).model_copy(
        update={"mean": patch.mean, "std": patch.std, "token_px": patch.token_px}
    )
    card = (
        f"# {config.title}\n\n{config.description}\n\nLicence: {config.licence}. "
        f"Input normalisation as its hub config states: mean {patch.mean}, std {patch.std}.\n\n"
        + "\n".join(f"- {warning}" for warning in config.warnings)
        + "\n"
    )
    return Model(config, card, state_sha256(vit), patch.eval())


def state_sha256(module: nn.Module) -> str:
    """SHA-256 over names, types, shapes and values of a module's tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {list(values.shape)}".encode())
        digest.update(values.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _config(name: str, repository: str) -> ModelConfig:
    _, title, token_px, data, licence = _KNOWN.get(
        name, (repository, repository, 16, "not stated here: see its page", "see its page")
    )
    return ModelConfig(
        name=name,
        title=title,
        description=f"A patch encoder from the Hugging Face hub ({repository}).",
        spacing=_SPACING,
        token_px=token_px,
        patch_px=_PATCH_PX,
        region_px=_PATCH_PX * _PATCHES_PER_SIDE,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        patch=PatchArchitecture(name=PREFIX + repository),
        frozen=("patch",),
        licence=licence,
        training_data=data,
        warnings=(
            "An encoder alone: it makes no prediction.",
            "Its spacing of 0.5 µm per pixel is taken from its page, not from its weights.",
            "Research use only.",
        ),
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
