"""Ask why: what holds the answer up, and what it would be without an area."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QProgressBar

from napari_maskvit.explain.signed import DIVERGING
from napari_maskvit.viewer.panels import reasons
from napari_maskvit.viewer.panels.base import Panel
from napari_maskvit.viewer.parts.colourbar import ColourBar
from napari_maskvit.viewer.parts.columns import row
from napari_maskvit.viewer.parts.controls import Choice, allow, button, show_progress
from napari_maskvit.viewer.parts.text import muted, say, wrapped
from napari_maskvit.viewer.words.answers import moved
from napari_maskvit.viewer.words.wording import area, sentence

if TYPE_CHECKING:
    from napari_maskvit.viewer.desks.why import Without

_LEFT_OUT = (("One patch at a time", "patch"), ("One region at a time", "region"))
_COMPUTE = (
    "Leave out one after the other and see how the answer changes; patches are not computed again"
)
_NO_ANSWER = "This model makes no prediction, so there is nothing to take apart."
_LEGEND = "Brown holds the answer up, blue pulls it down."
_DRAW = "Draw a ring round something with the mouse; the answer without it appears here"
_DRAG = "Drag round it with the mouse button held down; let go to close the ring."


class WhyPanel(Panel):
    """Takes the answer apart."""

    title = "Ask why"

    def build(self) -> None:
        """Make the controls."""
        why = self.session.attention.why
        self.left_out = Choice("What is left out: patches, or whole regions", _LEFT_OUT)
        self.compute = button("Contribution", _COMPUTE, self._compute)
        self.stop = button("Cancel", "Stop working it out", why.cancel)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(8)
        self.bar.setAccessibleName("Progress of the contributions")
        self.shown = QCheckBox("Show contribution over the slide")
        self.shown.setToolTip("Show contributions in place of attention")
        self.shown.clicked.connect(why.show)
        self.colours = ColourBar()
        self.legend = muted()
        self.draw = button("Draw a ring…", _DRAW, lambda: self.attempt(why.draw))
        self.clear = button("Clear", "Forget the ring", why.clear_ring)
        self.said = wrapped(role="strong")
        self.detail = muted()
        for widget in (
            row(self.left_out, label="Leave out"),
            self.compute,
            self.stop,
            self.bar,
            self.shown,
            self.colours,
            self.legend,
            wrapped("What if this were not there?", "strong"),
            row(self.draw, self.clear),
            self.said,
            self.detail,
        ):
            self.column.addWidget(widget)

    def connect_session(self) -> None:
        """Hear what this step shows."""
        session = self.session
        self.hear(session.attention.why.changed, session.busy_changed)

    def refresh(self) -> None:
        """Show what is known, or how far it is."""
        session, why = self.session, self.session.attention.why
        why_not = reasons.look(session)
        explanation = session.explanation
        if why_not is None and explanation is not None and explanation.prediction is None:
            why_not = _NO_ANSWER if explanation.complete else reasons.RUNNING
        for control in (self.left_out, self.compute, self.draw):
            allow(control, why_not)
        running = why.is_running
        self.compute.setVisible(not running)
        self.stop.setVisible(running)
        self.bar.setVisible(running)
        done, total = why.share or (0, 0)
        show_progress(self.bar, done, total)
        self._show_contribution()
        allow(self.clear, None if why.ring.layer is not None else "There is no ring to clear.")
        self._show_without(why.without)

    def _show_contribution(self) -> None:
        why = self.session.attention.why
        self.shown.setVisible(why.contribution is not None)
        self.shown.setChecked(why.shown)
        self.colours.setVisible(why.shown)
        legend = ""
        if why.picture is not None and why.shown:
            self.colours.show_colours(DIVERGING, why.picture.limits)
            legend = f"{_LEGEND} {sentence(why.picture.legend)}"
        if why.is_outdated:
            legend += " Of the tissue before it was corrected: ask again."
        say(self.legend, legend.strip())
        told = bool(why.contribution) and not why.shown
        self.summarised.emit("contribution" if told or why.shown else "", False)

    def _show_without(self, without: Without | None) -> None:
        if without is None:
            say(self.said, "")
            waits = self.session.attention.why.ring.layer is not None
            say(self.detail, _DRAG if waits and not self.session.attention.why.is_running else "")
            return
        labels, numbers = moved(without.then, without.now)
        if without.now is None:
            labels = "Without this there is no tissue left, and no answer."
        say(self.said, f"Without this: {labels}" if numbers else labels)
        say(self.detail, f"{numbers} {area(without.mm2)} of tissue left out.".strip())

    def _compute(self) -> None:
        left_out = self.left_out.currentData()
        self.attempt(lambda: self.session.attention.why.compute(left_out))
