"""Raw attention of one level, kept positions only, in parts that explanations share."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.errors import ExplainError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Head = str | int
"""A head's number, or "mean" or "max" over all."""

FLAT_KEPT = 8
"""Levels whose joined arrays are kept at a time; a timeline of explanations shares its parts."""


@dataclass(frozen=True, eq=False)
class AttentionPart:
    """A stretch of a level, usually one region's; never changed once made.

    Parameters
    ----------
    rows, columns
        (K,) places in the level's lattice.
    values
        (K, heads) raw attention.
    coverage
        (K,) share of each position that is tissue.
    """

    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    values: NDArray[np.float32]
    coverage: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays, in bytes."""
        arrays = (self.rows, self.columns, self.values, self.coverage)
        return sum(array.nbytes for array in arrays) + 500

    @cached_property
    def reach(self) -> tuple[int, int]:
        """One past the last row and the last column."""
        return int(self.rows.max(initial=-1)) + 1, int(self.columns.max(initial=-1)) + 1

    @cached_property
    def mass(self) -> float:
        """Sum of all attention."""
        return float(self.values.sum(dtype=np.float64))

    def mass_under(self, threshold: float) -> float:
        """Sum of the attention on positions whose coverage is at most ``threshold``."""
        known: dict[float, float] = self.__dict__.setdefault("_mass_under", {})
        if threshold not in known:
            chosen = self.coverage <= threshold
            known[threshold] = (
                float(self.values[chosen].sum(dtype=np.float64)) if chosen.any() else 0.0
            )
        return known[threshold]


def usable_head(head: Head, heads: int) -> Head:
    """The head asked for, or the mean where there are not so many: levels differ in that."""
    return "mean" if isinstance(head, int) and head >= heads else head


class LevelAttention:
    """Attention of one level over the whole slide, stored for its K kept positions.

    Parameters
    ----------
    level
        "patch" (over tokens), "region" (over patches) or "slide" (over regions).
    rows, columns
        (K,) places in the level's lattice.
    values
        (K, heads) the CLS row of the last block without its prefix columns; at the slide level
        the pooling weights.
    coverage
        (K,) share of each position that is tissue.
    shape
        Rows and columns of the lattice.
    step
        Side of a cell in level-0 pixels.
    window
        Cells along one side of the square over which one softmax ran; None: the whole slide.

    Attributes
    ----------
    parts
        The same arrays region after region; what a correction left alone is shared between
        explanations. `rows`, `columns`, `values` and `coverage` are joined when asked for.
    """

    def __init__(
        self,
        level: str,
        rows: NDArray[np.int32],
        columns: NDArray[np.int32],
        values: NDArray[np.float32],
        coverage: NDArray[np.float32],
        shape: tuple[int, int],
        step: float,
        window: int | None,
    ) -> None:
        self.level = level
        self.parts: tuple[AttentionPart, ...] = (AttentionPart(rows, columns, values, coverage),)
        self.heads = values.shape[1]
        self.shape, self.step, self.window = shape, step, window
        self._flat: AttentionPart | None = self.parts[0]

    @classmethod
    def of_parts(
        cls,
        level: str,
        parts: Sequence[AttentionPart],
        *,
        heads: int,
        shape: tuple[int, int],
        step: float,
        window: int | None,
    ) -> LevelAttention:
        """The level whose positions are those of ``parts``, in that order."""
        made = cls.__new__(cls)
        made.level, made.heads = level, heads
        made.parts = tuple(parts)
        made.shape, made.step, made.window = shape, step, window
        made._flat = None
        return made

    def with_parts(self, parts: Sequence[AttentionPart]) -> LevelAttention:
        """The same level with other positions."""
        return LevelAttention.of_parts(
            self.level,
            parts,
            heads=self.heads,
            shape=self.shape,
            step=self.step,
            window=self.window,
        )

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    @property
    def rows(self) -> NDArray[np.int32]:
        """(K,) rows in the level's lattice."""
        return self._joined().rows

    @property
    def columns(self) -> NDArray[np.int32]:
        """(K,) columns in the level's lattice."""
        return self._joined().columns

    @property
    def values(self) -> NDArray[np.float32]:
        """(K, heads) raw attention."""
        return self._joined().values

    @property
    def coverage(self) -> NDArray[np.float32]:
        """(K,) share of each position that is tissue."""
        return self._joined().coverage

    @property
    def cells(self) -> NDArray[np.int32]:
        """(K,) row-major places in the level's lattice."""
        joined = self._joined()
        cells: NDArray[np.int32] = joined.rows * np.int32(self.shape[1]) + joined.columns
        return cells

    @property
    def kept(self) -> NDArray[np.bool_]:
        """(rows, columns) where the level has a position."""
        kept = np.zeros(self.shape, bool)
        for part in self.parts:
            kept[part.rows, part.columns] = True
        return kept

    def pooled(self, head: Head) -> NDArray[np.float32]:
        """(K,) the values of one head, or the "mean" or "max" over heads.

        Raises
        ------
        ExplainError
            If there is no such head.
        """
        values = self.values
        if head == "mean":
            return values.mean(axis=1) if self.heads else values[:, :0].sum(axis=1)
        if head == "max":
            return values.max(axis=1) if self.heads else values[:, :0].sum(axis=1)
        if isinstance(head, (int, np.integer)) and 0 <= head < self.heads:
            return values[:, head]
        raise ExplainError(
            f"The {self.level} level has no head {head!r}: choose 'mean', 'max' or a number from 0 "
            f"to {self.heads - 1}."
        )

    def relative(self, head: Head) -> NDArray[np.float64]:
        """(K,) raw attention times the number of kept positions of its window: 1 is even.

        Raises
        ------
        ExplainError
            If there is no such head.
        """
        windows = self.windows()
        values: NDArray[np.float64] = self.pooled(head).astype(np.float64)
        return values * np.bincount(windows)[windows]

    def windows(self) -> NDArray[np.int64]:
        """(K,) number of the window that each position belongs to, from 0 without gaps."""
        joined = self._joined()
        if self.window is None:
            return np.zeros(len(joined), np.int64)
        across = -(-self.shape[1] // self.window)
        raw = (joined.rows // self.window).astype(np.int64) * across
        raw += joined.columns // self.window
        # Places are few and dense: counting is quicker than sorting.
        there = np.zeros(int(raw.max(initial=-1)) + 1, bool)
        there[raw] = True
        return (np.cumsum(there) - 1)[raw]

    def raster(self, values: NDArray[np.float32], background: float) -> NDArray[np.float32]:
        """(rows, columns) picture of one value a kept position."""
        joined = self._joined()
        picture = np.full(self.shape, background, np.float32)
        picture[joined.rows, joined.columns] = values
        return picture

    def background_mass(self, threshold: float) -> float:
        """Share of the attention that lies on background, mean over heads, in [0, 1]."""
        total = sum(part.mass for part in self.parts)
        on_background = sum(part.mass_under(threshold) for part in self.parts)
        return on_background / total if total > 0 else 0.0

    def _joined(self) -> AttentionPart:
        flat = self._flat
        if flat is None:
            flat = self._flat = self._join()
            _remember_flat(self)
        return flat

    def _join(self) -> AttentionPart:
        if len(self.parts) == 1:
            return self.parts[0]
        if not self.parts:
            none = np.zeros(0, np.int32)
            return AttentionPart(
                none, none, np.zeros((0, self.heads), np.float32), np.zeros(0, np.float32)
            )
        return AttentionPart(
            np.concatenate([part.rows for part in self.parts]),
            np.concatenate([part.columns for part in self.parts]),
            np.concatenate([part.values for part in self.parts]),
            np.concatenate([part.coverage for part in self.parts]),
        )

    def _forget_flat(self) -> None:
        if len(self.parts) != 1:
            self._flat = None


_flat: deque[weakref.ref[LevelAttention]] = deque()
_flat_lock = Lock()


def _remember_flat(attention: LevelAttention) -> None:
    """Note that a level was joined, and let go of the joined arrays of those longest ago."""
    with _flat_lock:
        _flat.append(weakref.ref(attention))
        while len(_flat) > FLAT_KEPT:
            oldest = _flat.popleft()()
            if oldest is not None:
                oldest._forget_flat()
