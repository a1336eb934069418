"""What is in the hand over the slide: tool and brush, and the strokes that can be taken back."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_maskvit.viewer.layers.placing import TAG
from napari_maskvit.viewer.repaint import follow_strokes
from napari_maskvit.viewer.words.telling import told
from napari_maskvit.viewer.work.courtesy import Courtesy

if TYPE_CHECKING:
    from napari_maskvit.viewer.session import Session

BRUSH_UM = 80.0

MODES = {
    "brush": "paint",
    "eraser": "erase",
    "polygon": "polygon",
    "fill": "fill",
    "move": "pan_zoom",
}
"""Tools by the name a person knows them, and napari's."""


class Hand:
    """The hand of one session. Methods do not raise: what goes wrong is told.

    Parameters
    ----------
    session
        Whose mask is painted on.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        self.session = session
        self.courtesy = Courtesy()

    def fail(self, error: Exception) -> None:
        """Tell a person in one sentence what went wrong."""
        self.session.fail(error)

    @property
    def layer(self) -> Any:
        """The layer under the brush: the mask's own, or the fine window over it; or None."""
        fine, editor = self.session.tools.fine, self.session.tissue.editor
        if fine.is_open:
            return fine.layer
        return editor.layer if editor else None

    @property
    def tool(self) -> str:
        """The tool in hand, by the name that `pick` takes; empty where it is none of them."""
        mode = str(self.layer.mode) if self.layer is not None else ""
        return next((tool for tool, other in MODES.items() if other == mode), "")

    @told
    def pick(self, tool: str) -> None:
        """Take "brush", "eraser", "polygon", "fill" or "move" in hand, with the mask selected."""
        session, tools = self.session, self.session.tools
        editor = session.tissue.need_editor()
        tools.put_down()
        editor.show()
        if tools.fine.is_open:
            tools.fine.show()
        else:
            editor.layer.visible = True
            session.viewer.layers.selection.active = editor.layer
        layer = self.layer
        if tool in ("brush", "polygon", "fill"):
            layer.selected_label = tools.kind.value
        layer.mode = MODES[tool]

    @property
    def brush_um(self) -> float:
        """Diameter of the brush, µm."""
        layer = self.layer
        return float(layer.brush_size * layer.metadata[TAG]["spacing"]) if layer else 0.0

    @brush_um.setter
    def brush_um(self, um: float) -> None:
        layer = self.layer
        if layer is not None:
            layer.brush_size = max(1, round(um / layer.metadata[TAG]["spacing"]))

    @property
    def can_undo(self) -> bool:
        """Whether there is a stroke to take back, or a correction that is still being made."""
        waits = bool(self.session.tools.queue.words)
        return waits or (self.layer is not None and bool(self.layer._undo_history))

    @property
    def can_redo(self) -> bool:
        """Whether a stroke was taken back."""
        return self.layer is not None and bool(self.layer._redo_history)

    @told
    def undo(self) -> None:
        """Take the last stroke back; before that, a correction that is still being made."""
        editor = self.session.tissue.editor
        if editor is not None and not self.session.tools.queue.take_back():
            self.layer.undo()
            editor.catch_up()

    @told
    def redo(self) -> None:
        """Do it again after all."""
        editor = self.session.tissue.editor
        if editor is not None:
            self.layer.redo()
            editor.catch_up()

    @property
    def holds(self) -> tuple[str, float] | None:
        """Tool and brush in µm, to be taken over to another mask; None where there is no mask."""
        return (self.tool, self.brush_um) if self.session.tissue.editor else None

    def watch(self, layer: Any) -> None:
        """Let work and frames make way for strokes on a layer."""
        viewer = self.session.viewer
        self.courtesy.watch(layer)
        follow_strokes(viewer, layer)
        # napari 0.9 has a dark square in the middle of the brush's circle, over what is painted.
        with suppress(AttributeError):
            viewer.canvas.overlays._brush_circle.box = False

    def take_over(self, layer: Any, held: tuple[str, float] | None) -> None:
        """Another mask's layer comes under the hand; what was in it stays."""
        self.watch(layer)
        layer.events.brush_size.connect(self._brush_changed)
        # napari's own undo knows nothing of a correction that is still being worked out.
        layer.bind_key("Control-Z", lambda _layer: self.undo(), overwrite=True)
        tool, self.brush_um = held or ("", BRUSH_UM)
        if held is not None:
            self.pick(tool or "brush")

    def _brush_changed(self) -> None:
        self.changed.emit()
