"""One line of text that is painted, never laid out: what it says changes nothing around it."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QStyle, QStyleOption, QWidget


class Line(QWidget):
    """Shortens its text at the end to the room there is; the whole text is its tooltip.

    A label asks for another layout with each text, and a layout has software OpenGL draw the
    window anew. This one only draws itself.

    Parameters
    ----------
    text : str
        What it says at first.
    align : Qt.AlignmentFlag
        To which side.
    """

    def __init__(
        self, text: str = "", align: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft
    ) -> None:
        super().__init__()
        self._text, self._align = "", align
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setText(text)

    def text(self) -> str:
        """The whole text."""
        return self._text

    def setText(self, text: str) -> None:  # noqa: N802
        """Say something else."""
        if text != self._text:
            self._text = text
            self.setToolTip(text)
            self.setAccessibleName(text)
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """A line high."""
        return QSize(60, self.fontMetrics().height() + 2)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """As narrow as it has to be."""
        return QSize(20, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draw the text."""
        painter = QPainter(self)
        option = QStyleOption()
        option.initFrom(self)
        # A style sheet's background is drawn by nobody else for a plain widget.
        self.style().drawPrimitive(QStyle.PrimitiveElement.PE_Widget, option, painter, self)
        words = self.fontMetrics().elidedText(
            self._text, Qt.TextElideMode.ElideRight, self.width() - 1
        )
        painter.setPen(option.palette.color(self.foregroundRole()))
        painter.drawText(
            self.rect(), int((self._align | Qt.AlignmentFlag.AlignVCenter).value), words
        )
        painter.end()
