"""Run at the foot of the panel: what the model says, how far it is, and one button in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QStackedWidget, QWidget

from napari_maskvit.viewer.panels import reasons
from napari_maskvit.viewer.panels.base import Panel
from napari_maskvit.viewer.parts.controls import allow, button, show_progress
from napari_maskvit.viewer.parts.line import Line
from napari_maskvit.viewer.parts.style import set_role
from napari_maskvit.viewer.words.answers import both, pinned
from napari_maskvit.viewer.words.wording import progress

if TYPE_CHECKING:
    from napari_maskvit.explain import Progress

_WAITING = "Starts once the model is loaded."
_PLANNING = "Planning…"
_OUTDATED = "out of date"
_CANCELLED = "Cancelled: a part is shown."
_NO_ANSWER = "Attention only, no prediction."
_READY = "Ready."
_RUN = "Run the model on the tissue; glass is neither read nor computed"
_WIDTH, _HEIGHT = 84, 28
_QUICK_MS = 300
"""What is over before that is not told: it would only flash."""


class RunPanel(Panel):
    """Starts and stops the model, and keeps its answer in view; nothing here ever moves."""

    def build(self) -> None:
        """Make the controls."""
        self.column.setContentsMargins(6, 4, 6, 6)
        self.column.setSpacing(3)
        self.start = button("Run", _RUN, self.session.run, "main")
        self.stop = _Cancel("Cancel")
        self.stop.setToolTip("Stop now. What was computed is kept for the next run")
        self.stop.clicked.connect(lambda: self.session.cancel())
        self.buttons = QStackedWidget()
        self.buttons.setFixedSize(_WIDTH, _HEIGHT)
        for one in (self.start, self.stop):
            one.setFixedHeight(_HEIGHT)
            self.buttons.addWidget(one)
        self.said = Line(most=2)
        set_role(self.said, "strong")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(5)
        self.bar.setAccessibleName("Progress of the run, in patches")
        # Its room stays, so that nothing jumps when it comes.
        policy = self.bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.bar.setSizePolicy(policy)
        row = QWidget()
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(6)
        line.addWidget(self.said, 1)
        line.addWidget(self.buttons)
        self.column.addWidget(row)
        self.column.addWidget(self.bar)
        self._far = ""
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_QUICK_MS)
        self._soon.timeout.connect(self.refresh)
        self._told: str | None = None

    def connect_session(self) -> None:
        """Hear what goes on."""
        session = self.session
        self.hear(
            session.slide_changed,
            session.mask_changed,
            session.model_changed,
            session.explanation_changed,
            session.busy_changed,
            session.compare_changed,
        )
        self.links.connect(session.progressed, self._show_progress)

    def release(self) -> None:
        """Hear nothing any more."""
        super().release()
        self._soon.stop()

    def refresh(self) -> None:
        """Show Run or Cancel, the answer or what goes on, and why Run is disabled."""
        running, busy = self._running(), self._busy()
        if not running:
            self._far = ""
        self.buttons.setCurrentWidget(self.stop if running else self.start)
        waits = running and (not self._far or self.session.runs.is_waiting)
        if (waits or busy) and self.bar.maximum():
            self.bar.setRange(0, 0)
        if self.bar.isHidden() == (running or busy):
            self.bar.setVisible(running or busy)
        self.said.setText(self._words(running, busy))
        self._show_start()

    def _running(self) -> bool:
        # Of an update that is over in a blink only the answer moves.
        return self.session.running and not self.session.attention.live.is_quick

    def _busy(self) -> bool:
        """Whether something else has been going on for long enough to be told."""
        words = None if self.session.running else self.session.busy
        if words is None:
            self._soon.stop()
            self._told = None
        elif words != self._told:
            self._told = words
            self._soon.start()
        return words is not None and not self._soon.isActive()

    def _words(self, running: bool, busy: bool) -> str:
        session, explanation = self.session, self.session.explanation
        if running:
            return _WAITING if session.runs.is_waiting else self._far or _PLANNING
        if busy:
            return f"{(session.busy or '').rstrip('.…')}…"
        if explanation is None:
            return reasons.run(session) or _READY
        if not explanation.complete:
            return _CANCELLED
        if explanation.prediction is None:
            said = _NO_ANSWER
        elif (plain := session.reference) is not None and session.comparing and plain.prediction:
            said = both(explanation.prediction, plain.prediction)
        else:
            before = session.attention.changes.before
            said = pinned(explanation.prediction, before.prediction if before else None)
        outdated = session.outdated and not session.updating
        return f"{said} · {_OUTDATED}" if outdated else said

    def _show_start(self) -> None:
        session, explanation = self.session, self.session.explanation
        # Once everything is there, the way leads on to looking.
        done = explanation is not None and explanation.complete
        waits = session.outdated and not session.updating and not session.live
        set_role(self.start, "" if done and not waits else "main")
        words = "Run again" if explanation is not None else "Run"
        if self.start.text() != words:
            self.start.setText(words)
        allow(self.start, None if session.updating else reasons.run(session))

    def _show_progress(self, step: Progress) -> None:
        if not self._running():
            return
        show_progress(self.bar, step.done, max(1, step.total))
        self._far = progress(step.done, step.total, step.seconds_left)
        self.said.setText(self._far)


class _Cancel(QPushButton):
    """Takes the place of Run under the mouse: the second half of a double click is not for it."""

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Do nothing."""
        event.accept()
