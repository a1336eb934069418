"""Under a moving brush only a part of the canvas is drawn, and the screen shows the whole truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("napari", reason="needs the gui extra")

from hypothesis import given
from hypothesis import strategies as st

from napari_maskvit.viewer.layers.placing import kind_of
from napari_maskvit.viewer.repaint import Box

pytestmark = pytest.mark.window

Picture = np.ndarray[Any, np.dtype[np.uint8]]


class Screen:
    """The frame that a person sees, and how it came there."""

    def __init__(self, viewer: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        self.canvas = viewer.window._qt_viewer.canvas._scene_canvas
        self.native = self.canvas.native
        self.frames, self.narrow = 0, 0
        self.native.frameSwapped.connect(self._count)
        context = self.canvas.context
        set_scissor = context.set_scissor

        def note(*box: int) -> None:
            self.narrow += 1
            set_scissor(*box)

        monkeypatch.setattr(context, "set_scissor", note)

    def _count(self) -> None:
        self.frames += 1

    def close(self) -> None:
        self.native.frameSwapped.disconnect(self._count)

    def shown(self) -> Picture:
        """The pixels of the frame that lies on the screen, whatever other windows lie over it."""
        from vispy import gloo

        self.canvas.set_current()
        width, height = self.canvas.physical_size
        return np.array(gloo.read_pixels((0, 0, width, height), alpha=False))

    def after_a_frame(self) -> Picture:
        """The frame, once what was asked for is drawn."""
        seen = self.frames
        self.qtbot.waitUntil(lambda: self.frames > seen, timeout=10_000)
        return self.at_rest()

    def at_rest(self) -> Picture:
        """The frame, once no other follows: napari paints a moment after the mouse has moved."""
        seen = -1
        while seen != self.frames:
            seen = self.frames
            self.qtbot.wait(250)
        return self.shown()

    def drawn_whole(self) -> Picture:
        """The frame, once everything was taken from its layer and drawn anew."""
        narrow = self.narrow
        for layer in self.viewer.layers:
            if kind_of(layer) == "outline":
                layer.refresh()
        self.native.update()
        picture = self.after_a_frame()
        assert self.narrow == narrow, "nothing moved"
        return picture


@pytest.fixture
def screen(viewer: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Screen]:
    made = Screen(viewer, qtbot, monkeypatch)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("tool", "zoom", "brush_um"),
    [("brush", 0.6, 60.0), ("eraser", 1.0, 80.0), ("brush", 30.0, 4.0), ("eraser", 4.0, 30.0)],
)
def test_a_stroke_looks_as_if_every_frame_had_been_drawn_whole(
    ran: Any, hand: Any, screen: Screen, tool: str, zoom: float, brush_um: float
) -> None:
    camera = screen.viewer.scene.camera
    # Glass under the brush, tissue under the eraser: there is something to change.
    camera.center, camera.zoom = (90.0, 90.0) if tool == "brush" else (384.0, 480.0), zoom
    ran.hand.pick(tool)
    ran.hand.brush_um = brush_um
    hand.qtbot.wait(300)
    rng = np.random.default_rng(round(zoom * 10))
    height, width = screen.viewer.canvas.size
    place = np.array([width / 2, height / 2])
    hand.press(tuple(place))
    before, moves = screen.at_rest(), 0
    for _ in range(6):
        for _ in range(int(rng.integers(1, 6))):
            place = np.clip(place + rng.normal(0, 25, 2), 5, (width - 5, height - 5))
            hand.move(tuple(place))
            hand.qtbot.wait(int(rng.integers(1, 40)))
            moves += 1
        seen = screen.at_rest()
        np.testing.assert_array_equal(seen, screen.drawn_whole())
    assert screen.narrow >= moves // 3, "frames were drawn narrow at all"
    assert (seen != before).any()
    hand.release(tuple(place))
    narrow = screen.narrow
    hand.qtbot.wait(300)
    assert screen.narrow == narrow, "the stroke is over"


CHANGES: dict[str, Callable[[Any, Any], object]] = {
    "a layer is dimmed": lambda viewer, ran: setattr(viewer.layers[0], "opacity", 0.4),
    "one looks elsewhere": lambda viewer, ran: setattr(
        viewer.scene.camera, "center", (300.0, 400.0)
    ),
    "one looks closer": lambda viewer, ran: setattr(viewer.scene.camera, "zoom", 2.0),
    "the brush grows": lambda viewer, ran: setattr(ran.hand, "brush_um", 120.0),
    "the brush shrinks": lambda viewer, ran: setattr(ran.hand, "brush_um", 20.0),
    "the mask is set": lambda viewer, ran: ran.tissue.layer.refresh(),
    "a bar goes": lambda viewer, ran: setattr(viewer.scale_bar, "visible", False),
    "the window is another size": lambda viewer, ran: viewer.window.resize(1100, 700),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_else_changes_under_a_stroke_is_seen(
    ran: Any, hand: Any, screen: Screen, change: str
) -> None:
    camera = screen.viewer.scene.camera
    camera.center, camera.zoom = (384.0, 480.0), 1.0
    ran.hand.pick("eraser")
    ran.hand.brush_um = 60.0
    hand.qtbot.wait(300)
    height, width = screen.viewer.canvas.size
    hand.press((width / 2, height / 2))
    hand.qtbot.wait(150)
    for step in range(6):
        hand.move((width / 2 + 40 * step, height / 2))
        hand.qtbot.wait(30)
        if step == 2:
            CHANGES[change](screen.viewer, ran)
            # With no turn of the loop in between: both are asked for, one frame is drawn.
            hand.move((width / 2 + 40 * step + 6, height / 2))
            seen = screen.at_rest()
            np.testing.assert_array_equal(seen, screen.drawn_whole())
    seen = screen.at_rest()
    np.testing.assert_array_equal(seen, screen.drawn_whole())
    assert screen.narrow > 0
    hand.release((width / 2 + 200, height / 2))


def test_no_square_covers_what_lies_under_the_brush(ran: Any, hand: Any, screen: Screen) -> None:
    ran.hand.pick("eraser")
    ran.hand.brush_um = 60.0
    hand.drag([(384.0, 300.0), (384.0, 460.0)])
    canvas = screen.viewer.window._qt_viewer.canvas
    (circle,) = canvas._viewer_overlay_to_visual[screen.viewer.canvas.overlays._brush_circle]
    assert circle.overlay.visible
    assert circle.node.parent is not None
    assert circle.box.parent is None


def test_two_views_side_by_side_are_drawn_whole(ran: Any, hand: Any, screen: Screen) -> None:
    screen.viewer.canvas.grid.enabled = True
    ran.hand.pick("eraser")
    hand.qtbot.wait(300)
    height, width = screen.viewer.canvas.size
    hand.press((width / 4, height / 2))
    for step in range(5):
        hand.move((width / 4 + 10 * step, height / 2))
        hand.qtbot.wait(30)
    hand.release((width / 4 + 40, height / 2))
    assert screen.narrow == 0


@pytest.mark.parametrize("beside", [False, True])
def test_a_stroke_and_its_undo_look_as_if_every_layer_had_been_taken_anew(
    ran: Any, hand: Any, screen: Screen, settle: Any, beside: bool
) -> None:
    if beside:
        ran.compare(True)
        settle(ran)
    ran.hand.pick("eraser")
    ran.hand.brush_um = 80.0
    screen.viewer.scene.camera.center, screen.viewer.scene.camera.zoom = (384.0, 440.0), 1.0
    seen = [screen.at_rest()]
    for act in (
        lambda: hand.drag([(384.0, 420.0), (420.0, 470.0)]),
        lambda: screen.viewer.layers.selection.active.undo(),
        lambda: screen.viewer.layers.selection.active.redo(),
    ):
        act()
        settle(ran)
        seen.append(screen.at_rest())
        for layer in screen.viewer.layers:
            layer.refresh()
        np.testing.assert_array_equal(seen[-1], screen.drawn_whole())
    assert (seen[1] != seen[2]).any()
    np.testing.assert_array_equal(seen[1], seen[3])


sides = st.floats(0, 2000)


@given(sides, sides, st.floats(0, 300), sides, st.sampled_from([1.0, 1.25, 1.5, 2.0]))
def test_a_box_in_the_buffer_holds_all_of_the_box(
    x: float, y: float, reach: float, other: float, ratio: float
) -> None:
    box = Box.around((x, y), reach) | Box.around((other, y), reach)
    height = 1500
    left, bottom, wide, high = box.in_buffer(ratio, height)
    assert left <= box.left * ratio
    assert left + wide >= box.right * ratio
    assert height - bottom >= box.bottom * ratio
    assert height - bottom - high <= box.top * ratio
    assert wide <= (box.right - box.left) * ratio + 2
    assert high <= (box.bottom - box.top) * ratio + 2
