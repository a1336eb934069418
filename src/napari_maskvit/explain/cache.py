"""The bounded memory of an engine: results by content."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

TRIM = 0.95
"""Share of the bound down to which a full cache is emptied, so that it is not full at once."""


@dataclass
class _Entry:
    value: Any
    nbytes: int
    cost: float
    used: int
    needs: tuple[Hashable, ...]
    needed: int = 0


class ResultCache:
    """Results by content, within a bound of memory.

    Where memory runs out, what the latest explanation does not use goes first; of that, what is
    cheapest to compute again for the memory that it frees; of equals, the least recently used. A
    result that another one holds on to frees nothing and stays until that one goes.

    Parameters
    ----------
    max_bytes
        Bound on the memory of all results together.
    fallback
        Another cache to look in, which is left as it is.
    """

    def __init__(self, max_bytes: int, fallback: ResultCache | None = None) -> None:
        self.max_bytes = max_bytes
        self.nbytes = 0
        self._fallback = fallback
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._explanation = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries

    def begin(self) -> None:
        """Another explanation starts: what it does not use is no longer of the latest."""
        self._explanation += 1

    def get(self, key: Hashable) -> Any:
        """The result under a key, now the most recently used; None if it is not here."""
        entry = self._entries.get(key)
        if entry is None:
            return None if self._fallback is None else self._fallback.peek(key)
        entry.used = self._explanation
        self._entries.move_to_end(key)
        return entry.value

    def peek(self, key: Hashable) -> Any:
        """The result under a key, without counting as use; None if it is not here."""
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    def put(
        self,
        key: Hashable,
        value: Any,
        *,
        nbytes: int,
        cost: float,
        needs: Iterable[Hashable] = (),
    ) -> None:
        """Keep a result.

        Parameters
        ----------
        key
            Equal for equal content.
        value
            The result.
        nbytes
            Memory of its own, without that of what it needs.
        cost
            Of computing it again; a token of the patch transformer costs 1.
        needs
            Keys of results that it holds on to.
        """
        old = self._entries.get(key)
        there = tuple(need for need in needs if need in self._entries)
        for need in there:
            self._entries[need].needed += 1
        self._drop(key)
        held = 0 if old is None else old.needed
        self._entries[key] = _Entry(value, nbytes, cost, self._explanation, there, held)
        self.nbytes += nbytes
        if self.nbytes > self.max_bytes:
            self._trim()

    def _trim(self) -> None:
        """Drop until there is some room again."""
        goal = self.max_bytes * TRIM
        while self.nbytes > goal and self._entries:
            free = [
                (entry.used == self._explanation, entry.cost / max(entry.nbytes, 1), age, key)
                for age, (key, entry) in enumerate(self._entries.items())
                if not entry.needed
            ]
            free.sort(key=lambda item: item[:3])
            for *_, key in free:
                self._drop(key)
                if self.nbytes <= goal:
                    break

    def _drop(self, key: Hashable) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self.nbytes -= entry.nbytes
        for need in entry.needs:
            self._entries[need].needed -= 1
