"""From a trained checkpoint to a bundle that the plugin opens, with its model card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskvit_training.errors import TrainingError
from maskvit_training.fit import BEST, fold_folder, load_module
from maskvit_training.splits import FINAL
from napari_maskvit.model import Model, ModelConfig, save_bundle

if TYPE_CHECKING:
    from maskvit_training.evaluation import Evaluation
    from maskvit_training.network import Encoder
    from maskvit_training.recipe import Recipe

CARD_TEMPLATE = "card.md.j2"


def export(
    recipe: Recipe,
    encoder: Encoder,
    fold: int,
    path: Path,
    evaluation: Evaluation | None,
    *,
    half: bool = False,
) -> Path:
    """Write the bundle of a fold's best checkpoint.

    Parameters
    ----------
    encoder
        The one whose features it was trained on.
    evaluation
        What the card says about how good it is; None: that nobody has looked.
    half
        Hold the weights in float16.

    Raises
    ------
    MaskvitError
        If there is no checkpoint, it does not fit the encoder, or it cannot be written.
    """
    model = trained_model(recipe, encoder, fold)
    config = _facts(recipe, model.config, encoder.model.config, evaluation)
    card = card_text(recipe, config, fold, evaluation)
    model = replace(model, config=config, card=card)
    return save_bundle(model, path, half=half)


def trained_model(recipe: Recipe, encoder: Encoder, fold: int) -> Model:
    """The whole model of a fold's best checkpoint, without a card.

    Raises
    ------
    TrainingError
        If there is no checkpoint, or it does not fit the encoder.
    """
    module = load_module(fold_folder(recipe, fold) / BEST)
    base = encoder.model.config
    if module.hierarchy.region.patch_dim != encoder.model.patch.dim or (
        base.patch_px,
        base.region_px,
    ) != (module.config.patch_px, module.config.region_px):
        raise TrainingError(
            f"{fold_folder(recipe, fold) / BEST} was trained on features of another encoder than "
            f"{base.title!r}. Name that one in the recipe."
        )
    return Model(
        module.config,
        "",
        "",
        encoder.model.patch if module.patch is None else module.patch,
        module.hierarchy.folded(),
        module.hierarchy.slide,
    )


def card_text(recipe: Recipe, config: ModelConfig, fold: int, evaluation: Evaluation | None) -> str:
    """The model card, Markdown."""
    from maskvit_training.report import render

    return render(
        CARD_TEMPLATE,
        recipe=recipe,
        config=config,
        fold="" if fold == FINAL else str(fold),
        evaluation=evaluation,
    )


def _facts(
    recipe: Recipe, config: ModelConfig, base: ModelConfig, evaluation: Evaluation | None
) -> ModelConfig:
    card = recipe.card
    inherited = f"on features of {base.title} ({base.training_data})"
    changes: dict[str, Any] = {
        "title": card.title or config.title,
        "description": card.description or config.description,
        "answer": card.answer,
        "training_data": card.training_data or f"{recipe.data.cohort.name}, {inherited}",
        "licence": card.licence or base.licence,
        "metrics": _metrics(evaluation),
        "warnings": (card.intended_use, *card.limits),
    }
    return config.model_copy(update=changes)


def _metrics(evaluation: Evaluation | None) -> Mapping[str, Any]:
    if evaluation is None:
        return {}
    return {
        name: {"value": one.value, "low": one.low, "high": one.high}
        for name, one in evaluation.pooled.items()
        if one.value == one.value  # not defined: JSON has no nan
    }
