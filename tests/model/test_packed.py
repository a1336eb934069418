"""The packed interface that the engine uses, at the patch and at the region level."""

from __future__ import annotations

import pytest
import timm
import torch

from napari_maskvit.errors import ModelError
from napari_maskvit.model import RegionArchitecture, masked_forward, packed
from napari_maskvit.model.packing import Packing
from napari_maskvit.model.patch import PatchTransformer
from napari_maskvit.model.region import RegionTransformer

TOLERANCE = 1e-5
MEAN, STD = (0.6, 0.5, 0.4), (0.2, 0.25, 0.3)


@pytest.fixture(scope="module")
def patch(randomised) -> PatchTransformer:
    arguments = {"embed_dim": 48, "depth": 2, "num_heads": 3, "reg_tokens": 2, "num_classes": 0}
    vit = timm.create_model("vit_small_patch16_224", img_size=64, **arguments)
    return PatchTransformer(randomised(vit), MEAN, STD)


def cut(images: torch.Tensor, kept: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """uint8 [B, 64, 64, 3] images and their mask as tokens, positions and lengths."""
    grid = images.unflatten(2, (4, 16)).unflatten(1, (4, 16)).transpose(2, 3).flatten(1, 2)
    return grid[kept], kept.nonzero()[:, 1], kept.sum(1)


@pytest.fixture(scope="module")
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (9, 64, 64, 3), generator=generator, dtype=torch.uint8)
    kept = torch.rand(9, 16, generator=generator) < 0.4
    kept[0], kept[1], kept[2] = False, True, False
    kept[2, 5] = True
    kept[3] = kept[4]
    return images, kept


