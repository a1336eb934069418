"""From a cohort table to a bundle that opens, by the commands a person types."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


@pytest.fixture
def viewer(qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A real window, without the panel, and without a person's settings and unsaved work."""
    monkeypatch.setenv("NAPARI_CONFIG", str(tmp_path / "settings.yaml"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    napari = pytest.importorskip("napari", reason="napari is not installed")
    monkeypatch.setattr("napari_maskvit.viewer.reader.show_panel_soon", lambda: None)
    viewer = napari.Viewer(show=True)
    yield viewer
    viewer.close()
    from superqt.utils import GeneratorWorker

    GeneratorWorker.await_workers(20_000)


@pytest.mark.window
def test_the_bundle_opens_in_the_viewer(journey: Path, viewer: Any, qtbot: Any):
    """What evaluate wrote of a slide is what a person sees who runs the exported bundle on it."""
    import pandas as pd

    from napari_maskvit.viewer.session import Session

    def settle() -> None:
        qtbot.wait(400)  # what is debounced starts first
        qtbot.waitUntil(lambda: session.jobs.is_idle, timeout=120_000)

    row = next(pd.read_csv(journey / "run/fold-1/predictions.csv").itertuples())
    session = Session.of(viewer)
    said: list[object] = []
    session.failed.connect(said.append)
    session.open(journey / row.unit)
    session.load_mask(journey / "mask.tif")
    session.use_model(journey / "bundle")
    session.configure(device="cpu", precision="float32")
    settle()
    session.run()
    settle()
    assert said == []
    assert session.explanation.complete
    assert session.model.config.title == "Redness"
    assert session.explanation.prediction.value == pytest.approx(row.value, abs=1e-4)
    assert session.explanation.prediction.label == str(row.grade)
    masses = session.explanation.statistics.background_mass
    assert masses == {"patch": 0.0, "region": 0.0, "slide": 0.0}
    assert "attention: patch" in viewer.layers


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("fit", "recipe.yaml", "--fold", "7"), "no fold 7"),
        (
            ("fit", "recipe.yaml", "--fold", "1", "--set", "optimiser.epochs=13"),
            "holds the training of another",
        ),
        (("fit", "recipe.yaml", "--set", "output=elsewhere"), "no features yet"),
        (("fit", "recipe.yaml", "--set", "masking.levels=[]"), "under another masking"),
        (("fit", "recipe.yaml", "--set", "encoder.region_px=64"), "made by another encoder"),
        (("evaluate", "recipe.yaml", "--set", "output=elsewhere"), "No fold in"),
        (("export", "recipe.yaml", "b", "--set", "output=elsewhere"), "no checkpoint"),
        (("check", "gone.yaml"), "cannot be read"),
    ],
)
def test_what_goes_wrong_is_said(journey: Path, monkeypatch, words, named):
    monkeypatch.chdir(journey)
    with pytest.raises(MaskvitError, match=named):
        run(*words)
