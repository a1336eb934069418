"""Click on the slide, see what looks alike, paint it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_maskvit.errors import MaskError
from napari_maskvit.tissue.kinds import GLASS, TISSUE
from napari_maskvit.tissue.likeness import Likeness
from napari_maskvit.viewer.layers.colours import KIND_COLOURS, TISSUE_COLOUR, label_colours
from napari_maskvit.viewer.layers.placing import FLAT, TAG, insert_quietly, remove
from napari_maskvit.viewer.work.jobs import once

if TYPE_CHECKING:
    from napari_maskvit.viewer.tools.desk import ToolDesk

TOLERANCE = 2.0
RADIUS_UM = 300.0
_ALPHA = 0.6
_KEYS = {"Escape": "cancel_likeness", "Enter": "apply_likeness"}


class LikenessTool:
    """One click or scribble at a time, with a preview that follows the tolerance.

    Parameters
    ----------
    desk
        Whose kind is painted.

    Attributes
    ----------
    in_hand
        Whether clicks on the mask's layer select.
    likeness
        What was last compared; None while nothing is selected.
    """

    def __init__(self, desk: ToolDesk) -> None:
        self.desk = desk
        self.in_hand = False
        self.likeness: Likeness | None = None
        self.preview: Any = None
        self._tolerance, self._radius_um = TOLERANCE, RADIUS_UM
        self._points: list[tuple[float, float]] = []
        self._layer: Any = None
        self._before = ""

    @property
    def tolerance(self) -> float:
        """How unlike the example may be what is selected; 1 is as its own pixels are."""
        return self._tolerance

    @tolerance.setter
    def tolerance(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self.refresh()

    @property
    def radius_um(self) -> float:
        """How far from the click to look, µm."""
        return self._radius_um

    @radius_um.setter
    def radius_um(self, um: float) -> None:
        self._radius_um = um
        if self._points:
            self._compare()

    @property
    def selected_mm2(self) -> float | None:
        """Area that is selected, mm²; None while nothing is."""
        if self.likeness is None:
            return None
        pixels = int(np.count_nonzero(self.likeness.selection(self.tolerance)))
        return pixels * self.likeness.mask_spacing**2 / 1e6

    def take_up(self) -> None:
        """Have clicks select."""
        session = self.desk.session
        before = session.hand.tool
        session.hand.pick("move")
        self._before = before
        self._layer = layer = session.tissue.layer
        layer.mouse_pan, layer.cursor = False, "cross"
        layer.mouse_drag_callbacks.append(self._on_drag)
        layer.events.mode.connect(self.put_down)
        for key, method in _KEYS.items():
            layer.bind_key(key, self._calling(method), overwrite=True)
        self.in_hand = True
        self.desk.changed.emit()

    def put_down(self, _event: object = None) -> None:
        """Have clicks mean what they meant before."""
        self._forget()
        if not self.in_hand:
            return
        self.in_hand = False
        layer, self._layer = self._layer, None
        layer.events.mode.disconnect(self.put_down)
        layer.mouse_drag_callbacks.remove(self._on_drag)
        for key in _KEYS:
            layer.bind_key(key, None)
        if str(layer.mode) == "pan_zoom":
            layer.mouse_pan, layer.cursor = True, "standard"
        self.desk.changed.emit()

    def lay_down(self) -> None:
        """Lay the tool down and go on with the one before; never with a hand that moves the slide.

        Who corrects goes on correcting: a drag that is meant to paint must not move the view.
        """
        self.put_down()
        before = self._before if self._before not in ("", "move") else "brush"
        self.desk.session.hand.pick(before)

    def select(self, points: list[tuple[float, float]]) -> None:
        """Compare with what lies under these points (y, x), µm from the slide's corner."""
        self._points = points
        self._compare()

    def refresh(self) -> None:
        """Show what the tolerance selects, in the colour of what would be painted."""
        if self.likeness is None:
            return
        if self.preview is None or self.preview not in self.desk.session.viewer.layers:
            self._add_preview(self.likeness)
        self.preview.colormap = _colours(self.desk.kind.value)
        np.copyto(self.preview.data, self.likeness.selection(self.tolerance))
        self.preview.refresh(extent=False)
        self.desk.changed.emit()

    def apply(self) -> None:
        """Paint what is selected.

        Raises
        ------
        MaskError
            If nothing is.
        """
        if self.likeness is None:
            raise MaskError("Nothing is selected yet: click on the slide first.")
        editor, kind = self.desk.need_editor(), self.desk.kind
        name = f"{kind.name.lower()} by likeness"
        edit = self.likeness.edit(editor.mask, self.tolerance, kind.value, name)
        self._forget()
        self.desk.make(edit)
        self.desk.changed.emit()

    def cancel(self) -> None:
        """Select nothing; where nothing was, lay the tool down."""
        if self._points:
            self._forget()
            self.desk.changed.emit()
        else:
            self.lay_down()

    def _on_drag(self, layer: Any, event: Any) -> Iterator[None]:
        if event.button != 1:
            return
        points = [self._place(event)]
        add = "Shift" in event.modifiers
        yield
        while event.type == "mouse_move":
            points.append(self._place(event))
            yield
        self.select(self._points + points if add else points)

    def _place(self, event: Any) -> tuple[float, float]:
        half = self.desk.session.slides.need().require_spacing() / 2
        y, x = event.position[-2:]
        return float(y) + half, float(x) + half

    def _compare(self) -> None:
        session, points, radius = self.desk.session, list(self._points), self._radius_um
        slide, mask = session.slides.need(), session.tissue.need_mask()
        session.jobs.start(
            "likeness",
            "Comparing",
            once(lambda: Likeness.of(slide, mask, points, radius)),
            on_done=self._show,
        )

    def _show(self, likeness: Likeness) -> None:
        before, self.likeness = self.likeness, likeness
        if before is not None and before.box != likeness.box:
            self._remove_preview()
        self.refresh()

    def _add_preview(self, likeness: Likeness) -> None:
        from napari.layers import Labels

        session = self.desk.session
        under = self.desk.need_editor().layer
        corner = [side.start * likeness.mask_spacing for side in likeness.box]
        self.preview = Labels(
            np.zeros(likeness.cost.shape, np.uint8),
            name="alike (preview)",
            scale=under.scale,
            translate=np.asarray(under.translate) + corner,
            units=under.units,
            opacity=1.0,
            blending=FLAT,
            metadata={TAG: {"kind": "preview"}},
        )
        insert_quietly(session.viewer, len(session.viewer.layers), self.preview)

    def _remove_preview(self) -> None:
        if self.preview is not None:
            remove(self.desk.session.viewer, [self.preview])
        self.preview = None

    def _forget(self) -> None:
        self.desk.session.jobs.cancel("likeness")
        self._points, self.likeness = [], None
        self._remove_preview()

    def _calling(self, method: str) -> Any:
        return lambda _layer: getattr(self.desk, method)()


def _colours(value: int) -> Any:
    colours = {GLASS.value: (1.0, 1.0, 1.0), TISSUE.value: TISSUE_COLOUR, **KIND_COLOURS}
    return label_colours({1: (*colours[value][:3], _ALPHA)})
