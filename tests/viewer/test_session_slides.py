"""Slides in a real window: opened by every way in, with or without a spacing."""

from __future__ import annotations

import numpy as np
import pytest

from napari_maskvit.viewer.session import Session

pytestmark = pytest.mark.window


def test_file_open_shows_pixels_in_micrometres(viewer, slide_path, no_panel, qtbot):
    session = Session.of(viewer)
    viewer.open(str(slide_path), plugin="napari-maskvit")
    assert session.slide.name == slide_path.stem or session.slide.name == slide_path.name
    layer = session.slide_layer
    assert layer.multiscale
    assert layer.rgb
    assert tuple(layer.scale) == (0.5, 0.5)
    assert all(str(unit) == "micrometer" for unit in layer.units)
    assert layer.metadata["maskvit"]["identity"] == session.slide.identity
    assert viewer.canvas.overlays.scale_bar.visible
    qtbot.wait(100)
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3]
    pink = np.abs(picture.astype(int) - (206, 150, 190)).max(axis=-1) < 40
    assert pink.mean() > 0.05


def test_without_a_spacing_nothing_that_needs_it_starts(viewer, bare_slide_path, settle, no_panel):
    session = Session.of(viewer)
    messages = []
    session.failed.connect(messages.append)
    session.open(bare_slide_path)
    assert session.slide.spacing is None
    assert not viewer.canvas.overlays.scale_bar.visible
    session.find_tissue()
    settle(session)
    assert session.mask is None
    assert len(messages) == 1
    session.give_spacing(0.5)
    assert session.slide.spacing == 0.5
    assert viewer.canvas.overlays.scale_bar.visible
    assert all(str(unit) == "micrometer" for unit in session.slide_layer.units)
    assert tuple(session.slide_layer.scale) == (0.5, 0.5)
    session.find_tissue()
    settle(session)
    assert session.mask is not None
    assert len(messages) == 1


def test_two_slides_take_turns_and_keep_their_masks(session, viewer, other_slide_path, settle):
    first = session.slide_layer
    session.find_tissue()
    settle(session)
    area = session.tissue.areas.tissue_mm2
    session.open(other_slide_path)
    assert session.mask is None
    assert len(session.slides.layers) == 2
    session.find_tissue()
    settle(session)
    assert session.tissue.areas.tissue_mm2 != area
    session.use_slide(first)
    assert session.slide_layer is first
    assert session.tissue.areas.tissue_mm2 == area
    assert not session.messages


def test_a_slide_come_back_to_has_its_timeline_and_tool(
    session, viewer, hand, other_slide_path, settle
):
    first = session.slide_layer
    session.find_tissue()
    settle(session)
    hand.drag(((80.0, 900.0), (80.0, 960.0)))
    settle(session)
    session.hand.pick("eraser")
    session.hand.brush_um = 120.0
    entries = session.timeline.timeline.entries
    assert len(entries) == 2
    session.open(other_slide_path)
    assert not session.timeline.timeline.entries
    session.use_slide(first)
    assert session.timeline.timeline.entries == entries
    assert session.hand.tool == "eraser"
    assert session.hand.brush_um == 120.0


def test_only_the_slide_that_is_studied_is_seen_and_in_view(
    session, viewer, bare_slide_path, other_slide_path, recwarn
):
    first = session.slide_layer
    viewer.scene.camera.zoom *= 3
    camera = viewer.scene.camera.zoom
    session.open(bare_slide_path)
    session.open(other_slide_path)
    other = session.slide_layer
    assert [layer.visible for layer in session.slides.layers] == [False, False, True]
    height, width = (side * 0.5 for side in session.slide.shape)
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], (height / 2, width / 2), atol=1)
    assert viewer.scene.camera.zoom * height <= viewer.canvas.size[0]
    session.use_slide(first)
    assert [layer.visible for layer in session.slides.layers] == [True, False, False]
    assert viewer.scene.camera.zoom == camera, "as it was left"
    viewer.layers.remove(first)
    assert session.slide_layer is other
    assert other.visible
    assert not [one for one in recwarn if "nits" in str(one.message)]


def test_a_mask_layer_removed_by_mistake_is_said_to_be_safe(session, viewer, settle, monkeypatch):
    told = []
    monkeypatch.setattr("napari_maskvit.viewer.words.notices.tell", told.append)
    session.find_tissue()
    settle(session)
    mask = session.mask
    viewer.layers.remove(session.tissue.layer)
    settle(session)
    assert len(told) == 1
    assert "nothing is lost" in told[0]
    session.hand.pick("brush")
    assert session.tissue.layer is not None
    assert session.mask is mask
    # What the program takes away itself is no mistake.
    viewer.layers.remove(session.slide_layer)
    settle(session)
    assert len(told) == 1


def test_a_removed_slide_gives_way(session, viewer):
    viewer.layers.remove(session.slide_layer)
    assert session.slide is None
    session.find_tissue()
    assert "No slide is open" in session.messages[0]


def test_a_slide_that_is_none_is_refused_in_a_sentence(session, tmp_path):
    path = tmp_path / "broken.tif"
    path.write_bytes(b"II*\0 nothing else")
    session.open(path)
    assert len(session.messages) == 1
    assert "broken.tif" in session.messages[0]
    assert session.slide is not None


@pytest.mark.parametrize("name", ["broken.svs", "broken.tif", "broken.png"])
def test_a_dropped_file_that_is_none_is_one_notification_without_a_traceback(
    viewer, tmp_path, slide_path, no_panel, capfd, name
):
    from napari.utils.notifications import notification_manager

    session = Session.of(viewer)
    path = tmp_path / name
    path.write_text("This is a text.")
    before = len(notification_manager.records)
    # Returns, where an error would open napari's dialog of plugins.
    viewer.window._qt_viewer._qt_open([str(path)], stack=False, plugin="napari-maskvit")
    said = notification_manager.records[before:]
    assert len(said) == 1
    assert name in said[0].message
    assert "Traceback" not in capfd.readouterr().err
    assert not viewer.layers
    # Beside one that can be read, that one opens.
    viewer.open([str(path), str(slide_path)], plugin="napari-maskvit", stack=False)
    assert session.slide is not None


def test_closing_while_something_runs_neither_hangs_nor_crashes(session, viewer, qtbot):
    session.find_tissue()
    viewer.close()
    assert session.closed
    qtbot.wait(500)


def test_copying_the_slide_layer_works(session, viewer):
    from napari.layers._layer_actions import _duplicate_layer

    viewer.layers.selection = {session.slide_layer}
    _duplicate_layer(viewer.layers)
    assert len(viewer.layers) == 2
