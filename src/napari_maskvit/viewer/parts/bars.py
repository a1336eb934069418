"""Probabilities as bars: one row a label, the likeliest in the accent colour."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QProgressBar, QWidget

from napari_maskvit.viewer.parts.style import set_role
from napari_maskvit.viewer.parts.text import wrapped
from napari_maskvit.viewer.wording import probability

_FULL = 1000
_NAME_WIDTH = 150


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
