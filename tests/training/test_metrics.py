"""Metrics against definitions and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from maskvit_training.concordance import concordance_index
from maskvit_training.metrics import (
    Estimate,
    Predictions,
    bootstrapped,
    confusion,
    estimate,
    metrics_of,
    reliability,
)
from maskvit_training.recipe import EvaluationRecipe
from maskvit_training.report import percent_interval
from sklearn.metrics import cohen_kappa_score, roc_auc_score


def predictions(seed: int = 0, count: int = 60, kind: str = "classification") -> Predictions:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    probabilities = rng.dirichlet(np.ones(3), count) + 0.6 * np.eye(3)[labels]
    probabilities /= probabilities.sum(1, keepdims=True)
    return Predictions(
        kind=kind,
        classes=("a", "b", "c"),
        units=tuple(map(str, range(count))),
        patients=tuple(str(at // 2) for at in range(count)),
        folds=np.zeros(count, np.int64),
        labels=labels,
        grades=probabilities.argmax(1),
        values=probabilities @ np.arange(3.0),
        probabilities=probabilities,
        times=np.zeros(0),
        events=np.zeros(0, bool),
    )


def test_they_agree_with_scikit_learn():
    p = predictions()
    values = {name: metric(p) for name, metric in metrics_of(p.kind, p.classes).items()}
    kappa = cohen_kappa_score(p.labels, p.grades, weights="quadratic")
    assert values["quadratic weighted kappa"] == pytest.approx(kappa, abs=1e-6)
    auc = roc_auc_score(p.labels, p.probabilities, multi_class="ovr")
    assert values["AUC"] == pytest.approx(auc, abs=1e-6)
    p = predictions(kind="regression")
    auc = metrics_of(p.kind, p.classes)["AUC of a against the rest"](p)
    assert auc == pytest.approx(roc_auc_score(p.labels > 0, p.values), abs=1e-6)


def test_intervals_hold_the_value_and_narrow_with_more_patients():
    recipe = EvaluationRecipe(bootstraps=200)
    few = estimate(predictions(count=40), recipe, 0)["quadratic weighted kappa"]
    many = estimate(predictions(count=400), recipe, 0)["quadratic weighted kappa"]
    assert few.low <= few.value <= few.high
    assert many.high - many.low < few.high - few.low
    assert few == estimate(predictions(count=40), recipe, 0)["quadratic weighted kappa"]


def test_a_single_patient_has_no_interval():
    values = np.array([0.2, 0.4, np.nan])
    one = bootstrapped(values, ("p", "p", "q"), 50, 0.95, 0)
    assert one.value == pytest.approx(0.3)
    assert np.isnan([one.low, one.high]).all()
    assert percent_interval(one) == "0.300"
    two = bootstrapped(values, ("p", "q", "q"), 50, 0.95, 0)
    assert (two.low, two.high) == (0.2, 0.4)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0.0, 0.0, 0.0), "0"),
        ((0.0, -0.25, 0.5), "0.000 (-0.250 to 0.500)"),
        ((0.0002, 0.0, 0.0011), "<0.001 (0.000 to 0.001)"),
        ((-0.0002, float("nan"), float("nan")), ">-0.001"),
        ((float("nan"),) * 3, "–"),
    ],
)
def test_what_is_not_zero_does_not_look_like_it(numbers: tuple[float, ...], text: str):
    assert percent_interval(Estimate(*numbers)) == text


def test_counts_add_up():
    p = predictions()
    matrix = confusion(p)
    assert matrix.sum() == len(p)
    assert matrix[0, 1] == ((p.labels == 0) & (p.grades == 1)).sum()
    assert reliability(p, 10)[:, 2].sum() == len(p)


rows = st.lists(st.tuples(st.integers(1, 6), st.booleans(), st.integers(0, 4)), max_size=12)


@settings(deadline=None)
@given(rows)
def test_concordance_is_a_count_of_pairs(rows):
    right = comparable = 0.0
    for time, event, risk in rows:
        for other_time, other_event, other_risk in rows:
            if event and (time < other_time or (time == other_time and not other_event)):
                comparable += 1
                right += 1.0 if risk > other_risk else 0.5 if risk == other_risk else 0.0
    columns = [np.array(column) for column in zip(*rows, strict=True)] or [np.zeros(0)] * 3
    found = concordance_index(columns[0], columns[1].astype(bool), columns[2].astype(float))
    assert found == pytest.approx(right / comparable if comparable else float("nan"), nan_ok=True)
