"""Other backgrounds for a slide: noise, pen, or the glass of another slide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.slide.repainted import repainted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain.plan import Plan
    from napari_maskvit.slide import Slide
    from napari_maskvit.tissue import TissueMask

NOISE, PEN, GLASS = "noise", "pen", "another slide's glass"
INK = np.array((24, 48, 140), np.float32)
INK_STRENGTH = 0.85
STRIPE_UM, GAP_UM = 300.0, 300.0
SQUARE_PX = 64
SQUARES = 64

Fill = Callable[["NDArray[np.uint8]", int, int, float], "NDArray[np.uint8]"]
"""Pixels that stand in for those of a tile; arguments as of `napari_maskvit.slide.repainted`."""


@dataclass(frozen=True)
class KeptTokens:
    """Which cells of the token lattice a masked model reads.

    Attributes
    ----------
    kept
        (rows, columns).
    step
        Side of a cell in level-0 pixels.
    """

    kept: NDArray[np.bool_]
    step: float

    @classmethod
    def of(cls, plan: Plan) -> KeptTokens:
        """Those that an explanation masked at every level reads; no pixel is read for it."""
        kept = np.zeros(plan.lattice.shape("patch"), bool)
        side = plan.lattice.patches_per_side * plan.lattice.tokens_per_side
        for part in plan.parts:
            tokens = part.token_kept & part.patch_kept[:, :, None, None]
            corner = part.row * side, part.column * side
            kept[corner[0] : corner[0] + side, corner[1] : corner[1] + side] = tokens.transpose(
                0, 2, 1, 3
            ).reshape(side, side)
        return cls(kept, plan.lattice.step("patch"))

    def background(
        self, shape: tuple[int, int], left: int, top: int, downsample: float
    ) -> NDArray[np.bool_]:
        """Pixels of a tile that lie in no kept cell, nor within a pixel of one."""
        rows = self._cells(top, shape[0], downsample, 0)
        columns = self._cells(left, shape[1], downsample, 1)
        kept = np.zeros(shape, bool)
        for row in rows:
            for column in columns:
                kept |= self.kept[np.ix_(row, column)]
        return ~kept

    def _cells(
        self, first: int, count: int, downsample: float, axis: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Cells of points a pixel before and a pixel after the middle of each pixel.

        A read rounds its corner to whole pixels, so that a kept token may reach half a pixel over
        its edge.
        """
        middle = np.arange(first, first + count) + 0.5
        before, after = (
            np.clip(
                np.floor((middle + shift) * downsample / self.step), 0, self.kept.shape[axis] - 1
            )
            for shift in (-1, 1)
        )
        return before.astype(np.int64), after.astype(np.int64)


def with_background(slide: Slide, tokens: KeptTokens, fill: Fill) -> Slide:
    """The slide with all that a masked model does not read painted over, as it is read."""

    def paint(pixels: NDArray[np.uint8], left: int, top: int, downsample: float) -> None:
        height, width = pixels.shape[:2]
        background = tokens.background((height, width), left, top, downsample)
        if background.any():
            pixels[background] = fill(pixels, left, top, downsample)[background]

    return repainted(slide, paint)


def noise(seed: int) -> Fill:
    """Every pixel a colour of its own."""

    def fill(
        pixels: NDArray[np.uint8], left: int, top: int, downsample: float
    ) -> NDArray[np.uint8]:
        rng = np.random.default_rng((seed, left, top, round(downsample * 1000)))
        return rng.integers(0, 256, pixels.shape, np.uint8)

    return fill


def pen(spacing: float) -> Fill:
    """Slanting strokes of blue ink over what is there.

    Parameters
    ----------
    spacing
        µm a level-0 pixel.
    """

    def fill(
        pixels: NDArray[np.uint8], left: int, top: int, downsample: float
    ) -> NDArray[np.uint8]:
        size = downsample * spacing
        y = (np.arange(pixels.shape[0]) + top + 0.5)[:, None] * size
        x = (np.arange(pixels.shape[1]) + left + 0.5)[None] * size
        stroke = np.mod(x + y, STRIPE_UM + GAP_UM) < STRIPE_UM
        inked = pixels * (1 - INK_STRENGTH) + INK * INK_STRENGTH
        return np.where(stroke[..., None], inked, pixels).astype(np.uint8)

    return fill


def glass(other: Slide, mask: TissueMask, seed: int) -> Fill | None:
    """Squares of another slide's background, laid out at random; None where it shows none.

    Parameters
    ----------
    other
        The slide whose glass is taken.
    mask
        Its tissue.
    seed
        Of the choice of squares.
    """
    squares = _squares(other, mask, seed)
    if not len(squares):
        return None

    def fill(
        pixels: NDArray[np.uint8], left: int, top: int, downsample: float
    ) -> NDArray[np.uint8]:
        y, x = (
            np.arange(first, first + count)
            for first, count in ((top, pixels.shape[0]), (left, pixels.shape[1]))
        )
        row, column = np.meshgrid(y // SQUARE_PX, x // SQUARE_PX, indexing="ij")
        chosen = (row * 2654435761 + column * 40503 + seed) % 4294967291 % len(squares)
        place = np.meshgrid(y % SQUARE_PX, x % SQUARE_PX, indexing="ij")
        laid: NDArray[np.uint8] = squares[chosen, place[0], place[1]]
        return laid

    return fill


def _squares(other: Slide, mask: TissueMask, seed: int) -> NDArray[np.uint8]:
    spacing = other.require_spacing()
    rows, columns = (side // SQUARE_PX for side in other.shape)
    coverage = mask.coverage(0.0, 0.0, SQUARE_PX * spacing, rows, columns)
    free = np.argwhere(coverage == 0)
    rng = np.random.default_rng(seed)
    chosen = free[rng.permutation(len(free))[:SQUARES]]
    read = [
        other.read_region(float(c * SQUARE_PX), float(r * SQUARE_PX), SQUARE_PX, SQUARE_PX)
        for r, c in chosen
    ]
    return np.array(read, np.uint8).reshape(-1, SQUARE_PX, SQUARE_PX, 3)
