"""Patch features of a slide, from the same engine as its explanation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.explain.climb import region_input

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain.explainer import Explainer
    from napari_maskvit.explain.explanation import Statistics
    from napari_maskvit.explain.progress import Progress
    from napari_maskvit.tissue import TissueMask


@dataclass(frozen=True)
class SlideFeatures:
    """What the region transformer reads of one slide: P kept patches in R regions, packed.

    Parameters
    ----------
    regions
        (R, 2) row and column in the region lattice.
    lengths
        (R,) kept patches of each region.
    positions
        (P,) row-major place of each patch in its region.
    features
        (P, D) from the patch transformer.
    coverage
        (P,) share of each patch that is tissue.
    patches_per_side
        Patches along one side of a region.
    statistics
        What it took.
    """

    regions: NDArray[np.int64]
    lengths: NDArray[np.int64]
    positions: NDArray[np.int64]
    features: NDArray[np.float32]
    coverage: NDArray[np.float32]
    patches_per_side: int
    statistics: Statistics


def slide_features(
    explainer: Explainer,
    mask: TissueMask,
    *,
    progress: Callable[[Progress], None] | None = None,
) -> SlideFeatures:
    """Patch features under a tissue mask, exactly those that ``explainer.explain(mask)`` uses.

    Raises
    ------
    ExplainError
        If memory does not suffice for a single patch.
    """
    results = {}

    def collect(step: Progress) -> None:
        results.update({(patch.row, patch.column): patch for patch in step.fresh})
        if progress is not None:
            progress(step)

    explanation = explainer.explain(mask, progress=collect)
    plan = explainer.plan(mask)
    inputs = []
    for part in plan.parts:
        found = region_input(
            part, [results[patch.row, patch.column] for patch in part.patches], plan.masking
        )
        if found is not None:
            inputs.append((part, found))
    lengths = np.array([len(found) for _, found in inputs], np.int64)
    positions = [patch.place for _, found in inputs for patch, _ in found]
    features = [result.feature for _, found in inputs for _, result in found]
    coverage = [
        part.patch_coverage.flat[patch.place] for part, found in inputs for patch, _ in found
    ]
    return SlideFeatures(
        regions=np.array([(part.row, part.column) for part, _ in inputs], np.int64).reshape(-1, 2),
        lengths=lengths,
        positions=np.array(positions, np.int64),
        features=np.array(features, np.float32).reshape(len(positions), explainer.model.patch.dim),
        coverage=np.array(coverage, np.float32),
        patches_per_side=plan.lattice.patches_per_side,
        statistics=explanation.statistics,
    )
