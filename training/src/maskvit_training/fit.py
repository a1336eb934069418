"""Training one fold: start, stop at any moment, start again, same end."""

from __future__ import annotations

import csv
import hashlib
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING

import lightning
import numpy as np
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint

from maskvit_training.data import Unit, class_frequencies, cut_time, make_units, read_sample
from maskvit_training.errors import TrainingError
from maskvit_training.loading import plain_loader, train_loader
from maskvit_training.metrics import Predictions
from maskvit_training.module import TUNING_LOSS, HierarchyModule
from maskvit_training.network import Encoder, make_config
from maskvit_training.predictions import grade_of, write_predictions
from maskvit_training.recipe import FinetuneRecipe, save_recipe
from maskvit_training.running import (
    LAST,
    is_done,
    make_trainer,
    mark_done,
    require_same,
    silence_lightning,
    where_stopped,
)
from maskvit_training.splits import FINAL
from maskvit_training.writing import written_whole
from napari_maskvit.model.prediction import decode

if TYPE_CHECKING:
    from maskvit_training.recipe import Recipe
    from maskvit_training.splits import Fold

STATISTICS_UNITS = 128
"""Training units from which centre and spread of the features are taken."""

BEST = "best.ckpt"
RECIPE = "recipe.yaml"
"""What it was trained by, changes on the command line and defaults among it."""


def fold_folder(recipe: Recipe, number: int) -> Path:
    """Where everything of a fold lies."""
    return recipe.output / ("final" if number == FINAL else f"fold-{number}")


def fit_fold(
    recipe: Recipe,
    fold: Fold,
    keys: dict[str, str],
    encoder: Encoder,
    *,
    variants: dict[str, tuple[str, ...]] | None = None,
    callbacks: Sequence[Callback] = (),
    quiet: bool = False,
) -> Path:
    """Train a fold, or go on where it stopped, and predict its test units.

    Parameters
    ----------
    keys
        Key of each case's features, by its name.
    encoder
        What made them.
    variants
        Keys of each case's features under other outlines, for training.
    callbacks
        Further ones, for Lightning.
    quiet
        No progress bar.

    Returns
    -------
    Path
        The fold's folder, with best.ckpt, predictions.csv, history.csv, recipe.yaml, logs and
        done.json.

    Raises
    ------
    TrainingError
        If features are missing, the loss is no number, or the folder holds another training.
    """
    folder = fold_folder(recipe, fold.number)
    units = {
        role: make_units(recipe, getattr(fold, role), keys, variants if role == "train" else None)
        for role in ("train", "tune", "test")
    }
    _require_units(units, fold.number)
    digest = _digest(recipe, units, encoder)
    if is_done(folder, digest):
        return folder
    last, epoch = folder / LAST, 0
    if last.exists():
        written, epoch = where_stopped(last)
        require_same(written, digest, folder)
    folder.mkdir(parents=True, exist_ok=True)
    module = _make_module(recipe, units["train"], encoder, digest)
    best = bool(units["tune"]) and recipe.optimiser.keep == "best"
    with warnings.catch_warnings():
        silence_lightning(warnings)
        trainer = _make_trainer(recipe, folder, callbacks, quiet, best=best)
        trainer.fit(
            module,
            train_loader(recipe, units["train"], module.time_edges, epoch),
            plain_loader(recipe, units["tune"], module.time_edges) if units["tune"] else None,
            ckpt_path=str(last) if last.exists() else None,
            weights_only=False,
        )
    if trainer.interrupted:
        raise KeyboardInterrupt
    if trainer.is_global_zero:
        if not best:
            shutil.copyfile(last, folder / BEST)
        save_recipe(recipe, folder / RECIPE)
        _finish(folder, module, units["test"], fold.number, digest)
    return folder


def load_module(path: Path) -> HierarchyModule:
    """Open a checkpoint for prediction.

    Raises
    ------
    TrainingError
        If it is not there or not one of ours.
    """
    if not path.exists():
        raise TrainingError(f"There is no checkpoint at {path}. Run maskvit-train fit first.")
    try:
        module = HierarchyModule.load_from_checkpoint(path, map_location="cpu", weights_only=False)
    except (RuntimeError, KeyError, TypeError, ValueError, EOFError, UnpicklingError) as error:
        raise TrainingError(
            f"{path} is no checkpoint that this version can open ({type(error).__name__})."
        ) from error
    return module.eval()


