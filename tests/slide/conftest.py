"""One real file of each layout, written once a session."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

# The tests are no package (import mode importlib), so that their helper is loaded by its path.
_spec = importlib.util.spec_from_file_location(
    "slide_writers", Path(__file__).parent / "writers.py"
)
writers = importlib.util.module_from_spec(_spec)
sys.modules["slide_writers"] = writers
_spec.loader.exec_module(writers)


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    """The picture that the layouts hold: 896 x 1024 px."""
    return writers.picture(896, 1024)


@pytest.fixture(scope="session")
def layout(tmp_path_factory, pixels) -> Callable[[str], Path]:
    """Path of the file of a layout in `test_layouts.LAYOUTS`, written when first asked for."""
    folder = tmp_path_factory.mktemp("layouts")
    made: dict[str, Path] = {}

    def make(name: str, write: Callable[[Path, np.ndarray], object]) -> Path:
        if name not in made:
            write(folder / name, pixels)
            made[name] = folder / name
        return made[name]

    return make
