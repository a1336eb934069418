"""``maskvit view``: a window with slide and panel, or the reason why there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


@pytest.mark.window
def test_it_opens_slides_beside_the_panel(
    maskvit, qapp, slide: Path, unscaled_slide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import napari

    seen = {}

    def look() -> None:
        viewer = napari.current_viewer()
        qapp.processEvents()
        seen["layers"] = [layer.name for layer in viewer.layers]
        seen["docks"] = list(viewer.window.dock_widgets)
        seen["picture"] = viewer.screenshot(canvas_only=False, flash=False)
        viewer.close()

    monkeypatch.setattr(napari, "run", look)
    monkeypatch.setattr(sys.modules["napari_maskvit.cli.view"], "end_at_once", lambda: None)
    ran = maskvit("view", slide, unscaled_slide)
    assert ran.code == 0, ran.err
    assert any("biopsy" in name for name in seen["layers"])
    assert any("unscaled" in name for name in seen["layers"])
    assert any("MaskViT" in name for name in seen["docks"])
    assert seen["picture"].std() > 10


def test_no_window_is_told_in_a_sentence(
    maskvit, slide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    ran = maskvit("view", slide)
    assert ran.code == 2
    assert "cannot open a window: there is no display" in ran.err
    assert "maskvit doctor" in ran.err
    assert len(ran.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gone.svs"], "gone.svs"),
        (["biopsy.tif", "--mask", "gone.tif"], "no tissue mask at gone.tif"),
        (["biopsy.tif", "--result", "gone"], "no result in gone"),
        (["notes.txt"], "notes.txt"),
    ],
)
def test_wrong_files_are_told_before_a_window_opens(
    maskvit, slide: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(slide.parent)
    (slide.parent / "notes.txt").write_text("no slide")
    monkeypatch.setattr(
        "napari_maskvit.cli.display.try_display", lambda: pytest.fail("a window was tried")
    )
    ran = maskvit("view", *arguments)
    assert ran.code == 2
    assert words in ran.err
