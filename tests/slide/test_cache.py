"""The tile cache: bounded, shared, and decoding each tile once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_maskvit.slide.cache import EMPTY, Tile, TileCache


def tile(value: int, side: int = 10) -> Tile:
    return Tile(np.full((side, side, 3), value, np.uint8))


@given(st.lists(st.integers(0, 12), max_size=60), st.integers(1, 2000))
def test_never_over_its_limit_but_for_the_latest(keys, limit):
    cache = TileCache(limit)
    for key in keys:
        assert cache.get((0, 0, key), lambda key=key: tile(key)).pixels[0, 0, 0] == key
        assert cache.nbytes <= max(limit, tile(0).nbytes)
        assert (0, 0, key) in cache


def test_the_least_recently_used_goes_first():
    cache = TileCache(2 * tile(0).nbytes)
    for key in (1, 2, 1, 3):
        cache.get((0, 0, key), lambda key=key: tile(key))
    assert (0, 0, 1) in cache
    assert (0, 0, 2) not in cache
    assert len(cache) == 2


def test_pinned_tiles_stay():
    cache = TileCache(1)
    cache.get((3, 0, 0), lambda: tile(9), pin=True)
    for key in range(5):
        cache.get((0, 0, key), lambda key=key: tile(key))
    assert cache.get((3, 0, 0), lambda: pytest.fail("made again")).pixels[0, 0, 0] == 9


def test_threads_that_want_the_same_tile_decode_it_once():
    cache, calls, together = TileCache(), [], threading.Barrier(8)

    def decode() -> Tile:
        calls.append(threading.get_ident())
        threading.Event().wait(0.05)
        return tile(4)

    def ask(_) -> Tile:
        together.wait()
        return cache.get((0, 0, 0), decode)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert len(calls) == 1
    assert all(each is found[0] for each in found)


def test_a_failure_reaches_all_who_wait_and_is_not_kept():
    cache, started = TileCache(), threading.Event()

    def fail() -> Tile:
        started.set()
        threading.Event().wait(0.05)
        raise MemoryError("no room")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, (0, 0, 0), fail)
        started.wait()
        second = pool.submit(cache.get, (0, 0, 0), fail)
        for each in (first, second):
            with pytest.raises(MemoryError):
                each.result()
    assert cache.get((0, 0, 0), lambda: EMPTY) is EMPTY


def test_counts_what_was_decoded():
    cache = TileCache()
    for _ in range(2):
        cache.count((0, 1, 2))
    assert cache.decoded_count == 2
    assert cache.decoded == {(0, 1, 2)}
