"""What is in the hand while correcting: tool, size, what it paints, undo. It never scrolls."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtWidgets import QPushButton, QSizePolicy

from napari_maskvit.viewer.panels import reasons
from napari_maskvit.viewer.panels.base import Panel
from napari_maskvit.viewer.panels.kinds import KindChoice
from napari_maskvit.viewer.parts.columns import row
from napari_maskvit.viewer.parts.controls import Number, allow, button
from napari_maskvit.viewer.parts.style import set_role
from napari_maskvit.viewer.parts.text import show
from napari_maskvit.viewer.tools.hand import MODES

_TOOLS = {
    "brush": ("Brush", "Paint tissue that was missed (key 2 on the mask layer)"),
    "eraser": ("Eraser", "Erase a fold, pen or dust (key 1 on the mask layer)"),
    "polygon": (
        "Polygon",
        "Draw round a piece; a double click closes it (key 3 on the mask layer)",
    ),
    "fill": ("Fill", "Fill what is of one kind and connected (key 4 on the mask layer)"),
    "move": ("Move", "Move and zoom; hold Space to do so while painting"),
}
_NOTHING = "There is no stroke to take back."
_NOTHING_BACK = "No stroke was taken back."


class HandPanel(Panel):
    """Tools, brush and undo at the foot of the panel, once there is a mask."""

    def build(self) -> None:
        """Make the controls."""
        session = self.session
        self.column.setContentsMargins(6, 4, 6, 0)
        self.column.setSpacing(4)
        self.tools = {
            tool: _small(button(words, tooltip, partial(self._pick, tool)))
            for tool, (words, tooltip) in _TOOLS.items()
        }
        for made in self.tools.values():
            made.setCheckable(True)
        self._watched: Any = None
        self.kind = KindChoice(session)
        self.kind.setAccessibleName("Paints")
        self.brush = Number.whole(
            "", (5.0, 2000.0), "µm", "Diameter of brush and eraser on the slide, in µm"
        )
        for control in (self.brush.slider, self.brush.box):
            control.setAccessibleName("Brush")
        self.brush.changed.connect(self._set_brush)
        hand = session.hand
        self.undo = _small(button("Undo", "Take back the last stroke (Ctrl-Z)", hand.undo))
        self.redo = _small(button("Redo", "Bring back the stroke (Ctrl-Shift-Z)", hand.redo))
        for widgets, stretch in (
            (tuple(self.tools.values()), (1,) * len(self.tools)),
            ((self.brush, self.undo, self.redo), (1, 0, 0)),
            ((self.kind,), (1,)),
        ):
            self.column.addWidget(row(*widgets, spacing=3, stretch=stretch))

    def connect_session(self) -> None:
        """Hear what is in hand."""
        session = self.session
        self.hear(
            session.slide_changed,
            session.mask_changed,
            session.hand.changed,
            session.tools.changed,
        )

    def refresh(self) -> None:
        """Show tool, brush and history as they are."""
        session = self.session
        painted = session.hand.layer
        self._watch(painted if painted in session.viewer.layers else None)
        show(self, session.mask is not None)
        if session.mask is None:
            return
        self._show_tool()
        self.kind.show_value(session.tools.kind.value)
        self.brush.follow(session.hand.brush_um)
        allow(self.undo, None if session.hand.can_undo else _NOTHING)
        allow(self.redo, None if session.hand.can_redo else _NOTHING_BACK)
        why_not = reasons.correct(session)
        for made in self.tools.values():
            allow(made, why_not)

    def release(self) -> None:
        """Hear nothing any more, of the mask layer neither."""
        super().release()
        self._watch(None)

    def _watch(self, layer: Any) -> None:
        if layer is self._watched:
            return
        if self._watched is not None:
            self._watched.events.mode.disconnect(self._show_tool)
        if layer is not None:
            layer.events.mode.connect(self._show_tool)
        self._watched = layer

    def _pick(self, tool: str) -> None:
        self.session.hand.pick(tool)
        self._show_tool()

    def _show_tool(self, _event: object = None) -> None:
        mode = str(self._watched.mode) if self._watched is not None else ""
        if self.session.tools.likeness.in_hand:
            mode = ""
        for tool, made in self.tools.items():
            made.setChecked(MODES[tool] == mode)

    def _set_brush(self, um: float) -> None:
        self.session.hand.brush_um = um


def _small(made: QPushButton) -> QPushButton:
    """As narrow as its words, so that five stand beside each other."""
    set_role(made, "small")
    made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return made
