"""``maskvit explain``: each thing that can be wrong is one sentence and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_maskvit.cli.output import SUMMARY

REFUSED = {
    "no such slide": (["gone.svs", "-o", "r"], ["no slide at gone.svs"]),
    "no such mask": (["biopsy.tif", "-o", "r", "--mask", "gone.tif"], ["no tissue mask", "gone"]),
    "unknown level": (
        ["biopsy.tif", "-o", "r", "--masking", "patch,tile"],
        ["'patch,tile'", "patch, region, slide", "none"],
    ),
    "a file in the way": (["biopsy.tif", "-o", "notes.txt"], ["notes.txt is a file"]),
    "below a file": (["biopsy.tif", "-o", "notes.txt/r"], ["cannot be written"]),
    "a foreign folder": (["biopsy.tif", "-o", "photos"], ["photos", "something else"]),
    "even to overwrite": (["biopsy.tif", "-o", "photos", "--overwrite"], ["something else"]),
    "an earlier result": (["biopsy.tif", "-o", "earlier"], ["earlier result", "--overwrite"]),
    "twice one name": (["biopsy.tif", "other/biopsy.tif", "-o", "r"], ["named biopsy", "separate"]),
    "a mask for each": (
        ["biopsy.tif", "second.tif", "-o", "r", "--mask", "masks"],
        ["no mask for second.tif", "second.geojson"],
    ),
    "no such model": (
        ["biopsy.tif", "-o", "r", "--model", "nobody"],
        ["nobody"],
    ),
    "no such device": (["biopsy.tif", "-o", "r", "--device", "tpu"], ["tpu", "cpu"]),
    "no such precision": (["biopsy.tif", "-o", "r", "--precision", "int4"], ["int4", "float32"]),
    "no slide inside": (["notes.txt", "-o", "r"], ["notes.txt"]),
    "a truncated slide": (["half.tif", "-o", "r"], ["half.tif"]),
    "no spacing": (["unscaled.tif", "-o", "r"], ["unscaled.tif", "--spacing", "0.25"]),
    "a mask of nothing": (["biopsy.tif", "-o", "r", "--mask", "notes.txt"], ["notes.txt"]),
}


@pytest.fixture
def desk(slide: Path, unscaled_slide: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with slides, and with things that are in the way."""
    here = slide.parent
    monkeypatch.chdir(here)
    (here / "notes.txt").write_text("precious")
    (here / "photos").mkdir()
    (here / "photos/cat.jpg").write_text("precious")
    (here / "earlier").mkdir()
    (here / "earlier" / SUMMARY).write_text("precious")
    (here / "masks").mkdir()
    (here / "masks/biopsy.tif").write_text("")
    (here / "half.tif").write_bytes(slide.read_bytes()[:900])
    for name in ("second.tif", "other/biopsy.tif"):
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_bytes(slide.read_bytes())
    return here


@pytest.mark.parametrize("case", REFUSED)
def test_it_says_what_to_do(maskvit, desk: Path, case: str) -> None:
    arguments, words = REFUSED[case]
    before = sorted(desk.rglob("*"))
    ran = maskvit("explain", *arguments)
    assert ran.code == 2, ran.err
    lines = [line for line in ran.err.splitlines() if line.strip()]
    assert len(lines) == 1, ran.err
    assert all(word in lines[0] for word in words), lines[0]
    assert "Traceback" not in ran.err
    assert sorted(desk.rglob("*")) == before
    assert (desk / "notes.txt").read_text() == "precious"


@pytest.mark.parametrize("place", ["front", "end"])
def test_debug_shows_where_it_came_from(maskvit, desk: Path, place: str) -> None:
    arguments = ["explain", "gone.svs", "-o", "r"]
    arguments.insert(0 if place == "front" else 4, "--debug")
    ran = maskvit(*arguments)
    assert ran.code == 2
    assert "Traceback" in ran.err
    assert "no slide at gone.svs" in ran.err.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments", [["biopsy.tif"], ["biopsy.tif", "-o", "r", "--threshold", "2"]]
)
def test_wrong_use_is_told(maskvit, desk: Path, arguments: list[str]) -> None:
    ran = maskvit("explain", *arguments)
    assert ran.code == 2
    assert "Usage: maskvit explain" in ran.err
