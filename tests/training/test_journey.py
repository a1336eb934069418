"""From a cohort table to a bundle that opens, by the commands a person types."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from maskvit_training.cli import app
from typer.testing import CliRunner

from napari_maskvit.errors import MaskvitError
from napari_maskvit.explain import Explainer
from napari_maskvit.model import load_model
from napari_maskvit.slide import open_slide
from napari_maskvit.tissue import TissueMask


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def journey(colour_cohort: Path, tmp_path_factory) -> Path:
    """Everything done once, in a copy."""
    folder = tmp_path_factory.mktemp("journey") / "run"
    shutil.copytree(colour_cohort, folder)
    recipe = folder / "recipe.yaml"
    assert "18 slides of 9 patients, 18 with a mask; 3 folds" in run("check", recipe)
    assert "Fold 2: 6 train, 6 tune, 6 test" in run("split", recipe)
    assert "18 slides extracted, 0 were there, 0 failed" in run("features", recipe)
    run("fit", recipe, "--fold", "1")
    assert "1 of 3 folds, 6 tested units" in run("evaluate", recipe)
    assert "Bundle:" in run("export", recipe, folder / "bundle", "--fold", "1")
    return folder


def test_it_learns(journey: Path):
    report = json.loads((journey / "run/report/report.json").read_text())
    assert report["pooled"]["quadratic weighted kappa"]["value"] > 0.8
    assert report["units"] == 6
    assert set(report["folds"]) == {"1"}


def test_a_second_extraction_does_nothing(journey: Path):
    before = {path: path.stat().st_mtime for path in (journey / "run/features").rglob("*")}
    assert "0 slides extracted, 18 were there, 0 failed" in run("features", journey / "recipe.yaml")
    assert {path: path.stat().st_mtime for path in (journey / "run/features").rglob("*")} == before


def test_a_second_fit_does_nothing(journey: Path):
    done = journey / "run/fold-1/predictions.csv"
    before = done.stat().st_mtime
    run("fit", journey / "recipe.yaml", "--fold", "1")
    assert done.stat().st_mtime == before


def test_the_bundle_predicts_in_the_plugin_what_was_evaluated(journey: Path):
    import pandas as pd

    model = load_model(journey / "bundle")
    assert model.levels == ("patch", "region", "slide")
    assert "Redness" in model.card
    assert "quadratic weighted kappa" in model.card
    assert "Made up." in model.config.warnings
    table = pd.read_csv(journey / "run/fold-1/predictions.csv")
    for row in table.itertuples():
        with open_slide(journey / row.unit) as slide:
            mask = TissueMask.load(journey / "mask.tif", slide)
            explainer = Explainer(slide, model, device="cpu", precision="float32")
            prediction = explainer.explain(mask).prediction
        assert prediction.value == pytest.approx(row.value, abs=1e-4)
        assert prediction.label == str(row.grade)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("fit", "recipe.yaml", "--fold", "7"), "no fold 7"),
        (
            ("fit", "recipe.yaml", "--fold", "1", "--set", "optimiser.epochs=13"),
            "holds the training of another",
        ),
        (("fit", "recipe.yaml", "--set", "output=elsewhere"), "no features yet"),
        (("evaluate", "recipe.yaml", "--set", "output=elsewhere"), "No fold in"),
        (("export", "recipe.yaml", "b", "--set", "output=elsewhere"), "no checkpoint"),
        (("check", "gone.yaml"), "cannot be read"),
    ],
)
def test_what_goes_wrong_is_said(journey: Path, monkeypatch, words, named):
    monkeypatch.chdir(journey)
    with pytest.raises(MaskvitError, match=named):
        run(*words)
