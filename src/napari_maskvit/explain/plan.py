"""Which regions, patches and tokens an explanation is about, before a single pixel is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_maskvit.errors import ExplainError
from napari_maskvit.explain.lattice import LEVELS, Lattice

if TYPE_CHECKING:
    from numpy.typing import NDArray

PatchKey = tuple[int, int, bytes, int, int]

_serials = count()


def patch_key(
    row: int, column: int, kept: NDArray[np.bool_], below: int = 0, right: int = 0
) -> PatchKey:
    """The key of a `PatchPlan`: whole patches from the slide's corner, tokens, pixels missed."""
    return row, column, np.packbits(kept).tobytes(), below, right


@dataclass(frozen=True, eq=False)
class PatchPlan:
    """One patch to compute.

    Parameters
    ----------
    row, column
        Place in the patch lattice.
    kept
        (t, t) tokens to attend to.
    key
        Equal for equal work: the same pixels with the same tokens. Place from the slide's corner
        in whole patches, the kept tokens, and what the place misses of whole patches, in pixels.
    place
        Row-major place in its region.
    """

    row: int
    column: int
    kept: NDArray[np.bool_]
    key: PatchKey
    place: int

    @cached_property
    def tokens(self) -> int:
        """How many tokens are kept."""
        return int(np.count_nonzero(self.kept))


@dataclass(frozen=True, eq=False)
class RegionPlan:
    """The kept positions of one region; shared by the plans of all masks that agree on it.

    Parameters
    ----------
    row, column
        Place in the region lattice.
    token_coverage
        (n, n, t, t) share of each token that is tissue, in [0, 1].
    token_kept
        (n, n, t, t) tokens that the patch transformer attends to.
    patch_coverage
        (n, n) mean coverage of each patch's tokens, float64.
    patch_kept
        (n, n) patches that the region transformer attends to.
    patches
        Those to compute, row after row.
    """

    row: int
    column: int
    token_coverage: NDArray[np.float32]
    token_kept: NDArray[np.bool_]
    patch_coverage: NDArray[np.float64]
    patch_kept: NDArray[np.bool_]
    patches: tuple[PatchPlan, ...]
    serial: int = field(default_factory=lambda: next(_serials))

    @cached_property
    def covered(self) -> float:
        """Tissue in the region, in tokens."""
        return float(self.token_coverage.sum(dtype=np.float64))

    @property
    def coverage(self) -> float:
        """Share of the region that is tissue."""
        return self.covered / self.token_coverage.size

    @property
    def nbytes(self) -> int:
        """Memory that the plan holds, in bytes."""
        arrays = (self.token_coverage, self.token_kept, self.patch_coverage, self.patch_kept)
        return sum(array.nbytes for array in arrays) + 600 * len(self.patches) + 1000


@dataclass(frozen=True, eq=False)
class Plan:
    """The kept positions of every level.

    Parameters
    ----------
    lattice
        Where everything lies.
    masking, threshold
        Levels whose background is masked, and the coverage above which a position is kept.
    parts
        The regions that take part, row after row.
    """

    lattice: Lattice
    masking: tuple[str, ...]
    threshold: float
    parts: tuple[RegionPlan, ...]

    @cached_property
    def regions(self) -> NDArray[np.int64]:
        """(R, 2) row and column of the regions that take part."""
        places = [(part.row, part.column) for part in self.parts]
        return np.array(places, np.int64).reshape(-1, 2)

    @property
    def token_coverage(self) -> NDArray[np.float32]:
        """(R, n, n, t, t) share of each token that is tissue, in [0, 1]."""
        return self._stacked([part.token_coverage for part in self.parts], 2, np.float32)

    @property
    def token_kept(self) -> NDArray[np.bool_]:
        """(R, n, n, t, t) tokens that the patch transformer attends to."""
        return self._stacked([part.token_kept for part in self.parts], 2, np.bool_)

    @property
    def patch_kept(self) -> NDArray[np.bool_]:
        """(R, n, n) patches that the region transformer attends to."""
        return self._stacked([part.patch_kept for part in self.parts], 1, np.bool_)

    @property
    def patch_coverage(self) -> NDArray[np.float32]:
        """(R, n, n) mean coverage of each patch's tokens."""
        return self._stacked([part.patch_coverage for part in self.parts], 1, np.float32)

    @property
    def region_coverage(self) -> NDArray[np.float32]:
        """(R,) mean coverage of each region's tokens."""
        return np.array([part.coverage for part in self.parts], np.float32)

    @property
    def covered(self) -> float:
        """Tissue in all regions, in tokens."""
        return sum(part.covered for part in self.parts)

    def patches(self) -> Iterator[PatchPlan]:
        """Every patch to compute, region after region, row after row."""
        for part in self.parts:
            yield from part.patches

    def _stacked(self, arrays: Sequence[NDArray[Any]], pairs: int, dtype: Any) -> NDArray[Any]:
        n, t = self.lattice.patches_per_side, self.lattice.tokens_per_side
        shape = (len(self.parts), n, n, t, t)[: 1 + 2 * pairs]
        return np.array(arrays, dtype).reshape(shape)


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


def plan_region(
    lattice: Lattice,
    masking: tuple[str, ...],
    threshold: float,
    row: int,
    column: int,
    coverage: NDArray[np.float32],
) -> RegionPlan | None:
    """What is kept of a region; None where it takes no part.

    A position is kept if its coverage is > threshold, strictly. At a level that is not in
    ``masking`` every position is kept, glass included.

    Parameters
    ----------
    lattice, masking, threshold
        As `Plan` has them.
    row, column
        Place in the region lattice.
    coverage
        (n t, n t) share of each token that is tissue.
    """
    n, t = lattice.patches_per_side, lattice.tokens_per_side
    tokens = np.ascontiguousarray(coverage.reshape(n, t, n, t).transpose(0, 2, 1, 3))
    patches = tokens.mean(axis=(2, 3), dtype=np.float64)
    if "slide" in masking and not patches.mean() > threshold:
        return None
    kept = tokens > threshold if "patch" in masking else np.ones_like(tokens, bool)
    patch_kept = patches > threshold if "region" in masking else np.ones((n, n), bool)
    for array in (tokens, patches, kept, patch_kept):
        array.flags.writeable = False
    (across, right), (down, below) = (
        divmod(place * n * lattice.patch_px - shift, lattice.patch_px)
        for place, shift in zip((column, row), reversed(lattice.shift), strict=True)
    )
    return RegionPlan(
        row,
        column,
        tokens,
        kept,
        patches,
        patch_kept,
        tuple(
            PatchPlan(
                row * n + i,
                column * n + j,
                kept[i, j],
                patch_key(down + i, across + j, kept[i, j], below, right),
                i * n + j,
            )
            for i, j in np.argwhere(patch_kept).tolist()
        ),
    )
