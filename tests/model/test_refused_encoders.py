"""Encoders that cannot be masked, and inputs that do not fit, are refused with the reason."""

from __future__ import annotations

import pytest
import timm
import torch
from timm.models.vision_transformer import ParallelThingsBlock, ResPostBlock

from napari_maskvit.errors import ModelError
from napari_maskvit.model import masked_forward

SMALL = {"embed_dim": 32, "depth": 1, "num_heads": 2, "num_classes": 0}

REFUSED = {
    "no class token": (
        "vit_small_patch16_224",
        {**SMALL, "class_token": False, "global_pool": "avg"},
        "no class token",
    ),
    "mean of tokens": ("vit_small_patch16_224", {**SMALL, "global_pool": "avg"}, "'avg'"),
    "attention pooling": ("vit_small_patch16_224", {**SMALL, "global_pool": "map"}, "'map'"),
    "post-norm blocks": ("vit_small_patch16_224", {**SMALL, "block_fn": ResPostBlock}, "ResPost"),
    "parallel blocks": (
        "vit_small_patch16_224",
        {**SMALL, "block_fn": ParallelThingsBlock},
        "ParallelThingsBlock",
    ),
    "differential attention": ("vit_small_patch16_224", {**SMALL, "attn_layer": "diff"}, "DiffAtt"),
    "gray images": ("vit_small_patch16_224", {**SMALL, "in_chans": 1}, "1 channels"),
    "distilled": ("deit_tiny_distilled_patch16_224", {"depth": 1, "num_classes": 0}, "its own"),
    "rotary positions": (
        "eva02_tiny_patch14_224",
        {"depth": 1, "num_classes": 0},
        "not a timm VisionTransformer",
    ),
    "no transformer": ("resnet10t", {"num_classes": 0}, "not a timm VisionTransformer"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused(kind: str) -> None:
    name, arguments, reason = REFUSED[kind]
    vit = timm.create_model(name, **arguments)
    with pytest.raises(ModelError, match=reason):
        masked_forward(vit, torch.zeros(1, 3, 224, 224), torch.ones(1, 196, dtype=torch.bool))


@pytest.mark.parametrize(
    ("images", "mask", "reason"),
    [
        ((1, 3, 230, 224), (1, 196), "whole 16 px tokens"),
        ((1, 3, 256, 256), (1, 256), "takes images of 224 x 224 px"),
        ((1, 1, 224, 224), (1, 196), r"\[B, 3, H, W\]"),
        ((1, 3, 224, 224), (1, 195), r"bool \[1, 196\]"),
        ((2, 3, 224, 224), (1, 196), r"bool \[2, 196\]"),
    ],
)
def test_inputs_that_do_not_fit(images, mask, reason: str) -> None:
    vit = timm.create_model("vit_small_patch16_224", **SMALL)
    with pytest.raises(ModelError, match=reason):
        masked_forward(vit, torch.zeros(images), torch.ones(mask, dtype=torch.bool))


def test_mask_of_numbers_is_refused() -> None:
    vit = timm.create_model("vit_small_patch16_224", **SMALL)
    with pytest.raises(ModelError, match=r"torch\.float32"):
        masked_forward(vit, torch.zeros(1, 3, 224, 224), torch.ones(1, 196))
