"""What a run does in its worker: the engine's steps, and pictures of them at a human pace."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.viewer.display import Display
from napari_maskvit.viewer.layers.heatmaps import heatmap_for
from napari_maskvit.viewer.layers.stale import kept_where_stale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain import Explainer, Explanation, Heatmap, PatchResult, Progress
    from napari_maskvit.tissue import TissueMask
    from napari_maskvit.viewer.work.courtesy import Courtesy
    from napari_maskvit.viewer.work.jobs import Job

STEP_SECONDS = 0.1
PICTURE_SECONDS = 0.25
UPDATE_PICTURE_SECONDS = 0.5
"""An update that takes less than this shows its end alone."""

PICTURE_SHARE = 0.15
"""Pictures of an unfinished run may cost at most about this share of its time."""


@dataclass(frozen=True)
class Request:
    """What a run is asked for.

    Parameters
    ----------
    mask
        What is tissue.
    focus
        Level-0 pixel (x, y) to begin at.
    display
        Says what is being looked at right now.
    update
        Whether the run follows a correction: a complete explanation is on display, and stays so
        where it is not out of date.
    before
        Pictures on display, by level; for an update.
    stale
        (rows, columns) of patches that are out of date.
    serial
        Entry of the timeline that the mask belongs to.
    """

    mask: TissueMask
    focus: tuple[float, float] | None
    display: Callable[[], Display] = Display
    update: bool = False
    before: dict[str, Heatmap] = field(default_factory=dict)
    stale: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), bool))
    serial: int | None = None


@dataclass(frozen=True)
class Step:
    """News from a run: how far it is and, now and then, what it looks like.

    Parameters
    ----------
    progress
        How far it is; None once it is done.
    explanation
        What is there; None where only the progress is told, and in the middle of an update.
    pictures
        Heatmaps of it by level, made in the worker.
    display
        What they were made for.
    fresh
        Patches (row, column) that are up to date since the last step.
    """

    progress: Progress | None
    explanation: Explanation | None = None
    pictures: dict[str, Heatmap] = field(default_factory=dict)
    display: Display = field(default_factory=Display)
    fresh: tuple[tuple[int, int], ...] = ()


def run_steps(
    job: Job, explainer: Explainer, request: Request, courtesy: Courtesy
) -> Generator[Step, None, Step | None]:
    """Explain a mask, yielding at most ten steps and four pictures a second.

    Parameters
    ----------
    job
        Asked whether the person has cancelled.
    explainer
        Whom to ask.
    request
        What to explain.
    courtesy
        Makes it wait while a hand draws.

    Returns
    -------
    Step or None
        The finished explanation, and the heatmap on display made of it; None once cancelled.
    """
    stream = explainer.stream(request.mask, focus=request.focus)
    # A short update is over before anybody could read how far it is.
    told = pictured = time.perf_counter() + UPDATE_PICTURE_SECONDS if request.update else 0.0
    fresh: list[tuple[int, int]] = []
    waited = 0.0
    try:
        while not job.cancelled:
            waited = courtesy.wait(job, waited)
            try:
                progress = next(stream)
            except StopIteration as end:
                return _pictured(None, end.value, request)
            if progress.done < progress.total:
                job.takes_longer()
            fresh += _among(request.stale, progress.fresh)
            now = time.perf_counter()
            if now >= pictured:
                step = _pictured(progress, progress.snapshot(), request)
                cost = time.perf_counter() - now
                pictured = now + max(PICTURE_SECONDS, cost / PICTURE_SHARE)
            elif now >= told:
                step = Step(progress)
            else:
                continue
            yield replace(step, fresh=tuple(fresh))
            fresh.clear()
            told = time.perf_counter() + STEP_SECONDS
    finally:
        stream.close()
    return None


def _among(stale: NDArray[np.bool_], patches: tuple[PatchResult, ...]) -> Iterator[tuple[int, int]]:
    """Places of those patches that were out of date; the first step tells of all that is known."""
    if stale.any():
        for patch in patches:
            if stale[patch.row, patch.column]:
                yield patch.row, patch.column


def _pictured(progress: Progress | None, explanation: Explanation, request: Request) -> Step:
    display = request.display()
    levels = explanation.heatmap_levels
    level = display.level if display.level in levels else next(iter(levels), None)
    pictures = {level: heatmap_for(explanation, level, display)} if level else {}
    if progress is None or not request.update:
        return Step(progress, explanation, pictures, display)
    kept = {
        level: replace(
            picture,
            array=kept_where_stale(picture, request.before.get(level), request.stale),
        )
        for level, picture in pictures.items()
    }
    return Step(progress, None, kept, display)
