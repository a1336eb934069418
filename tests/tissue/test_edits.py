"""Whole-mask corrections: properties that hold for any mask, in tiles as in one piece."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_maskvit.tissue import TissueMask
from napari_maskvit.tissue.edits import (
    Edit,
    between,
    grown,
    holes_filled,
    painted,
    shrunk,
    smoothed,
    specks_dropped,
)
from napari_maskvit.tissue.kinds import EXCLUDED, excluded_areas

SPACING = 4.0
EDITS = {
    "grown": lambda mask, tile: grown(mask, 14.0, tile=tile),
    "shrunk": lambda mask, tile: shrunk(mask, 14.0, tile=tile),
    "smoothed": lambda mask, tile: smoothed(mask, 20.0, tile=tile),
}


def blobs(seed: int, shape: tuple[int, int] = (90, 120), kinds: bool = False) -> TissueMask:
    """Smooth random blobs with holes and specks, with excluded kinds here and there."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.standard_normal(shape), rng.uniform(0.7, 5))
    array = (field > rng.uniform(-0.5, 0.5) * field.std()).astype(np.uint8)
    if kinds:
        where = ndimage.gaussian_filter(rng.standard_normal(shape), 3)
        array[where > 1.3 * where.std()] = rng.integers(2, 6)
    return TissueMask(array, SPACING)


masks = st.builds(blobs, st.integers(0, 10_000), kinds=st.booleans())


@settings(max_examples=40, deadline=None)
@given(masks, st.sampled_from([0.0, 4.0, 5.7, 9.0, 20.0]))
def test_growing_then_shrinking_contains_the_original(mask, um):
    there = grown(mask, um).applied(mask)
    back = shrunk(there, um).applied(there)
    assert not (mask.tissue & ~there.tissue).any()
    assert not (mask.tissue & ~back.tissue).any()
    assert not (back.tissue & ~there.tissue).any()


@settings(max_examples=20, deadline=None)
@given(masks, st.sampled_from([6.0, 12.0, 25.0]))
def test_grown_tissue_is_what_lies_within_the_distance(mask, um):
    after = grown(mask, um).applied(mask)
    distance = ndimage.distance_transform_edt(~mask.tissue) * SPACING
    expected = (mask.array == 1) | ((mask.array == 0) & (distance <= um + 1e-6))
    np.testing.assert_array_equal(after.tissue, expected)


@settings(max_examples=30, deadline=None)
@given(masks, st.sampled_from(sorted(EDITS)), st.sampled_from([7, 16, 33, 64]))
def test_tiles_leave_no_seam(mask, name, tile):
    whole = EDITS[name](mask, 10_000).applied(mask)
    tiled = EDITS[name](mask, tile).applied(mask)
    np.testing.assert_array_equal(tiled.array, whole.array)


@settings(max_examples=30, deadline=None)
@given(masks, st.sampled_from([100.0, 400.0, 3000.0]), st.sampled_from([5, 17, 1000]))
def test_pieces_are_those_of_the_whole_picture(mask, um2, band):
    from napari_maskvit.tissue.pieces import small_pieces

    for where, spare in ((mask.tissue, False), (~mask.tissue, True)):
        labels, count = ndimage.label(where)
        small = np.bincount(labels.ravel(), minlength=count + 1) < um2 / SPACING**2
        if spare:
            for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
                small[side] = False
        small[0] = False
        found = np.zeros(mask.shape, bool)
        pieces = small_pieces(
            lambda rows, where=where: where[rows],
            len(where),
            um2 / SPACING**2,
            spare_border=spare,
            band=band,
        )
        for rows, part in pieces:
            found[rows] = part
        np.testing.assert_array_equal(found, small[labels])


