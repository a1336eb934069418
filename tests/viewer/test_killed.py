"""A real process that paints in a real window is killed; what it leaves is opened."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("napari", reason="needs the gui extra")

from napari_maskvit.viewer.saving import unsaved

pytestmark = pytest.mark.window

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks/kill_correction.py"


@pytest.fixture(scope="module")
def killing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kill_correction", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["kill_correction"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def glass(killing, tmp_path_factory) -> Path:
    return killing.write_slide(tmp_path_factory.mktemp("killed") / "slide.tif", 3000)


@pytest.mark.usefixtures("qapp")
@pytest.mark.parametrize("after", [0.6, 1.7, 3.2])
def test_at_most_two_seconds_of_strokes_are_lost(killing, glass, after):
    loss = killing.kill_once(glass, after)
    assert loss.made > 0
    assert loss.seconds <= 2.0


def test_the_next_window_offers_what_was_left(killing, glass, viewer, no_panel, settle):
    from napari_maskvit.viewer.session import Session

    for old in glass.parent.glob(f"*{unsaved.ENDING}"):
        old.unlink()
    log = glass.with_name("strokes.log")
    log.unlink(missing_ok=True)
    child = subprocess.Popen([sys.executable, str(SCRIPT), "--paint", str(glass)])
    try:
        begun = killing.first_stroke(log, child)
        while not list(glass.parent.glob(f"*{unsaved.ENDING}")) or time.time() < begun + 3:
            time.sleep(0.05)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    session = Session.of(viewer)
    session.open(glass)
    settle(session)
    assert session.autosave.offer is not None
    session.autosave.restore()
    settle(session)
    strokes = len(log.read_text().splitlines())
    expected = np.zeros_like(session.mask.array)
    killing.draw(expected, 0)
    np.testing.assert_array_equal(session.mask.array & expected, expected)
    assert 1 <= len(session.timeline.timeline.entries) <= strokes + 2
    assert session.tissue.areas.added_mm2 > 0
