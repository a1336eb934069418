"""Ranks over a slide, carried from one explanation to the next."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_maskvit.explain import LevelAttention, ranking
from napari_maskvit.explain.attention import AttentionPart
from napari_maskvit.explain.ranking import Ranking, rank_picture

PART = 8  # cells along one side of a part, as a region's
WINDOW = 4
SHAPE = (4 * PART, 5 * PART)
HEADS = 3


def part(place: int, seed: int) -> AttentionPart:
    """Some cells of one square of the lattice; values that often tie."""
    random = np.random.default_rng(seed)
    row, column = divmod(place, SHAPE[1] // PART)
    rows, columns = np.nonzero(random.random((PART, PART)) < random.choice([0.2, 0.7, 1.0]))
    values = random.integers(1, random.choice([3, 1000]), (len(rows), HEADS)) / 1024
    return AttentionPart(
        (rows + row * PART).astype(np.int32),
        (columns + column * PART).astype(np.int32),
        values.astype(np.float32),
        np.ones(len(rows), np.float32),
    )


def level(parts: dict[int, AttentionPart]) -> LevelAttention:
    """The level of these parts."""
    return LevelAttention.of_parts(
        "patch", [parts[place] for place in sorted(parts)],
        heads=HEADS, shape=SHAPE, step=16.0, window=WINDOW,
    )  # fmt: skip


def counted(attention: LevelAttention, head: str | int) -> np.ndarray:
    """The definition: for each value, how many are smaller."""
    values = attention.relative(head).astype(np.float32)
    picture = np.full(attention.shape, np.nan)
    shares = (values[None, :] < values[:, None]).mean(axis=1) if len(values) else []
    picture[attention.rows, attention.columns] = shares
    return picture


@pytest.fixture(autouse=True)
def every_level_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "MANY", 0)
    ranking._known.clear()


@settings(max_examples=60, deadline=None)
@given(
    strokes=st.lists(
        st.tuples(
            st.dictionaries(st.integers(0, 19), st.none() | st.integers(0, 10_000), max_size=20),
            st.sampled_from(["mean", "max", 1]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_a_carried_order_gives_the_ranks_of_one_from_scratch(
    strokes: list[tuple[dict[int, int | None], str | int]],
) -> None:
    parts = {place: part(place, place) for place in range(12)}
    timeline = []
    for changes, head in strokes:
        for place, seed in changes.items():
            if seed is None:
                parts.pop(place, None)
            else:
                parts[place] = part(place, seed)
        timeline.append(level(parts))
        np.testing.assert_allclose(
            rank_picture(timeline[-1], head), counted(timeline[-1], head), atol=1e-7
        )
    for attention in timeline:  # as restored from a timeline, in any order
        np.testing.assert_allclose(
            rank_picture(attention, "mean"), counted(attention, "mean"), atol=1e-7
        )


def test_what_is_shared_is_not_sorted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {place: part(place, place) for place in range(20)}
    first = level(parts)
    rank_picture(first, "mean")
    sorted_lengths: list[int] = []
    sort = Ranking.of
    monkeypatch.setattr(
        Ranking,
        "of",
        lambda cells, values: sorted_lengths.append(len(cells)) or sort(cells, values),
    )
    second = level(parts | {7: part(7, 999)})
    rank_picture(second, "mean")
    assert sorted_lengths == [len(second.parts[7])]
    rank_picture(level(parts), "mean")  # an undo
    assert sorted_lengths[1:] == []
    rank_picture(level(parts), "max")  # another head has another order
    assert sorted_lengths[1:] == [len(first)]


def test_few_orders_are_remembered_and_none_of_what_is_gone() -> None:
    parts = {place: part(place, place) for place in range(20)}
    timeline = [level(parts | {3: part(3, seed)}) for seed in range(10)]
    for attention in timeline:
        rank_picture(attention, "mean")
        rank_picture(attention, "mean")
    assert [one.attention() for one in ranking._known] == timeline[-ranking.REMEMBERED :]
    del attention, timeline
    gc.collect()
    rank_picture(level(parts), "mean")
    assert len(ranking._known) == 1


def test_levels_of_other_lattices_or_without_windows_are_sorted_for_themselves() -> None:
    parts = {place: part(place, place) for place in range(20)}
    patch = level(parts)
    whole = LevelAttention.of_parts(
        "patch", patch.parts, heads=HEADS, shape=SHAPE, step=16.0, window=None
    )
    rank_picture(patch, "mean")
    np.testing.assert_allclose(rank_picture(whole, "mean"), counted(whole, "mean"), atol=1e-7)
    fewer = LevelAttention.of_parts(
        "patch", patch.parts[:-1], heads=HEADS, shape=SHAPE, step=16.0, window=None
    )
    np.testing.assert_allclose(rank_picture(fewer, "mean"), counted(fewer, "mean"), atol=1e-7)
