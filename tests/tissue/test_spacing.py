"""The spacing of a mask."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_maskvit.errors import SpacingUnknown
from napari_maskvit.tissue import TissueEvidence, mask_spacing_for, segment_tissue
from napari_maskvit.tissue.spacing import evidence_spacing, mask_shape


@dataclass
class Extent:
    """The part of a slide that spacings depend on; slides of any size without writing them."""

    shape: tuple[int, int]
    spacing: float
    downsamples: tuple[float, ...] = (1.0, 4.0, 16.0, 64.0)

    @property
    def size_um(self) -> tuple[float, float]:
        return self.shape[0] * self.spacing, self.shape[1] * self.spacing

    def require_spacing(self) -> float:
        return self.spacing


@pytest.mark.parametrize(
    ("millimetres", "own", "expected"),
    [
        (1.5, 0.5, 2.0),
        (12.5, 0.25, 2.0),
        (15.0, 0.25, 8 / 3),
        (25.0, 0.25, 4.0),
        (50.0, 0.25, 4.0),
        (76.0, 0.25, 8.0),
        (5.0, 3.0, 3.0),
        (200.0, 0.5, 200_000 / 16_384),
    ],
)
def test_as_fine_as_painting_stays_fluid(millimetres, own, expected):
    side = round(millimetres * 1000 / own)
    assert mask_spacing_for(Extent((side // 2, side), own)) == pytest.approx(expected)


@given(
    height=st.integers(1, 1_000_000),
    width=st.integers(1, 1_000_000),
    own=st.floats(0.1, 10),
)
def test_never_above_a_texture_nor_finer_than_the_slide(height, width, own):
    slide = Extent((height, width), own)
    spacing = mask_spacing_for(slide)
    rows, columns = mask_shape(slide, spacing)
    assert max(rows, columns) <= 16_384
    assert spacing >= max(own, 2.0)
    assert rows * spacing >= height * own * (1 - 1e-6)
    assert (rows - 1) * spacing < height * own
    if max(slide.size_um) <= 65_000:
        assert spacing <= max(own, 4.0)


@given(side=st.integers(100, 400_000), own=st.floats(0.1, 4))
def test_few_pixels_are_looked_at(side, own):
    slide = Extent((side, side), own)
    rows, columns = mask_shape(slide, evidence_spacing(slide, 4.0))
    assert rows * columns < 4_200_000


def test_levels_are_used_as_they_are():
    assert evidence_spacing(Extent((100_000, 100_000), 0.25), 4.0) == 16.0
    assert evidence_spacing(Extent((8_000, 8_000), 0.25), 4.0) == 4.0


def test_unknown_spacing_is_asked_for(blank):
    slide = blank(300, 200, None)
    for ask in (mask_spacing_for, segment_tissue, TissueEvidence.of):
        with pytest.raises(SpacingUnknown):
            ask(slide)
    assert segment_tissue(slide.with_spacing(1.0)).is_empty
