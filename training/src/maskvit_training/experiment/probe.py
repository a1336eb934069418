"""What a linear model gets out of colours and out of features, without any attention."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maskvit_training.data import Unit
from maskvit_training.store import read_features


def colour_probe(table: Path) -> float:
    """Kappa of a linear probe on the mean colour of the tissue: how much colour gives away."""
    from sklearn.linear_model import LinearRegression  # type: ignore[import-untyped]

    with table.open(encoding="utf-8") as file:
        rows = [line.strip().split(",") for line in file][1:]
    colours = np.array([_mean_colour(table.parent / row[0], table.parent / row[1]) for row in rows])
    labels = np.array([int(row[2]) for row in rows])
    testing = np.array([row[4] == "test" for row in rows])
    probe = LinearRegression().fit(colours[~testing], labels[~testing])
    return _kappa(labels[testing], probe.predict(colours[testing]))


def feature_probe(train: Sequence[Unit], test: Sequence[Unit], *, tissue: bool) -> float:
    """Kappa of a ridge regression on the mean feature of a slide.

    Parameters
    ----------
    train, test
        Units to fit it on, and others.
    tissue
        Mean over the patches that hold tissue; else over all that are read.
    """
    from sklearn.linear_model import RidgeCV  # type: ignore[import-untyped]
    from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]
    from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]

    probe = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 5, 13)))
    probe.fit(_mean_features(train, tissue), _labels(train))
    return _kappa(_labels(test), probe.predict(_mean_features(test, tissue)))


def _mean_features(units: Sequence[Unit], tissue: bool) -> np.ndarray:
    means = []
    for unit in units:
        stored = [read_features(path) for path in unit.stores]
        features = np.concatenate([one.features for one in stored])
        coverage = np.concatenate([one.coverage for one in stored])
        means.append(features[coverage > 0].mean(0) if tissue else features.mean(0))
    return np.array(means)


def _labels(units: Sequence[Unit]) -> np.ndarray:
    return np.array([unit.label for unit in units], np.int64)


def _kappa(labels: np.ndarray, values: np.ndarray) -> float:
    from sklearn.metrics import cohen_kappa_score  # type: ignore[import-untyped]

    grades = np.clip(np.rint(values), 0, labels.max()).astype(int)
    return float(cohen_kappa_score(labels, grades, weights="quadratic"))


def _mean_colour(slide: Path, mask: Path) -> np.ndarray:
    import tifffile

    pixels = np.asarray(tifffile.imread(slide, level=0))
    labels = np.asarray(tifffile.imread(mask, level=0))
    rows = np.arange(pixels.shape[0]) * labels.shape[0] // pixels.shape[0]
    columns = np.arange(pixels.shape[1]) * labels.shape[1] // pixels.shape[1]
    return pixels[labels[np.ix_(rows, columns)] > 0].mean(0)
