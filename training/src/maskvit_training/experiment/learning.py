"""Is anything learned? A masked hierarchy on phantoms against what mean colour gives away."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from maskvit_training.cohort import read_cohort
from maskvit_training.experiment.arm import extract_all, recipe_tree
from maskvit_training.experiment.encoder import quick_encoder
from maskvit_training.experiment.phantoms import FREE, Design, write_cohorts
from maskvit_training.experiment.probe import colour_probe
from maskvit_training.fit import fit_fold
from maskvit_training.metrics import metrics_of
from maskvit_training.network import load_encoder
from maskvit_training.predictions import read_predictions
from maskvit_training.recipe import make_recipe
from maskvit_training.splits import assign_folds, make_folds
from maskvit_training.writing import write_text

OPTIMISER = {
    "learning_rate": 3e-4,
    "accumulate": 8,
    "step_epochs": 16,
    "patience": None,
    "keep": "best",
}
"""Chosen by the tuning loss on phantoms of another seed."""


def run_learning(
    folder: Path, design: Design, seeds: int, epochs: int, tell: Callable[[str], None] = print
) -> tuple[float, list[float]]:
    """Train masked models on phantoms with artefacts drawn by lot.

    Returns
    -------
    tuple
        Kappa on held-out phantoms of a linear probe on mean colour, and of the model of each seed;
        also in learning.json.

    Raises
    ------
    MaskvitError
        If a step fails.
    """
    tell(f"Phantoms in {folder / 'slides'}")
    table = write_cohorts(folder / "slides", design, kinds=(FREE,))[FREE]
    probe = colour_probe(table)
    tell(f"Kappa of a linear probe on mean colour: {probe:.2f}")
    tree = recipe_tree(design, FREE, "masked", table)
    tree["optimiser"] = OPTIMISER | {"epochs": epochs}
    bundle = quick_encoder(folder / "encoder", design.spacing, design.blocks, design.patch_px)
    tree["encoder"]["model"] = str(bundle)
    base = make_recipe(tree, folder)
    encoder = load_encoder(base)
    keys = extract_all(base, encoder, tell)
    cases = read_cohort(base)
    fold = make_folds(cases, assign_folds(base, cases))[0]
    kappa = metrics_of(base.task.kind, base.task.classes)["quadratic weighted kappa"]
    kappas: list[float] = []
    for seed in range(seeds):
        recipe = base.model_copy(update={"seed": seed, "output": base.output / f"seed-{seed}"})
        done = fit_fold(recipe, fold, keys, encoder, quiet=True)
        table_path = [done / "predictions.csv"]
        kappas.append(kappa(read_predictions(table_path, base.task.kind, base.task.classes)))
        tell(f"Kappa of the masked model on held-out phantoms, seed {seed}: {kappas[-1]:.3f}")
        facts = {"design": asdict(design), "colour_probe_kappa": probe, "kappas": kappas}
        write_text(folder / "learning.json", json.dumps(facts, indent=2) + "\n")
    tell(f"Mean {np.mean(kappas):.3f} over {seeds} seeds")
    return probe, kappas
