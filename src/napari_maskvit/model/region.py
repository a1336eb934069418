"""The region transformer (`vit4k_xs` of HIPT): from the patches of a region to its feature."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from napari_maskvit.errors import ModelError
from napari_maskvit.model.packed import Encoded, encode_packed
from napari_maskvit.model.packing import Packing
from napari_maskvit.model.position import resize_positions
from napari_maskvit.model.vit import evaluating

if TYPE_CHECKING:
    from napari_maskvit.model.config import PositionResize, RegionArchitecture


class RegionTransformer(nn.Module):
    """Attends over the patches of a region.

    ``phi`` (Linear, GELU, dropout), class token, position embedding, registers after the class
    token, pre-norm blocks, LayerNorm; the output is the class token.

    Parameters
    ----------
    architecture
        Sizes.
    patch_dim
        Width of a patch feature.
    side
        Patches along one side of a region.
    position_side
        Side of the stored position embedding.
    resize
        How it is brought to ``side``.

    Attributes
    ----------
    dim, heads, side
        Width of the feature, attention heads, patches along one side.
    """

    def __init__(
        self,
        architecture: RegionArchitecture,
        *,
        patch_dim: int,
        side: int,
        position_side: int,
        resize: PositionResize = "size",
    ) -> None:
        super().__init__()
        self.dim = architecture.dim
        self.heads = architecture.heads
        self.side = side
        self.patch_dim = patch_dim
        self.resize = resize
        self.registers = architecture.registers
        dropout = architecture.dropout
        norm = partial(nn.LayerNorm, eps=1e-6)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, self.dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + position_side**2, self.dim))
        if self.registers:
            self.register_tokens = nn.Parameter(torch.zeros(1, self.registers, self.dim))
        self.phi = nn.Sequential(nn.Linear(patch_dim, self.dim), nn.GELU(), nn.Dropout(dropout))
        self.blocks = nn.ModuleList(
            Block(
                self.dim,
                self.heads,
                mlp_ratio=architecture.mlp_ratio,
                qkv_bias=True,
                proj_drop=dropout,
                norm_layer=norm,
            )
            for _ in range(architecture.depth)
        )
        self.norm = norm(self.dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fresh weights: truncated normal, biases zero."""
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                nn.init.trunc_normal_(parameter, std=0.02)
            elif "norm" not in name:
                nn.init.zeros_(parameter)

    def forward(self, features: Tensor, patch_mask: Tensor | None = None) -> Tensor:
        """Features of regions, computed densely, for training.

        Parameters
        ----------
        features
            [B, N, patch_dim], N = side², row-major; what stands at background is ignored.
        patch_mask
            bool [B, N], True = kept; None attends everywhere.

        Returns
        -------
        Tensor
            [B, dim].
        """
        prefix, positions = self._embeddings()
        states = self.phi(features) + positions
        states = torch.cat([prefix.expand(len(states), -1, -1), states], 1)
        keys = None
        if patch_mask is not None:
            keys = torch.cat([patch_mask.new_ones(len(patch_mask), prefix.shape[1]), patch_mask], 1)
            keys = keys[:, None, None]
        for block in self.blocks:
            states = block(states, attn_mask=keys)
        return self.norm(states[:, 0])

    @torch.inference_mode()
    def encode(self, features: Tensor, positions: Tensor, lengths: Tensor) -> Encoded:
        """Features and attention of regions given by their kept patches alone.

        Parameters
        ----------
        features
            float32 [P, patch_dim] of kept patches, region after region.
        positions
            int64 [P], row-major place of each patch in its region.
        lengths
            int64 [R], kept patches of each region; 0 leaves the prefix tokens alone.

        Returns
        -------
        Encoded
            features [R, dim] and attention [P, heads], float32.

        Raises
        ------
        ModelError
            If the patch features are of another width.
        """
        if features.shape[1] != self.patch_dim:
            raise ModelError(
                f"The region transformer reads patch features of width {self.patch_dim}, not "
                f"{features.shape[1]}: it belongs to another patch encoder."
            )
        weight = self.cls_token
        with evaluating(self):
            prefix, places = self._embeddings()
            tokens = self.phi(features.to(weight)) + places[0, positions.to(weight.device)]
            packing = Packing(lengths, prefix.shape[1], weight.device)
            return encode_packed(self.blocks, self.norm, packing.join(prefix[0], tokens), packing)

    def _embeddings(self) -> tuple[Tensor, Tensor]:
        """Prefix [1, 1 + registers, dim] and position embedding [1, side², dim]."""
        places = resize_positions(self.pos_embed, 1, self.side, self.resize)
        prefix = self.cls_token + places[:, :1]
        if self.registers:
            prefix = torch.cat([prefix, self.register_tokens], 1)
        return prefix, places[:, 1:]
