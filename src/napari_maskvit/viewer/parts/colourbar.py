"""The legend: the colours from least to most, with the values that they stand for."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPaintEvent, QPalette
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_maskvit.viewer.words.wording import significant

_BAR = 14
_GAP = 3


class ColourBar(QWidget):
    """Draws a colormap with its two limits and the value in the middle under it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._strip: QImage | None = None
        self._colormap = ""
        self._limits = (0.0, 1.0)

    @property
    def limits(self) -> tuple[float, float]:
        """The values at the two ends."""
        return self._limits

    def show_colours(self, colormap: str, limits: tuple[float, float]) -> None:
        """Draw `colormap` from ``limits[0]`` at the left to ``limits[1]`` at the right.

        Parameters
        ----------
        colormap : str
            Any name that `cmap.Colormap` knows.
        limits : tuple of float
            Values of the first and the last colour.
        """
        if (colormap, limits) == (self._colormap, self._limits):
            return
        from cmap import Colormap

        colours = np.asarray(Colormap(colormap)(np.linspace(0, 1, 256)))
        strip = np.ascontiguousarray((255 * colours[None, :, :3]).round().astype(np.uint8))
        self._strip = QImage(strip.tobytes(), 256, 1, 768, QImage.Format.Format_RGB888).copy()
        self._colormap, self._limits = colormap, limits
        low, high = (significant(value) for value in limits)
        self.setAccessibleName(f"Legend: colours from {low} to {high}")
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """As high as the strip and a line of numbers."""
        return QSize(160, _BAR + _GAP + self.fontMetrics().height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Wide enough for three numbers."""
        return QSize(100, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draw the strip and its numbers."""
        if self._strip is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(QRectF(0, 0, self.width(), _BAR), self._strip)
        ink = QColor(self.palette().color(QPalette.ColorRole.WindowText))
        painter.setPen(ink)
        low, high = self._limits
        below = QRectF(0, _BAR + _GAP, self.width(), self.fontMetrics().height())
        for value, side in (
            (low, Qt.AlignmentFlag.AlignLeft),
            ((low + high) / 2, Qt.AlignmentFlag.AlignHCenter),
            (high, Qt.AlignmentFlag.AlignRight),
        ):
            painter.drawText(below, int(side.value), significant(value, 2))
        painter.end()
