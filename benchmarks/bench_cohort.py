"""Peak memory and time of features, fit and evaluate as a cohort grows: it must stay flat.

    python benchmarks/bench_cohort.py [--slides 10 200]

Phantom slides, hard-linked under many names, and an untrained encoder; every command runs as a
process of its own, and its peak is what the operating system says in the end.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

COMMAND = Path(sys.executable).parent / "maskvit-train"
PHANTOMS = 5


def write_encoder(path: Path) -> Path:
    from napari_maskvit.model import ModelConfig, build_model, save_bundle

    sizes = {"embed_dim": 192, "depth": 4, "num_heads": 3}
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


def write_slides(folder: Path) -> list[Path]:
    from napari_maskvit.slide.phantom import biopsy, write_phantom

    paths = [folder / f"phantom{at}.tif" for at in range(PHANTOMS)]
    for at, path in enumerate(paths):
        spec = biopsy(2048, 1536, spacing=1.0, seed=at, grade=at, cores=1, core_width=500.0)
        write_phantom(path, spec, truth=False)
    return paths


def write_cohort(folder: Path, phantoms: list[Path], encoder: Path, count: int) -> Path:
    """A recipe with a table of so many slides."""
    folder.mkdir()
    rows = ["slide,label,patient"]
    for at in range(count):
        os.link(phantoms[at % PHANTOMS], folder / f"s{at:05}.tif")
        rows.append(f"s{at:05}.tif,{at % PHANTOMS},p{at:05}")
    (folder / "cohort.csv").write_text("\n".join(rows) + "\n")
    recipe = {
        "name": "bench",
        "output": "run",
        "data": {"cohort": "cohort.csv"},
        "encoder": {"model": str(encoder), "device": "cpu", "precision": "float32"},
        "model": {"region_depth": 1, "slide_depth": 1},
        "task": {"kind": "regression", "classes": list("01234")},
        "splits": {"folds": 3, "run": [0]},
        "optimiser": {"epochs": 1, "patience": None},
        "trainer": {"accelerator": "cpu", "keep_mb": 0},
        "evaluation": {"bootstraps": 100},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "recipe.yaml"


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slides", type=int, nargs="+", default=[10, 200])
    counts = parser.parse_args().slides
    print("| slides | command | peak MB | s | it said |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        phantoms, encoder = write_slides(folder), write_encoder(folder / "encoder")
        for count in counts:
            recipe = str(write_cohort(folder / str(count), phantoms, encoder, count))
            for words in (
                ("features", recipe),
                ("features", recipe),
                ("fit", recipe),
                ("evaluate", recipe, "--no-scorecard"),
            ):
                peak, seconds, said = measure(*words)
                said = said.replace(str(folder), "")
                print(f"| {count} | {words[0]} | {peak:.0f} | {seconds:.0f} | {said} |", flush=True)


if __name__ == "__main__":
    main()
