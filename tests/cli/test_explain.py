"""``maskvit explain``: from a slide to a folder with everything in it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_maskvit.cli import app
from napari_maskvit.explain import Explanation
from napari_maskvit.slide import open_slide
from napari_maskvit.tissue import TissueMask

LEVELS = ("patch", "region", "slide")
FILES = {"explanation.zarr", "prediction.json", "mask.tif", "overlay.png"}


def summary(folder: Path) -> dict:
    return json.loads((folder / "prediction.json").read_text())


@pytest.fixture(scope="module")
def result(bundle: Path, make_slide, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one call leaves; for tests that only look at it."""
    here = tmp_path_factory.mktemp("explained")
    make_slide(here / "biopsy.tif")
    folder = here / "deep/result"
    arguments = ["explain", here / "biopsy.tif", "-o", folder, "--model", bundle]
    with pytest.raises(SystemExit) as end:
        app([str(argument) for argument in arguments], prog_name="maskvit")
    assert not end.value.code
    return folder


def test_everything_is_there_and_nothing_else(result: Path) -> None:
    heatmaps = {f"heatmap-{level}.tif" for level in (*LEVELS, "factorised")}
    assert {one.name for one in result.iterdir()} == FILES | heatmaps
    assert [one.name for one in result.parent.iterdir()] == ["result"]


def test_the_summary(result: Path, bundle: Path) -> None:
    said = summary(result)
    prediction = said["prediction"]
    assert prediction["label"] in ("benign", "tumour")
    assert sum(prediction["probabilities"]) == pytest.approx(1)
    assert said["model"]["name"] == "small"
    config = json.loads((bundle / "config.json").read_text())
    assert said["model"]["sha256"] == config["weights_sha256"]
    assert said["masking"] == list(LEVELS)
    assert said["threshold"] == 0
    assert said["slide"]["spacing_um"] == pytest.approx(0.5)
    assert (said["slide"]["width"], said["slide"]["height"]) == (1024, 1024)
    assert said["undecodable_tiles"] == 0
    for level in LEVELS:
        assert 0 < said["kept"][level] <= said["total"][level]
        assert said["background_attention"][level] == 0
    assert said["total"]["patch"] == 64 * 64
    assert said["kept"]["patch"] == pytest.approx(np.pi * (0.3 * 64) ** 2, rel=0.2)
    assert all(seconds >= 0 for seconds in said["seconds"].values())
    assert "Its weights are random." in said["warnings"]
    assert said["mask"]["source"] == "found"


@pytest.mark.parametrize("level", [*LEVELS, "factorised"])
def test_heatmaps_carry_their_spacing_and_hold_tissue_alone(result: Path, level: str) -> None:
    with tifffile.TiffFile(result / f"heatmap-{level}.tif") as file:
        page = file.pages[0]
        array = page.asarray()
        numerator, denominator = page.tags["XResolution"].value
        assert page.tags["ResolutionUnit"].value == 3
    assert array.dtype == np.float32
    assert array.shape == (64, 64)
    assert 1e4 * denominator / numerator == pytest.approx(8.0, rel=1e-3)
    kept = np.isfinite(tifffile.imread(result / "heatmap-patch.tif"))
    np.testing.assert_array_equal(np.isfinite(array), kept)
    assert not kept[0, 0]
    assert np.nanmin(array) >= 0
    assert np.nanmax(array) <= 1


