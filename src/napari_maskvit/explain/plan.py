"""Which regions, patches and tokens an explanation is about, before a single pixel is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.errors import ExplainError
from napari_maskvit.explain.lattice import LEVELS, Lattice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_maskvit.tissue import TissueMask


@dataclass(frozen=True)
class PatchPlan:
    """One patch to compute: its place in the patch lattice and its kept tokens (t, t)."""

    row: int
    column: int
    kept: NDArray[np.bool_]

    @property
    def key(self) -> tuple[int, int, bytes]:
        """Equal for equal work: the same patch with the same tokens."""
        return self.row, self.column, np.packbits(self.kept).tobytes()


@dataclass(frozen=True)
class Plan:
    """The kept positions of every level.

    Parameters
    ----------
    lattice
        Where everything lies.
    masking, threshold
        Levels whose background is masked, and the coverage above which a position is kept.
    regions
        (R, 2) row and column of the regions that take part.
    token_coverage
        (R, n, n, t, t) share of each token that is tissue, in [0, 1].
    token_kept
        (R, n, n, t, t) tokens that the patch transformer attends to.
    patch_kept
        (R, n, n) patches that the region transformer attends to.
    """

    lattice: Lattice
    masking: tuple[str, ...]
    threshold: float
    regions: NDArray[np.int64]
    token_coverage: NDArray[np.float32]
    token_kept: NDArray[np.bool_]
    patch_kept: NDArray[np.bool_]

    @property
    def patch_coverage(self) -> NDArray[np.float32]:
        """(R, n, n) mean coverage of each patch's tokens."""
        return self.token_coverage.mean(axis=(3, 4), dtype=np.float64).astype(np.float32)

    @property
    def region_coverage(self) -> NDArray[np.float32]:
        """(R,) mean coverage of each region's tokens."""
        return self.token_coverage.mean(axis=(1, 2, 3, 4), dtype=np.float64).astype(np.float32)

    def patches(self) -> Iterator[PatchPlan]:
        """Every patch to compute, region after region, row after row."""
        n = self.lattice.patches_per_side
        for region, i, j in np.argwhere(self.patch_kept):
            row, column = self.regions[region] * n + (i, j)
            yield PatchPlan(int(row), int(column), self.token_kept[region, i, j])


def check_masking(masking: tuple[str, ...], threshold: float) -> tuple[str, ...]:
    """The levels to mask, in the order of the hierarchy.

    Raises
    ------
    ExplainError
        If a name is no level or the threshold lies outside [0, 1).
    """
    unknown = sorted(set(masking) - set(LEVELS))
    if unknown:
        raise ExplainError(
            f"masking names {', '.join(map(repr, unknown))}, which is no level. "
            f"Choose among {', '.join(LEVELS)}, or none for plain attention."
        )
    if not 0 <= threshold < 1:
        raise ExplainError(
            f"threshold is {threshold:g}, but a coverage lies between 0 and 1: give a number from "
            "0 (any tissue pixel counts) to just under 1."
        )
    return tuple(level for level in LEVELS if level in masking)


def make_plan(
    mask: TissueMask, lattice: Lattice, masking: tuple[str, ...], threshold: float
) -> Plan:
    """Decide what is kept: a position whose coverage is > threshold, strictly.

    At a level that is not in ``masking`` every position is kept, glass included.
    """
    n, t = lattice.patches_per_side, lattice.tokens_per_side
    rows, columns = lattice.shape("slide")
    side = lattice.region_px * lattice.spacing
    if "slide" in masking:
        touched = mask.coverage(0.0, 0.0, side, rows, columns) > 0
    else:
        touched = np.ones((rows, columns), bool)
    candidates = np.argwhere(touched)
    coverage = np.zeros((len(candidates), n, n, t, t), np.float32)
    for index, (row, column) in enumerate(candidates):
        coverage[index] = _region_coverage(mask, lattice, int(row), int(column))
    if "slide" in masking:
        kept_regions = coverage.mean(axis=(1, 2, 3, 4), dtype=np.float64) > threshold
        candidates, coverage = candidates[kept_regions], coverage[kept_regions]
    tokens = coverage > threshold if "patch" in masking else np.ones_like(coverage, bool)
    if "region" in masking:
        patches = coverage.mean(axis=(3, 4), dtype=np.float64) > threshold
    else:
        patches = np.ones(coverage.shape[:3], bool)
    return Plan(lattice, masking, threshold, candidates, coverage, tokens, patches)


def _region_coverage(
    mask: TissueMask, lattice: Lattice, row: int, column: int
) -> NDArray[np.float32]:
    n, t = lattice.patches_per_side, lattice.tokens_per_side
    side = lattice.region_px * lattice.spacing
    token = lattice.token_px * lattice.spacing
    tokens = mask.coverage(column * side, row * side, token, n * t, n * t)
    return tokens.reshape(n, t, n, t).transpose(0, 2, 1, 3)
