"""The report of an evaluation: one JSON, one Markdown and one HTML file, with plots."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maskvit_training.evaluation import Evaluation, write_evaluation
from maskvit_training.metrics import Estimate, Predictions, reliability
from maskvit_training.plots import draw_confusion, draw_predictions, draw_reliability, draw_survival
from maskvit_training.recipe import Recipe
from maskvit_training.scorecard.cohort import Scorecard
from maskvit_training.scorecard.plots import draw_scorecard
from maskvit_training.writing import write_text

TEMPLATES = Path(__file__).parent / "templates"

SCORECARD_NOTE = (
    "No interval where a number is known of one patient alone. Masked: the same weights with "
    "background masked; plain: with nothing masked, except that regions without any tissue take no "
    "part (unless evaluation.plain says otherwise). Attention on background is a share. Change of "
    "the answer is in its own units (grades, probability of the class, or risk), change of "
    "attention a total variation from 0 to 1, both after all that a masked model does not read was "
    "painted over. Deletion and insertion: mean distance from the whole slide's "
    "answer as patches are left out, or come alone, in that order; more is better for deletion, "
    "less for insertion. Pointing: over tissue only."
)


@dataclass(frozen=True)
class Table:
    """A titled table of text.

    Attributes
    ----------
    grouped
        Whether names of rows that begin alike, up to a comma, belong together.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    grouped: bool = False


def write_report(
    folder: Path,
    recipe: Recipe,
    predictions: Predictions,
    evaluation: Evaluation,
    scorecard: Scorecard | None = None,
) -> Path:
    """Write report.json, report.md, report.html and the plots.

    Parameters
    ----------
    scorecard
        What `evaluation` was made with, for its plots.

    Returns
    -------
    Path
        The HTML file, which holds its plots.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plots = _draw(folder, recipe, predictions, evaluation)
    if scorecard is not None:
        plots += draw_scorecard(folder, scorecard, evaluation.scorecard)
    write_evaluation(folder, evaluation)
    _render(folder, evaluation, plots)
    return folder / "report.html"


def percent_interval(one: Estimate) -> str:
    """`0.71 (0.55 to 0.83)`; a dash where it is not defined."""
    if math.isnan(one.value):
        return "–"
    spread = {one.low, one.high}
    if one.value == 0 and (spread == {0} or math.isnan(one.low)):
        return "0"  # exactly, and on every slide
    if math.isnan(one.low):
        return _digits(one.value)
    return f"{_digits(one.value)} ({_digits(one.low)} to {_digits(one.high)})"


def _digits(value: float) -> str:
    """Three decimals; what is not 0 does not look like it."""
    if 0 < abs(value) < 0.0005:
        return "<0.001" if value > 0 else ">-0.001"
    return f"{value:.3f}"


def _tables(evaluation: Evaluation) -> list[Table]:
    columns = {"pooled": evaluation.pooled}
    if len(evaluation.folds) > 1:
        columns |= {f"fold {fold}": values for fold, values in evaluation.folds.items()}
    rows = tuple(
        (name, *(percent_interval(values[name]) for values in columns.values()))
        for name in evaluation.pooled
    )
    interval = f"{100 * evaluation.confidence:g} % intervals from resampled patients"
    tables = [Table("Metrics", ("", *columns), rows, f"In brackets: {interval}.")]
    if evaluation.confusion is not None:
        counts = tuple(
            (name, *map(str, row))
            for name, row in zip(evaluation.classes, evaluation.confusion, strict=True)
        )
        tables.append(
            Table("Confusion", ("true \\ predicted", *evaluation.classes), counts, "Tested units.")
        )
    if evaluation.scorecard:
        tables.append(scorecard_table(evaluation.scorecard, evaluation.scorecard_slides, interval))
    return tables


def scorecard_table(scorecard: dict[str, dict[str, Estimate]], slides: int, interval: str) -> Table:
    """A scorecard as a table: a row a number, a column a masking."""
    columns = tuple(scorecard)
    names = list(dict.fromkeys(name for column in scorecard.values() for name in column))
    groups = list(dict.fromkeys(name.partition(", ")[0] for name in names))
    names.sort(key=lambda name: groups.index(name.partition(", ")[0]))
    missing = Estimate(math.nan, math.nan, math.nan)
    rows = tuple(
        (name, *(percent_interval(scorecard[column].get(name, missing)) for column in columns))
        for name in names
    )
    note = f"Means over {slides} slides; {interval}. {SCORECARD_NOTE}"
    return Table("Interpretability", ("", *columns), rows, note, grouped=True)


def _draw(
    folder: Path, recipe: Recipe, predictions: Predictions, evaluation: Evaluation
) -> list[tuple[str, Path]]:
    plots = []
    if evaluation.confusion is None:
        plots.append(("Survival of the lower and the upper half of risk", folder / "survival.png"))
        draw_survival(plots[-1][1], predictions)
        return plots
    plots.append(("Confusion matrix", folder / "confusion.png"))
    draw_confusion(plots[-1][1], np.array(evaluation.confusion), evaluation.classes)
    if predictions.probabilities.shape[1]:
        plots.append(("Calibration", folder / "calibration.png"))
        draw_reliability(plots[-1][1], reliability(predictions, recipe.evaluation.calibration_bins))
    else:
        plots.append(("Predicted number by true class", folder / "values.png"))
        draw_predictions(plots[-1][1], predictions)
    return plots


def _render(folder: Path, evaluation: Evaluation, plots: list[tuple[str, Path]]) -> None:
    pictures = [
        (title, path.name, base64.b64encode(path.read_bytes()).decode()) for title, path in plots
    ]
    tables = _tables(evaluation)
    for name in ("report.md", "report.html"):
        text = render(f"{name}.j2", evaluation=evaluation, tables=tables, plots=pictures)
        write_text(folder / name, text)


def render(template: str, **values: Any) -> str:
    """Fill one of the package's templates."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=lambda name: name is not None and "html" in name,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["interval"] = percent_interval
    return environment.get_template(template).render(**values)
