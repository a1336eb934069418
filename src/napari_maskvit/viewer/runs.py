"""What a run does in its worker: the engine's steps, and pictures of them at a human pace."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_maskvit.viewer.display import Display
from napari_maskvit.viewer.layers import heatmap_for
from napari_maskvit.viewer.torch_import import import_torch

if TYPE_CHECKING:
    from napari_maskvit.explain import Explainer, Explanation, Heatmap, Progress
    from napari_maskvit.tissue import TissueMask
    from napari_maskvit.viewer.jobs import Job

STEP_SECONDS = 0.1
PICTURE_SECONDS = 0.25
PICTURE_SHARE = 0.15
"""Pictures of an unfinished run may cost at most about this share of its time."""


@dataclass(frozen=True)
class Step:
    """News from a run: how far it is and, now and then, what it looks like."""

    progress: Progress | None
    explanation: Explanation | None = None
    pictures: dict[str, Heatmap] = field(default_factory=dict)
    display: Display = field(default_factory=Display)


def run_steps(
    job: Job,
    make: Callable[[], Explainer],
    mask: TissueMask,
    focus: tuple[float, float] | None,
    display: Callable[[], Display],
) -> Generator[Step, None, Step | None]:
    """Explain ``mask``, yielding at most ten steps and four pictures a second.

    Parameters
    ----------
    job
        Asked whether the person has cancelled.
    make
        Gives the explainer; called in the worker, since it may load a model.
    mask
        What is tissue.
    focus
        Level-0 pixel (x, y) to begin at.
    display
        What is being looked at right now.

    Returns
    -------
    Step or None
        The finished explanation, and the heatmap on display made of it; None once cancelled.
    """
    import_torch()
    explainer = make()
    stream = explainer.stream(mask, focus=focus)
    told = pictured = 0.0
    try:
        while not job.cancelled:
            try:
                progress = next(stream)
            except StopIteration as end:
                return _pictured(None, end.value, display())
            now = time.perf_counter()
            if now >= pictured:
                step = _pictured(progress, progress.snapshot(), display())
                cost = time.perf_counter() - now
                pictured = now + max(PICTURE_SECONDS, cost / PICTURE_SHARE)
                yield step
            elif now >= told:
                yield Step(progress)
            else:
                continue
            told = time.perf_counter() + STEP_SECONDS
    finally:
        stream.close()
    return None


def _pictured(progress: Progress | None, explanation: Explanation, display: Display) -> Step:
    levels = explanation.heatmap_levels
    level = display.level if display.level in levels else next(iter(levels), None)
    pictures = {level: heatmap_for(explanation, level, display)} if level else {}
    return Step(progress, explanation, pictures, display)