@settings(max_examples=30, deadline=None)
@given(masks, st.sampled_from([200.0, 2000.0]))
def test_filling_and_dropping(mask, um2):
    filled = holes_filled(mask, um2).applied(mask)
    dropped = specks_dropped(mask, um2).applied(mask)
    assert not (mask.tissue & ~filled.tissue).any()
    assert not (dropped.tissue & ~mask.tissue).any()
    assert specks_dropped(dropped, um2).is_empty
    assert holes_filled(mask, 0).is_empty
    assert specks_dropped(mask, 0).is_empty


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(sorted(EDITS)))
def test_excluded_kinds_stay(seed, name):
    mask = blobs(seed, kinds=True)
    for edit in (EDITS[name](mask, 50), holes_filled(mask, 1e9), specks_dropped(mask, 1e9)):
        after = edit.applied(mask)
        kinds = mask.array > 1
        np.testing.assert_array_equal(after.array[kinds], mask.array[kinds])
        assert after.array[~kinds].max(initial=0) <= 1


def test_a_hole_is_closed_and_the_glass_outside_is_not():
    array = np.zeros((40, 40), np.uint8)
    array[8:32, 8:32] = 1
    array[14:18, 14:18] = 0  # 16 pixels
    array[20:28, 20:28] = 0  # 64 pixels
    array[22, 22] = 3
    mask = TissueMask(array, SPACING)
    after = holes_filled(mask, 17 * SPACING**2).applied(mask)
    assert after.array[15, 15] == 1
    assert after.array[24, 24] == 0
    after = holes_filled(mask, 65 * SPACING**2).applied(mask)
    assert after.array[24, 24] == 1
    assert after.array[22, 22] == 3
    assert after.array[0, 0] == 0


def test_smoothing_evens_out_a_comb_and_leaves_the_straight_edge():
    array = np.zeros((60, 80), np.uint8)
    array[30:] = 1
    straight = TissueMask(array.copy(), SPACING)
    array[26:30, ::2] = 1
    comb = TissueMask(array, SPACING)
    assert smoothed(straight, 24.0).is_empty
    after = smoothed(comb, 24.0).applied(comb)
    edges = after.array.argmax(axis=0)[10:-10]
    assert np.ptp(edges) == 0


def test_kinds_never_change_coverage():
    """For a model a fold is glass: coverage depends on the tissue alone."""
    rng = np.random.default_rng(3)
    for seed in range(8):
        mask = blobs(seed, kinds=True)
        plain = np.where(mask.array == 1, 1, 0).astype(np.uint8)
        other = np.where(mask.array == 1, 1, rng.choice([0, 2, 3, 4, 5], mask.shape))
        expected = TissueMask(plain, SPACING).coverage(3.0, 5.0, 32.0, 12, 14)
        for array in (mask.array.copy(), other.astype(np.uint8)):
            found = TissueMask(array, SPACING).coverage(3.0, 5.0, 32.0, 12, 14)
            np.testing.assert_array_equal(found, expected)


def test_an_edit_changes_what_it_says_and_no_more():
    mask, other = blobs(1), blobs(2)
    edit = between(mask, other, "replaced")
    np.testing.assert_array_equal(edit.applied(mask).array, other.array)
    box = (slice(10, 30), slice(20, 50))
    where = np.zeros((20, 30), bool)
    where[4:9, 2:7] = True
    for kind in EXCLUDED:
        edit = painted(mask, box, where, kind.value, "marked")
        assert edit.box == (slice(14, 19), slice(22, 27))
        after = edit.applied(mask)
        assert excluded_areas(after.array, SPACING) == {kind.name: pytest.approx(25 * 16e-6)}
        again = painted(after, box, where, kind.value, "marked")
        assert again.is_empty
        assert again.box is None
    assert Edit("nothing", ()).applied(mask).array.tobytes() == mask.array.tobytes()


def test_memory_stays_below_the_mask_s_own():
    """What an edit of a mask of 36 million pixels needs beside it."""
    array = np.zeros((6000, 6000), np.uint8)
    array[500:5500, 500:5500] = 1
    array[600:5400:40, 600:5400:40] = 0
    mask = TissueMask(array, SPACING)
    for edit in (lambda: grown(mask, 20.0), lambda: holes_filled(mask, 100.0)):
        tracemalloc.start()
        made = edit()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert not made.is_empty
        assert peak < 160e6  # a label or a distance for each pixel would be 144 to 288 MB alone
