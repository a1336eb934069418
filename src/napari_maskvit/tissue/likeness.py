"""Select what looks like a place that a person points at: colour and texture around it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_maskvit.errors import MaskError
from napari_maskvit.tissue.edits import Box, Edit, painted
from napari_maskvit.tissue.glass import optical_density
from napari_maskvit.tissue.mask import TissueMask

if TYPE_CHECKING:
    from napari_maskvit.slide import Slide

SEED_UM = 12.0
"""Radius of what a click takes as an example, µm."""

_COLOUR_UM = 4.0
_TEXTURE_UM = 8.0
_LEAST_SPREAD = 0.04  # optical density: below it, differences are noise and stain drift
_MOST_SIDE = 3000


@dataclass(frozen=True, eq=False)
class Likeness:
    """How unlike the example each place is, along the likest way there.

    Attributes
    ----------
    box : tuple of slice
        Rows and columns of the mask that were looked at.
    cost : float32 (rows, columns)
        The tolerance from which on a pixel of the box is selected; infinite beyond the radius. 1 is
        as unlike as the example's own pixels are from their mean.
    mask_spacing : float
        Side of a pixel, µm.
    """

    box: Box
    cost: NDArray[np.float32]
    mask_spacing: float

    @classmethod
    def of(
        cls,
        slide: Slide,
        mask: TissueMask,
        points: Sequence[tuple[float, float]],
        radius_um: float,
        *,
        seed_um: float = SEED_UM,
    ) -> Self:
        """Compare the surroundings of a click or scribble with what lies under it.

        Each pixel of the mask is told by the mean optical density of its three channels (a Gaussian
        of 4 µm) and by the density's standard deviation around it (8 µm). Differences from the
        example's mean are counted in the example's own standard deviations, and their root mean
        square is taken. A pixel's cost is the largest along the best way to it (a morphological
        reconstruction), so that what is selected at any tolerance is connected to the example.

        Parameters
        ----------
        slide : Slide
        mask : TissueMask
            Tells shape and spacing; what it says is tissue plays no part.
        points : sequence of (y, x)
            The click or scribble, µm from the slide's corner.
        radius_um : float
            How far from the points to look, µm.
        seed_um : float
            Radius around the points that is the example, µm.

        Raises
        ------
        MaskError
            If no point lies on the slide, or too much would have to be looked at.
        """
        spacing = mask.spacing
        places = np.asarray(points, np.float64).reshape(-1, 2) / spacing
        seed_px, radius_px = max(seed_um / spacing, 0.71), radius_um / spacing
        box = _box_around(places, radius_px + seed_px, mask.shape)
        distance = _distance_to(places, box)
        seed = distance <= seed_px
        if not seed.any():
            raise MaskError("That is not on the slide; click on what should be selected.")
        features = _features(slide, box, spacing)
        cost = _unlikeness(features, seed)
        cost[seed] = 0
        cost[distance > radius_px] = np.inf
        return cls(box, _along_the_best_way(cost, seed), spacing)

    def selection(self, tolerance: float) -> NDArray[np.bool_]:
        """What is selected in the box, bool (rows, columns); more with a larger tolerance."""
        selected: NDArray[np.bool_] = self.cost <= tolerance
        return selected

    def edit(self, mask: TissueMask, tolerance: float, value: int, name: str) -> Edit:
        """Give what is selected a value of the mask."""
        return painted(mask, self.box, self.selection(tolerance), value, name)


def _box_around(places: NDArray[np.float64], reach: float, shape: tuple[int, int]) -> Box:
    low = np.floor(places.min(axis=0) - reach).astype(int)
    high = np.ceil(places.max(axis=0) + reach).astype(int) + 1
    low, high = np.clip(low, 0, shape), np.clip(high, 0, shape)
    if (high <= low).any():
        raise MaskError("That is not on the slide; click on what should be selected.")
    if (high - low).max() > _MOST_SIDE:
        raise MaskError(
            "The scribble and its radius span too much of the slide to compare at once; "
            "draw a shorter one, or choose a smaller radius."
        )
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))


def _distance_to(places: NDArray[np.float64], box: Box) -> NDArray[np.float32]:
    """Pixels from each pixel centre of the box to the nearest point, float32 (rows, columns)."""
    rows = np.arange(box[0].start, box[0].stop, dtype=np.float32)[:, None] + 0.5
    columns = np.arange(box[1].start, box[1].stop, dtype=np.float32)[None, :] + 0.5
    nearest = np.full((rows.size, columns.size), np.inf, np.float32)
    # Points closer than a pixel add nothing.
    for y, x in np.unique(np.round(places).astype(np.int64), axis=0) if len(places) > 1 else places:
        np.minimum(nearest, (rows - y) ** 2 + (columns - x) ** 2, out=nearest)
    return np.sqrt(nearest)


def _features(slide: Slide, box: Box, spacing: float) -> NDArray[np.float32]:
    """Local means of three densities and local spread of their sum, float32 (4, rows, columns)."""
    halo = math.ceil(3 * _TEXTURE_UM / spacing)
    scale = spacing / slide.require_spacing()
    top, left = box[0].start - halo, box[1].start - halo
    height, width = (side.stop - side.start + 2 * halo for side in box)
    pixels = slide.read(left * scale, top * scale, width, height, spacing).pixels
    # Differences alone count, so that white serves as glass.
    density = optical_density(pixels, np.full(3, 255, np.float32))
    near = (0, _COLOUR_UM / spacing, _COLOUR_UM / spacing)
    means = ndimage.gaussian_filter(density, near, truncate=3)
    total = density.mean(axis=0)
    around = _TEXTURE_UM / spacing
    mean = ndimage.gaussian_filter(total, around, truncate=3)
    square = ndimage.gaussian_filter(total**2, around, truncate=3)
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    inside = (slice(halo, -halo), slice(halo, -halo)) if halo else (slice(None), slice(None))
    return np.stack([*(one[inside] for one in means), spread[inside]])


def _unlikeness(features: NDArray[np.float32], seed: NDArray[np.bool_]) -> NDArray[np.float32]:
    example = features[:, seed]
    mean = example.mean(axis=1)[:, None, None]
    spread = np.maximum(example.std(axis=1), _LEAST_SPREAD)[:, None, None]
    difference = (features - mean) / spread
    return np.sqrt((difference**2).mean(axis=0)).astype(np.float32)


def _along_the_best_way(cost: NDArray[np.float32], seed: NDArray[np.bool_]) -> NDArray[np.float32]:
    from skimage.morphology import reconstruction

    finite = np.isfinite(cost)
    highest = float(cost[finite].max(initial=0)) + 1
    bounded = np.where(finite, cost, highest)
    start = np.where(seed, bounded, highest)
    best: NDArray[np.float64] = reconstruction(  # type: ignore[no-untyped-call]
        start, bounded, method="erosion", footprint=_SIDES
    )
    return np.where(finite & (best < highest), best, np.inf).astype(np.float32)


_SIDES = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)
