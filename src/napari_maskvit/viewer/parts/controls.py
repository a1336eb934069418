"""Sliders, choices and buttons that say their unit and, when disabled, why."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import QEvent, QObject, QSignalBlocker, Qt, Signal
from qtpy.QtGui import QPaintEvent
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QSlider,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QWidget,
)

from napari_maskvit.viewer.parts.columns import LABEL_WIDTH
from napari_maskvit.viewer.parts.style import set_role

_STEPS = 1000
_NEARLY_LOG = 3  # a logarithmic slider that begins at 0 is a cubic one


class _WheelGuard(QObject):
    """Lets the wheel scroll the column, not the control that happens to lie under it."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return False


def guard_wheel(widget: QWidget) -> None:
    """Have `widget` answer to the wheel only once it was clicked or tabbed to."""
    widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    guard = _WheelGuard(widget)
    widget.installEventFilter(guard)


def allow(widget: QWidget, why_not: str | None) -> None:
    """Enable `widget`, or disable it and let its tooltip say why.

    Parameters
    ----------
    widget : QWidget
        Any control, with the tooltip that it has while enabled.
    why_not : str or None
        The reason, a sentence; None enables.
    """
    if widget.property("tells") is None:
        widget.setProperty("tells", widget.toolTip())
    widget.setEnabled(why_not is None)
    widget.setToolTip(widget.property("tells") if why_not is None else why_not)


def button(
    text: str, tooltip: str, clicked: Callable[[], Any], role: str | None = None
) -> QPushButton:
    """Make a push button; `role` ``"main"`` is the one that leads on."""
    made = QPushButton(text)
    made.setToolTip(tooltip)
    made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    made.clicked.connect(lambda: clicked())
    if role:
        set_role(made, role)
    return made


def show_progress(bar: QProgressBar, done: int, total: int) -> None:
    """Move a bar with the next frame: by itself it would have the whole window drawn at once."""
    bar.setUpdatesEnabled(False)
    bar.setRange(0, total)
    bar.setValue(done)
    bar.setUpdatesEnabled(True)


