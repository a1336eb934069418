"""Write docs/when-things-go-wrong.md: what the command line says to each kind of bad input.

    python scripts/show_messages.py

Every line is what the command printed a moment ago, with the temporary folder's name taken out.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from napari_maskvit.slide.phantom import biopsy, write_phantom

PAGE = Path(__file__).resolve().parent.parent / "docs" / "when-things-go-wrong.md"
SPACING = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}
TILED = {"tile": (256, 256), "metadata": None}
RNG = np.random.default_rng(0)

Make = Callable[[Path, Path], list[str]]
"""From an empty folder and a sound slide to the arguments of ``maskvit``."""


def picture(height: int = 1024, width: int = 1024) -> np.ndarray:
    """Glass with a pink square."""
    pixels = np.full((height, width, 3), 243, np.uint8)
    pixels[200:700, 200:700] = np.array([200, 140, 185]) + RNG.integers(-20, 20, (500, 500, 3))
    return pixels


def slide_case(name: str, write: Callable[[Path], object], *options: str) -> Make:
    """Explain a file that ``write`` makes."""

    def make(folder: Path, sound: Path) -> list[str]:
        write(folder / name)
        return ["explain", str(folder / name), "-o", str(folder / "out"), *options]

    return make


def on_sound(*arguments: str) -> Make:
    """Explain the sound slide with arguments that do not fit it."""

    def make(folder: Path, sound: Path) -> list[str]:
        return ["explain", str(sound), "-o", str(folder / "out"), *arguments]

    return make


def cut(path: Path, sound: Path, share: float) -> None:
    """A slide whose copy broke off."""
    content = sound.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def damaged(path: Path) -> None:
    """A slide whose tiles in the middle were overwritten."""
    tifffile.imwrite(path, picture(), photometric="rgb", compression="jpeg", **TILED, **SPACING)
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    with path.open("r+b") as raw:
        for offset, count in places[5:7]:
            raw.seek(offset)
            raw.write(RNG.bytes(count))


def broken_off(folder: Path, sound: Path) -> list[str]:
    """The arguments for a slide of which a third was copied."""
    cut(folder / "cut.tif", sound, 0.3)
    return ["explain", str(folder / "cut.tif"), "-o", str(folder / "out")]


def mask_of_another(folder: Path, sound: Path) -> list[str]:
    """A mask whose proportions are another slide's."""
    Image.fromarray(np.ones((50, 900), np.uint8)).save(folder / "mask.png")
    return [
        "explain", str(sound), "-o", str(folder / "out"), "--mask", str(folder / "mask.png")
    ]  # fmt: skip


def empty_mask(folder: Path, sound: Path) -> list[str]:
    """A mask of the right size with nothing in it."""
    with tifffile.TiffFile(sound) as file:
        height, width = file.pages.first.shape[:2]
    Image.fromarray(np.zeros((height // 8, width // 8), np.uint8)).save(folder / "mask.png")
    return [
        "explain", str(sound), "-o", str(folder / "out"), "--mask", str(folder / "mask.png")
    ]  # fmt: skip


def something_in_the_way(folder: Path, sound: Path) -> list[str]:
    """A folder of somebody's own where the result is to go."""
    (folder / "out").mkdir()
    (folder / "out" / "thesis.txt").write_text("mine")
    return ["explain", str(sound), "-o", str(folder / "out"), "--overwrite"]


def bundle_without_weights(folder: Path, sound: Path) -> list[str]:
    """A model folder that holds no weights."""
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text("{}")
    return ["explain", str(sound), "-o", str(folder / "out"), "--model", str(folder / "model")]


CASES: dict[str, Make] = {
    "no such file": lambda folder, _: ["explain", str(folder / "gone.svs"), "-o", "out"],
    "a text file named .svs": slide_case("notes.svs", lambda path: path.write_text("a,b\n" * 99)),
    "an empty file": slide_case("empty.tif", lambda path: path.write_bytes(b"")),
    "a slide whose copy broke off": broken_off,
    "tiles that cannot be decoded": slide_case("damaged.tif", damaged),
    "no spacing in the file": slide_case(
        "plain.tif", lambda path: tifffile.imwrite(path, picture(), photometric="rgb", **TILED)
    ),
    "a photograph (JPEG without spacing)": slide_case(
        "camera.jpg", lambda path: Image.fromarray(picture()).save(path)
    ),
    "too coarse for the model": slide_case(
        "coarse.tif",
        lambda path: tifffile.imwrite(path, picture(), photometric="rgb", **TILED),
        "--spacing",
        "8",
    ),
    "grayscale": slide_case(
        "gray.tif",
        lambda path: tifffile.imwrite(
            path, picture()[..., 0], photometric="minisblack", **TILED, **SPACING
        ),
    ),
    "16 bit": slide_case(
        "deep.tif",
        lambda path: tifffile.imwrite(
            path, picture().astype(np.uint16) * 16, photometric="rgb", **TILED, **SPACING
        ),
    ),
    "floating point": slide_case(
        "float.tif",
        lambda path: tifffile.imwrite(
            path, picture().astype(np.float32), photometric="rgb", **TILED, **SPACING
        ),
    ),
    "nothing but glass": slide_case(
        "glass.tif",
        lambda path: tifffile.imwrite(
            path, np.full((1024, 1024, 3), 243, np.uint8), photometric="rgb", **TILED, **SPACING
        ),
    ),
    "a mask of another slide": mask_of_another,
    "an empty mask": empty_mask,
    "no such model": on_sound("--model", "resnet50"),
    "a damaged model folder": bundle_without_weights,
    "no such level": on_sound("--masking", "patch,cell"),
    "no such device": on_sound("--device", "cuda:7"),
    "something else where the result is to go": something_in_the_way,
}


def said(arguments: list[str], folder: Path) -> tuple[list[str], int]:
    """The lines that ``maskvit`` wrote, and its exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "napari_maskvit", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "COLUMNS": "1000", "NO_COLOR": "1", "OMP_WAIT_POLICY": "PASSIVE"},
    )
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines()]
    kept = [line for line in lines if line and "━" not in line]
    plain = [line.replace(f"{folder}{os.sep}", "").replace("|", "\\|") for line in kept]
    return plain, done.returncode


def main() -> None:
    """Try every case and write the page."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        sound = Path(scratch) / "biopsy.tif"
        write_phantom(sound, biopsy(1600, 1200, cores=1, core_length=600.0, seed=1), truth=False)
        usual, _ = said(on_sound()(Path(scratch), sound), Path(scratch))
        for number, (name, make) in enumerate(CASES.items()):
            folder = Path(scratch) / f"case-{number}"
            folder.mkdir()
            lines, code = said(make(folder, sound), folder)
            # Of a run that went on, only what is not said of every slide.
            lines = [line for line in lines if code or line.startswith("Mind:")]
            words = " ".join(line for line in lines if line not in usual)
            words = words.replace(f"{scratch}{os.sep}", "")
            if "Traceback" in words or not words:
                raise SystemExit(f"{name}: a traceback, or nothing\n{words}")
            rows.append(f"| {name} | {code} | {words} |")
            print(rows[-1], flush=True)
    head = (
        "# When things go wrong\n\n"
        "What `maskvit explain` says to each kind of bad input, and the code that it ends with (0 "
        "means that it went on). In the window the same sentences come up in a corner. Written by "
        "`scripts/show_messages.py`, which tried them all.\n\n"
        "| input | exit | what it says |\n|---|---|---|\n"
    )
    PAGE.write_text(head + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
