"""Where the tools lie: what is painted, whole-mask corrections, likeness and the fine window."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_maskvit.errors import MaskError
from napari_maskvit.tissue import TissueMask
from napari_maskvit.tissue import edits as make
from napari_maskvit.tissue.edits import Edit
from napari_maskvit.tissue.kinds import KINDS, TISSUE, Kind
from napari_maskvit.viewer.layers.history import Write
from napari_maskvit.viewer.layers.marks import Levels
from napari_maskvit.viewer.tools.fine import FineTool
from napari_maskvit.viewer.tools.likeness import LikenessTool
from napari_maskvit.viewer.tools.queue import EditQueue, Waiting
from napari_maskvit.viewer.words import notices
from napari_maskvit.viewer.words.telling import told

if TYPE_CHECKING:
    from napari_maskvit.viewer.layers.mask import MaskLayer
    from napari_maskvit.viewer.session import Session

EDGE_UM = 10.0
PIECE_UM2 = 2_000.0


class ToolDesk:
    """The tools of one session. Methods do not raise: what goes wrong is told.

    Parameters
    ----------
    session
        Whose mask is corrected.

    Attributes
    ----------
    edge_um
        By how much edges are smoothed, grown and shrunk, µm.
    piece_um2
        Area below which holes are filled and specks dropped, µm².
    """

    changed = Signal()
    drawn_finely = Signal()

    def __init__(self, session: Session) -> None:
        self.session = session
        self.kind: Kind = TISSUE
        self.edge_um, self.piece_um2 = EDGE_UM, PIECE_UM2
        self.queue = EditQueue(self)
        self.likeness = LikenessTool(self)
        self.fine = FineTool(self)

    def fail(self, error: Exception) -> None:
        """Tell a person in one sentence what went wrong."""
        self.session.fail(error)

    # ---- what is painted

    @told
    def paint_with(self, value: int) -> None:
        """Have brush, polygon, fill and likeness paint the kind of this value."""
        session = self.session
        self.kind = next(kind for kind in KINDS if kind.value == value)
        for layer in (self.fine.layer, session.tissue.layer):
            if layer is not None:
                layer.selected_label = value
        # Who asks for pen wants to paint pen, not to move the slide.
        paints = self.likeness.in_hand or session.hand.tool in ("brush", "polygon", "fill")
        if session.tissue.layer is not None and not paints:
            session.hand.pick("brush")
        self.likeness.refresh()
        self.changed.emit()

    # ---- the whole mask

    @told
    def smooth(self) -> None:
        """Even out every edge by `edge_um`."""
        um = self.edge_um
        self._whole("Smoothing the mask", lambda mask: make.smoothed(mask, um))

    @told
    def grow(self) -> None:
        """Move every edge outwards by `edge_um`."""
        um = self.edge_um
        self._whole("Growing the mask", lambda mask: make.grown(mask, um))

    @told
    def shrink(self) -> None:
        """Move every edge inwards by `edge_um`."""
        um = self.edge_um
        self._whole("Shrinking the mask", lambda mask: make.shrunk(mask, um))

    @told
    def fill_holes(self) -> None:
        """Fill holes smaller than `piece_um2`, on the whole slide."""
        um2 = self.piece_um2
        self._whole("Filling holes", lambda mask: make.holes_filled(mask, um2))

    @told
    def drop_specks(self) -> None:
        """Drop pieces smaller than `piece_um2`, on the whole slide."""
        um2 = self.piece_um2
        self._whole("Dropping specks", lambda mask: make.specks_dropped(mask, um2))

    # ---- likeness and the fine window

    @told
    def pick_likeness(self) -> None:
        """Take the tool that selects what looks like a click in hand, or lay it down."""
        self._no_fine_window()
        if self.likeness.in_hand:
            self.likeness.lay_down()
        else:
            self.likeness.take_up()

    @told
    def apply_likeness(self) -> None:
        """Paint what is selected."""
        self.likeness.apply()

    @told
    def cancel_likeness(self) -> None:
        """Select nothing; a second time, lay the tool down."""
        self.likeness.cancel()

    @told
    def open_fine(self) -> None:
        """Open the fine window at the middle of the view."""
        self.need_editor()
        self.fine.open()

    @told
    def apply_fine(self) -> None:
        """Write what was drawn in the fine window into the mask."""
        self.fine.apply()

    @told
    def discard_fine(self) -> None:
        """Close the fine window and leave the mask as it was."""
        self.fine.close()

    # ---- coming and going

    def put_down(self) -> None:
        """Another tool is taken in hand."""
        self.likeness.put_down()

    def leave(self) -> None:
        """The slide is left: what was drawn finely is kept."""
        if self.likeness.in_hand:
            self.likeness.lay_down()
        self.fine.keep()

    def drop(self) -> None:
        """The mask goes away, and with it all that rests on it."""
        self.queue.clear()
        self.likeness.put_down()
        self.fine.close()

    def need_editor(self) -> MaskLayer:
        """The mask's layer, with every change seen.

        Raises
        ------
        MaskError
            If there is no mask.
        """
        editor = self.session.tissue.need_editor()
        editor.show()
        return editor

    def _whole(self, words: str, work: Callable[[TissueMask], Edit]) -> None:
        self._no_fine_window()
        self.likeness.put_down()
        self.edit(words, work)

    def _no_fine_window(self) -> None:
        if self.fine.is_open:
            raise MaskError("A fine window is open over the mask: apply or discard it first.")
        self.need_editor()

    def edit(
        self,
        words: str,
        work: Callable[[TissueMask], Edit],
        then: Callable[[], Any] | None = None,
    ) -> None:
        """Work out a correction beside the window, then make it, after those that wait already.

        Parameters
        ----------
        words
            What is going on.
        work
            Makes the correction of a mask; called in a worker.
        then
            Called once it was made, or there was nothing to change.
        """
        self.need_editor()
        self.queue.add(Waiting(words, work, then))

    def make(
        self, edit: Edit, levels: Levels | None = None, writes: list[Write] | None = None
    ) -> None:
        """Make a correction of the mask as it stands, in one step."""
        if edit.is_empty:
            notices.tell(f"Nothing to do: no {edit.missing}.")
            return
        editor = self.session.tissue.need_editor()
        with self.session.timeline.naming(edit.name):
            editor.apply(edit, levels, writes)
