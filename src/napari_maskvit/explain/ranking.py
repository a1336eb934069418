"""Ranks over a whole slide, carried from one explanation to the next: a stroke moves few values."""

from __future__ import annotations

import weakref
from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.explain.attention import LevelAttention

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain.attention import AttentionPart, Head

MANY = 1 << 14
"""Positions from which on an order is remembered; fewer are sorted sooner than looked up."""

REMEMBERED = 4
"""Orders of that many levels, those ranked last."""

SHARED = 0.5
"""Share of a level that an order must hold to be carried on; for less, sorting anew is as quick."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """The kept positions of a level in the order of their relative attention.

    Parameters
    ----------
    cells
        (K,) row-major places in the level's lattice.
    values
        (K,) their values, none smaller than the one before.
    """

    cells: NDArray[np.int32]
    values: NDArray[np.float32]

    @classmethod
    def of(cls, cells: NDArray[np.int32], values: NDArray[np.float32]) -> Ranking:
        """Sort positions that are in any order; no value may be negative."""
        # Bits of such numbers sort as the numbers do. Packed with its cell into one integer, each
        # is sorted without following an index, several times as fast.
        packed = values.view(np.uint32).astype(np.uint64)
        packed <<= np.uint64(32)
        packed |= cells.view(np.uint32)
        packed.sort()
        sorted_cells = (packed & np.uint64(0xFFFFFFFF)).astype(np.int32)
        packed >>= np.uint64(32)
        return cls(sorted_cells, packed.astype(np.uint32).view(np.float32))

    def __len__(self) -> int:
        return len(self.cells)

    def picture(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """(rows, columns) share of the values strictly smaller, in [0, 1); NaN elsewhere."""
        first = np.arange(len(self), dtype=np.int32)
        first[1:][self.values[1:] == self.values[:-1]] = 0
        np.maximum.accumulate(first, out=first)
        picture = np.full(shape, np.nan, np.float32)
        picture.reshape(-1)[self.cells] = np.divide(first, len(self), dtype=np.float32)
        return picture

    def changed(self, gone: NDArray[np.int32], come: Ranking, cells: int) -> Ranking:
        """Without some cells and with others, of a lattice of so many ``cells``."""
        there = np.ones(cells, bool)
        there[gone] = False
        stays = there[self.cells]
        kept_cells, kept_values = self.cells[stays], self.values[stays]
        places = np.searchsorted(kept_values, come.values)
        return Ranking(
            np.insert(kept_cells, places, come.cells), np.insert(kept_values, places, come.values)
        )


def rank_picture(attention: LevelAttention, head: Head) -> NDArray[np.float32]:
    """(rows, columns) share of the slide's relative values strictly smaller; NaN on background.

    Values that float32 cannot tell apart are equal. What a level shares with one that was ranked
    before is not sorted again.
    """
    if len(attention) < MANY:
        return _sorted(attention, head).picture(attention.shape)
    known = _recall(attention, head)
    ranking = _sorted(attention, head) if known is None else _carried(*known, attention, head)
    _remember(attention, head, ranking)
    return ranking.picture(attention.shape)


def _sorted(attention: LevelAttention, head: Head) -> Ranking:
    return Ranking.of(attention.cells, attention.relative(head).astype(np.float32))


def _carried(
    before: LevelAttention, ranking: Ranking, attention: LevelAttention, head: Head
) -> Ranking:
    """The order of a level from that of one that shares parts with it."""
    old, new = set(map(id, before.parts)), set(map(id, attention.parts))
    gone = attention.with_parts([part for part in before.parts if id(part) not in new])
    come = attention.with_parts([part for part in attention.parts if id(part) not in old])
    if not len(gone) and not len(come):
        return ranking
    return ranking.changed(gone.cells, _sorted(come, head), attention.shape[0] * attention.shape[1])


@dataclass(frozen=True, eq=False)
class _Known:
    """An order, and the level that it is of."""

    attention: weakref.ref[LevelAttention]
    head: Head
    ranking: Ranking


_known: deque[_Known] = deque(maxlen=REMEMBERED)
_lock = Lock()


def _remember(attention: LevelAttention, head: Head, ranking: Ranking) -> None:
    with _lock:
        there = [one for one in _known if one.attention() not in (None, attention)]
        there += [one for one in _known if one.attention() is attention and one.head != head]
        _known.clear()
        _known.extend([*there, _Known(weakref.ref(attention), head, ranking)])


def _recall(attention: LevelAttention, head: Head) -> tuple[LevelAttention, Ranking] | None:
    """What shares most with a level, if it shares enough."""
    with _lock:
        known = [(one.attention(), one.ranking) for one in _known if one.head == head]
    best: tuple[LevelAttention, Ranking] | None = None
    most = SHARED * len(attention)
    for before, ranking in known:
        if before is not None and _alike(before, attention):
            shared = _shared(before.parts, attention.parts)
            if shared >= most:
                best, most = (before, ranking), shared
    return best


def _alike(one: LevelAttention, other: LevelAttention) -> bool:
    """Whether values of the two can be compared: a window of a part lies in it whole."""
    return one.window is not None and (one.level, one.window, one.shape, one.heads) == (
        other.level,
        other.window,
        other.shape,
        other.heads,
    )


def _shared(one: tuple[AttentionPart, ...], other: tuple[AttentionPart, ...]) -> int:
    """Positions in parts that both have."""
    mine = set(map(id, one))
    return sum(len(part) for part in other if id(part) in mine)
