"""Dropping background gives what masking it gives, features and attention, in every encoder."""

from __future__ import annotations

from functools import cache

import pytest
import timm
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from timm.layers import SwiGLU, SwiGLUPacked

from napari_maskvit.model import masked_forward

TOLERANCE = 1e-5
SMALL = {"embed_dim": 96, "depth": 3, "num_heads": 3, "num_classes": 0}

# name: (timm name, arguments, side of the image)
ARCHITECTURES = {
    "ViT-S/16, whole": ("vit_small_patch16_224", {"img_size": 256, "num_classes": 0}, 256),
    "DINOv2 /14 with LayerScale": (
        "vit_small_patch14_dinov2",
        {"img_size": 224, "depth": 4, "num_classes": 0},
        224,
    ),
    "four registers": (
        "vit_small_patch14_reg4_dinov2",
        {"img_size": 112, "depth": 3, "num_classes": 0},
        112,
    ),
    "registers with positions": ("vit_small_patch16_224", {**SMALL, "reg_tokens": 2}, 224),
    "packed SwiGLU": (
        "vit_small_patch16_224",
        {
            **SMALL,
            "mlp_layer": SwiGLUPacked,
            "act_layer": torch.nn.SiLU,
            "reg_tokens": 4,
            "init_values": 1e-5,
            "no_embed_class": True,
        },
        224,
    ),
    "SwiGLU": ("vit_small_patch16_224", {**SMALL, "mlp_layer": SwiGLU}, 224),
    "qk-norm": ("vit_small_patch16_224", {**SMALL, "qk_norm": True, "qkv_bias": False}, 224),
    "norms inside attention and feed-forward": (
        "vit_small_patch16_224",
        {**SMALL, "scale_attn_norm": True, "scale_mlp_norm": True},
        224,
    ),
    "norm before the blocks (CLIP)": (
        "vit_base_patch16_clip_224",
        {**SMALL, "img_size": 224},
        224,
    ),
    "norm after pooling": ("vit_small_patch16_224", {**SMALL, "fc_norm": True}, 224),
    "no positions": ("vit_small_patch16_224", {**SMALL, "pos_embed": "none"}, 224),
    "tokens of 8 px, all tokens out": (
        "vit_small_patch8_224",
        {**SMALL, "img_size": 64, "global_pool": ""},
        64,
    ),
    "another size than it was made for": (
        "vit_small_patch16_224",
        {**SMALL, "dynamic_img_size": True},
        128,
    ),
    "one block": ("vit_small_patch16_224", {**SMALL, "depth": 1}, 224),
    "untrained dropout": (
        "vit_small_patch16_224",
        {**SMALL, "proj_drop_rate": 0.5, "attn_drop_rate": 0.5, "drop_path_rate": 0.5},
        224,
    ),
}


def masks(tokens: int) -> torch.Tensor:
    """All kept, none, one, the last alone, a run, and random shares."""
    generator = torch.Generator().manual_seed(7)
    rows = torch.rand(7, tokens, generator=generator)
    kept = rows < torch.tensor([2.0, -1, -1, -1, -1, 0.3, 0.8])[:, None]
    kept[2, tokens // 3] = True
    kept[3, -1] = True
    kept[4, 5:17] = True
    return kept


def tokens_of(vit: torch.nn.Module, side: int) -> int:
    return (side // vit.patch_embed.patch_size[0]) ** 2


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_equals_the_textbook(architecture: str, textbook, randomised) -> None:
    name, arguments, side = ARCHITECTURES[architecture]
    vit = randomised(timm.create_model(name, **arguments))
    kept = masks(tokens_of(vit, side))
    images = torch.randn(len(kept), 3, side, side, generator=torch.Generator().manual_seed(1))

    features, attention = masked_forward(vit, images, kept)

    assert features.dtype == attention.dtype == torch.float32
    assert (features - textbook.dense_features(vit, images, kept)).abs().max() <= TOLERANCE
    assert (attention - textbook.dense_attention(vit, images, kept)).abs().max() <= TOLERANCE
    assert not attention.transpose(1, 2)[~kept].any()
    assert (attention.sum(-1) < 1).all()


def test_no_mask_is_the_plain_encoder(randomised) -> None:
    vit = randomised(timm.create_model("vit_small_patch16_224", **SMALL))
    images = torch.randn(2, 3, 224, 224)
    features, _ = masked_forward(vit, images, torch.ones(2, 196, dtype=torch.bool))
    with torch.inference_mode():
        assert (features - vit(images)).abs().max() <= TOLERANCE


def test_training_mode_is_left_as_it_was_and_plays_no_part(randomised) -> None:
    name, arguments, side = ARCHITECTURES["untrained dropout"]
    vit = randomised(timm.create_model(name, **arguments))
    images, kept = torch.randn(2, 3, side, side), masks(196)[4:6]
    expected = masked_forward(vit, images, kept)
    vit.train()
    found = masked_forward(vit, images, kept)
    assert vit.blocks[0].attn.training
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


@pytest.mark.parametrize("architecture", ["ViT-S/16, whole", "four registers", "packed SwiGLU"])
def test_blind_to_background_bit_for_bit(architecture: str, randomised) -> None:
    name, arguments, side = ARCHITECTURES[architecture]
    vit = randomised(timm.create_model(name, **arguments))
    kept = masks(tokens_of(vit, side))
    images = torch.randn(len(kept), 3, side, side)
    grid, token = side // vit.patch_embed.patch_size[0], vit.patch_embed.patch_size[0]
    under = kept.unflatten(1, (grid, grid)).repeat_interleave(token, 1).repeat_interleave(token, 2)
    before = masked_forward(vit, images, kept)
    for noise in (torch.randn_like(images) * 100, torch.full_like(images, torch.nan)):
        after = masked_forward(vit, torch.where(under[:, None], images, noise), kept)
        assert torch.equal(before[0], after[0])
        assert torch.equal(before[1], after[1])


@cache
def tiny_vit() -> torch.nn.Module:
    arguments = {"embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": 0, "img_size": 32}
    vit = timm.create_model("vit_small_patch16_224", patch_size=8, reg_tokens=1, **arguments)
    for parameter in vit.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(3))
    return vit.eval()


@given(
    st.lists(st.lists(st.booleans(), min_size=16, max_size=16), min_size=1, max_size=5),
    st.integers(0, 2**31),
)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_mask(textbook, rows: list[list[bool]], seed: int) -> None:
    vit, kept = tiny_vit(), torch.tensor(rows)
    images = torch.randn(len(rows), 3, 32, 32, generator=torch.Generator().manual_seed(seed))
    features, attention = masked_forward(vit, images, kept)
    assert (features - textbook.dense_features(vit, images, kept)).abs().max() <= TOLERANCE
    assert (attention - textbook.dense_attention(vit, images, kept)).abs().max() <= TOLERANCE
