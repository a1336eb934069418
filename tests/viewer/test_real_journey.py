"""The first minutes with a real slide in a real window: open, find, correct, run, look."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.window

REAL = [
    "data/slides/CMU-1-Small-Region.svs",
    *(
        f"data/sicapv2/cores/{core}.tif"
        for core in (
            "16B0023613_3",
            "16B0023614_2",
            "16B0026795_10",
            "16B0027040_10",
            "16B0027040_12",
            "16B0027040_14",
            "17B0018428_2",
            "17B0019359_1",
            "17B0021010_0",
            "18B0006622E_0",
        )
    ),
]


@pytest.mark.parametrize("name", REAL, ids=lambda name: Path(name).stem)
def test_from_file_to_attention(name, shared, viewer, no_panel, hand, settle):
    from napari_maskvit.viewer.session import Session

    said = []
    session = Session.of(viewer)
    session.failed.connect(said.append)
    viewer.open(str(shared / name), plugin="napari-maskvit")
    session.find_tissue()
    settle(session)
    assert 0.02 < session.tissue.share < 0.9
    assert session.tissue.areas.tissue_mm2 > 0.1

    # A stroke of the eraser right through the middle of the tissue.
    rows, columns = np.nonzero(session.mask.tissue)
    middle = len(rows) // 2
    y, x = (float(one[middle]) * session.mask.spacing for one in (rows, columns))
    before = session.tissue.areas.tissue_mm2
    session.hand.pick("eraser")
    session.hand.brush_um = 60.0
    hand.drag([(y, x - 40), (y, x + 40)])
    settle(session)
    areas = session.tissue.areas
    assert areas.tissue_mm2 < before
    assert areas.removed_mm2 == pytest.approx(before - areas.tissue_mm2, abs=1e-3)

    session.use_model()
    settle(session)
    session.run()
    settle(session, timeout=300_000)
    assert said == []
    explanation = session.explanation
    assert explanation.complete
    assert explanation.statistics.background_mass == {"patch": 0.0, "region": 0.0, "slide": 0.0}
    assert explanation.prediction.label.startswith("ISUP grade group")
    layer = viewer.layers["attention: patch"]
    covered = session.mask.coverage(0, 0, layer.scale[0], *layer.data.shape) > 0
    # The mask's last pixels may reach past the slide, where no token begins.
    rows, columns = (math.ceil(um / layer.scale[0] - 1e-6) for um in session.slide.size_um)
    covered[rows:] = covered[:, columns:] = False
    np.testing.assert_array_equal(np.isfinite(layer.data), covered)
    assert np.nanmax(layer.data) > 0.9
