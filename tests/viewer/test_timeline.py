"""The timeline: exact masks from small changes, bounded, and the same after JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_maskvit.errors import MaskvitError
from napari_maskvit.model import Prediction
from napari_maskvit.viewer.timeline.entry import Entry, packed, unpacked
from napari_maskvit.viewer.timeline.timeline import Timeline

SHAPE = (37, 53)
SAID = Prediction("classification", 1.0, "high", (0.25, 0.75), ("low", "high"))


def first_mask():
    mask = np.zeros(SHAPE, np.uint8)
    mask[5:20, 8:40] = 1
    return mask


boxes = st.tuples(
    st.integers(0, SHAPE[0] - 1), st.integers(1, 9), st.integers(0, SHAPE[1] - 1), st.integers(1, 9)
)
strokes = st.lists(st.tuples(boxes, st.integers(0, 4)), max_size=25)


def paint(mask, stroke):
    (top, height, left, width), value = stroke
    box = slice(top, min(top + height, SHAPE[0])), slice(left, min(left + width, SHAPE[1]))
    mask[box] = value
    return box


@settings(deadline=None, max_examples=60)
@given(strokes)
def test_every_mask_comes_back_exactly(done):
    timeline, mask = Timeline(), first_mask()
    timeline.begin(mask, 2.0, "found")
    masks = [mask.copy()]
    for stroke in done:
        before = mask.copy()
        box = paint(mask, stroke)
        where = timeline.record(mask, box, "painted")
        assert (where is None) == np.array_equal(before, mask)
        if where is not None:
            np.testing.assert_array_equal(where, (before[box] == 1) != (mask[box] == 1))
            masks.append(mask.copy())
    again = Timeline.from_json(json.loads(json.dumps(timeline.to_json())))
    assert again.entries == timeline.entries
    for entry, expected in zip(timeline.entries, masks, strict=True):
        np.testing.assert_array_equal(timeline.mask_at(entry.serial).array, expected)
        np.testing.assert_array_equal(again.mask_at(entry.serial).array, expected)
        assert entry.tissue_mm2 == pytest.approx(np.count_nonzero(expected == 1) * 4e-6)
    assert timeline.nbytes == sum(len(entry.delta) for entry in timeline.entries)


def test_gain_and_loss_are_areas():
    timeline, mask = Timeline(), first_mask()
    timeline.begin(mask, 2.0, "found")
    mask[5:7, 8:18] = 0
    mask[30:33, 8:18] = 1
    timeline.record(mask, (slice(0, 37), slice(0, 53)), "changed")
    entry = timeline.latest
    assert entry.lost_mm2 == pytest.approx(20 * 4e-6)
    assert entry.gained_mm2 == pytest.approx(30 * 4e-6)
    assert entry.kind == "changed"


@pytest.mark.parametrize(("entries", "size"), [(20, 1 << 20), (1000, 2000)])
def test_it_is_bounded_and_what_is_left_is_whole(entries, size):
    rng = np.random.default_rng(0)
    timeline, mask = Timeline(entries, size), first_mask()
    timeline.begin(mask, 2.0, "found")
    kept = {}
    for _ in range(300):
        box = paint(mask, ((rng.integers(0, 30), 6, rng.integers(0, 40), 6), rng.integers(0, 2)))
        if timeline.record(mask, box, "painted") is not None:
            kept[timeline.latest.serial] = mask.copy()
    assert len(timeline) <= entries
    assert timeline.nbytes <= size
    assert timeline.entries[0].whole
    for entry in timeline.entries:
        np.testing.assert_array_equal(timeline.mask_at(entry.serial).array, kept[entry.serial])
    with pytest.raises(MaskvitError, match="gone"):
        timeline.mask_at(1)


def test_masks_of_another_shape_begin_anew():
    timeline = Timeline()
    timeline.begin(first_mask(), 2.0, "found")
    other = np.ones((11, 7), np.uint8)
    timeline.begin(other, 4.0, "loaded")
    assert timeline.mask_at(1).shape == SHAPE
    assert timeline.mask_at(2).shape == (11, 7)
    assert timeline.mask_at(2).spacing == 4.0


def test_answers_are_noted_and_kept():
    timeline = Timeline()
    serial = timeline.begin(first_mask(), 2.0, "found").serial
    timeline.answered(serial, SAID)
    timeline.answered(99, SAID)
    assert timeline.latest.prediction == SAID
    again = Entry.from_json(json.loads(json.dumps(timeline.latest.to_json())))
    assert again == timeline.latest


@settings(deadline=None)
@given(st.integers(0, 255), st.integers(0, 9), st.integers(0, 9), st.integers(0, 2**31))
def test_packing_loses_nothing(most, rows, columns, seed):
    array = np.random.default_rng(seed).integers(0, most + 1, (rows, columns), dtype=np.uint8)
    np.testing.assert_array_equal(unpacked(packed(array), (rows, columns)), array)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda facts: facts["entries"][0].pop("box"),
        lambda facts: facts["entries"][0].update(delta="AA=="),
        lambda facts: facts["entries"][0].update(delta="not base64"),
        lambda facts: facts["entries"][0].update(whole=False),
        lambda facts: facts.update(version=99),
    ],
)
def test_damage_is_told_in_a_sentence(spoil):
    timeline = Timeline()
    timeline.begin(first_mask(), 2.0, "found")
    facts = json.loads(json.dumps(timeline.to_json()))
    spoil(facts)
    with pytest.raises(MaskvitError):
        Timeline.from_json(facts)
