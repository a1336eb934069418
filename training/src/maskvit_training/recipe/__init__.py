"""A recipe: one YAML file that says a whole run."""

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
from maskvit_training.recipe.recipe import Recipe, load_recipe, make_recipe, save_recipe
from maskvit_training.recipe.telling import CardRecipe, EvaluationRecipe

__all__ = [
    "AugmentRecipe",
    "CardRecipe",
    "DataRecipe",
    "EncoderRecipe",
    "EvaluationRecipe",
    "FinetuneRecipe",
    "MaskingRecipe",
    "ModelRecipe",
    "OptimiserRecipe",
    "PretrainRecipe",
    "SplitRecipe",
    "TaskRecipe",
    "TrainerRecipe",
    "Recipe",
    "load_recipe",
    "make_recipe",
    "save_recipe",
]
