"""A bounded memory: what the latest explanation does not use and is cheap goes first."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_maskvit.explain import Explainer
from napari_maskvit.explain.cache import ResultCache
from napari_maskvit.model import Model
from napari_maskvit.slide import Slide
from napari_maskvit.tissue import TissueMask


def filled(costs: dict[str, float], nbytes: int = 10) -> ResultCache:
    cache = ResultCache(nbytes * len(costs) + 2)
    for key, cost in costs.items():
        cache.put(key, key.upper(), nbytes=nbytes, cost=cost)
    return cache


def there(cache: ResultCache, keys: Iterable[str]) -> str:
    return "".join(key for key in keys if key in cache)


def test_the_cheapest_for_its_memory_goes_first() -> None:
    cache = filled({"a": 5, "b": 1, "c": 3})
    cache.put("d", "D", nbytes=20, cost=40)
    assert there(cache, "abcd") == "ad"
    assert cache.nbytes == 30


def test_of_equals_the_least_recently_used_goes_first() -> None:
    cache = filled({"a": 1, "b": 1, "c": 1})
    assert cache.get("a") == "A"
    cache.put("d", "D", nbytes=10, cost=1)
    assert there(cache, "abcd") == "acd"


def test_what_the_latest_explanation_uses_goes_last() -> None:
    cache = filled({"a": 1, "b": 9, "c": 9})
    cache.begin()
    assert cache.get("a") == "A"
    cache.put("d", "D", nbytes=10, cost=1)
    assert there(cache, "abcd") == "acd"


def test_what_another_result_holds_on_to_stays_until_that_goes() -> None:
    cache = ResultCache(100)
    cache.put("patch", 1, nbytes=60, cost=0.1)
    cache.put("region", 2, nbytes=30, cost=9, needs=["patch"])
    cache.put("more", 3, nbytes=20, cost=90)
    assert there(cache, ["patch", "region", "more"]) == "patchmore"
    cache.put("even more", 4, nbytes=70, cost=900)
    assert there(cache, ["patch", "more", "even more"]) == "moreeven more"
    assert cache.nbytes == 90


@settings(max_examples=80, deadline=None)
@given(
    puts=st.lists(
        st.tuples(
            st.integers(0, 12), st.integers(1, 60), st.floats(0, 10),
            st.lists(st.integers(0, 12), max_size=3), st.booleans(),
        ),
        max_size=60,
    )
)  # fmt: skip
def test_the_bound_holds_and_nothing_is_lost_count_of(puts) -> None:
    cache = ResultCache(150)
    sizes = {}
    for key, nbytes, cost, needs, begin in puts:
        if begin:
            cache.begin()
        needs = [need for need in needs if need > key]
        cache.put(key, nbytes, nbytes=nbytes, cost=cost, needs=needs)
        sizes[key] = nbytes
        assert cache.nbytes <= 150
        assert cache.nbytes == sum(sizes[key] for key in range(13) if key in cache)


def test_a_fallback_is_read_and_left_alone() -> None:
    below = filled({"a": 1, "b": 1})
    cache = ResultCache(100, fallback=below)
    assert cache.get("a") == "A"
    assert "a" not in cache
    cache.put("c", "C", nbytes=10, cost=1)
    assert "c" not in below
    assert cache.get("nothing") is None


def test_a_session_of_200_strokes_does_not_grow(
    slide: Slide, model: Model, mask: TissueMask
) -> None:
    whole = Explainer(slide, model)
    whole.explain(mask)
    bound = int(whole.cache.nbytes * 1.5)
    explainer = Explainer(slide, model, cache_bytes=bound)
    # The slide's own cache of tiles is another matter: it is filled before.
    slide.read_region(0, 0, 700, 500)
    random = np.random.default_rng(0)
    held, traced = [], {}
    # Numbers of our own could forget what they do not count: Python's tell what is really held.
    tracemalloc.start()
    try:
        for count in range(200):
            array = mask.array.copy()
            row, column = random.integers(0, 110), random.integers(0, 160)
            array[row : row + 12, column : column + 12] = random.integers(0, 2)
            explainer.explain(TissueMask(array, mask.spacing))
            assert explainer.cache.nbytes <= bound
            held.append(explainer.nbytes)
            if count in (99, 199):
                gc.collect()
                traced[count] = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert max(held[100:]) < 1.1 * max(held[:100])
    assert traced[199] < 1.2 * traced[99]
    assert traced[199] < 2.5 * max(held)


def test_a_roomy_cache_computes_nothing_twice(slide: Slide, model: Model, mask: TissueMask) -> None:
    explainer = Explainer(slide, model)
    seen = set()
    random = np.random.default_rng(1)
    array = mask.array.copy()
    for _ in range(20):
        row, column = random.integers(0, 110), random.integers(0, 160)
        array[row : row + 12, column : column + 12] = random.integers(0, 2)
        stroke = TissueMask(array, mask.spacing)
        keys = {patch.key for patch in explainer.plan(stroke).patches()}
        assert explainer.explain(stroke).statistics.computed_patches == len(keys - seen)
        seen |= keys
