"""`maskvit-train`: check, split, features, fit, evaluate, export."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from maskvit_training.errors import TrainingError
from maskvit_training.recipe import Recipe, load_recipe
from napari_maskvit.errors import MaskvitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskvit_training.scorecard import Scorecard
    from maskvit_training.splits import Fold

app = typer.Typer(
    help="Train hierarchical Vision Transformers with masked attention on whole-slide images.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
experiments = typer.Typer(help="Experiments on phantoms.", no_args_is_help=True)
app.add_typer(experiments, name="experiment")
# Of several processes that train together, the first one speaks.
console = Console(quiet=os.environ.get("LOCAL_RANK", "0") != "0")
stderr = Console(stderr=True)

RecipePath = Annotated[Path, typer.Argument(help="The recipe, a YAML file.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Set a field: part.field=value. May be repeated.")
]
FoldNumbers = Annotated[
    list[int] | None, typer.Option("--fold", help="Only this fold. May be repeated.")
]
SPLITS = "splits.csv"


def main() -> None:
    """Run the command line; what goes wrong is said in a sentence."""
    try:
        app()
    except MaskvitError as error:
        stderr.print(f"[bold red]Stopped.[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        stderr.print("Interrupted. The same command goes on from here.")
        sys.exit(130)


@app.command()
def check(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Check a recipe and its cohort table, and say what is in them; nothing is written."""
    from maskvit_training.cohort import read_cohort
    from maskvit_training.splits import assign_folds, make_folds

    chosen = load_recipe(recipe, overrides or ())
    cases = read_cohort(chosen)
    folds = make_folds(cases, assign_folds(chosen, cases))
    patients = len({case.patient for case in cases})
    masks = sum(case.mask is not None for case in cases)
    console.print(
        f"{len(cases)} slides of {patients} patients, {masks} with a mask; {len(folds)} folds."
    )
    for place, name in enumerate(chosen.task.classes):
        console.print(f"  {name}: {sum(case.label == place for case in cases)} slides")
    if chosen.task.kind == "survival":
        console.print(f"  {sum(bool(case.event) for case in cases)} events")


@app.command()
def patches(
    table: Annotated[Path, typer.Argument(help="CSV with a row a patch; paths start from it.")],
    folder: Annotated[Path, typer.Argument(help="Where slides and cohort.csv are written.")],
    spacing: Annotated[float, typer.Option(min=0.01, help="µm a pixel of a patch.")] = 1.0,
    position_spacing: Annotated[
        float, typer.Option(min=0.01, help="µm a unit of the positions.")
    ] = 0.25,
    label: Annotated[str, typer.Option(help="Column of a slide's label.")] = "isup_grade",
    patient: Annotated[str, typer.Option(help="Column of the patient.")] = "patient_id",
    fewest: Annotated[int, typer.Option(min=1, help="Leave slides of fewer patches out.")] = 1,
) -> None:
    """Put a folder of patches (SICAPv2 and its like) together into slides with a cohort table."""
    from maskvit_training.patches import PatchTable, read_patches, write_slides

    columns = PatchTable(spacing, position_spacing, label=label, patient=patient)
    pieces = read_patches(table, columns)
    large = [one for one in pieces if len(one.patches) >= fewest]
    if not large:
        raise TrainingError(f"No slide in {table} has {fewest} patches.")
    cohort = write_slides(folder, large, columns, _tell)
    console.print(f"{len(large)} of {len(pieces)} slides have {fewest} patches: {cohort}")


