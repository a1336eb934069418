"""Features: by the engine of the plugin, whole or not at all; one bad slide stops nobody."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from maskvit_training import store
from maskvit_training.cohort import read_cohort
from maskvit_training.errors import FeatureError, TrainingError
from maskvit_training.extraction import extract, found_again
from maskvit_training.feature_index import read_index, write_index
from maskvit_training.masks import read_label_mask
from maskvit_training.network import load_encoder
from maskvit_training.recipe import load_recipe
from maskvit_training.store import read_features, store_path

from napari_maskvit.explain import Explainer
from napari_maskvit.slide import open_slide
from napari_maskvit.slide.phantom import biopsy, write_phantom
from napari_maskvit.tissue import TissueMask


@pytest.fixture
def some(colour_cohort: Path, tmp_path: Path) -> Path:
    """Three slides of the cohort."""
    for name in ("s0.tif", "s2.tif", "s4.tif", "mask.tif", "recipe.yaml"):
        shutil.copy(colour_cohort / name, tmp_path / name)
    rows = ["slide,label,mask", "s0.tif,0,mask.tif", "s2.tif,1,mask.tif", "s4.tif,2,mask.tif"]
    (tmp_path / "cohort.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def run(folder: Path, *overrides: str):
    recipe = load_recipe(folder / "recipe.yaml", overrides)
    return recipe, list(extract(recipe, read_cohort(recipe), load_encoder(recipe)))


@pytest.mark.parametrize("levels", ["[patch, region, slide]", "[region]", "[]"])
def test_they_are_those_of_the_explanation(some: Path, levels: str):
    recipe, results = run(some, f"masking.levels={levels}")
    stored = read_features(store_path(recipe.feature_folder, results[0].key))
    slide = open_slide(some / "s0.tif")
    explainer = Explainer(
        slide,
        load_encoder(recipe).model,
        masking=recipe.masking.levels,
        device="cpu",
        precision="float32",
    )
    mask = TissueMask.load(some / "mask.tif", slide)
    fresh = {}
    explainer.explain(
        mask, progress=lambda step: fresh.update({(p.row, p.column): p for p in step.fresh})
    )
    plan = explainer.plan(mask)
    owner = np.repeat(np.arange(len(stored.regions)), stored.lengths)
    places = stored.regions[owner] * 2 + np.stack(np.divmod(stored.positions, 2), 1)
    assert len(places) == plan.patch_kept.sum()
    for place, feature, coverage in zip(places, stored.features, stored.coverage, strict=True):
        np.testing.assert_array_equal(feature, fresh[tuple(place)].feature)
        x, y = (float(at) * 128.0 for at in place[::-1])
        assert coverage == pytest.approx(float(mask.coverage(x, y, 128.0, 1, 1)[0, 0]), abs=1e-5)


def test_another_masking_mask_or_encoder_gives_other_features(some: Path):
    keys = [run(some)[1][0].key, run(some, "masking.levels=[]")[1][0].key]
    array = np.zeros((130, 200), np.uint8)
    array[40:90, 30:150] = 1
    TissueMask(array, 4.0).save(some / "mask.tif")
    keys.append(run(some)[1][0].key)
    keys.append(run(some, "encoder.region_px=64")[1][0].key)
    assert len(set(keys)) == 4


def test_bad_slides_stop_nobody(some: Path):
    (some / "s0.tif").write_bytes(b"not a slide")
    TissueMask(np.zeros((130, 200), np.uint8), 4.0).save(some / "empty.tif")
    text = (some / "cohort.csv").read_text()
    (some / "cohort.csv").write_text(text.replace("s2.tif,1,mask.tif", "s2.tif,1,empty.tif"))
    recipe, results = run(some)
    assert "s0.tif" in results[0].problem
    assert "s2.tif is empty" in results[1].problem
    assert results[2].fresh
    write_index(some / "features.csv", results)
    assert read_index(some / "features.csv") == {"s4.tif": results[2].key}
    assert len(list(recipe.feature_folder.rglob("*.zarr"))) == 1


def test_without_a_mask_tissue_is_segmented(some: Path):
    write_phantom(some / "s9.tif", biopsy(400, 260, spacing=2.0, cores=1), truth=False)
    (some / "cohort.csv").write_text("slide,label\ns9.tif,0\n")
    _, results = run(some)
    assert results[0].fresh


def test_a_full_disk_is_said_and_leaves_nothing(some: Path, monkeypatch):
    import zarr

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zarr.Group, "create_array", full)
    with pytest.raises(TrainingError, match=r"disk .* is full"):
        run(some)
    assert not list((some / "run/features").rglob("*.zarr"))
    assert not list((some / "run/features").rglob("*.partial"))


def test_killed_while_writing_it_starts_that_slide_again(some: Path, monkeypatch):
    finish = store.Path.replace
    monkeypatch.setattr(shutil, "rmtree", lambda *_args, **_kwargs: None)

    def killed(path, target):
        if path.is_dir():
            raise KeyboardInterrupt
        return finish(path, target)

    monkeypatch.setattr(store.Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        run(some)
    monkeypatch.setattr(store.Path, "replace", finish)
    _, results = run(some)
    assert all(result.fresh for result in results)


def test_damaged_features_are_said(some: Path):
    recipe, results = run(some)
    path = store_path(recipe.feature_folder, results[0].key)
    shutil.rmtree(path / "lengths")
    with pytest.raises(FeatureError, match="damaged"):
        read_features(path)
    with pytest.raises(FeatureError, match="no features"):
        read_features(path.with_name("gone.zarr"))


@pytest.mark.parametrize("channels", [1, 3])
def test_panda_label_masks(some: Path, tmp_path: Path, channels: int):
    labels = np.zeros((260, 400), np.uint8)
    labels[50:100, 40:200] = 1
    labels[100:150, 40:200] = 4
    picture = labels if channels == 1 else np.stack([labels, labels * 0, labels * 0], 2)
    with tifffile.TiffWriter(tmp_path / "labels.tiff") as writer:
        options = {"photometric": "minisblack" if channels == 1 else "rgb", "tile": (64, 64)}
        writer.write(picture, subifds=1, **options)
        writer.write(picture[::4, ::4], subfiletype=1, **options)
    slide = open_slide(some / "s0.tif")
    mask = read_label_mask(tmp_path / "labels.tiff", slide)
    assert mask.spacing == 8.0
    np.testing.assert_array_equal(mask.tissue, (labels > 0)[::4, ::4])


def test_a_label_mask_of_another_slide_is_an_error(some: Path, tmp_path: Path):
    tifffile.imwrite(tmp_path / "labels.tiff", np.ones((400, 260), np.uint8))
    with pytest.raises(FeatureError, match="not the shape"):
        read_label_mask(tmp_path / "labels.tiff", open_slide(some / "s0.tif"))


def found(folder: Path, *overrides: str) -> list[str | None] | None:
    recipe = load_recipe(folder / "recipe.yaml", overrides)
    results = found_again(recipe, read_cohort(recipe))
    return None if results is None else [result.key for result in results]


def test_what_is_there_is_found_again_by_the_same_keys(some: Path):
    assert found(some) is None
    _, results = run(some)
    assert found(some) == [result.key for result in results]
    outlined = "augment={copies: 1, erode_um: 30}"
    assert found(some, outlined) is None
    _, results = run(some, outlined)
    recipe = load_recipe(some / "recipe.yaml", [outlined])
    again = found_again(recipe, read_cohort(recipe))
    assert [one.variants for one in again] == [one.variants for one in results]


@pytest.mark.parametrize("what", ["slide", "mask", "store", "gone", "note"])
def test_what_has_changed_is_not_found_again(some: Path, what: str):
    recipe, results = run(some)
    if what == "slide":
        os.utime(some / "s0.tif", (0, 0))
    elif what == "mask":
        TissueMask(np.ones((130, 200), np.uint8), 4.0).save(some / "mask.tif")
    elif what == "store":
        shutil.rmtree(store_path(recipe.feature_folder, results[1].key))
    elif what == "gone":
        (some / "s2.tif").write_bytes(b"not a slide")
    else:
        (note,) = (some / "run/features/encoders").iterdir()
        note.write_text(note.read_text()[:20])
    assert found(some) is None


@pytest.mark.parametrize(
    "override", ["masking.levels=[]", "masking.threshold=0.1", "encoder.region_px=64"]
)
def test_another_parameter_is_not_found_again(some: Path, override: str):
    run(some)
    assert found(some, override) is None


def test_another_encoder_is_not_found_again(some: Path, encoder_bundle: Path):
    shutil.copytree(encoder_bundle, some / "encoder")
    changed = f"encoder.model={some / 'encoder'}"
    run(some, changed)
    assert found(some, changed) is not None
    weights = next((some / "encoder").glob("*.safetensors"))
    os.utime(weights, (0, 0))
    assert found(some, changed) is None


def test_a_second_run_does_not_wait_for_torch(some: Path):
    run(some)
    line = (
        "import sys; from pathlib import Path; from maskvit_training.cli import app; "
        f"app(['features', {str(some / 'recipe.yaml')!r}], standalone_mode=False); "
        "assert 'torch' not in sys.modules"
    )
    told = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    assert "0 slides extracted, 3 were there, 0 failed" in told.stdout
