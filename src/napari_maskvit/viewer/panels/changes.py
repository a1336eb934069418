"""What changed: gain and loss against an earlier result, and every step of the session."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QCheckBox, QListWidget, QListWidgetItem

from napari_maskvit.explain.signed import DIVERGING
from napari_maskvit.viewer.desks.changes import Compared
from napari_maskvit.viewer.panels import reasons
from napari_maskvit.viewer.panels.base import Panel
from napari_maskvit.viewer.parts.colourbar import ColourBar
from napari_maskvit.viewer.parts.columns import row
from napari_maskvit.viewer.parts.controls import Choice, allow, button
from napari_maskvit.viewer.parts.text import muted, say, show, wrapped
from napari_maskvit.viewer.timeline.desk import MARKED
from napari_maskvit.viewer.timeline.entry import Entry
from napari_maskvit.viewer.words.answers import moved
from napari_maskvit.viewer.words.wording import area, gained_and_lost, probability, significant

_ROWS = 6
_WITH = "The earlier result that the one on display is compared with"
_SHOW = "Show where attention was gained and lost, in place of attention"
_LEGEND = (
    "Change of attention in multiples of even attention, {level} level: blue lost, brown gained. "
    "Tissue that was dropped loses all it had."
)
_STEPS = "Every correction of this session, the latest at the top. Double-click one to go back"
_BACK = "Bring back the tissue as it was after that step; this can be undone"


class ChangesPanel(Panel):
    """Compares with what was before, and goes back to it."""

    title = "What changed"

    def build(self) -> None:
        """Make the controls."""
        changes = self.session.attention.changes
        self.reference = Choice(_WITH)
        self.reference.chosen.connect(lambda key: self.attempt(lambda: changes.choose(key)))
        self.shown = QCheckBox("Show gain and loss over the slide")
        self.shown.setToolTip(_SHOW)
        self.shown.clicked.connect(changes.switch)
        self.bar = ColourBar()
        self.legend = muted()
        self.labels = wrapped(role="strong")
        self.numbers = muted()
        self.keep = button(
            "Keep this result", "Keep the result on display, to compare later ones with",
            changes.keep,
        )  # fmt: skip
        self.steps = QListWidget()
        self.steps.setWordWrap(True)
        self.steps.setToolTip(_STEPS)
        self.steps.setAccessibleName("Corrections of this session")
        self.steps.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.steps.setTextElideMode(Qt.TextElideMode.ElideRight)
        line = self.steps.fontMetrics().height() + 6
        self.steps.setFixedHeight(_ROWS * line)
        self.steps.itemDoubleClicked.connect(lambda _item: self._go_back())
        self.steps.itemSelectionChanged.connect(self._allow_back)
        self.back = button("Go back to this step", _BACK, self._go_back)
        for widget in (
            row(self.reference, label="Compared with"),
            self.labels,
            self.numbers,
            self.shown,
            self.bar,
            self.legend,
            self.keep,
            wrapped("Steps of this session", "strong"),
            self.steps,
            self.back,
        ):
            self.column.addWidget(widget)

    def connect_session(self) -> None:
        """Hear what this step shows."""
        session = self.session
        self.hear(session.explanation_changed, session.attention.changes.changed)
        self.links.connect(session.timeline.changed, self._show_steps)

    def refresh(self) -> None:
        """Show the comparison and the steps."""
        session, changes = self.session, self.session.attention.changes
        self.reference.offer(changes.offered)
        self.reference.show_value(changes.chosen)
        why_not = reasons.look(session)
        for control in (self.reference, self.shown, self.keep):
            allow(control, why_not)
        self.shown.setChecked(changes.on)
        self._show_comparison(changes.compared)
        self._show_steps()

    def _show_comparison(self, compared: Compared | None) -> None:
        session, changes = self.session, self.session.attention.changes
        now, then = session.explanation, changes.reference
        labels, numbers = moved(then.prediction if then else None, now.prediction if now else None)
        picture = compared.picture if compared is not None and changes.on else None
        show(self.bar, picture is not None)
        if picture is not None:
            self.bar.show_colours(DIVERGING, picture.limits)
        if compared is not None and compared.now is now and compared.then is then:
            tissue = gained_and_lost(compared.change.gained_mm2, compared.change.lost_mm2)
            numbers = f"{numbers} Tissue: {tissue}.".strip()
        say(self.legend, _LEGEND.format(level=picture.level) if picture is not None else "")
        say(self.labels, labels)
        nothing = "Nothing to compare with yet: correct the tissue, or choose another result."
        say(self.numbers, numbers or ("" if now is None or then is not None else nothing))

    def _show_steps(self) -> None:
        entries = telling(self.session.timeline.timeline.entries)
        self.summarised.emit(_summary(entries), False)
        shown = [
            self.steps.item(i).data(Qt.ItemDataRole.UserRole) for i in range(self.steps.count())
        ]
        wanted = [(entry.serial, entry.prediction) for entry in reversed(entries)]
        if shown == wanted:
            return
        chosen = self._chosen()
        with QSignalBlocker(self.steps):
            self.steps.clear()
            for entry in reversed(entries):
                item = QListWidgetItem(told(entry))
                item.setData(Qt.ItemDataRole.UserRole, (entry.serial, entry.prediction))
                item.setToolTip(told(entry))
                self.steps.addItem(item)
                if entry.serial == chosen:
                    self.steps.setCurrentItem(item)
        self._allow_back()

    def _chosen(self) -> int | None:
        item = self.steps.currentItem()
        return item.data(Qt.ItemDataRole.UserRole)[0] if item is not None else None

    def _allow_back(self) -> None:
        why_not = None
        if self._chosen() is None:
            why_not = "Choose a step in the list first."
        elif self._chosen() == self.session.timeline.serial:
            why_not = "This is how the tissue is now."
        allow(self.back, why_not)

    def _go_back(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            self.attempt(lambda: self.session.timeline.go_back(chosen))


def told(entry: Entry) -> str:
    """A step in one line: when, what, how much tissue, what the model said then."""
    time = datetime.fromisoformat(entry.time).astimezone().strftime("%H:%M:%S")
    if entry.kind.startswith(MARKED):
        # What was glass before and is pen now is a step, too, though no tissue goes.
        text = f"{time}  {entry.kind}" + (f", {area(entry.lost_mm2)}" if entry.lost_mm2 else "")
    elif entry.whole and not entry.lost_mm2:
        text = f"{time}  {entry.kind}, {area(entry.tissue_mm2)}"
    else:
        text = f"{time}  {entry.kind} {gained_and_lost(entry.gained_mm2, entry.lost_mm2)}"
    said = entry.prediction
    if said is None:
        return text
    number = probability(max(said.probabilities)) if said.probabilities else significant(said.value)
    return f"{text}: {said.label} ({number})"


def telling(entries: Sequence[Entry]) -> list[Entry]:
    """Entries worth a line: of those that a slider made on its way, the last one alone."""
    return [
        entry
        for entry, later in zip(entries, [*entries[1:], None], strict=False)
        if later is None or not (entry.kind == later.kind == "found")
    ]


def _summary(entries: Sequence[Entry]) -> str:
    """How many corrections stand: what was taken back is none, nor is taking it back."""
    count = 0
    for entry in entries[1:]:
        if entry.kind == "undone":
            count -= 1
        elif entry.kind != "found":
            count += 1
    if count < 1:
        return ""
    return f"{count} correction{'s' if count > 1 else ''}"
