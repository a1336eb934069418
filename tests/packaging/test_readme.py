"""What the README shows works as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def biopsy(tmp_path: Path) -> Path:
    """A slide named as in the README: a pink square on glass at 0.5 µm/px."""
    rng = np.random.default_rng(1)
    picture = np.full((1024, 1024, 3), 243, np.uint8)
    stained = rng.normal((205, 130, 175), 14, (500, 600, 3)).clip(0, 255)
    picture[260:760, 200:800] = stained.astype(np.uint8)
    tifffile.imwrite(
        tmp_path / "biopsy.svs",
        picture,
        tile=(256, 256),
        photometric="rgb",
        resolution=(2e4, 2e4),
        resolutionunit=3,
        metadata=None,
    )
    return tmp_path / "biopsy.svs"


def test_the_python_lines(biopsy: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", code],
        cwd=biopsy.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (biopsy.parent / "attention.tif").is_file()
    assert (biopsy.parent / "biopsy.zarr").is_dir()


def test_the_command_lines(biopsy: Path) -> None:
    lines = [line.strip() for line in README.splitlines() if line.startswith("    maskvit ")]
    commands = [shlex.split(line, comments=True)[1:] for line in lines]
    assert [command[0] for command in commands] == ["mask", "explain", "view"]
    for command in commands[:2]:
        done = subprocess.run(
            [sys.executable, "-m", "napari_maskvit.cli", *command],
            cwd=biopsy.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert (biopsy.parent / "result/prediction.json").is_file()
    listed = re.findall(r"^\| `([\w.-]+)` \|", README, re.MULTILINE)
    made = {path.name for path in (biopsy.parent / "result").iterdir()}
    assert {name for name in listed if "LEVEL" not in name} <= made
    assert "heatmap-patch.tif" in made


def test_what_it_names_is_there() -> None:
    from napari_maskvit.model import list_models

    assert f"`{list_models()[0].name}`" in README
    make = (ROOT / "Makefile").read_text()
    for goal in re.findall(r"^    make (\w+)", README, re.MULTILINE):
        assert f"\n{goal}:" in make
    project = (ROOT / "pyproject.toml").read_text()
    for extra in set(re.findall(r"\.\[(\w+)\]", README)):
        assert f"\n{extra} = [" in project
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
