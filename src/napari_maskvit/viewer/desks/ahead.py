"""Layers for a run that has just begun: napari takes a tenth of a second to add one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_maskvit.explain.lattice import Lattice
    from napari_maskvit.viewer.desks.attention import AttentionDesk


TURN_MS = 150
"""Between two layers, for the window to draw, and to answer what came meanwhile."""


class Ahead:
    """Makes the layers of a run one by one while it goes on.

    Made all at once when they are needed, they would keep the window from answering: the one that
    is looked at comes first, the others once something is seen in it.

    Parameters
    ----------
    desk
        Whose runs they are.
    """

    def __init__(self, desk: AttentionDesk) -> None:
        from qtpy.QtCore import QTimer

        self.desk = desk
        self._levels: list[str] = []
        self._lattice: Lattice | None = None
        self._turn = QTimer()
        self._turn.setInterval(TURN_MS)
        self._turn.timeout.connect(self._make)
        desk.session.busy_changed.connect(self._tidy)

    def start(self, levels: tuple[str, ...], lattice: Lattice) -> None:
        """Make the first of the layers that a run will fill.

        Parameters
        ----------
        levels
            That a finished run shows.
        lattice
            Of the model on the slide.
        """
        self._levels = sorted(levels, key=lambda level: level != self.desk.display.level)
        self._lattice = lattice
        self._turn.stop()
        self._make()

    def go_on(self) -> None:
        """Make the others, in their turns."""
        if self._levels:
            self._turn.start()

    def stop(self) -> None:
        """Make no more."""
        self._turn.stop()
        self._levels.clear()

    def _make(self) -> None:
        if not self._levels or self._lattice is None:
            self._turn.stop()
            return
        lattice = self._lattice
        shape, step = lattice.shape("patch"), lattice.step("patch")
        self.desk.layers.make(self._levels.pop(0), shape, step, lattice.slide_spacing)

    def _tidy(self) -> None:
        """Where nothing came of a run, no empty layers are left of it."""
        if self.desk.explanation is None and not self.desk.session.runs.is_running:
            self.stop()
            self.desk.layers.clear()
