"""Everything about a model but its weights: `config.json` of a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from napari_maskvit.errors import ModelError

CONFIG = "config.json"

Level = Literal["patch", "region", "slide"]
Head = Literal["classification", "regression", "ordinal-corn", "ordinal-coral", "survival"]
PositionResize = Literal["size", "scale"]
Triple = tuple[float, float, float]

DINO_CROP = 0.875
"""Share of a level's side that DINO's crops span; position embeddings are as large."""


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PatchArchitecture(_Facts):
    """The patch transformer: a timm VisionTransformer.

    Parameters
    ----------
    name
        Name in timm.
    options
        Arguments for `timm.create_model` that differ from that name's own.
    """

    name: str
    options: dict[str, Any] = Field(default_factory=dict)


class RegionArchitecture(_Facts):
    """The region transformer; the defaults are those of `vit4k_xs` (HIPT).

    Parameters
    ----------
    position_side
        Side of the stored position embedding; None: floor(0.875 x patches per side), as DINO's
        crops leave it.
    registers
        Register tokens after the class token.
    """

    dim: int = Field(default=192, gt=0)
    depth: int = Field(default=6, gt=0)
    heads: int = Field(default=6, gt=0)
    mlp_ratio: float = Field(default=4.0, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    registers: int = Field(default=0, ge=0)
    position_side: int | None = Field(default=None, gt=0)


class SlideArchitecture(_Facts):
    """The slide transformer and its gated attention pooling.

    Parameters
    ----------
    position
        Encoding of where a region lies; the published models have none.
    position_side
        Rows and columns that a learned encoding knows.
    """

    dim: int = Field(default=192, gt=0)
    depth: int = Field(default=2, ge=0)
    heads: int = Field(default=3, gt=0)
    feedforward: int = Field(default=192, gt=0)
    dropout: float = Field(default=0.25, ge=0, lt=1)
    position: Literal["none", "learned-1d", "learned-2d", "sinusoidal-1d", "sinusoidal-2d"] = "none"
    position_side: int = Field(default=128, gt=0)


class ModelConfig(_Facts):
    """A model as its bundle states it.

    Parameters
    ----------
    name, title, description
        For commands, for people, and in a sentence or two.
    spacing
        µm per pixel that it was trained at.
    token_px, patch_px, region_px
        Sides in pixels at that spacing, each a whole multiple of the one before.
    mean, std
        Input normalisation, RGB, of values in [0, 1].
    position_resize
        How the region level's position embedding is resized: by output "size" (H-ViT) or by the
        "scale" factor of DINO (HIPT).
    patch, region, slide
        Architectures; None where the bundle has no such level.
    head, labels
        What the prediction means. Ordinal heads have one output fewer than labels; the labels of
        a survival head name its time intervals.
    answer
        What the labels are labels of, put before one that is said by itself: "ISUP grade group".
    frozen
        Levels that are task-agnostic: not trained for the labels.
    warnings
        What speaks against trusting it, one sentence each.
    weights_sha256
        Of the weights file; set when the bundle is written.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    title: str
    description: str = ""
    spacing: float = Field(gt=0)
    token_px: int = Field(gt=0)
    patch_px: int = Field(gt=0)
    region_px: int = Field(gt=0)
    mean: Triple
    std: Triple
    position_resize: PositionResize = "size"
    patch: PatchArchitecture
    region: RegionArchitecture | None = None
    slide: SlideArchitecture | None = None
    head: Head | None = None
    answer: str = ""
    labels: tuple[str, ...] = ()
    frozen: tuple[Level, ...] = ()
    licence: str
    training_data: str
    metrics: dict[str, Any] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    weights_sha256: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> ModelConfig:
        if self.patch_px % self.token_px:
            raise ValueError(f"patch_px {self.patch_px} is no multiple of token_px {self.token_px}")
        if self.region_px % self.patch_px:
            raise ValueError(
                f"region_px {self.region_px} is no multiple of patch_px {self.patch_px}"
            )
        if self.slide is not None and self.region is None:
            raise ValueError("a slide transformer needs a region transformer below it")
        if (self.head is None) != (self.slide is None):
            raise ValueError("a head and a slide transformer come together")
        if self.head is not None and len(self.labels) < 2:
            raise ValueError(f"a {self.head} head needs at least two labels")
        if any(value <= 0 for value in self.std):
            raise ValueError("std must be positive")
        missing = set(self.frozen) - set(self.levels)
        if missing:
            raise ValueError(f"frozen names levels that are not there: {sorted(missing)}")
        return self

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels that the model has, finest first."""
        there = {"patch": self.patch, "region": self.region, "slide": self.slide}
        return tuple(level for level, architecture in there.items() if architecture is not None)

    @property
    def tokens_per_side(self) -> int:
        """Tokens along one side of a patch."""
        return self.patch_px // self.token_px

    @property
    def patches_per_side(self) -> int:
        """Patches along one side of a region."""
        return self.region_px // self.patch_px

    @property
    def position_side(self) -> int:
        """Side of the region level's stored position embedding."""
        if self.region is not None and self.region.position_side is not None:
            return self.region.position_side
        return max(1, int(DINO_CROP * self.patches_per_side))

    @property
    def outputs(self) -> int:
        """Numbers that the head puts out."""
        count = len(self.labels)
        per_head = {"regression": 1, "ordinal-corn": count - 1, "ordinal-coral": count - 1}
        return 0 if self.head is None else per_head.get(self.head, count)


def load_config(path: Path) -> ModelConfig:
    """Read and check a bundle's config.json.

    Raises
    ------
    ModelError
        If there is none or it is wrong; names every wrong field.
    """
    if not path.exists():
        raise ModelError(f"There is no model at {path}.")
    file = path / CONFIG
    if not file.is_file():
        raise ModelError(f"{path} is not a bundle: it holds no {CONFIG}.")
    try:
        return ModelConfig.model_validate_json(file.read_text(encoding="utf-8"))
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or CONFIG}: {item['msg']}" for item in error.errors()
        )
        raise ModelError(f"The {CONFIG} of the bundle at {path} is wrong: {wrong}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{file} cannot be read: {error}.") from error
