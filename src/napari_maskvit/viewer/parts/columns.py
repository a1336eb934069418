"""How controls stand: one under the other, or beside each other."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

LABEL_WIDTH = 104
"""Of the labels before controls, px: what they name stands in one line down the column."""


BOXED = (10, 6, 6, 8)
"""Margins within a coloured edge."""


def column(
    holder: QWidget,
    *widgets: QWidget,
    margins: tuple[int, int, int, int] = (0, 0, 0, 0),
    spacing: int = 6,
) -> QVBoxLayout:
    """Stack widgets in a holder; margins are left, top, right, bottom, in px."""
    layout = QVBoxLayout(holder)
    layout.setContentsMargins(*margins)
    layout.setSpacing(spacing)
    for widget in widgets:
        layout.addWidget(widget)
    return layout


def row(
    *widgets: QWidget, label: str | None = None, spacing: int = 6, stretch: Sequence[int] = ()
) -> QWidget:
    """Put widgets beside each other, in the column of the other controls if there is a label.

    Parameters
    ----------
    widgets : QWidget
        From left to right.
    label : str, optional
        Stands before them, and is their name for a screen reader.
    spacing : int
        Between them, px.
    stretch : sequence of int
        How what room is left is shared out, a share each; by Qt where none are given.
    """
    holder = QWidget()
    layout = QHBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(spacing)
    if label is not None:
        caption = QLabel(label)
        caption.setFixedWidth(LABEL_WIDTH)
        caption.setBuddy(widgets[0])
        layout.addWidget(caption)
        for widget in widgets:
            widget.setAccessibleName(label)
    for widget, share in zip(widgets, stretch or [0] * len(widgets), strict=True):
        layout.addWidget(widget, share)
    return holder
