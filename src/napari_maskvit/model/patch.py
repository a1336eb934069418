"""The patch transformer: from the kept tokens of a patch to its feature."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_maskvit.errors import ModelError
from napari_maskvit.model.packed import Encoded
from napari_maskvit.model.vit import encode_tokens, evaluating, require_supported


class PatchTransformer(nn.Module):
    """A timm VisionTransformer with the input normalisation that its weights expect.

    Parameters
    ----------
    vit
        The encoder, made for square patches.
    mean, std
        Of RGB scaled to [0, 1].

    Attributes
    ----------
    dim, heads, token_px, tokens_per_side
        Width of the feature, attention heads, px of a token's side, tokens of a patch's side.
    """

    def __init__(self, vit: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        encoder = require_supported(vit)
        self.vit = encoder
        self.mean = tuple(mean)
        self.std = tuple(std)
        self.dim = int(encoder.embed_dim)
        self.heads = int(encoder.blocks[0].attn.num_heads)
        self.token_px = int(encoder.patch_embed.patch_size[0])
        rows, columns = encoder.patch_embed.grid_size
        if rows != columns:
            raise ModelError(f"A patch must be square; this encoder has {rows} x {columns} tokens.")
        self.tokens_per_side = int(rows)

    def forward(self, images: Tensor, token_mask: Tensor | None = None) -> Tensor:
        """Features [B, D] of normalised images [B, 3, H, W], computed densely, for training.

        Parameters
        ----------
        images
            [B, 3, H, W].
        token_mask
            bool [B, N], True = kept; None attends everywhere.
        """
        keys = None
        if token_mask is not None:
            prefix = token_mask.new_ones(len(token_mask), self.vit.num_prefix_tokens)
            keys = torch.cat([prefix, token_mask], 1)[:, None, None]
        features: Tensor = self.vit.forward_features(images, attn_mask=keys)
        return self.vit.fc_norm(features[:, 0])

    @torch.inference_mode()
    def encode(self, tokens: Tensor, positions: Tensor, lengths: Tensor) -> Encoded:
        """Features and attention of patches given by their kept tokens alone.

        Fastest with patches in the order of their lengths, about `packed.TOKEN_BUDGET` tokens a
        call on a CPU.

        Parameters
        ----------
        tokens
            uint8 [T, p, p, 3], RGB pixels of kept tokens, patch after patch.
        positions
            int64 [T], row-major index of each token in its patch.
        lengths
            int64 [B], kept tokens of each patch; 0 leaves the prefix tokens alone.

        Returns
        -------
        Encoded
            features [B, D] and attention [T, heads], float32 on the encoder's device.
        """
        side = self.token_px
        if tokens.shape[1:] != (side, side, 3) or len(positions) != len(tokens):
            raise ModelError(
                f"tokens must be [T, {side}, {side}, 3] with one position each, not "
                f"{list(tokens.shape)} with {len(positions)}."
            )
        kernel = self.vit.patch_embed.proj.weight
        with evaluating(self):
            return encode_tokens(
                self.vit,
                self._normalise(tokens.to(kernel.device)).to(kernel.dtype),
                kernel.permute(0, 2, 3, 1).flatten(1),
                positions.to(kernel.device),
                lengths,
                (self.tokens_per_side, self.tokens_per_side),
            )

    def _normalise(self, tokens: Tensor) -> Tensor:
        """uint8 [T, p, p, 3] -> float32 [T, 3 p p], channels last."""
        pixels = self.token_px**2
        mean = torch.tensor(self.mean, device=tokens.device).repeat(pixels)
        std = torch.tensor(self.std, device=tokens.device).repeat(pixels)
        return torch.addcmul(-mean / std, tokens.flatten(1).float(), 1 / (255 * std))
