"""What the engine keeps of a patch, and the bounded cache that keeps it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_serials = count()


@dataclass(frozen=True)
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

    @property
    def nbytes(self) -> int:
        """Memory that the result holds, in bytes."""
        return self.attention.nbytes + self.feature.nbytes + self.kept.nbytes + 300


PatchKey = tuple[int, int, bytes]


class PatchCache:
    """Patch results by content, least recently used out first.

    Parameters
    ----------
    max_bytes
        Bound on the memory of all results together.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.nbytes = 0
        self._results: OrderedDict[PatchKey, PatchResult] = OrderedDict()

    def __len__(self) -> int:
        return len(self._results)

    def get(self, key: PatchKey) -> PatchResult | None:
        """The result under a key, now the most recently used; None if it is not here."""
        result = self._results.get(key)
        if result is not None:
            self._results.move_to_end(key)
        return result

    def put(self, key: PatchKey, result: PatchResult) -> None:
        """Keep a result, dropping the oldest ones where memory runs out."""
        old = self._results.pop(key, None)
        if old is not None:
            self.nbytes -= old.nbytes
        self._results[key] = result
        self.nbytes += result.nbytes
        while self.nbytes > self.max_bytes and len(self._results) > 1:
            _, dropped = self._results.popitem(last=False)
            self.nbytes -= dropped.nbytes
