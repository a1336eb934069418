"""Training stopped anywhere and started again ends the same; what goes wrong is said."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import lightning
import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from maskvit_training.cohort import read_cohort
from maskvit_training.data import Unit, cut_time, make_units, read_sample, target_of
from maskvit_training.errors import FeatureError, TrainingError
from maskvit_training.extraction import extract
from maskvit_training.fit import BEST, fit_fold, predict
from maskvit_training.loading import EpochSampler
from maskvit_training.module import HierarchyModule
from maskvit_training.network import Hierarchy, drop_patches, load_encoder, make_config, unpack
from maskvit_training.recipe import load_recipe
from maskvit_training.running import LAST
from maskvit_training.splits import Fold, whole_cohort

EPOCHS = 4


class Run:
    """A recipe with its features and one small fold."""

    def __init__(self, folder: Path, *overrides: str) -> None:
        size = ["model.dropout=0.2", f"optimiser.epochs={EPOCHS}", "masking.drop_patches=0.2"]
        self.recipe = load_recipe(folder / "recipe.yaml", [*size, *overrides])
        self.encoder = load_encoder(self.recipe)
        cases = read_cohort(self.recipe)[:10:2]
        results = list(extract(self.recipe, cases, self.encoder))
        self.keys = {one.case.name: one.key for one in results}
        self.fold = Fold(0, cases[:3], cases[3:4], cases[4:])
        self.units = make_units(self.recipe, cases, self.keys)

    def fit(self, output: Path, *callbacks: lightning.Callback) -> Path:
        features = self.recipe.feature_folder
        recipe = self.recipe.model_copy(update={"output": output, "features": features})
        return fit_fold(recipe, self.fold, self.keys, self.encoder, callbacks=callbacks, quiet=True)


@pytest.fixture(scope="module")
def ready(colour_cohort: Path, tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("fit")
    shutil.copytree(colour_cohort, folder, dirs_exist_ok=True)
    return Run(folder)


@pytest.fixture(scope="module")
def whole(ready: Run, tmp_path_factory) -> Path:
    """A fold trained in one go."""
    return ready.fit(tmp_path_factory.mktemp("whole"))


class Stop(lightning.Callback):
    """Dies in the middle of an epoch, as on a power cut."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, trainer, _module, _outputs, _batch, index) -> None:
        if trainer.current_epoch == self.epoch and index == 1:
            raise ZeroDivisionError


@pytest.mark.parametrize("epoch", [0, 2])
def test_stopped_anywhere_it_ends_the_same(ready: Run, whole: Path, tmp_path: Path, epoch: int):
    with pytest.raises(ZeroDivisionError):
        ready.fit(tmp_path, Stop(epoch))
    again = ready.fit(tmp_path)
    # Threads add up in an order of their own: the same to rounding, not to the last digit.
    for name in ("predictions.csv", "history.csv"):
        pd.testing.assert_frame_equal(
            pd.read_csv(again / name), pd.read_csv(whole / name), rtol=1e-3, atol=1e-4
        )
    best, straight = (
        torch.load(folder / "best.ckpt", weights_only=False) for folder in (again, whole)
    )
    for name, tensor in straight["state_dict"].items():
        torch.testing.assert_close(best["state_dict"][name], tensor, rtol=1e-2, atol=2e-3)


def test_every_slide_trains_to_the_last_epoch(ready: Run, tmp_path: Path):
    recipe = ready.recipe.model_copy(
        update={"output": tmp_path, "features": ready.recipe.feature_folder}
    )
    cases = [*ready.fold.train, *ready.fold.tune, *ready.fold.test]
    fold = whole_cohort(cases)
    with pytest.raises(ZeroDivisionError):
        fit_fold(recipe, fold, ready.keys, ready.encoder, callbacks=[Stop(2)], quiet=True)
    folder = fit_fold(recipe, fold, ready.keys, ready.encoder, quiet=True)
    assert folder.name == "final"
    assert not (folder / "predictions.csv").exists()
    best, last = (torch.load(folder / name, weights_only=False) for name in (BEST, LAST))
    assert best["epoch"] == last["epoch"] == EPOCHS - 1
    for name, tensor in best["state_dict"].items():
        assert torch.equal(tensor, last["state_dict"][name])


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_weights_that_count(ready: Run, tmp_path: Path, keep: str):
    # A rate so high that the tuning loss is best before the end.
    changes = {"keep": keep, "learning_rate": 0.02, "epochs": 6, "clip": 1.0}
    recipe = ready.recipe.model_copy(
        update={
            "optimiser": ready.recipe.optimiser.model_copy(update=changes),
            "output": tmp_path,
            "features": ready.recipe.feature_folder,
        }
    )
    folder = fit_fold(recipe, ready.fold, ready.keys, ready.encoder, quiet=True)
    losses = pd.read_csv(folder / "history.csv")["tune_loss"]
    epoch = torch.load(folder / BEST, weights_only=False)["epoch"]
    assert epoch == (5 if keep == "last" else losses.idxmin())


def test_every_epoch_is_in_the_logs(whole: Path):
    assert len((whole / "history.csv").read_text().splitlines()) == EPOCHS + 1
    assert list((whole / "logs").rglob("metrics.csv"))
    assert list((whole / "tensorboard").rglob("events.*"))


def test_a_loss_that_is_no_number_is_said(colour_cohort: Path, tmp_path: Path):
    shutil.copytree(colour_cohort, tmp_path, dirs_exist_ok=True)
    run = Run(tmp_path)
    features = zarr.open_group(run.units[1].stores[0], mode="a")["features"]
    features[:] = np.nan
    with pytest.raises(TrainingError, match=f"loss of {run.units[1].name} in epoch 0 is nan"):
        run.fit(tmp_path / "out")


