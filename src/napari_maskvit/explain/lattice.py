"""The nested lattices of a slide: regions of patches of tokens, all starting at its corner."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_maskvit.errors import ExplainError

if TYPE_CHECKING:
    from napari_maskvit.model import ModelConfig
    from napari_maskvit.slide import Slide

LEVELS = ("patch", "region", "slide")

SAME_SPACING = 0.02
"""Levels this close to the model's spacing are read as they are: resampling by less blurs more
than it corrects, and scanners state their spacing no more exactly."""

COARSEST = 2.05
"""How many times coarser than the model's spacing a slide may be before reading it is refused."""


@dataclass(frozen=True)
class Lattice:
    """Where tokens, patches and regions lie on a slide.

    Parameters
    ----------
    slide_shape
        Height and width of level 0, in pixels.
    slide_spacing
        µm a level-0 pixel.
    spacing
        µm a pixel at which patches are read.
    token_px, patch_px, region_px
        Sides in pixels at ``spacing``; each a whole multiple of the one before.
    shift
        Rows and columns of pixels at ``spacing`` by which the lattices start above and left of
        the slide's corner; each at least 0 and less than a region.
    """

    slide_shape: tuple[int, int]
    slide_spacing: float
    spacing: float
    token_px: int
    patch_px: int
    region_px: int
    shift: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, slide: Slide, config: ModelConfig) -> Lattice:
        """The lattices of a model on a slide.

        Raises
        ------
        SpacingUnknown
            If nobody has said how large the slide's pixels are.
        ExplainError
            If the slide is too coarse for the model.
        """
        return cls(
            slide_shape=slide.shape,
            slide_spacing=slide.require_spacing(),
            spacing=working_spacing(slide, config),
            token_px=config.token_px,
            patch_px=config.patch_px,
            region_px=config.region_px,
        )

    @property
    def tokens_per_side(self) -> int:
        """Tokens along one side of a patch."""
        return self.patch_px // self.token_px

    @property
    def patches_per_side(self) -> int:
        """Patches along one side of a region."""
        return self.region_px // self.patch_px

    def step(self, level: str) -> float:
        """Side in level-0 pixels of what a level attends over: token, patch or region."""
        pixels = {"patch": self.token_px, "region": self.patch_px, "slide": self.region_px}
        return pixels[level] * self.spacing / self.slide_spacing

    def shape(self, level: str) -> tuple[int, int]:
        """Rows and columns of a level's lattice, border regions included whole."""
        step = self.step("slide")
        pixel = self.spacing / self.slide_spacing
        # A slide that ends a rounding error past a region's border does not need another region.
        rows, columns = (
            max(1, math.ceil((side + shift * pixel) / step - 1e-6))
            for side, shift in zip(self.slide_shape, self.shift, strict=True)
        )
        n = {"patch": self.tokens_per_side * self.patches_per_side, "region": self.patches_per_side}
        return rows * n.get(level, 1), columns * n.get(level, 1)

    def corner(self, level: str, row: int, column: int) -> tuple[float, float]:
        """Level-0 pixel (x, y) of the top left corner of a token, patch or region."""
        step, pixel = self.step(level), self.spacing / self.slide_spacing
        down, right = self.shift
        return column * step - right * pixel, row * step - down * pixel

    def cells(self, level: str) -> int:
        """How many positions of a level touch the slide itself."""
        step = self.step(level)
        rows, columns = (math.ceil(side / step - 1e-6) for side in self.slide_shape)
        return rows * columns

    def window(self, level: str) -> int | None:
        """Cells along one side of the window that one softmax spans; None for the whole slide."""
        return {"patch": self.tokens_per_side, "region": self.patches_per_side}.get(level)


def working_spacing(slide: Slide, config: ModelConfig) -> float:
    """The spacing (µm/px) at which a slide is read for a model.

    The model's own, or that of a pyramid level within 2 % of it, so that pixels are taken as
    they are.

    Raises
    ------
    SpacingUnknown
        If the slide's spacing is unknown.
    ExplainError
        If the slide's finest level is more than twice as coarse as the model needs.
    """
    finest = slide.require_spacing()
    if finest > COARSEST * config.spacing:
        raise ExplainError(
            f"{slide.name} has {finest:g} µm per pixel, but {config.title!r} was trained at "
            f"{config.spacing:g}: what it looks at is too small to be seen here. Use a finer scan, "
            "or a model trained at a coarser spacing."
        )
    for downsample in slide.downsamples:
        if abs(finest * downsample / config.spacing - 1) <= SAME_SPACING:
            return finest * downsample
    return config.spacing
