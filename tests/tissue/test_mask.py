"""What a mask is, what it refuses, and how two masks compare."""

from __future__ import annotations

import numpy as np
import pytest

from napari_maskvit.errors import MaskError
from napari_maskvit.tissue import TissueMask


def test_area_and_fraction_count_tissue_alone():
    array = np.zeros((100, 50), np.uint8)
    array[:10, :10] = 1
    array[50:, :] = 2
    mask = TissueMask(array, 8.0)
    assert mask.area_mm2 == pytest.approx(100 * 64e-6)
    assert mask.fraction == pytest.approx(0.02)
    assert mask.size_um == (800.0, 400.0)
    assert not mask.is_empty
    assert mask.tissue.sum() == 100


def test_the_array_is_shared_and_read_only():
    array = np.zeros((4, 4), np.uint8)
    mask = TissueMask(array, 4.0)
    assert np.shares_memory(mask.array, array)
    assert array.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        mask.array[0, 0] = 1


def test_booleans_are_a_mask():
    mask = TissueMask(np.eye(3, dtype=bool), 2.0)
    assert mask.array.dtype == np.uint8
    assert mask.tissue.sum() == 3


@pytest.mark.parametrize(
    ("array", "spacing", "message"),
    [
        (np.zeros((2, 2, 3), np.uint8), 4.0, "3-dimensional uint8"),
        (np.zeros((2, 2), np.float32), 4.0, "float32"),
        (np.zeros((2, 2), np.uint8), 0.0, "spacing of 0"),
        (np.zeros((2, 2), np.uint8), float("nan"), "spacing of nan"),
        (np.zeros((2, 2), np.uint8), float("inf"), "spacing of inf"),
    ],
)
def test_what_is_no_mask_is_refused(array, spacing, message):
    with pytest.raises(MaskError, match=message):
        TissueMask(array, spacing, name="core 3")


def test_difference_tells_added_from_removed():
    before, now = np.zeros((20, 30), np.uint8), np.zeros((20, 30), np.uint8)
    before[2:4, 5:9] = 1
    now[3:6, 5:9] = 1
    change = TissueMask(now, 10.0).difference(TissueMask(before, 10.0))
    assert change.added_mm2 == pytest.approx(8e-4)
    assert change.removed_mm2 == pytest.approx(4e-4)
    assert change.box == (slice(2, 6), slice(5, 9))
    assert not change.is_empty
    same = TissueMask(now, 10.0).difference(TissueMask(now, 10.0))
    assert same.is_empty
    assert same.box is None


def test_masks_of_different_shape_do_not_compare():
    with pytest.raises(MaskError, match="cannot be compared"):
        TissueMask(np.zeros((2, 2), np.uint8), 4.0).difference(
            TissueMask(np.zeros((2, 3), np.uint8), 4.0)
        )
