"""Plots of a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maskvit_training.writing import written_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from maskvit_training.metrics import Predictions

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#767676"


def draw_confusion(path: Path, counts: NDArray[np.int64], classes: tuple[str, ...]) -> None:
    """Counts in squares, shaded by their share of the true class."""
    figure = _figure(0.42 * len(classes) + 1.6)
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for edge in np.arange(1, len(classes)) - 0.5:
        axes.axhline(edge, color="white", linewidth=1)
        axes.axvline(edge, color="white", linewidth=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(count), ha="center", va="center", color=colour)
    axes.set(
        xticks=range(len(classes)),
        yticks=range(len(classes)),
        xticklabels=classes,
        yticklabels=classes,
        xlabel="predicted",
        ylabel="true",
    )
    save(figure, path)


def draw_reliability(path: Path, bins: NDArray[np.float64]) -> None:
    """How often the model is right when it says how sure it is; the size of a dot is its count."""
    figure = _figure(4.0)
    axes = figure.subplots()
    axes.plot((0, 1), (0, 1), color=GREY, linewidth=1, linestyle="--")
    axes.plot(bins[:, 0], bins[:, 1], color=BLUE, linewidth=1)
    axes.scatter(bins[:, 0], bins[:, 1], s=10 + 150 * bins[:, 2] / bins[:, 2].sum(), color=BLUE)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability given", ylabel="share that was right")
    save(figure, path)


def draw_predictions(path: Path, predictions: Predictions) -> None:
    """The predicted number of each unit over its true class."""
    figure = _figure(4.0)
    axes = figure.subplots()
    jitter = np.random.default_rng(0).uniform(-0.15, 0.15, len(predictions))
    axes.scatter(predictions.labels + jitter, predictions.values, s=12, color=BLUE, alpha=0.6)
    last = len(predictions.classes) - 1
    axes.plot((0, last), (0, last), color=GREY, linewidth=1, linestyle="--")
    axes.set(
        xticks=range(last + 1), xticklabels=predictions.classes, xlabel="true", ylabel="predicted"
    )
    save(figure, path)


def draw_survival(path: Path, predictions: Predictions) -> None:
    """Kaplan-Meier curves of the lower and the upper half of predicted risk."""
    figure = _figure(4.0)
    axes = figure.subplots()
    high = predictions.values > np.median(predictions.values)
    for chosen, name, colour in ((~high, "lower risk", BLUE), (high, "higher risk", ORANGE)):
        times, survival = kaplan_meier(predictions.times[chosen], predictions.events[chosen])
        axes.step(times, survival, where="post", label=name, color=colour)
    axes.set(ylim=(0, 1.02), xlabel="time", ylabel="share without event")
    axes.legend(frameon=False)
    save(figure, path)


def kaplan_meier(
    times: NDArray[np.float64], events: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times from 0 and the share without event after each (Kaplan, Meier, 1958)."""
    order = np.unique(times)
    at_risk = np.array([(times >= time).sum() for time in order])
    seen = np.array([(events & (times == time)).sum() for time in order])
    survival = np.cumprod(1 - seen / np.maximum(at_risk, 1))
    return np.concatenate([[0.0], order]), np.concatenate([[1.0], survival])


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG."""
    with written_whole(path) as place:
        figure.savefig(place, format="png")


def _figure(side: float) -> Figure:
    # Not pyplot: no window system, and nothing global.
    from matplotlib.figure import Figure

    return Figure(figsize=(side, side), dpi=120, layout="constrained")
