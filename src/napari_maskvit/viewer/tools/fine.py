"""A window at the slide's own resolution, painted on beside the mask and written back in one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_maskvit.errors import MaskError
from napari_maskvit.tissue import TissueMask
from napari_maskvit.tissue.edits import Edit
from napari_maskvit.tissue.window import FineWindow
from napari_maskvit.viewer.layers.colours import KIND_COLOURS, TISSUE_COLOUR, label_colours
from napari_maskvit.viewer.layers.placing import FLAT, TAG, geometry, insert_quietly, remove

if TYPE_CHECKING:
    from napari_maskvit.viewer.tools.desk import ToolDesk

BRUSH_UM = 15.0
FILL_ALPHA = 0.3
WRITING = "Writing the fine edges"


@dataclass(frozen=True, eq=False)
class Drawn:
    """What was drawn in a window so far.

    Attributes
    ----------
    window : FineWindow
    before, now : uint8 (rows, columns)
        As the window was opened, and as it is.
    """

    window: FineWindow
    before: NDArray[np.uint8]
    now: NDArray[np.uint8]

    def edit(self, mask: TissueMask) -> Edit:
        """What it changes in the mask."""
        return self.window.edit(mask, self.before, self.now)


class FineTool:
    """At most one open window.

    Parameters
    ----------
    desk
        Whose kind is painted.

    Attributes
    ----------
    window
        Where it lies; None while none is open.
    layer
        What is painted on. Removing it from the viewer closes nothing: what was drawn stays.
    """

    def __init__(self, desk: ToolDesk) -> None:
        self.desk = desk
        self.window: FineWindow | None = None
        self.layer: Any = None
        self._before: NDArray[np.uint8] | None = None
        self._hidden: list[Any] = []

    @property
    def is_open(self) -> bool:
        """Whether a window is open."""
        return self.window is not None

    @property
    def drawn(self) -> Drawn | None:
        """A copy of what was drawn so far; None while no window is open."""
        if self.window is None or self._before is None:
            return None
        return Drawn(self.window, self._before, np.array(self.layer.data, np.uint8))

    def open(self) -> None:
        """Cut a window at the middle of the view.

        Raises
        ------
        MaskError
            If the mask is as fine as the slide already.
        """
        if self.is_open:
            self.show()
            return
        session, editor = self.desk.session, self.desk.need_editor()
        slide, mask = session.slides.need(), editor.mask
        half = slide.require_spacing() / 2
        y, x = (float(one) + half for one in session.viewer.scene.camera.center[-2:])
        window = FineWindow.around(slide, mask, (y, x))
        self.desk.put_down()
        self.window, self._before = window, window.cut(mask)
        self.layer = self._make(window)
        self.layer.events.paint.connect(self._on_paint)
        self.layer.events.set_data.connect(self._on_paint)
        self.layer.events.brush_size.connect(session.hand.changed.emit)
        session.hand.watch(self.layer)
        self.show()
        self.layer.mode = "paint"
        self.desk.changed.emit()

    def show(self) -> None:
        """Put the window on top and in hand; the mask would show through what is erased."""
        session, editor = self.desk.session, self.desk.need_editor()
        if self.layer not in session.viewer.layers:
            insert_quietly(session.viewer, len(session.viewer.layers), self.layer)
        for layer in (editor.layer, editor.outline):
            if layer.visible:
                layer.visible = False
                self._hidden.append(layer)
        session.viewer.layers.selection.active = self.layer

    def apply(self) -> None:
        """Write what was drawn into the mask, in one step, and close the window.

        Raises
        ------
        MaskError
            If no window is open.
        """
        drawn = self.drawn
        if drawn is None:
            raise MaskError("No fine window is open: open one first.")
        if np.array_equal(drawn.before, drawn.now):
            self.close()
            return
        if WRITING not in self.desk.queue.words:
            self.desk.edit(WRITING, drawn.edit, then=self.close)

    def keep(self) -> None:
        """Write what was drawn into the mask now, without waiting for a worker."""
        drawn, editor = self.drawn, self.desk.session.tissue.editor
        if drawn is not None and editor is not None:
            editor.settle()
            editor.apply(drawn.edit(editor.mask))
        self.close()

    def close(self) -> None:
        """Close the window; what was not applied is gone."""
        if self.window is None:
            return
        session = self.desk.session
        self.layer.events.paint.disconnect(self._on_paint)
        self.layer.events.set_data.disconnect(self._on_paint)
        self.layer.events.brush_size.disconnect(session.hand.changed.emit)
        remove(session.viewer, [self.layer])
        for layer in self._hidden:
            layer.visible = True
        self.window = self.layer = self._before = None
        self._hidden = []
        if session.tissue.layer is not None:
            session.viewer.layers.selection.active = session.tissue.layer
            # Who corrects goes on correcting: a drag must not move the slide instead.
            if session.hand.tool in ("", "move"):
                session.tissue.layer.mode = "paint"
        self.desk.changed.emit()
        session.hand.changed.emit()

    def _on_paint(self, _event: object) -> None:
        self.desk.drawn_finely.emit()

    def _make(self, window: FineWindow) -> Any:
        from napari.layers import Labels

        spacing = self.desk.session.slides.need().require_spacing()
        place = geometry(window.spacing / spacing, spacing)
        place["translate"] = tuple(
            np.asarray(place["translate"], float) + np.asarray(window.corner_um)
        )
        assert self._before is not None
        layer = Labels(
            self._before.copy(),
            name="fine window",
            # No outline is drawn here: the fill alone has to tell where an edge runs.
            colormap=label_colours({1: (*TISSUE_COLOUR[:3], FILL_ALPHA), **KIND_COLOURS}),
            opacity=1.0,
            blending=FLAT,
            metadata={TAG: {"kind": "fine", "spacing": window.spacing}},
            **place,
        )
        layer.bounding_box.visible = True
        layer.bounding_box.points = False
        layer.selected_label = self.desk.kind.value
        layer.brush_size = max(1, round(BRUSH_UM / window.spacing))
        return layer
