"""Masks are packed in stripes, and come back as they were."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_maskvit.viewer.saving import packing
from napari_maskvit.viewer.saving.packing import STRIPE, Packer, are_same, unpack

rows = st.sampled_from([1, STRIPE - 1, STRIPE, STRIPE + 1, 2 * STRIPE + 3])
strokes = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 5)), min_size=1, max_size=6
)


@given(rows, strokes)
def test_every_mask_of_a_session_comes_back(height, session):
    packer, mask = Packer(), np.zeros((height, 7), np.uint8)
    for top, bottom, kind in session:
        mask = mask.copy()
        mask[slice(*sorted((int(top * height), int(bottom * height)))), 2:5] = kind
        np.testing.assert_array_equal(unpack(packer.pack("mask", mask), mask.shape), mask)


@given(arrays(np.uint8, (STRIPE + 5, 3)), arrays(np.uint8, (STRIPE + 5, 3)))
def test_masks_under_two_names_are_kept_apart(mask, found):
    packer = Packer()
    packed = [packer.pack("mask", mask), packer.pack("found", found), packer.pack("mask", mask)]
    for data, array in zip(packed, (mask, found, mask), strict=True):
        np.testing.assert_array_equal(unpack(data, array.shape), array)


def test_a_mask_of_another_shape_is_packed_anew():
    packer = Packer()
    packer.pack("mask", np.zeros((2 * STRIPE, 9), np.uint8))
    other = np.ones((STRIPE, 18), np.uint8)
    np.testing.assert_array_equal(unpack(packer.pack("mask", other), other.shape), other)


def test_only_what_changed_is_packed_again(monkeypatch):
    packer, mask = Packer(), np.zeros((10 * STRIPE, 40), np.uint8)
    packer.pack("mask", mask)
    packed = []
    whole = packing._packed
    monkeypatch.setattr(packing, "_packed", lambda stripe: packed.append(stripe) or whole(stripe))
    mask = mask.copy()
    mask[3 * STRIPE + 5, 7] = 1
    np.testing.assert_array_equal(unpack(packer.pack("mask", mask), mask.shape), mask)
    assert len(packed) == 1


def test_what_earlier_versions_packed_in_one_piece_is_read():
    mask = np.arange(2 * STRIPE * 3, dtype=np.uint8).reshape(-1, 3)
    np.testing.assert_array_equal(unpack(zlib.compress(mask.tobytes(), 1), mask.shape), mask)


@pytest.mark.parametrize("missing", [1, 5, 30])
def test_what_was_cut_off_is_told(missing):
    data = Packer().pack("mask", np.random.default_rng(0).integers(0, 5, (STRIPE + 1, 9), np.uint8))
    with pytest.raises((ValueError, zlib.error)):
        unpack(data[:-missing], (STRIPE + 1, 9))


@given(arrays(np.uint8, (STRIPE + 2, 2)), st.integers(0, STRIPE + 1))
def test_masks_are_the_same_in_every_pixel_or_not_at_all(mask, row):
    other = mask.copy()
    assert are_same(mask, other)
    other[row, 1] ^= 1
    assert not are_same(mask, other)
    assert not are_same(mask, mask[:-1])
