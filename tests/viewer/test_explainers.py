"""Runs share one engine, and nobody waits for it unawares."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip("napari", reason="needs the gui extra")

from napari_maskvit.viewer.work.explainers import Explainers, RunOptions


def test_a_run_that_has_to_wait_for_another_says_so(monkeypatch):
    explainers, told = Explainers(), []
    monkeypatch.setattr(explainers, "_of", lambda *_: "an explainer")
    with explainers.at_work(None, None, RunOptions(), lambda: told.append("first")):
        second = threading.Thread(target=run_second, args=(explainers, told))
        second.start()
        while not told:
            time.sleep(0.001)
        assert told == ["second waits"]
    second.join(20)
    assert told == ["second waits", "second works"]


def run_second(explainers, told):
    with explainers.at_work(None, None, RunOptions(), lambda: told.append("second waits")):
        told.append("second works")
