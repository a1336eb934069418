"""How good predictions are, with intervals from resampled patients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional import cohen_kappa
from torchmetrics.functional.classification import (
    binary_auroc,
    multiclass_accuracy,
    multiclass_auroc,
    multiclass_calibration_error,
    multiclass_confusion_matrix,
)

from maskvit_training.concordance import concordance_index

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from maskvit_training.recipe import EvaluationRecipe


@dataclass(frozen=True)
class Predictions:
    """What a model said about N units it was not trained on.

    Attributes
    ----------
    kind
        Of the task.
    classes
        Names of the classes; empty for survival.
    units, patients
        [N] names.
    folds
        [N] the fold in which each was tested.
    labels
        int64 [N] true class; empty for survival.
    grades
        int64 [N] predicted class; empty for survival.
    values
        [N] the predicted number: grade as a number, probability of the class, or risk.
    probabilities
        [N, C], or [N, 0] where the task gives none.
    times, events
        [N] for survival, else empty.
    """

    kind: str
    classes: tuple[str, ...]
    units: tuple[str, ...]
    patients: tuple[str, ...]
    folds: NDArray[np.int64]
    labels: NDArray[np.int64]
    grades: NDArray[np.int64]
    values: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    times: NDArray[np.float64]
    events: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.units)

    def take(self, rows: NDArray[np.int64]) -> Predictions:
        """The same of some rows, in that order."""
        some = {
            name: getattr(self, name)[rows] if len(getattr(self, name)) else getattr(self, name)
            for name in ("folds", "labels", "grades", "values", "probabilities", "times", "events")
        }
        return Predictions(
            kind=self.kind,
            classes=self.classes,
            units=tuple(self.units[row] for row in rows),
            patients=tuple(self.patients[row] for row in rows),
            **some,
        )


@dataclass(frozen=True)
class Estimate:
    """A metric with its interval; nan where it is not defined."""

    value: float
    low: float
    high: float


Metric = Callable[[Predictions], float]


def metrics_of(kind: str, classes: tuple[str, ...]) -> dict[str, Metric]:
    """Metrics that apply to a task, by name."""
    if kind == "survival":
        return {"c-index": lambda p: concordance_index(p.times, p.events, p.values)}
    ordered: dict[str, Metric] = {
        "quadratic weighted kappa": _kappa,
        "accuracy": _accuracy,
        "balanced accuracy": _balanced_accuracy,
        "mean absolute error": lambda p: float(np.abs(p.grades - p.labels).mean()),
    }
    if kind == "regression":
        name = f"AUC of {classes[0]} against the rest"
        return {**ordered, name: _auc_of_value}
    if kind == "classification":
        ordered.pop("mean absolute error")
    return {**ordered, "AUC": _auc, "calibration error": _calibration}


def estimate(predictions: Predictions, recipe: EvaluationRecipe, seed: int) -> dict[str, Estimate]:
    """Every metric with its percentile bootstrap interval, patients drawn with replacement."""
    metrics = metrics_of(predictions.kind, predictions.classes)
    draws: dict[str, list[float]] = {name: [] for name in metrics}
    for rows in _drawn(_Groups.of(predictions.patients), recipe.bootstraps, seed):
        sample = predictions.take(rows)
        for name, metric in metrics.items():
            draws[name].append(metric(sample))
    tail = (1 - recipe.confidence) / 2
    return {
        name: Estimate(metric(predictions), *_interval(draws[name], tail))
        for name, metric in metrics.items()
    }


def bootstrapped(
    values: NDArray[np.float64],
    patients: tuple[str, ...],
    bootstraps: int,
    confidence: float,
    seed: int,
) -> Estimate:
    """Mean of a number over slides (nan left out) with its percentile bootstrap interval.

    A single patient can be drawn in one way only, which says nothing of how sure the mean is: nan.
    """
    known = np.isfinite(values)
    if not known.any():
        return Estimate(float("nan"), float("nan"), float("nan"))
    values, patients = values[known], tuple(np.array(patients)[known])
    groups = _Groups.of(patients)
    if len(groups.sizes) < 2:
        return Estimate(float(values.mean()), float("nan"), float("nan"))
    draws = [float(values[rows].mean()) for rows in _drawn(groups, bootstraps, seed)]
    return Estimate(float(values.mean()), *_interval(draws, (1 - confidence) / 2))


def confusion(predictions: Predictions) -> NDArray[np.int64]:
    """[C, C] counts: true class down, predicted class across."""
    count = len(predictions.classes)
    matrix = multiclass_confusion_matrix(
        _tensor(predictions.grades), _tensor(predictions.labels), count
    )
    return matrix.numpy().astype(np.int64)


def reliability(predictions: Predictions, bins: int) -> NDArray[np.float64]:
    """[B, 3] mean confidence, accuracy and count of the bins of confidence that are not empty."""
    confidence = predictions.probabilities.max(1)
    right = predictions.probabilities.argmax(1) == predictions.labels
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    rows = [
        (confidence[which == one].mean(), right[which == one].mean(), (which == one).sum())
        for one in np.unique(which)
    ]
    return np.array(rows, np.float64).reshape(-1, 3)


def _tensor(values: NDArray[np.generic]) -> Tensor:
    return torch.tensor(values)


def _kappa(p: Predictions) -> float:
    return float(
        cohen_kappa(
            _tensor(p.grades),
            _tensor(p.labels),
            task="multiclass",
            num_classes=len(p.classes),
            weights="quadratic",
            validate_args=False,
        )
    )


def _accuracy(p: Predictions) -> float:
    return float((p.grades == p.labels).mean())


def _balanced_accuracy(p: Predictions) -> float:
    recall = multiclass_accuracy(
        _tensor(p.grades), _tensor(p.labels), len(p.classes), average=None, validate_args=False
    )
    return float(recall[np.unique(p.labels)].mean())


def _auc(p: Predictions) -> float:
    """One against the rest, mean over classes; nan where a class is missing."""
    if len(np.unique(p.labels)) < len(p.classes):
        return float("nan")
    if len(p.classes) == 2:
        return float(binary_auroc(_tensor(p.probabilities[:, 1]), _tensor(p.labels)))
    return float(
        multiclass_auroc(
            _tensor(p.probabilities), _tensor(p.labels), len(p.classes), validate_args=False
        )
    )


def _auc_of_value(p: Predictions) -> float:
    above = p.labels > 0
    if above.all() or not above.any():
        return float("nan")
    # Ranks, because torchmetrics takes numbers outside [0, 1] for logits.
    ranks = np.unique(p.values, return_inverse=True)[1].reshape(-1) / max(1, len(p))
    return float(binary_auroc(_tensor(ranks), _tensor(above.astype(np.int64))))


def _calibration(p: Predictions) -> float:
    return float(
        multiclass_calibration_error(
            _tensor(p.probabilities), _tensor(p.labels), len(p.classes), validate_args=False
        )
    )


@dataclass(frozen=True)
class _Groups:
    """Rows that belong together: those of group g are order[first[g] : first[g] + sizes[g]]."""

    order: NDArray[np.int64]
    first: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @classmethod
    def of(cls, names: tuple[str, ...]) -> _Groups:
        """Groups in the order of their names."""
        owners, sizes = np.unique(np.array(names), return_inverse=True, return_counts=True)[1:]
        return cls(np.argsort(owners, kind="stable"), np.cumsum(sizes) - sizes, sizes)

    def rows(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of some groups, one group after the other."""
        sizes = self.sizes[chosen]
        starts = np.repeat(self.first[chosen] - (np.cumsum(sizes) - sizes), sizes)
        return self.order[starts + np.arange(len(starts))]


def _drawn(groups: _Groups, times: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Rows of as many groups as there are, drawn with replacement, again and again."""
    rng = np.random.default_rng(seed)
    count = len(groups.sizes)
    for _ in range(times):
        yield groups.rows(rng.integers(count, size=count))


def _interval(draws: list[float], tail: float) -> tuple[float, float]:
    defined = np.array([draw for draw in draws if not np.isnan(draw)])
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, (tail, 1 - tail))
    return float(low), float(high)
