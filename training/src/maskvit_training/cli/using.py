"""Commands after training: evaluate, scorecard, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskvit_training.cli.group import (
    Overrides,
    RecipePath,
    app,
    settled_folds,
    tell,
)
from maskvit_training.errors import TrainingError
from maskvit_training.recipe import Recipe, load_recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskvit_training.scorecard import Scorecard
    from maskvit_training.splits import Fold


@app.command()
def evaluate(
    recipe: RecipePath,
    overrides: Overrides = None,
    scorecard: Annotated[
        bool, typer.Option(help="With the interpretability scorecard (evaluation.scorecard).")
    ] = True,
) -> None:
    """Report how good the trained folds are on the units they did not see, and where they look."""
    from maskvit_training.evaluation import evaluate as compute
    from maskvit_training.fit import fold_folder
    from maskvit_training.predictions import read_predictions
    from maskvit_training.report import percent_interval, write_report
    from maskvit_training.running import DONE

    chosen = load_recipe(recipe, overrides or ())
    folds = settled_folds(chosen)
    trained = [fold for fold in folds if (fold_folder(chosen, fold.number) / DONE).exists()]
    if not trained:
        raise TrainingError(f"No fold in {chosen.output} is trained. Run maskvit-train fit first.")
    tables = [fold_folder(chosen, fold.number) / "predictions.csv" for fold in trained]
    predictions = read_predictions(tables, chosen.task.kind, chosen.task.classes)
    card = _scorecard_of(chosen, trained) if scorecard and chosen.evaluation.scorecard else None
    evaluation = compute(chosen, predictions, card)
    html = write_report(chosen.output / "report", chosen, predictions, evaluation, card)
    tell(f"{len(trained)} of {len(folds)} folds, {len(predictions)} tested units")
    for name, one in evaluation.pooled.items():
        tell(f"  {name}: {percent_interval(one)}")
    tell(f"Report: {html}")


@app.command()
def scorecard(
    recipe: RecipePath,
    model: Annotated[str, typer.Argument(help="A bundle's folder, or a model's name.")],
    overrides: Overrides = None,
) -> None:
    """Where any model looks on the recipe's cohort, masked and plain (evaluation.scorecard)."""
    from maskvit_training.cohort import read_cohort
    from maskvit_training.scorecard.cohort import score_cohort, spread_over
    from maskvit_training.scorecard.report import write_scorecard
    from napari_maskvit.model import load_model

    chosen = load_recipe(recipe, overrides or ())
    cases = read_cohort(chosen)
    loaded = load_model(model)
    some = spread_over(cases, chosen.evaluation.scorecard or len(cases))
    card = score_cohort(chosen, loaded, some, cases, tell)
    html = write_scorecard(chosen.output / "scorecard", chosen, loaded.config.title, card)
    tell(f"Report: {html}")


@app.command()
def export(
    recipe: RecipePath,
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle to write.")],
    overrides: Overrides = None,
    fold: Annotated[int, typer.Option(help="Whose weights.")] = 0,
    final: Annotated[bool, typer.Option(help="The weights of fit --final.")] = False,
    half: Annotated[bool, typer.Option(help="Hold the weights in float16.")] = False,
) -> None:
    """Write a bundle that napari-maskvit opens."""
    from maskvit_training.bundle import export as write
    from maskvit_training.evaluation import read_evaluation
    from maskvit_training.network import load_encoder
    from maskvit_training.splits import FINAL

    chosen = load_recipe(recipe, overrides or ())
    evaluation = read_evaluation(chosen.output / "report")
    number = FINAL if final else fold
    path = write(chosen, load_encoder(chosen), number, bundle.resolve(), evaluation, half=half)
    size = sum(file.stat().st_size for file in path.iterdir())
    tell(f"Bundle: {path} ({size / 1e6:.1f} MB)")
    if evaluation is None:
        tell("Its card has no numbers: run maskvit-train evaluate, then export again.")


def _scorecard_of(recipe: Recipe, folds: Sequence[Fold]) -> Scorecard:
    from functools import reduce
    from operator import add

    from maskvit_training.bundle import trained_model
    from maskvit_training.network import load_encoder
    from maskvit_training.scorecard.cohort import score_cohort, spread_over

    encoder = load_encoder(recipe)
    cards = []
    for fold in folds:
        some = spread_over(fold.test, recipe.evaluation.scorecard)
        everybody = [*fold.test, *fold.tune, *fold.train]
        model = trained_model(recipe, encoder, fold.number)
        cards.append(score_cohort(recipe, model, some, everybody, tell))
    return reduce(add, cards)
