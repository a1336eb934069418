"""After a restart a stroke costs what a stroke costs: what was saved is known."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari", reason="needs the gui extra")

from napari_maskvit.viewer.session import Session

pytestmark = pytest.mark.window

EDGE = ((384.0, 470.0), (384.0, 480.0))
OTHER_EDGE = ((300.0, 440.0), (300.0, 450.0))


def reopened(viewer, slide_path, settle):
    """A session of the same window, as if the program had been started again."""
    Session.of(viewer).close()
    viewer.layers.clear()
    session = Session.of(viewer)
    session.messages, session.said = [], []
    session.failed.connect(session.messages.append)
    session.busy_changed.connect(lambda words: session.said.append(words or ""))
    session.open(slide_path)
    settle(session)
    return session


def erase(session, hand, settle, points):
    session.hand.pick("eraser")
    hand.drag(points)
    settle(session)
    assert not session.messages
    assert not session.outdated
    return session.explanation.statistics


def assert_few(numbers, all_of_them):
    assert 0 < numbers.computed_patches <= 6 < all_of_them
    assert numbers.cached_patches >= all_of_them - 6


def test_the_first_stroke_after_a_restore_computes_what_it_touched(
    ran, hand, viewer, slide_path, settle
):
    count = ran.explanation.statistics.computed_patches
    ran.save()
    settle(ran)
    again = reopened(viewer, slide_path, settle)
    assert again.explanation.statistics.computed_patches == count
    assert_few(erase(again, hand, settle, EDGE), count)
    assert not [words for words in again.said if "corrected tissue" in words]
    again.hand.undo()
    settle(again)
    assert again.explanation.statistics.computed_patches == 0


def test_unsaved_strokes_that_are_restored_cost_what_they_touched(
    ran, hand, viewer, slide_path, settle
):
    count = ran.explanation.statistics.computed_patches
    ran.save()
    settle(ran)
    erase(ran, hand, settle, EDGE)
    mask, expected = ran.mask.array.copy(), ran.explanation
    again = reopened(viewer, slide_path, settle)
    again.autosave.restore()
    settle(again)
    np.testing.assert_array_equal(again.mask.array, mask)
    assert not again.outdated
    assert_few(again.explanation.statistics, count)
    for level, attention in again.explanation.levels.items():
        np.testing.assert_allclose(attention.values, expected.levels[level].values, atol=1e-6)
    assert_few(erase(again, hand, settle, OTHER_EDGE), count)


def test_plain_attention_that_was_saved_is_known_too(ran, viewer, slide_path, settle):
    ran.compare()
    settle(ran)
    count = ran.reference.statistics.computed_patches
    assert count > 0
    ran.save()
    settle(ran)
    again = reopened(viewer, slide_path, settle)
    again.compare()
    settle(again)
    assert again.reference.statistics.computed_patches == 0
    assert again.reference.statistics.cached_patches == count
    again.compare(False)


def test_a_slide_that_is_come_back_to_is_known(
    ran, hand, viewer, slide_path, other_slide_path, settle
):
    count, first = ran.explanation.statistics.computed_patches, ran.slide_layer
    ran.open(other_slide_path)
    settle(ran)
    ran.use_slide(first)
    settle(ran)
    assert_few(erase(ran, hand, settle, EDGE), count)


def test_what_another_threshold_gave_is_not_mixed_in(ran, hand, viewer, slide_path, settle):
    ran.configure(threshold=0.3)
    ran.save()
    settle(ran)
    again = reopened(viewer, slide_path, settle)
    numbers = erase(again, hand, settle, EDGE)
    assert numbers.cached_patches == 0
    assert [words for words in again.said if "corrected tissue" in words]
