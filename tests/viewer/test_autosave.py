"""Corrections survive: as the work goes on, a window closed by mistake, a process killed."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

pytest.importorskip("napari", reason="needs the gui extra")

from napari_maskvit.errors import MaskvitError
from napari_maskvit.tissue import TissueMask
from napari_maskvit.tissue.edits import painted
from napari_maskvit.viewer.saving import unsaved
from napari_maskvit.viewer.saving.unsaved import Work

pytestmark = pytest.mark.window

STROKE = ((80.0, 900.0), (80.0, 960.0))


@pytest.fixture
def found(session, settle):
    session.find_tissue()
    settle(session)
    return session


def left_behind(slide_path):
    return sorted(slide_path.parent.glob(f"*{unsaved.ENDING}"))


def wait_for_file(qtbot, slide_path, there=True):
    qtbot.waitUntil(lambda: bool(left_behind(slide_path)) is there, timeout=5000)


def reopened(viewer, slide_path, qtbot, settle):
    """A session of the same window, as if the program had been started again."""
    from napari_maskvit.viewer.session import Session

    Session.of(viewer).close()
    viewer.layers.clear()
    session = Session.of(viewer)
    session.messages = []
    session.failed.connect(session.messages.append)
    session.open(slide_path)
    settle(session)
    return session


def test_a_found_mask_is_no_work(found, qtbot, slide_path):
    qtbot.wait(1200)
    assert not left_behind(slide_path)


def test_a_stroke_is_kept_within_a_second_and_a_half(found, hand, qtbot, slide_path):
    hand.drag(STROKE)
    mask = found.mask.array

    def kept_masks():
        return [unsaved.read(path).mask.array for path in left_behind(slide_path)]

    qtbot.waitUntil(lambda: any(np.array_equal(kept, mask) for kept in kept_masks()), timeout=1500)
    (path,) = left_behind(slide_path)
    kept = unsaved.read(path)
    np.testing.assert_array_equal(kept.found.array, found.tissue.found.array)
    assert len(kept.entries) == len(found.timeline.timeline.entries)


def test_what_is_taken_back_is_work_no_more(found, hand, qtbot, slide_path):
    hand.drag(STROKE)
    wait_for_file(qtbot, slide_path)
    found.hand.undo()
    wait_for_file(qtbot, slide_path, there=False)


def test_a_save_supersedes_it(found, hand, qtbot, settle, slide_path):
    hand.drag(STROKE)
    wait_for_file(qtbot, slide_path)
    found.save()
    settle(found)
    wait_for_file(qtbot, slide_path, there=False)
    found.hand.pick("brush")
    hand.drag(((120.0, 900.0), (120.0, 960.0)))
    wait_for_file(qtbot, slide_path)


def test_a_window_closed_at_once_loses_nothing(found, hand, viewer, qtbot, settle, slide_path):
    hand.drag(STROKE)
    found.tissue.editor.settle()
    mask, count = found.mask.array.copy(), len(found.timeline.timeline.entries)
    again = reopened(viewer, slide_path, qtbot, settle)
    offer = again.autosave.offer
    assert offer is not None
    assert offer.tissue_mm2 == pytest.approx((mask == 1).sum() * 4e-6)
    assert again.mask is None, "nobody was asked yet"
    again.autosave.restore()
    settle(again)
    assert not again.messages
    np.testing.assert_array_equal(again.mask.array, mask)
    assert again.hand.tool == "brush"
    assert again.tissue.areas.added_mm2 > 0.004
    assert len(again.timeline.timeline.entries) == count
    assert again.autosave.offer is None
    assert len(left_behind(slide_path)) == 1, "still nobody has saved it"
    # And once more, without anything done.
    third = reopened(viewer, slide_path, qtbot, settle)
    assert third.autosave.offer is not None


def test_new_work_does_not_overwrite_what_is_offered(
    found, hand, viewer, qtbot, settle, slide_path
):
    hand.drag(STROKE)
    first = found.mask.array.copy()
    again = reopened(viewer, slide_path, qtbot, settle)
    again.find_tissue()
    settle(again)
    again.hand.pick("eraser")
    hand.drag(((384.0, 460.0), (384.0, 520.0)))
    qtbot.waitUntil(lambda: len(left_behind(slide_path)) == 2, timeout=5000)
    assert again.autosave.offer is not None
    again.autosave.restore()
    settle(again)
    assert not again.messages
    np.testing.assert_array_equal(again.mask.array, first)
    assert again.hand.tool == "eraser"


def test_what_is_discarded_is_gone(found, hand, viewer, qtbot, settle, slide_path):
    hand.drag(STROKE)
    again = reopened(viewer, slide_path, qtbot, settle)
    again.autosave.discard()
    assert again.autosave.offer is None
    assert not left_behind(slide_path)
    assert reopened(viewer, slide_path, qtbot, settle).autosave.offer is None


def test_a_removed_layer_keeps_its_strokes(found, hand, viewer, qtbot, settle, slide_path):
    hand.drag(STROKE)
    mask = found.mask.array.copy()
    viewer.layers.remove(found.tissue.layer)
    again = reopened(viewer, slide_path, qtbot, settle)
    again.autosave.restore()
    settle(again)
    np.testing.assert_array_equal(again.mask.array, mask)


def test_edges_in_a_fine_window_are_kept(found, viewer, qtbot, settle, slide_path):
    found.tools.open_fine()
    layer = found.tools.fine.layer
    layer.data_setitem(tuple(np.mgrid[100:140, 100:140].reshape(2, -1)), 3)
    again = reopened(viewer, slide_path, qtbot, settle)
    again.autosave.restore()
    settle(again)
    assert (again.mask.array == 3).sum() == 100  # 40 px of 0.5 µm are 10 mask pixels of 2 µm


def test_a_stroke_under_way_is_kept(found, hand, qtbot, slide_path):
    layer = found.tissue.layer
    with layer.block_history():  # as long as the button is down
        for column in range(300, 340):
            layer.paint((10, column), 1)
        wait_for_file(qtbot, slide_path)
        assert unsaved.read(left_behind(slide_path)[0]).mask.array[10, 320] == 1


def test_a_slide_that_is_left_and_come_back_to(found, hand, settle, slide_path, other_slide_path):
    hand.drag(STROKE)
    mask = found.mask.array.copy()
    found.open(other_slide_path)
    settle(found)
    assert len(left_behind(slide_path)) == 1
    assert found.autosave.offer is None
    found.use_slide(found.slides.layers[0])
    settle(found)
    np.testing.assert_array_equal(found.mask.array, mask)
    assert found.autosave.offer is None, "it is on display"


def test_newer_work_than_what_was_saved_is_asked_about_once(
    ran, hand, viewer, qtbot, settle, slide_path, monkeypatch
):
    from napari_maskvit.viewer.dock import MaskvitWidget

    told = []
    monkeypatch.setattr("napari_maskvit.viewer.words.notices.tell", told.append)
    ran.save()
    settle(ran)
    saved = ran.explanation
    hand.drag(STROKE)
    settle(ran)
    mask = ran.mask.array.copy()
    told.clear()
    again = reopened(viewer, slide_path, qtbot, settle)
    assert again.explanation.prediction == saved.prediction
    assert again.autosave.offer is not None
    assert len(told) == 1, "it is not as it was left"
    assert "never saved" in told[0]
    panel = MaskvitWidget(viewer)
    qtbot.addWidget(panel)
    assert panel.sections["tissue"].is_open, "where the offer is"
    again.autosave.restore()
    settle(again)
    assert not again.messages
    np.testing.assert_array_equal(again.mask.array, mask)
    assert not again.outdated, "the model has run again by itself"
    assert again.explanation.statistics.kept["patch"] > saved.statistics.kept["patch"]
    assert len(again.timeline.timeline.entries) == 2
    assert not panel.sections["tissue"].is_open
    panel.release()


def test_restored_work_is_out_of_date_where_nothing_follows_it(
    ran, hand, viewer, qtbot, settle, slide_path
):
    ran.save()
    settle(ran)
    hand.drag(STROKE)
    settle(ran)
    again = reopened(viewer, slide_path, qtbot, settle)
    again.set_live(False)
    again.autosave.restore()
    settle(again)
    assert again.outdated
    again.run()
    settle(again)
    assert not again.outdated


def test_a_window_closed_while_a_thread_has_yet_to_write_loses_nothing(
    found, hand, viewer, qtbot, settle, slide_path, monkeypatch
):
    from napari_maskvit.viewer.work.jobs import Job

    # The thread pool is full of other work: what it was given is never begun.
    with monkeypatch.context() as patch:
        patch.setattr(Job, "start", lambda self: None)
        hand.drag(STROKE)
        qtbot.waitUntil(lambda: found.autosave._writing is not None, timeout=5000)
    assert not left_behind(slide_path)
    assert reopened(viewer, slide_path, qtbot, settle).autosave.offer is not None


def test_restoring_while_what_was_saved_is_still_read(
    ran, hand, viewer, qtbot, settle, slide_path, monkeypatch
):
    from threading import Event

    from napari_maskvit.viewer.saving import memory
    from napari_maskvit.viewer.session import Session

    ran.save()
    settle(ran)
    hand.drag(STROKE)
    settle(ran)
    mask = ran.mask.array.copy()
    may_read, read = Event(), memory.read_state
    monkeypatch.setattr(memory, "read_state", lambda place: may_read.wait(60) and read(place))
    ran.close()
    viewer.layers.clear()
    again = Session.of(viewer)
    again.open(slide_path)
    qtbot.waitUntil(lambda: again.autosave.offer is not None, timeout=10_000)
    again.autosave.restore()
    qtbot.wait(300)
    assert again.mask is None
    may_read.set()
    settle(again)
    np.testing.assert_array_equal(again.mask.array, mask)
    assert again.explanation is not None


def test_work_that_a_restore_replaces_stays_in_the_timeline(
    found, hand, viewer, qtbot, settle, slide_path
):
    hand.drag(STROKE)
    again = reopened(viewer, slide_path, qtbot, settle)
    again.find_tissue()
    settle(again)
    hand.drag(((120.0, 900.0), (120.0, 960.0)))
    settle(again)
    mine = again.mask.array.copy()
    again.autosave.restore()
    settle(again)
    aside = next(one for one in again.timeline.timeline.entries if one.kind == "put aside")
    np.testing.assert_array_equal(again.timeline.timeline.mask_at(aside.serial).array, mine)


# ---- the file


def some_work(rng=None, kinds=4):
    from napari_maskvit.viewer.timeline.timeline import Timeline

    rng = rng or np.random.default_rng(0)
    found = TissueMask((rng.random((50, 60)) < 0.5).astype(np.uint8), 2.0, "found")
    box = (slice(5, 25), slice(5, 25))
    mask = painted(found, box, np.ones((20, 20), bool), kinds, "marked").applied(found)
    timeline = Timeline()
    timeline.begin(found.array, 2.0, "found")
    timeline.record(mask.array, box, "painted")
    return Work(
        "/slides/a.svs", "abc", 0.5, True, mask, found, {"threshold": 1.5}, timeline.entries
    )


def test_the_file_tells_all_that_was_put_in(tmp_path):
    work = some_work()
    path = unsaved.write(work, "w" + unsaved.ENDING, tmp_path / "a.svs")
    assert path.parent == tmp_path
    back = unsaved.read(path)
    np.testing.assert_array_equal(back.mask.array, work.mask.array)
    np.testing.assert_array_equal(back.found.array, work.found.array)
    for name in ("slide", "identity", "spacing", "spacing_given", "parameters", "entries"):
        assert getattr(back, name) == getattr(work, name)


def test_a_folder_that_nobody_may_write_to_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    slides = tmp_path / "slides"
    slides.mkdir()
    slide = slides / "a.svs"
    slides.chmod(0o555)
    path = unsaved.write(some_work(), unsaved.file_name(slide, "1234"), slide)
    assert not path.is_relative_to(slides)
    assert not list(slides.iterdir())
    assert [offer.path for offer in unsaved.offers(slide, "abc")] == [path]
    assert unsaved.offers(slide, "another file of that name") == []


@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "text", "newer"])
def test_a_damaged_file_is_told_or_not_offered(tmp_path, harm):
    slide = tmp_path / "a[1].svs"
    path = unsaved.write(some_work(), unsaved.file_name(slide, "1234"), slide)
    assert len(unsaved.offers(slide, "abc")) == 1
    data = path.read_bytes()
    if harm == "newer":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("work.json", '{"version": 99}')
    else:
        with zipfile.ZipFile(path) as file:
            inside = file.getinfo("mask").header_offset + 60
        middle = len(data) // 2
        path.write_bytes(
            {
                "cut": data[:middle],
                "flip": data[:inside] + bytes([data[inside] ^ 255]) + data[inside + 1 :],
                "empty": b"",
                "text": b"not a file of this kind",
            }[harm]
        )
    if harm != "flip":
        assert unsaved.offers(slide, "abc") == []
    with pytest.raises(MaskvitError):
        unsaved.read(path)


def test_a_write_that_fails_leaves_the_one_before(tmp_path, monkeypatch):
    slide = tmp_path / "a.svs"
    name = unsaved.file_name(slide, "1234")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    path = unsaved.write(some_work(kinds=4), name, slide)
    before = path.read_bytes()

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(MaskvitError, match="make room"):
        unsaved.write(some_work(kinds=3), name, slide)
    assert path.read_bytes() == before
    assert not list(tmp_path.rglob("*.tmp"))
