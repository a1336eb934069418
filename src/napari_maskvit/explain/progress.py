"""How far a run is, and what it has added."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
