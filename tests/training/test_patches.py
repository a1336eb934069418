"""Patches become the slide they were cut from; every broken row is named."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from maskvit_training.cli import app
from maskvit_training.cohort import read_cohort
from maskvit_training.errors import CohortError
from maskvit_training.patches import PatchTable, read_patches
from maskvit_training.recipe import make_recipe
from maskvit_training.stitching import write_slides
from PIL import Image
from typer.testing import CliRunner

from napari_maskvit.slide import open_slide
from napari_maskvit.tissue import TissueMask

TABLE = PatchTable(spacing=1.0, position_spacing=0.25)
REAL = Path(__file__).parents[3] / "shared/data/sicapv2/patches.csv"
HEADER = "file,slide_id,patient_id,core,x_level0,y_level0,isup_grade,patch_label"


def picture() -> np.ndarray:
    """A smooth picture that JPEG hardly changes."""
    y, x = np.mgrid[:600, :900]
    return np.stack([x // 5, y // 4, (x + y) // 9], 2).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Overlapping patches of one picture but for a corner, and a second slide of one patch."""
    whole = picture()
    rows = [HEADER]
    for y in (0, 200, 400):
        for x in (0, 200, 400, 700):
            if (x, y) == (700, 400):
                continue
            name = f"p{y}_{x}.png"
            Image.fromarray(whole[y : y + 200, x : x + 200]).save(tmp_path / name)
            label = "G4" if (x, y) == (200, 200) else "NC"
            rows.append(f"{name},A,7,1,{4000 + 4 * x},{8000 + 4 * y},4,{label}")
    Image.fromarray(whole[:100, :100]).save(tmp_path / "B_Block_Region_3_0_0_xini_80_yini_40.png")
    rows.append("B_Block_Region_3_0_0_xini_80_yini_40.png,B,8,,,,0,")
    (tmp_path / "patches.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_the_slide_is_there_again(folder: Path):
    pieces = read_patches(folder / "patches.csv", TABLE)
    assert [(one.name, one.patient, one.label) for one in pieces] == [
        ("A_1", "7", "4"),
        ("B_3", "8", "0"),
    ]
    cohort = write_slides(folder / "out", pieces, TABLE, lambda _: None)
    with open_slide(folder / "out/A_1.tif") as slide:
        assert slide.spacing == pytest.approx(1.0)
        assert slide.shape == (600, 900)
        pixels = slide.read_region(0.0, 0.0, 900, 600)
        expected = picture()
        expected[400:, 600:] = expected[:400, 600:700] = 255
        known = np.ones((600, 900), bool)
        # JPEG smears colours over blocks of 16 px, also into the white beyond the picture's edge.
        known[384:416] = known[584:] = known[:, 584:716] = known[:, 884:] = False
        assert np.abs(pixels.astype(int) - expected)[known].max() <= 8
        assert (pixels[450:, 650:] == 255).all()
        area = TissueMask.load(folder / "out/A_1.geojson", slide)
        inside = area.coverage(0.0, 0.0, 200.0, 3, 4)
        assert inside[1, 1] == pytest.approx(1.0, abs=0.03)
        assert inside.sum() == pytest.approx(1.0, abs=0.1)
    with cohort.open() as file:
        first, second = csv.DictReader(file)
    assert first == {"slide": "A_1.tif", "label": "4", "patient": "7", "annotation": "A_1.geojson"}
    assert second["annotation"] == ""
    tree = {
        "name": "t",
        "output": "run",
        "data": {"cohort": "cohort.csv"},
        "task": {"classes": list("012345")},
    }
    cases = read_cohort(make_recipe(tree, folder / "out"))
    assert [(case.label, case.annotation is not None) for case in cases] == [(4, True), (0, False)]


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("p0_0.png,", "gone.png,", "line 2: patch not found"),
        (",A,7,1,4000,8000", ",A,9,1,4000,8000", "line 3: patient_id is '7', but '9' in line 2"),
        ("8000,4,NC", "8000,5,NC", "line 6: isup_grade is '4', but '5' in line 2"),
        (",4000,8000", ",west,8000", "line 2: no place of p0_0.png: 'west'"),
        (",4800,8000", ",4000,8000", "line 3: the same place as the patch in line 2"),
        ("p0_200.png,A", "p0_200.png,", "line 3: no slide_id"),
        ("p0_200.png,A", "patches.csv,A", "line 3: patches.csv is no picture"),
        ("isup_grade", "grade", "no column 'isup_grade'"),
    ],
)
def test_broken_rows_are_named_with_their_lines(folder: Path, old: str, new: str, named: str):
    table = folder / "patches.csv"
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new))
    with pytest.raises(CohortError, match=named):
        read_patches(table, TABLE)


