"""The experiment on a small scale: what must hold whatever comes out of the training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from maskvit_training.data import make_units
from maskvit_training.errors import TrainingError
from maskvit_training.experiment.arm import MASKINGS, RATES, make_arm
from maskvit_training.experiment.background import run_background
from maskvit_training.experiment.encoder import quick_encoder
from maskvit_training.experiment.learning import run_learning
from maskvit_training.experiment.phantoms import COUPLED, FREE, Design, write_cohorts
from maskvit_training.fit import BEST, load_module
from maskvit_training.store import read_features
from skimage.morphology import isotropic_erosion

from napari_maskvit.model import load_model
from napari_maskvit.slide.phantom import labels_path

DESIGN = Design(
    grades=(0, 4),
    train=2,
    tune=2,
    test=2,
    width=256,
    height=192,
    spacing=2.0,
    core_width=130.0,
    seed=0,
)


def changes(encoder: Path) -> dict[str, Any]:
    """What is small here: the encoder and one epoch."""
    return {
        "encoder": {"model": str(encoder), "region_px": 128, "device": "cpu"},
        "model": {"region_depth": 1, "slide_depth": 1},
        "optimiser": {"epochs": 1},
        "trainer": {"accelerator": "cpu"},
    }


@pytest.fixture(scope="module")
def experiment(tmp_path_factory, encoder_bundle: Path) -> Path:
    folder = tmp_path_factory.mktemp("experiment")
    run_background(folder, DESIGN, 1, changes(encoder_bundle), tell=lambda _: None)
    return folder


def test_masked_attention_never_lies_on_background(experiment: Path):
    facts = json.loads((experiment / "experiment.json").read_text())
    for one in facts["outcomes"]:
        if one["masking"] == "masked":
            assert one["region_mass"] == 0
            assert one["slide_mass"] == 0
        else:
            assert one["region_mass"] > 0.1
    assert len(facts["outcomes"]) == 4


def test_every_arm_chooses_its_rate_by_the_tuning_pieces(experiment: Path):
    facts = json.loads((experiment / "experiment.json").read_text())
    assert len(facts["tuning_loss"]) == 4
    for one in facts["outcomes"]:
        losses = facts["tuning_loss"][f"{one['training']}, {one['masking']}"]
        assert set(losses) == {f"{rate:g}" for rate in RATES}
        assert losses[f"{one['learning_rate']:g}"] == min(losses.values())
        assert one["epoch"] == 1


def test_every_arm_has_the_scale_of_the_tissue(experiment: Path, encoder_bundle: Path):
    table = experiment / "slides/free.csv"
    for masking in MASKINGS:
        arm = make_arm(experiment, DESIGN, FREE, masking, table, changes(encoder_bundle), print)
        train = make_units(arm.recipe, arm.fold().train, arm.keys)
        stored = [read_features(path) for unit in train for path in unit.stores]
        tissue = np.concatenate([one.features[one.coverage > 0] for one in stored])
        run = arm.with_rate(RATES[0], 0).output / "fold-0" / BEST
        centre = load_module(run).hierarchy.centre.numpy()
        np.testing.assert_allclose(centre, tissue.mean(0), atol=1e-5)
        glass = any((one.coverage == 0).any() for one in stored)
        assert glass == (masking == "plain")


def test_what_a_linear_model_finds_in_features_is_in_the_table(experiment: Path):
    probes = json.loads((experiment / "experiment.json").read_text())["probes"]
    assert set(probes["tissue"]) == set(probes["everything"]) == set(MASKINGS)
    # Masked attention reads patches with tissue alone.
    assert probes["tissue"]["masked"] == probes["everything"]["masked"]
    text = (experiment / "experiment.md").read_text()
    assert f"| plain | {probes['tissue']['plain']:.3f} |" in text


def test_the_table_has_a_row_for_each_kind(experiment: Path):
    text = (experiment / "experiment.md").read_text()
    for row in ("| free | plain", "| free | masked", "| coupled | plain", "| coupled | masked"):
        assert row in text


def test_the_same_tissue_under_other_artefacts():
    for number, _, grade in DESIGN.pieces():
        bait, none = (DESIGN.spec(number, grade, coupled=coupled) for coupled in (True, False))
        assert bait.cores == none.cores
        assert bait.isup_grade == DESIGN.grades[grade]
    inks = {
        grade: DESIGN.spec(number, grade, coupled=True).artefacts[0].colour
        for number, _, grade in DESIGN.pieces()
    }
    assert len(set(inks.values())) == len(DESIGN.grades)


def test_no_artefact_reaches_into_the_tissue(experiment: Path):
    differ = 0
    for number, _, _ in DESIGN.pieces():
        paths = [experiment / "slides" / kind / f"{number:04}.tif" for kind in (COUPLED, FREE)]
        one, other = (tifffile.imread(path, level=0) for path in paths)
        labels = tifffile.imread(labels_path(paths[0]), level=0)
        # Blocks of JPEG at the outline hold tissue and glass.
        inside = isotropic_erosion(labels > 0, 16 * labels.shape[1] / one.shape[1] + 1)
        inside = inside[
            np.arange(one.shape[0])[:, None] * labels.shape[0] // one.shape[0],
            np.arange(one.shape[1]) * labels.shape[1] // one.shape[1],
        ]
        assert inside.any()
        assert np.array_equal(one[inside], other[inside])
        differ += not np.array_equal(one, other)
    assert differ


def test_the_quick_encoder_is_the_beginning_of_the_bundled_one(tmp_path: Path):
    quick = load_model(quick_encoder(tmp_path / "quick", 1.5, 3, 224))
    assert quick.levels == ("patch",)
    assert quick.config.spacing == 1.5
    assert len(quick.patch.vit.blocks) == 3
    whole = load_model().patch.vit.state_dict()
    for name, tensor in quick.patch.vit.state_dict().items():
        assert np.array_equal(tensor, whole[name])


def test_the_quick_encoder_reads_smaller_patches(tmp_path: Path):
    quick = load_model(quick_encoder(tmp_path / "quick", 1.5, 1, 168))
    assert (quick.config.patch_px, quick.config.region_px) == (168, 336)
    assert quick.patch.tokens_per_side == 12


def test_learning_is_measured_on_held_out_phantoms(tmp_path: Path):
    probe, kappas = run_learning(tmp_path, DESIGN, 1, 1, tell=lambda _: None)
    facts = json.loads((tmp_path / "learning.json").read_text())
    assert facts["kappas"] == kappas
    assert facts["colour_probe_kappa"] == probe
    assert len(kappas) == 1
    assert not (tmp_path / "slides" / COUPLED).exists()
    tested = (tmp_path / "runs/free-masked/seed-0/fold-0/predictions.csv").read_text()
    assert len(tested.splitlines()) == 1 + DESIGN.test


def test_another_design_in_the_same_folder_is_an_error(experiment: Path):
    with pytest.raises(TrainingError, match="another experiment"):
        write_cohorts(experiment / "slides", Design())
