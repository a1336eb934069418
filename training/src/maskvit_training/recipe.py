"""A recipe: one YAML file that says a whole run, validated before anything starts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from maskvit_training.errors import RecipeError

Level = Literal["patch", "region", "slide"]
TaskKind = Literal[
    "classification", "regression", "ordinal-corn", "ordinal-coral", "survival", "none"
]
Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataRecipe(_Part):
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


class EncoderRecipe(_Part):
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


class MaskingRecipe(_Part):
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


class TaskRecipe(_Part):
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


class ModelRecipe(_Part):
    """The trained part of the hierarchy, at its published size.

    Attributes
    ----------
    train
        "local": region and slide transformers; "global": the slide transformer alone, on top of
        the region transformer that the encoder brings along; "end": the patch transformer too,
        from pixels (see `FinetuneRecipe`).
    """

    train: Literal["local", "global", "end"] = "local"
    region_dim: Count = 192
    region_depth: Count = 6
    region_heads: Count = 6
    region_dropout: Share = 0.0
    slide_dim: Count = 192
    slide_depth: Count = 2
    slide_heads: Count = 3
    dropout: Share = 0.25


class AugmentRecipe(_Part):
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


class FinetuneRecipe(_Part):
    """How the patch transformer is trained where `model.train` is "end".

    Attributes
    ----------
    learning_rate
        Of the patch transformer; the others have `optimiser.learning_rate`.
    batch
        Patches computed together; their activations are computed again for the gradient.
    patches
        Patches of a slide in one step, drawn anew each time; None: all of them.
    """

    learning_rate: Positive = 1e-5
    batch: Count = 32
    patches: Count | None = None


class PretrainRecipe(_Part):
    """Self-supervised training (DINO) of one level; the published settings by default.

    Attributes
    ----------
    level
        "patch": on crops of tissue patches; "region": on crops of grids of patch features.
    batch, learning_rate
        Pieces a step; the rate is that for 256 pieces and is scaled to the batch.
    small_crops
        Small crops of each piece, beside two large ones.
    crop_share
        Area of a patch that parts small crops from large ones.
    prototypes, hidden, bottleneck
        Sizes of the head.
    momentum
        Of the teacher at the start; it ends at 1.
    """

    level: Literal["patch", "region"]
    epochs: Count = 100
    batch: Annotated[int, Field(ge=2)] = 64
    learning_rate: Positive = 5e-4
    warmup_epochs: Annotated[int, Field(ge=0)] = 10
    weight_decay: Annotated[float, Field(ge=0)] = 0.04
    clip: Positive | None = 3.0
    small_crops: Annotated[int, Field(ge=0)] = 8
    crop_share: Annotated[float, Field(gt=0, lt=1)] = 0.4
    prototypes: Count = 65536
    hidden: Count = 2048
    bottleneck: Count = 256
    momentum: Share = 0.996
    teacher_temperature: Positive = 0.04
    teacher_warmup_epochs: Annotated[int, Field(ge=0)] = 30
    freeze_last_layer_epochs: Annotated[int, Field(ge=0)] = 1


class OptimiserRecipe(_Part):
    """How it is trained; defaults as published for PANDA.

    Attributes
    ----------
    accumulate
        Slides whose gradients are added up before a step; a batch is one slide.
    step_epochs, step_factor
        The learning rate is multiplied by the factor every so many epochs.
    patience
        Epochs without improvement of the tuning loss before it stops; None: never.
    clip
        Largest norm of the gradient; None: any.
    keep
        Whose weights count: those of the "best" epoch by the tuning loss, or of the "last", where
        too few slides tune to choose by (it then never stops early).
    """

    name: Literal["adam", "adamw"] = "adam"
    learning_rate: Positive = 2e-4
    weight_decay: Annotated[float, Field(ge=0)] = 1e-5
    epochs: Count = 50
    accumulate: Count = 32
    step_epochs: Count = 20
    step_factor: Annotated[float, Field(gt=0, le=1)] = 0.5
    patience: Count | None = 10
    clip: Positive | None = None
    keep: Literal["best", "last"] = "best"


class TrainerRecipe(_Part):
    """What Lightning runs on.

    Attributes
    ----------
    workers
        Processes that read features ahead.
    keep_mb
        Features kept in memory, MiB for each worker and for each of training and tuning.
    """

    accelerator: str = "auto"
    devices: int | Literal["auto"] = 1
    strategy: str = "auto"
    precision: str = "32-true"
    workers: Annotated[int, Field(ge=0)] = 0
    keep_mb: Annotated[int, Field(ge=0)] = 512


class SplitRecipe(_Part):
    """Folds, used where the table has none: fold k tests, the next one tunes, the rest trains."""

    folds: Annotated[int, Field(ge=3, le=50)] = 5
    run: tuple[int, ...] | None = None


class EvaluationRecipe(_Part):
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


class CardRecipe(_Part):
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


class Recipe(_Part):
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
        """Key of all that a trained checkpoint depends on (paths, card and evaluation do not)."""
        kept = self.model_dump_json(
            include={"seed", "encoder", "masking", "model", "task", "optimiser", "splits"}
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
            f"{one['msg'].removeprefix('Value error, ')}"
            for one in error.errors()
        ]
        raise RecipeError("\n".join([f"{source} has fields to correct:", *lines])) from error
    return _absolute(recipe, folder.resolve())


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write the recipe with every default spelled out."""
    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False), "utf-8")


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
