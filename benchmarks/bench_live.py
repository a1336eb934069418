"""How fast a correction is answered in a real window, and what the window feels like meanwhile.

    xvfb-run -a python benchmarks/bench_live.py [--slide FILE] [--side 100000] [--times 100]

Draws strokes with the mouse and prints a Markdown table; every number is measured in a real window,
frames included. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_maskvit.slide.cache import DEFAULT_CACHE_BYTES
from napari_maskvit.threads import wait_briefly

# Before torch loads, as the command line does.
wait_briefly()

from repeated import repeated
from window import Window, phantom

STROKE_UM = 200.0
BRUSH_UM = 80.0
UPDATE, RUN, REST = "while an update runs", "while a run goes on", "at rest, jumps included"
Row = tuple[str, str, str]
Stroke = tuple[float, int, float, float, float]
"""Seconds until it is answered, patches computed, seconds of engine, upper levels and picture."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slide", type=Path, help="a slide to use instead of a phantom")
    parser.add_argument("--side", type=int, default=50_000, help="px a side of the phantom")
    parser.add_argument("--times", type=int, help="one core, so many times over (1, 4, ..., 100)")
    parser.add_argument("--model", help="name or folder of a model; the default one if not given")
    parser.add_argument("--strokes", type=int, default=24, help="strokes that are timed")
    parser.add_argument("--session", type=int, default=200, help="strokes of the memory test")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    if options.times:
        slide = repeated(options.cache, options.times)
    else:
        slide = options.slide or phantom(options.side, options.cache)
    bench = Bench(slide, options.model)
    print("| measure | value | target |\n|---|---|---|", flush=True)
    for name, value, target in bench.rows(options.strokes, options.session):
        print(f"| {name} | {value} | {target} |", flush=True)
    print(f"\nMachine load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.", flush=True)
    bench.close()


