"""What stands in place of attention for now, apart from whether a person wants to see it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_maskvit.viewer.desks.attention import AttentionDesk
    from napari_maskvit.viewer.display import Display


class Covers:
    """Other pictures of the same place: while one is shown, attention is not.

    Parameters
    ----------
    desk
        Whose attention gives way.
    """

    def __init__(self, desk: AttentionDesk) -> None:
        self.desk = desk
        self._names: set[str] = set()

    def drawn(self, display: Display) -> Display:
        """The display as it is drawn."""
        return replace(display, visible=display.visible and not self._names)

    def put(self, name: str, on: bool) -> None:
        """Let a picture stand in place of attention, or no longer; what was chosen stays."""
        before = self.desk.drawn
        (self._names.add if on else self._names.discard)(name)
        if self.desk.drawn != before:
            self.desk.paint()
            self.desk.session.display_changed.emit(self.desk.display)

    def lift(self) -> None:
        """A person asks for attention: what stands in its place goes."""
        self.desk.why.show(False)
        if self.desk.changes.on:
            self.desk.changes.switch(False)