def test_a_damaged_patch_costs_its_slide_alone(folder: Path):
    path = folder / "p0_0.png"
    path.write_bytes(path.read_bytes()[:200])
    told: list[str] = []
    pieces = read_patches(folder / "patches.csv", TABLE)
    write_slides(folder / "out", pieces, TABLE, told.append)
    assert any("A_1 is left out: the patch p0_0.png cannot be decoded" in one for one in told)
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["B_3.tif", "cohort.csv"]


def test_the_command_goes_on_where_it_stopped(folder: Path):
    words = ["patches", str(folder / "patches.csv"), str(folder / "out"), "--fewest", "2"]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert "1 of 2 slides" in result.output
    before = (folder / "out/A_1.tif").stat().st_mtime_ns
    CliRunner().invoke(app, words, catch_exceptions=False)
    assert (folder / "out/A_1.tif").stat().st_mtime_ns == before


@pytest.mark.skipif(not REAL.exists(), reason="the SICAPv2 patches are not on this machine")
def test_real_patches(tmp_path: Path):
    pieces = read_patches(REAL, TABLE)
    assert len(pieces) == 14
    small = next(one for one in pieces if one.name == "16B0023613_3")
    write_slides(tmp_path, [small], TABLE, lambda _: None)
    with (
        open_slide(tmp_path / "16B0023613_3.tif") as made,
        open_slide(REAL.parent / "cores/16B0023613_3.tif") as given,
    ):
        assert made.shape == given.shape
        one, two = (s.read_region(0.0, 0.0, *s.shape[::-1]).astype(int) for s in (made, given))
        assert np.abs(one - two).mean() < 3


# ---- PANDA as it is distributed ----


def test_pandas_own_files(tmp_path: Path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "images").mkdir()
    rows = ["image_id,data_provider,isup_grade,gleason_score"]
    for name, provider, grade in (("a", "radboud", 4), ("b", "karolinska", 0)):
        (tmp_path / f"images/{name}.tiff").touch()
        (tmp_path / f"masks/{name}_mask.tiff").touch()
        rows.append(f"{name},{provider},{grade},4+4")
    (tmp_path / "train.csv").write_text("\n".join(rows) + "\n")
    tree = {
        "name": "panda",
        "output": "run",
        "data": {
            "cohort": "train.csv",
            "root": "images",
            "slide": "image_id",
            "extension": ".tiff",
            "label": "isup_grade",
            "mask_folder": "masks",
            "mask_kind": "labels",
            "annotation_labels": {"radboud": [3, 4, 5], "karolinska": [2]},
        },
        "task": {"classes": list("012345")},
    }
    first, second = read_cohort(make_recipe(tree, tmp_path))
    assert first.annotation == first.mask == tmp_path / "masks/a_mask.tiff"
    assert (first.annotation_labels, second.annotation_labels) == ((3, 4, 5), (2,))
    (tmp_path / "train.csv").write_text("\n".join(rows).replace("karolinska", "elsewhere") + "\n")
    with pytest.raises(CohortError, match="line 3: data_provider is 'elsewhere'"):
        read_cohort(make_recipe(tree, tmp_path))