class Bench(Window):
    """One window, one slide, one model.

    Parameters
    ----------
    path
        The slide.
    model
        Name or folder; None is the default.
    """

    def __init__(self, path: Path, model: str | None) -> None:
        self.worst: dict[str, float] = {}
        self.before = REST
        super().__init__(path)
        self.model = model
        self.rng = np.random.default_rng(0)
        self.picture = 0.0
        self.time_pictures()
        self.wait(0.5)

    def rows(self, strokes: int, session: int) -> Iterator[Row]:
        """Name, value and target of each measure."""
        yield from self.prepare()
        yield from self.run()
        full = self.full_seconds
        self.worst.clear()
        strokes_made, undone = self.corrections(strokes)
        answered, computed, own, climbing, pictures = zip(*strokes_made, strict=True)
        limit = f"<= {min(0.4, full / 20):.2f} s (0.4 s, and 1/20 of the run)"
        yield f"stroke of {STROKE_UM:.0f} µm, median of {strokes}", seconds(answered, 0.5), limit
        yield "stroke, 95th percentile", seconds(answered, 0.95), "<= 0.80 s"
        spread = f"{np.median(computed):.0f} ({min(computed)} to {max(computed)})"
        yield "patches a stroke computes, median (range)", spread, ""
        yield "of it: planning, reading, patch transformer", seconds(own, 0.5), "does not grow"
        yield "of it: region and slide transformers", seconds(climbing, 0.5), "grows with the slide"
        yield (
            "of it: its picture, of the whole slide",
            seconds(pictures, 0.5),
            "grows with the slide",
        )
        yield "undo of a stroke, median", seconds(undone, 0.5), "<= 0.15 s"
        yield "undo, 95th percentile", seconds(undone, 0.95), ""
        for meanwhile, target in ((UPDATE, "<= 100 ms"), (REST, "")):
            yield f"slowest answer to an event {meanwhile}", self.slowest(meanwhile), target
        for updating, meanwhile, target in ((True, UPDATE, "<= 60 ms"), (False, "at rest", "")):
            moves = self.paint(updating)
            if moves:
                middle, most = 1000 * np.quantile(moves, (0.5, 0.95))
                told = f"{middle:.0f} ms; {most:.0f} ms ({len(moves)} moves)"
                yield f"a move of the brush {meanwhile}, median; 95th percentile", told, target
        yield from self.memory(session)

    def prepare(self) -> Iterator[Row]:
        """Open, find tissue, load the model."""
        self.viewer.open(str(self.path), plugin="napari-maskvit")
        self.wait(2)
        self.session.use_model(self.model)
        self.rest()
        self.session.find_tissue()
        self.rest()
        slide, mask, model = self.session.slide, self.session.mask, self.session.model
        assert slide is not None
        assert mask is not None
        assert model is not None
        yield "slide", f"{slide.name}, {slide.shape[1]:,} x {slide.shape[0]:,} px", ""
        yield "mask", f"{mask.shape[1]:,} x {mask.shape[0]:,} px, {mask.area_mm2:.1f} mm²", ""
        yield "model", f"{model.name} ({', '.join(model.levels)})", ""

    def run(self) -> Iterator[Row]:
        """A full run, from Run to the end."""
        self.look_at(*self.place())
        self.worst.clear()
        started = time.perf_counter()
        self.session.run()
        self.until(self.is_drawn)
        first = time.perf_counter() - started
        self.until(lambda: not self.session.running, 3600)
        self.full_seconds = time.perf_counter() - started
        self.rest()
        explanation = self.session.explanation
        assert explanation is not None
        assert explanation.complete
        yield "first pixels of attention after Run", f"{first:.2f} s", "<= 1 s"
        patches = explanation.statistics.computed_patches
        yield "a full run", f"{self.full_seconds:.1f} s, {patches:,} patches", ""
        yield f"slowest answer to an event {RUN}", self.slowest(RUN), ""

    def is_drawn(self) -> bool:
        """Whether attention is in a layer that is seen."""
        layers = self.session.attention.layers
        level = layers.current_level
        return level is not None and bool(np.isfinite(layers.layers[level].data).any())

    def corrections(self, count: int) -> tuple[list[Stroke], list[float]]:
        """Strokes, and seconds until each is undone."""
        strokes, undone = [], []
        for _ in range(count):
            self.aim(*self.place())
            self.picture = 0.0
            answered = self.answer(self.stroke)
            explanation = self.session.explanation
            assert explanation is not None
            spent = explanation.statistics.seconds
            own = sum(spent.get(stage, 0.0) for stage in ("planning", "reading", "computing"))
            climbing = spent.get("region and slide", 0.0)
            computed = explanation.statistics.computed_patches
            strokes.append((answered, computed, own, climbing, self.picture))
            self.wait(0.3)
            undone.append(self.answer(self.undo))
            self.wait(0.3)
        return strokes, undone

    def time_pictures(self) -> None:
        """Note how long the picture of an answer takes to make, in its worker."""
        from napari_maskvit.viewer.work import runs

        make = runs.heatmap_for

        def timed(*arguments: Any) -> Any:
            started = time.perf_counter()
            try:
                return make(*arguments)
            finally:
                self.picture += time.perf_counter() - started

        runs.heatmap_for = timed

    def answer(self, act: Callable[[], float]) -> float:
        """Seconds until the new picture and prediction are on the screen.

        ``act`` returns the moment from which they count.
        """
        before = self.session.explanation
        started = act()
        return self.shown(lambda: self.session.explanation is not before, 120) - started

    def paint(self, updating: bool) -> list[float]:
        """Seconds of each move of the brush that was made while an update ran, or none did."""
        times: list[float] = []
        for _ in range(6):
            self.aim(*self.place())
            if updating:
                self.stroke()
            self.stroke(
                60,
                lambda spent: times.append(spent) if self.session.updating is updating else None,
            )
            self.rest()
        return times

    def memory(self, count: int) -> Iterator[Row]:
        """How a long session grows."""
        if count < 40:
            return
        marks = [max(1, round(count * share)) for share in (0.1, 0.2, 0.5, 1)]
        sizes = []
        for step in range(1, count + 1):
            self.aim(*self.place(), settle=0.02)
            self.answer(self.stroke if step % 2 else self.undo)
            if step in marks:
                self.rest()
                sizes.append((resident_mb(), self.patches_mb(), self.tiles_mb()))
        held, patches, tiles = ([size[part] for size in sizes] for part in range(3))
        at = f"after {', '.join(map(str, marks))} strokes"
        bare = [whole - first - second for whole, first, second in sizes]
        yield f"memory {at}", megabytes(held), ""
        yield "of it: what is known of patches", megabytes(patches), "<= 1,074 MB"
        yield "of it: decoded tiles", megabytes(tiles), f"<= {DEFAULT_CACHE_BYTES / 1e6:,.0f} MB"
        yield "all but these two", megabytes(bare), "does not grow"
        timeline = self.session.timeline.timeline
        yield "its timeline", f"{len(timeline)} steps, {timeline.nbytes / 1e6:.1f} MB", ""

    def patches_mb(self) -> float:
        """Memory of what is known of patches."""
        return float(self.session.models.explainers.nbytes / 1e6)

    def tiles_mb(self) -> float:
        """Memory of the slide's decoded tiles."""
        assert self.session.slide is not None
        return self.session.slide.cache.nbytes / 1e6

    # ---- a hand that holds the mouse

    def place(self) -> tuple[float, float]:
        """Somewhere (y, x in µm) with a stroke's length of tissue about it."""
        editor = self.session.tissue.editor
        assert editor is not None
        tissue, um = np.asarray(editor.layer.data) == 1, editor.spacing
        half = int(np.ceil(STROKE_UM / 2 / um))
        rows, columns = np.nonzero(tissue)
        for index in self.rng.permutation(len(rows))[:2000]:
            row, column = int(rows[index]), int(columns[index])
            stretch = tissue[row, max(0, column - half) : column + half + 1]
            if len(stretch) == 2 * half + 1 and stretch.all():
                return row * um, column * um
        raise SystemExit(f"There is no tissue {STROKE_UM:.0f} µm wide on {self.path.name}.")

    def look_at(self, y: float, x: float) -> None:
        """Go there, at one µm a screen pixel."""
        self.viewer.scene.camera.center = (y, x)
        self.viewer.scene.camera.zoom = 1.0
        self.wait(0.5)

    def aim(self, y: float, x: float, settle: float = 0.6) -> None:
        """Go there with the eraser in hand."""
        self.viewer.scene.camera.center = (y, x)
        self.viewer.scene.camera.zoom = 1.0
        self.session.hand.pick("eraser")
        self.session.hand.brush_um = BRUSH_UM
        self.wait(settle)

    def stroke(self, moves: int = 12, spent: Callable[[float], Any] = lambda _: None) -> float:
        """A stroke across the middle of the view, drawn with the mouse; when that was let go."""
        height, width = self.viewer.canvas.size
        reach = STROKE_UM / 2 * self.viewer.scene.camera.zoom
        places = [(width / 2 + side, height / 2) for side in np.linspace(-reach, reach, moves + 1)]
        return self.draw(places, spent)

    def undo(self) -> float:
        """Take the latest stroke back; when that was asked for."""
        asked = time.perf_counter()
        self.session.hand.undo()
        self.took(time.perf_counter() - asked)
        return asked

    def rest(self) -> None:
        """Wait until nothing is at work."""
        self.wait(0.3)
        self.until(lambda: bool(self.session.jobs.is_idle), 3600)
        self.wait(0.3)

    def answer_events(self) -> None:
        """As ever; what is answered counts for what went on before it was."""
        self.before = self.meanwhile
        super().answer_events()

    def took(self, seconds: float) -> None:
        """Note the slowest answer."""
        self.worst[self.before] = max(self.worst.get(self.before, 0.0), seconds)

    @property
    def meanwhile(self) -> str:
        """What is going on."""
        if self.session.updating:
            return UPDATE
        return RUN if self.session.running else REST

    def slowest(self, meanwhile: str) -> str:
        """The slowest answer to an event so far, while that went on."""
        return f"{1000 * self.worst.get(meanwhile, 0.0):.0f} ms"


def seconds(values: Sequence[float], share: float) -> str:
    """A quantile of some times."""
    return f"{np.quantile(values, share):.2f} s"


def megabytes(sizes: Sequence[float]) -> str:
    """Some sizes."""
    return ", ".join(f"{size:,.0f}" for size in sizes) + " MB"


def resident_mb() -> float:
    """Memory that the process holds, MB."""
    import psutil

    return float(psutil.Process().memory_info().rss) / 1e6


if __name__ == "__main__":
    main()
