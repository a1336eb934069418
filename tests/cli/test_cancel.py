"""Ctrl-C and a scheduler's SIGTERM: the program ends soon and leaves nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from napari_maskvit.tissue import TissueMask

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="is about POSIX signals and ttys")


def until_it_runs(terminal: int, deadline: float) -> str:
    """Read the bar from a terminal until it counts patches."""
    said = ""
    while time.monotonic() < deadline:
        try:
            said += os.read(terminal, 4096).decode(errors="replace")
        except OSError:
            break
        if "left" in said:
            return said
    pytest.fail(f"no bar was seen: {said}")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals(number: signal.Signals, code: int, tmp_path: Path, make_slide, bundle) -> None:
    import pty

    slide = make_slide(tmp_path / "large.tif", 4096)
    TissueMask(np.ones((512, 512), np.uint8), 4.0).save(tmp_path / "all.tif")
    out = tmp_path / "results"
    ours, theirs = pty.openpty()
    command = ["explain", slide, "-o", out / "large", "--model", bundle]
    command += ["--mask", tmp_path / "all.tif", "--masking", "none", "--device", "cpu"]
    running = subprocess.Popen(
        [sys.executable, "-m", "napari_maskvit.cli", *map(str, command)],
        stderr=theirs,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(theirs)
    try:
        said = until_it_runs(ours, time.monotonic() + 120)
        running.send_signal(number)
        assert running.wait(timeout=60) == code
        while True:
            try:
                more = os.read(ours, 4096).decode(errors="replace")
            except OSError:
                break
            if not more:
                break
            said += more
    finally:
        running.kill()
        os.close(ours)
    assert "patches" in said
    assert "Traceback" not in said
    if number == signal.SIGINT:
        assert "Cancelled" in said
    assert not out.exists() or not list(out.iterdir())
