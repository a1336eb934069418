"""Every bad input has its sentence; nothing half-written stays, and the rest is done."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from maskvit_training.cli import app, main
from maskvit_training.feature_index import INDEX, read_index
from maskvit_training.recipe import load_recipe
from maskvit_training.store import store_path
from typer.testing import CliRunner

from napari_maskvit.errors import MaskvitError
from napari_maskvit.model import load_model, save_bundle
from napari_maskvit.tissue import TissueMask

EPOCHS = ("--set", "optimiser.epochs=1")
DONE_BY_OTHERS = 17
MOST_OF_THREE = 2.5
"""States: room for the best and the last, and not for a new one beside them."""


def run(folder: Path, word: str, *words: str) -> str:
    """What a command said in the end, on its way or as an error."""
    words = (word, str(folder / "recipe.yaml"), *words, *EPOCHS)
    result = CliRunner().invoke(app, list(words))
    if isinstance(result.exception, MaskvitError):
        return result.output + str(result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output


@pytest.fixture(scope="module")
def extracted(colour_cohort: Path, tmp_path_factory) -> Path:
    """The cohort with its features."""
    folder = tmp_path_factory.mktemp("extracted") / "run"
    shutil.copytree(colour_cohort, folder)
    assert "18 slides extracted" in run(folder, "features")
    return folder


@pytest.fixture
def cohort(extracted: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(extracted, tmp_path / "cohort"))


def replace(folder: Path, old: str, new: str) -> None:
    table = folder / "cohort.csv"
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new))


def features_of(folder: Path, slide: str) -> Path:
    recipe = load_recipe(folder / "recipe.yaml")
    return store_path(recipe.feature_folder, read_index(recipe.output / INDEX)[slide])


def missing_slide(folder: Path) -> None:
    (folder / "s3.tif").unlink()


def unreadable_slide(folder: Path) -> None:
    (folder / "s3.tif").write_bytes(b"II*\0 torn")


def unknown_label(folder: Path) -> None:
    replace(folder, "s3.tif,1", "s3.tif,benign")


def empty_mask(folder: Path) -> None:
    TissueMask(np.zeros((130, 200), np.uint8), 4.0).save(folder / "empty.tif")
    replace(folder, "s3.tif,1,p1,mask.tif", "s3.tif,1,p1,empty.tif")


def patient_leak(folder: Path) -> None:
    with (folder / "cohort.csv").open() as file:
        rows = list(csv.DictReader(file))
    lines = ["slide,label,patient,mask,fold"]
    for at, row in enumerate(rows):
        lines.append(",".join([*row.values(), str(at % 3)]))
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")


def nan_features(folder: Path) -> None:
    for slide in read_index(folder / "run" / INDEX):
        zarr.open_group(features_of(folder, slide), mode="a")["features"][:] = np.nan


def torn_checkpoint(folder: Path) -> None:
    (folder / "run/fold-0").mkdir()
    (folder / "run/fold-0/last.ckpt").write_bytes(b"torn")


def foreign_checkpoint(folder: Path) -> None:
    (folder / "run/fold-0").mkdir()
    torch.save({"state_dict": {}, "epoch": 3}, folder / "run/fold-0/last.ckpt")


def damaged_features(folder: Path) -> None:
    shutil.rmtree(features_of(folder, "s3.tif") / "positions")


FIT = ("fit", "--fold", "0")


@pytest.mark.parametrize(
    ("harm", "words", "said"),
    [
        (missing_slide, ("features",), "line 5: slide not found"),
        (unreadable_slide, ("features",), "s3.tif is damaged or cut short"),
        (unknown_label, ("features",), "line 5: unknown label 'benign' (known: 0, 1, 2)"),
        (empty_mask, ("features",), "The tissue mask of s3.tif is empty: give a mask with tissue"),
        (patient_leak, ("split",), "the same patient must not be on two sides of a split"),
        (nan_features, FIT, "in epoch 0 is nan: training has gone astray"),
        (torn_checkpoint, FIT, "last.ckpt cannot be opened"),
        (foreign_checkpoint, FIT, "last.ckpt cannot be opened"),
        (damaged_features, (*FIT, "--fold", "1"), "are damaged"),
    ],
)
def test_it_is_said(cohort: Path, harm: Callable[[Path], None], words: tuple[str, ...], said: str):
    harm(cohort)
    told = run(cohort, words[0], *words[1:])
    assert said in told
    assert not list(cohort.rglob("*.partial"))
    assert not list((cohort / "run").rglob("done.json"))


@pytest.mark.parametrize("harm", [unreadable_slide, empty_mask])
def test_the_rest_of_the_cohort_is_done(colour_cohort: Path, tmp_path: Path, harm):
    folder = Path(shutil.copytree(colour_cohort, tmp_path / "cohort"))
    harm(folder)
    told = run(folder, "features")
    assert f"{DONE_BY_OTHERS} slides extracted, 0 were there, 1 failed" in told
    assert "line 5" in told
    index = (folder / "run" / INDEX).read_text()
    assert "s3.tif,," in index
    assert len(read_index(folder / "run" / INDEX)) == DONE_BY_OTHERS
    assert "done:" in run(folder, "fit", "--fold", "0")


def can_mount() -> bool:
    """Whether a small disk can be made here: in a container it often cannot."""
    with tempfile.TemporaryDirectory() as place:
        try:
            done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], capture_output=True)
            return done.returncode == 0 and not subprocess.run(["umount", place]).returncode
        except OSError:
            return False


@pytest.mark.skipif(not can_mount(), reason="a small disk cannot be mounted here")
def test_a_full_disk(colour_cohort: Path, tmp_path: Path, request):
    """A real one; `test_extraction` has the same with an error in place of the disk."""
    folder = Path(shutil.copytree(colour_cohort, tmp_path / "cohort"))
    disk = folder / "run"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=True)
    request.addfinalizer(lambda: subprocess.run(["umount", str(disk)], check=True))
    told = run(folder, "features")
    assert "is full. Nothing half-written is left; make room and start again" in told
    assert not list(disk.rglob("*.partial"))
    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
    assert "0 failed" in run(folder, "features")


@pytest.mark.skipif(not can_mount(), reason="a small disk cannot be mounted here")
def test_a_full_disk_while_training(extracted: Path, tmp_path: Path, request, monkeypatch, capsys):
    """A later state does not fit: the last that did stays, and training goes on from it."""

    def end(output: Path) -> object:
        changes = [f"output={output}", "model={region_depth: 1, slide_depth: 1}"]
        options = [part for one in (*changes, "optimiser.epochs=3") for part in ("--set", one)]
        words = ["maskvit-train", "fit", str(extracted / "recipe.yaml"), "--fold", "0", *options]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    whole, disk = tmp_path / "whole", tmp_path / "disk"
    for folder in (whole, disk):
        folder.mkdir()
    room = f"size={int(MOST_OF_THREE * state_size(extracted, whole, end))}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", room, "tmpfs", str(disk)], check=True)
    request.addfinalizer(lambda: subprocess.run(["umount", str(disk)], check=True))
    link_features(extracted, disk)
    assert end(disk) == 1
    assert "Stopped. The disk is full." in capsys.readouterr().err
    assert not list(disk.rglob("*.partial"))
    assert torch.load(disk / "fold-0/last.ckpt", weights_only=False)["epoch"] == 0
    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
    assert end(disk) == 0
    one, other = (pd.read_csv(output / "fold-0/history.csv") for output in (whole, disk))
    pd.testing.assert_frame_equal(one, other, rtol=1e-3)


@pytest.mark.skipif(not can_mount(), reason="a small disk cannot be mounted here")
def test_a_full_disk_while_exporting(encoder_bundle: Path, tmp_path: Path, request):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(tmp_path)], check=True)
    request.addfinalizer(lambda: subprocess.run(["umount", str(tmp_path)], check=True))
    with pytest.raises(MaskvitError, match=r"cannot be written.*No space left"):
        save_bundle(load_model(encoder_bundle), tmp_path / "bundle")
    assert not list(tmp_path.iterdir())


def link_features(extracted: Path, output: Path) -> None:
    for name in ("features", "features.csv"):
        (output / name).symlink_to(extracted / "run" / name)


def state_size(extracted: Path, output: Path, end: Callable[[Path], object]) -> int:
    """Bytes of the state that a training writes after each epoch, beside the best one."""
    link_features(extracted, output)
    assert end(output) == 0
    return (output / "fold-0/last.ckpt").stat().st_size


def test_a_wrong_command_ends_with_one_sentence(tmp_path: Path):
    installed = Path(sys.executable).parent / "maskvit-train"
    if not installed.exists():
        pytest.skip("maskvit-train is not installed")
    result = subprocess.run(
        [str(installed), "check", str(tmp_path / "gone.yaml")], capture_output=True, text=True
    )
    assert result.returncode == 1
    assert result.stderr.startswith("Stopped. The recipe")
    assert "Traceback" not in result.stderr
