"""Outline and corrections follow the brush itself, and over attention one sees what it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("napari", reason="needs the gui extra")

from hypothesis import given
from hypothesis import strategies as st

from napari_maskvit.viewer.layers.boxes import joined
from napari_maskvit.viewer.layers.marks import GIVEN, TAKEN, _place_within, mark_levels

sides = st.integers(1, 40)


@given(sides, sides, st.data())
def test_where_a_window_lies_in_an_array(height: int, width: int, data: st.DataObject) -> None:
    array = np.zeros((height, width), np.uint8)
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom = data.draw(st.integers(top + 1, height))
    right = data.draw(st.integers(left + 1, width))
    window = slice(top, bottom), slice(left, right)
    assert _place_within(array[window], array) == window
    assert _place_within(array[window].copy()[::-1], array) is None


boxes = st.tuples(*[st.tuples(st.integers(0, 20), st.integers(1, 9)) for _ in range(2)]).map(
    lambda ends: tuple(slice(start, start + length) for start, length in ends)
)


@given(boxes, boxes)
def test_boxes_that_overlap_are_one(one: Any, other: Any) -> None:
    field = np.zeros((2, 40, 40), bool)
    field[0][one] = field[1][other] = True
    both = joined(one, other)
    assert (both is not None) == (field[0] & field[1]).any()
    if both is not None:
        assert field.any(0)[both].sum() == field.any(0).sum()


def marks_of(session: Any) -> Any:
    return session.tissue.editor.marks


def as_drawn_from_scratch(session: Any) -> None:
    editor = session.tissue.editor
    for mine, new in zip(
        editor.marks.levels, mark_levels(editor.mask.array, editor.found), strict=True
    ):
        np.testing.assert_array_equal(mine, new)


@pytest.mark.window
@pytest.mark.parametrize(
    ("tool", "start", "mark"), [("eraser", (384.0, 400.0), TAKEN), ("brush", (90.0, 90.0), GIVEN)]
)
def test_over_attention_a_stroke_is_seen_until_it_is_answered(
    ran: Any, hand: Any, settle: Any, tool: str, start: tuple[float, float], mark: int
) -> None:
    ran.hand.pick(tool)
    ran.hand.brush_um = 60.0
    hand.qtbot.wait(200)
    assert not (marks_of(ran).levels[0] == mark).any()
    places = [hand.screen(start[0], start[1] + step) for step in (0, 30, 60, 90)]
    hand.press(places[0])
    for place in places[1:]:
        hand.move(place)
        hand.qtbot.wait(40)
    changed = ran.tissue.editor.layer.data != ran.mask.array
    assert changed.sum() > 50
    levels = marks_of(ran).levels
    assert (levels[0][changed] >= mark).mean() == 1, "its inside, or an edge"
    assert (levels[0] == mark).sum() > changed.sum() / 2
    assert (levels[1] == mark).any()
    hand.release(places[-1])
    assert (levels[0] == mark).any(), "attention has not heard of it"
    settle(ran)
    assert not (levels[0] == mark).any()
    as_drawn_from_scratch(ran)


@pytest.mark.window
def test_a_stroke_under_way_stays_seen_when_the_one_before_is_answered(
    ran: Any, hand: Any, settle: Any
) -> None:
    ran.hand.pick("eraser")
    ran.hand.brush_um = 60.0
    hand.drag([(384.0, 300.0), (384.0, 360.0)])
    hand.press(hand.screen(384.0, 380.0))
    hand.move(hand.screen(384.0, 440.0))
    hand.qtbot.wait(60)
    levels = marks_of(ran).levels
    before = (levels[0] == TAKEN).sum()
    settle(ran)
    second = ran.tissue.editor.layer.data != ran.mask.array
    assert second.sum() > 50
    assert ((levels[0] == TAKEN) & ~second).sum() == 0, "the first is answered"
    assert 0 < ((levels[0] == TAKEN) & second).sum() <= before
    hand.release(hand.screen(384.0, 440.0))
    settle(ran)
    as_drawn_from_scratch(ran)


@pytest.mark.window
def test_where_no_attention_is_shown_a_stroke_looks_like_any_correction(
    ready: Any, hand: Any, settle: Any
) -> None:
    ready.hand.pick("eraser")
    ready.hand.brush_um = 60.0
    hand.press(hand.screen(384.0, 400.0))
    hand.move(hand.screen(384.0, 460.0))
    hand.qtbot.wait(60)
    changed = ready.tissue.editor.layer.data != ready.mask.array
    assert changed.sum() > 50
    assert (marks_of(ready).levels[0][changed] != 0).all()
    assert not (marks_of(ready).levels[0] == TAKEN).any()
    hand.release(hand.screen(384.0, 460.0))
    settle(ready)
    as_drawn_from_scratch(ready)
