"""Numbers as a person reads them."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from napari_maskvit.viewer import wording

CASES = [
    (wording.significant, (0,), "0"),
    (wording.significant, (0.01234,), "0.0123"),
    (wording.significant, (0.0996,), "0.0996"),
    (wording.significant, (4.5,), "4.5"),
    (wording.significant, (9.999,), "10"),
    (wording.significant, (-2.5,), "−2.5"),
    (wording.significant, (12345.6,), "12,346"),
    (wording.millimetres, (40,), "40 µm"),
    (wording.millimetres, (12345,), "12.3 mm"),
    (wording.size, (12400, 8100), "12.4 × 8.1 mm"),
    (wording.size, (64, 12), "64 × 12 µm"),
    (wording.pixels, (98304, 640), "98,304 × 640 px"),
    (wording.area, (3.14159,), "3.14 mm²"),
    (wording.area, (0,), "0 mm²"),
    (wording.area, (0.0004,), "400 µm²"),
    (wording.spacing, (0.2525,), "0.253 µm/px (about 40×)"),
    (wording.spacing, (0.499,), "0.499 µm/px (about 20×)"),
    (wording.spacing, (7.3,), "7.3 µm/px"),
    (wording.share, (0.0,), "0 %"),
    (wording.share, (0.00001,), "< 0.1 %"),
    (wording.share, (0.034,), "3.4 %"),
    (wording.share, (0.22,), "22 %"),
    (wording.share, (0.99999,), "> 99.9 %"),
    (wording.share, (1.0,), "100 %"),
    (wording.probability, (0.58,), ".58"),
    (wording.probability, (1.0,), "1.00"),
    (wording.duration, (0.3,), "under 1 s"),
    (wording.duration, (8.2,), "8 s"),
    (wording.duration, (59.7,), "1 min"),
    (wording.duration, (154,), "2 min 30 s"),
    (wording.duration, (1000,), "16 min"),
    (wording.duration, (4800,), "1 h 20 min"),
    (wording.progress, (0, 1204, None), "0 of 1,204 patches"),
    (wording.progress, (132, 1204, 20.4), "132 of 1,204 patches, about 20 s left"),
    (wording.progress, (1204, 1204, 0.0), "1,204 of 1,204 patches"),
    (wording.listing, (("patch",),), "patch"),
    (wording.listing, (("patch", "region", "slide"),), "patch, region and slide"),
    (wording.sentence, ("1 = even\n attention",), "1 = even attention."),
    (wording.sentence, ("",), ""),
]


@pytest.mark.parametrize(("say", "values", "said"), CASES)
def test_says(say, values, said):
    assert say(*values).replace(wording.NB, " ") == said


@given(st.floats(min_value=1e-6, max_value=1e12), st.integers(2, 5))
def test_significant_digits_are_near_the_value_and_never_scientific(value, digits):
    text = wording.significant(value, digits)
    assert re.fullmatch(r"[\d,]+(\.\d+)?", text)
    assert float(text.replace(",", "")) == pytest.approx(value, rel=10 ** (1 - digits))


@given(st.floats(min_value=0, max_value=1))
@example(0.99609375)
def test_a_share_is_never_said_to_be_nothing_or_all_unless_it_is(fraction):
    text = wording.share(fraction)
    assert (text == f"0{wording.NB}%") == (fraction == 0)
    assert (text == f"100{wording.NB}%") == (fraction == 1)


@given(st.floats(min_value=0, max_value=1e7))
def test_a_duration_has_at_most_two_units(seconds):
    assert len(re.findall(r"[a-z]+", wording.duration(seconds).replace("under", ""))) <= 2
