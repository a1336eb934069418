"""How it is learned: sizes, optimiser, machine; from pixels, and without labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from maskvit_training.recipe.part import Count, Part, Positive, Share


class ModelRecipe(Part):
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


class FinetuneRecipe(Part):
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


class PretrainRecipe(Part):
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


class OptimiserRecipe(Part):
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


class TrainerRecipe(Part):
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
