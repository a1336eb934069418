"""All numbers of an evaluation, and the JSON that they are kept in."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maskvit_training.errors import TrainingError
from maskvit_training.metrics import Estimate, Predictions, confusion, estimate
from maskvit_training.scorecard.cohort import summarise
from maskvit_training.writing import write_text

if TYPE_CHECKING:
    from maskvit_training.recipe import Recipe
    from maskvit_training.scorecard.cohort import Scorecard

NUMBERS = "report.json"


@dataclass(frozen=True)
class Evaluation:
    """All numbers of an evaluation.

    Attributes
    ----------
    pooled
        Metrics over every tested unit.
    folds
        The same of each fold's own test units.
    confusion
        Counts, true class down; None for survival.
    scorecard
        Numbers of the interpretability scorecard by masking ("masked", "plain"), if there are any:
        means over slides.
    scorecard_slides
        How many slides those are.
    """

    name: str
    kind: str
    classes: tuple[str, ...]
    units: int
    patients: int
    confidence: float
    pooled: dict[str, Estimate]
    folds: dict[int, dict[str, Estimate]]
    confusion: tuple[tuple[int, ...], ...] | None
    scorecard: dict[str, dict[str, Estimate]]
    scorecard_slides: int = 0


def evaluate(
    recipe: Recipe, predictions: Predictions, scorecard: Scorecard | None = None
) -> Evaluation:
    """Compute every number."""
    folds = {
        int(fold): estimate(
            predictions.take(np.flatnonzero(predictions.folds == fold)),
            recipe.evaluation,
            recipe.seed,
        )
        for fold in np.unique(predictions.folds)
    }
    counts = None
    if predictions.classes:
        counts = tuple(tuple(int(n) for n in row) for row in confusion(predictions))
    return Evaluation(
        name=recipe.name,
        kind=predictions.kind,
        classes=predictions.classes,
        units=len(predictions),
        patients=len(set(predictions.patients)),
        confidence=recipe.evaluation.confidence,
        pooled=estimate(predictions, recipe.evaluation, recipe.seed),
        folds=folds,
        confusion=counts,
        scorecard={} if scorecard is None else summary_of(recipe, scorecard),
        scorecard_slides=0 if scorecard is None else len(scorecard.slides),
    )


def summary_of(recipe: Recipe, scorecard: Scorecard) -> dict[str, dict[str, Estimate]]:
    """A scorecard's means with the recipe's intervals."""
    of = recipe.evaluation
    return summarise(scorecard, of.bootstraps, of.confidence, recipe.seed)


def plain_json(value: Any) -> Any:
    """JSON has no nan: null instead."""
    if isinstance(value, dict):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


def write_json(path: Path, facts: Any) -> None:
    """Write facts as JSON."""
    write_text(path, json.dumps(plain_json(facts), indent=2, allow_nan=False) + "\n")


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Write report.json."""
    write_json(folder / NUMBERS, asdict(evaluation))


def read_evaluation(folder: Path) -> Evaluation | None:
    """The numbers of an earlier `write_evaluation`; None where there are none.

    Raises
    ------
    TrainingError
        If they cannot be read.
    """
    path = folder / NUMBERS
    if not path.exists():
        return None
    try:
        facts = json.loads(path.read_text("utf-8"))
        facts["pooled"] = _estimates(facts["pooled"])
        facts["folds"] = {int(fold): _estimates(of) for fold, of in facts["folds"].items()}
        facts["scorecard"] = {masking: _estimates(of) for masking, of in facts["scorecard"].items()}
        facts["classes"] = tuple(facts["classes"])
        counts = facts["confusion"]
        facts["confusion"] = None if counts is None else tuple(tuple(row) for row in counts)
        return Evaluation(**facts)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingError(
            f"{path} is no report of this version ({error}). Run maskvit-train evaluate again."
        ) from error


def _estimates(facts: dict[str, dict[str, float | None]]) -> dict[str, Estimate]:
    return {
        name: Estimate(**{key: math.nan if v is None else v for key, v in one.items()})
        for name, one in facts.items()
    }
