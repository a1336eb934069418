"""An answer to look at: probabilities as bars, a number as a mark on its scale."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPolygonF
from qtpy.QtWidgets import QGridLayout, QLabel, QProgressBar, QSizePolicy, QWidget

from napari_maskvit.viewer.parts.style import set_role
from napari_maskvit.viewer.parts.text import wrapped
from napari_maskvit.viewer.words.wording import probability, significant

_FULL = 1000
_NAME_WIDTH = 150
_MARK = 9
_TRACK = 6


class ProbabilityBars(QWidget):
    """Rows of label, bar and number that a screen reader can read too."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._drawn: tuple[tuple[str, float], ...] = ()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(3)
        self._grid.setColumnStretch(1, 1)

    def show_probabilities(self, labels: Sequence[str], values: Sequence[float]) -> None:
        """Draw one bar a label.

        Parameters
        ----------
        labels : sequence of str
            Names of the classes, in the model's order.
        values : sequence of float
            Probability of each, in [0, 1].
        """
        drawn = tuple(zip(labels, values, strict=True))
        if self.isHidden() == bool(drawn):
            self.setVisible(bool(drawn))
        if drawn == self._drawn:
            return
        self._drawn = drawn
        while (item := self._grid.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        best = max(values, default=0.0)
        for index, (label, value) in enumerate(drawn):
            bar = QProgressBar()
            bar.setRange(0, _FULL)
            bar.setValue(round(_FULL * value))
            bar.setTextVisible(False)
            bar.setFixedHeight(8)
            bar.setMinimumWidth(60)
            bar.setAccessibleName(f"{label}: {probability(value)}")
            bar.setToolTip(f"Probability of {label}: {value:.3f} (0 to 1)")
            if value < best:
                set_role(bar, "other")
            number = QLabel(probability(value))
            number.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            name = wrapped(label)
            name.setMinimumWidth(min(_NAME_WIDTH, 8 + name.fontMetrics().horizontalAdvance(label)))
            self._grid.addWidget(name, index, 0)
            self._grid.addWidget(bar, index, 1, Qt.AlignmentFlag.AlignVCenter)
            self._grid.addWidget(number, index, 2)


class Scale(QWidget):
    """A number on the scale of its labels; one beyond the end stands at the end, as an arrow."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._labels: tuple[str, ...] = ()
        self._value = 0.0

    def show_value(self, labels: Sequence[str], value: float) -> None:
        """Mark a value.

        Parameters
        ----------
        labels : sequence of str
            What 0, 1, 2, ... are called; none hides the scale.
        value : float
            What was predicted.
        """
        shown = len(labels) > 1
        if self.isHidden() == shown:
            self.setVisible(shown)
        if (tuple(labels), value) == (self._labels, self._value):
            return
        self._labels, self._value = tuple(labels), value
        if shown:
            said = f"{significant(value)} on a scale from {labels[0]} to {labels[-1]}"
            self.setAccessibleName(said)
            self.setToolTip(said)
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """As high as mark, track and a line of labels."""
        return QSize(160, _MARK + _TRACK + 2 + self.fontMetrics().height())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draw the track, its labels and the mark."""
        last = len(self._labels) - 1
        if last < 1:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = QColor(self.palette().color(QPalette.ColorRole.WindowText))
        edge = max(self.fontMetrics().horizontalAdvance(one) for one in self._labels) / 2 + 1
        edge = min(max(edge, _MARK), 40)
        span = self.width() - 2 * edge
        faint = QColor(ink)
        faint.setAlpha(70)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(faint)
        painter.drawRoundedRect(QRectF(edge, _MARK, span, _TRACK), 3, 3)
        painter.setPen(ink)
        below = _MARK + _TRACK + 2
        for place, label in enumerate(self._labels):
            x = edge + span * place / last
            box = QRectF(x - edge, below, 2 * edge, self.fontMetrics().height())
            painter.drawText(box, int(Qt.AlignmentFlag.AlignHCenter.value), label)
        self._draw_mark(painter, ink, edge, span / last)
        painter.end()

    def _draw_mark(self, painter: QPainter, ink: QColor, edge: float, step: float) -> None:
        last = len(self._labels) - 1
        x = edge + step * min(max(self._value, 0.0), last)
        if self._value > last or self._value < 0:
            # Off the scale: an arrow that points there.
            out, middle = (1 if self._value > last else -1), _MARK + _TRACK / 2
            corners = [(x, middle - 6), (x, middle + 6), (x + out * _MARK, middle)]
        else:
            corners = [(x - 6, 0), (x + 6, 0), (x, _MARK + _TRACK)]
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(ink)
        painter.drawPolygon(QPolygonF([QPointF(*corner) for corner in corners]))
