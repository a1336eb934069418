"""Commands before training: check, patches, split, features."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskvit_training.cli.group import (
    SPLITS,
    Overrides,
    RecipePath,
    app,
    console,
    settled_folds,
    stderr,
    tell,
)
from maskvit_training.errors import TrainingError
from maskvit_training.recipe import load_recipe

if TYPE_CHECKING:
    from maskvit_training.network import Encoder
    from maskvit_training.recipe import Recipe


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
    tell(f"{len(cases)} slides of {patients} patients, {masks} with a mask; {len(folds)} folds.")
    if chosen.task.classes:
        tell("Slides of each label:")
    counts = Counter(case.label for case in cases)
    for place, name in enumerate(chosen.task.classes):
        tell(f"  {name}: {counts[place]}")
    if chosen.task.kind == "survival":
        tell(f"  {sum(bool(case.event) for case in cases)} events")


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
    from maskvit_training.patches import PatchTable, read_patches
    from maskvit_training.stitching import write_slides

    columns = PatchTable(spacing, position_spacing, label=label, patient=patient)
    pieces = read_patches(table, columns)
    large = [one for one in pieces if len(one.patches) >= fewest]
    if not large:
        raise TrainingError(f"No slide in {table} has {fewest} patches.")
    cohort = write_slides(folder, large, columns, tell)
    tell(f"{len(large)} of {len(pieces)} slides have {fewest} patches: {cohort}")


@app.command()
def split(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Draw the folds by patient and write them down (fit does so too where it is not done)."""
    chosen = load_recipe(recipe, overrides or ())
    for fold in settled_folds(chosen):
        sizes = f"{len(fold.train)} train, {len(fold.tune)} tune, {len(fold.test)} test"
        tell(f"Fold {fold.number}: {sizes}")
    tell(f"Written to {chosen.output / SPLITS}")


@app.command()
def features(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Extract the features of every slide that lacks them; goes on where it stopped."""
    from maskvit_training.cohort import read_cohort
    from maskvit_training.extract_cohort import extract_cohort
    from maskvit_training.feature_index import INDEX

    chosen = load_recipe(recipe, overrides or ())
    cases = read_cohort(chosen)
    failed = extract_cohort(chosen, cases, partial(_encoder, chosen), console)
    if failed:
        stderr.print(
            f"{failed} of {len(cases)} slides have no features (see above and "
            f"{chosen.output / INDEX}). The others are done; training goes without the failed.",
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(1)


def _encoder(recipe: Recipe) -> Encoder:
    # Imports torch, which takes longer than all else where every slide is done already.
    from maskvit_training.network import load_encoder

    return load_encoder(recipe)
