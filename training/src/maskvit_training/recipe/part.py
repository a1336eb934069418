"""What the parts of a recipe have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Level = Literal["patch", "region", "slide"]
TaskKind = Literal[
    "classification", "regression", "ordinal-corn", "ordinal-coral", "survival", "none"
]
Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class Part(BaseModel):
    """A part of a recipe: frozen, and without fields that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")
