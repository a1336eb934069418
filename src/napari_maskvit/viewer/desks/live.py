"""The live update: each correction of the mask is answered at once, and the newest wins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.viewer.desks.ahead import TURN_MS
from napari_maskvit.viewer.layers.stale import Stale
from napari_maskvit.viewer.work.runs import Request, Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.viewer.desks.attention import AttentionDesk
    from napari_maskvit.viewer.layers.boxes import Box

QUICK_MS = 700
"""An update that takes longer shows its progress and Cancel."""

VEIL_MS = 350
"""What is up to date again before that is not veiled: it would only flash, and napari builds its
scene anew for it."""


class LiveUpdate:
    """Starts an update for each correction, and knows what is out of date.

    Parameters
    ----------
    desk
        Whose explanation follows the mask.
    """

    def __init__(self, desk: AttentionDesk) -> None:
        from qtpy.QtCore import QTimer

        self.desk, self.session = desk, desk.session
        self.on = True
        self.stale = Stale(desk.session.viewer)
        self._quick, self._soon, self._idle = QTimer(), QTimer(), QTimer()
        for timer, wait, then in (
            (self._quick, QUICK_MS, self._tell),
            (self._soon, VEIL_MS, self._veil),
            (self._idle, TURN_MS, self._prepare),
        ):
            timer.setSingleShot(True)
            timer.setInterval(wait)
            timer.timeout.connect(then)
        self._is_update = False

    @property
    def is_updating(self) -> bool:
        """Whether an update is under way."""
        return self._is_update and self.session.jobs.is_running("run")

    @property
    def is_quick(self) -> bool:
        """Whether an update is under way that began only just now."""
        return self.is_updating and self._quick.isActive()

    def corrected(self, box: Box, where: NDArray[np.bool_] | None) -> None:
        """The tissue changed at some pixels of a box of the mask."""
        editor, explanation = self.session.tissue.editor, self.desk.explanation
        if editor is None or explanation is None or where is None or not where.any():
            return
        self.stale.lay_out(explanation)
        self.stale.add(box, where, editor.spacing)
        if not self.stale.is_shown and not self._soon.isActive():
            self._soon.start()
        # A mask without tissue has no answer; what was said of the one before stays, veiled.
        if self.on and editor.areas.tissue_mm2 > 0:
            self.session.runs.update(self._centre(box, where, editor.spacing))

    def request(self, focus: tuple[float, float]) -> Request:
        """What an update asks for."""
        editor = self.session.tissue.editor
        assert editor is not None
        layers = self.desk.layers
        return Request(
            editor.mask,
            focus,
            lambda: self.desk.display,
            update=True,
            before=dict(layers.pictures),
            stale=self.stale.cells("region").copy(),
            serial=self.session.timeline.serial,
        )

    def started(self, update: bool) -> None:
        """A run has started."""
        self._is_update = update
        if update:
            self._quick.start()
        else:
            self._quick.stop()

    def step(self, step: Step) -> None:
        """Patches are there again: they are veiled no more."""
        self._mark()
        if step.fresh and self.stale.any:
            self.stale.done(step.fresh)
            if self.stale.is_shown:
                self.show()

    def prepare(self) -> None:
        """Have the veil at hand, once the window has drawn what came.

        Adding a layer is slow, and the first stroke should not wait for it.
        """
        self._idle.start()

    def _prepare(self) -> None:
        if self.session.closed:
            return
        if self.desk.explanation is not None and "patch" in self.desk.explanation.levels:
            self.stale.lay_out(self.desk.explanation)
            self.stale.prepare()

    def done(self) -> None:
        """Everything is up to date."""
        self._stop()
        if (editor := self.session.tissue.editor) is not None:
            editor.answered()
        self.stale.clear()
        self.show()

    def show(self) -> None:
        """Veil what is out of date at the level on display."""
        self._mark()
        level = self.desk.layers.current_level
        self.stale.show(level or "patch", self.desk.drawn.visible and level is not None)

    def drop(self) -> None:
        """Forget everything."""
        self._stop()
        self._idle.stop()
        self.stale.drop()
        self._mark()

    def _mark(self) -> None:
        """Over the colours of attention, corrections are edges: filled, they would look like it."""
        editor = self.session.tissue.editor
        if editor is not None:
            editor.marks.fill(self.desk.explanation is None or not self.desk.display.visible)

    def _stop(self) -> None:
        self._quick.stop()
        self._soon.stop()
        self._is_update = False

    def _veil(self) -> None:
        # The update waits for a hand that draws, and that hand for nothing.
        if self.session.hand.courtesy.is_drawing:
            self._soon.start()
        else:
            self.show()

    def _tell(self) -> None:
        if self.session.hand.courtesy.is_drawing:
            self._quick.start()
        elif not self.session.closed:
            self.session.busy_changed.emit(self.session.busy)

    def _centre(self, box: Box, where: NDArray[np.bool_], um: float) -> tuple[float, float]:
        """Level-0 pixel (x, y) in the middle of what changed."""
        rows, columns = (np.flatnonzero(where.any(axis=axis)) for axis in (1, 0))
        pixel = um / self.session.slides.need().require_spacing()
        x = box[1].start + (columns[0] + columns[-1] + 1) / 2
        y = box[0].start + (rows[0] + rows[-1] + 1) / 2
        return float(x * pixel), float(y * pixel)
