"""``maskvit explain`` goes on from an earlier result, and says where it cannot."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_maskvit.explain import Explanation
from napari_maskvit.slide import open_slide
from napari_maskvit.tissue import TissueMask


def summary(folder: Path) -> dict:
    return json.loads((folder / "prediction.json").read_text())


def in_a_process(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "napari_maskvit.cli", *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran


@pytest.fixture
def corrected(slide: Path, tmp_path: Path) -> Path:
    """The tissue of the slide, less a corner of it."""
    from napari_maskvit.tissue import segment_tissue

    with open_slide(slide) as opened:
        mask = segment_tissue(opened)
        mask.save(tmp_path / "found.tif", opened)
        array = mask.array.copy()
        side = len(array) // 8
        array[2 * side : 3 * side + side // 4, 3 * side : 4 * side] = 0
        TissueMask(array, mask.spacing).save(tmp_path / "corrected.tif", opened)
    return tmp_path / "corrected.tif"


def test_a_corrected_mask_costs_what_it_changed(
    maskvit, slide: Path, bundle: Path, corrected: Path, tmp_path: Path
) -> None:
    result, scratch = tmp_path / "result", tmp_path / "scratch"
    call = ("explain", slide, "--model", bundle, "-o")
    first = maskvit(*call, result, "--mask", tmp_path / "found.tif")
    assert first.code == 0, first.err
    count = summary(result)["patches"]["computed"]
    assert summary(result)["patches"] == {"computed": count, "known": 0}
    assert "known" not in first.out
    second = in_a_process(*call, result, "--mask", corrected, "--overwrite")
    patches = summary(result)["patches"]
    assert 0 < patches["computed"] < count / 4
    said = f"{patches['known']} of {sum(patches.values())} patches were known from the earlier"
    assert said in second.stdout
    assert "not used" not in second.stderr

    assert maskvit(*call, scratch, "--mask", corrected).code == 0
    assert summary(scratch)["patches"]["known"] == 0
    for key in ("kept", "total", "undecodable_tiles", "warnings", "background_attention"):
        assert summary(scratch)[key] == summary(result)[key]
    one, other = (Explanation.load(folder / "explanation.zarr") for folder in (result, scratch))
    for level, attention in one.levels.items():
        np.testing.assert_array_equal(attention.rows, other.levels[level].rows)
        np.testing.assert_allclose(attention.values, other.levels[level].values, atol=1e-6)
    np.testing.assert_allclose(
        one.prediction.probabilities, other.prediction.probabilities, atol=1e-6
    )


def test_since_another_folder(maskvit, slide: Path, bundle: Path, tmp_path: Path) -> None:
    call = ("explain", slide, "--model", bundle, "-o")
    assert maskvit(*call, tmp_path / "first").code == 0
    ran = maskvit(*call, tmp_path / "second", "--since", tmp_path / "first")
    assert ran.code == 0, ran.err
    known = summary(tmp_path / "first")["patches"]["computed"]
    assert summary(tmp_path / "second")["patches"] == {"computed": 0, "known": known}
    assert f"{known} of {known} patches were known" in ran.out


def test_since_a_folder_of_several(
    maskvit, make_slide, bundle: Path, tmp_path: Path, slide: Path
) -> None:
    other = make_slide(tmp_path / "other.tif")
    call = ("explain", slide, other, "--model", bundle, "-o")
    assert maskvit(*call, tmp_path / "first").code == 0
    ran = maskvit(*call, tmp_path / "second", "--since", tmp_path / "first")
    assert ran.code == 0, ran.err
    for name in ("biopsy", "other"):
        assert summary(tmp_path / "second" / name)["patches"]["computed"] == 0
    shutil.rmtree(tmp_path / "first/other")
    ran = maskvit(*call, tmp_path / "third", "--since", tmp_path / "first")
    assert ran.code == 2
    assert "no earlier result of other.tif in" in ran.err
    assert not (tmp_path / "third").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--threshold", "0.2"], "is not used: its threshold is 0, not 0.2."),
        (["--precision", "bfloat16"], "is not used: it was computed in float32, not bfloat16."),
    ],
)
def test_what_does_not_fit_is_not_used_and_it_is_said_why(
    maskvit, slide: Path, bundle: Path, tmp_path: Path, options: list[str], says: str
) -> None:
    call = ("explain", slide, "-o", tmp_path / "r", "--model", bundle, "--device", "cpu")
    plain = ("--precision", "float32") if "--precision" not in options else ()
    assert maskvit(*call, "--precision", "float32").code == 0
    ran = maskvit(*call, *plain, *options, "--overwrite")
    assert ran.code == 0, ran.err
    assert says in ran.err
    assert summary(tmp_path / "r")["patches"]["known"] == 0
    assert "were known" not in ran.out


def test_a_damaged_result_is_not_used(maskvit, slide: Path, bundle: Path, tmp_path: Path) -> None:
    call = ("explain", slide, "-o", tmp_path / "r", "--model", bundle)
    assert maskvit(*call).code == 0
    shutil.rmtree(tmp_path / "r/explanation.zarr/features/values")
    ran = maskvit(*call, "--overwrite")
    assert ran.code == 0, ran.err
    assert "The earlier result is not used." in ran.err
    assert "is damaged" in ran.err
    assert summary(tmp_path / "r")["patches"]["known"] == 0


def test_no_result_where_one_is_asked_for(
    maskvit, slide: Path, bundle: Path, tmp_path: Path
) -> None:
    ran = maskvit("explain", slide, "-o", tmp_path / "r", "--since", tmp_path / "gone")
    assert ran.code == 2
    assert "There is no earlier result of biopsy.tif in" in ran.err
    assert not (tmp_path / "r").exists()