@app.command()
def split(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Draw the folds by patient and write them down (fit does so too where it is not done)."""
    chosen = load_recipe(recipe, overrides or ())
    for fold in _folds(chosen):
        sizes = f"{len(fold.train)} train, {len(fold.tune)} tune, {len(fold.test)} test"
        console.print(f"Fold {fold.number}: {sizes}")
    console.print(f"Written to {chosen.output / SPLITS}")


@app.command()
def features(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Extract the features of every slide that lacks them; goes on where it stopped."""
    from maskvit_training.cohort import read_cohort
    from maskvit_training.extract_cohort import extract_cohort
    from maskvit_training.network import load_encoder

    chosen = load_recipe(recipe, overrides or ())
    cases = read_cohort(chosen)
    failed = extract_cohort(chosen, cases, load_encoder(chosen), console)
    if failed:
        raise TrainingError(
            f"{failed} of {len(cases)} slides have no features (see above and "
            f"{chosen.output / 'features.csv'}). The others are done; fit goes without the failed."
        )


@app.command()
def fit(
    recipe: RecipePath,
    overrides: Overrides = None,
    fold: FoldNumbers = None,
    final: Annotated[bool, typer.Option(help="Train on every slide, for a bundle.")] = False,
) -> None:
    """Train every fold, or go on where it stopped."""
    from maskvit_training.extraction import INDEX, read_index, read_variants
    from maskvit_training.fit import fit_fold
    from maskvit_training.network import load_encoder

    chosen = load_recipe(recipe, overrides or ())
    if chosen.task.kind == "none":
        raise TrainingError("The recipe's task is none, so there is nothing to fit: set task.kind.")
    keys = read_index(chosen.output / INDEX)
    variants = read_variants(chosen.output / INDEX) if chosen.augment is not None else None
    folds = [_final_fold(chosen)] if final else _chosen_folds(chosen, fold)
    encoder = load_encoder(chosen)
    for one in folds:
        console.print("Every slide" if final else f"Fold {one.number}")
        folder = fit_fold(
            chosen, one, keys, encoder, variants=variants, quiet=not console.is_terminal
        )
        console.print(f"  done: {folder}")


@app.command()
def pretrain(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Train the patch or the region transformer without labels (DINO); writes a bundle."""
    from maskvit_training.cohort import read_cohort
    from maskvit_training.extract_cohort import extract_cohort
    from maskvit_training.extraction import INDEX, read_index
    from maskvit_training.network import load_encoder

    if find_spec("lightly") is None:
        raise TrainingError(
            "Pretraining needs lightly, which is not installed: install maskvit-training[pretrain]."
        )
    from maskvit_training.pretraining.run import pretrain as run

    chosen = load_recipe(recipe, overrides or ())
    # The patch level learns from pixels, the region level from features.
    pixels = chosen.pretrain is not None and chosen.pretrain.level == "patch"
    kind = chosen.model.model_copy(update={"train": "end" if pixels else "local"})
    chosen = chosen.model_copy(update={"model": kind})
    encoder = load_encoder(chosen)
    extract_cohort(chosen, read_cohort(chosen), encoder, console)
    keys = read_index(chosen.output / INDEX)
    console.print(f"Bundle: {run(chosen, keys, encoder, quiet=not console.is_terminal)}")


@app.command()
def evaluate(
    recipe: RecipePath,
    overrides: Overrides = None,
    scorecard: Annotated[
        bool, typer.Option(help="With the interpretability scorecard (evaluation.scorecard).")
    ] = True,
) -> None:
    """Report how good the trained folds are on the units they did not see, and where they look."""
    from maskvit_training.fit import fold_folder
    from maskvit_training.predictions import read_predictions
    from maskvit_training.report import evaluate as compute
    from maskvit_training.report import percent_interval, write_report
    from maskvit_training.running import DONE

    chosen = load_recipe(recipe, overrides or ())
    folds = _folds(chosen)
    trained = [fold for fold in folds if (fold_folder(chosen, fold.number) / DONE).exists()]
    if not trained:
        raise TrainingError(f"No fold in {chosen.output} is trained. Run maskvit-train fit first.")
    tables = [fold_folder(chosen, fold.number) / "predictions.csv" for fold in trained]
    predictions = read_predictions(tables, chosen.task.kind, chosen.task.classes)
    card = _scorecard_of(chosen, trained) if scorecard and chosen.evaluation.scorecard else None
    evaluation = compute(chosen, predictions, card)
    html = write_report(chosen.output / "report", chosen, predictions, evaluation, card)
    console.print(f"{len(trained)} of {len(folds)} folds, {len(predictions)} tested units")
    for name, one in evaluation.pooled.items():
        console.print(f"  {name}: {percent_interval(one)}")
    console.print(f"Report: {html}")


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
    card = score_cohort(chosen, loaded, some, cases, _tell)
    html = write_scorecard(chosen.output / "scorecard", chosen, loaded.config.title, card)
    console.print(f"Report: {html}")


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
    from maskvit_training.network import load_encoder
    from maskvit_training.report import read_report
    from maskvit_training.splits import FINAL

    chosen = load_recipe(recipe, overrides or ())
    evaluation = read_report(chosen.output / "report")
    number = FINAL if final else fold
    path = write(chosen, load_encoder(chosen), number, bundle.resolve(), evaluation, half=half)
    size = sum(file.stat().st_size for file in path.iterdir())
    console.print(f"Bundle: {path} ({size / 1e6:.1f} MB)")
    if evaluation is None:
        console.print("Its card has no numbers: run maskvit-train evaluate, then export again.")


@experiments.command()
def background(
    folder: Annotated[
        Path, typer.Argument(help="Where everything goes; started again, it goes on.")
    ],
    seeds: Annotated[int, typer.Option(min=1, help="Models of each kind.")] = 5,
    train: Annotated[int, typer.Option(min=3, help="Pieces of tissue to train on.")] = 72,
    tune: Annotated[int, typer.Option(min=3, help="Pieces of tissue to tune on.")] = 4,
    test: Annotated[int, typer.Option(min=3, help="Pieces of tissue to test on.")] = 36,
    epochs: Annotated[int, typer.Option(min=1)] = 10,
) -> None:
    """Plain against masked attention on phantoms with bait, or none, on the glass."""
    from maskvit_training.experiment.background import run_background
    from maskvit_training.experiment.phantoms import Design

    design = Design(train=train, tune=tune, test=test)
    changes = {"optimiser": {"epochs": epochs}}
    run_background(folder.resolve(), design, seeds, changes, console.print)
    console.print((folder / "experiment.md").read_text("utf-8"), soft_wrap=True, markup=False)


def _tell(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


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
        cards.append(score_cohort(recipe, model, some, everybody, _tell))
    return reduce(add, cards)


@experiments.command()
def learning(
    folder: Annotated[
        Path, typer.Argument(help="Where everything goes; started again, it goes on.")
    ],
    seeds: Annotated[int, typer.Option(min=1, help="Models.")] = 3,
    train: Annotated[int, typer.Option(min=3, help="Pieces of tissue to train on.")] = 64,
    tune: Annotated[int, typer.Option(min=3, help="Pieces of tissue to tune on.")] = 4,
    test: Annotated[int, typer.Option(min=3, help="Pieces of tissue to test on.")] = 32,
    epochs: Annotated[int, typer.Option(min=1)] = 12,
) -> None:
    """Masked models on phantoms, against a linear probe on the mean colour of the tissue."""
    from maskvit_training.experiment.learning import run_learning
    from maskvit_training.experiment.phantoms import Design

    # Closer than for the background experiment, where every slide is read four times.
    finer = Design(width=896, height=448, spacing=1.0, core_width=320.0, blocks=5)
    design = replace(finer, train=train, tune=tune, test=test)
    run_learning(folder.resolve(), design, seeds, epochs, console.print)


def _folds(recipe: Recipe) -> tuple[Fold, ...]:
    from maskvit_training.cohort import read_cohort
    from maskvit_training.splits import settle_splits

    return settle_splits(recipe, read_cohort(recipe), recipe.output / SPLITS)


def _final_fold(recipe: Recipe) -> Fold:
    from maskvit_training.cohort import read_cohort
    from maskvit_training.splits import whole_cohort

    return whole_cohort(read_cohort(recipe))


def _chosen_folds(recipe: Recipe, numbers: list[int] | None) -> list[Fold]:
    folds = _folds(recipe)
    wanted = set(numbers or recipe.splits.run or (fold.number for fold in folds))
    unknown = wanted - {fold.number for fold in folds}
    if unknown:
        raise TrainingError(f"There is no fold {min(unknown)}; the last is {folds[-1].number}.")
    return [fold for fold in folds if fold.number in wanted]
