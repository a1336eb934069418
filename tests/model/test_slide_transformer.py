"""The slide level: published names and sizes, masked as dropped, positions."""

from __future__ import annotations

import pytest
import torch

from napari_maskvit.errors import ModelError
from napari_maskvit.model import SlideArchitecture
from napari_maskvit.model.slide import SlideTransformer

POSITIONS = ["none", "learned-1d", "learned-2d", "sinusoidal-1d", "sinusoidal-2d"]
PUBLISHED = {
    "global_phi.0.weight",
    "global_transformer.layers.0.self_attn.in_proj_weight",
    "global_transformer.layers.1.self_attn.in_proj_bias",
    "global_transformer.layers.1.self_attn.out_proj.weight",
    "global_transformer.layers.0.linear1.weight",
    "global_transformer.layers.0.linear2.bias",
    "global_transformer.layers.0.norm1.weight",
    "global_transformer.layers.1.norm2.bias",
    "global_attn_pool.attention_a.0.weight",
    "global_attn_pool.attention_b.0.bias",
    "global_attn_pool.attention_c.weight",
    "global_rho.0.weight",
    "classifier.weight",
}


def make(position: str = "none", outputs: int = 6) -> SlideTransformer:
    torch.manual_seed(0)
    architecture = SlideArchitecture(position=position, position_side=32)
    return SlideTransformer(architecture, region_dim=192, outputs=outputs).eval()


def test_it_is_the_published_one() -> None:
    state = make().state_dict()
    assert state.keys() >= PUBLISHED
    assert sum(one.numel() for one in state.values()) == pytest.approx(0.6e6, rel=0.1)


@pytest.mark.parametrize("position", POSITIONS)
def test_masked_equals_dropped(position: str) -> None:
    slide = make(position)
    features = torch.randn(1, 7, 192)
    coordinates = torch.randint(0, 32, (1, 7, 2))
    kept = torch.tensor([[True, False, True, True, False, False, True]])
    with torch.inference_mode():
        logits, weights = slide(features, coordinates, kept)
    encoded = slide.encode(features[kept], coordinates[kept])
    assert (encoded.logits - logits[0]).abs().max() <= 1e-5
    assert (encoded.attention[:, 0] - weights[kept]).abs().max() <= 1e-5
    assert not weights[~kept].any()
    assert encoded.attention.shape == (4, 1)
    assert encoded.attention.sum() == pytest.approx(1)


@pytest.mark.parametrize("position", POSITIONS)
def test_only_a_position_encoding_tells_places_apart(position: str) -> None:
    slide, features = make(position), torch.randn(3, 192)
    here = slide.encode(features, torch.tensor([[0, 0], [0, 1], [4, 2]])).logits
    there = slide.encode(features, torch.tensor([[9, 0], [3, 1], [1, 7]])).logits
    assert torch.equal(here, there) == (position == "none")


def test_one_region_takes_all_attention() -> None:
    assert make().encode(torch.randn(1, 192), torch.zeros(1, 2, dtype=torch.int64)).attention == 1


@pytest.mark.parametrize(
    ("features", "coordinates", "position", "reason"),
    [
        ((0, 192), [], "none", "No region holds tissue"),
        ((1, 384), [[0, 0]], "none", "width 192, not 384"),
        ((1, 192), [[0, 32]], "learned-1d", "32 x 32 regions"),
        ((1, 192), [[40, 3]], "learned-2d", "32 x 32 regions"),
    ],
)
def test_what_does_not_fit_is_refused(features, coordinates, position: str, reason: str) -> None:
    places = torch.tensor(coordinates, dtype=torch.int64).reshape(-1, 2)
    with pytest.raises(ModelError, match=reason):
        make(position).encode(torch.zeros(features), places)


def test_dropout_plays_no_part_in_encode() -> None:
    slide, features = make().train(), torch.randn(3, 192)
    places = torch.zeros(3, 2, dtype=torch.int64)
    assert torch.equal(slide.encode(features, places).logits, slide.encode(features, places).logits)
    assert slide.training
