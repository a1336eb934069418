"""Commands that train: fit, pretrain."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from maskvit_training.cli.group import (
    FoldNumbers,
    Overrides,
    RecipePath,
    app,
    console,
    settled_folds,
    tell,
)
from maskvit_training.errors import TrainingError
from maskvit_training.recipe import Recipe, load_recipe

if TYPE_CHECKING:
    from maskvit_training.network import Encoder
    from maskvit_training.splits import Fold


@app.command()
def fit(
    recipe: RecipePath,
    overrides: Overrides = None,
    fold: FoldNumbers = None,
    final: Annotated[bool, typer.Option(help="Train on every slide, for a bundle.")] = False,
) -> None:
    """Train every fold, or go on where it stopped."""
    from maskvit_training.feature_index import INDEX, read_variants
    from maskvit_training.fit import fit_fold
    from maskvit_training.network import load_encoder

    chosen = load_recipe(recipe, overrides or ())
    if chosen.task.kind == "none":
        raise TrainingError("The recipe's task is none, so there is nothing to fit: set task.kind.")
    folds = [_final_fold(chosen)] if final else _chosen_folds(chosen, fold)
    encoder = load_encoder(chosen)
    keys = _keys(chosen, encoder, folds[0])
    variants = read_variants(chosen.output / INDEX) if chosen.augment is not None else None
    for one in folds:
        tell("Every slide" if final else f"Fold {one.number}")
        folder = fit_fold(
            chosen, one, keys, encoder, variants=variants, quiet=not console.is_terminal
        )
        tell(f"  done: {folder}")


@app.command()
def pretrain(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Train the patch or the region transformer without labels (DINO); writes a bundle."""
    from maskvit_training.cohort import read_cohort
    from maskvit_training.extract_cohort import extract_cohort
    from maskvit_training.feature_index import INDEX, read_index
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
    extract_cohort(chosen, read_cohort(chosen), lambda: encoder, console)
    keys = read_index(chosen.output / INDEX)
    tell(f"Bundle: {run(chosen, keys, encoder, quiet=not console.is_terminal)}")


def _keys(recipe: Recipe, encoder: Encoder, fold: Fold) -> dict[str, str]:
    """Keys of the features by slide; says how many of a fold's slides have none."""
    from maskvit_training.encoder_facts import EncoderFacts
    from maskvit_training.extraction import shared_key
    from maskvit_training.feature_index import INDEX, read_index

    index = recipe.output / INDEX
    keys = read_index(index, shared_key(recipe, EncoderFacts.of(recipe, encoder)))
    everybody = [*fold.train, *fold.tune, *fold.test]
    if without := sum(case.name not in keys for case in everybody):
        tell(f"{without} of {len(everybody)} slides have no features and take no part: see {index}")
    return keys


def _final_fold(recipe: Recipe) -> Fold:
    from maskvit_training.cohort import read_cohort
    from maskvit_training.splits import whole_cohort

    return whole_cohort(read_cohort(recipe))


def _chosen_folds(recipe: Recipe, numbers: list[int] | None) -> list[Fold]:
    folds = settled_folds(recipe)
    wanted = set(numbers or recipe.splits.run or (fold.number for fold in folds))
    unknown = wanted - {fold.number for fold in folds}
    if unknown:
        raise TrainingError(f"There is no fold {min(unknown)}; the last is {folds[-1].number}.")
    return [fold for fold in folds if fold.number in wanted]
