"""A real window under a benchmark: how it lives, and the hand that holds the mouse."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SPACING = 0.25


def phantom(side: int, folder: Path) -> Path:
    """A phantom of so many px a side with ordinary biopsy tissue on it, made once."""
    from napari_maskvit.slide.phantom import biopsy, write_phantom

    path = folder / f"maskvit-phantom-{side}.tif"
    if not path.exists():
        partial = path.with_suffix(".partial.tif")
        write_phantom(partial, biopsy(side, side, spacing=SPACING, seed=1), truth=False)
        partial.rename(path)
    return path


class Window:
    """A viewer of 1400 x 900 px, and its session.

    A person's settings and what they have not saved yet have no part in it, and nothing is left
    beside their slide.

    Parameters
    ----------
    slide
        What will be opened; `path` is a link to it.
    """

    def __init__(self, slide: Path) -> None:
        self._private = tempfile.TemporaryDirectory(prefix="maskvit-bench-")
        private = Path(self._private.name)
        os.environ["NAPARI_CONFIG"] = str(private / "settings.yaml")
        os.environ["XDG_DATA_HOME"] = str(private)
        self.path = private / slide.name
        self.path.symlink_to(slide.resolve())
        import napari
        from qtpy.QtWidgets import QApplication

        from napari_maskvit.viewer.session import Session

        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(1400, 900)
        self.app = QApplication.instance()
        self.session = Session.of(self.viewer)
        self.session.failed.connect(lambda text: print(f"\nfailed: {text}\n", flush=True))

    def took(self, seconds: float) -> None:
        """The window was busy for so long with what it had to answer."""

    def mouse(self, kind: Any, place: tuple[float, float], button: Any, buttons: Any) -> None:
        """Send a mouse event to the canvas."""
        from qtpy.QtCore import QPointF, Qt
        from qtpy.QtGui import QMouseEvent

        canvas = self.viewer.window._qt_viewer.canvas.native
        point = QPointF(*place)
        modifiers = Qt.KeyboardModifier.NoModifier
        event = QMouseEvent(kind, point, canvas.mapToGlobal(point), button, buttons, modifiers)
        sent = time.perf_counter()
        self.app.sendEvent(canvas, event)
        self.took(time.perf_counter() - sent)

    def draw(
        self, places: list[tuple[float, float]], spent: Callable[[float], Any] = lambda _: None
    ) -> float:
        """Draw a stroke through places (x, y) of the canvas; when the button was let go.

        ``spent`` is told the seconds of each move.
        """
        from qtpy.QtCore import QEvent, Qt

        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        self.mouse(QEvent.Type.MouseMove, places[0], none, none)
        self.mouse(QEvent.Type.MouseButtonPress, places[0], left, left)
        for place in places[1:]:
            started = time.perf_counter()
            self.mouse(QEvent.Type.MouseMove, place, none, left)
            self.app.processEvents()
            spent(time.perf_counter() - started)
        released = time.perf_counter()
        self.mouse(QEvent.Type.MouseButtonRelease, places[-1], left, none)
        return released

    def answer_events(self) -> None:
        """Have the window answer all that waits to be answered."""
        from qtpy.QtCore import QEvent

        asked = time.perf_counter()
        self.app.processEvents()
        # Left to the event loop itself, which a benchmark does not run: without it napari's
        # spinner turns for ever once a bar of progress has closed.
        self.app.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        self.took(time.perf_counter() - asked)

    def wait(self, seconds: float) -> None:
        """Let the window live for a while."""
        self.until(lambda: False, seconds)

    def until(self, condition: Callable[[], bool], timeout: float = 300) -> float:
        """Let the window live until something holds; seconds until it did."""
        started = time.perf_counter()
        while time.perf_counter() - started < timeout and not condition():
            self.answer_events()
            time.sleep(0.002)
        return time.perf_counter() - started

    def shown(self, condition: Callable[[], bool], timeout: float = 300) -> float:
        """Let the window live until something holds and a frame of it is on the screen; when."""
        frames: list[float] = []
        frame = self.viewer.window._qt_viewer.canvas.native.frameSwapped

        def note() -> None:
            if condition():
                frames.append(time.perf_counter())

        frame.connect(note)
        try:
            self.until(lambda: bool(frames), timeout)
        finally:
            frame.disconnect(note)
        return frames[0]

    def close(self) -> None:
        """Close the window and forget what it left."""
        self.session.close()
        self.viewer.close()
        self._private.cleanup()
