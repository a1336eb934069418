"""Corrections of the whole mask in a layer: one step, seen apart, taken back exactly."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari", reason="needs the gui extra")

from napari_maskvit.slide import open_slide
from napari_maskvit.tissue import TissueMask, segment_tissue
from napari_maskvit.tissue.edits import between, grown, holes_filled, painted, shrunk, smoothed
from napari_maskvit.viewer.layers.boxes import tiles
from napari_maskvit.viewer.layers.marks import mark_levels
from napari_maskvit.viewer.layers.mask import MaskLayer

pytestmark = pytest.mark.window


@pytest.fixture
def editor(qapp, slide_path):
    from napari.components import ViewerModel

    slide = open_slide(slide_path)
    made = MaskLayer(ViewerModel(), slide, segment_tissue(slide))
    yield made
    made.close()


def random_edit(mask: TissueMask, rng: np.random.Generator):
    """Any of the tools, anywhere."""
    top, left = (int(rng.integers(0, side - 40)) for side in mask.shape)
    box = (slice(top, top + 40), slice(left, left + 40))
    return [
        lambda: grown(mask, 10.0),
        lambda: shrunk(mask, 10.0),
        lambda: smoothed(mask, 20.0),
        lambda: holes_filled(mask, 500.0),
        lambda: painted(mask, box, rng.random((40, 40)) < 0.5, int(rng.integers(0, 6)), "marked"),
        lambda: between(mask, TissueMask(np.roll(mask.array, 7, 0), mask.spacing), "moved"),
    ][rng.integers(0, 6)]()


def test_any_edits_are_taken_back_one_by_one_exactly(editor):
    rng = np.random.default_rng(0)
    stands = [editor.mask.array.copy()]
    told: list[object] = []
    editor.changed.connect(told.append)
    for _ in range(25):
        edit = random_edit(editor.mask, rng)
        told.clear()
        editor.apply(edit)
        expected = edit.applied(TissueMask(stands[-1], editor.spacing)).array
        np.testing.assert_array_equal(editor.layer.data, expected)
        np.testing.assert_array_equal(editor.mask.array, expected)
        assert told == ([] if edit.is_empty else [edit.box])
        if not edit.is_empty:
            stands.append(expected.copy())
    for earlier in stands[-2::-1]:
        editor.layer.undo()
        editor.settle()
        np.testing.assert_array_equal(editor.mask.array, earlier)
    for later in stands[1:]:
        editor.layer.redo()
        editor.settle()
        np.testing.assert_array_equal(editor.mask.array, later)


def test_marks_and_areas_follow_as_if_made_anew(editor):
    rng = np.random.default_rng(1)
    for step in range(12):
        mask = editor.mask
        edit = random_edit(mask, rng)
        after = edit.applied(mask)
        given = mark_levels(after.array, editor.found) if step % 2 else None
        editor.apply(edit, given)
        if step % 3 == 2:
            editor.layer.undo()
            editor.settle()
        now = editor.mask
        for mine, anew in zip(
            editor.marks.levels, mark_levels(now.array, editor.found), strict=True
        ):
            np.testing.assert_array_equal(mine, anew)
        assert editor.areas.tissue_mm2 == pytest.approx(now.area_mm2)
        pixel = now.spacing**2 / 1e6
        assert editor.areas.excluded_mm2 == pytest.approx((now.array > 1).sum() * pixel)
        found = editor.found == 1
        assert editor.areas.added_mm2 == pytest.approx((now.tissue & ~found).sum() * pixel)
        assert editor.areas.removed_mm2 == pytest.approx((~now.tissue & found).sum() * pixel)


def test_an_edit_is_kept_in_few_bytes(editor):
    """What an undo needs grows with the pixels that changed, not with the mask."""
    mask = editor.mask
    edit = grown(mask, 8.0)
    changed = int((edit.applied(mask).array != mask.array).sum())
    editor.apply(edit)
    (item,) = editor.layer._undo_history
    kept = sum(
        part.nbytes
        for (rows, columns), old, new in item
        for part in (rows, columns, old, np.asarray(new))
    )
    assert kept <= 5 * changed + 16 * len(item)


def test_a_moving_brush_draws_neither_the_list_of_layers_nor_a_sentence(ran, viewer, hand, qtbot):
    """Both would have the whole window drawn once more at each move."""
    ran.hand.pick("eraser")
    layer, drawn, listed, said = ran.tissue.editor.layer, [], [], []
    layer.events.labels_update.connect(drawn.append)
    viewer.layers.events.connect(lambda event: listed.append(event.type))
    viewer.events.status.connect(
        lambda event: said.append((ran.hand.courtesy.is_drawing, "attention:" in str(event.value)))
    )
    hand.drag([(384.0, 300.0), (384.0, 460.0)], moves=30)
    hand.hover(384.0, 470.0)
    assert len(drawn) > 10
    assert listed == [], "nothing that it shows has changed"
    layer.name = "my mask"
    assert "name" in listed
    assert (True, True) not in said
    assert (False, True) in said


def test_an_undo_after_strokes_is_known_without_reading_the_whole_mask(editor, monkeypatch):
    stands = [editor.mask.array.copy()]

    def paint(row):
        with editor.layer.block_history():
            editor.layer.paint((row, 50), 3)
        stands.append(editor.layer.data.copy())

    monkeypatch.setattr(editor, "_compare", lambda: pytest.fail("the whole mask was read"))
    for row in (20, 60, 100):
        paint(row)
        editor.layer.undo()
        np.testing.assert_array_equal(editor.mask.array, stands[-2])
        editor.layer.redo()
        np.testing.assert_array_equal(editor.mask.array, stands[-1])
    assert len({stand.tobytes() for stand in stands}) == 4


@pytest.mark.parametrize("step", ["undo", "redo"])
def test_an_undo_draws_what_it_changed_alone(editor, step):
    editor.apply(
        painted(editor.mask, (slice(30, 50), slice(40, 70)), np.ones((20, 30), bool), 3, "marked")
    )
    if step == "redo":
        editor.layer.undo()
    drawn, taken = [], []
    editor.layer.events.labels_update.connect(lambda event: drawn.append(event))
    editor.layer.events.set_data.connect(taken.append)
    getattr(editor.layer, step)()
    (event,) = drawn
    assert not taken
    assert list(event.offset) == [30, 40]
    np.testing.assert_array_equal(event.data, editor.layer.data[30:50, 40:70])
    np.testing.assert_array_equal(editor.mask.array, editor.layer.data)
    editor.layer.refresh()
    assert taken, "whatever else asks has all of it"


@pytest.mark.parametrize("step", ["undo", "redo"])
def test_an_undo_of_nothing_changes_nothing(editor, step):
    before = editor.mask.array.copy()
    getattr(editor.layer, step)()
    np.testing.assert_array_equal(editor.mask.array, before)


def test_tiles_cover_a_box_once():
    seen = np.zeros((1300, 700), int)
    for part in tiles((slice(3, 1290), slice(0, 650))):
        seen[part] += 1
    assert (seen[3:1290, :650] == 1).all()
    assert seen.sum() == 1287 * 650
