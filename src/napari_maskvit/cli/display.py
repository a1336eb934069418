"""Whether a window can be opened here, asked in a process that may die of the answer."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec

BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")
PATIENCE = 60.0
"""Seconds; a first import of Qt from a network disk is slow."""

# Qt aborts the whole process where it finds no display, so it is tried in another one.
_TRIAL = """
from qtpy.QtGui import QGuiApplication, QOffscreenSurface, QOpenGLContext
application = QGuiApplication([])
print("platform", application.platformName())
surface = QOffscreenSurface()
surface.create()
context = QOpenGLContext()
drawn = context.create() and context.makeCurrent(surface)
print("opengl", ".".join(map(str, context.format().version())) if drawn else "")
"""


@dataclass(frozen=True)
class Display:
    """What a window would get: Qt's platform and the OpenGL version, or why there is none.

    Parameters
    ----------
    platform
        Qt's name of it, e.g. "xcb"; empty where no window opens.
    opengl
        Version, e.g. "4.5"; empty where none works.
    reason
        Why a window cannot open; empty where it can.
    """

    platform: str = ""
    opengl: str = ""
    reason: str = ""


def missing_parts() -> str:
    """What has to be installed before a window can be thought of; empty if nothing."""
    if not any(find_spec(binding) for binding in BINDINGS):
        return "there is no Qt binding here; pip install 'napari[pyqt6]' brings one"
    if find_spec("napari") is None:
        return "napari is not installed; pip install 'napari[pyqt6]' brings it"
    return ""


def announced() -> bool:
    """Whether this session says that it has a display; it may still be wrong."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def try_display() -> Display:
    """Open Qt's connection to the display in another process."""
    lacking = missing_parts()
    if lacking:
        return Display(reason=lacking)
    if not announced():
        return Display(reason="there is no display in this session (DISPLAY is not set)")
    try:
        trial = subprocess.run(
            [sys.executable, "-c", _TRIAL],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Display(reason="the display does not answer")
    said = dict(line.partition(" ")[::2] for line in trial.stdout.splitlines())
    platform, opengl = said.get("platform", ""), said.get("opengl", "")
    if not platform:
        return Display(reason=f"Qt cannot open the display: {_heart_of(trial.stderr)}")
    if platform == "offscreen":
        return Display(platform, opengl, reason="QT_QPA_PLATFORM is offscreen, which draws nothing")
    if not opengl:
        return Display(platform, reason="OpenGL does not work on this display")
    return Display(platform, opengl)


def _heart_of(complaint: str) -> str:
    """The line of Qt's complaint that names the cause."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    for words in ("could not connect", "cannot open shared object", "is needed"):
        for line in lines:
            if words in line:
                return line
    return lines[-1] if lines else "no reason given"
