"""The whole state in one folder: saved, restored, never half written."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_maskvit.errors import MaskvitError
from napari_maskvit.tissue import TissueMask
from napari_maskvit.viewer.saving.state import (
    State,
    is_state_folder,
    read_state,
    slide_of,
    write_state,
)
from napari_maskvit.viewer.session import Session

GLASS = (80.0, 900.0)


@pytest.mark.window
def test_everything_is_as_it_was(ran, hand, settle, viewer, slide_path, no_panel, qtbot):
    import napari

    hand.drag([GLASS, (80.0, 930.0)])
    settle(ran)
    ran.show(level="region", normalisation="relative", colormap="magma", opacity=0.4)
    ran.configure(threshold=0.1)
    viewer.scene.camera.zoom = 1.5
    folder = ran.save()
    assert folder == slide_path.with_name("biopsy.tif.maskvit")
    settle(ran)
    assert sorted(path.name for path in folder.iterdir()) == [
        "explanation.zarr",
        "mask-found.tif",
        "mask.tif",
        "session.json",
        "timeline.json",
    ]
    assert not [path for path in folder.parent.iterdir() if path.name.startswith(".")]
    mask, explanation = ran.mask.array.copy(), ran.explanation
    corrections, entries = ran.tissue.areas, ran.timeline.timeline.entries
    assert len(entries) > 1
    assert ran.hand.tool == "brush"

    again = napari.Viewer(show=True)
    try:
        session = Session.of(again)
        session.open(slide_path)
        assert session.memory.has_saved
        settle(session)
        np.testing.assert_array_equal(session.mask.array, mask)
        assert session.tissue.areas == corrections
        assert session.explanation.prediction == explanation.prediction
        assert session.display == ran.display
        assert session.models.options == ran.models.options
        assert again.layers["attention: region"].visible
        assert again.scene.camera.zoom == 1.5
        assert session.model.sha256 == ran.model.sha256
        assert session.timeline.timeline.entries == entries
        assert session.hand.tool == "brush"
        assert session.hand.brush_um == ran.hand.brush_um
        assert not session.outdated, "mask and explanation are of one moment"
        # A stroke needs a run of everything, since the threshold is another now: it says so.
        session.tissue.layer.data_setitem((np.array([3, 4]), np.array([3, 4])), 1)
        qtbot.waitUntil(lambda: "corrected tissue" in (session.busy or ""), timeout=10_000)
        settle(session)
        assert not session.outdated
        # And the work goes on: nothing but the strokes to come has to be thought of.
        session.run()
        settle(session)
        assert session.explanation.complete
    finally:
        again.close()
        qtbot.wait(50)


@pytest.mark.window
def test_a_saved_folder_opens_with_its_slide(ran, settle, viewer, slide_path, no_panel):
    folder = ran.save()
    settle(ran)
    viewer.layers.remove(ran.slide_layer)
    assert ran.slide is None
    viewer.open(str(folder), plugin="napari-maskvit")
    settle(ran)
    assert ran.slide.path.name == slide_path.name
    assert ran.explanation is not None


@pytest.mark.window
def test_a_slide_left_before_its_state_was_read_gets_it_later(
    ran, settle, viewer, slide_path, other_slide_path
):
    mask = ran.mask.array.copy()
    ran.save()
    settle(ran)
    viewer.layers.clear()
    ran.memory._kept.clear()
    ran.open(slide_path)
    first = ran.slide_layer
    ran.open(other_slide_path)
    settle(ran)
    assert ran.mask is None
    assert not ran.messages
    ran.use_slide(first)
    settle(ran)
    np.testing.assert_array_equal(ran.mask.array, mask)
    assert not ran.messages


@pytest.mark.window
def test_another_slide_of_the_same_name_does_not_get_the_mask(ran, settle, viewer, slide_path):
    from tifffile import imwrite

    ran.save()
    settle(ran)
    viewer.layers.clear()
    ran.memory._kept.clear()
    imwrite(slide_path, np.full((600, 600, 3), 240, np.uint8), tile=(256, 256), photometric="rgb")
    ran.open(slide_path)
    settle(ran)
    assert ran.mask is None
    assert any("another file" in message for message in ran.messages)


def a_state(slide="/somewhere/slide.tif", value=1):
    mask = TissueMask(np.full((40, 60), value, np.uint8), 4.0)
    return State(slide=str(slide), identity="x", spacing=0.5, mask=mask, found=mask)


def test_a_state_comes_back_from_disk(tmp_path):
    folder = tmp_path / "slide.tif.maskvit"
    write_state(folder, a_state())
    back = read_state(folder)
    np.testing.assert_array_equal(back.mask.array, 1)
    assert back.mask.spacing == 4.0
    assert (back.slide, back.identity, back.spacing) == ("/somewhere/slide.tif", "x", 0.5)
    assert is_state_folder(folder)


@pytest.mark.parametrize("when", ["parts", "session", "rename"])
def test_what_breaks_in_the_middle_leaves_the_older_state(tmp_path, monkeypatch, when):
    folder = tmp_path / "slide.tif.maskvit"
    write_state(folder, a_state(value=0))

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if when == "parts":
            patch.setattr(TissueMask, "save", full)
        elif when == "session":
            patch.setattr("napari_maskvit.viewer.saving.state.json.dumps", full)
        else:
            rename = type(folder).rename
            patch.setattr(
                type(folder),
                "rename",
                lambda self, to: full() if "new" in self.name else rename(self, to),
            )
        with pytest.raises(MaskvitError, match="No space left"):
            write_state(folder, a_state())
    assert read_state(folder).mask.array.max() == 0
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_a_crash_between_two_renames_loses_nothing(tmp_path):
    folder = tmp_path / "slide.tif.maskvit"
    write_state(folder, a_state())
    folder.rename(tmp_path / ".slide.tif.maskvit.old")
    assert is_state_folder(folder)
    assert read_state(folder).identity == "x"
    write_state(folder, a_state(value=0))
    assert read_state(folder).mask.array.max() == 0


def test_a_folder_that_is_something_else_is_left_alone(tmp_path):
    folder = tmp_path / "holiday.maskvit"
    folder.mkdir()
    (folder / "photo.jpg").write_bytes(b"")
    with pytest.raises(MaskvitError, match="something else"):
        write_state(folder, a_state())
    assert [path.name for path in folder.iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"version": 99})])
def test_damaged_or_newer_states_are_told(tmp_path, text):
    folder = tmp_path / "slide.tif.maskvit"
    folder.mkdir()
    (folder / "session.json").write_text(text)
    with pytest.raises(MaskvitError):
        read_state(folder)


def test_the_slide_is_looked_for_beside_the_folder_then_where_it_was(tmp_path):
    folder = tmp_path / "slide.tif.maskvit"
    elsewhere = tmp_path / "elsewhere.tif"
    write_state(folder, a_state(elsewhere))
    with pytest.raises(MaskvitError, match="neither"):
        slide_of(folder)
    elsewhere.touch()
    assert slide_of(folder) == elsewhere
    (tmp_path / "slide.tif").touch()
    assert slide_of(folder) == tmp_path / "slide.tif"
