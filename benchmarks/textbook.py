"""Masked attention as a textbook writes it: every token computed, background at minus infinity.

This is what the engine is compared with: the same numbers, without dropping anything. Features
come from one dense pass and attention from a second one, since that is how heatmaps are usually
made beside a prediction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor, nn


@torch.inference_mode()
def dense_features(vit: nn.Module, images: Tensor, token_mask: Tensor) -> Tensor:
    """(B, D) CLS features of (B, 3, H, W) images under a (B, N) mask of kept tokens."""
    states, bias = _embed(vit, images, token_mask)
    for block in vit.blocks:
        states = block(states, attn_mask=bias)
    return vit.fc_norm(vit.norm(states)[:, 0])


@torch.inference_mode()
def dense_attention(vit: nn.Module, images: Tensor, token_mask: Tensor) -> Tensor:
    """(B, heads, N) attention of CLS in the last block."""
    states, bias = _embed(vit, images, token_mask)
    for block in vit.blocks[:-1]:
        states = block(states, attn_mask=bias)
    return _class_attention(vit.blocks[-1], states, bias)[:, :, vit.num_prefix_tokens :]


@torch.inference_mode()
def dense_region(region: nn.Module, features: Tensor, patch_mask: Tensor) -> tuple[Tensor, Tensor]:
    """(B, D) region features and (B, heads, N) attention of (B, N, d) patch features."""
    prefix, positions = region._embeddings()
    states = region.phi(features) + positions
    states = torch.cat([prefix.expand(len(states), -1, -1), states], dim=1)
    bias = _bias(prefix.shape[1], patch_mask, states.dtype)
    for block in region.blocks[:-1]:
        states = block(states, attn_mask=bias)
    attention = _class_attention(region.blocks[-1], states, bias)[:, :, prefix.shape[1] :]
    return region.norm(region.blocks[-1](states, attn_mask=bias))[:, 0], attention


def _class_attention(block: nn.Module, states: Tensor, bias: Tensor) -> Tensor:
    attention = block.attn
    batch, length, _ = states.shape
    qkv = attention.qkv(block.norm1(states))
    query, key, _ = qkv.reshape(batch, length, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
    query, key = attention.q_norm(query), attention.k_norm(key)
    scores = query @ key.transpose(-2, -1) * attention.scale + bias
    return scores.float().softmax(-1)[:, :, 0]


def _embed(vit: nn.Module, images: Tensor, token_mask: Tensor) -> tuple[Tensor, Tensor]:
    states = vit.norm_pre(vit.patch_drop(vit._pos_embed(vit.patch_embed(images))))
    return states, _bias(vit.num_prefix_tokens, token_mask, states.dtype)


def _bias(prefix: int, mask: Tensor, dtype: torch.dtype) -> Tensor:
    kept = torch.cat([mask.new_ones(len(mask), prefix), mask], dim=1)[:, None, None, :]
    return torch.zeros(kept.shape, dtype=dtype).masked_fill(~kept, float("-inf"))
