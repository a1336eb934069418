"""The fine window: cut, changed, and written back by what covers most of each pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_maskvit.errors import MaskError
from napari_maskvit.tissue import TissueMask
from napari_maskvit.tissue.window import FineWindow


def window(shape=(30, 40), factor=4, box=(slice(5, 15), slice(10, 30))):
    rng = np.random.default_rng(0)
    mask = TissueMask(rng.integers(0, 6, shape).astype(np.uint8), 2.0)
    return mask, FineWindow(box, factor, 2.0 / factor)


@pytest.mark.parametrize(
    ("slide_um", "mask_um", "centre", "box", "factor"),
    [
        (0.5, 2.0, (500.0, 600.0), (slice(0, 480), slice(0, 600)), 4),
        (1.0, 2.0, (0.0, 0.0), (slice(0, 480), slice(0, 600)), 2),
        (0.499, 2.0, (9e9, 9e9), (slice(0, 480), slice(0, 600)), 5),
    ],
)
def test_the_window_lies_on_the_mask(blank, slide_um, mask_um, centre, box, factor):
    slide = blank(int(1200 / slide_um), int(960 / slide_um), slide_um)
    mask = TissueMask(np.zeros((480, 600), np.uint8), mask_um)
    found = FineWindow.around(slide, mask, centre)
    assert (found.box, found.factor) == (box, factor)
    assert found.spacing <= slide_um + 1e-9


def test_the_window_keeps_to_its_size_and_moves_in_from_the_border(blank):
    slide = blank(1200, 960, 1.0)
    mask = TissueMask(np.zeros((480, 600), np.uint8), 2.0)
    for centre, box in (
        ((500.0, 600.0), (slice(186, 314), slice(236, 364))),
        ((0.0, 1200.0), (slice(0, 128), slice(472, 600))),
    ):
        found = FineWindow.around(slide, mask, centre, side=256)
        assert found.box == box
        assert found.shape == (256, 256)
        assert found.corner_um == (2.0 * box[0].start, 2.0 * box[1].start)


def test_a_mask_as_fine_as_the_slide_needs_no_window(blank):
    with pytest.raises(MaskError, match="directly"):
        FineWindow.around(
            blank(300, 300, 2.0), TissueMask(np.zeros((300, 300), np.uint8), 2.0), (1, 1)
        )


def test_what_was_not_touched_stays():
    mask, fine = window()
    cut = fine.cut(mask)
    assert cut.shape == fine.shape == (40, 80)
    assert fine.edit(mask, cut, cut.copy()).is_empty
    later = np.array(mask.array)
    later[8, 12] = (later[8, 12] + 1) % 6
    assert fine.edit(TissueMask(later, 2.0), cut, cut.copy()).is_empty


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([2, 3, 4]))
def test_each_pixel_becomes_what_covers_most_of_it(seed, factor):
    rng = np.random.default_rng(seed)
    mask, fine = window(factor=factor)
    cut = fine.cut(mask)
    changed = np.where(rng.random(cut.shape) < 0.5, rng.integers(0, 3, cut.shape), cut)
    changed = changed.astype(np.uint8)
    after = fine.edit(mask, cut, changed).applied(mask).array
    outside = np.ones(mask.shape, bool)
    outside[fine.box] = False
    np.testing.assert_array_equal(after[outside], mask.array[outside])
    for row in range(10):
        for column in range(20):
            block = changed[
                row * factor : (row + 1) * factor, column * factor : (column + 1) * factor
            ]
            counts = np.bincount(block.ravel(), minlength=6)
            was, now = mask.array[fine.box][row, column], after[fine.box][row, column]
            assert counts[now] == counts.max()
            if counts[was] == counts.max():
                assert now == was
