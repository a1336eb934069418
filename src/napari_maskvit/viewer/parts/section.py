"""A numbered step of the journey that opens and closes under its heading."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_maskvit.viewer.parts.line import Line
from napari_maskvit.viewer.parts.style import set_property, set_role

_OPEN, _CLOSED, _DONE = "▾", "▸", "✓"


class _Header(QPushButton):
    """A whole row that is a button: number, title, what it holds, open or closed."""

    def __init__(self, number: int, title: str) -> None:
        super().__init__()
        set_role(self, "header")
        self.setCheckable(True)
        self.number, self.title = number, title
        self.step = QLabel(str(number))
        self.step.setAlignment(Qt.AlignmentFlag.AlignCenter)
        set_role(self.step, "step")
        name = QLabel(title)
        set_role(name, "strong")
        self.summary = Line(align=Qt.AlignmentFlag.AlignRight)
        set_role(self.summary, "muted")
        self.arrow = QLabel(_CLOSED)
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 4, 6, 4)
        row.setSpacing(7)
        row.addWidget(self.step)
        row.addWidget(name)
        row.addWidget(self.summary, 1)
        row.addWidget(self.arrow)
        for child in (self.step, name, self.summary, self.arrow):
            child.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:  # noqa: N802
        return self.layout().sizeHint()

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return self.layout().minimumSize()


class Section(QFrame):
    """A heading that opens and closes what stands under it.

    Parameters
    ----------
    number : int
        Place in the journey, from 1.
    title : str
        One word.
    content : QWidget
        What is shown while the section is open.
    """

    toggled = Signal(bool)
    """Open or closed, by a person or by the program."""

    def __init__(self, number: int, title: str, content: QWidget) -> None:
        super().__init__()
        set_role(self, "section")
        self.content = content
        self.touched = False
        """Whether a person opened or closed it; the program then leaves it alone."""
        self.header = _Header(number, title)
        self.header.clicked.connect(self._touch)
        self.header.toggled.connect(self._apply)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 2, 0, 2)
        column.setSpacing(2)
        column.addWidget(self.header)
        column.addWidget(content)
        content.setVisible(False)
        # Not Maximum: that would cut off what wraps to more lines than the size hint counts on.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        self._name()

    @property
    def is_open(self) -> bool:
        """Whether the content is shown."""
        return bool(self.header.isChecked())

    def set_open(self, is_open: bool, *, force: bool = False) -> None:
        """Open or close, unless a person has decided otherwise and `force` is not set."""
        if force or not self.touched:
            self.header.setChecked(is_open)

    def set_summary(self, text: str, *, done: bool) -> None:
        """Say in the heading what the section holds, and whether its step is done."""
        header = self.header
        step = _DONE if done else str(header.number)
        if (header.summary.text(), header.step.text()) == (text, step):
            return
        header.summary.setText(text)
        header.step.setText(step)
        set_property(header.step, "done", "true" if done else "false")
        self._name()

    def _touch(self) -> None:
        self.touched = True

    def _apply(self, is_open: bool) -> None:
        self.header.arrow.setText(_OPEN if is_open else _CLOSED)
        self.content.setVisible(is_open)
        self._name()
        self.toggled.emit(is_open)

    def _name(self) -> None:
        header = self.header
        holds = header.summary.text()
        header.setAccessibleName(f"{header.number} {header.title}{': ' if holds else ''}{holds}")
        action = "Close" if self.is_open else "Open"
        header.setToolTip(f"{action} this step" + (f" ({holds})" if holds else ""))
