"""How the window feels on a large slide: first pixels, a stroke of the brush, a run beside it.

    xvfb-run -a python benchmarks/bench_viewer.py [--side 100000] [--slide FILE] [--cache FOLDER]

Prints a table; every number is measured in a real window, frames included.
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

SPACING = 0.25


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=100_000, help="px a side of the phantom")
    parser.add_argument("--slide", type=Path, help="a slide to use instead of a phantom")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    slide = options.slide or phantom(options.side, options.cache)
    os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp()) / "settings.yaml")
    for name, value, limit in Bench(slide).rows():
        print(f"{name:<58} {value:>12} {limit:>12}")
    print(f"machine load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def phantom(side: int, folder: Path) -> Path:
    """A phantom of that size with ordinary biopsy tissue on it, made once."""
    from napari_maskvit.slide.phantom import biopsy, write_phantom

    path = folder / f"maskvit-phantom-{side}.tif"
    if not path.exists():
        started = time.perf_counter()
        partial = path.with_suffix(".partial.tif")
        write_phantom(partial, biopsy(side, side, spacing=SPACING, seed=1), truth=False)
        partial.rename(path)
        print(f"phantom of {side:,} px written in {time.perf_counter() - started:.0f} s")
    return path


class Bench:
    """One window, one slide.

    Parameters
    ----------
    path
        The slide.
    """

    def __init__(self, path: Path) -> None:
        import napari
        from qtpy.QtWidgets import QApplication

        from napari_maskvit.viewer.session import Session

        self.path = path
        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(1400, 900)
        self.app = QApplication.instance()
        self.session = Session.of(self.viewer)
        self.session.failed.connect(print)
        self.wait(0.5)

    def rows(self) -> Any:
        """Name, value and limit of each measure."""
        yield "slide", f"{self.path.name[:12]}", ""
        yield "opening until pixels are on the screen", f"{self.open():.2f} s", "<= 3 s"
        self.session.find_tissue()
        yield "finding tissue", f"{self.until(lambda: self.session.mask is not None):.2f} s", ""
        mask = self.session.mask
        assert mask is not None
        yield "mask", f"{mask.shape[0]:,} px", ""
        self.until(lambda: self.session.busy is None)
        for name, share in (("whole slide in view", 1.0), ("a tenth", 0.1), ("a hundredth", 0.01)):
            times = self.paint(share)
            yield f"painting, {name}: median a move, with frame", f"{times[0]:.0f} ms", "<= 50 ms"
            yield f"painting, {name}: 95th percentile", f"{times[1]:.0f} ms", ""
        self.session.close()
        self.viewer.close()

    def open(self) -> float:
        """Seconds from File > Open to pink on the screen."""
        started = time.perf_counter()
        self.viewer.open(str(self.path), plugin="napari-maskvit")
        while time.perf_counter() - started < 60:
            self.app.processEvents()
            picture = self.viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
            if (picture.max(axis=-1) > 150).mean() > 0.1:
                break
        return time.perf_counter() - started

    def paint(self, share: float) -> tuple[float, float]:
        """Milliseconds of a move of the brush, median and 95th percentile."""
        from qtpy.QtCore import QEvent, Qt

        assert self.session.slide is not None
        height, width = self.session.slide.size_um
        self.viewer.reset_view()
        self.viewer.scene.camera.center = (height / 2, width / 2)
        self.viewer.scene.camera.zoom /= share
        self.session.hand.pick("brush")
        canvas_height, canvas_width = self.viewer.canvas.size
        self.session.hand.brush_um = 40 / self.viewer.scene.camera.zoom
        self.wait(1.0)
        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        y = canvas_height * 0.55
        places = [(x, y) for x in np.linspace(0.2, 0.8, 60) * canvas_width]
        self.mouse(QEvent.Type.MouseMove, places[0], none, none)
        self.mouse(QEvent.Type.MouseButtonPress, places[0], left, left)
        times = []
        for place in places[1:]:
            started = time.perf_counter()
            self.mouse(QEvent.Type.MouseMove, place, none, left)
            self.app.processEvents()
            times.append((time.perf_counter() - started) * 1000)
        self.mouse(QEvent.Type.MouseButtonRelease, places[-1], left, none)
        self.wait(0.3)
        return float(np.median(times)), float(np.quantile(times, 0.95))

    def mouse(self, kind: Any, place: tuple[float, float], button: Any, buttons: Any) -> None:
        """Send a mouse event to the canvas."""
        from qtpy.QtCore import QPointF, Qt
        from qtpy.QtGui import QMouseEvent

        canvas = self.viewer.window._qt_viewer.canvas.native
        point = QPointF(*place)
        modifiers = Qt.KeyboardModifier.NoModifier
        event = QMouseEvent(kind, point, canvas.mapToGlobal(point), button, buttons, modifiers)
        self.app.sendEvent(canvas, event)

    def wait(self, seconds: float) -> None:
        """Let the window live for a while."""
        self.until(lambda: False, seconds)

    def until(self, condition: Callable[[], bool], timeout: float = 300) -> float:
        """Seconds until something holds."""
        started = time.perf_counter()
        while time.perf_counter() - started < timeout and not condition():
            self.app.processEvents()
            time.sleep(0.002)
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
