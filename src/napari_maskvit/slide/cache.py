"""Decoded tiles, kept while there is room for them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Key = tuple[int, int, int]

DEFAULT_CACHE_BYTES = 512 << 20


class Tile(NamedTuple):
    """One decoded tile.

    Attributes
    ----------
    pixels
        RGB, shape (rows, columns, 3), uint8, or None where the tile is white throughout.
    valid
        Which pixels were decoded: True (all), False (none) or an array (rows, columns).
    """

    pixels: NDArray[np.uint8] | None
    valid: NDArray[np.bool_] | bool = True

    @property
    def nbytes(self) -> int:
        """Memory that the tile holds."""
        pixels = 0 if self.pixels is None else self.pixels.nbytes
        return 64 + pixels + (self.valid.nbytes if isinstance(self.valid, np.ndarray) else 0)


EMPTY = Tile(None)
UNDECODABLE = Tile(None, valid=False)


class TileCache:
    """A least-recently-used store of decoded tiles with a limit in bytes; safe for threads.

    Threads that ask for the same missing tile at the same time decode it once. The latest tile
    is kept even where it alone is over the limit.

    Parameters
    ----------
    limit
        Most bytes of decoded tiles to hold.
    """

    def __init__(self, limit: int = DEFAULT_CACHE_BYTES) -> None:
        self.limit = int(limit)
        self._lock = threading.Lock()
        self._tiles: OrderedDict[Key, Tile] = OrderedDict()
        self._pinned: dict[Key, Tile] = {}
        self._pending: dict[Key, Future[Tile]] = {}
        self._nbytes = 0
        self._decoded: set[Key] = set()
        self._decoded_count = 0

    def get(self, key: Key, decode: Callable[[], Tile], *, pin: bool = False) -> Tile:
        """Return the tile under `key`, decoding it where it is not held.

        Parameters
        ----------
        key
            (level, row, column) of the tile.
        decode
            Called without arguments, outside the lock, when the tile is missing.
        pin
            Keep the tile whatever else is read; for the few tiles that cost a whole slide.
        """
        with self._lock:
            tile = self._tiles.get(key)
            if tile is not None:
                self._tiles.move_to_end(key)
                return tile
            if self._pinned and (tile := self._pinned.get(key)) is not None:
                return tile
            pending = self._pending.get(key)
            if pending is None:
                mine = self._pending[key] = Future()
        if pending is not None:
            return pending.result()
        try:
            tile = decode()
        except BaseException as error:
            with self._lock:
                del self._pending[key]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._pending[key]
            self._store(key, tile, pin)
        mine.set_result(tile)
        return tile

    def _store(self, key: Key, tile: Tile, pin: bool) -> None:
        if pin:
            self._pinned[key] = tile
            return
        self._tiles[key] = tile
        self._nbytes += tile.nbytes
        while self._nbytes > self.limit and len(self._tiles) > 1:
            _, oldest = self._tiles.popitem(last=False)
            self._nbytes -= oldest.nbytes

    def count(self, key: Key) -> None:
        """Note that the file's tile `key` was decoded, or tried."""
        with self._lock:
            self._decoded.add(key)
            self._decoded_count += 1

    def clear(self) -> None:
        """Forget every decoded tile; what was ever decoded stays known."""
        with self._lock:
            self._tiles.clear()
            self._pinned.clear()
            self._nbytes = 0

    def __len__(self) -> int:
        return len(self._tiles) + len(self._pinned)

    def __contains__(self, key: Key) -> bool:
        return key in self._tiles or key in self._pinned

    @property
    def nbytes(self) -> int:
        """Bytes of decoded tiles held now."""
        return self._nbytes + sum(tile.nbytes for tile in list(self._pinned.values()))

    @property
    def decoded_count(self) -> int:
        """How many times a tile of the file was decoded."""
        return self._decoded_count

    @property
    def decoded(self) -> frozenset[Key]:
        """(level, row, column) of each tile of the file that was ever decoded."""
        with self._lock:
            return frozenset(self._decoded)
