"""A recipe: one YAML file that says a whole run, validated before anything starts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError

from maskvit_training.errors import RecipeError
from maskvit_training.recipe.learning import (
    FinetuneRecipe,
    ModelRecipe,
    OptimiserRecipe,
    PretrainRecipe,
    TrainerRecipe,
)
from maskvit_training.recipe.material import (
    AugmentRecipe,
    DataRecipe,
    EncoderRecipe,
    MaskingRecipe,
    SplitRecipe,
    TaskRecipe,
)
from maskvit_training.recipe.part import Part
from maskvit_training.recipe.telling import CardRecipe, EvaluationRecipe
from maskvit_training.writing import write_text

WRONG = {"extra_forbidden": "there is no such field", "missing": "is missing"}
"""Kinds of wrong fields that pydantic names in words of its own."""


class Recipe(Part):
    """A whole run.

    Attributes
    ----------
    output
        Folder of everything that the run writes; relative to the recipe.
    features
        Folder of the extracted features, which runs may share; None: inside `output`.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    output: Path
    features: Path | None = None
    data: DataRecipe
    encoder: EncoderRecipe = EncoderRecipe()
    masking: MaskingRecipe = MaskingRecipe()
    model: ModelRecipe = ModelRecipe()
    augment: AugmentRecipe | None = None
    finetune: FinetuneRecipe | None = None
    pretrain: PretrainRecipe | None = None
    task: TaskRecipe
    optimiser: OptimiserRecipe = OptimiserRecipe()
    trainer: TrainerRecipe = TrainerRecipe()
    splits: SplitRecipe = SplitRecipe()
    evaluation: EvaluationRecipe = EvaluationRecipe()
    card: CardRecipe = CardRecipe()

    @property
    def feature_folder(self) -> Path:
        """Where features lie."""
        return self.features if self.features is not None else self.output / "features"

    def digest(self) -> str:
        """Key of what a trained checkpoint depends on in the recipe.

        Paths do not count, so that a run goes on where it was moved to; nor do card and evaluation.
        What the encoder is, the keys of its features know.
        """
        kept = self.model_dump_json(
            include={"seed", "masking", "model", "task", "optimiser", "splits"}
        )
        # Parts that came later count where they are used: older runs go on with the same key.
        used = [part.model_dump_json() for part in (self.augment, self.finetune) if part]
        return hashlib.sha256("".join([kept, *used]).encode()).hexdigest()[:16]


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe.

    Parameters
    ----------
    path
        YAML file.
    overrides
        "a.b=value" strings, each value in YAML; they win over the file.

    Raises
    ------
    RecipeError
        If the file cannot be read or any field is wrong; every wrong field is named.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"The recipe {path} cannot be read: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"The recipe {path} is not YAML: {error}") from error
    if not isinstance(tree, dict):
        raise RecipeError(f"The recipe {path} is empty; start from one in training/recipes.")
    for override in overrides:
        _set(tree, override)
    return make_recipe(tree, path.parent, str(path))


def make_recipe(tree: dict[str, Any], folder: Path, source: str = "The recipe") -> Recipe:
    """Check a recipe given as nested dictionaries; relative paths start from `folder`.

    Raises
    ------
    RecipeError
        Every wrong field is named.
    """
    try:
        recipe = Recipe.model_validate(tree)
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(part) for part in one['loc']) or 'recipe'}: "
            f"{WRONG.get(one['type']) or one['msg'].removeprefix('Value error, ')}"
            for one in error.errors()
        ]
        raise RecipeError("\n".join([f"{source} has fields to correct:", *lines])) from error
    return _absolute(recipe, folder.resolve())


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write the recipe with every default spelled out."""
    write_text(path, yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False))


def _absolute(recipe: Recipe, folder: Path) -> Recipe:
    def placed(path: Path | None) -> Path | None:
        return None if path is None else folder / path.expanduser()

    data = recipe.data.model_copy(
        update={
            name: placed(getattr(recipe.data, name)) for name in ("cohort", "root", "mask_folder")
        }
    )
    model = recipe.encoder.model
    if model is not None and (folder / model).exists():
        model = str(folder / model)
    return recipe.model_copy(
        update={
            "output": placed(recipe.output),
            "features": placed(recipe.features),
            "data": data,
            "encoder": recipe.encoder.model_copy(update={"model": model}),
        }
    )


def _set(tree: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals or not name:
        raise RecipeError(f"{override!r} does not set a field; write it as part.field=value.")
    *parents, last = name.strip().split(".")
    place = tree
    for parent in parents:
        if place.get(parent) is None:
            place[parent] = {}
        place = place[parent]
        if not isinstance(place, dict):
            raise RecipeError(f"{override!r}: {parent} is a value and has no fields.")
    try:
        place[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{override!r}: the value is not YAML.") from error
