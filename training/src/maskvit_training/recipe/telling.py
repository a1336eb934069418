"""What is told of it: evaluation and model card."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from maskvit_training.recipe.part import Count, Level, Part


class EvaluationRecipe(Part):
    """How sure the numbers are, and how many slides are looked at closely.

    Attributes
    ----------
    scorecard
        Slides of each fold in the interpretability scorecard; 0 for none.
    plain
        Levels that stay masked in what the scorecard calls plain attention, as far as the recipe
        masks them in training. By default the slide level: regions without any tissue take no
        part, as in published baselines and in the viewer's comparison. []: attention over every
        region of the glass too, which on a whole slide costs many times as much.
    """

    bootstraps: Annotated[int, Field(ge=0)] = 1000
    scorecard: Annotated[int, Field(ge=0)] = 8
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    calibration_bins: Count = 10
    plain: tuple[Level, ...] = ("slide",)


class CardRecipe(Part):
    """What only a person can say for the model card.

    Attributes
    ----------
    answer
        What the classes are classes of: "ISUP grade group".
    """

    title: str = ""
    description: str = ""
    answer: str = ""
    training_data: str = ""
    licence: str = ""
    intended_use: str = "Research only. Not for diagnosis."
    limits: tuple[str, ...] = ()
