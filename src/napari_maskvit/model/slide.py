"""The slide transformer: from the regions of a slide to the answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_maskvit.errors import ModelError
from napari_maskvit.model.vit import evaluating

if TYPE_CHECKING:
    from napari_maskvit.model.config import SlideArchitecture


@dataclass(frozen=True)
class SlideEncoded:
    """What the slide level says: logits float32 [C] and pooling weights float32 [M, 1]."""

    logits: Tensor
    attention: Tensor


class GatedAttentionPool(nn.Module):
    """s = w · (tanh(V h) ⊙ σ(U h)), α = softmax(s), v = Σ α h (Ilse et al., ICML 2018)."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.attention_a = nn.Sequential(nn.Linear(dim, dim), nn.Tanh(), nn.Dropout(dropout))
        self.attention_b = nn.Sequential(nn.Linear(dim, dim), nn.Sigmoid(), nn.Dropout(dropout))
        self.attention_c = nn.Linear(dim, 1)

    def forward(self, states: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """States [B, M, D] and kept regions bool [B, M] -> pooled [B, D] and α [B, M]."""
        scores = self.attention_c(self.attention_a(states) * self.attention_b(states))[..., 0]
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        weights = scores.softmax(-1)
        return (weights[:, None] @ states)[:, 0], weights


class SlideTransformer(nn.Module):
    """Attends over the regions of a slide and answers.

    ``global_phi`` (Linear, ReLU, dropout), post-norm transformer layers, gated attention pooling,
    ``global_rho`` (Linear, ReLU, dropout), classifier.

    Parameters
    ----------
    architecture
        Sizes, dropout and position encoding.
    region_dim
        Width of a region feature.
    outputs
        Numbers that the classifier puts out.
    """

    heads = 1

    def __init__(self, architecture: SlideArchitecture, *, region_dim: int, outputs: int) -> None:
        super().__init__()
        dim, dropout = architecture.dim, architecture.dropout
        self.dim = dim
        self.region_dim = region_dim
        self.position = architecture.position
        self.position_side = architecture.position_side
        self.global_phi = nn.Sequential(nn.Linear(region_dim, dim), nn.ReLU(), nn.Dropout(dropout))
        layer = nn.TransformerEncoderLayer(
            dim, architecture.heads, architecture.feedforward, dropout, "relu", batch_first=True
        )
        self.global_transformer = nn.TransformerEncoder(
            layer, architecture.depth, enable_nested_tensor=False
        )
        self.global_attn_pool = GatedAttentionPool(dim, dropout)
        self.global_rho = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Dropout(dropout))
        self.classifier = nn.Linear(dim, outputs)
        if self.position.startswith("learned"):
            side = self.position_side
            entries = side**2 if self.position == "learned-1d" else 2 * side
            self.pos_embed = nn.Parameter(torch.empty(1, entries, dim))
            nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(
        self, features: Tensor, coordinates: Tensor | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits and pooling weights of slides.

        Parameters
        ----------
        features
            [B, M, region_dim]; what stands at regions that are not kept is ignored.
        coordinates
            int64 [B, M, 2], row and column of each region; needed by position encodings only.
        mask
            bool [B, M], True = kept; None attends everywhere.

        Returns
        -------
        tuple of Tensor
            logits [B, C] and α [B, M].
        """
        states = self.global_phi(features)
        if self.position != "none":
            if coordinates is None:
                raise ModelError("This slide transformer needs the coordinates of its regions.")
            states = states + self._positions(coordinates)
        hidden = None if mask is None else ~mask
        states = self.global_transformer(states, src_key_padding_mask=hidden)
        pooled, weights = self.global_attn_pool(states, mask)
        return self.classifier(self.global_rho(pooled)), weights

    @torch.inference_mode()
    def encode(self, features: Tensor, coordinates: Tensor) -> SlideEncoded:
        """Logits and attention of one slide.

        Parameters
        ----------
        features
            float32 [M, region_dim] of kept regions.
        coordinates
            int64 [M, 2], row and column of each region.

        Returns
        -------
        SlideEncoded
            logits [C] and attention [M, 1].

        Raises
        ------
        ModelError
            If there is no region, or the features are of another width.
        """
        if not len(features):
            raise ModelError("No region holds tissue, so there is nothing to make a prediction of.")
        if features.shape[1] != self.region_dim:
            raise ModelError(
                f"The slide transformer reads region features of width {self.region_dim}, not "
                f"{features.shape[1]}: it belongs to another region transformer."
            )
        weight = self.classifier.weight
        with evaluating(self):
            logits, attention = self(features.to(weight)[None], coordinates.to(weight.device)[None])
        return SlideEncoded(logits[0].float(), attention[0, :, None].float())

    def _positions(self, coordinates: Tensor) -> Tensor:
        """[B, M, 2] -> [B, M, dim]."""
        row, column = coordinates.unbind(-1)
        side = self.position_side
        if self.position.startswith("learned"):
            if int(coordinates.max()) >= side:
                raise ModelError(
                    f"The slide spans more than the {side} x {side} regions whose places this "
                    "model has learned."
                )
            if self.position == "learned-1d":
                return self.pos_embed[0, row * side + column]
            return self.pos_embed[0, row] + self.pos_embed[0, side + column]
        if self.position == "sinusoidal-1d":
            return _waves(row * side + column, self.dim)
        return torch.cat([_waves(row, self.dim // 2), _waves(column, self.dim // 2)], -1)


def _waves(places: Tensor, dim: int) -> Tensor:
    """Sines and cosines of Vaswani et al. (2017): [...] -> [..., dim]."""
    rates = torch.exp(torch.arange(0, dim, 2, device=places.device) * (-math.log(1e4) / dim))
    angles = places[..., None].float() * rates
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)
