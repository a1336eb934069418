"""Labels: wrapped, elided, muted, or a warning with a coloured edge."""

from __future__ import annotations

from collections.abc import Iterable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QLabel, QSizePolicy, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_maskvit.viewer.parts.style import set_role


def wrapped(text: str = "", role: str | None = None) -> QLabel:
    """Make a label that wraps to the width of the column.

    Parameters
    ----------
    text : str
        Shown as it is, never as markup.
    role : str, optional
        ``"muted"``, ``"figure"`` or ``"strong"``; see `parts.style`.
    """
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
    if role:
        set_role(label, role)
    return label


def muted(text: str = "") -> QLabel:
    """Make a wrapped label for what explains rather than says."""
    return wrapped(text, "muted")


def elided(text: str = "") -> QElidingLabel:
    """Make a one-line label that shortens its middle; the whole text is its tooltip."""
    label = QElidingLabel(text)
    label.setElideMode(Qt.TextElideMode.ElideMiddle)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    label.setToolTip(text)
    return label


def say(label: QLabel, text: str) -> None:
    """Show `text` in `label`, or take no room at all if there is nothing to say."""
    if label.text() != text:
        label.setText(text)
    show(label, bool(text))


def show(widget: QWidget, shown: bool) -> None:
    """Show or hide, where that is not so already: every change lays the column out anew."""
    if widget.isHidden() == shown:
        widget.setVisible(shown)


class Warnings(QFrame):
    """A list of sentences with a coloured edge; hidden while there are none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, "warning")
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(8, 4, 4, 4)
        self._rows.setSpacing(4)
        self._said: tuple[str, ...] = ()
        self.hide()

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is shown, in order."""
        return self._said

    def show_sentences(self, sentences: Iterable[str]) -> None:
        """Replace what is shown; the same sentence is said once."""
        said = tuple(dict.fromkeys(text for text in sentences if text))
        if said != self._said:
            self._said = said
            while (item := self._rows.takeAt(0)) is not None:
                if (old := item.widget()) is not None:
                    old.hide()
                    old.deleteLater()
            for text in said:
                self._rows.addWidget(wrapped(text))
            self.setVisible(bool(said))
