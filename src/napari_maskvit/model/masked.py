"""`masked_forward`: features and attention of any timm VisionTransformer, blind to background."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_maskvit.errors import ModelError
from napari_maskvit.model.vit import encode_tokens, evaluating, require_supported, token_grid


@torch.inference_mode()
def masked_forward(vit: nn.Module, images: Tensor, token_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Run an encoder on the kept tokens of each image, and on nothing else.

    The same as softmax(q kᵀ / √d + b) with b = -inf at background keys in every block and head
    (Grisi et al., MIDL 2024), to rounding: nobody reads a background key, so background tokens are
    dropped before they are embedded. No pixel under the background can change the result.

    Parameters
    ----------
    vit
        A timm `VisionTransformer` with a class token: any patch size, with or without registers,
        LayerScale, gated feed-forward, query and key norms.
    images
        [B, 3, H, W], normalised as the encoder expects.
    token_mask
        bool [B, N], True where a token is kept; N tokens in row-major order. An image may keep
        one token or none.

    Returns
    -------
    features : Tensor
        float32 [B, D], the class token after the final norm.
    attention : Tensor
        float32 [B, heads, N], its attention in the last block; exactly 0 at background. What is
        missing to a sum of 1 went to the prefix tokens.

    Raises
    ------
    ModelError
        Where the encoder cannot be run this way, or shapes do not fit.
    """
    encoder = require_supported(vit)
    if images.ndim != 4 or images.shape[1] != 3:
        raise ModelError(f"images must be [B, 3, H, W], not {list(images.shape)}.")
    rows, columns = token_grid(encoder, images.shape[2], images.shape[3])
    if token_mask.dtype != torch.bool or token_mask.shape != (len(images), rows * columns):
        raise ModelError(
            f"token_mask must be bool [{len(images)}, {rows * columns}] ({rows} x {columns} "
            f"tokens an image), not {token_mask.dtype} {list(token_mask.shape)}."
        )
    kernel = encoder.patch_embed.proj.weight
    mask = token_mask.to(kernel.device)
    side = kernel.shape[-1]
    squares = images.unflatten(3, (columns, side)).unflatten(2, (rows, side))
    squares = squares.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    pixels = squares[token_mask.to(images.device)].flatten(1).to(kernel.device, kernel.dtype)
    with evaluating(encoder):
        encoded = encode_tokens(
            encoder,
            pixels,
            kernel.flatten(1),
            mask.nonzero()[:, 1],
            mask.sum(1),
            (rows, columns),
        )
    attention = encoded.attention.new_zeros(*mask.shape, encoded.attention.shape[1])
    attention[mask] = encoded.attention
    return encoded.features, attention.transpose(1, 2)
