"""Every real slide, as a person would run them: one command, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import tifffile

from napari_maskvit.explain import Explanation


def test_every_real_slide_in_one_command(
    shared_svs: Path, shared_cores: list[Path], tmp_path: Path
) -> None:
    slides = [shared_svs, *shared_cores]
    ran = subprocess.run(
        [sys.executable, "-m", "napari_maskvit", "explain", *slides, "-o", tmp_path / "out"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    for slide in slides:
        folder = tmp_path / "out" / slide.stem
        facts = json.loads((folder / "prediction.json").read_text())
        explanation = Explanation.load(folder / "explanation.zarr")
        heatmap = tifffile.imread(folder / "heatmap-patch.tif")
        assert facts["background_attention"] == {"patch": 0.0, "region": 0.0, "slide": 0.0}
        assert facts["prediction"]["label"].startswith("ISUP grade group")
        assert 0 < facts["kept"]["patch"] < facts["total"]["patch"]
        assert np.isfinite(heatmap).sum() == facts["kept"]["patch"]
        np.testing.assert_array_equal(heatmap, explanation.heatmap("patch").array)
        assert (folder / "overlay.png").stat().st_size > 10_000
