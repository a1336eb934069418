"""What is kept, at which level, under which mask."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_maskvit.errors import ExplainError
from napari_maskvit.explain.lattice import Lattice
from napari_maskvit.explain.plan import Plan, check_masking
from napari_maskvit.explain.planner import make_plan
from napari_maskvit.tissue import TissueMask

LATTICE = Lattice((200, 300), 1.0, 1.0, token_px=8, patch_px=32, region_px=64)
ALL = ("patch", "region", "slide")


def random_mask(seed: int, share: float = 0.1) -> TissueMask:
    random = np.random.default_rng(seed)
    blobs = np.kron(random.random((10, 15)) < share, np.ones((10, 10), np.uint8))
    return TissueMask(blobs.astype(np.uint8), spacing=2.0)


def kept_lattice(plan: Plan) -> np.ndarray:
    """(rows, columns) of the token lattice: kept tokens of kept patches."""
    n, t = plan.lattice.patches_per_side, plan.lattice.tokens_per_side
    picture = np.zeros(plan.lattice.shape("patch"), bool)
    for patch in plan.patches():
        picture[patch.row * t : patch.row * t + t, patch.column * t : patch.column * t + t] = (
            patch.kept
        )
    assert picture.shape == tuple(side * n * t for side in plan.lattice.shape("slide"))
    return picture


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), threshold=st.sampled_from([0.0, 0.1, 0.5, 0.9]))
def test_kept_tokens_are_those_covered_more_than_the_threshold(seed: int, threshold: float) -> None:
    mask = random_mask(seed)
    plan = make_plan(mask, LATTICE, ("patch",), threshold)
    rows, columns = LATTICE.shape("patch")
    coverage = mask.coverage(0, 0, 8.0, rows, columns)
    np.testing.assert_array_equal(kept_lattice(plan), coverage > threshold)


def test_what_lies_past_the_edge_of_the_slide_is_no_tissue():
    """The last pixels of a coarse mask reach beyond the slide; tokens that begin there see none."""
    mask = TissueMask(np.ones((13, 19), np.uint8), spacing=16.0)  # 208 x 304 px
    picture = kept_lattice(make_plan(mask, LATTICE, ALL, 0.0))
    assert picture[:25, :38].all()
    assert picture.sum() == 25 * 38


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), threshold=st.sampled_from([0.0, 0.05, 0.3]))
def test_higher_levels_use_the_true_mean_of_their_tokens(seed: int, threshold: float) -> None:
    mask = random_mask(seed)
    plan = make_plan(mask, LATTICE, ALL, threshold)
    for (row, column), coverage, kept in zip(
        plan.regions, plan.patch_coverage, plan.patch_kept, strict=True
    ):
        exact = mask.coverage(column * 64.0, row * 64.0, 32.0, 2, 2)
        np.testing.assert_allclose(coverage, exact, atol=1e-6)
        clear = np.abs(exact - threshold) > 1e-6
        assert ((exact > threshold) == kept)[clear].all()
    assert (plan.region_coverage > threshold).all()


@pytest.mark.parametrize(
    ("masking", "regions", "patches", "tokens"),
    [
        (ALL, 1, 1, 1),
        (("region", "slide"), 1, 1, 16),
        (("patch", "slide"), 1, 4, 1),
        (("slide",), 1, 4, 64),
        ((), 20, 80, 1280),
    ],
)
def test_each_level_is_masked_for_itself(
    masking: tuple[str, ...], regions: int, patches: int, tokens: int
) -> None:
    array = np.zeros((100, 150), np.uint8)
    array[0, 0] = 1
    plan = make_plan(TissueMask(array, spacing=2.0), LATTICE, masking, 0.0)
    kept = list(plan.patches())
    assert len(plan.regions) == regions
    assert len(kept) == patches
    assert sum(int(patch.kept.sum()) for patch in kept) == tokens


def test_an_empty_mask_keeps_nothing() -> None:
    plan = make_plan(TissueMask(np.zeros((100, 150), np.uint8), 2.0), LATTICE, ALL, 0.0)
    assert list(plan.patches()) == []


def test_one_mask_pixel_changes_only_its_own_patch() -> None:
    mask = random_mask(3, share=0.5)
    changed = mask.array.copy()
    changed[37, 61] ^= 1
    before = {patch.key for patch in make_plan(mask, LATTICE, ALL, 0.0).patches()}
    after = {
        patch.key for patch in make_plan(TissueMask(changed, 2.0), LATTICE, ALL, 0.0).patches()
    }
    assert {key[:2] for key in before ^ after} <= {(37 * 2 // 32, 61 * 2 // 32)}


@pytest.mark.parametrize(
    ("masking", "threshold", "says"),
    [
        (("token",), 0.0, "'token', which is no level"),
        (ALL, -0.1, "threshold is -0.1"),
        (ALL, 1.0, "threshold is 1"),
    ],
)
def test_wrong_masking_is_named(masking: tuple[str, ...], threshold: float, says: str) -> None:
    with pytest.raises(ExplainError, match=says):
        check_masking(masking, threshold)


@pytest.mark.parametrize(
    ("shape", "regions"), [((64, 64), (1, 1)), ((65, 64), (2, 1)), ((1, 200), (1, 4))]
)
def test_regions_cover_the_slide(shape: tuple[int, int], regions: tuple[int, int]) -> None:
    lattice = Lattice(shape, 1.0, 1.0, token_px=8, patch_px=32, region_px=64)
    assert lattice.shape("slide") == regions
    assert lattice.shape("region") == (regions[0] * 2, regions[1] * 2)
