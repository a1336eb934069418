"""``maskvit mask``: tissue to a file, and each thing that can be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from napari_maskvit.cli.mask import mask as mask_command
from napari_maskvit.slide import open_slide
from napari_maskvit.tissue import TissueMask, TissueParameters

DISC_MM2 = np.pi * (0.3 * 1024 * 0.5e-3) ** 2


@pytest.mark.parametrize("ending", [".tif", ".png", ".geojson"])
def test_it_writes_what_it_finds(maskvit, slide: Path, tmp_path: Path, ending: str) -> None:
    target = tmp_path / "new" / f"mask{ending}"
    ran = maskvit("mask", slide, "-o", target)
    assert ran.code == 0, ran.err
    assert "mm² of tissue" in ran.out
    assert str(target) in ran.out
    with open_slide(slide) as opened:
        found = TissueMask.load(target, opened)
    assert found.area_mm2 == pytest.approx(DISC_MM2, rel=0.1)


def test_geojson_is_in_the_slides_own_pixels(maskvit, slide: Path, tmp_path: Path) -> None:
    target = tmp_path / "mask.geojson"
    assert maskvit("mask", slide, "-o", target).code == 0
    outline = shapely.from_geojson(target.read_text())
    assert outline.bounds == pytest.approx((205, 205, 819, 819), abs=16)


def test_parameters_have_options_that_reach_them(maskvit, slide: Path, tmp_path: Path) -> None:
    options = mask_command.__annotations__
    assert set(TissueParameters.model_fields) <= set(options)
    ran = maskvit("mask", slide, "-o", tmp_path / "m.tif", "--min-object-um2", "400000")
    assert ran.code == 0
    assert "0.00 mm² of tissue" in ran.out
    assert "no tissue was found" in ran.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "mask.jpg"], ["mask.jpg", "does not end in a kind of mask file", ".geojson"]),
        (["-o", "there.tif"], ["there.tif exists", "--overwrite"]),
        (["-o", "there.tif/mask.tif"], ["cannot be written", "give another place"]),
        (["-o", "m.tif", "--threshold", "99"], ["--threshold 99", "less than or equal to 5"]),
        (["-o", "m.tif", "--min-hole-um2", "-1"], ["--min-hole-um2 -1", "greater than or equal"]),
        (["-o", "m.tif", "--spacing", "-1"], ["-1"]),
    ],
)
def test_what_can_be_wrong(
    maskvit, slide: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: list[str]
) -> None:
    monkeypatch.chdir(slide.parent)
    (slide.parent / "there.tif").write_text("precious")
    ran = maskvit("mask", slide, *arguments)
    assert ran.code == 2
    assert len(ran.err.strip().splitlines()) == 1, ran.err
    assert all(word.lower() in ran.err.lower() for word in words), ran.err
    assert (slide.parent / "there.tif").read_text() == "precious"


def test_overwrite(maskvit, slide: Path, tmp_path: Path) -> None:
    target = tmp_path / "mask.tif"
    target.write_text("old")
    assert maskvit("mask", slide, "-o", target, "--overwrite").code == 0
    assert TissueMask.load(target).area_mm2 > 0


def test_without_spacing_it_asks(maskvit, unscaled_slide: Path, tmp_path: Path) -> None:
    ran = maskvit("mask", unscaled_slide, "-o", tmp_path / "mask.tif")
    assert ran.code == 2
    assert "--spacing" in ran.err
    ran = maskvit("mask", unscaled_slide, "-o", tmp_path / "mask.tif", "--spacing", "0.5")
    assert ran.code == 0, ran.err


def test_on_the_real_slides(maskvit, shared_svs: Path, shared_cores, tmp_path: Path) -> None:
    for path in (shared_svs, shared_cores[0]):
        ran = maskvit("mask", path, "-o", tmp_path / f"{path.stem}.geojson")
        assert ran.code == 0, ran.err
