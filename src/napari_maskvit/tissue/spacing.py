"""At which spacing a slide's mask is held, and at which tissue is looked for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_maskvit.slide import Slide

LONGEST_SIDE = 16_384
"""Most pixels a side of a mask: one texture, which napari paints on without tiling."""

_FLUID_SIDE = 6_250
# A token is 16 px of 0.5 µm: whole fractions of its 8 µm put its edges on edges of mask pixels.
_SPACINGS = (2.0, 8 / 3, 4.0, 8.0)
_PIXELS_LOOKED_AT = 3_000_000
_PIXELS_READ = 30_000_000


def mask_spacing_for(slide: Slide) -> float:
    """Side of a mask pixel for a slide, µm.

    Between 2 and 8 µm: as fine as painting stays fluid (about 6,250 pixels a side), else 4 µm so
    that a token of 8 µm is two pixels wide, else 8 µm. Never finer than the slide itself, and
    never so fine that a side has more than 16,384 pixels.

    Raises
    ------
    SpacingUnknown
        If nobody said how large the slide's pixels are.
    """
    longest = max(slide.size_um)
    fluid = next((s for s in _SPACINGS[:3] if longest / s <= _FLUID_SIDE), _SPACINGS[2])
    fits = next((s for s in _SPACINGS if s >= fluid and longest / s <= LONGEST_SIDE), None)
    return max(fits or longest / LONGEST_SIDE, slide.require_spacing())


def mask_shape(slide: Slide, spacing: float) -> tuple[int, int]:
    """Rows and columns of pixels of ``spacing`` µm that cover a slide."""
    height, width = slide.size_um
    # A slide of whole mask pixels must not get one more from float rounding.
    return math.ceil(height / spacing - 1e-6), math.ceil(width / spacing - 1e-6)


def evidence_spacing(slide: Slide, wanted: float) -> float:
    """Spacing at which to look for tissue, µm: ``wanted`` or as coarse as a quick look needs.

    About three million pixels are looked at, and at most thirty million read from the file unless
    its coarsest level has more; a level close by is used as it is, without resampling.
    """
    height, width = slide.size_um
    own = slide.require_spacing()
    levels = [own * downsample for downsample in slide.downsamples]
    readable = [s for s in levels if height * width / s**2 <= _PIXELS_READ] or levels[-1:]
    spacing = max(wanted, math.sqrt(height * width / _PIXELS_LOOKED_AT), readable[0])
    return next((s for s in levels if 0.9 * spacing <= s <= 1.3 * spacing), spacing)
