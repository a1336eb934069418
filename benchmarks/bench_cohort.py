"""Peak memory and time of every command as a cohort grows: it must stay flat.

    python benchmarks/bench_cohort.py [--slides 10 200] [--rows 10 1000 10000]

Two cohorts of small phantoms under an untrained encoder. `slides`: hard links of five phantoms,
each extracted as a slide of its own. `rows`: a table whose rows share the features of those five,
read from the disk anew for every row, so that what grows with the table alone shows. Every command
runs as a process of its own; its peak is what the operating system says in the end.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import yaml

COMMAND = Path(sys.executable).parent / "maskvit-train"
PHANTOMS = 5
MOST_LINKS = 10_000
"""Of one file; file systems bound them."""


def write_encoder(path: Path) -> Path:
    from napari_maskvit.model import ModelConfig, build_model, save_bundle

    sizes = {"embed_dim": 64, "depth": 2, "num_heads": 2}
    facts = {
        "name": "small",
        "title": "Small encoder",
        "spacing": 1.0,
        "token_px": 16,
        "patch_px": 224,
        "region_px": 896,
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
        "patch": {"name": "vit_tiny_patch16_224", "options": sizes},
        "licence": "BSD-3-Clause",
        "training_data": "none",
    }
    return save_bundle(build_model(ModelConfig.model_validate(facts)), path)


def write_phantoms(folder: Path) -> list[Path]:
    from napari_maskvit.slide.phantom import biopsy, write_phantom

    paths = [folder / f"phantom{at}.tif" for at in range(PHANTOMS)]
    for at, path in enumerate(paths):
        spec = biopsy(1024, 640, spacing=1.0, seed=at, grade=at, cores=1, core_width=300.0)
        write_phantom(path, spec, truth=False)
    return paths


def write_cohort(folder: Path, phantoms: list[Path], encoder: Path, count: int) -> Path:
    """A recipe with a table of so many slides."""
    folder.mkdir()
    rows = ["slide,label,patient"]
    sources = list(phantoms)
    for at in range(count):
        if at and at % MOST_LINKS == 0:
            sources = [folder / f"s{at - PHANTOMS + turn:06}.tif" for turn in range(PHANTOMS)]
            sources = [_copied(source, folder / f"again{at}-{source.name}") for source in sources]
        os.link(sources[at % PHANTOMS], folder / f"s{at:06}.tif")
        rows.append(f"s{at:06}.tif,{at % PHANTOMS},p{at:06}")
    (folder / "cohort.csv").write_text("\n".join(rows) + "\n")
    recipe = {
        "name": "bench",
        "output": "run",
        "data": {"cohort": "cohort.csv"},
        "encoder": {"model": str(encoder), "device": "cpu", "precision": "float32"},
        "model": {"region_dim": 48, "region_depth": 1, "slide_dim": 48, "slide_depth": 1},
        "task": {"kind": "regression", "classes": list("01234")},
        "splits": {"folds": 3, "run": [0]},
        "optimiser": {"epochs": 1, "patience": None},
        "trainer": {"accelerator": "cpu", "keep_mb": 0},
        "evaluation": {"bootstraps": 100},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "recipe.yaml"


def _copied(source: Path, target: Path) -> Path:
    target.write_bytes(source.read_bytes())
    return target


def share_features(recipe: Path, extracted: Path, count: int) -> None:
    """Point every row of a cohort at the features of the five phantoms."""
    with (extracted / "features.csv").open(newline="") as file:
        keys = [row["features"] for row in csv.DictReader(file)]
    run = recipe.parent / "run"
    run.mkdir()
    (run / "features").symlink_to(extracted / "features")
    with (run / "features.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("slide", "features", "problem", "variants"))
        writer.writerows((f"s{at:06}.tif", keys[at % PHANTOMS], "", "") for at in range(count))


def measure(*words: str) -> tuple[float, float, str]:
    """Peak MB, seconds and last line of a command."""
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen([str(COMMAND), *words], stdout=said, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read()
    if process.returncode:
        raise SystemExit(text)
    return used.ru_maxrss / 1024, time.perf_counter() - started, text.strip().splitlines()[-1]


def tell(what: str, count: int, folder: Path, *words: str) -> None:
    peak, seconds, said = measure(*words)
    said = said.replace(str(folder), "")
    print(f"| {count} {what} | {words[0]} | {peak:.0f} | {seconds:.0f} | {said} |", flush=True)


def prepare(folder: Path) -> tuple[list[Path], Path]:
    """Phantoms and encoder, made by a process of its own: ours must stay small.

    A command's peak counts what the process that started it held at that moment.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as apart:
        phantoms = apart.submit(write_phantoms, folder)
        encoder = apart.submit(write_encoder, folder / "encoder")
        return phantoms.result(), encoder.result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slides", type=int, nargs="*", default=[10, 200])
    parser.add_argument("--rows", type=int, nargs="*", default=[10, 1000, 10_000])
    chosen = parser.parse_args()
    print("| cohort | command | peak MB | s | it said |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        phantoms, encoder = prepare(folder)
        for count in chosen.slides:
            recipe = str(write_cohort(folder / f"slides{count}", phantoms, encoder, count))
            for _ in range(2):
                tell("slides", count, folder, "features", recipe)
        first = write_cohort(folder / "first", phantoms, encoder, PHANTOMS)
        measure("features", str(first))
        for count in chosen.rows:
            path = write_cohort(folder / f"rows{count}", phantoms, encoder, count)
            share_features(path, folder / "first/run", count)
            recipe = str(path)
            for words in (("check",), ("split",), ("fit",), ("evaluate", "--no-scorecard")):
                tell("rows", count, folder, words[0], recipe, *words[1:])


if __name__ == "__main__":
    main()
