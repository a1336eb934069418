"""What is told of it: evaluation and model card."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from maskvit_training.recipe.part import Count, Part


class EvaluationRecipe(Part):
    """How sure the numbers are, and how many slides are looked at closely.

    Attributes
    ----------
    scorecard
        Slides of each fold in the interpretability scorecard; 0 for none.
    """

    bootstraps: Annotated[int, Field(ge=0)] = 1000
    scorecard: Annotated[int, Field(ge=0)] = 8
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    calibration_bins: Count = 10


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
