"""What looks like a place: connected, within reach, more with more tolerance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_maskvit.errors import MaskError
from napari_maskvit.tissue import TissueMask, segment_tissue
from napari_maskvit.tissue.likeness import Likeness

SPACING = 2.0  # of slide and mask
PINK, PURPLE, GLASS = (214, 160, 190), (130, 90, 160), (240, 240, 240)


@pytest.fixture
def scene(make_slide):
    """Two discs of pink and one of purple on glass, each a little noisy."""
    rng = np.random.default_rng(0)
    pixels = np.full((400, 500, 3), GLASS, float)
    y, x = np.mgrid[:400, :500]
    for centre, radius, colour in (
        ((120, 130), 70, PINK),
        ((120, 360), 60, PINK),
        ((290, 250), 70, PURPLE),
    ):
        where = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2
        pixels[where] = colour
    pixels += rng.normal(0, 5, pixels.shape)
    slide = make_slide(pixels, SPACING)
    return slide, TissueMask(np.zeros((400, 500), np.uint8), SPACING)


def um(row, column):
    return (row + 0.5) * SPACING, (column + 0.5) * SPACING


def inside(likeness, tolerance, row, column):
    rows, columns = likeness.box
    if not (rows.start <= row < rows.stop and columns.start <= column < columns.stop):
        return False
    return bool(likeness.selection(tolerance)[row - rows.start, column - columns.start])


def test_a_click_selects_the_piece_it_hits_and_no_other(scene):
    slide, mask = scene
    likeness = Likeness.of(slide, mask, [um(120, 130)], 1000.0)
    assert inside(likeness, 3.0, 120, 130)
    assert inside(likeness, 3.0, 120, 75)
    assert not inside(likeness, 3.0, 120, 360), "alike, but beyond the glass"
    assert not inside(likeness, 3.0, 290, 250)
    assert not inside(likeness, 3.0, 20, 20)
    disc = np.pi * 70**2
    assert 0.75 * disc < likeness.selection(3.0).sum() < 1.05 * disc


@pytest.mark.parametrize("radius", [30.0, 80.0, 140.0])
def test_nothing_lies_beyond_the_radius(scene, radius):
    slide, mask = scene
    likeness = Likeness.of(slide, mask, [um(120, 130)], radius)
    rows, columns = np.nonzero(likeness.selection(1e9))
    y, x = rows + likeness.box[0].start - 120, columns + likeness.box[1].start - 130
    reach = np.hypot(y, x).max() * SPACING
    assert reach <= radius + 1e-3 or reach <= 12.0 + SPACING
    assert reach > radius - 2 * SPACING


def test_more_tolerance_selects_more_and_it_stays_in_one_piece(scene):
    slide, mask = scene
    likeness = Likeness.of(slide, mask, [um(290, 250), um(290, 255)], 400.0)
    before = np.zeros_like(likeness.selection(0))
    for tolerance in (0, 0.5, 1, 2, 4, 8, 20):
        selected = likeness.selection(tolerance)
        assert not (before & ~selected).any()
        assert ndimage.label(selected)[1] == 1
        before = selected


def test_a_scribble_over_two_colours_takes_both(scene):
    slide, mask = scene
    path = [um(120 + step, 130 + 0.7 * step) for step in range(0, 170, 4)]
    one = Likeness.of(slide, mask, path[:1], 500.0)
    both = Likeness.of(slide, mask, path, 500.0)
    assert not inside(one, 2.5, 290, 250)
    assert inside(both, 2.5, 290, 250)
    assert inside(both, 2.5, 120, 130)


def test_it_paints_any_kind(scene):
    slide, mask = scene
    likeness = Likeness.of(slide, mask, [um(120, 130)], 500.0)
    for value in (1, 3, 5):
        after = likeness.edit(mask, 3.0, value, "selected").applied(mask)
        assert set(np.unique(after.array)) == {0, value}
        assert (after.array == value).sum() == likeness.selection(3.0).sum()


def test_a_corner_of_the_slide_is_a_place_like_any_other(scene):
    slide, mask = scene
    likeness = Likeness.of(slide, mask, [(0.0, 0.0)], 60.0)
    assert [side.start for side in likeness.box] == [0, 0]
    assert likeness.selection(3.0)[0, 0]


def test_what_cannot_be_compared_is_told(scene):
    slide, mask = scene
    with pytest.raises(MaskError, match="not on the slide"):
        Likeness.of(slide, mask, [(-500.0, 20.0)], 50.0)
    giant = TissueMask(np.zeros((5000, 5000), np.uint8), 2.0)
    with pytest.raises(MaskError, match="shorter"):
        Likeness.of(slide, giant, [(100.0, 100.0), (9000.0, 9000.0)], 50.0)


def test_a_real_core_is_told_from_its_glass(shared_cores):
    from napari_maskvit.slide import open_slide

    slide = open_slide(shared_cores[0])
    mask = segment_tissue(slide)
    rows, columns = np.nonzero(ndimage.binary_erosion(mask.tissue, iterations=25))
    place = len(rows) // 2
    point = ((rows[place] + 0.5) * mask.spacing, (columns[place] + 0.5) * mask.spacing)
    likeness = Likeness.of(slide, mask, [point], 150.0)
    selected = likeness.selection(2.0)
    assert selected.sum() * mask.spacing**2 > 2_000
    assert mask.tissue[likeness.box][selected].mean() > 0.95
