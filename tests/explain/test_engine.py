"""One engine: exact, blind to background, sparing, interruptible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_maskvit.errors import ExplainError, SpacingUnknown
from napari_maskvit.explain import Explainer, Explanation
from napari_maskvit.explain import engine as engine_module
from napari_maskvit.model import Model
from napari_maskvit.slide import Slide
from napari_maskvit.tissue import TissueMask

from .conftest import SHAPE, SPACING, write_slide

MASKINGS = [
    ("patch", "region", "slide"),
    ("patch", "slide"),
    ("region", "slide"),
    ("patch",),
    ("region",),
    ("slide",),
    (),
]


def kept_pixels(explainer: Explainer, mask: TissueMask) -> np.ndarray:
    """(height, width) of level 0: pixels whose centre lies in a kept token."""
    lattice = explainer.lattice
    t, step = lattice.tokens_per_side, lattice.step("patch")
    tokens = np.zeros(lattice.shape("patch"), bool)
    for patch in explainer.plan(mask).patches():
        tokens[patch.row * t : (patch.row + 1) * t, patch.column * t : (patch.column + 1) * t] = (
            patch.kept
        )
    y = ((np.arange(SHAPE[0]) + 0.5) / step).astype(int)
    x = ((np.arange(SHAPE[1]) + 0.5) / step).astype(int)
    return tokens[y[:, None], x[None]]


def assert_equal(left: Explanation, right: Explanation, tolerance: float = 0.0) -> None:
    assert list(left.levels) == list(right.levels)
    for name in left.levels:
        for head in range(left.levels[name].heads):
            one, other = left.attention(name, head), right.attention(name, head)
            np.testing.assert_array_equal(one > 0, other > 0)
            np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)
    assert left.prediction is not None
    assert right.prediction is not None
    np.testing.assert_allclose(
        left.prediction.probabilities, right.prediction.probabilities, rtol=0, atol=tolerance
    )


def dense(model: Model, slide: Slide, explainer: Explainer, mask: TissueMask) -> np.ndarray:
    """Logits with every patch and region computed, background at -inf: the textbook way."""
    lattice, plan = explainer.lattice, explainer.plan(mask)
    n, side = lattice.patches_per_side, lattice.patch_px
    regions = []
    for index, (row, column) in enumerate(plan.regions):
        images = np.stack(
            [
                slide.read_region((column * n + j) * side, (row * n + i) * side, side, side)
                for i in range(n)
                for j in range(n)
            ]
        )
        inputs = (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
        tokens = torch.from_numpy(plan.token_kept[index].reshape(n * n, -1))
        with torch.inference_mode():
            features = model.patch(inputs, tokens)
            patches = torch.from_numpy(plan.patch_kept[index].reshape(1, -1))
            regions.append(model.region(features[None], patches)[0])
    with torch.inference_mode():
        return model.slide.eval()(torch.stack(regions)[None])[0][0].numpy()


@pytest.mark.parametrize("masking", MASKINGS, ids="+".join)
def test_prediction_equals_the_textbook_at_every_subset_of_levels(
    slide: Slide, model: Model, mask: TissueMask, masking: tuple[str, ...]
) -> None:
    explainer = Explainer(slide, model, masking=masking, device="cpu", precision="float32")
    explanation = explainer.explain(mask)
    expected = model.predict(torch.from_numpy(dense(model, slide, explainer, mask)))
    assert explanation.prediction is not None
    np.testing.assert_allclose(
        explanation.prediction.probabilities, expected.probabilities, atol=1e-5
    )


@pytest.mark.parametrize("spacing", [SPACING, 0.3], ids=["as it is", "resampled"])
def test_blind_to_background_to_the_bit(
    opened: Callable[..., Slide],
    tmp_path: Path,
    pixels: np.ndarray,
    model: Model,
    mask: TissueMask,
    spacing: float,
) -> None:
    mask = TissueMask(mask.array, spacing=2.0 * spacing / SPACING)
    original = opened(write_slide(tmp_path / "original.tif", pixels, spacing))
    explainer = Explainer(original, model)
    noise = np.random.default_rng(1).integers(0, 256, pixels.shape, dtype=np.uint8)
    kept = kept_pixels(explainer, mask)
    assert 0.1 < kept.mean() < 0.7
    changed = np.where(kept[..., None], pixels, noise)
    assert not np.array_equal(changed, pixels)
    overwritten = opened(write_slide(tmp_path / "overwritten.tif", changed, spacing))
    assert_equal(explainer.explain(mask), Explainer(overwritten, model).explain(mask))


def test_plain_attention_is_not_blind(
    opened: Callable[..., Slide],
    tmp_path: Path,
    pixels: np.ndarray,
    slide: Slide,
    model: Model,
    mask: TissueMask,
) -> None:
    explainer = Explainer(slide, model, masking=())
    black = np.where(kept_pixels(Explainer(slide, model), mask)[..., None], pixels, 0)
    other = opened(write_slide(tmp_path / "black.tif", black.astype(np.uint8)))
    left, right = explainer.explain(mask), Explainer(other, model, masking=()).explain(mask)
    assert np.abs(left.attention("patch") - right.attention("patch")).max() > 1e-3
    assert left.statistics.background_mass["patch"] > 0.2


def test_masked_attention_on_background_is_exactly_zero(
    slide: Slide, model: Model, mask: TissueMask
) -> None:
    explanation = Explainer(slide, model).explain(mask)
    assert set(explanation.statistics.background_mass.values()) == {0.0}
    for level, side in (("patch", 8.0), ("region", 32.0), ("slide", 64.0)):
        attention = explanation.attention(level)
        covered = mask.coverage(0, 0, side, *attention.shape) > 0
        assert (attention[~covered] == 0).all()
        assert (attention[covered] > 0).all()


def test_background_tiles_are_never_decoded(slide: Slide, model: Model, mask: TissueMask) -> None:
    explainer = Explainer(slide, model)
    explainer.explain(mask)
    kept = kept_pixels(explainer, mask)
    tiles = {
        (0, row, column)
        for row in range(8)
        for column in range(11)
        if kept[row * 64 : row * 64 + 64, column * 64 : column * 64 + 64].any()
    }
    assert set(slide.cache.decoded) == tiles


def test_a_correction_costs_only_the_patches_that_it_touched(
    slide: Slide, model: Model, mask: TissueMask
) -> None:
    explainer = Explainer(slide, model, precision="float32")
    first = explainer.explain(mask)
    changed = mask.array.copy()
    changed[30:46, 40:56] = 0
    corrected = TissueMask(changed, mask.spacing)
    second = explainer.explain(corrected)
    assert first.statistics.cached_patches == 0
    assert 1 <= second.statistics.computed_patches <= 4
    assert_equal(
        second, Explainer(slide, model, precision="float32").explain(corrected), tolerance=1e-6
    )
    undone = explainer.explain(mask)
    assert undone.statistics.computed_patches == 0
    assert_equal(undone, first, tolerance=1e-6)


def test_a_small_cache_forgets_and_still_answers(
    slide: Slide, model: Model, mask: TissueMask
) -> None:
    explainer = Explainer(slide, model, cache_bytes=5000)
    first = explainer.explain(mask)
    assert explainer.cache.nbytes <= 5000
    assert_equal(explainer.explain(mask), first, tolerance=1e-6)


def test_focus_comes_first(slide: Slide, model: Model, mask: TissueMask) -> None:
    explainer = Explainer(slide, model)
    explainer.token_budget = 16
    step = next(explainer.stream(mask, focus=(400.0, 250.0)))
    assert {(patch.row, patch.column) for patch in step.fresh} == {(3, 6)}


def test_partial_results_grow_and_the_last_equals_the_whole(
    slide: Slide, model: Model, mask: TissueMask
) -> None:
    explainer = Explainer(slide, model)
    explainer.token_budget = 32
    seen, done = [], []

    def watch(step) -> None:
        done.append(step.done)
        snapshot = step.snapshot()
        assert not snapshot.complete
        assert snapshot.prediction is None
        seen.append(len(snapshot.levels["patch"].rows))

    explanation = explainer.explain(mask, progress=watch)
    assert explanation.complete
    assert len(seen) > 5
    assert seen == sorted(seen)
    assert done[-1] == explanation.statistics.kept["region"]
    assert seen[-1] == explanation.statistics.kept["patch"]


def test_cancelling_keeps_what_is_done(slide: Slide, model: Model, mask: TissueMask) -> None:
    explainer = Explainer(slide, model, precision="float32")
    explainer.token_budget = 32
    partial = explainer.explain(mask, cancelled=lambda: True)
    assert not partial.complete
    assert any("not finished" in warning for warning in partial.warnings)
    again = explainer.explain(mask)
    assert 0 < again.statistics.cached_patches == partial.statistics.computed_patches
    assert_equal(again, Explainer(slide, model, precision="float32").explain(mask), tolerance=1e-6)


def test_out_of_memory_halves_the_batch_and_goes_on(
    slide: Slide, model: Model, mask: TissueMask, monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer = Explainer(slide, model, precision="float32")
    expected = Explainer(slide, model, precision="float32").explain(mask)
    encode = explainer.model.patch.encode
    sizes = []

    def cramped(tokens, positions, lengths):
        sizes.append(len(tokens))
        if len(tokens) > 60:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return encode(tokens, positions, lengths)

    monkeypatch.setattr(explainer.model.patch, "encode", cramped)
    assert_equal(explainer.explain(mask), expected, tolerance=1e-6)
    assert max(sizes) > 60
    assert explainer.token_budget < engine_module.TOKEN_BUDGET["cpu"]


def test_no_memory_for_a_single_patch_is_said(
    slide: Slide, model: Model, mask: TissueMask, monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer = Explainer(slide, model)

    def full(*_):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(explainer.model.patch, "encode", full)
    with pytest.raises(ExplainError, match="Not enough memory on cpu for a single patch"):
        explainer.explain(mask)


def test_other_errors_are_not_taken_for_lack_of_memory(
    slide: Slide, model: Model, mask: TissueMask, monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer = Explainer(slide, model)

    def broken(*_):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(explainer.model.patch, "encode", broken)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        explainer.explain(mask)


def test_an_empty_mask_answers_nothing(slide: Slide, model: Model, mask: TissueMask) -> None:
    explanation = Explainer(slide, model).explain(TissueMask(np.zeros_like(mask.array), 2.0))
    assert explanation.complete
    assert explanation.prediction is None
    assert (explanation.attention("patch") == 0).all()
    assert any("holds no tissue" in warning for warning in explanation.warnings)
    assert not slide.cache.decoded


def test_an_encoder_alone_gives_its_level(slide: Slide, model: Model, mask: TissueMask) -> None:
    config = model.config.model_copy(update={"region": None, "slide": None, "head": None})
    explanation = Explainer(slide, replace(model, config=config, region=None, slide=None)).explain(
        mask
    )
    assert explanation.heatmap_levels == ("patch",)
    assert explanation.prediction is None
    with pytest.raises(ExplainError, match="no 'region' level here; it has: patch"):
        explanation.attention("region")


def test_undecodable_tiles_are_background(
    opened: Callable[..., Slide], tmp_path: Path, pixels: np.ndarray, model: Model, mask: TissueMask
) -> None:
    import tifffile

    path = write_slide(tmp_path / "damaged.tif", pixels)
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[0].dataoffsets[3 * 11 + 6]
    data = bytearray(path.read_bytes())
    data[offset : offset + 40] = b"x" * 40
    path.write_bytes(data)
    explanation = Explainer(opened(path), model, precision="float32").explain(mask)
    assert explanation.statistics.undecodable_tiles == 1
    assert (explanation.attention("patch")[12:16, 24:28] == 0).all()
    assert explanation.attention("region")[3, 6] == 0
    assert any("1 tile" in warning for warning in explanation.warnings)
    without = mask.array.copy()
    without[3 * 16 : 4 * 16, 6 * 16 : 7 * 16] = 0
    whole = opened(write_slide(tmp_path / "whole.tif", pixels))
    assert_equal(
        explanation,
        Explainer(whole, model, precision="float32").explain(TissueMask(without, 2.0)),
        1e-6,
    )


@pytest.mark.parametrize(
    ("spacing", "error", "says"),
    [
        (None, SpacingUnknown, "spacing"),
        (8.0, ExplainError, "has 8 µm per pixel, but 'A tiny model' was trained at 0.5"),
    ],
)
def test_slides_that_the_model_cannot_see_are_refused(
    opened: Callable[..., Slide],
    tmp_path: Path,
    pixels: np.ndarray,
    model: Model,
    spacing: float | None,
    error: type[Exception],
    says: str,
) -> None:
    import tifffile

    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, pixels, tile=(64, 64), photometric="rgb")
    with pytest.raises(error, match=says):
        Explainer(opened(path, spacing=spacing), model)


def test_an_enlarged_slide_is_warned_of(
    opened: Callable[..., Slide], tmp_path: Path, pixels: np.ndarray, model: Model
) -> None:
    slide = opened(write_slide(tmp_path / "coarse.tif", pixels[:128, :128], spacing=0.8))
    mask = TissueMask(np.ones((50, 50), np.uint8), spacing=2.0)
    warnings = Explainer(slide, model).explain(mask).warnings
    assert any("enlarged" in warning for warning in warnings)
    assert warnings[-1] == "Random weights."
