"""The tissue mask in a viewer: an ordinary Labels layer, and what was changed in it by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_maskvit.tissue import TissueMask
from napari_maskvit.tissue.edits import Edit
from napari_maskvit.viewer.layers.areas import Areas
from napari_maskvit.viewer.layers.boxes import Box, bounding_box, everything, tiles
from napari_maskvit.viewer.layers.colours import KIND_COLOURS, TISSUE_COLOUR, label_colours
from napari_maskvit.viewer.layers.history import Write, box_of, writes_of
from napari_maskvit.viewer.layers.marks import Levels, Marks, mark_levels
from napari_maskvit.viewer.layers.partly import undo_in_boxes
from napari_maskvit.viewer.layers.placing import (
    FLAT,
    TAG,
    geometry,
    insert_quietly,
    kind_of,
    remove,
)

if TYPE_CHECKING:
    import napari

    from napari_maskvit.slide import Slide

FILL_ALPHA = 0.05
"""More turns eosin violet."""

UNKNOWN = (0.4, 0.4, 0.4, 0.3)
SETTLE_MS = 60


class MaskLayer:
    """A tissue mask under a person's brush.

    The mask itself is a Labels layer with a faint fill. A second, locked layer shows what follows
    from it: the outline, what was added to the mask as found, and what was removed from it.

    Parameters
    ----------
    viewer
        Where the layers go.
    slide
        The slide under the mask, of known spacing.
    mask
        The mask as it stands.
    found
        The mask as segmented, of the same shape; None means that ``mask`` is as found.
    levels
        `mark_levels` of a mask that is as found, worked out beforehand.
    """

    changed = Signal(object)  # Box: rows and columns of the mask that changed

    def __init__(
        self,
        viewer: napari.Viewer,
        slide: Slide,
        mask: TissueMask,
        found: TissueMask | None = None,
        levels: Levels | None = None,
    ) -> None:
        from qtpy.QtCore import QTimer
        from superqt.utils import qdebounced

        self.viewer, self.slide = viewer, slide
        self.spacing = mask.spacing
        self.found: NDArray[np.uint8] = np.array((found or mask).array, np.uint8)
        self._shadow: NDArray[np.uint8] = np.array(mask.array, np.uint8)
        self._mask: TissueMask | None = mask
        self._writing = self._is_waiting = self._moved = False
        self.layer = self._make_layer()
        if levels is None:
            levels = mark_levels(self._shadow, self.found)
        self.marks = Marks(levels, self._geometry())
        self._settle = qdebounced(self._compare, timeout=SETTLE_MS)
        self._soon = QTimer()
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._compare)
        self._undone = 0
        self.areas = self._areas(as_found=found is None or found is mask)
        self._add_layers()

    @property
    def outline(self) -> Any:
        """The layer of outline and corrections."""
        return self.marks.layer

    @property
    def mask(self) -> TissueMask:
        """The mask as it stands; a copy that later strokes leave alone."""
        if self._mask is None:
            self._mask = TissueMask(self._shadow.copy(), self.spacing, "tissue mask")
        return self._mask

    def replace(
        self, found: TissueMask, *, keep_corrections: bool, levels: Levels | None = None
    ) -> None:
        """Take a newly found mask of the same shape, with or without what was changed by hand.

        ``levels`` are its `mark_levels`, worked out beforehand.
        """
        new = np.array(found.array, np.uint8)
        if keep_corrections and self.areas.is_corrected:
            by_hand = ((self._shadow == 1) != (self.found == 1)) | (self._shadow > 1)
            new[by_hand] = self._shadow[by_hand]
            levels = None
        self.found = np.array(found.array, np.uint8)
        self._write(new, levels)

    def set_mask(self, mask: TissueMask) -> None:
        """Take over a mask of the same shape and compare it with the one found."""
        self._write(np.array(mask.array, np.uint8))

    def apply(
        self, edit: Edit, levels: Levels | None = None, writes: Sequence[Write] | None = None
    ) -> None:
        """Make a correction of the mask as it stands, which one undo takes back.

        ``levels`` are the `mark_levels` of the mask afterwards and ``writes`` the `writes_of` the
        correction, worked out beforehand.
        """
        self._compare()
        box = edit.box
        if box is None:
            return
        self._writing = True
        try:
            with self.layer.block_history():
                for places, values in writes or writes_of(edit, self._shadow):
                    self.layer.data_setitem(places, values, refresh=False)
            # napari draws what it gathered; the pixels are there.
            self.layer._partial_labels_refresh()
        finally:
            self._writing = False
        parts = [patch.box for patch in edit.patches]
        self._follow(parts, levels)
        self.changed.emit(box)

    def show(self) -> None:
        """Put layers that were removed back."""
        self._add_layers()

    def remove(self) -> None:
        """Take the layers out of the viewer; the mask stays known."""
        remove(self.viewer, [self.outline, self.layer])

    def close(self) -> None:
        """Stop listening."""
        self._settle.cancel()
        self._soon.stop()
        self.layer.events.labels_update.disconnect(self._on_move)
        self.layer.events.paint.disconnect(self._on_paint)
        self.layer.events.set_data.disconnect(self._on_data)
        self.layer.events.data.disconnect(self._on_data)

    def is_in(self, viewer: napari.Viewer) -> bool:
        """Whether the mask's layer is still in the list."""
        return self.layer in viewer.layers

    def settle(self) -> None:
        """See every change now, without waiting for things to settle."""
        self._compare()

    def catch_up(self) -> None:
        """See now what was told of and waits to settle, if anything does."""
        if self._is_waiting:
            self._compare()

    def answered(self) -> None:
        """Attention has heard of every correction: the latest looks like the others."""
        boxes, self.marks.sketched = self.marks.sketched, []
        # Unless a hand is drawing the next one.
        if self.layer._block_history:
            self._sketch(*boxes)
        elif boxes:
            self.marks.draw(self._shadow, self.found, *boxes)

    def _make_layer(self) -> Any:
        from napari.layers import Labels

        layer = Labels(
            self._shadow.copy(),
            name="tissue mask",
            colormap=label_colours(
                {1: (*TISSUE_COLOUR[:3], FILL_ALPHA), **KIND_COLOURS}, other=UNKNOWN
            ),
            opacity=1.0,
            blending=FLAT,
            metadata={
                TAG: {"kind": "mask", "spacing": self.spacing, "slide": str(self.slide.path)}
            },
            **self._geometry(),
        )
        layer.selected_label = 1
        layer.events.labels_update.connect(self._on_move)
        layer.events.paint.connect(self._on_paint)
        layer.events.set_data.connect(self._on_data)
        layer.events.data.connect(self._on_data)
        undo_in_boxes(layer, self._on_data)
        return layer

    def _geometry(self) -> dict[str, Any]:
        slide_spacing = self.slide.require_spacing()
        return geometry(self.spacing / slide_spacing, slide_spacing)

    def _add_layers(self) -> None:
        layers = self.viewer.layers
        if self.layer not in layers:
            attention = [i for i, layer in enumerate(layers) if kind_of(layer) == "attention"]
            insert_quietly(self.viewer, min(attention, default=len(layers)), self.layer)
        if self.outline not in layers:
            insert_quietly(self.viewer, len(layers), self.outline)

    def _on_move(self, event: Any) -> None:
        """Mark what a stroke has changed so far, for the mask itself lies under attention."""
        if self.layer._block_history and not self._writing:
            ends = zip(event.offset, event.data.shape, strict=True)
            rows, columns = (slice(start, start + length) for start, length in ends)
            self._sketch((rows, columns))
            self._moved = True

    def _on_paint(self, event: Any) -> None:
        # A stroke ends what could be redone.
        self._undone = len(self.layer._redo_history)
        if self._writing:
            return
        box = box_of(event.value, self._shadow.shape)
        # Outside a drag (polygon, fill from code) the event comes before the data is written.
        if box is not None and not self._take(box, by_hand=True):
            self._is_waiting = True
            self._soon.start()

    def _on_data(self, _event: object = None) -> None:
        if self._writing:
            return
        # Undo and redo say no more than that the data was set, as does every refresh; but what
        # they moved lies on top of the other history.
        waiting, done = self.layer._redo_history, self.layer._undo_history
        moved = waiting if len(waiting) > self._undone else done
        is_step, self._undone = len(waiting) != self._undone, len(waiting)
        box = box_of(moved[-1], self._shadow.shape) if is_step and moved else None
        if box is None or not self._take(box):
            self._is_waiting = True
            self._settle()

    def _compare(self) -> None:
        data = np.asarray(self.layer.data)
        # A hand that rests in the middle of a stroke has not finished it; its end is told.
        if data.shape != self._shadow.shape or self.layer._block_history:
            return
        self._is_waiting = False
        different = data != self._shadow
        box = bounding_box(different)
        if box is not None:
            self._take(box)

    def _sketch(self, *boxes: Box) -> None:
        self.marks.sketch(np.asarray(self.layer.data), self._shadow, self.found, *boxes)

    def _take(self, box: Box, by_hand: bool = False) -> bool:
        """Bring shadow, outline and numbers up to date in a box; whether anything changed.

        What was changed ``by_hand`` is shown as such until it is `answered`.
        """
        data = np.asarray(self.layer.data)
        parts = [part for part in tiles(box) if not np.array_equal(data[part], self._shadow[part])]
        if not parts:
            return False
        self._follow(parts, by_hand=by_hand)
        self.changed.emit(box)
        return True

    def _follow(
        self, parts: list[Box], levels: Levels | None = None, by_hand: bool = False
    ) -> None:
        data = np.asarray(self.layer.data)
        if by_hand and not self._moved:
            self._sketch(*parts)
        self._moved = False
        for part in parts:
            self.areas.leave_out(self._shadow, self.found, part)
            self._shadow[part] = data[part]
            self.areas.count(self._shadow, self.found, part)
        self._mask = None
        if levels is not None:
            self.marks.take(levels)
        elif not by_hand:
            self.marks.draw(self._shadow, self.found, *parts)

    def _areas(self, as_found: bool) -> Areas:
        found = self._shadow if as_found else self.found
        return Areas.of(self._shadow, found, self.spacing)

    def _write(self, array: NDArray[np.uint8], levels: Levels | None = None) -> None:
        self._writing = True
        try:
            self.layer.data[...] = array
            # The strokes that the history holds belong to another mask.
            self.layer._reset_history()
            self.layer.refresh(extent=False)
        finally:
            self._writing = False
        self._settle.cancel()
        self._shadow[...] = array
        self._mask = None
        self.areas = self._areas(as_found=levels is not None)
        self.marks.take(mark_levels(self._shadow, self.found) if levels is None else levels)
        self.changed.emit(everything(array))
