"""How the window feels on a large slide: first pixels, a stroke of the brush, a run beside it.

    xvfb-run -a python benchmarks/bench_viewer.py [--side 100000] [--slide FILE] [--cache FOLDER]

Prints a table; every number is measured in a real window, frames included.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from window import Window, phantom


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=100_000, help="px a side of the phantom")
    parser.add_argument("--slide", type=Path, help="a slide to use instead of a phantom")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    slide = options.slide or phantom(options.side, options.cache)
    bench = Bench(slide)
    for name, value, limit in bench.rows():
        print(f"{name:<58} {value:>12} {limit:>12}")
    bench.close()
    print(f"machine load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


class Bench(Window):
    """One window, one slide.

    Parameters
    ----------
    path
        The slide.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
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
        # The model is fetched on the quiet, once there is tissue.
        self.wait(0.5)
        self.until(lambda: bool(self.session.jobs.is_idle))
        for name, share in (("whole slide in view", 1.0), ("a tenth", 0.1), ("a hundredth", 0.01)):
            times = self.paint(share)
            yield f"painting, {name}: median a move, with frame", f"{times[0]:.0f} ms", "<= 50 ms"
            yield f"painting, {name}: 95th percentile", f"{times[1]:.0f} ms", ""

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
        assert self.session.slide is not None
        height, width = self.session.slide.size_um
        self.viewer.reset_view()
        self.viewer.scene.camera.center = (height / 2, width / 2)
        self.viewer.scene.camera.zoom /= share
        self.session.hand.pick("brush")
        canvas_height, canvas_width = self.viewer.canvas.size
        self.session.hand.brush_um = 40 / self.viewer.scene.camera.zoom
        self.wait(1.0)
        y = canvas_height * 0.55
        places = [(x, y) for x in np.linspace(0.2, 0.8, 60) * canvas_width]
        times: list[float] = []
        self.draw(places, lambda spent: times.append(1000 * spent))
        self.wait(0.3)
        return float(np.median(times)), float(np.quantile(times, 0.95))


if __name__ == "__main__":
    main()
