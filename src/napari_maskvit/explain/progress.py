"""How far a run is, and what it has added."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from napari_maskvit.explain.explanation import Explanation
    from napari_maskvit.explain.patches import PatchResult


@dataclass(frozen=True)
class Progress:
    """One step of a run.

    Parameters
    ----------
    done, total
        Patches; those already known count as done.
    seconds_left
        Estimate; None before the first batch.
    fresh
        Patches that this step has added.
    snapshot
        Makes an explanation of what is there when it is called (``complete`` is False); call it
        in the thread that drives the run.
    """

    done: int
    total: int
    seconds_left: float | None
    fresh: tuple[PatchResult, ...]
    snapshot: Callable[[], Explanation]


@dataclass(frozen=True)
class Share:
    """How far work is that has nothing to show before its end.

    Parameters
    ----------
    done, total
        Of what is counted; the total may grow.
    """

    done: int
    total: int


Step = TypeVar("Step")
Result = TypeVar("Result")
Partial = TypeVar("Partial")


def drive(
    steps: Generator[Step, None, Result],
    tell: Callable[[Step], None] | None,
    cancelled: Callable[[], bool] | None,
    so_far: Callable[[Step], Partial],
) -> Result | Partial:
    """The result of work that goes in steps.

    Parameters
    ----------
    steps
        The work; closed in any case.
    tell
        Told of each step.
    cancelled
        Asked after each step; once it says True, the result is what ``so_far`` makes of it.
    """
    try:
        while True:
            step = next(steps)
            if tell is not None:
                tell(step)
            if cancelled is not None and cancelled():
                return so_far(step)
    except StopIteration as end:
        result: Result = end.value
        return result
    finally:
        steps.close()
