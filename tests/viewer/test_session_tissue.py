"""Tissue in a real window: found, painted, undone, found again, saved and loaded."""

from __future__ import annotations

import numpy as np
import pytest

from napari_maskvit.tissue import TissueMask, TissueParameters
from napari_maskvit.viewer.layers.marks import ADDED, ADDED_EDGE, REMOVED

pytestmark = pytest.mark.window

GLASS = (80.0, 900.0)  # µm, (y, x): no tissue there
TISSUE = (384.0, 460.0)


@pytest.fixture
def found(session, settle):
    session.find_tissue()
    settle(session)
    assert not session.messages
    return session


def cell(session, place):
    return tuple(int(one // session.mask.spacing) for one in place)


def test_found_tissue_lies_over_the_slide_with_the_brush_in_hand(found, viewer):
    assert found.mask.array[cell(found, TISSUE)] == 1
    assert found.mask.array[cell(found, GLASS)] == 0
    assert viewer.layers.selection.active is found.tissue.layer
    assert found.tissue.layer.mode == "paint"
    assert found.hand.brush_um == pytest.approx(80, rel=0.1)
    assert 0.1 < found.tissue.share < 0.6
    assert found.tissue.areas.tissue_mm2 == pytest.approx(found.mask.area_mm2)


def test_the_mask_lies_exactly_where_the_slide_does(found):
    # napari counts from pixel centres: the corner is half a pixel before the first centre.
    for layer in (found.slide_layer, found.tissue.layer):
        corner = np.array(layer.data_to_world((-0.5, -0.5)))
        assert corner == pytest.approx([-0.25, -0.25])
        assert all(str(unit) == "micrometer" for unit in layer.units)


def test_a_stroke_is_seen_apart_and_taken_back(found, hand, qtbot):
    before = found.mask.array.copy()
    told = []
    found.mask_changed.connect(lambda: told.append(1))
    hand.drag([GLASS, (80.0, 960.0)])
    assert told
    assert found.mask.array[cell(found, GLASS)] == 1
    assert found.tissue.areas.added_mm2 > 0.004
    assert found.tissue.areas.removed_mm2 == 0
    marks = found.tissue.editor.marks.levels
    assert marks[0][cell(found, GLASS)] == ADDED
    assert marks[-1].max() == ADDED_EDGE
    np.testing.assert_array_equal(found.tissue.found.array, before)

    found.hand.undo()
    qtbot.waitUntil(lambda: found.tissue.areas.added_mm2 == 0, timeout=3000)
    np.testing.assert_array_equal(found.mask.array, before)
    found.hand.redo()
    qtbot.waitUntil(lambda: found.tissue.areas.added_mm2 > 0, timeout=3000)


def test_the_eraser_removes(found, hand):
    found.hand.pick("eraser")
    found.hand.brush_um = 40
    hand.drag([TISSUE, (384.0, 520.0)])
    assert found.mask.array[cell(found, TISSUE)] == 0
    assert found.tissue.areas.removed_mm2 > 0.001
    assert found.tissue.editor.marks.levels[0][cell(found, (384.0, 500.0))] == REMOVED


def test_a_polygon_counts_and_is_taken_back(found, settle):
    before = found.tissue.areas.tissue_mm2
    side = 100.0  # of a square of glass, µm
    cells = [(one + 5) / found.mask.spacing for one in (0.0, side)]
    corners = [(row, column) for row in cells for column in cells]
    found.tissue.layer.paint_polygon([corners[0], corners[1], corners[3], corners[2]], 1)
    settle(found)
    assert found.tissue.areas.added_mm2 == pytest.approx(side**2 / 1e6, rel=0.1)
    assert found.tissue.areas.tissue_mm2 == pytest.approx(before + found.tissue.areas.added_mm2)
    found.hand.undo()
    settle(found)
    assert found.tissue.areas.tissue_mm2 == before


def test_a_fill_counts(found, settle):
    found.tissue.layer.fill((2, 2), 1)
    settle(found)
    assert found.tissue.share > 0.9


def test_a_mask_that_was_handed_out_is_not_painted_on(found, hand):
    earlier = found.mask
    copy = earlier.array.copy()
    hand.drag([GLASS, (80.0, 930.0)])
    np.testing.assert_array_equal(earlier.array, copy)
    assert found.mask is not earlier


def test_finding_again_keeps_what_was_done_by_hand(found, hand, settle):
    hand.drag([GLASS, (80.0, 930.0)])
    layer = found.tissue.layer
    found.find_tissue(TissueParameters(threshold=1.5))
    settle(found)
    assert found.tissue.layer is layer
    assert found.mask.array[cell(found, GLASS)] == 1
    assert found.tissue.found.array[cell(found, GLASS)] == 0
    assert found.tissue.parameters.threshold == 1.5
    found.discard_corrections()
    assert found.mask.array[cell(found, GLASS)] == 0
    assert found.tissue.areas.added_mm2 == 0


def test_the_newest_parameters_win(session, settle):
    for threshold in (0.5, 1.0, 2.0, 1.25):
        session.find_tissue(TissueParameters(threshold=threshold))
    settle(session)
    from napari_maskvit.tissue import segment_tissue

    expected = segment_tissue(session.slide, TissueParameters(threshold=1.25))
    np.testing.assert_array_equal(session.mask.array, expected.array)


@pytest.mark.parametrize("suffix", [".tif", ".png", ".geojson"])
def test_a_mask_goes_to_a_file_and_comes_back(found, hand, settle, tmp_path, suffix):
    hand.drag([GLASS, (80.0, 930.0)])
    painted = found.mask.array.copy()
    path = tmp_path / f"mask{suffix}"
    found.save_mask(path)
    settle(found)
    found.discard_corrections()
    found.load_mask(path)
    settle(found)
    assert not found.messages
    if suffix == ".geojson":
        assert np.mean(found.mask.array != painted) < 0.01
    else:
        np.testing.assert_array_equal(found.mask.array, painted)
    assert found.tissue.areas.added_mm2 > 0.004


def test_a_removed_layer_comes_back_with_its_strokes(found, hand, viewer):
    hand.drag([GLASS, (80.0, 930.0)])
    area = found.tissue.areas.tissue_mm2
    viewer.layers.remove(found.tissue.layer)
    assert found.tissue.layer is None
    assert found.mask is not None
    found.hand.pick("brush")
    assert found.tissue.layer in viewer.layers
    assert found.tissue.areas.tissue_mm2 == area


def test_a_mask_of_another_spacing_replaces_the_layer(found):
    coarse = TissueMask(np.ones((48, 64), np.uint8), 16.0, "coarse")
    found.use_mask(coarse)
    assert found.tissue.layer.data.shape == (48, 64)
    assert tuple(found.tissue.layer.scale) == (16.0, 16.0)
    assert found.tissue.share == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda s: s.run(), "no tissue mask"),
        (lambda s: s.hand.pick("brush"), "no tissue mask"),
        (lambda s: s.save_mask("/tmp/none.tif"), "no tissue mask"),
        (lambda s: s.load_mask("/nowhere/mask.tif"), "no file mask.tif"),
        (lambda s: s.use_mask(TissueMask(np.zeros((1, 20_000), np.uint8), 1.0)), "coarser"),
        (lambda s: s.give_spacing(-1), "spacing"),
        (lambda s: s.restore(), "Nothing is saved"),
        (lambda s: s.compare(True), "Run the model first"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(session, settle, act, words):
    act(session)
    settle(session)
    assert len(session.messages) == 1
    assert words in session.messages[0]