def test_the_overlay_shows_glass_as_glass(result: Path) -> None:
    picture = np.asarray(Image.open(result / "overlay.png"))
    assert picture.ndim == 3
    assert picture[:20, :20].min() > 225
    middle = picture[tuple(side // 2 for side in picture.shape[:2])]
    assert middle.min() < 225


def test_the_explanation_and_the_mask_load_again(result: Path) -> None:
    explanation = Explanation.load(result / "explanation.zarr")
    assert explanation.complete
    assert tuple(explanation.levels) == LEVELS
    with open_slide(result.parents[1] / "biopsy.tif") as opened:
        mask = TissueMask.load(result / "mask.tif", opened)
    assert mask.area_mm2 == pytest.approx(summary(result)["mask"]["tissue_mm2"])


def test_the_mask_in_a_file_is_used(maskvit, slide: Path, bundle: Path, tmp_path: Path) -> None:
    corner = np.zeros((256, 256), np.uint8)
    corner[64:96, 64:96] = 1
    TissueMask(corner, 2.0).save(tmp_path / "given.tif")
    out = tmp_path / "result"
    ran = maskvit("explain", slide, "-o", out, "--model", bundle, "--mask", tmp_path / "given.tif")
    assert ran.code == 0, ran.err
    assert summary(out)["kept"]["patch"] == 64
    assert summary(out)["mask"]["source"].endswith("given.tif")
    assert summary(out)["mask"]["tissue_mm2"] == pytest.approx(32 * 32 * 4e-6)


@pytest.mark.parametrize("masking", ["none", "region", "slide,patch"])
def test_masking(maskvit, slide: Path, bundle: Path, tmp_path: Path, masking: str) -> None:
    out = tmp_path / "result"
    ran = maskvit("explain", slide, "-o", out, "--model", bundle, "--masking", masking)
    assert ran.code == 0, ran.err
    said = summary(out)
    asked = [] if masking == "none" else masking.split(",")
    assert sorted(said["masking"]) == sorted(asked)
    for level in LEVELS:
        mass = said["background_attention"][level]
        assert (mass == 0) if level in asked else (0 <= mass <= 1)
    if masking == "none":
        assert said["background_attention"]["patch"] > 0


def test_an_encoder_alone_gives_attention_and_no_prediction(
    maskvit, slide: Path, encoder: Path, tmp_path: Path
) -> None:
    ran = maskvit("explain", slide, "-o", tmp_path / "result", "--model", encoder)
    assert ran.code == 0, ran.err
    assert summary(tmp_path / "result")["prediction"] is None
    assert "makes no prediction" in ran.out
    names = {one.name for one in (tmp_path / "result").iterdir()}
    assert names == FILES | {"heatmap-patch.tif"}


def test_overwriting(maskvit, slide: Path, bundle: Path, tmp_path: Path) -> None:
    result = tmp_path / "result"
    again = ("explain", slide, "-o", result, "--model", bundle)
    assert maskvit(*again).code == 0
    (result / "overlay.png").write_text("old")
    assert maskvit(*again).code == 2
    assert (result / "overlay.png").read_text() == "old"
    assert maskvit(*again, "--overwrite").code == 0
    with Image.open(result / "overlay.png") as picture:
        assert picture.size[0] > 100


def test_several_slides(maskvit, slide: Path, bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "second.tif"
    other.write_bytes(slide.read_bytes())
    half = tmp_path / "half.tif"
    half.write_bytes(slide.read_bytes()[:900])
    out = tmp_path / "results"
    ran = maskvit("explain", slide, half, other, "-o", out, "--model", bundle)
    assert ran.code == 2
    assert "1 of 3 slides failed" in ran.err
    assert sorted(one.name for one in out.iterdir()) == ["biopsy", "second"]
    assert summary(out / "biopsy")["prediction"] == summary(out / "second")["prediction"]


def test_no_tissue_is_an_answer_too(maskvit, slide: Path, bundle: Path, tmp_path: Path) -> None:
    TissueMask(np.zeros((128, 128), np.uint8), 4.0).save(tmp_path / "empty.tif")
    out = tmp_path / "result"
    ran = maskvit("explain", slide, "-o", out, "--model", bundle, "--mask", tmp_path / "empty.tif")
    assert ran.code == 0, ran.err
    assert summary(out)["prediction"] is None
    assert "no tissue" in ran.err


def test_on_real_slides(maskvit, shared_svs: Path, shared_cores, bundle, tmp_path: Path) -> None:
    for path in (shared_svs, shared_cores[0]):
        ran = maskvit("explain", path, "-o", tmp_path / path.stem, "--model", bundle)
        assert ran.code == 0, ran.err
        assert summary(tmp_path / path.stem)["background_attention"]["patch"] == 0
