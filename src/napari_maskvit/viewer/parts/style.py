"""What the panels add to napari's style sheet, in the colours of whichever theme is on.

Widgets say what they are through the property ``role``; the colours stand here alone.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QWidget

_TEMPLATE = """
#maskvit QLabel[role="muted"] { color: {{ opacity(text, 165) }}; font-size: {{ font_size }}; }
#maskvit Line { background-color: transparent; }
#maskvit Line[role="muted"] { color: {{ opacity(text, 165) }}; font-size: {{ font_size }}; }
#maskvit Line[role="strong"] { font-weight: bold; }
#maskvit QLabel[role="muted"]:disabled { color: {{ opacity(text, 80) }}; }
#maskvit QLabel[role="figure"] { font-size: {{ increase(font_size, 5) }}; font-weight: bold; }
#maskvit QLabel[role="strong"] { font-weight: bold; }
#maskvit QFrame[role="warning"] {
  border-left: 3px solid {{ warning }}; border-radius: 0px;
  background-color: {{ opacity(warning, 34) }};
}
#maskvit QFrame[role="warning"] QLabel { background-color: none; }
#maskvit QFrame[role="section"] { border-top: 1px solid {{ foreground }}; }
#maskvit QPushButton[role="header"] {
  background-color: transparent; border: 1px solid transparent;
  text-align: left; padding: 0px; border-radius: 3px;
}
#maskvit QPushButton[role="header"]:hover { background-color: {{ foreground }}; }
#maskvit QPushButton[role="header"] QLabel { background-color: transparent; }
#maskvit QPushButton[role="header"] QLabel[role="step"] {
  border-radius: 9px; min-width: 18px; max-width: 18px; min-height: 18px; max-height: 18px;
  padding: 0px; font-size: {{ font_size }}; font-weight: bold; background-color: {{ primary }};
}
#maskvit QPushButton[role="header"] QLabel[role="step"][done="true"] {
  background-color: {{ current }}; color: {{ text }};
}
#maskvit QPushButton[role="fold"] {
  background-color: transparent; border: 1px solid transparent; text-align: left; padding: 2px;
  color: {{ opacity(text, 165) }};
}
#maskvit QPushButton[role="fold"]:hover { color: {{ text }}; }
#maskvit QPushButton[role="fold"]:focus { border: 1px solid {{ highlight }}; }
#maskvit QPushButton[role="main"] {
  background-color: {{ current }}; color: {{ text }}; font-weight: bold; padding: 6px;
}
#maskvit QPushButton[role="main"]:hover { background-color: {{ lighten(current, 12) }}; }
#maskvit QPushButton[role="main"]:disabled {
  background-color: {{ opacity(primary, 75) }}; color: {{ opacity(text, 90) }};
}
#maskvit QPushButton[role="small"] { padding: 3px 4px; }
#maskvit QPushButton[role="small"]:checked { background-color: {{ current }}; }
#maskvit QFrame[role="foot"] { border-top: 1px solid {{ foreground }}; }
#maskvit QPushButton:focus, #maskvit QComboBox:focus, #maskvit QLineEdit:focus,
#maskvit QAbstractSpinBox:focus, #maskvit QToolButton:focus {
  border: 1px solid {{ highlight }};
}
#maskvit QPushButton[role="header"]:focus { border: 1px solid {{ highlight }}; }
#maskvit QSlider:focus { border: 1px solid {{ highlight }}; border-radius: 3px; }
#maskvit QCheckBox:focus { border: 1px solid {{ highlight }}; border-radius: 3px; }
#maskvit QSlider::sub-page:horizontal { background: {{ current }}; border-radius: 2px; }
#maskvit QSlider::sub-page:horizontal:disabled { background: {{ primary }}; }
#maskvit QSlider::handle:horizontal { background-color: {{ secondary }}; }
#maskvit QSlider::handle:horizontal:disabled { background-color: {{ primary }}; }
#maskvit QAbstractSpinBox { min-width: 60px; padding: 1px 4px; }
#maskvit QAbstractSpinBox[role="value"] { min-width: 78px; max-width: 78px; }
#maskvit QProgressBar { border: none; background-color: {{ foreground }}; border-radius: 3px; }
#maskvit QProgressBar::chunk { background-color: {{ current }}; border-radius: 3px; }
#maskvit QProgressBar[role="other"]::chunk { background-color: {{ secondary }}; }
#maskvit QToolButton { padding: 3px 7px; border-radius: 2px; background-color: {{ primary }}; }
#maskvit QToolButton:hover { background-color: {{ highlight }}; }
#maskvit QToolButton:disabled {
  background-color: {{ opacity(primary, 75) }}; color: {{ opacity(text, 90) }};
}
"""


def style_sheet(theme: str) -> str:
    """Fill the style sheet with the colours of a napari theme.

    Parameters
    ----------
    theme : str
        Name of a napari theme; ``"system"`` follows the desktop.

    Returns
    -------
    str
        A Qt style sheet for the widget named ``maskvit``.
    """
    from napari.utils.theme import get_system_theme, get_theme, template

    colours = get_theme(get_system_theme() if theme == "system" else theme).to_rgb_dict()
    return str(template(_TEMPLATE, **colours))


def set_role(widget: QWidget, role: str) -> None:
    """Tell the style sheet what `widget` is; takes effect at once, also on a shown widget."""
    set_property(widget, "role", role)


def set_property(widget: QWidget, name: str, value: Any) -> None:
    """Set a property that the style sheet looks at, and have the widget drawn accordingly."""
    if widget.property(name) == value:
        return
    widget.setProperty(name, value)
    widget.style().unpolish(widget)
    widget.style().polish(widget)
