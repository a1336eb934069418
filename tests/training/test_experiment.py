"""The experiment on a small scale: what must hold whatever comes out of the training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from maskvit_training.errors import TrainingError
from maskvit_training.experiment.background import run_background
from maskvit_training.experiment.phantoms import Design, write_cohorts

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


def test_another_design_in_the_same_folder_is_an_error(experiment: Path):
    with pytest.raises(TrainingError, match="another experiment"):
        write_cohorts(experiment / "slides", Design())
