"""Keeps the timeline of one session: hears corrections, names them, goes back to any of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_maskvit.tissue.kinds import EXCLUDED
from napari_maskvit.viewer.layers.boxes import everything
from napari_maskvit.viewer.timeline.timeline import Timeline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain import Explanation
    from napari_maskvit.tissue import TissueMask
    from napari_maskvit.viewer.layers.boxes import Box
    from napari_maskvit.viewer.layers.mask import MaskLayer
    from napari_maskvit.viewer.session import Session
    from napari_maskvit.viewer.timeline.entry import Entry

MARKED = "marked as"
_BY_MODE = {"paint": "painted", "erase": "erased", "fill": "filled", "polygon": "outlined"}


class TimelineDesk:
    """One entry a finished correction, with what the model said of it.

    Parameters
    ----------
    session
        Whose mask is followed.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        self.session = session
        self.timeline = Timeline()
        self._editor: MaskLayer | None = None
        self._named: str | None = None
        self._undone = 0
        self._next_redo: frozenset[int] = frozenset()
        session.mask_changed.connect(self._follow)
        session.slide_changed.connect(self._another_slide)

    @contextmanager
    def naming(self, kind: str) -> Iterator[None]:
        """What changes within is called ``kind`` in the timeline: "smoothed", "found"."""
        before, self._named = self._named, self._named or kind
        try:
            yield
        finally:
            self._named = before

    def record(self, box: Box) -> NDArray[np.bool_] | None:
        """Take the change that the mask's layer has just told of.

        Returns
        -------
        ndarray or None
            Pixels of the box whose tissue changed; None where nothing did.
        """
        editor = self.session.tissue.editor
        if editor is None:
            return None
        self._follow()
        where = self.timeline.record(editor.layer.data, box, self._kind(editor))
        if where is not None:
            self.changed.emit()
        return where

    @property
    def serial(self) -> int | None:
        """Number of the entry of the mask as it stands."""
        latest = self.timeline.latest
        return latest.serial if latest else None

    def answered(self, serial: int | None, explanation: Explanation) -> None:
        """Note what the model said of the mask of that entry."""
        if serial is not None and explanation.complete:
            self.timeline.answered(serial, explanation.prediction)
            self.changed.emit()

    def resume(self, entries: Sequence[Entry], aside: TissueMask | None = None) -> None:
        """Go on with entries that were kept elsewhere; the mask on display is where they led.

        Parameters
        ----------
        entries
            Oldest first.
        aside
            The mask that was on display until now, where it should stay within reach.
        """
        editor = self.session.tissue.editor
        if editor is None or not entries:
            return
        self.timeline, self._editor = Timeline.of(entries), editor
        if aside is not None:
            self.timeline.begin(aside.array, aside.spacing, "put aside")
        data, latest = editor.layer.data, self.timeline.latest
        assert latest is not None
        if latest.shape != data.shape or latest.spacing != editor.spacing:
            self.timeline.begin(data, editor.spacing, "restored")
        else:
            # A stroke that was under way is in the mask, and not yet in the timeline.
            self.timeline.record(data, everything(data), "restored")
        self._remember(editor)
        self.changed.emit()

    def go_back(self, serial: int) -> None:
        """Bring back the mask of an entry: one more correction, which can be undone.

        Raises
        ------
        MaskvitError
            If the entry is gone.
        """
        mask = self.timeline.mask_at(serial)
        editor = self.session.tissue.editor
        with self.naming("gone back"):
            if editor is None or editor.layer.data.shape != mask.shape:
                self.session.tissue.take(mask)
                return
            editor.settle()
            editor.show()
            places = np.nonzero(editor.layer.data != mask.array)
            if len(places[0]):
                editor.layer.data_setitem(places, mask.array[places], refresh=False)
                editor.layer.refresh(extent=False)
                editor.settle()

    def _follow(self) -> None:
        """A mask of another shape or slide begins a stretch of its own."""
        editor = self.session.tissue.editor
        if editor is self._editor:
            return
        self._editor = editor
        if editor is not None:
            self.timeline.begin(editor.layer.data, editor.spacing, self._named or "taken over")
            self._remember(editor)
            self.changed.emit()

    def _another_slide(self) -> None:
        if self.session.tissue.editor is None and len(self.timeline):
            self.timeline = Timeline()
            self._editor = None
            self.changed.emit()

    def _kind(self, editor: MaskLayer) -> str:
        """What a person has just done, from the layer's tool and history."""
        undone, redone = self._undone, self._next_redo
        self._remember(editor)
        if self._named:
            return self._named
        if self._undone > undone:
            return "undone"
        history = editor.layer._undo_history
        if redone and history and frozenset(map(id, history[-1])) == redone:
            return "redone"
        kind, paints = _BY_MODE.get(str(editor.layer.mode), "changed"), editor.layer.selected_label
        excluded = next((one.name.lower() for one in EXCLUDED if one.value == paints), None)
        if excluded and kind in ("painted", "filled", "outlined"):
            return f"{MARKED} {excluded}"
        return "erased" if kind == "painted" and not paints else kind

    def _remember(self, editor: MaskLayer) -> None:
        waiting: Any = editor.layer._redo_history
        self._undone = len(waiting)
        self._next_redo = frozenset(map(id, waiting[-1])) if waiting else frozenset()