def test_a_damaged_checkpoint_is_said(ready: Run, tmp_path: Path):
    (tmp_path / "fold-0").mkdir()
    (tmp_path / "fold-0" / LAST).write_bytes(b"torn")
    with pytest.raises(TrainingError, match="cannot be opened"):
        ready.fit(tmp_path)


def test_features_that_are_missing_are_said(ready: Run, tmp_path: Path):
    keys = {name: key for name, key in ready.keys.items() if name != ready.fold.tune[0].name}
    with pytest.raises(TrainingError, match="nobody to tune with features"):
        fit_fold(ready.recipe, ready.fold, keys, ready.encoder)


# ---- the parts ----


def hierarchy(run: Run, **task: object) -> tuple[Hierarchy, HierarchyModule]:
    recipe = run.recipe.model_copy(update={"task": run.recipe.task.model_copy(update=task)})
    edges = (1.0, 2.0, 3.0) if recipe.task.kind == "survival" else ()
    config = make_config(recipe, run.encoder, edges)
    torch.manual_seed(0)
    module = HierarchyModule(config.model_dump(mode="json"), {}, 32, time_edges=edges).eval()
    return module.hierarchy, module


def test_training_and_plugin_compute_the_same(ready: Run):
    net, _ = hierarchy(ready)
    for unit in ready.units:
        sample = drop_patches(read_sample(unit, ()), 0.4)
        with torch.no_grad():
            torch.testing.assert_close(net(sample)[0], net.encode(sample), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("kind", "classes"),
    [
        ("classification", ("0", "1", "2")),
        ("regression", ("0", "1", "2")),
        ("ordinal-corn", ("0", "1", "2")),
        ("ordinal-coral", ("0", "1", "2")),
        ("survival", ()),
    ],
)
def test_every_task_gives_a_loss_and_a_prediction(ready: Run, kind: str, classes: tuple):
    _, module = hierarchy(ready, kind=kind, classes=classes)
    units = ready.units
    if kind == "survival":
        units = [replace(u, label=None, time=1.5 * at, event=at > 1) for at, u in enumerate(units)]
    sample = read_sample(units[2], module.time_edges)
    loss = module.loss(module.hierarchy(sample), sample.target)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(one.grad is not None for one in module.hierarchy.slide.parameters())
    predictions = predict(module, units)
    assert len(predictions) == len(units)
    if kind not in ("regression", "survival"):
        np.testing.assert_allclose(predictions.probabilities.sum(1), 1, atol=1e-6)


def test_the_scale_of_features_is_that_of_tissue(ready: Run):
    sample = read_sample(ready.units[0], ())
    beside_glass = replace(
        sample,
        features=torch.cat([sample.features, torch.full_like(sample.features, 1e3)]),
        coverage=torch.cat([sample.coverage, torch.zeros_like(sample.coverage)]),
    )
    alone, among = (hierarchy(ready)[1].hierarchy for _ in range(2))
    alone.standardise([sample])
    among.standardise([beside_glass])
    assert torch.equal(alone.centre, among.centre)
    assert torch.equal(alone.spread, among.spread)


def test_a_patient_is_all_of_its_slides(ready: Run):
    both = ready.units[0].stores + ready.units[1].stores
    joined = read_sample(replace(ready.units[0], stores=both), ())
    parts = [read_sample(unit, ()) for unit in ready.units[:2]]
    assert len(joined.lengths) == sum(len(part.lengths) for part in parts)
    assert len(torch.unique(joined.coordinates, dim=0)) == len(joined.lengths)
    features, kept = unpack(joined, 4)
    torch.testing.assert_close(features[kept], torch.cat([part.features for part in parts]))


def test_an_order_depends_on_seed_and_epoch_alone():
    sampler = EpochSampler(50, seed=3)
    first = list(sampler)
    sampler.set_epoch(1)
    assert sorted(first) == list(range(50))
    assert first != list(sampler)
    sampler.set_epoch(0)
    assert first == list(sampler)
    rare = torch.tensor([1.0] * 10 + [30.0] * 10).repeat_interleave(1)
    drawn = torch.tensor(list(EpochSampler(20, 0, rare)))
    assert (drawn >= 10).sum() > 15


def test_time_is_cut_where_events_are():
    units = [Unit(str(at), str(at), (), None, float(at + 1), at % 2 == 0) for at in range(20)]
    edges = cut_time(units, 4)
    assert edges == (5.5, 10.0, 14.5)
    assert target_of(units[0], edges).tolist() == [[0, 1]]
    assert target_of(units[19], edges).tolist() == [[3, 0]]
    with pytest.raises(FeatureError, match="too few"):
        cut_time(units[:2], 4)


def test_what_the_encoder_answered_is_not_taken_over(ready: Run, tmp_path: Path):
    """The labels of a bundle that serves as encoder are said of its own answer, not of ours."""
    from napari_maskvit.model import load_model, save_bundle

    whole = load_model(ready.recipe.encoder.model)
    facts = whole.config.model_copy(update={"answer": "ISUP grade group"})
    bundle = save_bundle(replace(whole, config=facts), tmp_path / "said")
    changed = ready.recipe.encoder.model_copy(update={"model": str(bundle)})
    recipe = ready.recipe.model_copy(update={"encoder": changed})
    assert make_config(recipe, load_encoder(recipe), ()).answer == ""
