"""Plans of one mask after the other: the same as from scratch, at the cost of what changed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_maskvit.explain.cache import ResultCache
from napari_maskvit.explain.lattice import Lattice
from napari_maskvit.explain.plan import Plan
from napari_maskvit.explain.planner import Planner, make_plan
from napari_maskvit.tissue import TissueMask

LATTICE = Lattice((200, 300), 1.0, 1.0, token_px=8, patch_px=32, region_px=64)
ALL = ("patch", "region", "slide")
SIDE = 2.3


def assert_same(left: Plan, right: Plan) -> None:
    np.testing.assert_array_equal(left.regions, right.regions)
    np.testing.assert_array_equal(left.token_coverage, right.token_coverage)
    np.testing.assert_array_equal(left.token_kept, right.token_kept)
    np.testing.assert_array_equal(left.patch_kept, right.patch_kept)
    assert [patch.key for patch in left.patches()] == [patch.key for patch in right.patches()]


STROKE = st.tuples(
    st.integers(0, 90), st.integers(0, 130), st.integers(1, 40), st.integers(1, 40),
    st.sampled_from([0, 1, 1, 2]),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    strokes=st.lists(STROKE, min_size=1, max_size=6),
    masking=st.sampled_from([ALL, ("patch", "slide"), ("region",), ()]),
    threshold=st.sampled_from([0.0, 0.3]),
    shift=st.sampled_from([(0, 0), (5, 20)]),
)
def test_following_strokes_plans_as_from_scratch(
    strokes: list[tuple[int, int, int, int, int]],
    masking: tuple[str, ...],
    threshold: float,
    shift: tuple[int, int],
) -> None:
    lattice = Lattice((200, 300), 1.0, 1.0, 8, 32, 64, shift)
    planner = Planner(lattice, masking, threshold, ResultCache(1 << 20))
    array = np.zeros((87, 131), np.uint8)
    for row, column, height, width, label in strokes:
        array[row : row + height, column : column + width] = label
        # The same array again: what was painted must be seen although the owner is the same.
        mask = TissueMask(array, SIDE)
        assert_same(planner.plan(mask), make_plan(mask, lattice, masking, threshold))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.02, 0.5, 1.0]))
def test_coverage_of_a_region_is_that_of_the_mask(seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    mask = TissueMask((random.random((87, 131)) < share).astype(np.uint8), SIDE)
    plan = make_plan(mask, LATTICE, ("patch",), 0.0)
    for (row, column), tokens in zip(plan.regions, plan.token_coverage, strict=True):
        exact = mask.coverage(column * 64.0, row * 64.0, 8.0, 8, 8)
        # The mask reaches 0.1 and 1.3 px past a slide of 25 by 37.5 tokens.
        exact[max(0, 25 - row * 8) :] = 0
        exact[:, max(0, 38 - column * 8) :] = 0
        np.testing.assert_array_equal(tokens.transpose(0, 2, 1, 3).reshape(8, 8), exact)


def test_what_a_stroke_left_alone_is_the_same_object() -> None:
    array = np.ones((100, 150), np.uint8)
    planner = Planner(LATTICE, ALL, 0.0, ResultCache(1 << 20))
    before = planner.plan(TissueMask(array, 2.0))
    painted = array.copy()
    painted[40:44, 40:44] = 0
    after = planner.plan(TissueMask(painted, 2.0))
    changed = [
        one for one, other in zip(before.parts, after.parts, strict=True) if one is not other
    ]
    assert [(part.row, part.column) for part in changed] == [(1, 1)]
    undone = planner.plan(TissueMask(array, 2.0))
    assert all(one is other for one, other in zip(before.parts, undone.parts, strict=True))


@pytest.mark.parametrize("shift", [(0, 0), (8, 16), (3, 61)])
def test_a_shifted_lattice_covers_the_same_tissue(shift: tuple[int, int]) -> None:
    random = np.random.default_rng(5)
    mask = TissueMask((random.random((100, 150)) < 0.1).astype(np.uint8), 2.0)
    plan = make_plan(mask, Lattice((200, 300), 1.0, 1.0, 8, 32, 64, shift), ALL, 0.0)
    assert plan.covered * 8.0**2 == pytest.approx(mask.area_mm2 * 1e6, rel=1e-6)
