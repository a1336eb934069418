"""What every panel is: a column that shows the session and hears its signals until it is closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_maskvit.viewer.parts.links import Links

if TYPE_CHECKING:
    from psygnal import SignalInstance

    from napari_maskvit.viewer.session import Session


class Panel(QWidget):
    """One step of the journey.

    Parameters
    ----------
    session : Session
        What is shown, and what the panel's controls act on.
    """

    title = ""
    summarised = Signal(str, bool)
    """What the panel holds in a few words, and whether its step is done."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.links = Links()
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(6, 2, 6, 8)
        self.column.setSpacing(6)
        self.build()
        self.connect_session()
        self.refresh()

    def build(self) -> None:
        """Make the controls; called once."""
        raise NotImplementedError

    def connect_session(self) -> None:
        """Connect the session's signals, with `hear` or through `links`; called once."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Show what the session holds now."""
        raise NotImplementedError

    def hear(self, *signals: SignalInstance) -> None:
        """Refresh whenever one of these is emitted, until the panel is released."""
        for signal in signals:
            self.links.connect(signal, self.refresh)

    def attempt(self, action: Callable[[], object]) -> None:
        """Do something; what goes wrong is told as the session tells it."""
        try:
            action()
        except Exception as error:
            self.session.fail(error)

    def release(self) -> None:
        """Hear nothing any more."""
        self.links.close()
