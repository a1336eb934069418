"""What is learned from: slides, labels, encoder, masks, folds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from maskvit_training.recipe.part import Count, Level, Part, Positive, Share, TaskKind


class DataRecipe(Part):
    """Where the slides and labels are.

    Attributes
    ----------
    cohort
        CSV or Parquet table, a row a slide.
    root
        Folder that relative paths of slides and masks start from; None: the table's own.
    slide, mask, patient, label, fold, time, event
        Names of columns. `mask`, `patient` and `fold` may be missing from the table: tissue is
        then segmented, each slide is its own patient, and folds are drawn.
    extension
        Added to the names in the slide column (PANDA's are without one); `mask_suffix` likewise
        makes a mask's name from a slide's where there is no mask column.
    mask_kind
        "tissue": pixels of 1 are tissue; "labels": every pixel above 0 is, as in PANDA's masks.
    annotation
        Column of what a person has annotated on each slide, for the scorecard: GeoJSON, or a
        picture of labels of which `annotation_labels` count (of the mask, where `mask_kind` is
        "labels" and there is no such column). Where laboratories number labels differently:
        labels by what the column `provider` says.
    spacing
        µm/px of slides whose file does not say.
    unit
        What a label is about and a prediction is made for; a patient's slides are joined.
    """

    cohort: Path
    root: Path | None = None
    slide: str = "slide"
    mask: str = "mask"
    patient: str = "patient"
    label: str = "label"
    fold: str = "fold"
    time: str = "time"
    event: str = "event"
    extension: str = ""
    mask_folder: Path | None = None
    mask_suffix: str = "_mask.tiff"
    mask_kind: Literal["tissue", "labels"] = "tissue"
    annotation: str = "annotation"
    annotation_labels: tuple[int, ...] | dict[str, tuple[int, ...]] = ()
    provider: str = "data_provider"
    spacing: Positive | None = None
    unit: Literal["slide", "patient"] = "slide"


class EncoderRecipe(Part):
    """The frozen patch transformer: any model that the plugin opens.

    Attributes
    ----------
    model
        Name, bundle folder or "hf-hub:..."; None for the bundled one.
    region_px
        Side of a region at the model's spacing; None: as the model says.
    """

    model: str | None = None
    region_px: Count | None = None
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"


class MaskingRecipe(Part):
    """What counts as background, and who does not see it.

    Attributes
    ----------
    levels
        Levels with masked attention; none is plain attention.
    threshold
        A position is kept if its coverage is above it.
    drop_patches
        In training, share of a slide's kept patches left out at random, so that a prediction does
        not hang on one exact outline.
    """

    levels: tuple[Level, ...] = ("patch", "region", "slide")
    threshold: Share = 0.0
    drop_patches: Share = 0.0


class TaskRecipe(Part):
    """What is predicted; kind "none" for pretraining on slides without labels.

    Attributes
    ----------
    classes
        Names of the classes or grades, in order; the label column holds either a name or its
        place counted from 0. Not for survival.
    bins
        Time intervals of discrete-time survival, cut at quantiles of the observed events.
    class_weights
        Weigh the loss by 1 / class frequency (classification only).
    weighted_sampling
        Draw training slides so that all classes come equally often.
    """

    kind: TaskKind = "regression"
    classes: tuple[str, ...] = ()
    bins: Annotated[int, Field(ge=2, le=100)] = 4
    class_weights: bool = False
    weighted_sampling: bool = False

    @model_validator(mode="after")
    def _classes_fit(self) -> TaskRecipe:
        if self.kind == "survival":
            if self.classes:
                raise ValueError("survival has no classes; its time is cut into bins")
        elif self.kind == "none":
            if self.classes:
                raise ValueError("a task of kind none has no classes")
        elif len(self.classes) < 2:
            raise ValueError(f"{self.kind} needs the names of at least two classes")
        elif len(set(self.classes)) < len(self.classes):
            raise ValueError("two classes have the same name")
        if self.class_weights and self.kind != "classification":
            raise ValueError("class_weights apply to classification only")
        if self.weighted_sampling and not self.classes:
            raise ValueError("weighted_sampling needs classes")
        return self

    @property
    def outputs(self) -> int:
        """Numbers that the head gives out."""
        if self.kind == "survival":
            return self.bins
        return {"regression": 1, "classification": len(self.classes)}.get(
            self.kind, len(self.classes) - 1
        )


class SplitRecipe(Part):
    """Folds, used where the table has none: fold k tests, the next one tunes, the rest trains."""

    folds: Annotated[int, Field(ge=3, le=50)] = 5
    run: tuple[int, ...] | None = None


class AugmentRecipe(Part):
    """Other outlines of the same tissue, so that a prediction does not hang on one.

    Features are made under each of them, once; a training step draws one, or the mask itself.

    Attributes
    ----------
    copies
        How many other outlines.
    erode_um, dilate_um
        How far at most the edge moves inwards and outwards.
    drop_pieces
        Chance of a connected piece of tissue to be left out.
    """

    copies: Annotated[int, Field(ge=1, le=100)] = 4
    erode_um: Annotated[float, Field(ge=0)] = 0.0
    dilate_um: Annotated[float, Field(ge=0)] = 0.0
    drop_pieces: Share = 0.0
