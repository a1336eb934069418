"""Stored position embeddings reach the grid in use the way that the checkpoint was trained."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from napari_maskvit.errors import ModelError
from napari_maskvit.model.position import resize_positions


@pytest.mark.parametrize(("stored", "side"), [(14, 16), (7, 8), (3, 4), (14, 8)])
def test_variants_sample_as_published(stored: int, side: int) -> None:
    embedding = torch.randn(1, 1 + stored**2, 24)
    picture = embedding[0, 1:].reshape(stored, stored, 24).permute(2, 0, 1)[None]
    by_size = F.interpolate(picture, size=(side, side), mode="bicubic", align_corners=False)
    by_scale = F.interpolate(picture, scale_factor=(side + 0.1) / stored, mode="bicubic")
    for variant, picture_expected in (("size", by_size), ("scale", by_scale)):
        resized = resize_positions(embedding, 1, side, variant)
        expected = picture_expected[0].permute(1, 2, 0).reshape(side**2, 24)
        assert torch.equal(resized[0, 0], embedding[0, 0])
        torch.testing.assert_close(resized[0, 1:], expected)
    assert not torch.allclose(by_size, by_scale)


@pytest.mark.parametrize("variant", ["size", "scale"])
@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_the_grid_it_was_stored_for_is_left_alone(variant: str, prefix: int) -> None:
    embedding = torch.randn(1, prefix + 49, 8)
    assert torch.equal(resize_positions(embedding, prefix, 7, variant), embedding)


@pytest.mark.parametrize("entries", [1, 51, 196])
def test_what_is_no_square_grid_is_an_error(entries: int) -> None:
    with pytest.raises(ModelError, match="does not fit this model"):
        resize_positions(torch.zeros(1, entries, 8), 1, 8, "size")
