"""What a slide shows of tissue, worked out once; a mask for any parameters follows quickly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_maskvit.tissue.glass import glass_colour, is_padding, optical_density
from napari_maskvit.tissue.ink import find_ink
from napari_maskvit.tissue.mask import TissueMask
from napari_maskvit.tissue.morphology import closed, pieces_with, without_small
from napari_maskvit.tissue.parameters import TissueParameters
from napari_maskvit.tissue.resize import resize_mask
from napari_maskvit.tissue.spacing import evidence_spacing, mask_shape, mask_spacing_for

if TYPE_CHECKING:
    from napari_maskvit.slide import Slide

_PALEST, _BOLDEST = 0.025, 0.08
_SHARE_OF_TYPICAL = 0.25
_GAP_UM = 12.0
_SEAM_UM = 40.0


@dataclass(frozen=True, eq=False)
class TissueEvidence:
    """How stained a slide looks, and where something hides it.

    Attributes
    ----------
    stain : float32 (rows, columns)
        Strength of a haematoxylin or eosin colour, in optical density; 0 on glass.
    ink : bool (rows, columns)
        Pen, black borders and the like.
    unknown : bool (rows, columns)
        Not scanned (pure white padding) or not decodable.
    spacing : float
        µm per pixel of these arrays, whose first pixel lies in the slide's corner.
    threshold : float
        Stain that separates tissue from glass on this slide.
    mask_shape, mask_spacing, name
        Of the masks to make.
    """

    stain: NDArray[np.float32]
    ink: NDArray[np.bool_]
    unknown: NDArray[np.bool_]
    spacing: float
    threshold: float
    mask_shape: tuple[int, int]
    mask_spacing: float
    name: str = ""

    @classmethod
    def of(cls, slide: Slide, spacing_um: float = 4.0) -> Self:
        """Read a coarse level and work out the evidence.

        Parameters
        ----------
        slide : Slide
        spacing_um : float
            µm per pixel to look at; coarser where the slide is large.

        Raises
        ------
        SpacingUnknown
            If nobody said how large the slide's pixels are.
        """
        spacing = evidence_spacing(slide, spacing_um)
        rows, columns = mask_shape(slide, spacing)
        region = slide.read(0, 0, columns, rows, spacing)
        mask_spacing = mask_spacing_for(slide)
        stain, ink, unknown, threshold = _look(region.pixels, region.valid, spacing)
        return cls(
            stain,
            ink,
            unknown,
            spacing,
            threshold,
            mask_shape(slide, mask_spacing),
            mask_spacing,
            slide.name,
        )

    def mask(self, parameters: TissueParameters | None = None) -> TissueMask:
        """Outline the tissue.

        Parameters
        ----------
        parameters : TissueParameters, optional
            Its ``spacing_um`` takes no part: it was settled when the evidence was gathered.
        """
        p = parameters or TissueParameters()
        certain = self.threshold * p.threshold
        # Cut close above the threshold, strong stain does not spread its outline onto the glass.
        stain = np.minimum(self.stain, 1.6 * certain)
        stain = ndimage.gaussian_filter(stain, p.smoothing_um / self.spacing, truncate=3)
        tissue = pieces_with(stain > 0.6 * certain, stain > certain)
        tissue = self._bridged(self._seen(tissue, p))
        tissue = without_small(self._seen(tissue, p), p.min_object_um2 / self.spacing**2)
        tissue = ~without_small(~tissue, p.min_hole_um2 / self.spacing**2, keep_at_border=True)
        tissue = self._seen(tissue, p)
        array = resize_mask(tissue, self.spacing, self.mask_shape, self.mask_spacing)
        return TissueMask(array, self.mask_spacing, self.name)

    def _seen(self, tissue: NDArray[np.bool_], parameters: TissueParameters) -> NDArray[np.bool_]:
        return tissue & ~self.ink if parameters.remove_pen else tissue

    def _bridged(self, tissue: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Close gaps between fibres, and wider ones where nothing was scanned."""
        near = closed(tissue, round(_GAP_UM / self.spacing))
        if not self.unknown.any():
            return near
        hidden = self.unknown & closed(tissue, round(_SEAM_UM / self.spacing))
        return (near & ~self.unknown) | hidden


def segment_tissue(slide: Slide, parameters: TissueParameters | None = None) -> TissueMask:
    """Find the tissue on a slide stained with haematoxylin and eosin.

    Tissue is what looks stained: green light is absorbed more than red or blue, which neither grey
    glass, shadow nor dust does, however dark. The threshold follows the slide's own stain. Ink is
    told apart by hue and smoothness. See `TissueEvidence` for the steps; the evidence is kept while
    the slide is in use, so that a second mask with other parameters takes a fraction of a second.

    Parameters
    ----------
    slide : Slide
    parameters : TissueParameters, optional

    Returns
    -------
    TissueMask
        At `mask_spacing_for` the slide; empty where there is no tissue.

    Raises
    ------
    SpacingUnknown
        If nobody said how large the slide's pixels are.
    """
    parameters = parameters or TissueParameters()
    known = _GATHERED.get(slide)
    if known is None or known[0] != parameters.spacing_um:
        known = parameters.spacing_um, TissueEvidence.of(slide, parameters.spacing_um)
        _GATHERED[slide] = known
    return known[1].mask(parameters)


_GATHERED: WeakKeyDictionary[Slide, tuple[float, TissueEvidence]] = WeakKeyDictionary()


def stain_of(density: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much a colour is that of haematoxylin or eosin, float32 (rows, columns).

    Both absorb green most, and red or blue clearly less; whatever absorbs red or blue more than
    green (blue and green ink, brown dust) loses by it, and grey is nothing.
    """
    red, green, blue = density
    foreign = np.maximum(red - 1.1 * green, 0) + np.maximum(blue - 1.1 * green, 0)
    grey = 0.1 * density.max(axis=0)
    stain: NDArray[np.float32] = green - np.minimum(red, blue) - foreign - grey
    return stain


def _look(
    pixels: NDArray[np.uint8], valid: NDArray[np.bool_], spacing: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], float]:
    padding = is_padding(pixels)
    glass = glass_colour(pixels[::2, ::2], (valid & ~padding)[::2, ::2])
    # Where glass itself is that white, padding cannot be told from it.
    unknown = ~valid | padding if glass.min() < 250 else ~valid
    density = optical_density(pixels, glass)
    density[:, unknown] = 0
    density = ndimage.gaussian_filter(density, (0, 0.8, 0.8), truncate=2.5)
    stain = stain_of(density)
    bare = ~unknown & (density.max(axis=0) < 0.1)
    level, noise = _level_and_noise(stain[bare])
    stain = np.maximum(stain - level, 0)
    stain[unknown] = 0
    return stain, find_ink(density, stain, spacing), unknown, _threshold(stain, noise)


def _level_and_noise(values: NDArray[np.float32]) -> tuple[float, float]:
    """Median of bare glass, not below zero, and its robust standard deviation."""
    if values.size < 100:
        return 0.0, 0.0
    level = float(np.median(values))
    return max(level, 0.0), 1.4826 * float(np.median(np.abs(values - level)))


def _threshold(stain: NDArray[np.float32], noise: float) -> float:
    """A quarter of what stained pixels typically show, within what noise and reason allow."""
    floor = max(_PALEST, 6 * noise)
    stained = stain[stain > floor]
    typical = float(np.median(stained)) if stained.size else 0.0
    return max(floor, min(_SHARE_OF_TYPICAL * typical, _BOLDEST))
