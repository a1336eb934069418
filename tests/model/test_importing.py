"""Checkpoints from elsewhere, with stand-ins of the same structure as the published files."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor

from napari_maskvit.errors import ModelError
from napari_maskvit.model import (
    ModelConfig,
    PatchArchitecture,
    RegionArchitecture,
    SlideArchitecture,
    load_model,
    save_bundle,
)
from napari_maskvit.model.importing import hipt_config, import_checkpoint, read_checkpoint
from napari_maskvit.model.region import RegionTransformer
from napari_maskvit.model.slide import SlideTransformer

SMALL = {"embed_dim": 36, "depth": 2, "num_heads": 3}
REGION = RegionArchitecture(dim=24, depth=2, heads=3)


def dino_vit() -> dict[str, Tensor]:
    """As trained on crops of 224 px: 197 entries of position."""
    vit = timm.create_model("vit_small_patch16_224", **SMALL, num_classes=0)
    return vit.state_dict()


def dino_region(side: int = 14) -> dict[str, Tensor]:
    return RegionTransformer(
        REGION, patch_dim=36, side=16, position_side=side, resize="scale"
    ).state_dict()


def training_state(path: Path, weights: dict[str, Tensor], **more: object) -> Path:
    """What DINO saves: student and teacher, optimiser, and the arguments of its command line."""
    student = {f"module.backbone.{name}": torch.zeros_like(one) for name, one in weights.items()}
    teacher = {f"backbone.{name}": one for name, one in weights.items()}
    teacher |= {"head.mlp.0.weight": torch.ones(2, 2), "head.last_layer.weight_g": torch.ones(2)}
    content = {
        "student": student,
        "teacher": teacher,
        "optimizer": {"state": {0: {"step": 3}}, "param_groups": [{"lr": 0.1}]},
        "epoch": 100,
        "args": argparse.Namespace(arch="vit_small", patch_size=16),
        **more,
    }
    torch.save(content, path)
    return path


def config(**changes: object) -> ModelConfig:
    patch = PatchArchitecture(name="vit_small_patch16_224", options=SMALL)
    return hipt_config().model_copy(update={"patch": patch, "region": REGION, **changes})


def test_a_dino_training_state(tmp_path: Path) -> None:
    weights = dino_vit()
    found = read_checkpoint(training_state(tmp_path / "vit.pth", weights))
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], one) for name, one in weights.items())


def test_prefixes_are_stripped_in_front_and_once(tmp_path: Path) -> None:
    names = ["module.backbone.a", "backbone.module.b", "c.backbone.d", "module.head.w", "e.head.f"]
    torch.save({name: torch.ones(1) for name in names}, tmp_path / "some.pt")
    assert read_checkpoint(tmp_path / "some.pt").keys() == {
        "a",
        "module.b",
        "c.backbone.d",
        "e.head.f",
    }


def test_hipt_becomes_a_bundle(tmp_path: Path) -> None:
    patch = training_state(tmp_path / "vit256_small_dino.pth", dino_vit())
    region = training_state(tmp_path / "vit4k_xs_dino.pth", dino_region())
    model = import_checkpoint(config(), patch=patch, region=region)
    assert model.levels == ("patch", "region")
    assert model.patch.vit.pos_embed.shape == (1, 257, 36)
    assert model.config.position_resize == "scale"
    assert "vit256_small_dino.pth" in model.card
    assert "not a published file known here" in model.card
    again = load_model(save_bundle(model, tmp_path / "hipt"))
    assert torch.equal(again.region.pos_embed, model.region.pos_embed)


def test_positions_of_the_patch_level_are_resized_as_the_config_says(tmp_path: Path) -> None:
    from napari_maskvit.model.position import resize_positions

    weights = dino_vit()
    patch = training_state(tmp_path / "vit.pth", weights)
    for variant in ("size", "scale"):
        facts = config(region=None, position_resize=variant, frozen=())
        found = import_checkpoint(facts, patch=patch).patch.vit.pos_embed
        assert torch.equal(found, resize_positions(weights["pos_embed"], 1, 16, variant))


def aggregator(path: Path, region_too: bool) -> Path:
    slide = SlideTransformer(SlideArchitecture(dim=24, heads=2), region_dim=24, outputs=1)
    weights = dict(slide.state_dict())
    if region_too:
        weights |= {f"vit_region.{name}": one for name, one in dino_region(7).items()}
    torch.save(weights, path)
    return path


def aggregator_config() -> ModelConfig:
    facts = {
        **config().model_dump(),
        "name": "panda",
        "region_px": 2048,
        "position_resize": "size",
        "region": {**REGION.model_dump()},
        "slide": {"dim": 24, "heads": 2},
        "head": "regression",
        "labels": tuple(f"grade group {grade}" for grade in range(6)),
        "frozen": ("patch",),
    }
    return ModelConfig.model_validate(facts)


def test_an_aggregator_brings_its_region_transformer(tmp_path: Path) -> None:
    patch = training_state(tmp_path / "vit.pth", dino_vit())
    both = aggregator(tmp_path / "aggregator.pt", region_too=True)
    model = import_checkpoint(aggregator_config(), patch=patch, aggregator=both)
    assert model.levels == ("patch", "region", "slide")
    assert model.region.pos_embed.shape == (1, 50, 24)
    assert model.predict(torch.tensor([2.2])).label == "grade group 2"
    onto = import_checkpoint(aggregator_config(), patch=model, aggregator=both)
    assert torch.equal(onto.patch.vit.cls_token, model.patch.vit.cls_token)


def test_a_region_transformer_from_two_files_is_refused(tmp_path: Path) -> None:
    patch = training_state(tmp_path / "vit.pth", dino_vit())
    region = training_state(tmp_path / "region.pth", dino_region(7))
    both = aggregator(tmp_path / "aggregator.pt", region_too=True)
    with pytest.raises(ModelError, match="Both"):
        import_checkpoint(aggregator_config(), patch=patch, region=region, aggregator=both)
    alone = aggregator(tmp_path / "alone.pt", region_too=False)
    model = import_checkpoint(aggregator_config(), patch=patch, region=region, aggregator=alone)
    assert model.levels == ("patch", "region", "slide")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda w: w.pop("norm.weight"), "patch.norm.weight is missing"),
        (lambda w: w.update(mask_token=torch.ones(1)), "patch.mask_token is unknown"),
        (lambda w: w.update({"norm.bias": torch.ones(3)}), r"patch.norm.bias is \[3\], not \[36\]"),
        (lambda w: w.update(pos_embed=torch.zeros(1, 190, 36)), "does not fit this model"),
        (lambda w: w.update(pos_embed=torch.zeros(1, 197, 35)), "patch.pos_embed is"),
    ],
)
def test_what_does_not_fit_is_listed(tmp_path: Path, change, reason: str) -> None:
    weights = dino_vit()
    change(weights)
    patch = training_state(tmp_path / "vit.pth", weights)
    with pytest.raises(ModelError, match=reason):
        import_checkpoint(config(region=None, frozen=()), patch=patch)


def test_a_region_position_embedding_of_another_grid_is_an_error(tmp_path: Path) -> None:
    patch = training_state(tmp_path / "vit.pth", dino_vit())
    region = training_state(tmp_path / "region.pth", dino_region(7))
    with pytest.raises(ModelError, match=r"region.pos_embed is \[1, 50, 24\], not \[1, 197, 24\]"):
        import_checkpoint(config(), patch=patch, region=region)


class Bomb:
    """Runs a command when unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    content = {"teacher": dino_vit(), "args": Bomb(tmp_path / "ran")}
    path = tmp_path / "evil.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match="refused"):
        read_checkpoint(path)
    assert not (tmp_path / "ran").exists()


