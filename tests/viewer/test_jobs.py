"""Work beside the window leaves nothing behind once it is over."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Generator
from threading import Event
from typing import Any

import numpy as np
import pytest

from napari_maskvit.viewer.work.jobs import Job, Jobs, once

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


def test_an_outcome_that_comes_soon_is_handed_over_while_one_waits(viewer: Any) -> None:
    told: list[object] = []
    jobs = Jobs(lambda words: told.append(("busy", words)), told.append)
    job = jobs.start("channel", "Working", once(lambda: 42), on_done=told.append)
    assert job is not None
    told.clear()
    job.wait(60)
    assert told == [42, ("busy", None)], "with no turn of the event loop"
    assert jobs.is_idle


def test_an_outcome_that_was_waited_for_is_told_once(viewer: Any, qtbot: Any) -> None:
    told: list[object] = []
    jobs = Jobs(lambda words: None, told.append)

    def fail() -> None:
        raise ValueError("no")

    for work in (lambda: 42, fail):
        job = jobs.start("channel", "Working", once(work), on_done=told.append)
        assert job is not None
        job.wait(60)
        job.wait(60)
    qtbot.wait(200)
    assert told[0] == 42
    assert len(told) == 2
    assert "ValueError" in str(told[1])


def test_nobody_waits_for_what_takes_longer(viewer: Any, qtbot: Any) -> None:
    told: list[object] = []
    jobs = Jobs(lambda words: None, told.append)
    may_end = Event()

    def body(job: Job) -> Generator[None, None, str]:
        job.takes_longer()
        may_end.wait(60)
        yield None
        return "at last"

    job = jobs.start("channel", "Working", body, on_done=told.append)
    assert job is not None
    job.wait(60)
    assert not told
    assert not jobs.is_idle
    may_end.set()
    qtbot.waitUntil(lambda: told == ["at last"])


def test_a_job_that_was_cancelled_hands_nothing_over(viewer: Any) -> None:
    told: list[object] = []
    jobs = Jobs(lambda words: None, told.append)
    job = jobs.start("channel", "Working", once(lambda: 42), on_done=told.append)
    assert job is not None
    jobs.cancel("channel")
    job.wait(60)
    assert not told


def test_an_answer_that_is_known_comes_with_the_frame_of_its_correction(
    ran: Any, hand: Any, settle: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As long as it takes, on whatever machine.
    monkeypatch.setattr("napari_maskvit.viewer.desks.runs.ANSWER_S", 60.0)
    ran.hand.pick("eraser")
    hand.drag([(384.0, 300.0), (384.0, 460.0)])
    settle(ran)
    kept = ran.explanation.statistics.kept["patch"]
    frames = []
    canvas = ran.viewer.window._qt_viewer.canvas.native
    note = lambda: frames.append(ran.explanation.statistics.kept["patch"])  # noqa: E731
    canvas.frameSwapped.connect(note)
    ran.hand.undo()
    qtbot.waitUntil(lambda: bool(frames))
    canvas.frameSwapped.disconnect(note)
    assert frames[0] > kept


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
