"""A line or two of text, painted and never laid out: what it says changes nothing around it."""

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
    most : int
        How many lines there is room for; a text that needs fewer stands in the middle.
    """

    def __init__(
        self,
        text: str = "",
        align: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft,
        most: int = 1,
    ) -> None:
        super().__init__()
        self._text, self._align, self._most = "", align, most
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

    def lines(self) -> list[str]:
        """The text as there is room for it; a line that is cut off ends in "…"."""
        metrics, room = self.fontMetrics(), self.width() - 1
        lines: list[str] = []
        words = self._text.split(" ")
        while len(lines) < self._most - 1 and metrics.horizontalAdvance(" ".join(words)) > room:
            count = len(words)
            while count > 1 and metrics.horizontalAdvance(" ".join(words[:count])) > room:
                count -= 1
            lines.append(" ".join(words[:count]))
            words = words[count:]
        lines.append(" ".join(words))
        return [metrics.elidedText(one, Qt.TextElideMode.ElideRight, room) for one in lines]

    def sizeHint(self) -> QSize:  # noqa: N802
        """As high as its lines."""
        return QSize(60, self._most * self.fontMetrics().height() + 2)

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
        painter.setPen(option.palette.color(self.foregroundRole()))
        painter.drawText(
            self.rect(),
            int((self._align | Qt.AlignmentFlag.AlignVCenter).value),
            "\n".join(self.lines()),
        )
        painter.end()
