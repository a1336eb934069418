"""Bundles are written whole or not at all, come back as they were, and damage is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_maskvit.errors import ModelError
from napari_maskvit.model import (
    Model,
    ModelConfig,
    PatchArchitecture,
    RegionArchitecture,
    SlideArchitecture,
    build_model,
    bundle,
    find_bundle,
    list_models,
    load_model,
    save_bundle,
)

TINY = {"embed_dim": 24, "depth": 1, "num_heads": 2, "mlp_layer": "SwiGLUPacked"}


def config(**changes: object) -> ModelConfig:
    facts: dict[str, object] = {
        "name": "tiny",
        "title": "Tiny",
        "spacing": 0.5,
        "token_px": 16,
        "patch_px": 32,
        "region_px": 128,
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
        "patch": PatchArchitecture(name="vit_small_patch16_224", options=TINY),
        "region": RegionArchitecture(dim=24, depth=1, heads=2, registers=1),
        "slide": SlideArchitecture(dim=24, depth=1, heads=2, position="learned-2d"),
        "head": "ordinal-corn",
        "labels": ("benign", "low", "high"),
        "frozen": ("patch",),
        "licence": "none",
        "training_data": "none",
        "metrics": {"quadratic weighted kappa": 0.5},
    }
    return ModelConfig.model_validate(facts | changes)


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    return build_model(config(), "# Tiny\n\nA card.\n")


def test_it_comes_back_as_it_was(model: Model, tmp_path: Path) -> None:
    folder = save_bundle(model, tmp_path / "deep/tiny")
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]
    again = load_model(folder)
    assert again.card == model.card
    assert again.path == folder
    assert again.config == model.config.model_copy(update={"weights_sha256": again.sha256})
    assert again.sha256 == bundle.file_sha256(folder / "model.safetensors")
    for level, module in model.parts().items():
        state = again.parts()[level].state_dict()
        assert all(torch.equal(one, state[name]) for name, one in module.state_dict().items())
    assert not any(module.training for module in again.parts().values())


def test_half_the_size_is_float32_again_once_loaded(model: Model, tmp_path: Path) -> None:
    whole = save_bundle(model, tmp_path / "whole")
    half = save_bundle(model, tmp_path / "half", half=True)
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (half, whole)]
    assert sizes[0] < 0.6 * sizes[1]
    assert load_model(half).patch.vit.cls_token.dtype == torch.float32


def test_whoever_may_read_its_card_may_read_its_weights(model: Model, tmp_path: Path) -> None:
    path = save_bundle(model, tmp_path / "bundle")
    assert len({file.stat().st_mode for file in path.iterdir()}) == 1


def test_a_copy_on_a_device_leaves_the_original_alone(model: Model) -> None:
    copy = model.to("cpu", "bfloat16")
    assert copy.patch.vit.cls_token.dtype == torch.bfloat16
    assert copy.region is not None
    assert copy.region.cls_token.dtype == torch.float32
    assert model.patch.vit.cls_token.dtype == torch.float32


def test_an_older_bundle_is_replaced_and_anything_else_left_alone(model, tmp_path: Path) -> None:
    folder = save_bundle(model, tmp_path / "tiny")
    save_bundle(build_model(config(title="Newer")), folder)
    assert load_model(folder).config.title == "Newer"
    (tmp_path / "mine").mkdir()
    with pytest.raises(ModelError, match="left alone"):
        save_bundle(model, tmp_path / "mine")


def test_nothing_half_is_left_when_writing_fails(model, tmp_path: Path, monkeypatch) -> None:
    folder = save_bundle(model, tmp_path / "tiny")

    def full_disk(tensors: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, "save_file", full_disk)
    with pytest.raises(ModelError, match="No space left"):
        save_bundle(build_model(config(title="Newer")), folder)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]
    assert load_model(folder).config.title == "Tiny"


def edit_config(folder: Path, **changes: object) -> None:
    facts = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(facts | changes))


def edit_tensors(folder: Path, **changes: torch.Tensor | None) -> None:
    tensors = load_file(folder / "model.safetensors") | changes
    save_file(
        {name: one for name, one in tensors.items() if one is not None},
        folder / "model.safetensors",
    )
    edit_config(folder, weights_sha256=None)


DAMAGE = {
    "no config": (lambda f: (f / "config.json").unlink(), "holds no config.json"),
    "config is no JSON": (lambda f: (f / "config.json").write_text("{"), "config.json.*wrong"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "cannot be read"),
    "cut weights": (
        lambda f: (f / "model.safetensors").write_bytes(
            (f / "model.safetensors").read_bytes()[:5000]
        ),
        "cannot be read",
    ),
    "other weights": (
        lambda f: edit_config(f, weights_sha256="0" * 64),
        "not those that its config states",
    ),
    "unknown field": (lambda f: edit_config(f, colour="red"), "colour"),
    "no spacing": (lambda f: edit_config(f, spacing=0), "spacing"),
    "sizes": (lambda f: edit_config(f, patch_px=33), "patch_px 33 is no multiple of token_px 16"),
    "labels": (lambda f: edit_config(f, labels=["one"]), "at least two labels"),
    "slide without region": (lambda f: edit_config(f, region=None), "needs a region transformer"),
    "head without slide": (lambda f: edit_config(f, slide=None), "come together"),
    "unknown encoder": (
        lambda f: edit_config(f, patch={"name": "vit_of_tomorrow"}),
        "timm cannot make",
    ),
    "token size": (
        lambda f: edit_config(f, token_px=8),
        "states tokens of 8 px, but",
    ),
    "missing tensor": (
        lambda f: edit_tensors(f, **{"region.norm.weight": None}),
        "region.norm.weight is missing",
    ),
    "unknown tensor": (lambda f: edit_tensors(f, extra=torch.ones(1)), "extra is unknown"),
    "misshaped tensor": (
        lambda f: edit_tensors(f, **{"slide.classifier.bias": torch.ones(3)}),
        r"slide.classifier.bias is \[3\], not \[2\]",
    ),
    "position embedding": (
        lambda f: edit_tensors(f, **{"region.pos_embed": torch.zeros(1, 197, 24)}),
        r"region.pos_embed is \[1, 197, 24\], not \[1, 10, 24\]",
    ),
    "not a number": (
        lambda f: edit_tensors(f, **{"region.norm.weight": torch.full((24,), torch.nan)}),
        "region.norm.weight is not finite",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_told(kind: str, model: Model, tmp_path: Path) -> None:
    damage, reason = DAMAGE[kind]
    folder = save_bundle(model, tmp_path / "tiny")
    damage(folder)
    with pytest.raises(ModelError, match=reason):
        load_model(folder)


# ---- the registry --------------------------------------------------------------------------------


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("MASKVIT_MODELS", str(folder))
    return folder


def test_models_of_mine_are_known_by_name(model: Model, mine: Path) -> None:
    save_bundle(model, mine / "a-folder")
    (mine / "notes").mkdir()
    (mine / "broken").mkdir()
    (mine / "broken/config.json").write_text("{}")
    listed = [(info.name, info.where) for info in list_models() if info.where == "user"]
    assert listed == [("tiny", "user")]
    assert load_model("tiny").config.labels == ("benign", "low", "high")


def test_the_default_comes_first(mine: Path) -> None:
    first = list_models()[0]
    assert first.where == "bundled"
    assert load_model().name == first.name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("unknown", "There is no model 'unknown'. Known: "),
        ("/no/such/place", "no bundle at"),
        (Path("/no/such/place"), "no model at"),
    ],
)
def test_names_that_nobody_knows(mine: Path, name: str | Path, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        load_model(name)


def test_a_bundle_is_found_by_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKVIT_MODELS", str(tmp_path))
    folder = save_bundle(build_model(config(), "# Tiny"), tmp_path / "tiny")
    assert find_bundle(load_model(folder).sha256) == folder
    assert find_bundle("0" * 64) is None
    assert load_model(find_bundle(load_model().sha256)).name == load_model().name
