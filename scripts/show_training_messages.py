"""Write docs/when-training-goes-wrong.md: what `maskvit-train` says to each kind of bad input.

    python scripts/show_training_messages.py

Every line is what the command printed a moment ago, with the temporary folder's name taken out. A
full disk needs root and Linux, which can mount a small one.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
import yaml
import zarr
from maskvit_training.feature_index import INDEX, read_index
from maskvit_training.store import store_path

from napari_maskvit.model import ModelConfig, build_model, save_bundle
from napari_maskvit.slide.phantom import biopsy, labels_path, write_phantom

PAGE = Path(__file__).resolve().parent.parent / "docs" / "when-training-goes-wrong.md"
SLIDES = 9
FIT = ("fit", "--fold", "0")
HEAD = """# When training goes wrong

What `maskvit-train` says to each kind of bad input, and the code that it ends with (0 means that \
it went on). Nothing half-written stays behind, and what was done before stays done: mend it, and \
the same line goes on. Written by `scripts/show_training_messages.py`, which tried them all.

| input | command | exit | what it says |
|---|---|---|---|
"""

Harm = Callable[[Path], None]


def write_encoder(path: Path) -> None:
    """A small patch transformer that knows nothing."""
    torch.manual_seed(0)
    facts = {
        "name": "small", "title": "Small encoder", "spacing": 2.0, "token_px": 16, "patch_px": 64,
        "region_px": 128, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5),
        "patch": {
            "name": "vit_tiny_patch16_224",
            "options": {"embed_dim": 32, "depth": 2, "num_heads": 2},
        },
        "licence": "BSD-3-Clause", "training_data": "none",
    }  # fmt: skip
    save_bundle(build_model(ModelConfig.model_validate(facts)), path)


def write_cohort(folder: Path) -> None:
    """Nine biopsies of nine patients with their masks, a table and a recipe."""
    write_encoder(folder / "encoder")
    rows = ["slide,label,patient,mask"]
    for at in range(SLIDES):
        path = folder / f"s{at}.tif"
        write_phantom(path, biopsy(512, 384, spacing=2.0, seed=at, cores=1, core_width=260.0))
        rows.append(f"{path.name},{at % 3},p{at},{labels_path(path).name}")
    (folder / "cohort.csv").write_text("\n".join(rows) + "\n")
    recipe = {
        "name": "example",
        "output": "run",
        "data": {"cohort": "cohort.csv", "mask_kind": "labels"},
        "encoder": {"model": "encoder", "device": "cpu"},
        "model": {"region_dim": 48, "region_depth": 1, "slide_dim": 48, "slide_depth": 1},
        "task": {"kind": "regression", "classes": ["0", "1", "2"]},
        "splits": {"folds": 3},
        "optimiser": {"epochs": 1, "accumulate": 1},
        "trainer": {"accelerator": "cpu"},
        "evaluation": {"bootstraps": 20, "scorecard": 0},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))


def nothing(folder: Path) -> None:
    """All is as it should be; the words of the command are wrong."""


def in_table(old: str, new: str) -> Harm:
    """Write something else into the table."""

    def harm(folder: Path) -> None:
        text = (folder / "cohort.csv").read_text()
        assert old in text
        (folder / "cohort.csv").write_text(text.replace(old, new))

    return harm


def leak(folder: Path) -> None:
    """Folds in the table that tear a patient apart."""
    with (folder / "cohort.csv").open() as file:
        rows = list(csv.DictReader(file))
    lines = ["slide,label,patient,mask,fold"]
    for at, row in enumerate(rows):
        patient = "p2" if at == 3 else row["patient"]
        lines.append(f"{row['slide']},{row['label']},{patient},{row['mask']},{at % 3}")
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")


def several(folder: Path) -> None:
    """Three broken rows at once."""
    gone("s1.tif")(folder)
    in_table("s3.tif,0", "s3.tif,benign")(folder)
    in_table("p6,s6_labels.tif", "p6,none.tif")(folder)


def gone(name: str) -> Harm:
    """Remove a file."""
    return lambda folder: (folder / name).unlink()


def bytes_of(name: str, content: bytes) -> Harm:
    """Put something else into a file."""

    def harm(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    return harm


def labels(shape: tuple[int, int]) -> Harm:
    """A label mask without any tissue."""

    def harm(folder: Path) -> None:
        tifffile.imwrite(folder / "s3_labels.tif", np.zeros(shape, np.uint8), tile=(64, 64))

    return harm


def without_spacing(folder: Path) -> None:
    """A slide whose file says nothing of its scale."""
    pixels = tifffile.imread(folder / "s3.tif", level=0)
    tifffile.imwrite(folder / "s3.tif", pixels, photometric="rgb", tile=(128, 128), metadata=None)


def store_of(folder: Path, slide: str) -> Path:
    """Where the features of a slide lie."""
    return store_path(folder / "run/features", read_index(folder / "run" / INDEX)[slide])


def no_numbers(folder: Path) -> None:
    """Features that are not a number, of one slide that trains in fold 0."""
    with (folder / "run/splits.csv").open() as file:
        chosen = next(row["slide"] for row in csv.DictReader(file) if row["fold"] == "2")
    group: Any = zarr.open_group(store_of(folder, chosen), mode="a")
    group["features"][:] = np.nan


def half_a_store(folder: Path) -> None:
    """Features of which a part is gone."""
    shutil.rmtree(store_of(folder, "s3.tif") / "positions")


def torn_checkpoint(folder: Path) -> None:
    """Half of the state of a training that has not come to its end."""
    (folder / "run/fold-0/done.json").unlink()
    state = folder / "run/fold-0/last.ckpt"
    state.write_bytes(state.read_bytes()[: state.stat().st_size // 2])


def foreign_checkpoint(folder: Path) -> None:
    """The state of something else in place of it."""
    (folder / "run/fold-0/done.json").unlink()
    torch.save({"state_dict": {}, "epoch": 3}, folder / "run/fold-0/last.ckpt")


def untrained(folder: Path) -> None:
    """Features, and no training yet."""
    shutil.rmtree(folder / "run/fold-0")


def new_slide(folder: Path) -> None:
    """A table that has grown since its folds were drawn."""
    in_table("s8.tif", "s8b.tif")(folder)
    shutil.copyfile(folder / "s8.tif", folder / "s8b.tif")


def small_disk(kilobytes: int, *left: str) -> Harm:
    """Put the run on a disk that is too small, without some of what was done."""

    def harm(folder: Path) -> None:
        shutil.move(folder / "run", folder / "before")
        (folder / "run").mkdir()
        size = f"size={kilobytes}k"
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder / "run")], check=True
        )
        for name in left:
            (shutil.copytree if (folder / "before" / name).is_dir() else shutil.copyfile)(
                folder / "before" / name, folder / "run" / name
            )

    return harm


FEATURES = ("features",)
SET = "--set"
TRAINED = ("features", "features.csv", "splits.csv")
Case = tuple[str, Harm, tuple[str, ...]]
CASES: tuple[Case, ...] = (
    ("a field that does not exist", nothing, ("check", SET, "optimiser.speed=3")),
    ("a value that cannot be", nothing, ("check", SET, "optimiser.epochs=-1")),
    ("a table that is not there", gone("cohort.csv"), ("check",)),
    ("a table without labels", in_table("slide,label", "slide,grade"), ("check",)),
    ("a missing slide", gone("s3.tif"), FEATURES),
    ("an unknown label", in_table("s3.tif,0", "s3.tif,benign"), FEATURES),
    ("several broken rows", several, ("check",)),
    ("a patient on two sides", leak, ("split",)),
    ("fewer patients than folds", nothing, ("check", SET, "splits.folds=12")),
    ("a table that changed after its folds", new_slide, FIT),
    ("a slide that cannot be read", bytes_of("s3.tif", b"II*\0 torn"), FEATURES),
    ("a slide without a scale", without_spacing, FEATURES),
    ("an empty mask", labels((192, 256)), FEATURES),
    ("a mask of another slide", labels((64, 512)), FEATURES),
    ("no such encoder", nothing, (*FEATURES, SET, "encoder.model=resnet50")),
    ("a region that patches do not fill", nothing, (*FEATURES, SET, "encoder.region_px=100")),
    ("no such device", nothing, (*FEATURES, SET, "encoder.device=cuda:7", SET, "output=new")),
    ("training before features", nothing, (*FIT, SET, "output=new")),
    ("damaged features", half_a_store, (*FIT, SET, "seed=1")),
    ("features that are no numbers", no_numbers, FIT),
    ("a loss that leaves all bounds", untrained, (*FIT, SET, "optimiser.learning_rate=1.0e+30")),
    ("a torn checkpoint", torn_checkpoint, FIT),
    ("a checkpoint of something else", foreign_checkpoint, FIT),
    ("a training of another recipe", nothing, (*FIT, SET, "optimiser.epochs=9")),
    ("no such fold", nothing, ("fit", "--fold", "7")),
    ("evaluation before training", untrained, ("evaluate",)),
    ("a bundle before training", untrained, ("export", "bundle")),
    ("something else where the bundle goes", bytes_of("bundle/x", b"mine"), ("export", "bundle")),
    ("a full disk: features", small_disk(64), FEATURES),
    ("a full disk: training", small_disk(1300, *TRAINED), FIT),
    ("a full disk: bundle", small_disk(32), ("export", "run/bundle", SET, "output=before")),
)  # fmt: skip


def said(folder: Path, words: tuple[str, ...]) -> tuple[list[str], int]:
    """The lines that the command wrote, and its exit code."""
    word, *more = words
    done = subprocess.run(
        [sys.executable, "-m", "maskvit_training.cli", word, "recipe.yaml", *more],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "COLUMNS": "1000", "NO_COLOR": "1", "OMP_WAIT_POLICY": "PASSIVE"},
    )
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines()]
    kept = [line for line in lines if line and "━" not in line and "-:--:--" not in line]
    return [line.replace(f"{folder}{os.sep}", "").replace("|", "\\|") for line in kept], (
        done.returncode
    )


def tried(name: str, harm: Harm, words: tuple[str, ...], folder: Path) -> str:
    """The row of one case; stops where there is a traceback, or something half-written."""
    harm(folder)
    if words[0] == "features" and "output=new" not in words and not os.path.ismount(folder / "run"):
        shutil.rmtree(folder / "run")
    if words[0] == "fit" and harm in (no_numbers, half_a_store):
        shutil.rmtree(folder / "run/fold-0", ignore_errors=True)
    lines, code = said(folder, words)
    text = " ".join(lines)
    left = [str(path) for path in folder.rglob("*.partial")]
    if "Traceback" in text or not text or left:
        raise SystemExit(f"{name}: a traceback, nothing, or {left}\n{text}")
    command = " ".join(part for part in words if part != "new")
    return f"| {name} | `{command}` | {code} | {text} |"


def main() -> None:
    """Try every case and write the page."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        sound = Path(scratch) / "sound"
        sound.mkdir()
        write_cohort(sound)
        for words in (FEATURES, FIT):
            lines, code = said(sound, words)
            if code:
                raise SystemExit(" ".join(lines))
        for number, (name, harm, words) in enumerate(CASES):
            folder = Path(shutil.copytree(sound, Path(scratch) / f"case-{number}"))
            try:
                rows.append(tried(name, harm, words, folder))
            finally:
                if os.path.ismount(folder / "run"):
                    subprocess.run(["umount", str(folder / "run")], check=True)
            print(rows[-1], flush=True)
    PAGE.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