class Choice(QComboBox):
    """A combo box of (words, value) pairs that never grows wider than the column."""

    chosen = Signal(object)
    """The value that a person chose."""

    def __init__(self, tooltip: str, options: Sequence[tuple[str, Any]] = ()) -> None:
        super().__init__()
        self.setToolTip(tooltip)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(5)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        guard_wheel(self)
        self.offer(options)
        self.activated.connect(lambda _index: self.chosen.emit(self.currentData()))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draw it, with dots where the words are too long: Qt would cut a letter in two."""
        painter = QStylePainter(self)
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        style = self.style()
        field = style.subControlRect(
            QStyle.ComplexControl.CC_ComboBox,
            option,
            QStyle.SubControl.SC_ComboBoxEditField,
            self,
        )
        room = field.width() - (0 if option.currentIcon.isNull() else self.iconSize().width() + 4)
        option.currentText = self.fontMetrics().elidedText(
            option.currentText, Qt.TextElideMode.ElideRight, room - 4
        )
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def showPopup(self) -> None:  # noqa: N802
        """Open the list as wide as its longest words."""
        view = self.view()
        view.setMinimumWidth(max(self.width(), view.sizeHintForColumn(0) + 24))
        super().showPopup()

    def offer(self, options: Sequence[tuple[str, Any]]) -> None:
        """Replace the options, keeping the value where it is still offered."""
        offered = [(self.itemText(i), self.itemData(i)) for i in range(self.count())]
        if offered == list(options):
            return
        value = self.currentData()
        with QSignalBlocker(self):
            self.clear()
            for words, data in options:
                self.addItem(words, data)
            self.show_value(value)

    def show_value(self, value: Any) -> None:
        """Show `value` without telling anybody; an unknown value changes nothing."""
        for index in range(self.count()):
            if self.itemData(index) == value:
                with QSignalBlocker(self):
                    self.setCurrentIndex(index)
                return


class Number(QWidget):
    """A labelled slider with its value in a box that can be typed in.

    Parameters
    ----------
    label : str
        What the number is; empty where what stands beside says so.
    limits : tuple of float
        Smallest and largest value.
    unit : str
        Shown behind the value, for instance ``"µm²"``.
    decimals : int
        Digits behind the decimal point.
    step : float, optional
        What an arrow key adds in the box; a hundredth of the range if not given.
    tooltip : str
        What the number does, with its unit.
    logarithmic : bool
        Give small values more room on the slider.
    """

    changed = Signal(float)
    """The value, whenever a person moves the slider or types."""

    def __init__(
        self,
        label: str,
        limits: tuple[float, float],
        *,
        unit: str = "",
        decimals: int = 2,
        step: float | None = None,
        tooltip: str = "",
        logarithmic: bool = False,
    ) -> None:
        super().__init__()
        self._limits, self._logarithmic = limits, logarithmic
        caption = QLabel(label)
        caption.setFixedWidth(LABEL_WIDTH)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _STEPS)
        self.slider.setPageStep(_STEPS // 10)
        self.slider.setSingleStep(_STEPS // 100)
        self.slider.setMinimumWidth(50)
        self.box = QDoubleSpinBox()
        self.box.setDecimals(decimals)
        self.box.setRange(*limits)
        self.box.setSingleStep(step or max(10.0**-decimals, (limits[1] - limits[0]) / 100))
        self.box.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.box.setGroupSeparatorShown(True)
        self.box.setKeyboardTracking(False)
        self.box.setAlignment(Qt.AlignmentFlag.AlignRight)
        set_role(self.box, "value")
        if unit:
            self.box.setSuffix(f" {unit}")
        caption.setBuddy(self.slider)
        self.slider.setAccessibleName(label)
        self.box.setAccessibleName(label)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        if label:
            layout.addWidget(caption)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self.box)
        self.setToolTip(tooltip)
        for control in (self.slider, self.box):
            guard_wheel(control)
        self.slider.valueChanged.connect(self._slid)
        self.box.valueChanged.connect(self._typed)
        self.show_value(limits[0])

    @classmethod
    def whole(cls, label: str, limits: tuple[float, float], unit: str, tooltip: str) -> Number:
        """A whole number on a logarithmic slider, as sizes are."""
        return cls(label, limits, unit=unit, decimals=0, tooltip=tooltip, logarithmic=True)

    @property
    def value(self) -> float:
        """The number, in its unit."""
        return float(self.box.value())

    @property
    def is_moving(self) -> bool:
        """Whether a person holds the slider right now."""
        return bool(self.slider.isSliderDown())

    def follow(self, value: float) -> None:
        """Show `value`, unless a person is just moving the slider."""
        if not self.is_moving:
            self.show_value(value)

    def show_value(self, value: float) -> None:
        """Show `value` without telling anybody."""
        with QSignalBlocker(self.box), QSignalBlocker(self.slider):
            self.box.setValue(value)
            self.slider.setValue(self._position(value))

    def _position(self, value: float) -> int:
        low, high = self._limits
        value = min(high, max(low, value))
        if not self._logarithmic:
            part = (value - low) / (high - low)
        elif low > 0:
            part = math.log(value / low) / math.log(high / low)
        else:
            part = ((value - low) / (high - low)) ** (1 / _NEARLY_LOG)
        return round(_STEPS * part)

    def _value_at(self, position: int) -> float:
        low, high = self._limits
        part = position / _STEPS
        if not self._logarithmic:
            return low + (high - low) * part
        value = low * (high / low) ** part if low > 0 else (high - low) * part**_NEARLY_LOG
        # A slider is no finer than two digits, and round numbers read better.
        return min(high, max(low, float(f"{value:.2g}")))

    def _slid(self, position: int) -> None:
        with QSignalBlocker(self.box):
            self.box.setValue(self._value_at(position))
        self.changed.emit(self.value)

    def _typed(self, value: float) -> None:
        with QSignalBlocker(self.slider):
            self.slider.setValue(self._position(value))
        self.changed.emit(value)
