"""Small things said and understood."""

from __future__ import annotations

import pytest

from napari_maskvit.cli.explain import in_words as prediction_in_words
from napari_maskvit.cli.journey import in_words, parse_masking
from napari_maskvit.errors import MaskvitError

MASKING = {
    "patch,region,slide": ("patch", "region", "slide"),
    "slide, patch": ("patch", "slide"),
    "Region": ("region",),
    "none": (),
    "NONE": (),
}


@pytest.mark.parametrize(("text", "levels"), MASKING.items())
def test_masking(text: str, levels: tuple[str, ...]) -> None:
    assert parse_masking(text) == levels


@pytest.mark.parametrize("text", ["", ",", "patches", "patch,tile", "none,patch"])
def test_wrong_masking(text: str) -> None:
    with pytest.raises(MaskvitError, match="patch, region, slide"):
        parse_masking(text)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (0.2, "0 s left"),
        (59, "59 s left"),
        (90, "2 min left"),
        (3600, "60 min left"),
        (9000, "2 h 30 min left"),
    ],
)
def test_time_left(seconds: float | None, words: str) -> None:
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("prediction", "words"),
    [
        (None, "attention only; this model makes no prediction"),
        (
            {
                "label": "tumour",
                "value": 1.0,
                "probabilities": [0.25, 0.75],
                "labels": ["benign", "tumour"],
            },
            "tumour (benign 25%, tumour 75%)",
        ),
        ({"label": "grade group 3", "value": 2.7, "probabilities": None}, "grade group 3 (2.70)"),
    ],
)
def test_prediction(prediction: dict[str, object] | None, words: str) -> None:
    assert prediction_in_words(prediction) == words
