"""A brush that moves has the canvas drawn anew only where it moves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_maskvit.viewer.layers.placing import kind_of
from napari_maskvit.viewer.work.courtesy import DRAWING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import napari

Place = tuple[float, ...]
"""x and y on the canvas, in its own pixels."""

MARGIN_PX = 8.0
"""Of the canvas, around the brush: the width of its circle, what smooths the circle's edge, and how
far marks of a change reach beyond it."""

RIM = 2
"""In pixels of the mask: a brush paints whole ones, and the outline lies beside them."""


@dataclass(frozen=True)
class Box:
    """A box of the canvas in its own pixels, the first row on top."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def around(cls, place: Sequence[float], reach: float) -> Box:
        """What lies within ``reach`` of a place (x, y)."""
        x, y = place[0], place[1]
        return cls(x - reach, y - reach, x + reach, y + reach)

    def __or__(self, other: Box) -> Box:
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def in_buffer(self, ratio: float, height: int) -> tuple[int, int, int, int]:
        """x, y, width and height in pixels of the frame buffer, the first row at the bottom.

        Parameters
        ----------
        ratio
            Pixels of the buffer in one of the canvas.
        height
            Of the buffer.
        """
        left, top = math.floor(self.left * ratio), math.floor(self.top * ratio)
        right, bottom = math.ceil(self.right * ratio), math.ceil(self.bottom * ratio)
        return left, height - bottom, right - left, bottom - top


def follow_strokes(viewer: napari.Viewer, layer: Any) -> None:
    """Draw less while a brush moves over a Labels layer.

    napari draws every pixel of every layer for each move. Where a processor draws, that is most of
    what a move costs, while nothing changes but what lies under the brush: the frame before stays,
    and only there it is drawn over. Whatever else asks for a frame meanwhile has all of it drawn,
    and so does the end of the stroke. It rests on how napari and vispy are made inside; where
    they are made otherwise, every frame is drawn whole, as ever.
    """

    def follow(layer: Any, event: Any) -> Iterator[None]:
        is_brush = str(layer.mode) in DRAWING
        stroke = _Stroke.on(viewer, layer, event.pos) if is_brush else None
        if stroke is None:
            return
        try:
            yield
            while event.type == "mouse_move":
                stroke.paint(event.pos)
                yield
        finally:
            stroke.end()

    layer.mouse_drag_callbacks.append(follow)


class _Stroke:
    """A stroke that is being drawn, and the frames meanwhile.

    ``layers`` are those that change under the brush: the one that it paints, and its marks.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        layers: Sequence[Any],
        place: Place,
        canvas: Any,
        nodes: set[Any],
    ) -> None:
        self._viewer, self._canvas, self._nodes = viewer, canvas, nodes
        self._layer, self._layers = layers[0], layers
        self._size = canvas.physical_size
        self._painted = self._shown = place
        self._reach = 0.0
        self._box: Box | None = None
        self._whole, self._narrow = True, False
        self._undo = ExitStack()
        self._start()

    @classmethod
    def on(cls, viewer: napari.Viewer, layer: Any, place: Sequence[float]) -> _Stroke | None:
        """A stroke that begins; None where its frames have to be drawn whole."""
        try:
            drawn = viewer.window._qt_viewer.canvas
            overlays = [one for many in drawn._viewer_overlay_to_visual.values() for one in many]
            marks = [other for other in viewer.layers if kind_of(other) == "outline"]
            nodes = {drawn.layer_to_visual[one].node for one in (layer, *marks)}
            nodes.update(one.node for one in overlays)
            nodes.update(one.box for one in overlays if hasattr(one, "box"))
            if viewer.canvas.grid.enabled or viewer.dims.ndisplay != 2:
                return None
            return cls(viewer, (layer, *marks), tuple(place), drawn._scene_canvas, nodes)
        except (AttributeError, KeyError, TypeError):
            return None

    def paint(self, place: Sequence[float]) -> None:
        """The brush has painted up to a place (x, y) of the canvas."""
        self._reach_from(self._painted, place)
        self._painted = tuple(place)

    def _show(self, event: Any) -> None:
        # napari paints at a pace of its own, while the brush's circle is always under the mouse.
        self._reach_from(self._shown, event.pos)
        self._shown = tuple(event.pos)

    def _reach_from(self, before: Place, place: Sequence[float]) -> None:
        """Have drawn what lies between where the brush was and where it is."""
        # A brush that shrinks leaves the circle of the frame before.
        reach = max(self._reach, self._reach_now())
        both = Box.around(before, reach) | Box.around(place, reach)
        self._box = both if self._box is None else self._box | both

    def _reach_now(self) -> float:
        """How far from its place the brush reaches, in pixels of the canvas."""
        pixel = float(self._layer.scale[-1]) * float(self._viewer.scene.camera.zoom)
        # A mask pixel may be larger than a pixel of the canvas.
        return float((self._layer.brush_size / 2 + RIM) * pixel + MARGIN_PX)

    def end(self) -> None:
        """The brush was lifted: everything is drawn, from now on as ever."""
        # A window that was closed meanwhile has no canvas any more.
        with suppress(RuntimeError):
            self._undo.close()
            if self._whole or self._box is not None:
                self._canvas.update()

    def _start(self) -> None:
        canvas, native = self._canvas, self._canvas.native
        behaviour = native.updateBehavior()
        native.setUpdateBehavior(type(behaviour).PartialUpdate)
        self._undo.callback(native.setUpdateBehavior, behaviour)
        canvas.update = self._asked
        self._undo.callback(vars(canvas).pop, "update", None)
        for heard, position in ((self._begin_frame, "first"), (self._end_frame, "last")):
            canvas.events.draw.connect(heard, position=position)
            self._undo.callback(canvas.events.draw.disconnect, heard)
        canvas.events.mouse_move.connect(self._show)
        self._undo.callback(canvas.events.mouse_move.disconnect, self._show)
        for layer in self._layers:
            for name in ("set_data", "colormap", "opacity", "visible"):
                layer.events[name].connect(self._all)
                self._undo.callback(layer.events[name].disconnect, self._all)

    def _asked(self, node: Any = None) -> None:
        """In place of the canvas's own `update`: see whether anything but the brush asks."""
        above = node
        while above is not None and above not in self._nodes and above is not self._canvas.scene:
            above = above.parent
        # A part of something compound stands in no scene; the whole that it belongs to asks, too.
        if node is None or above is self._canvas.scene:
            self._whole = True
        type(self._canvas).update(self._canvas, node)

    def _all(self, _event: object = None) -> None:
        self._whole = True

    def _begin_frame(self, _event: object) -> None:
        canvas, size = self._canvas, self._canvas.physical_size
        self._narrow = not self._whole and self._box is not None and size == self._size
        self._size, self._whole = size, False
        if self._narrow and self._box is not None:
            canvas.context.set_state(scissor_test=True)
            canvas.context.set_scissor(*self._box.in_buffer(canvas.pixel_scale, size[1]))
        self._box, self._reach = None, self._reach_now()

    def _end_frame(self, _event: object) -> None:
        if self._narrow:
            self._canvas.context.set_state(scissor_test=False)
        if self._whole and self._narrow:
            # Asked for after this frame had begun, and so not all of it may be in.
            self._canvas.native.update()