def test_exactly_one_class_is_allowed(tmp_path: Path) -> None:
    from types import SimpleNamespace

    path = training_state(tmp_path / "vit.pth", dino_vit(), more=SimpleNamespace(a=1))
    with pytest.raises(ModelError, match="refused"):
        read_checkpoint(path)
    assert argparse.Namespace not in torch.serialization.get_safe_globals()


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "cannot be read|refused"), (b"not a checkpoint", "cannot be read|refused")],
)
def test_files_that_are_none(tmp_path: Path, content: bytes, reason: str) -> None:
    for name in ("some.pth", "some.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError, match=reason):
            read_checkpoint(tmp_path / name)
    with pytest.raises(ModelError, match="cannot be read"):
        read_checkpoint(tmp_path / "missing.pth")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"teacher": {}}])
def test_files_without_weights(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "some.pth")
    with pytest.raises(ModelError, match="holds no weights"):
        read_checkpoint(tmp_path / "some.pth")


def test_hipt_at_its_own_size_has_the_published_tensors() -> None:
    from napari_maskvit.model import build_model

    model = build_model(hipt_config(), empty=True)
    patch, region = model.patch.vit.state_dict(), model.region.state_dict()
    assert (len(patch), len(region)) == (150, 78)
    assert sum(one.numel() for one in patch.values()) == pytest.approx(21.7e6, rel=5e-3)
