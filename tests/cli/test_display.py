"""Whether a window can open: found out without dying of it."""

from __future__ import annotations

import sys

import pytest

from napari_maskvit.cli import display
from napari_maskvit.cli.display import try_display

on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="is about X11")


@on_linux
def test_no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert "DISPLAY is not set" in try_display().reason


@on_linux
def test_a_display_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    shown = try_display()
    assert not shown.platform
    assert ":987" in shown.reason or "could not connect" in shown.reason


@pytest.mark.window
def test_a_real_display() -> None:
    shown = try_display()
    assert not shown.reason
    assert shown.platform
    assert int(shown.opengl.partition(".")[0]) >= 2


@on_linux
def test_a_display_that_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    assert try_display().reason


@pytest.mark.parametrize(
    ("gone", "words"), [(display.BINDINGS, "no Qt binding"), (("napari",), "not installed")]
)
def test_without_the_parts(
    monkeypatch: pytest.MonkeyPatch, gone: tuple[str, ...], words: str
) -> None:
    real = display.find_spec
    monkeypatch.setattr(display, "find_spec", lambda name: None if name in gone else real(name))
    assert words in try_display().reason
    assert "napari[pyqt6]" in try_display().reason
