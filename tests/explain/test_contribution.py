"""Leaving a patch out changes the answer as erasing it from the mask does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_maskvit.errors import ExplainError
from napari_maskvit.explain import Explainer
from napari_maskvit.explain.contribution import score_of
from napari_maskvit.model import Model, build_model
from napari_maskvit.slide import Slide
from napari_maskvit.tissue import TissueMask

HEADS = ("classification", "regression", "ordinal-corn", "ordinal-coral", "survival")
CELLS = {"patch": 16, "region": 32}  # mask pixels along one side


def with_head(model: Model, head: str, position: str = "none") -> Model:
    assert model.config.slide is not None
    torch.manual_seed(3)
    config = model.config.model_copy(
        update={
            "head": head,
            "labels": ("a", "b", "c"),
            "slide": model.config.slide.model_copy(update={"position": position}),
        }
    )
    built = build_model(config)
    for module in (built.region, built.slide):
        for parameter in module.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.1)
    return built


def square(mask: TissueMask, row: int, column: int, cells: int) -> np.ndarray:
    area = np.zeros(mask.shape, bool)
    area[row * cells : (row + 1) * cells, column * cells : (column + 1) * cells] = True
    return area


@pytest.mark.parametrize("left_out", ["patch", "region"])
@pytest.mark.parametrize("head", HEADS)
def test_it_equals_erasing_from_the_mask(
    slide: Slide, model: Model, mask: TissueMask, head: str, left_out: str
) -> None:
    position = "sinusoidal-2d" if head == "ordinal-corn" else "none"
    explainer = Explainer(slide, with_head(model, head, position))
    contribution = explainer.contribution(mask, left_out)
    assert contribution is not None
    level = {"patch": "region", "region": "slide"}[left_out]
    attention = explainer.explain(mask).levels[level]
    assert {*zip(contribution.rows, contribution.columns, strict=True)} == {
        *zip(attention.rows, attention.columns, strict=True)
    }
    label = int(contribution.prediction.value) if head == "classification" else 0
    count = len(contribution.values)
    for at in range(0, count, max(1, count // 9)):
        place = int(contribution.rows[at]), int(contribution.columns[at])
        erased = explainer.without(mask, square(mask, *place, CELLS[left_out]))
        assert erased.prediction is not None
        expected = contribution.score - score_of(erased.prediction, label)
        assert contribution.values[at] == pytest.approx(expected, abs=1e-5)
    assert np.abs(contribution.values).max() > 1e-4


@pytest.mark.parametrize("threshold", [0.05, 0.2])
def test_a_region_that_falls_below_the_threshold_goes(
    slide: Slide, model: Model, mask: TissueMask, threshold: float
) -> None:
    explainer = Explainer(slide, model, threshold=threshold)
    contribution = explainer.contribution(mask)
    assert contribution is not None
    label = int(contribution.prediction.value)
    for at, place in enumerate(zip(contribution.rows, contribution.columns, strict=True)):
        erased = explainer.without(mask, square(mask, *map(int, place), 16)).prediction
        assert erased is not None
        expected = contribution.score - score_of(erased, label)
        assert contribution.values[at] == pytest.approx(expected, abs=1e-5)


def test_the_picture_is_signed_and_centred(slide: Slide, model: Model, mask: TissueMask) -> None:
    explainer = Explainer(slide, model)
    contribution = explainer.contribution(mask)
    assert contribution is not None
    heatmap = contribution.heatmap()
    low, high = heatmap.limits
    assert low == -high < 0
    assert high == pytest.approx(np.nanmax(np.abs(heatmap.array)))
    # On the tokens that were looked at, so that glass looks like glass.
    there = explainer.explain(mask).attention("patch") > 0
    np.testing.assert_array_equal(np.isfinite(heatmap.array), there)
    assert contribution.prediction.label in heatmap.legend
    rgba = heatmap.colourise()
    assert (rgba[..., 3] == np.where(there, 255, 0)).all()
    up = rgba[np.nonzero(heatmap.array == np.nanmax(heatmap.array))][0].astype(int)
    down = rgba[np.nonzero(heatmap.array == np.nanmin(heatmap.array))][0].astype(int)
    assert up[0] - up[2] > down[0] - down[2]  # red holds up, blue pulls down


def test_where_nothing_would_be_left_there_is_no_number(
    slide: Slide, model: Model, mask: TissueMask
) -> None:
    array = np.zeros_like(mask.array)
    array[20:24, 40:44] = 1
    explainer = Explainer(slide, model)
    for left_out in ("patch", "region"):
        contribution = explainer.contribution(TissueMask(array, 2.0), left_out)
        assert contribution is not None
        assert np.isnan(contribution.values).tolist() == [True]
        assert contribution.heatmap().limits[1] > 0


def test_it_says_how_far_it_is_and_stops_when_told(
    slide: Slide, model: Model, mask: TissueMask
) -> None:
    explainer = Explainer(slide, model)
    told = []
    explainer.contribution(mask, progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1]
    assert told == sorted(told)
    assert explainer.contribution(mask, cancelled=lambda: True) is None


def test_only_region_and_slide_run_again(
    slide: Slide, model: Model, mask: TissueMask, monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer = Explainer(slide, model)
    explainer.explain(mask)
    monkeypatch.setattr(explainer.model.patch, "encode", None)
    assert explainer.contribution(mask) is not None


def test_no_prediction_no_contribution(slide: Slide, model: Model, mask: TissueMask) -> None:
    config = model.config.model_copy(update={"region": None, "slide": None, "head": None})
    headless = replace(model, config=config, region=None, slide=None)
    with pytest.raises(ExplainError, match="makes no prediction, so nothing can hold it up"):
        Explainer(slide, headless).contribution(mask)
    explainer = Explainer(slide, model)
    with pytest.raises(ExplainError, match="leave out a 'patch' or a 'region'"):
        explainer.contribution(mask, "token")
    with pytest.raises(ExplainError, match="There is no tissue under the mask"):
        explainer.contribution(TissueMask(np.zeros_like(mask.array), 2.0))


@pytest.mark.parametrize(
    "area",
    [np.zeros((3, 3), bool), np.zeros((125, 175), np.uint8)],
    ids=["other pixels", "no booleans"],
)
def test_an_area_that_does_not_fit_is_refused(
    slide: Slide, model: Model, mask: TissueMask, area: np.ndarray
) -> None:
    with pytest.raises(ExplainError, match="draw it on the mask's own pixels"):
        Explainer(slide, model).without(mask, area)
    with pytest.raises(ExplainError, match="at 4 µm"):
        Explainer(slide, model).without(mask, TissueMask(mask.array, 4.0))


def test_without_an_area_is_the_mask_less_the_area(
    slide: Slide, model: Model, mask: TissueMask
) -> None:
    explainer = Explainer(slide, model)
    area = TissueMask(square(mask, 2, 3, 20).astype(np.uint8), mask.spacing)
    left = mask.array.copy()
    left[area.tissue] = 0
    expected = explainer.explain(TissueMask(left, mask.spacing))
    assert explainer.without(mask, area).prediction == expected.prediction
    assert explainer.without(mask, area.tissue).prediction == expected.prediction
