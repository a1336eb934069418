"""The arms of the experiment: what is trained on what, and under which masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskvit_training.cohort import read_cohort
from maskvit_training.errors import TrainingError
from maskvit_training.experiment.encoder import quick_encoder
from maskvit_training.experiment.phantoms import Design
from maskvit_training.extraction import extract
from maskvit_training.network import Encoder, load_encoder
from maskvit_training.recipe import Recipe, make_recipe
from maskvit_training.splits import Fold, assign_folds, make_folds

MASKINGS: dict[str, tuple[str, ...]] = {
    "plain": ("slide",),
    "masked": ("patch", "region", "slide"),
}
"""Both read the regions that hold tissue, as published; plain attention all that is in them."""

RATES = (1e-4, 3e-4, 1e-3)
"""Learning rates that every arm chooses from."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Arm:
    """One kind of training with one kind of attention.

    Attributes
    ----------
    training
        "coupled" or "free": the artefacts in training.
    masking
        "plain" or "masked".
    recipe
        Without a seed and a learning rate of its own.
    keys
        Keys of the features by slide.
    """

    training: str
    masking: str
    recipe: Recipe
    encoder: Encoder
    keys: dict[str, str]

    def fold(self) -> Fold:
        """Who trains, tunes and tests; the same in every arm of one kind of training."""
        cases = read_cohort(self.recipe)
        return make_folds(cases, assign_folds(self.recipe, cases))[0]

    def with_rate(self, rate: float, seed: int) -> Recipe:
        """The recipe of one run."""
        optimiser = self.recipe.optimiser.model_copy(update={"learning_rate": rate})
        output = self.recipe.output / f"rate-{rate:g}" / f"seed-{seed}"
        return self.recipe.model_copy(
            update={"seed": seed, "output": output, "optimiser": optimiser}
        )


def make_arm(
    folder: Path,
    design: Design,
    training: str,
    masking: str,
    table: Path,
    changes: dict[str, Any],
    tell: Tell,
) -> Arm:
    """Check the recipe of an arm and make the features that are not there yet.

    Parameters
    ----------
    table
        The cohort.
    changes
        Sections of the recipe that differ from `recipe_tree`.

    Raises
    ------
    MaskvitError
        If a slide fails.
    """
    tree = recipe_tree(design, training, masking, table)
    for section, values in changes.items():
        tree[section] = {**tree.get(section, {}), **values}
    if "model" not in tree["encoder"]:
        bundle = quick_encoder(folder / "encoder", design.spacing, design.blocks, design.patch_px)
        tree["encoder"]["model"] = str(bundle)
    recipe = make_recipe(tree, folder)
    encoder = load_encoder(recipe)
    return Arm(training, masking, recipe, encoder, extract_all(recipe, encoder, tell))


def recipe_tree(design: Design, training: str, masking: str, table: Path) -> dict[str, Any]:
    """The recipe of an arm: small transformers, small regions, regression on the grade."""
    return {
        "name": f"background-{training}-{masking}",
        "output": f"runs/{training}-{masking}",
        "features": "features",
        "data": {"cohort": str(table), "mask_kind": "labels"},
        "encoder": {"region_px": 2 * design.patch_px},
        "masking": {"levels": list(MASKINGS[masking])},
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
            "epochs": 20,
            "accumulate": 8,
            "step_epochs": 16,
            "patience": None,
            "keep": "best",
        },
        "trainer": {"accelerator": "auto"},
    }


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
