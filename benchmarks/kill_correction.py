"""How much of a correction is lost when the process is killed in the middle of it.

    xvfb-run -a python benchmarks/kill_correction.py [--kills 50] [--side 12500] [--limit 2.0]

A window opens a slide and a brush paints stroke after stroke, without pause, until the process gets
SIGKILL at a random moment. Then the file that was left is read, and the strokes that it lacks are
counted; a stroke was made when its last pixel was drawn. Exits with 1 if a file does not open, or
if a stroke older than the limit is missing.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SPACING = 1.0
MOVES = 8  # of the brush in a stroke
MOVE_S = 0.02


@dataclass(frozen=True)
class Loss:
    """What one kill cost.

    Attributes
    ----------
    made, lost
        Strokes until then, and how many of them the file lacks.
    seconds
        Age of the oldest stroke that is lost; 0 where none is.
    """

    made: int
    lost: int
    seconds: float


def main() -> int:
    """Kill, look, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--side", type=int, default=12_500, help="px a side of the slide, 1 µm/px")
    parser.add_argument("--limit", type=float, default=2.0, help="seconds that may be lost")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--paint", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.paint:
        paint(options.paint)
        return 0
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        slide = write_slide(Path(folder) / "slide.tif", options.side)
        losses = []
        for number in range(1, options.kills + 1):
            loss = kill_once(slide, moments.uniform(0.5, 6.0))
            losses.append(loss)
            told = f"{loss.lost:2} of {loss.made:3} strokes, the last {loss.seconds:.2f} s"
            print(f"{number:3}: {told}", flush=True)
    return report(losses, options.limit)


def report(losses: list[Loss], limit: float) -> int:
    """Print what was lost; 1 if it was too much."""
    seconds = [loss.seconds for loss in losses]
    print(
        f"{len(losses)} kills: every file opened; lost at most the last {max(seconds):.2f} s "
        f"(median {statistics.median(seconds):.2f} s), {max(loss.lost for loss in losses)} strokes"
    )
    print(f"machine load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return int(max(seconds) > limit)


def kill_once(slide: Path, after: float) -> Loss:
    """Let a process paint for some seconds, kill it, and see what is left."""
    from napari_maskvit.viewer.saving import unsaved

    log = slide.with_name("strokes.log")
    log.unlink(missing_ok=True)
    for old in slide.parent.glob(f"*{unsaved.ENDING}"):
        old.unlink()
    child = subprocess.Popen([sys.executable, __file__, "--paint", str(slide)])
    started = first_stroke(log, child)
    time.sleep(max(0.0, started + after - time.time()))
    child.send_signal(signal.SIGKILL)
    killed = time.time()
    child.wait()
    strokes = [line.split() for line in log.read_text().splitlines() if line.endswith(".")]
    times = [float(line[0]) for line in strokes]
    sums = [int(line[1]) for line in strokes]
    kept = 0
    for path in slide.parent.glob(f"*{unsaved.ENDING}"):
        mask = unsaved.read(path).mask.array
        # A stroke under way adds to the last one finished; it is counted with none.
        kept = max(kept, kept_strokes(mask, sums))
    lost = len(strokes) - kept
    return Loss(len(strokes), lost, killed - times[kept] if lost else 0.0)


def kept_strokes(mask: np.ndarray, sums: list[int]) -> int:
    """How many strokes a mask holds, whole: their checksums are those of the mask after each."""
    own = zlib.crc32(mask.tobytes())
    if own in sums:
        return sums.index(own) + 1
    # In the middle of a stroke: take back what it drew so far, by drawing the strokes anew.
    canvas = np.zeros_like(mask)
    whole = 0
    for number in range(len(sums)):
        draw(canvas, number)
        if not np.array_equal(canvas & mask, canvas):
            break
        whole = number + 1
    return whole


def first_stroke(log: Path, child: subprocess.Popen[bytes]) -> float:
    """Wait for the first stroke; when it was made."""
    while child.poll() is None:
        if log.exists() and "\n" in (text := log.read_text()):
            return float(text.split()[0])
        time.sleep(0.05)
    raise SystemExit("the painting process ended by itself; see what it wrote above")


def place(number: int, side: int) -> tuple[int, int]:
    """Row and first column of a stroke: strokes never touch."""
    in_row = max(1, side // 60)
    return 8 + 9 * (number // in_row) % (side - 16), 8 + 60 * (number % in_row)


def draw(canvas: np.ndarray, number: int) -> None:
    """What stroke ``number`` paints: a line of squares."""
    row, column = place(number, min(canvas.shape))
    canvas[row - 2 : row + 3, column - 2 : column + 3 + 4 * (MOVES - 1)] = 1


def write_slide(path: Path, side: int) -> Path:
    """Glass, as a pyramid."""
    import tifffile

    def tiles(shape: tuple[int, int]) -> object:
        tile = np.full((1024, 1024, 3), 244, np.uint8)
        return (tile for _ in range(-(-shape[0] // 1024) * -(-shape[1] // 1024)))

    sides = [side]
    while sides[-1] > 2000:
        sides.append(sides[-1] // 4)
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for level, length in enumerate(sides):
            shape = (length, length)
            file.write(
                tiles(shape),
                shape=(*shape, 3),
                dtype=np.uint8,
                tile=(1024, 1024),
                photometric="rgb",
                compression="jpeg",
                subifds=len(sides) - 1 if level == 0 else None,
                subfiletype=int(level > 0),
                resolution=(1e4 / SPACING, 1e4 / SPACING),
                resolutionunit="CENTIMETER",
                metadata=None,
            )
    return path


def paint(path: Path) -> None:
    """Open the slide in a window and paint until killed, noting each stroke."""
    os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp()) / "settings.yaml")
    import napari
    from qtpy.QtCore import QTimer

    from napari_maskvit.tissue import TissueMask
    from napari_maskvit.tissue.spacing import mask_shape, mask_spacing_for
    from napari_maskvit.viewer.session import Session

    viewer = napari.Viewer()
    session = Session.of(viewer)
    session.failed.connect(lambda words: print(words, file=sys.stderr, flush=True))
    session.open(path)
    spacing = mask_spacing_for(session.slide)
    session.use_mask(TissueMask(np.zeros(mask_shape(session.slide, spacing), np.uint8), spacing))
    layer = session.tissue.layer
    layer.brush_size, layer.mode = 5, "paint"
    log = os.open(path.with_name("strokes.log"), os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    brush = strokes(layer, log)
    timer = QTimer()
    timer.timeout.connect(lambda: next(brush))
    timer.start(int(MOVE_S * 1000))
    napari.run()


def strokes(layer: object, log: int) -> object:
    """One move of the brush at a time, gathered into strokes as napari's mouse does."""
    number = 0
    while True:
        row, column = place(number, min(layer.data.shape))
        with layer.block_history():
            for move in range(MOVES):
                at = (slice(row - 2, row + 3), slice(column - 2 + 4 * move, column + 3 + 4 * move))
                places = np.mgrid[at].reshape(2, -1)
                layer.data_setitem(tuple(places), 1)
                if move < MOVES - 1:
                    yield
            done = time.time()
        os.write(log, f"{done} {zlib.crc32(layer.data.tobytes())} .\n".encode())
        number += 1
        yield


if __name__ == "__main__":
    sys.exit(main())
