"""What the engine keeps of a region: its patches, its attention, what the region level says."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.explain.attention import AttentionPart
from napari_maskvit.explain.patch_features import FeaturePart

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain.lattice import Lattice
    from napari_maskvit.explain.patches import Found, PatchResult
    from napari_maskvit.explain.plan import RegionPlan

_serials = count()


@dataclass(frozen=True, eq=False)
class RegionResult:
    """A region as the region transformer sees it.

    Parameters
    ----------
    positions
        (K,) row-major places of the kept patches in the region.
    attention
        (K, heads) attention of CLS to them, raw.
    feature
        (D,) what the slide transformer reads.
    """

    positions: NDArray[np.int64]
    attention: NDArray[np.float32]
    feature: NDArray[np.float32]
    serial: int = field(default_factory=lambda: next(_serials))

    @property
    def nbytes(self) -> int:
        """Memory that the result holds, in bytes."""
        return self.positions.nbytes + self.attention.nbytes + self.feature.nbytes + 800


@dataclass(frozen=True, eq=False)
class RegionAnswer:
    """All that an explanation needs of one region whose patches are all there.

    Parameters
    ----------
    plan
        What is kept of it.
    results
        Of the plan's patches, in its order.
    tokens, tissue
        Tokens that were attended to, and patches that hold any.
    attention
        Its stretch of the patch level.
    features
        What the region transformer reads of its patches.
    region
        None where the model has no region transformer, or nothing of the region is left.
    region_attention
        Its stretch of the region level.
    """

    plan: RegionPlan
    results: tuple[PatchResult, ...]
    tokens: int
    tissue: int
    attention: AttentionPart
    features: FeaturePart
    region: RegionResult | None
    region_attention: AttentionPart | None

    @property
    def nbytes(self) -> int:
        """Memory beyond that of the patch results and the plan's, in bytes."""
        parts = (self.attention, self.region_attention)
        held = sum(part.nbytes for part in parts if part is not None)
        # Its plan may have left the cache; then the answer alone holds it.
        return held + self.features.nbytes + self.plan.nbytes + 8 * len(self.results) + 1000


def token_attention(plan: RegionPlan, found: Found, lattice: Lattice, heads: int) -> AttentionPart:
    """The patch level's attention in a region, for those of its patches that are there."""
    n, t = lattice.patches_per_side, lattice.tokens_per_side
    if not found:
        none = np.zeros(0, np.int32)
        values = np.zeros((0, heads), np.float32)
        return AttentionPart(none, none, values, np.zeros(0, np.float32))
    kept = np.array([result.kept for _, result in found], bool)
    patch, i, j = np.nonzero(kept)
    places = np.array([one.place for one, _ in found], np.int64)
    down, across = np.divmod(places, n)
    return _frozen(
        (plan.row * n + down)[patch] * t + i,
        (plan.column * n + across)[patch] * t + j,
        np.concatenate([result.attention for _, result in found]),
        plan.token_coverage[down[patch], across[patch], i, j],
    )


def patch_attention(plan: RegionPlan, region: RegionResult, lattice: Lattice) -> AttentionPart:
    """The region level's attention in a region."""
    n = lattice.patches_per_side
    i, j = np.divmod(region.positions, n)
    return _frozen(
        plan.row * n + i,
        plan.column * n + j,
        region.attention,
        plan.patch_coverage[i, j],
    )


def _frozen(
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    values: NDArray[np.float32],
    coverage: NDArray[np.floating],
) -> AttentionPart:
    part = AttentionPart(
        rows.astype(np.int32), columns.astype(np.int32), values, coverage.astype(np.float32)
    )
    for array in (part.rows, part.columns, part.values, part.coverage):
        array.flags.writeable = False
    return part
