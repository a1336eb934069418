"""More tools for correcting tissue: by likeness, finely, and the whole mask at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QFrame, QGridLayout, QLabel, QShortcut, QWidget

from napari_maskvit.viewer.keys import HAND_KEYS, KEYS, TOOL_KEYS
from napari_maskvit.viewer.panels import reasons
from napari_maskvit.viewer.parts.columns import BOXED, column, row
from napari_maskvit.viewer.parts.controls import Number, allow, button
from napari_maskvit.viewer.parts.fold import Fold
from napari_maskvit.viewer.parts.style import set_role
from napari_maskvit.viewer.parts.text import muted, say, wrapped
from napari_maskvit.viewer.words.wording import area, size

if TYPE_CHECKING:
    from napari_maskvit.viewer.session import Session


def key_for(words: str) -> str:
    """The key that does this, for a tooltip: "Shift-S"."""
    return next(key for key, said in TOOL_KEYS.items() if said == words)


class MoreTools(QWidget):
    """Folded away until it is wanted."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.likeness = _Likeness(session)
        self.fine = _Fine(session)
        self.whole = _Whole(session)
        self.keys = Fold("Keys", _keys())
        content = QWidget()
        starts = row(self.likeness.start, self.fine.start)
        column(content, starts, self.likeness, self.fine, self.whole, self.keys)
        self.fold = Fold("More tools", content)
        column(self, self.fold)

    def refresh(self) -> None:
        """Show what is in hand."""
        for part in (self.likeness, self.fine, self.whole):
            part.refresh()
        if self.session.tools.likeness.in_hand or self.session.tools.fine.is_open:
            self.fold.toggle.setChecked(True)


def _keys() -> QWidget:
    """What each key does, in two columns."""
    table = QWidget()
    table.setToolTip("They work while the slide has the keyboard: click on it first")
    grid = QGridLayout(table)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(10)
    grid.setVerticalSpacing(1)
    grid.setColumnStretch(1, 1)
    for place, (key, words) in enumerate((HAND_KEYS | KEYS).items()):
        name = QLabel(key)
        set_role(name, "muted")
        grid.addWidget(name, place, 0)
        grid.addWidget(muted(words), place, 1)
    return table


class _Likeness(QFrame):
    """Tolerance and radius while the tool is in hand."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        tools = session.tools
        self.start = button(
            "Likeness",
            "Click on the slide, or scribble, to select what looks the same around it "
            f"({key_for('select by likeness')}). Shift adds to what was clicked before",
            tools.pick_likeness,
        )
        self.start.setCheckable(True)
        self.said = muted()
        self.tolerance = Number(
            "Tolerance",
            (0.2, 20.0),
            unit="×",
            decimals=1,
            logarithmic=True,
            tooltip="How unlike the example may be: 1 is as its own pixels are from their mean",
        )
        self.tolerance.changed.connect(lambda value: setattr(tools.likeness, "tolerance", value))
        self.radius = Number.whole(
            "Radius", (20.0, 2000.0), "µm", "How far from the click to look, in µm"
        )
        self.radius.changed.connect(lambda value: setattr(tools.likeness, "radius_um", value))
        self.apply = button("Apply", "Paint what is selected (Enter)", tools.apply_likeness, "main")
        self.cancel = button("Cancel", "Select nothing (Esc)", tools.cancel_likeness)
        column(self, self.said, self.tolerance, self.radius, row(self.apply, self.cancel))
        # The same keys as over the slide, once a slider has the keyboard.
        for key, action in (("Return", tools.apply_likeness), ("Esc", tools.cancel_likeness)):
            made = QShortcut(QKeySequence(key), self)
            made.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            made.activated.connect(action)

    def refresh(self) -> None:
        tool = self.session.tools.likeness
        allow(self.start, reasons.correct(self.session))
        self.start.setChecked(tool.in_hand)
        self.setVisible(tool.in_hand)
        if not tool.in_hand:
            return
        self.tolerance.follow(tool.tolerance)
        self.radius.follow(tool.radius_um)
        selected = tool.selected_mm2
        kind = self.session.tools.kind.name.lower()
        if selected is None:
            say(self.said, f"Click on the slide: what looks the same becomes {kind}.")
        else:
            say(self.said, f"{area(selected)} selected, to become {kind}.")
        allow(self.apply, None if selected is not None else "Click on the slide first.")


class _Fine(QFrame):
    """What is to be done with an open window."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        tools = session.tools
        self.start = button(
            "Fine window",
            "Draw fine edges at the slide's own resolution, in a window at the middle of the view "
            f"({key_for('fine window')})",
            tools.open_fine,
        )
        self.start.setCheckable(True)
        self.said = wrapped()
        self.apply = button(
            "Apply",
            "Write the fine edges into the mask, where each pixel becomes what covers most of it; "
            f"one step to undo ({key_for('fine window')})",
            tools.apply_fine,
            "main",
        )
        self.discard = button(
            "Discard", "Close the window and leave the mask as it was", tools.discard_fine
        )
        set_role(self, "warning")
        column(self, self.said, row(self.apply, self.discard), margins=BOXED)

    def refresh(self) -> None:
        window = self.session.tools.fine.window
        allow(self.start, reasons.correct(self.session))
        self.start.setChecked(window is not None)
        self.setVisible(window is not None)
        if window is not None:
            height, width = window.size_um
            say(
                self.said,
                f"Fine window: {size(width, height)} at {window.spacing:.3g} µm. The mask takes "
                "it over once it is applied.",
            )


class _Whole(QWidget):
    """What is done to every edge, or to every small piece, of the mask."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        tools = session.tools
        self.edge = Number.whole(
            "Edges by",
            (1.0, 200.0),
            "µm",
            "By how much every edge of the mask is smoothed, grown or shrunk, in µm",
        )
        self.edge.changed.connect(partial(setattr, tools, "edge_um"))
        self.piece = Number.whole(
            "Pieces below",
            (10.0, 1_000_000.0),
            "µm²",
            "Area below which holes are filled and specks dropped, in µm²",
        )
        self.piece.changed.connect(partial(setattr, tools, "piece_um2"))
        self.smooth, self.grow, self.shrink, self.fill, self.drop = (
            button(text, f"{does}, in view or not; one step to undo ({key_for(key)})", action)
            for text, does, key, action in (
                ("Smooth", "Even out every edge of the mask", "smooth edges", tools.smooth),
                ("Grow", "Move every edge of the mask outwards", "grow (expand)", tools.grow),
                ("Shrink", "Move every edge of the mask inwards", "shrink (reduce)", tools.shrink),
                ("Fill holes", "Fill small holes in the tissue", "fill holes", tools.fill_holes),
                ("Drop specks", "Drop small pieces of tissue", "drop specks", tools.drop_specks),
            )
        )
        edges, pieces = row(self.smooth, self.grow, self.shrink), row(self.fill, self.drop)
        column(self, self.edge, edges, self.piece, pieces)

    def refresh(self) -> None:
        tools = self.session.tools
        self.edge.follow(tools.edge_um)
        self.piece.follow(tools.piece_um2)
        why_not = reasons.correct(self.session)
        if tools.fine.is_open:
            why_not = "Apply or discard the fine window first."
        for control in (self.smooth, self.grow, self.shrink, self.fill, self.drop):
            allow(control, why_not)
