"""Work that steps back while a hand draws."""

from __future__ import annotations

import itertools
import time
from types import SimpleNamespace

import pytest

from napari_maskvit.viewer.work import courtesy
from napari_maskvit.viewer.work.courtesy import REST_S, Courtesy


def drawn(mode: str = "paint") -> tuple[Courtesy, SimpleNamespace, object]:
    """A stroke that has just begun on a layer: who knows of it, its event, and the drag."""
    watching = Courtesy()
    layer = SimpleNamespace(mouse_drag_callbacks=[], mode=mode)
    watching.watch(layer)
    event = SimpleNamespace(type="mouse_press")
    drag = layer.mouse_drag_callbacks[0](layer, event)
    next(drag, None)
    event.type = "mouse_move"
    return watching, event, drag


@pytest.mark.parametrize(("mode", "draws"), [("paint", True), ("erase", True), ("pan_zoom", False)])
def test_brush_and_eraser_draw_until_they_are_lifted(mode, draws):
    watching, event, drag = drawn(mode)
    assert watching.is_drawing is draws
    next(drag, None)
    assert watching.is_drawing is draws
    event.type = "mouse_release"
    next(drag, None)
    assert not watching.is_drawing


def test_a_hand_that_does_not_move_rests():
    watching, _, _drag = drawn()
    started = time.perf_counter()
    waited = watching.wait(SimpleNamespace(cancelled=False))
    assert 0 < waited <= time.perf_counter() - started
    assert REST_S - 0.05 < time.perf_counter() - started < courtesy.PATIENCE_S
    assert not watching.is_drawing


def test_a_job_that_is_cancelled_waits_no_longer():
    watching, _, _drag = drawn()
    watching._moved_at = time.perf_counter() + 60
    looks = itertools.count()

    class Job:
        @property
        def cancelled(self) -> bool:
            return next(looks) == 3

    assert watching.wait(Job()) < courtesy.PATIENCE_S


def test_patience_ends_and_is_one_for_the_whole_job(monkeypatch):
    monkeypatch.setattr(courtesy, "PATIENCE_S", 0.2)
    watching, _, _drag = drawn()
    watching._moved_at = time.perf_counter() + 60
    job = SimpleNamespace(cancelled=False)
    waited = watching.wait(job)
    assert 0.2 <= waited < 0.4
    started = time.perf_counter()
    assert watching.wait(job, waited) >= waited
    assert time.perf_counter() - started < 0.2
