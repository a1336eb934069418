"""Pixels of a slide's kept patches, for training the patch transformer itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain import Explainer
    from napari_maskvit.tissue import TissueMask


@dataclass(frozen=True)
class SlidePixels:
    """What the patch transformer reads of one slide: P kept patches in R regions, packed.

    Attributes
    ----------
    regions, lengths, positions, coverage, patches_per_side
        As of `SlideFeatures`.
    features
        uint8 [P, px, px, 3]; white where a token is not kept.
    tokens
        bool [P, N], which tokens are kept, row by row.
    """

    regions: NDArray[np.int64]
    lengths: NDArray[np.int64]
    positions: NDArray[np.int64]
    features: NDArray[np.uint8]
    tokens: NDArray[np.bool_]
    coverage: NDArray[np.float32]
    patches_per_side: int


def slide_pixels(explainer: Explainer, mask: TissueMask) -> SlidePixels:
    """Read the patches that ``explainer.explain(mask)`` would compute, as it would read them."""
    plan = explainer.plan(mask)
    lattice = plan.lattice
    n, t, p = lattice.patches_per_side, lattice.tokens_per_side, lattice.token_px
    step, side = lattice.step("region"), lattice.patch_px
    cover = plan.patch_coverage
    region_of = {(int(r), int(c)): index for index, (r, c) in enumerate(plan.regions)}
    owners, positions, pixels, tokens, coverage = [], [], [], [], []
    for patch in plan.patches():
        read = explainer.slide.read(
            patch.column * step, patch.row * step, side, side, lattice.spacing, keep=patch.kept
        )
        kept = patch.kept
        if "patch" in explainer.masking:
            kept = kept & read.valid.reshape(t, p, t, p).all(axis=(1, 3))
        if "region" in explainer.masking and not kept.any():
            continue
        owner = region_of[patch.row // n, patch.column // n]
        place = patch.row % n, patch.column % n
        owners.append(owner)
        positions.append(place[0] * n + place[1])
        pixels.append(read.pixels)
        tokens.append(kept.reshape(-1))
        coverage.append(cover[owner, place[0], place[1]])
    used, lengths = np.unique(np.array(owners, np.int64), return_counts=True)
    return SlidePixels(
        regions=plan.regions[used].reshape(-1, 2),
        lengths=lengths.astype(np.int64),
        positions=np.array(positions, np.int64),
        features=np.array(pixels, np.uint8).reshape(-1, side, side, 3),
        tokens=np.array(tokens, bool).reshape(-1, t * t),
        coverage=np.array(coverage, np.float32),
        patches_per_side=n,
    )
