"""Work beside the window leaves nothing behind once it is over."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

from napari_maskvit.viewer.work.jobs import Jobs, once

pytestmark = pytest.mark.window


class Held:
    """Something large that a job works on."""


@pytest.mark.parametrize("end", ["done", "failed", "cancelled"])
def test_what_a_job_worked_on_is_let_go(end: str, viewer: Any, qtbot: Any) -> None:
    told: list[object] = []
    jobs = Jobs(lambda words: None, told.append)
    held = Held()
    seen = weakref.ref(held)

    def work(held: Held = held) -> Held:
        if end == "failed":
            raise ValueError("no")
        return held

    jobs.start("channel", "Working", once(work), on_done=told.append)
    if end == "cancelled":
        jobs.cancel("channel")
    qtbot.waitUntil(lambda: jobs.is_idle)
    qtbot.waitUntil(lambda: len(told) == (end != "cancelled"))
    told.clear()
    del held, work

    def is_gone() -> bool:
        gc.collect()
        return seen() is None

    qtbot.waitUntil(is_gone, timeout=5000)


def test_masks_of_earlier_corrections_are_let_go(ran: Any, settle: Any, qtbot: Any) -> None:
    from napari_maskvit.tissue import TissueMask

    def masks() -> int:
        gc.collect()
        return sum(isinstance(one, TissueMask) for one in gc.get_objects())

    counts = []
    rows, columns = np.nonzero(ran.tissue.layer.data == 1)
    for step in range(8):
        at = len(rows) * (step + 1) // 10
        box = slice(rows[at], rows[at] + 4), slice(columns[at], columns[at] + 4)
        places = tuple(index.ravel() for index in np.mgrid[box])
        ran.tissue.layer.data_setitem(places, 0)
        settle(ran)
        counts.append(masks())
    assert max(counts[4:]) <= max(counts[:4])
