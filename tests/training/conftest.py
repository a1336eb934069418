"""A recipe and a cohort table to start from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from maskvit_training.recipe import make_recipe


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tree(tmp_path: Path) -> dict:
    """A valid recipe; its cohort is `tmp_path/cohort.csv`."""
    return {
        "name": "test",
        "output": "run",
        "data": {"cohort": "cohort.csv"},
        "task": {"kind": "regression", "classes": ["0", "1", "2"]},
        "evaluation": {"bootstraps": 50},
    }


@pytest.fixture
def cohort(tree: dict, tmp_path: Path):
    """Write a table (a list of rows) and empty slides, and give the recipe that goes with it."""

    def write(header: str, *rows: str, slides: tuple[str, ...] = (), **task: object):
        (tmp_path / "cohort.csv").write_text("\n".join([header, *rows]) + "\n")
        for name in slides:
            (tmp_path / name).touch()
        tree["task"] |= task
        return make_recipe(tree, tmp_path)

    return write
