"""A saved explanation is enough to go on from: exactly, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_maskvit.errors import ExplainError
from napari_maskvit.explain import Explainer, Explanation
from napari_maskvit.model import Model
from napari_maskvit.slide import Slide
from napari_maskvit.tissue import TissueMask

from .conftest import write_slide

ARRAYS = ("rows", "columns", "values", "coverage")
MASKINGS = [("patch", "region", "slide"), ("region", "slide"), ("patch",), ()]
SETTINGS = {"device": "cpu", "precision": "float32"}


@pytest.fixture(scope="module")
def named(model: Model) -> Model:
    """The small model with a checksum, as every model from a bundle has."""
    return replace(model, sha256="1" * 64)


def stroke(mask: TissueMask) -> TissueMask:
    array = mask.array.copy()
    array[60:75, 90:120] = 1 - array[60:75, 90:120]
    return TissueMask(array, mask.spacing)


def saved(explanation: Explanation, folder: Path) -> Explanation:
    return Explanation.load(explanation.save(folder / "saved.zarr"))


def assert_same(left: Explanation, right: Explanation, exact: tuple[str, ...] = ()) -> None:
    assert left.statistics.kept == right.statistics.kept
    assert left.levels.keys() == right.levels.keys()
    for name, one in left.levels.items():
        tolerance = 0.0 if name in exact else 1e-6
        for array in ARRAYS:
            ours, theirs = getattr(one, array), getattr(right.levels[name], array)
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)
    assert left.prediction is not None
    assert right.prediction is not None
    np.testing.assert_allclose(
        left.prediction.probabilities, right.prediction.probabilities, rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("masking", MASKINGS, ids="+".join)
def test_a_stroke_after_a_restart_is_one_without(
    slide: Slide, named: Model, mask: TissueMask, tmp_path: Path, masking: tuple[str, ...]
) -> None:
    explainer = Explainer(slide, named, masking=masking, **SETTINGS)
    first = explainer.explain(mask)
    again = Explainer(slide, named, masking=masking, **SETTINGS)
    recalled = again.recall(saved(first, tmp_path))
    assert (recalled.patches, recalled.reason) == (first.statistics.computed_patches, "")
    same = again.explain(mask)
    assert same.statistics.computed_patches == 0
    assert_same(same, first, exact=("patch",))
    there, back = explainer.explain(stroke(mask)), again.explain(stroke(mask))
    assert_same(back, there, exact=("patch",))
    counts = back.statistics.computed_patches, back.statistics.cached_patches
    assert counts == (there.statistics.computed_patches, there.statistics.cached_patches)
    scratch = Explainer(slide, named, masking=masking, **SETTINGS).explain(stroke(mask))
    assert_same(back, scratch)


def test_what_is_recalled_can_be_saved_and_recalled_again(
    slide: Slide, named: Model, mask: TissueMask, tmp_path: Path
) -> None:
    explanation = Explainer(slide, named, **SETTINGS).explain(mask)
    count = explanation.statistics.computed_patches
    for turn in range(3):
        again = Explainer(slide, named, **SETTINGS)
        assert again.recall(saved(explanation, tmp_path)).patches == count, turn
        explanation = again.explain(mask)
        assert explanation.statistics.computed_patches == 0


def test_a_cancelled_run_is_gone_on_from(
    slide: Slide, named: Model, mask: TissueMask, tmp_path: Path
) -> None:
    explainer = Explainer(slide, named, **SETTINGS)
    explainer.token_budget = 32
    partial = explainer.explain(mask, cancelled=lambda: True)
    done = partial.statistics.computed_patches
    again = Explainer(slide, named, **SETTINGS)
    assert again.recall(saved(partial, tmp_path)).patches == done > 0
    assert again.explain(mask).statistics.cached_patches == done


def test_an_encoder_alone_is_gone_on_from(
    slide: Slide, named: Model, mask: TissueMask, tmp_path: Path
) -> None:
    config = named.config.model_copy(update={"region": None, "slide": None, "head": None})
    alone = replace(named, config=config, region=None, slide=None)
    first = Explainer(slide, alone, **SETTINGS).explain(mask)
    again = Explainer(slide, alone, **SETTINGS)
    assert again.recall(saved(first, tmp_path)).patches == first.statistics.computed_patches


OTHERS = {
    "slide": ({"slide_identity": "2", "slide_name": "core"}, "of another slide, core"),
    "file": ({"slide_identity": "2"}, "the file of the slide is another one, or has changed"),
    "model": ({"model_sha256": "2" * 64}, "another model made it, 'A tiny model'"),
    "no model": ({"model_sha256": ""}, "another model made it"),
    "spacing": ({"slide_spacing": 0.25}, "pixels to be 0.25 µm wide"),
    "precision": ({"precision": "bfloat16"}, "computed in bfloat16, not float32"),
    "device": ({"device": "cuda:1"}, "computed on cuda, not cpu"),
    "masking": ({"masking": ()}, "masks nothing, not patch, region, slide"),
    "threshold": ({"threshold": 0.25}, "threshold is 0.25, not 0"),
    "older": ({"features": None}, "did not keep what is needed"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_nothing_is_taken_from_another(
    slide: Slide, named: Model, mask: TissueMask, what: str
) -> None:
    changes, says = OTHERS[what]
    explainer = Explainer(slide, named, **SETTINGS)
    other = replace(explainer.explain(mask), **changes)
    again = Explainer(slide, named, **SETTINGS)
    recalled = again.recall(other)
    assert recalled.patches == 0
    assert says in recalled.reason
    assert len(again.cache) == 0


@pytest.mark.parametrize("change", [{"mean": (0.4, 0.5, 0.5)}, {"std": (1.0, 0.5, 0.5)}])
def test_the_same_weights_on_other_pixels_are_another_model(
    slide: Slide, named: Model, mask: TissueMask, change: dict
) -> None:
    config = named.config.model_copy(update=change)
    other = Explainer(slide, replace(named, config=config), **SETTINGS).explain(mask)
    recalled = Explainer(slide, named, **SETTINGS).recall(other)
    assert (recalled.patches, "settings made it" in recalled.reason) == (0, True)


def test_a_model_without_a_checksum_is_never_taken_for_another(
    slide: Slide, model: Model, mask: TissueMask
) -> None:
    explanation = Explainer(slide, model, **SETTINGS).explain(mask)
    assert Explainer(slide, model, **SETTINGS).recall(explanation).patches == 0


@pytest.fixture
def damaged(
    opened: Callable[..., Slide], tmp_path: Path, pixels: np.ndarray
) -> Callable[[], Slide]:
    """Opens a slide of which one tile cannot be decoded."""
    import tifffile

    path = write_slide(tmp_path / "damaged.tif", pixels)
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[0].dataoffsets[3 * 11 + 6]
    data = bytearray(path.read_bytes())
    data[offset : offset + 40] = b"x" * 40
    path.write_bytes(data)
    return lambda: opened(path)


def test_what_could_not_be_decoded_is_tried_again(
    damaged: Callable[[], Slide], named: Model, mask: TissueMask, tmp_path: Path
) -> None:
    first = Explainer(damaged(), named, **SETTINGS).explain(mask)
    assert first.statistics.undecodable_tiles == 1
    again = Explainer(damaged(), named, **SETTINGS)
    lost = first.statistics.computed_patches - again.recall(saved(first, tmp_path)).patches
    assert lost == 1
    then = again.explain(mask)
    assert then.statistics.computed_patches == lost
    assert then.statistics.undecodable_tiles == 1
    assert then.warnings == first.warnings
    assert_same(then, first)


def test_what_could_not_be_decoded_is_not_told_apart_without_masking(
    damaged: Callable[[], Slide], named: Model, mask: TissueMask
) -> None:
    first = Explainer(damaged(), named, masking=(), **SETTINGS).explain(mask)
    again = Explainer(damaged(), named, masking=(), **SETTINGS)
    assert "could not be decoded" in again.recall(first).reason


def test_explanations_share_what_a_stroke_left_alone(
    slide: Slide, named: Model, mask: TissueMask
) -> None:
    explainer = Explainer(slide, named, **SETTINGS)
    first, second = explainer.explain(mask), explainer.explain(stroke(mask))
    before = {id(part) for part in first.features.parts}
    fresh = [part for part in second.features.parts if id(part) not in before]
    assert 0 < len(fresh) < len(second.features.parts)
    known = {id(one) for part in first.features.parts for one in part.features}
    new = [one for part in fresh for one in part.features if id(one) not in known]
    assert len(new) <= second.statistics.computed_patches


def test_a_small_cache_holds_what_it_can(
    slide: Slide, named: Model, mask: TissueMask, tmp_path: Path
) -> None:
    first = Explainer(slide, named, **SETTINGS).explain(mask)
    small = Explainer(slide, named, cache_bytes=60_000, **SETTINGS)
    recalled = small.recall(saved(first, tmp_path))
    assert 0 < recalled.patches < first.statistics.computed_patches
    assert small.cache.nbytes <= 60_000
    assert_same(small.explain(mask), first)


def lose_file(folder: Path) -> None:
    next(one for one in (folder / "c").rglob("*") if one.is_file()).unlink()


@pytest.mark.parametrize("how", [shutil.rmtree, lose_file])
@pytest.mark.parametrize("place", ["features/values", "features/rows", "patch/values"])
def test_a_damaged_store_is_not_gone_on_from(
    slide: Slide,
    named: Model,
    mask: TissueMask,
    tmp_path: Path,
    place: str,
    how: Callable[[Path], None],
) -> None:
    path = Explainer(slide, named, **SETTINGS).explain(mask).save(tmp_path / "saved.zarr")
    how(path / place)
    with pytest.raises(ExplainError, match="is damaged"):
        Explanation.load(path)


def test_a_store_of_before_opens(
    slide: Slide, named: Model, mask: TissueMask, tmp_path: Path
) -> None:
    explanation = Explainer(slide, named, **SETTINGS).explain(mask)
    path = explanation.save(tmp_path / "saved.zarr")
    shutil.rmtree(path / "features")
    group = zarr.open_group(path, mode="r+")
    del group.attrs["features"]
    for name in explanation.levels:
        del group[name].attrs["checksum"]
    loaded = Explanation.load(path)
    assert_same(loaded, explanation, exact=tuple(explanation.levels))
    assert "did not keep" in Explainer(slide, named, **SETTINGS).recall(loaded).reason
