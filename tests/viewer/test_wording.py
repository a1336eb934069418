"""Numbers as a person reads them."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from napari_maskvit.model import Prediction
from napari_maskvit.viewer.words import answers, notices, wording

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
    (wording.size, (1300, 1000), "1.30 × 1.00 mm"),
    (wording.size, (4860, 5890), "4.86 × 5.89 mm"),
    (wording.size, (400, 96), "0.40 × 0.10 mm"),
    (wording.pixels, (98304, 640), "98,304 × 640 px"),
    (wording.area, (3.14159,), "3.14 mm²"),
    (wording.area, (0,), "0 mm²"),
    (wording.area, (0.0004,), "400 µm²"),
    (wording.area, (0.00525,), "5,200 µm²"),
    (wording.area, (0.0413,), "0.041 mm²"),
    (wording.computed, (0, 26, 0.3), "nothing new: all 26 patches were known"),
    (wording.computed, (18, 142, 1.2), "18 patches in 1 s, 142 known before"),
    (wording.computed, (1, 0, 0.2), "1 patch"),
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
    (wording.progress, (132, 1204, 20.4), "132 of 1,204 patches, 20 s left"),
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


def regression(value: float) -> Prediction:
    labels = tuple("012345")
    grade = round(min(max(value, 0), 5))
    return Prediction("regression", value, f"ISUP grade group {grade}", None, labels)


def classes(*probabilities: float) -> Prediction:
    labels = ("benign", "low", "high")
    best = probabilities.index(max(probabilities))
    return Prediction("classification", float(best), labels[best], probabilities, labels)


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        (5.53, 5.47, "5.53 → 5.47"),
        (5.5316, 5.5279, "5.532 → 5.528"),
        (5.53161, 5.53160, "5.53161 → 5.53160"),
        (0.4, 12.0, "0.4 → 12.0"),
        (-0.12, 0.08, "−0.12 → 0.08"),
        (2.5, 2.5, "2.5, as before"),
        (2.0, 2.0 + 1e-9, "2, all but the same"),
    ],
)
def test_two_numbers_are_told_apart(then, now, said):
    assert answers.apart(then, now) == said


@pytest.mark.parametrize(
    ("now", "then", "said"),
    [
        (regression(5.47), regression(5.53), "ISUP 5 · 5.53 → 5.47"),
        (regression(4.61), regression(4.42), "ISUP 4 → ISUP 5 · 4.42 → 4.61"),
        (regression(2.5), None, "ISUP 2 · 2.5"),
        (classes(0.2, 0.64, 0.16), classes(0.3, 0.58, 0.12), "low · .58 → .64"),
        (classes(0.2, 0.64, 0.16), regression(2.0), "low · .64"),
    ],
)
def test_an_answer_fits_in_a_line(now, then, said):
    assert answers.pinned(now, then) == said


def test_two_answers_fit_in_a_line():
    assert answers.both(regression(5.58), regression(5.31)) == "ISUP 5 · 5.58, plain 5.31"
    assert answers.both(regression(4.6), regression(4.1)) == "ISUP 5 · 4.6, plain 4 · 4.1"


def test_a_value_off_its_scale_is_said_to_be():
    assert answers.predicted(regression(5.53))[1] == (
        "Predicted value 5.53, on a scale from 0 to 5: above it."
    )
    assert answers.predicted(regression(2.8))[1].endswith("from 0 to 5.")


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("/data/of a person/x/broken.svs is no slide.", "broken.svs is no slide."),
        ("No such file: '/mnt/slides/y.tif'. Try again.", "No such file: 'y.tif'. Try again."),
        ("C:\\slides\\z.svs is gone.", "z.svs is gone."),
        ("0.5 µm/px is finer than 1/2 of it.", "0.5 µm/px is finer than 1/2 of it."),
        ("See https://napari.org/a/b for more.", "See https://napari.org/a/b for more."),
    ],
)
def test_a_notice_names_a_file_without_its_folders(sentence, shown):
    assert notices.without_folders(sentence) == shown
