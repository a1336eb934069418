"""Plots of a scorecard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maskvit_training.plots import BLUE, GREY, ORANGE, save
from maskvit_training.scorecard.cohort import MASKED, PLAIN, Scorecard, mean_curves
from maskvit_training.scorecard.curves import STEPS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from maskvit_training.metrics import Estimate

COLOURS = {MASKED: BLUE, PLAIN: ORANGE}
BARS = {
    "background.png": ("attention on background, ", "Attention on background"),
    "replaced.png": ("change of attention, ", "Change of attention, other background"),
    "pointing.png": ("pointing AUC, ", "Pointing at annotated tissue: AUC"),
}
ORDERS = {"attention": BLUE, "contribution": ORANGE, "random": GREY}


def draw_scorecard(
    folder: Path, scorecard: Scorecard, summary: Mapping[str, Mapping[str, Estimate]]
) -> list[tuple[str, Path]]:
    """Draw what there is to be drawn, and say what each picture shows."""
    drawn = []
    for name, (start, title) in BARS.items():
        if _draw_bars(folder / name, start, title, summary):
            drawn.append((title, folder / name))
    curves = mean_curves(scorecard)
    if any(curves.values()):
        path = folder / "curves.png"
        _draw_curves(path, scorecard)
        drawn.append(("Deletion and insertion of patches in three orders", path))
    return drawn


def _draw_bars(
    path: Path, start: str, title: str, summary: Mapping[str, Mapping[str, Estimate]]
) -> bool:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    names = [
        name
        for name in dict.fromkeys(name for column in summary.values() for name in column)
        if name.startswith(start)
        and any(name in column and not np.isnan(column[name].value) for column in summary.values())
    ]
    if not names:
        return False
    figure = Figure(figsize=(6.4, 1.2 + 0.42 * len(names)), dpi=120, layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(names), dtype=float)
    height = 0.38
    for at, (masking, column) in enumerate(summary.items()):
        found = [column.get(name) for name in names]
        values = np.array([np.nan if one is None else one.value for one in found])
        spread = np.array(
            [
                (0, 0) if one is None else (one.value - one.low, one.high - one.value)
                for one in found
            ]
        )
        y = places + (at - (len(summary) - 1) / 2) * height
        axes.barh(y, values, height, color=COLOURS.get(masking, GREY), label=masking)
        axes.errorbar(
            values,
            y,
            xerr=np.nan_to_num(spread).clip(0).T,
            fmt="none",
            ecolor="black",
            elinewidth=1,
        )
        for value, place in zip(values, y, strict=True):
            if value == 0:
                axes.annotate(" 0", (0, place), va="center", fontsize=8)
    axes.set(yticks=places, yticklabels=[name.removeprefix(start) for name in names], xlabel=title)
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(6))
    if "AUC" in title:
        axes.set_xlim(0, 1)
        axes.axvline(0.5, color=GREY, linewidth=1, linestyle="--")
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    save(figure, path)
    return True


def _draw_curves(path: Path, scorecard: Scorecard) -> None:
    from matplotlib.figure import Figure

    found = mean_curves(scorecard)
    figure = Figure(figsize=(8, 3.2 * len(found)), dpi=120, layout="constrained")
    grid = figure.subplots(len(found), 2, sharex=True, sharey=True, squeeze=False)
    shares = np.arange(STEPS) / STEPS
    for row, (masking, curves) in zip(grid, found.items(), strict=True):
        for order, colour in ORDERS.items():
            if order in curves:
                row[0].plot(shares, curves[order].deletion, color=colour, label=order)
                row[1].plot(shares + 1 / STEPS, curves[order].insertion, color=colour, label=order)
        _label(row[0], f"{masking}: left out")
        _label(row[1], f"{masking}: alone")
    grid[0][0].legend(frameon=False)
    grid[-1][0].set_xlabel("share of patches left out")
    grid[-1][1].set_xlabel("share of patches there")
    save(figure, path)


def _label(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_ylabel("distance from the answer")
    axes.label_outer()
