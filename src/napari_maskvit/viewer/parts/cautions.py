"""Warnings that are read once, and then stand in one line."""

from __future__ import annotations

from collections.abc import Iterable

from qtpy.QtWidgets import QPushButton, QWidget

from napari_maskvit.viewer.parts.columns import column
from napari_maskvit.viewer.parts.style import set_role
from napari_maskvit.viewer.parts.text import Warnings, show


class Cautions(QWidget):
    """What speaks against trusting an answer: open until it was there to be read, then folded.

    A person who opens or folds it has it so until there is something new to read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.toggle = QPushButton()
        self.toggle.setCheckable(True)
        self.toggle.setToolTip("Show or hide what speaks against trusting the answer")
        set_role(self.toggle, "fold")
        self.toggle.toggled.connect(self._apply)
        self.toggle.clicked.connect(self._touch)
        self.list = Warnings()
        column(self, self.toggle, self.list, spacing=2)
        self._answer: object = None
        self._touched = False
        self._read: set[str] = set()

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is said, in order."""
        return self.list.sentences

    def show_sentences(self, sentences: Iterable[str], answer: object) -> None:
        """Say what speaks against an answer.

        Parameters
        ----------
        sentences : iterable of str
            The warnings.
        answer : object
            What they are about: at the next one, the same warnings are known already. None while
            there is none.
        """
        self.list.show_sentences(sentences)
        if not set(self.sentences) <= self._read:
            self._touched = False
            self.toggle.setChecked(True)
        elif answer is not None and answer is not self._answer and not self._touched:
            self.toggle.setChecked(False)
        if answer is not None:
            self._answer = answer
            self._read.update(self.sentences)
        self._apply()
        show(self, bool(self.sentences))

    def _touch(self) -> None:
        self._touched = True

    def _apply(self) -> None:
        count, is_open = len(self.sentences), self.toggle.isChecked()
        words = f"{count} reason{'s' if count != 1 else ''} for caution"
        text = f"{'▾' if is_open else '▸'}  {words}"
        if self.toggle.text() != text:
            self.toggle.setText(text)
        show(self.list, is_open and count > 0)
