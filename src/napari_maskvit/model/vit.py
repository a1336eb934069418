"""Which timm Vision Transformers can run on kept tokens alone, and how their tokens come about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from timm.layers import Attention, GluMlp, Mlp, PatchEmbed, SwiGLU, resample_abs_pos_embed
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn

from napari_maskvit.errors import ModelError
from napari_maskvit.model.even import linear
from napari_maskvit.model.packed import Encoded, encode_packed
from napari_maskvit.model.packing import Packing

_METHODS = ("forward_features", "_pos_embed", "pool")


def require_supported(vit: nn.Module) -> VisionTransformer:
    """Say what stands in the way of running this encoder on kept tokens alone.

    Raises
    ------
    ModelError
        Where dropping background would not equal masking it, or where no class token looks at
        the tokens. The message names the part.
    """
    obstacle = _obstacle(vit)
    if obstacle is not None:
        raise ModelError(
            f"This encoder ({type(vit).__name__}) cannot be run with masked attention: {obstacle}. "
            "Use a timm VisionTransformer with a class token and plain blocks."
        )
    assert isinstance(vit, VisionTransformer)
    return vit


def _obstacle(vit: nn.Module) -> str | None:
    if not isinstance(vit, VisionTransformer):
        return "it is not a timm VisionTransformer"
    for method in _METHODS:
        if getattr(type(vit), method) is not getattr(VisionTransformer, method):
            return f"its class has a {method} of its own"
    if vit.cls_token is None:
        return "it has no class token whose attention could be shown"
    if getattr(vit, "attn_pool", None) is not None or vit.global_pool not in ("", "token"):
        return f"its feature is pooled by {vit.global_pool!r} and not read from the class token"
    embed = vit.patch_embed
    if type(embed) is not PatchEmbed:
        return f"tokens are made by {type(embed).__name__} and not by one convolution"
    if embed.proj.in_channels != 3:
        return f"it reads {embed.proj.in_channels} channels and not RGB"
    if embed.patch_size[0] != embed.patch_size[1]:
        return f"its tokens are not square ({embed.patch_size})"
    if len(vit.blocks) == 0:
        return "it has no blocks"
    return next(filter(None, map(_block_obstacle, vit.blocks)), None)


def _block_obstacle(block: Any) -> str | None:
    if type(block) is not Block:
        return f"its blocks are {type(block).__name__}"
    if type(block.attn) is not Attention:
        return f"its attention is {type(block.attn).__name__}"
    if not isinstance(block.attn.qkv, nn.Linear):
        return f"its queries are made by {type(block.attn.qkv).__name__}"
    if not isinstance(block.mlp, Mlp | GluMlp | SwiGLU):
        return f"its feed-forward part is {type(block.mlp).__name__}"
    return None


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Dropout off for the duration."""
    training = [part for part in module.modules() if part.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True


def token_grid(vit: VisionTransformer, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of tokens of an image of that size.

    Raises
    ------
    ModelError
        Where the encoder does not take this size.
    """
    side = vit.patch_embed.patch_size[0]
    expected = vit.patch_embed.img_size
    if height % side or width % side:
        raise ModelError(
            f"An image of {width} x {height} px is not made of whole {side} px tokens."
        )
    if not vit.dynamic_img_size and expected is not None and (height, width) != tuple(expected):
        raise ModelError(
            f"This encoder takes images of {expected[1]} x {expected[0]} px, not "
            f"{width} x {height}. Create it with img_size=({height}, {width}) or dynamic_img_size."
        )
    return height // side, width // side


def encode_tokens(
    vit: VisionTransformer,
    pixels: Tensor,
    weight: Tensor,
    positions: Tensor,
    lengths: Tensor,
    grid: tuple[int, int],
) -> Encoded:
    """Embed the pixels of kept tokens, and run them through the encoder.

    Parameters
    ----------
    pixels
        [T, 3 p p], normalised; in the encoder's dtype and on its device.
    weight
        [D, 3 p p], the convolution's kernel with its entries in the order of `pixels`.
    positions
        int64 [T], row-major index in the grid.
    lengths
        int64 [B], kept tokens of each image.
    grid
        Rows and columns of tokens.
    """
    tokens = vit.patch_embed.norm(linear(pixels, weight, vit.patch_embed.proj.bias))
    prefix = torch.cat([one for one in (vit.cls_token, vit.reg_token) if one is not None], 1)[0]
    if vit.pos_embed is not None:
        positioned = 0 if vit.no_embed_class else vit.num_prefix_tokens
        embedding = resample_abs_pos_embed(
            vit.pos_embed, grid, vit.patch_embed.grid_size, num_prefix_tokens=positioned
        )[0]
        tokens = tokens + embedding[positioned:][positions]
        if positioned:
            prefix = prefix + embedding[:positioned]
    packing = Packing(lengths, vit.num_prefix_tokens, tokens.device)
    rows = vit.norm_pre(packing.join(prefix, tokens))
    return encode_packed(vit.blocks, nn.Sequential(vit.norm, vit.fc_norm), rows, packing)
