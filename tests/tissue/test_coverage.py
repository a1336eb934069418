"""Coverage against a slow reference in rational numbers, and its promises at 0 and 1."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_maskvit.tissue import TissueMask

ONE = 1 << 16
masks = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 3)
)


def edges(start: float, side: float, count: int, spacing: float) -> list[Fraction]:
    exact = [(Fraction(start) + k * Fraction(side)) / Fraction(spacing) for k in range(count + 1)]
    return [Fraction(round(edge * ONE), ONE) for edge in exact]


def overlap(low: Fraction, high: Fraction, pixel: int) -> Fraction:
    return max(Fraction(0), min(high, Fraction(pixel + 1)) - max(low, Fraction(pixel)))


def reference(
    mask: np.ndarray, rows: list[Fraction], columns: list[Fraction]
) -> list[list[Fraction]]:
    def share(top: Fraction, bottom: Fraction, left: Fraction, right: Fraction) -> Fraction:
        total = sum(
            (
                overlap(top, bottom, int(row)) * overlap(left, right, int(column))
                for row, column in np.argwhere(mask == 1)
            ),
            Fraction(0),
        )
        return total / ((bottom - top) * (right - left))

    return [
        [share(rows[i], rows[i + 1], columns[j], columns[j + 1]) for j in range(len(columns) - 1)]
        for i in range(len(rows) - 1)
    ]


@settings(max_examples=300, deadline=None)
@given(
    array=masks,
    spacing=st.sampled_from([1.0, 2.0, 8 / 3, 4.0, 7.984, 0.3]),
    x=st.floats(-30, 30),
    y=st.floats(-30, 30),
    side=st.floats(0.5, 40),
    rows=st.integers(1, 4),
    columns=st.integers(1, 4),
)
def test_coverage_equals_the_rational_reference(array, spacing, x, y, side, rows, columns):
    found = TissueMask(array, spacing).coverage(x, y, side, rows, columns)
    down, across = edges(y, side, rows, spacing), edges(x, side, columns, spacing)
    expected = reference(array, down, across)
    assert found.shape == (rows, columns)
    assert found.dtype == np.float32
    # Rounding an edge the other way (float against rational) moves a share by 2**-16 px of a side.
    tolerance = 1e-6 + 4 * 2.0**-16 * spacing / side
    np.testing.assert_allclose(found, np.array(expected, float), atol=tolerance)


@settings(max_examples=200, deadline=None)
@given(
    array=masks,
    spacing=st.sampled_from([0.1, 0.3, 2.0, 8 / 3, 7.984]),
    offset=st.integers(-5, 15),
    pixels=st.integers(1, 5),
    count=st.integers(1, 6),
)
def test_aligned_squares_take_nothing_from_their_neighbours(array, spacing, offset, pixels, count):
    start = offset * spacing
    found = TissueMask(array, spacing).coverage(start, start, pixels * spacing, count, count)
    padded = np.zeros((60, 60), bool)
    padded[10 : 10 + array.shape[0], 10 : 10 + array.shape[1]] = array == 1
    first = 10 + offset
    crop = padded[first : first + pixels * count, first : first + pixels * count]
    expected = crop.reshape(count, pixels, count, pixels).mean(axis=(1, 3))
    np.testing.assert_array_equal(found == 0, expected == 0)
    np.testing.assert_array_equal(found == 1, expected == 1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@settings(max_examples=200, deadline=None)
@given(array=masks, x=st.floats(-9, 9), y=st.floats(-9, 9), side=st.floats(0.1, 30))
def test_zero_and_one_are_exact(array, x, y, side):
    found = float(TissueMask(array, 1.0).coverage(x, y, side, 1, 1)[0, 0])
    (top, bottom), (left, right) = edges(y, side, 1, 1.0), edges(x, side, 1, 1.0)
    expected = reference(array, [top, bottom], [left, right])[0][0]
    slack = Fraction(4, ONE) / Fraction(side)
    if slack < expected < 1 - slack:
        assert 0 < found < 1
    if expected == 0 and not touching(array, top, bottom, left, right):
        assert found == 0.0
    outside = top < 0 or left < 0 or bottom > array.shape[0] or right > array.shape[1]
    if (array == 1).all() and not outside:
        assert found == 1.0


def touching(array, top, bottom, left, right) -> bool:
    near = Fraction(2, ONE)
    return any(
        row + 1 > top - near
        and row < bottom + near
        and col + 1 > left - near
        and col < right + near
        for row, col in ((int(r), int(c)) for r, c in np.argwhere(array == 1))
    )


def test_parts_of_a_lattice_are_the_whole_lattice():
    array = (np.random.default_rng(1).random((301, 211)) < 0.4).astype(np.uint8)
    mask = TissueMask(array, 3.7)
    whole = mask.coverage(0, 0, 8, 140, 100)
    for row, column in [(0, 0), (16, 32), (100, 80)]:
        part = mask.coverage(column * 8, row * 8, 8, 16, 16)
        np.testing.assert_array_equal(part, whole[row : row + 16, column : column + 16])


def test_bands_and_blocks_do_not_show(monkeypatch):
    array = (np.random.default_rng(2).random((64, 90)) < 0.5).astype(np.uint8)
    mask = TissueMask(array, 2.0)
    whole = mask.coverage(-3.3, 1.7, 5.1, 30, 40)
    for block in (1, 7, 100, 2000):
        monkeypatch.setattr("napari_maskvit.tissue.coverage._BLOCK", block)
        np.testing.assert_array_equal(mask.coverage(-3.3, 1.7, 5.1, 30, 40), whole)


@pytest.mark.parametrize(
    ("x", "y"), [(-1000, 0), (0, -1000), (1000, 0), (0, 1000), (1e9, 1e9), (-1e9, -1e9)]
)
def test_beside_the_mask_nothing_is_tissue(x, y):
    mask = TissueMask(np.ones((8, 8), np.uint8), 4.0)
    assert not mask.coverage(x, y, 8, 3, 5).any()


def test_only_ones_count():
    array = np.array([[0, 1, 2, 255]], np.uint8)
    np.testing.assert_array_equal(TissueMask(array, 1.0).coverage(0, 0, 1, 1, 4), [[0, 1, 0, 0]])


def test_nearly_full_and_nearly_empty_squares_are_told_apart_from_full_and_empty():
    array = np.ones((16384, 8), np.uint8)
    array[5000, 3] = 0
    full = TissueMask(array, 1.0).coverage(0, 0, 16384, 1, 1)
    assert 0 < float(full[0, 0]) < 1
    single = np.zeros((3, 3), np.uint8)
    single[1, 1] = 1
    assert float(TissueMask(single, 1.0).coverage(0, 0, 1 + 2.0**-16, 1, 1)[0, 0]) > 0
    hole = TissueMask(1 - single, 1.0).coverage(0, 0, 1 + 2.0**-16, 1, 1)
    assert 0.9999 < float(hole[0, 0]) < 1.0


def test_a_large_mask_takes_well_under_a_second():
    array = (np.random.default_rng(3).random((6250, 6250)) < 0.3).astype(np.uint8)
    mask = TissueMask(array, 4.0)
    began = time.process_time()
    shares = mask.coverage(0, 0, 8, 3125, 3125)
    assert time.process_time() - began < 2  # 0.3 s on an idle machine
    np.testing.assert_array_equal(
        shares, array.reshape(3125, 2, 3125, 2).mean(axis=(1, 3), dtype=np.float32)
    )
