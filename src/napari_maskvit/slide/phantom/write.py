"""Write a phantom as a pyramid, tile by tile, in memory that does not depend on its size."""

from __future__ import annotations

import math
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_maskvit.errors import SlideError
from napari_maskvit.slide.phantom.fields import TILE
from napari_maskvit.slide.phantom.painter import Painter
from napari_maskvit.slide.phantom.spec import PhantomSpec
from napari_maskvit.slide.phantom.tiff import TileFile
from napari_maskvit.slide.phantom.truth import PhantomTruth, labels_path

SHRINK = 4  # between two levels, as in the files of the PANDA challenge
COARSEST = 2048  # px, the last level is at most this large
QUALITY = 82

Pixels = NDArray[np.uint8]
Even = tuple[int, int, int]
Painted = tuple[Pixels | Even, bytes, NDArray[np.uint8] | None]


def write_phantom(
    path: str | os.PathLike[str],
    spec: PhantomSpec,
    *,
    truth: bool = True,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PhantomTruth:
    """Write a phantom slide as a tiled JPEG pyramid with resolution tags.

    Levels are pages that shrink by 4, the last at most 2048 px a side. Memory does not grow with
    the slide, time grows with its tissue; the same spec gives the same bytes whatever `workers`
    is. Nothing is left behind if it fails half-way.

    Parameters
    ----------
    path
        A ``.tif`` or ``.tiff`` file, overwritten if it exists.
    spec
        What to write. It is stored in the file, see `read_truth`.
    truth
        Also write ``<name>_labels.tif`` beside it: uint8 labels as in PANDA's Radboud masks
        (0 background, 1 stroma, 2 benign gland, 3 to 5 pattern) at about 2 µm/px.
    workers
        Threads, as many as there are processors (at most 4) if None.
    progress
        Called with the tiles painted and the tiles to paint.

    Returns
    -------
    PhantomTruth

    Raises
    ------
    SlideError
        If the file cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() not in (".tif", ".tiff"):
        raise SlideError(f"A phantom is a TIFF file; give {target.name} a name that ends in .tif.")
    writer = _Writer(target, spec, Painter(spec), progress)
    try:
        writer.run(truth, workers or min(4, os.cpu_count() or 1))
    except OSError as error:
        raise SlideError(
            f"The phantom could not be written to {target}: {error.strerror or error}. "
            "Choose a folder that exists and has room."
        ) from error
    return PhantomTruth(spec)


class _Writer:
    """One run: goes down the pyramid depth first, so that each level holds one tile at a time."""

    def __init__(
        self,
        path: Path,
        spec: PhantomSpec,
        painter: Painter,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.path, self.spec, self.painter = path, spec, painter
        self.shapes = level_shapes(spec.width, spec.height)
        self.progress = progress
        self._even: dict[Even, bytes] = {}

    def run(self, truth: bool, workers: int) -> None:
        grids = [(math.ceil(h / TILE), math.ceil(w / TILE)) for h, w in self.shapes]
        rows, columns = grids[0]
        busy = np.concatenate(
            [self.painter.ground.busy(np.array([row]), np.arange(columns)) for row in range(rows)]
        )
        with ExitStack() as stack:
            self.slide = stack.enter_context(self._slide_file(int(busy.sum())))
            # Entered last, so that the labels get their name before the slide gets its own.
            labels = stack.enter_context(self._label_file()) if truth else None
            pool = stack.enter_context(ThreadPoolExecutor(workers))
            painted = self._painted(pool, workers, grids, busy)
            for row, column in np.ndindex(*grids[-1]):
                self._down(len(grids) - 1, row, column, grids, painted, labels)

    def _slide_file(self, busy: int) -> TileFile:
        return TileFile(
            self.path,
            self.shapes,
            samples=3,
            tile=TILE,
            spacings=[self.spec.spacing * SHRINK**k for k in range(len(self.shapes))],
            description=self.spec.to_json(),
            big=busy * TILE * TILE * 3 > 3_000_000_000,
        )

    def _label_file(self) -> TileFile:
        factor, nodes = self.painter.ground.factor, self.painter.ground.nodes
        shape = math.ceil(self.spec.height / factor), math.ceil(self.spec.width / factor)
        return TileFile(
            labels_path(self.path),
            [shape],
            samples=1,
            tile=nodes,
            spacings=[self.painter.ground.step],
            description="0 background, 1 stroma, 2 benign gland, 3 to 5 Gleason-like pattern",
            big=False,
        )

    # -- painting, ahead of its use and in its order -----------------------------------------

    def _painted(
        self,
        pool: ThreadPoolExecutor,
        workers: int,
        grids: list[tuple[int, int]],
        busy: NDArray[np.bool_],
    ) -> Iterator[Painted]:
        """Yield all tiles of the finest level in the order in which `_down` asks for them."""
        total, done = int(busy.sum()), 0
        ahead: deque[Future[Painted] | Painted] = deque()
        order = _depth_first(grids)
        while True:
            for row, column in islice(order, 3 * workers - len(ahead)):
                if busy[row, column]:
                    ahead.append(pool.submit(self._paint, row, column))
                else:
                    ahead.append(self._plain(row, column))
            if not ahead:
                return
            head = ahead.popleft()
            if not isinstance(head, Future):
                yield head
                continue
            made, done = head.result(), done + 1
            if self.progress is not None:
                self.progress(done, total)
            yield made

    def _paint(self, row: int, column: int) -> Painted:
        pixels, labels, _ = self.painter.paint(row, column)
        height, width = self.shapes[0]
        pixels[max(0, height - row * TILE) :] = self.spec.stain.glass
        pixels[:, max(0, width - column * TILE) :] = self.spec.stain.glass
        first = pixels[0, 0]
        if (pixels == first).all():
            red, green, blue = first.tolist()
            return (red, green, blue), self._flat((red, green, blue)), None
        return pixels, _jpeg(pixels), labels if labels.any() else None

    def _plain(self, row: int, column: int) -> Painted:
        colour = self.painter.ground.even(row, column)
        return self._paint(row, column) if colour is None else (colour, self._flat(colour), None)

    def _flat(self, colour: Even) -> bytes:
        if colour not in self._even:
            self._even[colour] = _jpeg(np.full((TILE, TILE, 3), colour, np.uint8))
        return self._even[colour]

    # -- the pyramid --------------------------------------------------------------------------

    def _down(
        self,
        level: int,
        row: int,
        column: int,
        grids: list[tuple[int, int]],
        painted: Iterator[Painted],
        labels: TileFile | None,
    ) -> Pixels | Even:
        """Write a tile and all below it, return its pixels, or its colour if it is even."""
        if level == 0:
            pixels, data, label = next(painted)
            self.slide.put(0, row, column, data, shared=isinstance(pixels, tuple))
            if labels is not None:
                data = zlib.compress((self._no_label() if label is None else label).tobytes(), 6)
                labels.put(0, row, column, data, shared=label is None)
            return pixels
        below = {
            (i, j): self._down(level - 1, i, j, grids, painted, labels)
            for i in range(SHRINK * row, min(SHRINK * (row + 1), grids[level - 1][0]))
            for j in range(SHRINK * column, min(SHRINK * (column + 1), grids[level - 1][1]))
        }
        parts = list(below.values())
        if all(isinstance(part, tuple) and part == parts[0] for part in parts):
            assert isinstance(parts[0], tuple)
            self.slide.put(level, row, column, self._flat(parts[0]), shared=True)
            return parts[0]
        pixels = np.empty((TILE, TILE, 3), np.uint8)
        pixels[:] = self.spec.stain.glass
        side = TILE // SHRINK
        for (i, j), part in below.items():
            top, left = (i - SHRINK * row) * side, (j - SHRINK * column) * side
            pixels[top : top + side, left : left + side] = (
                part if isinstance(part, tuple) else _shrunk(part)
            )
        self.slide.put(level, row, column, _jpeg(pixels), shared=False)
        return pixels

    def _no_label(self) -> NDArray[np.uint8]:
        return np.zeros((self.painter.ground.nodes,) * 2, np.uint8)


def level_shapes(width: int, height: int) -> list[tuple[int, int]]:
    """Return (height, width) of the pyramid's levels, finest first."""
    shapes = [(height, width)]
    while max(shapes[-1]) > COARSEST:
        tall, wide = shapes[-1]
        shapes.append((math.ceil(tall / SHRINK), math.ceil(wide / SHRINK)))
    return shapes


def _depth_first(grids: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    def below(level: int, row: int, column: int) -> Iterator[tuple[int, int]]:
        if level == 0:
            yield row, column
            return
        for i in range(SHRINK * row, min(SHRINK * (row + 1), grids[level - 1][0])):
            for j in range(SHRINK * column, min(SHRINK * (column + 1), grids[level - 1][1])):
                yield from below(level - 1, i, j)

    top = len(grids) - 1
    for row, column in np.ndindex(*grids[top]):
        yield from below(top, row, column)


def _jpeg(pixels: Pixels) -> bytes:
    import imagecodecs

    data = imagecodecs.jpeg8_encode(
        pixels, level=QUALITY, colorspace="RGB", outcolorspace="YCBCR", subsampling="420"
    )
    return bytes(data)


def _shrunk(pixels: Pixels) -> Pixels:
    """Means over squares of 4 x 4 pixels, rounded."""
    total = pixels[0::SHRINK].astype(np.uint16)
    for k in range(1, SHRINK):
        total += pixels[k::SHRINK]
    across = total[:, 0::SHRINK].copy()
    for k in range(1, SHRINK):
        across += total[:, k::SHRINK]
    return ((across + SHRINK * SHRINK // 2) // (SHRINK * SHRINK)).astype(np.uint8)
