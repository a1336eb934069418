"""Run: the one button, what it will run, how far it is, and Cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QProgressBar

from napari_maskvit.viewer.panels import reasons
from napari_maskvit.viewer.panels.base import Panel
from napari_maskvit.viewer.parts.controls import allow, button, show_progress
from napari_maskvit.viewer.parts.style import set_role
from napari_maskvit.viewer.parts.text import muted, say
from napari_maskvit.viewer.wording import about_model, progress

if TYPE_CHECKING:
    from napari_maskvit.explain import Progress

_PLANNING = "Planning: which patches hold tissue…"
_OUTDATED = "What is under a veil is out of date: the tissue was corrected since."
_RUN = "Run the model on the tissue; glass is neither read nor computed"


class RunPanel(Panel):
    """Starts and stops the model."""

    def build(self) -> None:
        """Make the controls."""
        self.column.setContentsMargins(0, 0, 0, 0)
        self.start = button("Run", _RUN, self.session.run, "main")
        self.stop = button(
            "Cancel", "Stop now. What was computed is kept for the next run", self.session.cancel
        )
        self.model = muted()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(8)
        self.bar.setAccessibleName("Progress of the run, in patches")
        self.said = muted()
        for widget in (self.start, self.stop, self.bar, self.said, self.model):
            self.column.addWidget(widget)

    def connect_session(self) -> None:
        """Hear what this step shows."""
        session = self.session
        for signal in (
            session.slide_changed,
            session.mask_changed,
            session.model_changed,
            session.explanation_changed,
            session.busy_changed,
        ):
            self.links.connect(signal, self.refresh)
        self.links.connect(session.progressed, self._show_progress)

    def refresh(self) -> None:
        """Show Run or Cancel, and why Run is disabled."""
        session = self.session
        # What is over in a blink should not move the panel: Cancel comes where an update lasts.
        running = session.running and not session.attention.live.is_quick
        self.start.setVisible(not running)
        self.stop.setVisible(running)
        if running and self.bar.isHidden():
            self.bar.setRange(0, 0)
            say(self.said, "Updating…" if session.updating else _PLANNING)
        self.bar.setVisible(running)
        if not running and not session.updating:
            say(self.said, reasons.run(session) or self._last())
        explanation = session.explanation
        self.start.setText("Run again" if explanation is not None else "Run")
        # Once everything is there, the way leads on to looking.
        done = explanation is not None and explanation.complete
        waits = session.outdated and not session.updating
        set_role(self.start, "" if done and not waits else "main")
        allow(self.start, None if session.updating else reasons.run(session))
        say(self.model, about_model(session.model.config) if session.model else "")

    def _show_progress(self, step: Progress) -> None:
        session = self.session
        if not session.running or session.attention.live.is_quick:
            return
        show_progress(self.bar, step.done, max(1, step.total))
        say(self.said, progress(step.done, step.total, step.seconds_left))

    def _last(self) -> str:
        explanation = self.session.explanation
        if explanation is None:
            return ""
        if explanation.complete:
            return _OUTDATED if self.session.outdated else ""
        return "Cancelled before it was done: only a part of the tissue is shown."