def predict(module: HierarchyModule, units: Sequence[Unit], fold: int = 0) -> Predictions:
    """What a trained hierarchy says, computed as the plugin computes it, one unit in memory."""
    config = module.config
    assert config.head is not None
    survival = config.head == "survival"
    answers = [
        decode(config, module.encode(read_sample(unit, module.time_edges)).cpu().numpy())
        for unit in units
    ]
    grades = [] if survival else [grade_of(answer) for answer in answers]
    chances = [() if survival else answer.probabilities or () for answer in answers]
    return Predictions(
        kind=config.head,
        classes=() if survival else config.labels,
        units=tuple(unit.name for unit in units),
        patients=tuple(unit.patient for unit in units),
        folds=np.full(len(units), fold, np.int64),
        labels=np.array([] if survival else [unit.label for unit in units], np.int64),
        grades=np.array(grades, np.int64),
        values=np.array([answer.value for answer in answers], np.float64),
        probabilities=np.array(chances, np.float64).reshape(len(units), -1),
        times=np.array([unit.time for unit in units] if survival else [], np.float64),
        events=np.array([unit.event for unit in units] if survival else [], np.bool_),
    )


def _make_module(
    recipe: Recipe, train: Sequence[Unit], encoder: Encoder, digest: str
) -> HierarchyModule:
    lightning.seed_everything(recipe.seed, verbose=False)
    edges = cut_time(train, recipe.task.bins) if recipe.task.kind == "survival" else ()
    weights = None
    if recipe.task.class_weights:
        shares = class_frequencies(train, len(recipe.task.classes))
        weights = (1 / (shares.clamp(min=1e-9) * len(shares))).tolist()
    finetune = None
    if recipe.model.train == "end":
        finetune = (recipe.finetune or FinetuneRecipe()).model_dump(mode="json")
    module = HierarchyModule(
        config=make_config(recipe, encoder, edges).model_dump(mode="json"),
        optimiser=recipe.optimiser.model_dump(mode="json"),
        patch_dim=encoder.model.patch.dim,
        freeze_region=recipe.model.train == "global",
        drop=recipe.masking.drop_patches,
        class_weights=weights,
        time_edges=list(edges),
        seed=recipe.seed,
        digest=digest,
        finetune=finetune,
    )
    if module.patch is not None:
        module.patch.load_state_dict(encoder.model.patch.state_dict())
    if recipe.model.train == "global" and encoder.region is not None:
        module.hierarchy.region.load_state_dict(encoder.region.state_dict())
    else:
        step = -(-len(train) // STATISTICS_UNITS)
        some = [module.embedded(read_sample(unit, edges)) for unit in train[::step]]
        module.hierarchy.standardise(some)
    return module


def _make_trainer(
    recipe: Recipe, folder: Path, callbacks: Sequence[Callback], quiet: bool, *, best: bool
) -> lightning.Trainer:
    optimiser, machine = recipe.optimiser, recipe.trainer
    ours: list[Callback] = []
    if optimiser.patience is not None and best:
        ours.append(EarlyStopping(TUNING_LOSS, patience=optimiser.patience, check_finite=False))
    if best:
        ours.append(
            ModelCheckpoint(
                folder, BEST.removesuffix(".ckpt"), TUNING_LOSS, enable_version_counter=False
            )
        )
    return make_trainer(
        machine,
        folder,
        epochs=optimiser.epochs,
        clip=optimiser.clip,
        quiet=quiet,
        callbacks=[*callbacks, *ours],
        accumulate_grad_batches=optimiser.accumulate,
        num_sanity_val_steps=0,
    )


def _finish(
    folder: Path, module: HierarchyModule, test: Sequence[Unit], number: int, digest: str
) -> None:
    if test:
        best = load_module(folder / BEST)
        write_predictions(folder / "predictions.csv", predict(best, test, number))
    _write_history(folder / "history.csv", module.history)
    mark_done(folder, {"digest": digest, "epochs": len(module.history)})


def _write_history(path: Path, history: list[dict[str, float]]) -> None:
    names = list(dict.fromkeys(name for row in history for name in row))
    with written_whole(path) as place, place.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(history)


def _digest(recipe: Recipe, units: dict[str, list[Unit]], encoder: Encoder) -> str:
    """Key of all that the training of a fold depends on."""
    parts = [recipe.digest(), encoder.sha256]
    for role, members in units.items():
        parts += [role, *(f"{unit.name}:{unit.label}:{unit.time}:{unit.event}" for unit in members)]
        parts += [store.stem for unit in members for store in unit.stores]
        parts += [store.stem for unit in members for one in unit.variants for store in one]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _require_units(units: dict[str, list[Unit]], number: int) -> None:
    for role, members in units.items():
        if not members and (role == "train" or number != FINAL):
            raise TrainingError(
                f"Fold {number} has nobody to {role} with features. Run maskvit-train features; "
                "it says which slides failed."
            )
