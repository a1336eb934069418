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
    attention = vit.blocks[-1].attn
    batch, length, _ = states.shape
    qkv = attention.qkv(vit.blocks[-1].norm1(states))
    query, key, _ = qkv.reshape(batch, length, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
    query, key = attention.q_norm(query), attention.k_norm(key)
    scores = query @ key.transpose(-2, -1) * attention.scale + bias
    return scores.float().softmax(-1)[:, :, 0, vit.num_prefix_tokens :]


def _embed(vit: nn.Module, images: Tensor, token_mask: Tensor) -> tuple[Tensor, Tensor]:
    states = vit.norm_pre(vit.patch_drop(vit._pos_embed(vit.patch_embed(images))))
    prefix = torch.ones(len(images), vit.num_prefix_tokens, dtype=torch.bool)
    kept = torch.cat([prefix, token_mask], dim=1)[:, None, None, :]
    bias = torch.zeros(kept.shape, dtype=states.dtype).masked_fill(~kept, float("-inf"))
    return states, bias
