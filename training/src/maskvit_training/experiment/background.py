"""Does masking keep a model from reading the glass? Plain against masked, with and without bait."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from maskvit_training.data import Unit, make_units, read_sample
from maskvit_training.experiment.arm import MASKINGS, RATES, Arm, Tell, make_arm
from maskvit_training.experiment.outcome import Outcome, Probes, write_outcomes
from maskvit_training.experiment.phantoms import COUPLED, FREE, Design, write_cohorts
from maskvit_training.experiment.probe import colour_probe, feature_probe
from maskvit_training.fit import BEST, fit_fold, load_module
from maskvit_training.metrics import Predictions, metrics_of
from maskvit_training.module import TUNING_LOSS, HierarchyModule
from maskvit_training.predictions import read_predictions
from maskvit_training.store import read_features


def run_background(
    folder: Path,
    design: Design,
    seeds: int,
    changes: dict[str, Any] | None = None,
    tell: Tell = print,
) -> list[Outcome]:
    """Write the cohorts, train plain and masked models with the same seeds, and compare.

    What is there already is not done again. The table is written anew after every seed.

    Parameters
    ----------
    changes
        Sections of the recipe that differ from `recipe_tree`.
    tell
        Told what is being done.

    Returns
    -------
    list of Outcome
        Also in experiment.json and experiment.md.

    Raises
    ------
    MaskvitError
        If a step fails.
    """
    tell(f"Phantoms in {folder / 'slides'}")
    tables = write_cohorts(folder / "slides", design)
    arms = [
        make_arm(folder, design, training, masking, table, changes or {}, tell)
        for masking in MASKINGS
        for training, table in tables.items()
    ]
    probes = _probe(tables[FREE], [arm for arm in arms if arm.training == FREE])
    tell(f"Linear probes: {probes}")
    tuning = {f"{arm.training}, {arm.masking}": _tuning_losses(arm, tell) for arm in arms}
    outcomes = []
    for seed in range(seeds):
        for arm, losses in zip(arms, tuning.values(), strict=True):
            outcomes.append(_outcome(arm, min(losses, key=losses.__getitem__), seed, tell))
        named = {
            arm: {f"{rate:g}": loss for rate, loss in one.items()} for arm, one in tuning.items()
        }
        write_outcomes(folder, design, outcomes, probes, named)
    return outcomes


def background_mass(module: HierarchyModule, unit: Unit) -> tuple[float, float]:
    """Share of a unit's attention that lies on patches and on regions without any tissue."""
    sample = read_sample(unit, module.time_edges)
    stored = [read_features(path) for path in unit.stores]
    coverage = np.concatenate([one.coverage for one in stored])
    hierarchy = module.hierarchy
    region = hierarchy.folded().encode(sample.features, sample.positions, sample.lengths)
    slide = hierarchy.slide.encode(region.features, sample.coordinates).attention.numpy()[:, 0]
    weights = region.attention.numpy()
    ends = np.cumsum(sample.lengths.numpy())
    empty = np.array([not part.any() for part in np.split(coverage, ends[:-1])])
    return (
        float(weights[coverage <= 0].sum() / weights.sum()),
        float(slide[empty].sum() / slide.sum()),
    )


def _probe(table: Path, arms: list[Arm]) -> Probes:
    """Linear models on what the arms read, where the artefacts were free in training."""
    tissue, everything = {}, {}
    for arm in arms:
        fold = arm.fold()
        train = make_units(arm.recipe, fold.train, arm.keys)
        free = [case for case in fold.test if case.name.startswith(FREE)]
        test = make_units(arm.recipe, free, arm.keys)
        tissue[arm.masking] = feature_probe(train, test, tissue=True)
        everything[arm.masking] = feature_probe(train, test, tissue=False)
    return Probes(colour_probe(table), tissue, everything)


def _tuning_losses(arm: Arm, tell: Tell) -> dict[float, float]:
    """Tuning loss of each learning rate, with the first seed; the test pieces play no part."""
    losses = {}
    for rate in RATES:
        losses[rate] = min(_history(_fit(arm, rate, 0, tell)))
        tell(f"  tuning loss {losses[rate]:.4f}")
    return losses


def _fit(arm: Arm, rate: float, seed: int, tell: Tell) -> Path:
    recipe, fold = arm.with_rate(rate, seed), arm.fold()
    tell(f"Training: {arm.training} artefacts, {arm.masking} attention, rate {rate:g}, seed {seed}")
    return fit_fold(recipe, fold, arm.keys, arm.encoder, quiet=True)


def _history(done: Path) -> list[float]:
    """Tuning loss of every epoch of a run."""
    with (done / "history.csv").open(newline="", encoding="utf-8") as file:
        return [float(row[TUNING_LOSS]) for row in csv.DictReader(file)]


def _outcome(arm: Arm, rate: float, seed: int, tell: Tell) -> Outcome:
    done = _fit(arm, rate, seed, tell)
    task = arm.recipe.task
    predictions = read_predictions([done / "predictions.csv"], task.kind, task.classes)
    parts = {kind: _of_kind(predictions, kind) for kind in (COUPLED, FREE)}
    kappa = metrics_of(task.kind, task.classes)["quadratic weighted kappa"]
    module = load_module(done / BEST)
    units = make_units(arm.recipe, arm.fold().test, arm.keys)
    masses = [background_mass(module, unit) for unit in units]
    return Outcome(
        training=arm.training,
        masking=arm.masking,
        seed=seed,
        learning_rate=rate,
        epoch=int(np.argmin(_history(done))) + 1,
        kappa_free=kappa(parts[FREE]),
        kappa_coupled=kappa(parts[COUPLED]),
        change=float(np.abs(parts[FREE].values - parts[COUPLED].values).mean()),
        region_mass=float(np.mean([region for region, _ in masses])),
        slide_mass=float(np.mean([slide for _, slide in masses])),
    )


def _of_kind(predictions: Predictions, kind: str) -> Predictions:
    """Test slides of one kind, in the order of their tissue."""
    rows = [at for at, unit in enumerate(predictions.units) if unit.startswith(kind)]
    rows.sort(key=lambda at: predictions.patients[at])
    return predictions.take(np.array(rows, np.int64))
