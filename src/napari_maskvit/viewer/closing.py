"""Notice that a window closes while it can still be talked to."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QWidget


class _CloseFilter(QObject):
    def __init__(self, window: QWidget, then: Callable[[], None]) -> None:
        super().__init__(window)
        self._window, self._then = window, then
        self._asked = False

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        # Close only asks: a question ("really?") may still refuse it. Hiding right after it does
        # not lie, and a window that was never shown has nothing to ask.
        kind = event.type()
        if kind == QEvent.Type.Close:
            if self._window.isVisible():
                self._asked = True
                QTimer.singleShot(0, self._forget)
            else:
                self._then()
        elif kind == QEvent.Type.DeferredDelete or (kind == QEvent.Type.Hide and self._asked):
            self._then()
        return False

    def _forget(self) -> None:
        self._asked = False


def when_closed(window: QWidget, then: Callable[[], None]) -> None:
    """Call ``then`` when this window goes away, before its parts do.

    Parameters
    ----------
    window
        A top-level window.
    then
        May be called more than once.
    """
    window.installEventFilter(_CloseFilter(window, then))
