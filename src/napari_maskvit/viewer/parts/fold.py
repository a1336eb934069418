"""A quiet line that shows or hides what few people need."""

from __future__ import annotations

from qtpy.QtWidgets import QPushButton, QWidget

from napari_maskvit.viewer.parts.columns import column
from napari_maskvit.viewer.parts.style import set_role


class Fold(QWidget):
    """A heading that shows or hides `content`; closed at first.

    Parameters
    ----------
    title : str
        What is inside.
    content : QWidget
        Shown while open.
    """

    def __init__(self, title: str, content: QWidget) -> None:
        super().__init__()
        self._title = title
        self.toggle = QPushButton()
        self.toggle.setCheckable(True)
        self.toggle.setToolTip(f"Show or hide: {title.lower()}")
        set_role(self.toggle, "fold")
        self.toggle.toggled.connect(self._apply)
        self.content = content
        column(self, self.toggle, content)
        self._apply(False)

    def _apply(self, is_open: bool) -> None:
        self.toggle.setText(f"{'▾' if is_open else '▸'}  {self._title}")
        self.content.setVisible(is_open)
