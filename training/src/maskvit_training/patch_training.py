"""Patches of a unit through the patch transformer: with a gradient, and as the plugin does it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from maskvit_training.data import Sample
from napari_maskvit.model.packed import TOKEN_BUDGET
from napari_maskvit.model.patch import PatchTransformer


def normalised(patch: PatchTransformer, pixels: Tensor) -> Tensor:
    """Pixels uint8 [B, H, W, 3] as the encoder expects them, float32 [B, 3, H, W]."""
    mean, std = (torch.tensor(one, device=pixels.device) for one in (patch.mean, patch.std))
    return ((pixels.float() / 255 - mean) / std).permute(0, 3, 1, 2)


def embed_dense(patch: PatchTransformer, sample: Sample, batch: int) -> Tensor:
    """Features [P, D], background tokens masked; a gradient costs the memory of one batch."""
    assert sample.tokens is not None
    parts = []
    for start in range(0, len(sample.features), batch):
        images = normalised(patch, sample.features[start : start + batch])
        tokens = sample.tokens[start : start + batch]
        if torch.is_grad_enabled():
            parts.append(checkpoint(patch, images, tokens, use_reentrant=False))
        else:
            parts.append(patch(images, tokens))
    return torch.cat(parts)


def embed_packed(patch: PatchTransformer, sample: Sample) -> Tensor:
    """Features [P, D] from kept tokens alone."""
    assert sample.tokens is not None
    side, grid = patch.token_px, patch.tokens_per_side
    at_once = max(1, TOKEN_BUDGET // grid**2)
    parts = []
    for start in range(0, len(sample.features), at_once):
        pixels, kept = (one[start : start + at_once] for one in (sample.features, sample.tokens))
        cut = pixels.reshape(-1, grid, side, grid, side, 3).transpose(2, 3)
        cut = cut.reshape(len(pixels), grid**2, side, side, 3)
        positions = torch.arange(grid**2, device=kept.device).expand_as(kept)
        parts.append(patch.encode(cut[kept], positions[kept], kept.sum(1)).features)
    return torch.cat(parts)
