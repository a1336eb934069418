"""An explanation knows whether a mask is the one that it was made of, and where it is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_maskvit.explain import Explainer, Explanation
from napari_maskvit.explain.outdated import outdated_patches
from napari_maskvit.model import Model
from napari_maskvit.slide import Slide
from napari_maskvit.tissue import TissueMask


@pytest.mark.parametrize("masking", [("patch", "region", "slide"), ("slide",), ("patch",), ()])
@pytest.mark.parametrize("threshold", [0.0, 0.4])
def test_nothing_is_out_of_date_under_its_own_mask(
    slide: Slide,
    model: Model,
    mask: TissueMask,
    tmp_path: Path,
    masking: tuple[str, ...],
    threshold: float,
) -> None:
    explainer = Explainer(slide, model, masking=masking, threshold=threshold)
    explanation = explainer.explain(mask)
    again = Explanation.load(explanation.save(tmp_path / "one.zarr"))
    for one in (explanation, again):
        assert not outdated_patches(one, mask).any()


def test_one_pixel_is_told_in_its_patch_alone(slide: Slide, model: Model, mask: TissueMask) -> None:
    explanation = Explainer(slide, model).explain(mask)
    tokens = explanation.levels["patch"]
    rows, columns = np.nonzero(mask.tissue)
    row, column = int(rows[len(rows) // 2]), int(columns[len(columns) // 2])
    array = mask.array.copy()
    array[row, column] = 0
    wrong = outdated_patches(explanation, TissueMask(array, mask.spacing))
    assert tokens.window is not None
    side = tokens.step * tokens.window * explanation.slide_spacing / mask.spacing
    assert [tuple(one) for one in np.argwhere(wrong)] == [(int(row // side), int(column // side))]
