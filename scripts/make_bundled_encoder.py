"""Make the encoder that the bundled model is trained on: the first blocks of DINOv2 ViT-S/14.

    python scripts/make_bundled_encoder.py dinov2_vits14.safetensors build/dinov2-s14-5

The file holds DINOv2 ViT-S/14 under timm's names (`vit_small_patch14_dinov2`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file

from napari_maskvit.model import Model, ModelConfig, PatchArchitecture, build_model, save_bundle
from napari_maskvit.model.bundle import file_sha256, fill

BLOCKS = 5
TIMM_NAME = "vit_small_patch14_dinov2"

CARD = """# {title}

{description}

| | |
|---|---|
| levels | patch only: no region or slide transformer, no prediction |
| tokens, patches | 14 px, 224 px (16 x 16 tokens) |
| spacing | 1.0 µm per pixel (10x), chosen for needle biopsies; the encoder has none of its own |
| input normalisation | ImageNet mean and standard deviation |
| weights | float16, {megabytes:.1f} MB; made from a file with sha256 `{source}` |
| licence | Apache-2.0 |

DINOv2 code and weights are by Meta AI (Oquab et al., "DINOv2: Learning Robust Visual Features
without Supervision", 2023; Apache-2.0). The position embedding is resized bicubically from the
grid in the file to 16 x 16. It was trained on natural images; what it attends to in tissue has no
diagnostic meaning. Research use only; not for diagnosis.
"""


def encoder_config(name: str, blocks: int) -> ModelConfig:
    """What is to be said of the encoder, whatever its depth."""
    return ModelConfig(
        name=name,
        title=f"DINOv2 S/14, {blocks} of 12 blocks",
        description=(
            f"The first {blocks} of the twelve blocks of the DINOv2 ViT-S/14 patch transformer, "
            "followed by its final norm; a general-purpose encoder that knows no diagnosis."
        ),
        spacing=1.0,
        token_px=14,
        patch_px=224,
        region_px=1792,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        patch=PatchArchitecture(name=TIMM_NAME, options={"depth": blocks}),
        frozen=("patch",),
        licence="Apache-2.0",
        training_data="142 million natural images (LVD-142M), self-supervised; no pathology",
        warnings=(
            "A patch encoder alone: it shows attention and makes no prediction.",
            "A part of a general-purpose encoder: it was not trained on pathology.",
            "Research use only; not for diagnosis.",
        ),
    )


def make_encoder(source: Path, name: str, blocks: int = BLOCKS) -> Model:
    """The first blocks of the weights in a file, as a model with a patch level alone."""
    full = load_file(source)
    config = encoder_config(name, blocks)
    side = round((full["pos_embed"].shape[1] - 1) ** 0.5)
    whole = timm.create_model(TIMM_NAME, num_classes=0, img_size=side * config.token_px)
    whole.load_state_dict({key: tensor.float() for key, tensor in full.items()})
    whole.set_input_size(img_size=config.patch_px)
    model = build_model(config)
    kept = {key: whole.state_dict()[key] for key in model.patch.vit.state_dict()}
    fill(model, {f"patch.{key}": tensor for key, tensor in kept.items()}, where=str(source))
    card = CARD.format(
        title=config.title,
        description=config.description,
        megabytes=sum(tensor.numel() for tensor in kept.values()) * 2 / 1e6,
        source=file_sha256(source),
    )
    return Model(config, card, "", model.patch)


def main() -> None:
    """Write the bundle and say where."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("bundle", type=Path, help="folder of the bundle to write")
    parser.add_argument("--blocks", type=int, default=BLOCKS)
    arguments = parser.parse_args()
    model = make_encoder(arguments.weights, arguments.bundle.name, arguments.blocks)
    arguments.bundle.parent.mkdir(parents=True, exist_ok=True)
    with torch.inference_mode():
        print(save_bundle(model, arguments.bundle, half=True))


if __name__ == "__main__":
    main()
