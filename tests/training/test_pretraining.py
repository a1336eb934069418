"""DINO on tissue: the loss falls, background has no say, and what comes out is a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("lightly", reason="lightly is not installed (maskvit-training[pretrain])")

import torch
import yaml
from maskvit_training.cli import app
from maskvit_training.errors import TrainingError
from maskvit_training.pretraining.crops import GridCrops, PatchCrops
from maskvit_training.pretraining.data import NumberedSampler
from typer.testing import CliRunner

from napari_maskvit.model import load_model

HEAD = "prototypes: 128, hidden: 64, bottleneck: 32, momentum: 0.95, warmup_epochs: 1"
RATES = "small_crops: 2, batch: 16, learning_rate: 0.004, weight_decay: 0.0"


def words(recipe: Path, level: str, epochs: int, *more: str) -> list[str]:
    pretrain = (
        f"pretrain={{level: {level}, epochs: {epochs}, freeze_last_layer_epochs: 0, {HEAD}, "
        f"{RATES}, teacher_warmup_epochs: 0}}"
    )
    changes = [pretrain, f"output=run-{level}", *more]
    return ["pretrain", str(recipe), *(part for one in changes for part in ("--set", one))]


def run(words: list[str]) -> str:
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def unlabelled(colour_cohort: Path, tmp_path_factory) -> Path:
    """Six slides without labels, and a recipe."""
    folder = tmp_path_factory.mktemp("unlabelled")
    rows = [f"{colour_cohort / f's{at}.tif'},{colour_cohort / 'mask.tif'}" for at in range(6)]
    (folder / "cohort.csv").write_text("\n".join(["slide,mask", *rows]) + "\n")
    recipe = yaml.safe_load((colour_cohort / "recipe.yaml").read_text())
    recipe |= {"name": "dino", "task": {"kind": "none"}}
    recipe["model"] = {"region_dim": 24, "region_depth": 1, "region_heads": 2}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "recipe.yaml"


@pytest.mark.parametrize(("level", "epochs"), [("patch", 2), ("region", 6)])
def test_the_loss_falls_and_a_bundle_comes_out(unlabelled: Path, encoder_bundle, level, epochs):
    assert "Bundle:" in run(words(unlabelled, level, epochs))
    folder = unlabelled.parent / f"run-{level}/pretraining"
    told = json.loads((folder / "done.json").read_text())
    losses, distances = told["loss"], told["distance"]
    assert len(losses) == len(distances) == epochs
    assert losses[-1] < losses[0] - 0.05, losses
    # What is left of the loss is the teacher's own entropy.
    assert all(0 < far < loss for far, loss in zip(distances, losses, strict=True))
    assert distances[-1] < distances[0], distances
    model = load_model(folder / "bundle")
    start = load_model(encoder_bundle)
    assert model.levels == (("patch",) if level == "patch" else ("patch", "region"))
    before, after = (one.patch.vit.state_dict() for one in (start, model))
    assert before.keys() == after.keys()
    moved = any(not torch.equal(before[name], after[name]) for name in before)
    assert moved == (level == "patch")
    done = (folder / "done.json").stat().st_mtime_ns
    run(words(unlabelled, level, epochs))
    assert (folder / "done.json").stat().st_mtime_ns == done
    with pytest.raises(TrainingError, match="holds the training of another"):
        run(words(unlabelled, level, epochs + 1))


def test_without_a_task_nothing_is_fitted(unlabelled: Path):
    with pytest.raises(TrainingError, match=r"set task\.kind"):
        run(["fit", str(unlabelled)])
    with pytest.raises(TrainingError, match="no part 'pretrain'"):
        run(["pretrain", str(unlabelled)])


def test_crops_carry_their_tissue():
    torch.manual_seed(0)
    pixels = torch.full((64, 64, 3), 250, dtype=torch.uint8)
    pixels[:, :32] = 0  # tissue, black, so that no colour change can hide it
    tokens = (torch.arange(4) < 2).repeat(4)
    for _ in range(20):
        views = PatchCrops(64, 16, 2, 0.4, True)(pixels, tokens)
        assert [view[0].shape[-1] for view in views] == [64, 64, 32, 32]
        for crop, kept in views:
            assert kept.any()
            side = crop.shape[-1] // 16
            dark = crop.float().mean(0).view(side, 16, side, 16).mean((1, 3)).flatten() < 60
            assert not (dark & ~kept).any()
    views = PatchCrops(64, 16, 1, 0.4, False)(pixels, tokens)
    assert all(kept.all() for _, kept in views)


@pytest.mark.parametrize(("side", "sizes"), [(16, [14, 14, 6, 6]), (8, [7, 7, 3, 3]), (1, [1] * 4)])
def test_grids_are_cut_as_published(side: int, sizes: list[int]):
    torch.manual_seed(0)
    kept = torch.rand(side, side) > 0.5
    kept[side // 2] = True
    features = kept[..., None].float() * torch.tensor([1.0, 2.0])
    for _ in range(10):
        views = GridCrops(side, 2)(features, kept)
        assert [len(stays) for _, stays in views] == [size**2 for size in sizes]
        for crop, stays in views:
            assert stays.any()
            assert torch.equal(crop[:, 1], 2.0 * stays)


def test_an_order_says_the_epoch():
    sampler = NumberedSampler(10, 0)
    first = list(sampler)
    sampler.set_epoch(3)
    assert sorted(first) == list(range(10))
    assert sorted(sampler) == list(range(30, 40))
