"""Encoders from the Hugging Face hub, in timm's layout or in that of `transformers`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import timm.models._hub as timm_hub
import torch
from timm.models.vision_transformer import checkpoint_filter_fn
from torch import Tensor, nn

from napari_maskvit.errors import ModelError
from napari_maskvit.model.bundle import fill
from napari_maskvit.model.config import ModelConfig, PatchArchitecture
from napari_maskvit.model.dinov2_names import to_timm
from napari_maskvit.model.encoders import Encoder, config_for, encoder_for
from napari_maskvit.model.importing import read_checkpoint
from napari_maskvit.model.model import Model, build_model
from napari_maskvit.model.position import resize_positions

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_NOT_OURS = ("img_size", "num_classes", "in_chans", "pretrained")

Fetch = Callable[[str], Path]
"""From a file's name in a repository to where it lies here."""


def load_encoder(repository: str) -> Model:
    """Load an encoder from the hub, or from the hub's local cache.

    Parameters
    ----------
    repository
        "OWNER/NAME", or "OWNER/NAME@REVISION".

    Raises
    ------
    ModelError
        If it cannot be reached, its weights do not fit, or it cannot be masked.
    """

    def fetch(file: str) -> Path:
        try:
            return Path(timm_hub.download_from_hf(repository, file))
        except Exception as error:
            raise ModelError(
                f"{file} of {repository!r} cannot be had from the Hugging Face hub: "
                f"{_first_line(error)}. Check the name, the connection, and whether its page asks "
                "for consent (then log in with `hf auth login`)."
            ) from error

    facts = _read_json(fetch("config.json"))
    encoder = encoder_for(repository)
    weights = _fetch_weights(fetch)
    if "architecture" in facts:
        config, tensors = _from_timm(encoder, facts, read_checkpoint(weights), str(weights))
    else:
        config, tensors = _from_transformers(encoder, facts, weights, fetch)
    model = build_model(config, _card(config), empty=True)
    tensors = checkpoint_filter_fn(tensors, model.patch.vit)
    fill(model, {f"patch.{name}": one for name, one in tensors.items()}, where=repository)
    return Model(config, model.card, state_sha256(model.patch.vit), model.patch)


def _fetch_weights(fetch: Fetch) -> Path:
    try:
        return fetch(_WEIGHTS[0])
    except ModelError as error:
        try:
            return fetch(_WEIGHTS[1])
        except ModelError:
            raise error from error.__cause__


def _from_timm(
    encoder: Encoder, facts: Mapping[str, Any], tensors: dict[str, Tensor], where: str
) -> tuple[ModelConfig, dict[str, Tensor]]:
    pretrained = facts.get("pretrained_cfg", facts)
    options = {**facts.get("model_args", {}), **encoder.options}
    options = {name: value for name, value in options.items() if name not in _NOT_OURS}
    kernel = tensors.get("patch_embed.proj.weight")
    if kernel is None:
        raise ModelError(f"{where} holds no Vision Transformer: patch_embed.proj is missing.")
    config = config_for(
        encoder,
        token_px=kernel.shape[-1],
        patch_px=_patch_px(pretrained, kernel.shape[-1]),
        patch=PatchArchitecture(name=facts["architecture"], options=options),
        mean=tuple(pretrained.get("mean", encoder.mean)),
        std=tuple(pretrained.get("std", encoder.std)),
    )
    return config, tensors


def _patch_px(pretrained: Mapping[str, Any], token_px: int) -> int:
    """The input size that its page states, where whole tokens fill it."""
    side = int(pretrained.get("input_size", (3, 224, 224))[-1])
    return side if side % token_px == 0 else side // token_px * token_px


def _from_transformers(
    encoder: Encoder, facts: Mapping[str, Any], weights: Path, fetch: Fetch
) -> tuple[ModelConfig, dict[str, Tensor]]:
    if "num_attention_heads" not in facts:
        raise ModelError(
            f"{encoder.repository!r} is neither a timm encoder nor a DINOv2 of `transformers`: its "
            "config.json names neither an architecture nor attention heads."
        )
    architecture, tensors = to_timm(
        read_checkpoint(weights), facts["num_attention_heads"], str(weights)
    )
    try:
        normalisation = _read_json(fetch("preprocessor_config.json"))
    except ModelError:
        normalisation = {}
    config = config_for(
        encoder,
        token_px=architecture.options["patch_size"],
        patch=architecture,
        mean=tuple(normalisation.get("image_mean", encoder.mean)),
        std=tuple(normalisation.get("image_std", encoder.std)),
    )
    grid = config.tokens_per_side
    tensors["pos_embed"] = resize_positions(tensors["pos_embed"].float(), 0, grid, "size")
    return config, tensors


def state_sha256(module: nn.Module) -> str:
    """SHA-256 over names, types, shapes and values of a module's tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {list(values.shape)}".encode())
        digest.update(values.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _card(config: ModelConfig) -> str:
    warnings = "\n".join(f"- {warning}" for warning in config.warnings)
    return (
        f"# {config.title}\n\n{config.description}\n\nTrained on: {config.training_data}. Licence: "
        f"{config.licence}. Input normalisation: mean {config.mean}, std {config.std}.\n\n"
        f"## What speaks against trusting it\n\n{warnings}\n"
    )


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read as JSON: {error}.") from error
    return content if isinstance(content, dict) else {}


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