def test_patches_equal_masked_forward_on_normalised_images(patch, batch) -> None:
    images, kept = batch
    normalised = ((images / 255 - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2)
    features, attention = masked_forward(patch.vit, normalised, kept)
    encoded = patch.encode(*cut(images, kept))
    assert (encoded.features - features).abs().max() <= TOLERANCE
    assert (encoded.attention - attention.transpose(1, 2)[kept]).abs().max() <= TOLERANCE
    assert (patch(normalised, kept) - features).abs().max() <= TOLERANCE


def test_order_and_company_of_patches_do_not_matter(patch, batch) -> None:
    images, kept = batch
    together = patch.encode(*cut(images, kept))
    ends = kept.sum(1).cumsum(0).tolist()
    for index, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        alone = patch.encode(*cut(images[index : index + 1], kept[index : index + 1]))
        assert (alone.features[0] - together.features[index]).abs().max() <= TOLERANCE
        if end > start:
            assert (alone.attention - together.attention[start:end]).abs().max() <= TOLERANCE


def test_the_padded_way_of_a_gpu_and_the_rows_of_a_cpu_agree(patch, batch, monkeypatch) -> None:
    expected = patch.encode(*cut(*batch))
    monkeypatch.setattr(packed, "_ROWS_AT_ONCE", 7)
    in_small_parts = patch.encode(*cut(*batch))
    runs = Packing.__init__
    monkeypatch.setattr(
        Packing,
        "__init__",
        lambda self, lengths, prefix, device: runs(self, lengths, prefix, device, padded=True),
    )
    padded = patch.encode(*cut(*batch))
    for found in (in_small_parts, padded):
        assert (found.features - expected.features).abs().max() <= TOLERANCE
        assert (found.attention - expected.attention).abs().max() <= TOLERANCE


def test_nothing_kept_anywhere(patch) -> None:
    nothing = torch.zeros(3, 16, dtype=torch.bool)
    encoded = patch.encode(*cut(torch.zeros(3, 64, 64, 3, dtype=torch.uint8), nothing))
    assert encoded.features.isfinite().all()
    assert encoded.attention.shape == (0, 3)
    assert torch.equal(encoded.features[0], encoded.features[1])


def test_bfloat16_weights_answer_in_float32_and_close_by(patch, batch) -> None:
    import copy

    half = copy.deepcopy(patch).to(torch.bfloat16)
    expected, found = patch.encode(*cut(*batch)), half.encode(*cut(*batch))
    assert found.features.dtype == found.attention.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(found.features, expected.features).min() > 0.999
    assert (found.attention - expected.attention).abs().max() < 0.02


def test_bfloat16_meets_few_numbers_of_rows(patch, batch) -> None:
    import copy

    half = copy.deepcopy(patch).to(torch.bfloat16)
    met = set()
    for block in half.vit.blocks:
        for layer in (block.attn.proj, block.mlp.fc1, block.mlp.fc2):
            layer.register_forward_pre_hook(lambda _, inputs: met.add(len(inputs[0])))
    images, kept = batch
    generator = torch.Generator().manual_seed(1)
    for share in torch.linspace(0.05, 1, 12):
        some = kept & (torch.rand(kept.shape, generator=generator) < share)
        half.encode(*cut(images, some))
    # oneDNN keeps a kernel for each, for good.
    assert met <= {64, 128}


def test_tokens_of_another_size_are_refused(patch) -> None:
    tokens = torch.zeros(2, 14, 14, 3, dtype=torch.uint8)
    with pytest.raises(ModelError, match=r"\[T, 16, 16, 3\]"):
        patch.encode(tokens, torch.tensor([0, 1]), torch.tensor([2]))


# ---- region level --------------------------------------------------------------------------------

REGIONS = {
    "vit4k_xs on 4096 px": ({}, 16, 14, "scale"),
    "on 2048 px": ({}, 8, 7, "size"),
    "on 1024 px, by scale": ({}, 4, 3, "scale"),
    "registers": ({"registers": 3, "depth": 2}, 8, 8, "size"),
}


@pytest.mark.parametrize("kind", REGIONS)
def test_regions_equal_the_textbook(kind: str, textbook, randomised) -> None:
    sizes, side, position_side, resize = REGIONS[kind]
    region = randomised(
        RegionTransformer(
            RegionArchitecture(**sizes),
            patch_dim=384,
            side=side,
            position_side=position_side,
            resize=resize,
        )
    )
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(6, side**2, 384, generator=generator)
    kept = torch.rand(6, side**2, generator=generator) < 0.3
    kept[0], kept[1], kept[2] = False, True, False
    kept[2, 3] = True

    encoded = region.encode(features[kept], kept.nonzero()[:, 1], kept.sum(1))

    expected, attention = textbook.dense_region(region, features, kept)
    assert (encoded.features - expected).abs().max() <= TOLERANCE
    assert (encoded.attention - attention.transpose(1, 2)[kept]).abs().max() <= TOLERANCE
    with torch.inference_mode():
        assert (region(features, kept) - expected).abs().max() <= TOLERANCE
    noisy = torch.where(kept[..., None], features, torch.full_like(features, 1e4))
    blind = region.encode(noisy[kept], kept.nonzero()[:, 1], kept.sum(1))
    assert torch.equal(blind.features, encoded.features)


def test_a_region_transformer_is_the_published_one() -> None:
    region = RegionTransformer(
        RegionArchitecture(), patch_dim=384, side=16, position_side=14, resize="scale"
    )
    state = region.state_dict()
    assert len(state) == 78
    assert sum(one.numel() for one in state.values()) == pytest.approx(2.78e6, rel=5e-3)
    assert state["pos_embed"].shape == (1, 197, 192)
    names = {"cls_token", "phi.0.weight", "blocks.5.attn.qkv.bias", "blocks.0.mlp.fc2.weight"}
    assert names | {"norm.weight", "pos_embed"} <= state.keys()


def test_features_of_another_encoder_are_refused() -> None:
    region = RegionTransformer(
        RegionArchitecture(depth=1), patch_dim=384, side=8, position_side=7, resize="size"
    )
    with pytest.raises(ModelError, match="width 384, not 768"):
        region.encode(torch.zeros(1, 768), torch.tensor([0]), torch.tensor([1]))
