"""Work that steps back while a hand draws."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_maskvit.viewer.work.jobs import Job

REST_S = 0.3
"""A hand that has not moved for so long rests."""

PATIENCE_S = 3.0
"""Most that one job waits for a hand; whoever draws for longer wants to see something."""

LOOK_S = 0.01

DRAWING = ("paint", "erase")


class Courtesy:
    """Knows whether a hand is drawing, and lets workers wait until it rests.

    A stroke that is being drawn will replace the answer that an update is working on, while the
    window needs the cores for each move of the brush.
    """

    def __init__(self) -> None:
        self._moved_at = float("-inf")

    @property
    def is_drawing(self) -> bool:
        """Whether a hand moves the brush; safe to ask in any thread."""
        return time.perf_counter() - self._moved_at < REST_S

    def watch(self, layer: Any) -> None:
        """Follow the strokes on a Labels layer."""
        layer.mouse_drag_callbacks.append(self._follow)

    def wait(self, job: Job, waited: float = 0.0) -> float:
        """Wait while a hand draws; for workers, between two steps.

        Parameters
        ----------
        job
            Which ends the wait where it is cancelled.
        waited
            Seconds that this job has waited before.

        Returns
        -------
        float
            Seconds that it has waited by now, at most `PATIENCE_S` but for one look.
        """
        since = time.perf_counter() - waited
        while self.is_drawing and not job.cancelled:
            waited = time.perf_counter() - since
            if waited >= PATIENCE_S:
                break
            time.sleep(LOOK_S)
        return waited

    def _follow(self, layer: Any, event: Any) -> Iterator[None]:
        if str(layer.mode) not in DRAWING:
            return
        self._moved_at = time.perf_counter()
        yield
        while event.type == "mouse_move":
            self._moved_at = time.perf_counter()
            yield
        self._moved_at = float("-inf")
