"""Does masking keep a model from reading the glass? Plain against masked, with and without bait."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maskvit_training.cohort import read_cohort
from maskvit_training.data import Unit, make_units, read_sample
from maskvit_training.errors import TrainingError
from maskvit_training.experiment.encoder import quick_encoder
from maskvit_training.experiment.phantoms import COUPLED, FREE, Design, write_cohorts
from maskvit_training.extraction import extract
from maskvit_training.fit import BEST, fit_fold, load_module
from maskvit_training.metrics import Predictions, metrics_of
from maskvit_training.module import HierarchyModule
from maskvit_training.network import Encoder, load_encoder
from maskvit_training.predictions import read_predictions
from maskvit_training.recipe import Recipe, make_recipe
from maskvit_training.splits import assign_folds, make_folds
from maskvit_training.store import read_features

MASKINGS: dict[str, tuple[str, ...]] = {"plain": (), "masked": ("patch", "region", "slide")}
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """One trained model.

    Attributes
    ----------
    training
        "coupled": artefacts went along with the grade in training; "free": they did not.
    masking
        "plain" or "masked".
    kappa_free, kappa_coupled
        Quadratic weighted kappa on the same test tissue with free and with coupled artefacts.
    change
        Mean change of the predicted grade between the two.
    region_mass, slide_mass
        Share of attention on background, mean over the test slides.
    """

    training: str
    masking: str
    seed: int
    kappa_free: float
    kappa_coupled: float
    change: float
    region_mass: float
    slide_mass: float


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
    probe = colour_probe(tables[FREE])
    tell(f"Kappa of a linear probe on mean colour: {probe:.2f}")
    arms = []
    for masking, levels in MASKINGS.items():
        for training, table in tables.items():
            tree = recipe_tree(design, training, masking, levels, table)
            for section, values in (changes or {}).items():
                tree[section] = {**tree.get(section, {}), **values}
            if "model" not in tree["encoder"]:
                bundle = quick_encoder(folder / "encoder", design.spacing, design.blocks)
                tree["encoder"]["model"] = str(bundle)
            recipe = make_recipe(tree, folder)
            encoder = load_encoder(recipe)
            arms.append((recipe, encoder, extract_all(recipe, encoder, tell), training, masking))
    outcomes = []
    for seed in range(seeds):
        for recipe, encoder, keys, training, masking in arms:
            tell(f"Training: {training} artefacts, {masking} attention, seed {seed}")
            outcomes.append(_train(recipe, encoder, keys, training, masking, seed))
        write_outcomes(folder, design, outcomes, probe)
    return outcomes


def recipe_tree(
    design: Design, training: str, masking: str, levels: Sequence[str], table: Path
) -> dict[str, Any]:
    """The recipe of one arm: small transformers, small regions, regression on the grade."""
    return {
        "name": f"background-{training}-{masking}",
        "output": f"runs/{training}-{masking}",
        "features": "features",
        "data": {"cohort": str(table), "mask_kind": "labels"},
        "encoder": {"region_px": 448},
        "masking": {"levels": list(levels)},
        "model": {
            "region_dim": 96,
            "region_depth": 1,
            "region_heads": 3,
            "slide_dim": 96,
            "slide_depth": 1,
            "dropout": 0.1,
        },
        "task": {"kind": "regression", "classes": [str(grade) for grade in design.grades]},
        "optimiser": {
            "learning_rate": 3e-4,
            "epochs": 10,
            "accumulate": 2,
            "step_epochs": 8,
            "patience": None,
            "keep": "last",
        },
        "trainer": {"accelerator": "auto"},
    }


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


def colour_probe(table: Path) -> float:
    """Kappa of a linear probe on the mean colour of the tissue: how much colour gives away."""
    from sklearn.linear_model import LinearRegression  # type: ignore[import-untyped]
    from sklearn.metrics import cohen_kappa_score  # type: ignore[import-untyped]

    with table.open(encoding="utf-8") as file:
        rows = [line.strip().split(",") for line in file][1:]
    colours = np.array([_mean_colour(table.parent / row[0], table.parent / row[1]) for row in rows])
    labels = np.array([int(row[2]) for row in rows])
    testing = np.array([row[4] == "test" for row in rows])
    probe = LinearRegression().fit(colours[~testing], labels[~testing])
    grades = np.clip(np.rint(probe.predict(colours[testing])), 0, labels.max()).astype(int)
    return float(cohen_kappa_score(labels[testing], grades, weights="quadratic"))


def write_outcomes(folder: Path, design: Design, outcomes: Sequence[Outcome], probe: float) -> None:
    """Write experiment.json and experiment.md."""
    facts = {
        "design": asdict(design),
        "colour_probe_kappa": probe,
        "outcomes": [asdict(one) for one in outcomes],
    }
    (folder / "experiment.json").write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    (folder / "experiment.md").write_text(_markdown(design, outcomes, probe), "utf-8")


def extract_all(recipe: Recipe, encoder: Encoder, tell: Tell) -> dict[str, str]:
    """Features of every slide of a recipe, by name; a slide that fails stops it."""
    cases = read_cohort(recipe)
    tell(f"Features of {len(cases)} slides, masked at: {', '.join(recipe.masking.levels) or '-'}")
    keys = {}
    for result in extract(recipe, cases, encoder):
        if result.key is None:
            raise TrainingError(str(result.problem))
        keys[result.case.name] = result.key
    return keys


def _train(
    base: Recipe, encoder: Encoder, keys: dict[str, str], training: str, masking: str, seed: int
) -> Outcome:
    recipe = base.model_copy(update={"seed": seed, "output": base.output / f"seed-{seed}"})
    cases = read_cohort(recipe)
    fold = make_folds(cases, assign_folds(recipe, cases))[0]
    done = fit_fold(recipe, fold, keys, encoder, quiet=True)
    classes = recipe.task.classes
    predictions = read_predictions([done / "predictions.csv"], recipe.task.kind, classes)
    parts = {kind: _of_kind(predictions, kind) for kind in (COUPLED, FREE)}
    kappa = metrics_of(recipe.task.kind, classes)["quadratic weighted kappa"]
    module = load_module(done / BEST)
    masses = [background_mass(module, unit) for unit in make_units(recipe, fold.test, keys)]
    return Outcome(
        training=training,
        masking=masking,
        seed=seed,
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


def _mean_colour(slide: Path, mask: Path) -> np.ndarray:
    import tifffile

    pixels = np.asarray(tifffile.imread(slide, level=0))
    labels = np.asarray(tifffile.imread(mask, level=0))
    rows = np.arange(pixels.shape[0]) * labels.shape[0] // pixels.shape[0]
    columns = np.arange(pixels.shape[1]) * labels.shape[1] // pixels.shape[1]
    return pixels[labels[np.ix_(rows, columns)] > 0].mean(0)


def _markdown(design: Design, outcomes: Sequence[Outcome], probe: float) -> str:
    seeds = len({one.seed for one in outcomes})
    lines = [
        "# Masked and plain attention, with and without bait on the glass",
        "",
        f"Phantom biopsies of ISUP grades {', '.join(map(str, design.grades))}: {design.train} "
        f"pieces of tissue train, {design.tune} tune, {design.test} test. Pen and another "
        'artefact lie on the glass. "Coupled": they follow from the grade; "free": drawn by lot. '
        "Every test tissue was predicted with coupled and with free artefacts. Mean and standard "
        f"deviation over {seeds} seeds.",
        "",
        f"A linear probe on the mean colour of the tissue reaches a kappa of {probe:.2f}.",
        "",
        "| artefacts in training | attention | kappa, free | kappa, coupled | change of the "
        "predicted grade | attention on background: region | slide |",
        "|---|---|---|---|---|---|---|",
    ]
    names = ("kappa_free", "kappa_coupled", "change", "region_mass", "slide_mass")
    for training in (FREE, COUPLED):
        for masking in MASKINGS:
            rows = [one for one in outcomes if (one.training, one.masking) == (training, masking)]
            cells = [_spread([getattr(row, name) for row in rows]) for name in names]
            lines.append(f"| {training} | {masking} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _spread(values: Sequence[float]) -> str:
    if not any(values):
        return "0"
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=len(values) > 1):.3f}"
