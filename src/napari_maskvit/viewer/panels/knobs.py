"""Controls for finding tissue, made from what its parameters say of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QWidget

from napari_maskvit.viewer.parts.columns import column
from napari_maskvit.viewer.parts.controls import Number
from napari_maskvit.viewer.parts.fold import Fold
from napari_maskvit.viewer.words.wording import decimals_of

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from napari_maskvit.tissue import TissueParameters

_RARE = ("remove_pen", "spacing_um")
_SHORT = {"x automatic": "× auto"}


class ParameterKnobs(QWidget):
    """A slider for every number and a box for every yes or no, with units and ranges.

    Parameters
    ----------
    parameters : TissueParameters
        Shown at first; its class says title, range, unit and step of each field.
    """

    changed = Signal()
    """A person changed one of them."""

    def __init__(self, parameters: TissueParameters) -> None:
        super().__init__()
        self._parameters = parameters
        self.knobs: dict[str, Number | QCheckBox] = {}
        more = QWidget()
        columns = {False: column(self), True: column(more)}
        for name, field in type(parameters).model_fields.items():
            made = self.knobs[name] = self._make(name, field)
            columns[name in _RARE].addWidget(made)
        self.more = Fold("More", more)
        columns[False].addWidget(self.more)
        self.show_parameters(parameters)

    @property
    def parameters(self) -> TissueParameters:
        """What the controls say."""
        return self._parameters

    @property
    def is_moving(self) -> bool:
        """Whether a person holds one of the sliders right now."""
        return any(isinstance(knob, Number) and knob.is_moving for knob in self.knobs.values())

    def show_parameters(self, parameters: TissueParameters) -> None:
        """Show `parameters` without telling anybody."""
        self._parameters = parameters
        for name, knob in self.knobs.items():
            value = getattr(parameters, name)
            if isinstance(knob, Number):
                knob.show_value(value)
            else:
                with QSignalBlocker(knob):
                    knob.setChecked(value)

    def _make(self, name: str, field: FieldInfo) -> Number | QCheckBox:
        title, tooltip = field.title or name, field.description or ""
        if field.annotation is bool:
            box = QCheckBox(title)
            box.setToolTip(tooltip)
            box.toggled.connect(lambda on: self._set(name, on))
            return box
        extra: Any = field.json_schema_extra or {}
        low, high = _limits(field)
        unit = extra.get("unit", "")
        number = Number(
            title,
            (low, high),
            unit=_SHORT.get(unit, unit),
            decimals=decimals_of(extra.get("step", 0.01)),
            step=extra.get("step"),
            tooltip=f"{tooltip} From {low:,g} to {high:,.0f} {unit}.".replace(" .", "."),
            logarithmic=extra.get("scale") == "log",
        )
        number.changed.connect(lambda value: self._set(name, value))
        return number

    def _set(self, name: str, value: Any) -> None:
        self._parameters = self._parameters.model_copy(update={name: value})
        self.changed.emit()


def _limits(field: FieldInfo) -> tuple[float, float]:
    low = next(rule.ge for rule in field.metadata if hasattr(rule, "ge"))
    high = next(rule.le for rule in field.metadata if hasattr(rule, "le"))
    return float(low), float(high)
