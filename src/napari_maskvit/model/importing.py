"""Bringing checkpoints from elsewhere in: read once, checked, and kept as a bundle from then on.

config = hipt_config(region_px=4096)
model = import_checkpoint(config, patch="vit256_small_dino.pth", region="vit4k_xs_dino.pth")
save_bundle(model, "hipt")
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from math import isqrt
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from napari_maskvit.errors import ModelError
from napari_maskvit.model.bundle import file_sha256, fill
from napari_maskvit.model.config import ModelConfig, PatchArchitecture, RegionArchitecture
from napari_maskvit.model.model import Model, build_model
from napari_maskvit.model.position import resize_positions

PUBLISHED = {
    "6960cd5a8657dc8bb214671aa0c6dbd3f5b698e84386884955836487ddc89e24": (
        "HIPT vit256_small_dino.pth"
    ),
    "2b0bd9e9a602a35f2bb3f76da39d2b53a91f23fc3f115dc59a63267d95ad2b7b": "HIPT vit4k_xs_dino.pth",
}
"""SHA-256 of published files that are known to load."""

_REGION_PREFIX = "vit_region."


def hipt_config(
    *,
    region_px: int | None = 4096,
    spacing: float = 0.5,
    name: str = "hipt",
    title: str = "HIPT (ViT-S/16 on 256 px)",
) -> ModelConfig:
    """The config under which the checkpoints of HIPT (Chen et al., CVPR 2022) were trained.

    Input normalisation is 0.5 / 0.5, as HIPT itself uses the weights.

    Parameters
    ----------
    region_px
        Side of a region of the region transformer; None: the patch transformer alone.
    spacing
        µm per pixel.
    """
    return ModelConfig(
        name=name,
        title=title,
        description="The hierarchical image pyramid transformer, pretrained with DINO on TCGA.",
        spacing=spacing,
        token_px=16,
        patch_px=256,
        region_px=region_px or 4096,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        position_resize="scale",
        patch=PatchArchitecture(name="vit_small_patch16_224"),
        region=None if region_px is None else RegionArchitecture(),
        frozen=("patch",) if region_px is None else ("patch", "region"),
        licence="see the page of the weights",
        training_data="10,678 slides of 33 cancers (TCGA), self-supervised",
        warnings=("It makes no prediction.", "Research use only; not for diagnosis."),
    )


def import_checkpoint(
    config: ModelConfig,
    *,
    patch: str | Path | Model,
    region: str | Path | None = None,
    aggregator: str | Path | None = None,
) -> Model:
    """Make a model of checkpoint files; every tensor must fit and none may be missing.

    Parameters
    ----------
    config
        What the files hold. The stored position embedding of the patch level is resized to its
        grid as `config.position_resize` says; that of the region level stays as it is.
    patch
        Checkpoint of the patch transformer under timm's names, or a model that has it.
    region
        Checkpoint of the region transformer.
    aggregator
        Checkpoint of the slide transformer; may hold the region transformer too, under
        ``vit_region.``.

    Raises
    ------
    ModelError
        If a file cannot be read, holds anything but weights, or does not fit the config.
    """
    files: list[Path] = []
    tensors: dict[str, Tensor] = {}
    if isinstance(patch, Model):
        tensors |= _under("patch", patch.patch.vit.state_dict())
    else:
        files.append(Path(patch))
        tensors |= _under("patch", read_checkpoint(patch))
    if region is not None:
        files.append(Path(region))
        tensors |= _under("region", read_checkpoint(region))
    if aggregator is not None:
        files.append(Path(aggregator))
        found = _split_aggregator(read_checkpoint(aggregator))
        if region is not None and any(name.startswith("region.") for name in found):
            raise ModelError(
                f"Both {region} and {aggregator} hold a region transformer. Leave the former out."
            )
        tensors |= found
    model = build_model(config, empty=True)
    where = ", ".join(map(str, files))
    fill(model, _fit_patch_positions(model, tensors), where)
    sums = [file_sha256(file) for file in files]
    checksum = sha256("".join(sums).encode()).hexdigest()
    return replace(model, sha256=checksum, card=_card(config, files, sums))


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The weights in a file: safetensors, a state dict, or a DINO training state.

    Of a training state the teacher is taken; the prefixes ``module.`` and then ``backbone.`` are
    stripped, and ``head.`` is left out. A pickle may hold tensors, plain values and an
    `argparse.Namespace`; anything else is refused before it is run.

    Raises
    ------
    ModelError
        If it cannot be read, is refused, or holds no weights.
    """
    path = Path(path)
    try:
        if path.suffix == ".safetensors":
            return _plain_names(load_file(path))
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} is refused: it is no checkpoint, or holds code and not only weights "
            f"({_reason(error)})."
        ) from error
    except (OSError, EOFError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be read as a checkpoint: {_reason(error)}.") from error
    for key in ("teacher", "state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping):
        raise ModelError(f"{path} holds no weights under names that are known here.")
    weights = {str(name): one for name, one in content.items() if isinstance(one, Tensor)}
    if not weights:
        raise ModelError(f"{path} holds no weights under names that are known here.")
    return _plain_names(weights)


def _plain_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    plain = {
        name.removeprefix("module.").removeprefix("backbone."): one for name, one in weights.items()
    }
    return {name: one for name, one in plain.items() if not name.startswith("head.")}


def _under(level: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{level}.{name}": one for name, one in weights.items()}


def _split_aggregator(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        f"region.{name.removeprefix(_REGION_PREFIX)}"
        if name.startswith(_REGION_PREFIX)
        else f"slide.{name}": one
        for name, one in weights.items()
    }


def _fit_patch_positions(model: Model, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    name, vit = "patch.pos_embed", model.patch.vit
    stored = tensors.get(name)
    if stored is None or vit.pos_embed is None or stored.shape == vit.pos_embed.shape:
        return tensors
    prefix = 0 if vit.no_embed_class else vit.num_prefix_tokens
    side = isqrt(vit.pos_embed.shape[1] - prefix)
    fitted = resize_positions(stored.float(), prefix, side, model.config.position_resize)
    return {**tensors, name: fitted}


def _card(config: ModelConfig, files: list[Path], sums: list[str]) -> str:
    origins = "\n".join(
        f"- {file.name}, sha256 `{one}`: {PUBLISHED.get(one, 'not a published file known here')}"
        for file, one in zip(files, sums, strict=True)
    )
    warnings = "\n".join(f"- {warning}" for warning in config.warnings)
    return (
        f"# {config.title}\n\n{config.description}\n\nLicence: {config.licence}. Trained on: "
        f"{config.training_data}.\n\n## Where the weights come from\n\n{origins}\n\n"
        f"## What speaks against trusting it\n\n{warnings}\n"
    )


def _reason(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
