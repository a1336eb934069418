"""The tools in a real window: with the mouse, with keys, taken back in one step."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari", reason="needs the gui extra")

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_maskvit.tissue.kinds import EXCLUDED, PEN
from napari_maskvit.viewer.keys import KEYS, KIND_KEYS

pytestmark = pytest.mark.window

TISSUE = (384.0, 460.0)  # µm, (y, x)
GLASS = (80.0, 900.0)
MODIFIERS = {
    "": Qt.KeyboardModifier.NoModifier,
    "Shift": Qt.KeyboardModifier.ShiftModifier,
    "Ctrl": Qt.KeyboardModifier.ControlModifier,
}


@pytest.fixture
def found(session, settle):
    session.find_tissue()
    settle(session)
    return session


@pytest.fixture
def press(hand, settle, found):
    """Press a key over the slide, as it is written in the list of keys."""

    def one(key: str) -> None:
        *held, last = key.split("-")
        names = {"Enter": "Return"}
        hand.canvas.setFocus()
        QTest.keyClick(
            hand.canvas,
            getattr(Qt.Key, f"Key_{names.get(last, last)}"),
            MODIFIERS["".join(held)],
        )
        settle(found)

    return one


def cell(session, place):
    return tuple(int(one // session.mask.spacing) for one in place)


@pytest.mark.parametrize("key", ["Shift-S", "Shift-E", "Shift-R", "Shift-F", "Shift-K"])
def test_a_key_corrects_the_whole_mask_in_one_step(found, press, settle, key):
    tools = found.tools
    tools.edge_um, tools.piece_um2 = 16.0, 1e9
    hole = tuple(np.mgrid[190:200, 225:235].reshape(2, -1))
    found.tissue.layer.data_setitem(hole, 0)
    settle(found)
    before, told = found.mask.array.copy(), []
    steps = len(found.tissue.layer._undo_history)
    found.tissue.editor.changed.connect(told.append)
    press(key)
    after = found.mask.array.copy()
    assert not np.array_equal(after, before)
    assert len(told) == 1, "the engine sees one change"
    assert len(found.tissue.layer._undo_history) == steps + 1
    gained, lost = (after > before).sum(), (before > after).sum()
    expected = {"Shift-E": (True, False), "Shift-R": (False, True), "Shift-F": (True, False)}
    expected["Shift-K"] = (False, True)
    if key in expected:
        assert (gained > 0, lost > 0) == expected[key]
    found.hand.undo()
    np.testing.assert_array_equal(found.mask.array, before)
    found.hand.redo()
    np.testing.assert_array_equal(found.mask.array, after)
    assert not found.messages


def test_a_stroke_made_while_an_edit_is_worked_out_is_kept(found, settle):
    found.tools.grow()
    found.tissue.layer.data_setitem((np.array([3, 4]), np.array([3, 4])), 1)
    settle(found)
    assert found.mask.array[3, 3] == 1
    assert found.mask.array[3, 8] == 1, "the stroke was grown, too"


def test_tools_used_in_a_row_are_all_used_in_their_order(found, settle):
    from napari_maskvit.tissue import edits

    tools, mask = found.tools, found.mask
    tools.edge_um = 12.0
    wanted = edits.grown(mask, 12.0).applied(mask)
    wanted = edits.grown(wanted, 12.0).applied(wanted)
    wanted = edits.shrunk(wanted, 12.0).applied(wanted)
    tools.grow()
    tools.grow()
    tools.shrink()
    assert len(tools.queue.words) == 3
    settle(found)
    np.testing.assert_array_equal(found.mask.array, wanted.array)
    kinds = [entry.kind for entry in found.timeline.timeline.entries]
    assert len(kinds) == 4, kinds


def test_undo_takes_back_what_is_still_being_made_before_what_was_made(found, press, settle):
    found.hand.pick("brush")
    found.tissue.layer.data_setitem((np.array([3, 4]), np.array([3, 4])), 1)
    settle(found)
    before = found.mask.array.copy()
    found.tools.grow()
    assert found.hand.can_undo
    press("Ctrl-Z")
    assert not found.tools.queue.words
    np.testing.assert_array_equal(found.mask.array, before)
    press("Ctrl-Z")
    assert found.mask.array[3, 3] == 0


def test_a_tool_that_fails_does_not_hold_up_the_next(found, settle, monkeypatch):
    def broken(*_args):
        raise RuntimeError("no luck")

    area = found.tissue.areas.tissue_mm2
    with monkeypatch.context() as patch:
        patch.setattr("napari_maskvit.tissue.edits.smoothed", broken)
        found.tools.smooth()
        found.tools.grow()
        settle(found)
    assert len(found.messages) == 1
    assert "no luck" in found.messages[0]
    assert found.tissue.areas.tissue_mm2 > area


@pytest.mark.parametrize("way_out", ["cancel", "key again", "fine window"])
def test_whoever_corrects_has_a_brush_in_hand_again(found, settle, way_out):
    found.hand.pick("move")
    if way_out == "fine window":
        found.tools.open_fine()
        found.tools.discard_fine()
    else:
        found.tools.pick_likeness()
        leave = found.tools.cancel_likeness if way_out == "cancel" else found.tools.pick_likeness
        leave()
    assert not found.tools.likeness.in_hand
    assert found.hand.tool == "brush"


@pytest.mark.parametrize(
    ("key", "kind"), KIND_KEYS.items(), ids=lambda one: getattr(one, "name", one)
)
def test_a_key_chooses_what_the_brush_paints(found, press, hand, key, kind):
    found.hand.pick("move")
    press(key)
    assert found.tools.kind is kind
    place = GLASS if kind.value == 1 else TISSUE
    area = found.tissue.areas.tissue_mm2
    hand.drag([place, (place[0], place[1] + 40)])
    assert found.mask.array[cell(found, place)] == kind.value
    assert (found.tissue.areas.tissue_mm2 > area) == (kind.value == 1)
    assert (found.tissue.editor.areas.excluded_mm2 > 0) == (kind.value != 1)


def test_kinds_over_glass_survive_finding_again(found, hand, settle):
    from napari_maskvit.tissue import TissueParameters

    found.tools.paint_with(PEN.value)
    hand.drag([GLASS, (80.0, 930.0)])
    found.find_tissue(TissueParameters(threshold=1.4))
    settle(found)
    assert found.mask.array[cell(found, GLASS)] == PEN.value


def test_likeness_by_click_preview_and_keys(found, press, hand, settle, viewer):
    tool = found.tools.likeness
    before = found.mask.array.copy()
    press("Shift-L")
    assert tool.in_hand
    press("Ctrl-7")
    centre = viewer.scene.camera.center
    hand.drag([TISSUE, (390.0, 470.0)])
    settle(found)
    assert viewer.scene.camera.center == centre, "the slide stays where it is"
    assert tool.preview in viewer.layers
    np.testing.assert_array_equal(found.mask.array, before)
    areas = []
    for tolerance in (0.5, 2.0, 6.0):
        tool.tolerance = tolerance
        areas.append(tool.selected_mm2)
        assert tool.preview.data.sum() * 4e-6 == pytest.approx(areas[-1])
    assert areas == sorted(areas)
    assert areas[-1] > areas[0]
    press("Escape")
    assert tool.preview is None
    assert tool.in_hand
    hand.click(*TISSUE)
    settle(found)
    selected = tool.selected_mm2
    press("Enter")
    assert tool.preview is None
    fold = EXCLUDED[1].value
    assert (found.mask.array == fold).sum() * 4e-6 == pytest.approx(selected)
    found.hand.undo()
    np.testing.assert_array_equal(found.mask.array, before)
    press("Escape")
    assert not tool.in_hand
    assert found.hand.tool == "brush"


def test_another_tool_lays_likeness_down(found, hand, settle, viewer):
    found.tools.pick_likeness()
    hand.click(*TISSUE)
    settle(found)
    found.tissue.layer.mode = "paint"
    assert not found.tools.likeness.in_hand
    assert [layer.name for layer in viewer.layers if "alike" in layer.name] == []
    hand.drag([GLASS, (80.0, 930.0)])
    assert found.mask.array[cell(found, GLASS)] == 1


def test_the_fine_window_is_painted_on_applied_and_taken_back(found, press, hand, viewer, settle):
    tools = found.tools
    viewer.scene.camera.center = GLASS
    before = found.mask.array.copy()
    press("Shift-W")
    window, layer = tools.fine.window, tools.fine.layer
    assert (window.factor, window.spacing) == (4, 0.5)
    corner = np.array(layer.data_to_world((-0.5, -0.5)))
    assert corner == pytest.approx(np.array(window.corner_um) - 0.25)
    assert viewer.layers.selection.active is layer
    assert not found.tissue.layer.visible
    found.hand.brush_um = 20.0
    hand.drag([GLASS, (80.0, 940.0)])
    np.testing.assert_array_equal(found.mask.array, before)
    assert (layer.data == 1).any()
    area = (layer.data != window.cut(found.mask)).sum() * 0.25
    press("Shift-W")
    assert not tools.fine.is_open
    assert layer not in viewer.layers
    assert found.tissue.layer.visible
    changed = (found.mask.array != before).sum() * 4.0
    assert changed == pytest.approx(area, rel=0.1)
    found.hand.undo()
    np.testing.assert_array_equal(found.mask.array, before)


def test_a_fine_window_is_discarded_or_its_layer_removed(found, hand, viewer, settle):
    tools, before = found.tools, found.mask.array.copy()
    viewer.scene.camera.center = GLASS
    tools.open_fine()
    hand.drag([GLASS, (80.0, 940.0)])
    viewer.layers.remove(tools.fine.layer)
    found.hand.pick("brush")
    assert tools.fine.layer in viewer.layers, "what was drawn is still there"
    assert (tools.fine.layer.data == 1).any()
    tools.discard_fine()
    settle(found)
    np.testing.assert_array_equal(found.mask.array, before)
    assert not found.messages
    tools.open_fine()
    tools.grow()
    assert "apply or discard" in found.messages[-1]


def test_leaving_the_slide_applies_the_fine_window(found, hand, settle, other_slide_path, viewer):
    viewer.scene.camera.center = GLASS
    found.tools.open_fine()
    hand.drag([GLASS, (80.0, 940.0)])
    found.open(other_slide_path)
    settle(found)
    found.use_slide(found.slides.layers[0])
    settle(found)
    assert found.mask.array[cell(found, GLASS)] == 1


def test_without_a_mask_each_tool_says_what_to_do(session, settle):
    for act in (session.tools.smooth, session.tools.pick_likeness, session.tools.open_fine):
        act()
        settle(session)
        assert "no tissue mask" in session.messages.pop()
    assert not session.messages


@pytest.mark.parametrize("key", KEYS)
def test_each_key_is_heard_when_it_is_pressed(found, viewer, press, key):
    from app_model.types import KeyBinding

    heard = []
    viewer.bind_key(KeyBinding.from_str(key), heard.append, overwrite=True)
    press(key)
    assert heard == [viewer]
    assert found.tissue.layer.mode == "paint", "nothing of napari's own"
