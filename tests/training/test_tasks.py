"""Slide transformer alone, everything from pixels, other outlines of the tissue."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from maskvit_training.augment import augmented
from maskvit_training.bundle import export, trained_model
from maskvit_training.cohort import read_cohort
from maskvit_training.data import make_units, read_sample
from maskvit_training.errors import TrainingError
from maskvit_training.extraction import extract, open_case
from maskvit_training.feature_index import INDEX, read_index, read_variants, write_index
from maskvit_training.fit import BEST, fit_fold, load_module
from maskvit_training.loading import EpochSampler, UnitDataset
from maskvit_training.masks import make_mask
from maskvit_training.network import load_encoder
from maskvit_training.patch_training import embed_dense, embed_packed
from maskvit_training.recipe import AugmentRecipe, load_recipe
from maskvit_training.splits import Fold
from scipy import ndimage

from napari_maskvit.explain import Explainer
from napari_maskvit.tissue import TissueMask

SMALL = ("optimiser.epochs=2", "optimiser.patience=null")


class Run:
    """A recipe in a folder of its own, with features and one small fold."""

    def __init__(self, cohort: Path, output: Path, *overrides: str) -> None:
        changes = [*SMALL, f"output={output}", *overrides]
        self.recipe = load_recipe(cohort / "recipe.yaml", changes)
        self.encoder = load_encoder(self.recipe)
        self.cases = read_cohort(self.recipe)[:10:2]
        self.results = list(extract(self.recipe, self.cases, self.encoder))
        assert [one.problem for one in self.results] == [None] * 5
        write_index(output / INDEX, self.results)
        self.keys = read_index(output / INDEX)
        self.variants = read_variants(output / INDEX)
        self.fold = Fold(0, self.cases[:3], self.cases[3:4], self.cases[4:])

    def fit(self) -> Path:
        return fit_fold(
            self.recipe, self.fold, self.keys, self.encoder, variants=self.variants, quiet=True
        )

    def predicted_in_the_plugin(self) -> float:
        """Of the test slide, by the exported bundle."""
        model = trained_model(self.recipe, self.encoder, 0)
        case = self.fold.test[0]
        with open_case(self.recipe, case) as slide:
            mask = make_mask(case, self.recipe.data.mask_kind, slide)
            explainer = Explainer(slide, model, device="cpu", precision="float32")
            return explainer.explain(mask).prediction.value


@pytest.fixture(scope="module")
def end(colour_cohort: Path, tmp_path_factory) -> Run:
    run = Run(
        colour_cohort,
        tmp_path_factory.mktemp("end"),
        "model.train=end",
        "finetune={learning_rate: 0.001, batch: 3, patches: 10}",
    )
    run.fit()
    return run


def test_end_to_end_trains_the_patch_transformer_too(end: Run):
    trained = trained_model(end.recipe, end.encoder, 0)
    before, after = (one.patch.vit.state_dict() for one in (end.encoder.model, trained))
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert len(moved) > 0.8 * len(before)
    assert trained.config.frozen == ()


def test_end_to_end_predicts_in_the_plugin_what_it_predicted(end: Run):
    table = pd.read_csv(end.recipe.output / "fold-0/predictions.csv")
    assert end.predicted_in_the_plugin() == pytest.approx(table["value"][0], abs=1e-4)


def test_pixels_embed_to_the_engines_features(end: Run, colour_cohort: Path, tmp_path: Path):
    frozen = Run(colour_cohort, tmp_path)
    patch = end.encoder.model.patch
    for unit, other in zip(
        make_units(end.recipe, end.cases, end.keys),
        make_units(frozen.recipe, frozen.cases, frozen.keys),
        strict=True,
    ):
        pixels, features = read_sample(unit, ()), read_sample(other, ())
        assert pixels.features.dtype == torch.uint8
        assert torch.equal(pixels.positions, features.positions)
        assert torch.equal(pixels.coordinates, features.coordinates)
        packed = embed_packed(patch, pixels)
        torch.testing.assert_close(packed, features.features, atol=2e-5, rtol=1e-4)
        with torch.no_grad():
            dense = embed_dense(patch, pixels, 4)
        torch.testing.assert_close(dense, packed, atol=2e-5, rtol=1e-4)


def test_a_gradient_does_not_reach_background(end: Run):
    unit = make_units(end.recipe, end.cases, end.keys)[0]
    sample = read_sample(unit, ())
    patch = end.encoder.model.patch
    feature = embed_dense(patch, sample, 4)
    feature.square().sum().backward()
    gradients = [one.grad for one in patch.parameters()]
    assert all(one is not None and one.isfinite().all() for one in gradients)
    noisy = sample.features.clone()
    side, grid = patch.token_px, patch.tokens_per_side
    cells = noisy.view(-1, grid, side, grid, side, 3).transpose(2, 3)
    cells[~sample.tokens.view(-1, grid, grid)] = 77
    with torch.no_grad():
        same = embed_dense(patch, replace(sample, features=noisy), 4)
    torch.testing.assert_close(same, feature.detach(), atol=1e-6, rtol=1e-6)
    patch.zero_grad()


def test_global_trains_the_slide_transformer_alone(colour_cohort: Path, tmp_path: Path):
    local = Run(colour_cohort, tmp_path / "local")
    local.fit()
    bundle = export(local.recipe, local.encoder, 0, tmp_path / "bundle", None)
    run = Run(colour_cohort, tmp_path / "global", f"encoder.model={bundle}", "model.train=global")
    folder = run.fit()
    module = load_module(folder / BEST)
    kept = run.encoder.region.state_dict()
    for name, tensor in module.hierarchy.folded().state_dict().items():
        torch.testing.assert_close(tensor, kept[name])
    first = load_module(local.recipe.output / "fold-0" / BEST)
    changed = module.hierarchy.slide.state_dict()
    other = first.hierarchy.slide.state_dict()
    assert any(not torch.equal(one, other[name]) for name, one in changed.items())
    assert trained_model(run.recipe, run.encoder, 0).config.frozen == ("patch", "region")
    table = pd.read_csv(folder / "predictions.csv")
    assert run.predicted_in_the_plugin() == pytest.approx(table["value"][0], abs=1e-4)


def test_global_needs_a_region_transformer(colour_cohort: Path, tmp_path: Path):
    with pytest.raises(TrainingError, match="set model\\.train to local"):
        Run(colour_cohort, tmp_path, "model.train=global")


# ---- other outlines ----


@pytest.fixture(scope="module")
def outlined(colour_cohort: Path, tmp_path_factory) -> Run:
    return Run(
        colour_cohort,
        tmp_path_factory.mktemp("outlined"),
        "augment={copies: 3, erode_um: 60, dilate_um: 60}",
    )


def test_every_slide_has_features_under_every_outline(outlined: Run, colour_cohort: Path):
    assert {len(keys) for keys in outlined.variants.values()} == {3}
    everything = [*outlined.keys.values(), *sum(outlined.variants.values(), ())]
    assert len(set(everything)) == 5 * 4
    units = make_units(outlined.recipe, outlined.cases, outlined.keys, outlined.variants)
    own = read_sample(units[0], ())
    others = [read_sample(units[0], (), variant) for variant in (1, 2, 3)]
    # An edge that moves within its tokens changes nothing.
    assert any(
        one.features.shape != own.features.shape or not torch.equal(one.features, own.features)
        for one in others
    )
    again = list(extract(outlined.recipe, outlined.cases, outlined.encoder))
    assert not any(one.fresh for one in again)


def test_training_draws_outlines_and_testing_does_not(outlined: Run):
    sampler = EpochSampler(5, 0, variants=3)
    drawn = {at // 5 for epoch in range(10) for at in _epoch(sampler, epoch)}
    assert drawn == {0, 1, 2, 3}
    assert sorted(at % 5 for at in sampler) == [0, 1, 2, 3, 4]
    units = make_units(outlined.recipe, outlined.cases, outlined.keys, outlined.variants)
    data = UnitDataset(units, ())
    for variant in range(4):
        expected = read_sample(units[2], (), variant)
        assert torch.equal(data[2 + 5 * variant].features, expected.features)
    folder = outlined.fit()
    table = pd.read_csv(folder / "predictions.csv")
    assert outlined.predicted_in_the_plugin() == pytest.approx(table["value"][0], abs=1e-4)


def _epoch(sampler: EpochSampler, epoch: int) -> list[int]:
    sampler.set_epoch(epoch)
    return list(sampler)


def two_pieces() -> TissueMask:
    tissue = np.zeros((60, 100), np.uint8)
    tissue[10:40, 10:40] = tissue[20:50, 60:90] = 1
    tissue[5:8, 70:80] = 2  # excluded by hand
    return TissueMask(tissue, 4.0)


@pytest.mark.parametrize("seed", range(6))
def test_an_edge_moves_no_farther_than_said(seed: int):
    mask = two_pieces()
    moved = augmented(mask, AugmentRecipe(erode_um=20, dilate_um=30), seed).tissue
    outside = ndimage.distance_transform_edt(~mask.tissue) * 4.0
    inside = ndimage.distance_transform_edt(mask.tissue) * 4.0
    assert outside[moved].max(initial=0) <= 30
    assert inside[~moved].max(initial=0) <= 20 + 4
    assert not moved[mask.array == 2].any()
    assert not np.array_equal(moved, mask.tissue)
    again = augmented(mask, AugmentRecipe(erode_um=20, dilate_um=30), seed)
    np.testing.assert_array_equal(again.tissue, moved)


def test_pieces_go_whole_and_something_stays():
    mask, sizes = two_pieces(), set()
    for seed in range(40):
        kept = augmented(mask, AugmentRecipe(drop_pieces=0.6), seed).tissue
        sizes.add(int(kept.sum()))
    assert sizes == {900, 1800}
    tiny = augmented(mask, AugmentRecipe(erode_um=1000), 1)
    assert not tiny.is_empty


def test_a_copied_cohort_needs_its_own_features(outlined: Run, tmp_path: Path):
    shutil.rmtree(outlined.recipe.feature_folder / next(iter(outlined.keys.values()))[:2])
    again = list(extract(outlined.recipe, outlined.cases, outlined.encoder))
    assert any(one.fresh for one in again)
