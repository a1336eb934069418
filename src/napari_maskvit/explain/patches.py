"""What the engine keeps of a patch."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain.plan import PatchPlan

_serials = count()

Found = list[tuple["PatchPlan", "PatchResult"]]
"""What was planned, and what was computed of it."""


@dataclass(frozen=True, eq=False)
class PatchResult:
    """A computed patch.

    Parameters
    ----------
    row, column
        Place in the patch lattice.
    kept
        (t, t) tokens that were attended to; decodable ones only.
    attention
        (K, heads) attention of CLS to the K kept tokens, row by row, raw.
    feature
        (D,) what the region transformer reads.
    tissue
        False where nothing of the patch was left after its undecodable tiles were dropped.
    """

    row: int
    column: int
    kept: NDArray[np.bool_]
    attention: NDArray[np.float32]
    feature: NDArray[np.float32]
    tissue: bool = True
    serial: int = field(default_factory=lambda: next(_serials))

    @cached_property
    def tokens(self) -> int:
        """How many tokens were attended to."""
        return int(np.count_nonzero(self.kept))

    @property
    def nbytes(self) -> int:
        """Memory that the result holds, in bytes."""
        return self.attention.nbytes + self.feature.nbytes + self.kept.nbytes + 700
