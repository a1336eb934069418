"""The experiment on a small scale: what must hold whatever comes out of the training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from maskvit_training.errors import TrainingError
from maskvit_training.experiment.background import run_background
from maskvit_training.experiment.encoder import quick_encoder
from maskvit_training.experiment.learning import run_learning
from maskvit_training.experiment.phantoms import COUPLED, FREE, Design, write_cohorts
from skimage.morphology import isotropic_erosion

from napari_maskvit.model import load_model
from napari_maskvit.slide.phantom import labels_path

DESIGN = Design(
    grades=(0, 4), train=2, tune=2, test=2, width=256, height=192, spacing=2.0, core_width=130.0
)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory, encoder_bundle: Path) -> Path:
    folder = tmp_path_factory.mktemp("experiment")
    changes = {
        "encoder": {"model": str(encoder_bundle), "region_px": 128, "device": "cpu"},
        "model": {"region_depth": 1, "slide_depth": 1},
        "optimiser": {"epochs": 1},
        "trainer": {"accelerator": "cpu"},
    }
    run_background(folder, DESIGN, 1, changes, tell=lambda _: None)
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
    quick = load_model(quick_encoder(tmp_path / "quick", 1.5, 3))
    assert quick.levels == ("patch",)
    assert quick.config.spacing == 1.5
    assert len(quick.patch.vit.blocks) == 3
    whole = load_model().patch.vit.state_dict()
    for name, tensor in quick.patch.vit.state_dict().items():
        assert np.array_equal(tensor, whole[name])


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
