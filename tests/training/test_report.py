"""Reports hold every number, and read back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from maskvit_training.evaluation import evaluate, read_evaluation
from maskvit_training.metrics import Estimate, Predictions
from maskvit_training.plots import kaplan_meier
from maskvit_training.predictions import read_predictions, write_predictions
from maskvit_training.recipe import make_recipe
from maskvit_training.report import render, scorecard_table, write_report
from maskvit_training.scorecard import Scorecard, SlideScore


def some(kind: str, count: int = 24) -> Predictions:
    rng = np.random.default_rng(0)
    survival = kind == "survival"
    labels = np.zeros(0, np.int64) if survival else np.arange(count) % 3
    chances = kind not in ("survival", "regression")
    return Predictions(
        kind=kind,
        classes=() if survival else ("a", "b", "c"),
        units=tuple(f"{at:03}" for at in range(count)),
        patients=tuple(f"{at // 2:03}" for at in range(count)),
        folds=np.arange(count) // 2 % 2,
        labels=labels,
        grades=labels[::-1].copy(),
        values=rng.random(count),
        probabilities=rng.dirichlet(np.ones(3), count) if chances else np.zeros((count, 0)),
        times=rng.random(count) + 1 if survival else np.zeros(0),
        events=rng.random(count) > 0.4 if survival else np.zeros(0, bool),
    )


@pytest.mark.parametrize("kind", ["classification", "regression", "ordinal-corn", "survival"])
def test_report_of_a_task(tree: dict, tmp_path: Path, kind: str):
    predictions = some(kind)
    tree["task"] = {"kind": kind, "classes": predictions.classes}
    recipe = make_recipe(tree, tmp_path)
    card = Scorecard(("s", "t"), ("p", "q"), {"masked": (SlideScore({"mass": 0.0}),) * 2})
    evaluation = evaluate(recipe, predictions, card)
    html = write_report(tmp_path / "report", recipe, predictions, evaluation, card)
    read = json.loads((tmp_path / "report/report.json").read_text())
    assert set(read["folds"]) == {"0", "1"}
    assert read["patients"] == 12
    markdown = (tmp_path / "report/report.md").read_text()
    for name, one in evaluation.pooled.items():
        assert read["pooled"][name]["value"] == (None if np.isnan(one.value) else one.value)
        assert name in markdown
        assert name in html.read_text()
    assert read_evaluation(tmp_path / "report").scorecard == evaluation.scorecard
    assert "| mass | 0 |" in markdown
    assert "data:image/png;base64," in html.read_text()


@pytest.mark.parametrize("kind", ["classification", "regression", "survival"])
def test_predictions_read_back(tmp_path: Path, kind: str):
    predictions = some(kind)
    write_predictions(tmp_path / "p.csv", predictions)
    again = read_predictions([tmp_path / "p.csv"], kind, predictions.classes)
    assert again.units == predictions.units
    np.testing.assert_allclose(again.values, predictions.values, rtol=1e-8)
    np.testing.assert_allclose(again.probabilities, predictions.probabilities, rtol=1e-8)
    np.testing.assert_array_equal(again.events, predictions.events)


def test_names_in_a_report_are_text(tree: dict, tmp_path: Path):
    predictions = replace(some("regression"), classes=("<b>", "b", "c"))
    recipe = make_recipe(tree, tmp_path)
    html = write_report(tmp_path, recipe, predictions, evaluate(recipe, predictions))
    assert "<b>" not in html.read_text()


def test_numbers_of_a_kind_stand_together():
    one = {
        name: Estimate(0.5, 0.4, 0.6)
        for name in ("change, pen", "area, pen", "change, noise", "area, noise", "agreement (rho)")
    }
    table = scorecard_table({"masked": one}, 2, "95 %")
    assert [row[0] for row in table.rows] == [
        "change, pen",
        "change, noise",
        "area, pen",
        "area, noise",
        "agreement (rho)",
    ]
    page = render("scorecard.html.j2", title="Model", table=table, plots=[])
    assert page.count('<tr class="group">') == 2
    assert "<td>agreement (rho)</td><td>0.500<small>(0.400 to 0.600)</small></td>" in page


def test_kaplan_meier_by_hand():
    times, survival = kaplan_meier(np.array([1.0, 2, 2, 3]), np.array([True, True, False, True]))
    np.testing.assert_allclose(times, [0, 1, 2, 3])
    np.testing.assert_allclose(survival, [1, 0.75, 0.5, 0])
