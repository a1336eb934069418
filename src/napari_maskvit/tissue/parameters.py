"""What a person can set about finding tissue."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TissueParameters(BaseModel):
    """How tissue is found.

    Each field carries its range, a title and a one-line description, and in ``json_schema_extra``
    its ``unit`` and the ``step`` and ``scale`` ("linear" or "log") of a slider.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(
        default=1.0,
        ge=0.2,
        le=5.0,
        title="Threshold",
        description="How strongly stained tissue must be, times what suits this slide: "
        "lower takes in paler tissue.",
        json_schema_extra={"unit": "x automatic", "step": 0.05, "scale": "log"},
    )
    smoothing_um: float = Field(
        default=4.0,
        ge=0.0,
        le=50.0,
        title="Smoothing",
        description="How far the outline is evened out.",
        json_schema_extra={"unit": "µm", "step": 1.0, "scale": "linear"},
    )
    min_object_um2: float = Field(
        default=10_000.0,
        ge=0.0,
        le=1_000_000.0,
        title="Smallest piece",
        description="Pieces of tissue smaller than this are left out.",
        json_schema_extra={"unit": "µm²", "step": 1_000.0, "scale": "log"},
    )
    min_hole_um2: float = Field(
        default=10_000.0,
        ge=0.0,
        le=1_000_000.0,
        title="Smallest hole",
        description="Holes in tissue smaller than this, such as lumina, count as tissue.",
        json_schema_extra={"unit": "µm²", "step": 1_000.0, "scale": "log"},
    )
    remove_pen: bool = Field(
        default=True,
        title="Leave out pen",
        description="Leave out ink of any colour, with a margin, and what is black.",
        json_schema_extra={"unit": ""},
    )
    spacing_um: float = Field(
        default=4.0,
        ge=1.0,
        le=32.0,
        title="Detail",
        description="Side of the pixels that are looked at; coarser where the slide is large.",
        json_schema_extra={"unit": "µm/px", "step": 1.0, "scale": "linear"},
    )
