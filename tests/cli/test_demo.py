"""``maskvit demo`` where there is no window: the whole journey on the sample slide."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.mark.timeout(1500)
def test_the_journey_without_a_window(maskvit, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    ran = maskvit("demo", "--headless", "-o", out)
    assert ran.code == 0, ran.err
    assert str(out) in ran.out
    assert str(out / "overlay.png") in ran.out
    said = json.loads((out / "prediction.json").read_text())
    assert 0 < said["kept"]["patch"] < 0.6 * said["total"]["patch"]
    assert said["background_attention"]["patch"] == 0
    assert said["undecodable_tiles"] == 0


def test_it_leaves_foreign_folders_alone(maskvit, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("precious")
    ran = maskvit("demo", "--headless", "-o", tmp_path)
    assert ran.code == 2
    assert "something else" in ran.err
