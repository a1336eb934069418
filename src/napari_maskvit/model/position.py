"""Bringing stored position embeddings to the grid in use."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_maskvit.errors import ModelError
from napari_maskvit.model.config import PositionResize


def resize_positions(stored: Tensor, prefix: int, side: int, variant: PositionResize) -> Tensor:
    """Resize position embeddings bicubically (align_corners=False); the prefix stays as it is.

    Parameters
    ----------
    stored
        [1, prefix + s², D].
    prefix
        Entries that belong to prefix tokens.
    side
        Side of the grid in use.
    variant
        "size" samples by the output size (H-ViT), "scale" by DINO's factor (side + 0.1) / s
        (HIPT, DINO).

    Returns
    -------
    Tensor
        [1, prefix + side², D].

    Raises
    ------
    ModelError
        Where the stored entries are not a square grid.
    """
    entries = stored.shape[1] - prefix
    stored_side = math.isqrt(max(entries, 0))
    if entries < 1 or stored_side**2 != entries:
        raise ModelError(
            f"A position embedding of {stored.shape[1]} entries is not {prefix} for the prefix and "
            "a square grid. The checkpoint does not fit this model."
        )
    if stored_side == side:
        return stored
    grid = stored[:, prefix:].unflatten(1, (stored_side, stored_side)).permute(0, 3, 1, 2)
    if variant == "size":
        resized = F.interpolate(
            grid.float(), size=(side, side), mode="bicubic", align_corners=False
        )
    else:
        factor = (side + 0.1) / stored_side
        resized = F.interpolate(
            grid.float(), scale_factor=(factor, factor), mode="bicubic", align_corners=False
        )
    tokens = resized.to(stored.dtype).flatten(2).transpose(1, 2)
    if tokens.shape[1] != side**2:
        raise ModelError(
            f"A position embedding of {stored_side} x {stored_side} cannot be resized to "
            f"{side} x {side} by scale."
        )
    return torch.cat([stored[:, :prefix], tokens], 1)
