"""Walk the journey in a real window and write what it looks like into docs/images.

    xvfb-run -a -s "-screen 0 1600x1000x24" python scripts/make_screenshots.py [SLIDE] [-o FOLDER]

Without a slide it is the sample slide. Nothing is drawn by hand: each picture is the window.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
SIZE = (1500, 940)
QUALITY = 82


class Walk:
    """One window on one slide, and a camera for it.

    Parameters
    ----------
    path
        The slide; None for the sample slide.
    folder
        Where pictures go.
    """

    def __init__(self, path: Path | None, folder: Path) -> None:
        import napari
        from qtpy.QtWidgets import QApplication

        from napari_maskvit.viewer.launch import show_panel
        from napari_maskvit.viewer.session import Session

        self.folder = folder
        self.viewer = napari.Viewer(title="MaskViT")
        self.viewer.window.resize(*SIZE)
        self.app = QApplication.instance()
        self.panel = show_panel(self.viewer)
        self.session = Session.of(self.viewer)
        self.session.failed.connect(print)
        if path is None:
            self.viewer.open_sample("napari-maskvit", "phantom")
        else:
            self.viewer.open(str(path), plugin="napari-maskvit")
        self.wait(1)
        self.viewer.reset_view()

    def wait(self, seconds: float) -> None:
        """Let the window live."""
        self.until(lambda: False, seconds)

    def until(self, condition: Callable[[], bool], timeout: float = 300) -> None:
        """Let it live until something holds."""
        end = time.monotonic() + timeout
        while time.monotonic() < end and not condition():
            self.app.processEvents()
            time.sleep(0.005)

    def rest(self) -> None:
        """Until nothing is going on."""
        self.wait(0.5)
        self.until(lambda: self.session.jobs.is_idle)
        self.wait(0.7)

    def shoot(self, name: str, section: str | None = None) -> None:
        """Write the window as it is, a section of the panel in view."""
        if section is not None:
            for title, one in self.panel.sections.items():
                one.set_open(title == section)
            self.wait(0.4)
        pixels = np.asarray(self.viewer.screenshot(canvas_only=False, flash=False))[..., :3]
        self.folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(self.folder / f"{name}.jpg", quality=QUALITY, optimize=True)
        print(f"{name}.jpg", flush=True)

    def journey(self) -> None:
        """From the open slide to what changed."""
        session = self.session
        self.shoot("1-slide", "slide")
        session.find_tissue()
        self.rest()
        self.shoot("2-tissue", "tissue")
        session.run()
        self.rest()
        self.shoot("3-attention", "attention")
        for level in session.levels:
            session.show(level=level)
            self.rest()
            self.shoot(f"4-level-{level}", "attention")
        session.show(level="factorised")
        session.compare(True)
        self.rest()
        self.shoot("5-compared", "attention")
        session.compare(False)
        self.rest()
        self.shoot("6-result", "result")
        self.stroke()
        self.rest()
        self.shoot("7-changed", "what changed")

    def stroke(self) -> None:
        """Erase a stretch of tissue with the mouse."""
        from qtpy.QtCore import QEvent, QPointF, Qt
        from qtpy.QtGui import QMouseEvent

        session, viewer = self.session, self.viewer
        tissue = np.argwhere(session.mask.tissue)
        middle = tissue[len(tissue) // 2] * session.mask.spacing
        session.hand.pick("eraser")
        session.hand.brush_um = 150
        camera, canvas = viewer.scene.camera, viewer.window._qt_viewer.canvas.native
        height, width = viewer.canvas.size
        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        kinds = QEvent.Type
        for at, share in enumerate(np.linspace(-1, 1, 12)):
            y, x = middle + np.array([0.0, 150.0]) * share
            place = QPointF(
                (x - camera.center[-1]) * camera.zoom + width / 2,
                (y - camera.center[-2]) * camera.zoom + height / 2,
            )
            steps = [(kinds.MouseMove, none, left if at else none)]
            if at == 0:
                steps.append((kinds.MouseButtonPress, left, left))
            if at == 11:
                steps.append((kinds.MouseButtonRelease, left, none))
            for kind, button, buttons in steps:
                event = QMouseEvent(
                    kind, place, canvas.mapToGlobal(place), button, buttons, Qt.NoModifier
                )
                self.app.sendEvent(canvas, event)
                self.app.processEvents()


def main() -> None:
    """Walk and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slide", type=Path, nargs="?")
    parser.add_argument("-o", "--output", type=Path, default=IMAGES)
    options = parser.parse_args()
    # Neither settings of a person nor what they have not saved yet shall be in the pictures.
    private = tempfile.mkdtemp()
    os.environ["NAPARI_CONFIG"] = str(Path(private) / "settings.yaml")
    os.environ["XDG_DATA_HOME"] = os.environ["MASKVIT_CACHE"] = private
    walk: Any = Walk(options.slide, options.output)
    walk.journey()
    # Nothing to restore is left for whoever opens the sample slide next.
    walk.session.discard_corrections()
    walk.rest()
    walk.session.close()
    walk.viewer.close()


if __name__ == "__main__":
    main()
