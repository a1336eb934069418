"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

# Before torch loads: spinning OpenMP threads would starve the tests' own subprocesses.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Beside another process of tests, each has a core.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real slides beside the checkout; not part of the product."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the real slides in ../shared are not on this machine")
    return SHARED


@pytest.fixture(scope="session")
def shared_svs(shared: Path) -> Path:
    """A real Aperio slide: 2220 x 2967 px at 0.499 µm/px."""
    return shared / "data/slides/CMU-1-Small-Region.svs"


@pytest.fixture(scope="session")
def shared_cores(shared: Path) -> list[Path]:
    """Ten real prostate cores, tiled pyramids at 1.0 µm/px."""
    return sorted((shared / "data/sicapv2/cores").glob("*.tif"))


# ---- windows: tests that open one are marked, come after the quick ones, and can be demanded ----

WINDOW_FIXTURES = {"make_napari_viewer", "qapp", "qtbot"}
ROOMS = ("slide", "tissue", "model", "explain", "training", "cli", "viewer", "packaging")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--windows-required",
        action="store_true",
        help="fail where a test that opens a window was skipped, or where there is none",
    )


def pytest_configure(config: pytest.Config) -> None:
    # Of several processes the first, to which the others report, does the watching.
    required = config.getoption("--windows-required") and not hasattr(config, "workerinput")
    config.pluginmanager.register(WindowWatch(required), "windows")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if WINDOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("window")
        if item.get_closest_marker("window") and not has_display():
            item.add_marker(pytest.mark.skip(reason="no display; `make test` brings one"))
    items.sort(key=lambda item: room_order(item.path))


def has_display() -> bool:
    windowed = sys.platform in ("win32", "darwin")
    return windowed or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def room_order(path: Path) -> int:
    room = path.relative_to(Path(__file__).parent).parts[0]
    return ROOMS.index(room) if room in ROOMS else 0


class WindowWatch:
    """Counts the tests that opened a window, and those that should have."""

    def __init__(self, required: bool) -> None:
        self.required = required
        self.ran = 0
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if "window" not in report.keywords:
            return
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skipped.append(report.nodeid)
        elif report.when == "call":
            self.ran += 1

    def complaint(self) -> str:
        if self.skipped:
            return "window tests were skipped: " + ", ".join(self.skipped)
        return "" if self.ran else "no test opened a window"

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.required and self.complaint() and session.exitstatus in (0, 5):
            session.exitstatus = 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.required and self.complaint():
            terminalreporter.write_line(f"FAILED --windows-required: {self.complaint()}", red=True)
