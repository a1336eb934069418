"""How the program starts: quickly, and with help for each command."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMMANDS = ("demo", "view", "mask", "explain", "models", "doctor")
HEAVY = ("torch", "timm", "torchvision", "napari", "qtpy", "skimage", "tifffile", "zarr", "dask")


def test_help_names_every_command(maskvit) -> None:
    ran = maskvit("--help")
    assert ran.code == 0
    assert all(f" {command} " in ran.out for command in COMMANDS)
    assert "not for clinical use" in ran.out


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(maskvit, command: str) -> None:
    ran = maskvit(command, "--help")
    assert ran.code == 0
    assert "Usage: maskvit " + command in ran.out


def test_starting_imports_nothing_heavy() -> None:
    ask = f"import sys, napari_maskvit.cli; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_version(maskvit) -> None:
    import napari_maskvit

    ran = maskvit("--version")
    assert ran.code == 0
    assert ran.out.strip() == napari_maskvit.__version__


def test_a_wrong_command_is_told(maskvit) -> None:
    ran = maskvit("explane")
    assert ran.code == 2
    assert "No such command" in ran.err
