"""Explanations survive saving; damaged or foreign folders are refused; nothing is half-written."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_maskvit.errors import ExplainError
from napari_maskvit.explain import Explanation, LevelAttention, Statistics
from napari_maskvit.model import Prediction

ARRAYS = ("rows", "columns", "values", "coverage")


def level(name: str, count: int, heads: int, window: int | None) -> LevelAttention:
    random = np.random.default_rng(count)
    rows, columns = np.divmod(random.permutation(24 * 24)[:count], 24)
    return LevelAttention(
        name, rows.astype(np.int32), columns.astype(np.int32),
        random.random((count, heads), dtype=np.float32),
        random.random(count, dtype=np.float32), (24, 24), 16.25, window,
    )  # fmt: skip


def explanation(kept: int = 200, prediction: Prediction | None = None) -> Explanation:
    return Explanation(
        slide_name="core.tif",
        slide_identity="abc",
        slide_shape=(390, 380),
        slide_spacing=0.4920,
        model_name="tiny",
        model_title="A tiny model",
        model_sha256="0" * 64,
        masking=("patch", "slide"),
        threshold=0.0,
        device="cpu",
        precision="float32",
        spacing=0.5,
        levels={
            "patch": level("patch", kept, 3, 4),
            "slide": level("slide", min(kept, 5), 1, None),
        },
        frozen=("patch",),
        prediction=prediction,
        statistics=Statistics(kept={"patch": kept}, total={"patch": 576}, seconds={"total": 1.5}),
        warnings=("Research use only.",),
        complete=True,
    )


PREDICTION = Prediction(
    kind="classification", value=1.0, label="grade group 1", probabilities=(0.25, 0.75),
    labels=("benign", "grade group 1"),
)  # fmt: skip


def assert_same(left: Explanation, right: Explanation) -> None:
    assert replace(left, levels={}) == replace(right, levels={})
    assert list(left.levels) == list(right.levels)
    for name in left.levels:
        one, other = left.levels[name], right.levels[name]
        assert (one.shape, one.step, one.window) == (other.shape, other.step, other.window)
        for array in ARRAYS:
            np.testing.assert_array_equal(getattr(one, array), getattr(other, array))


@pytest.mark.parametrize("prediction", [None, PREDICTION])
@pytest.mark.parametrize("kept", [0, 1, 200])
def test_what_is_loaded_equals_what_was_saved(
    tmp_path: Path, kept: int, prediction: Prediction | None
) -> None:
    saved = explanation(kept, prediction)
    path = saved.save(tmp_path / "biopsy.zarr")
    assert_same(Explanation.load(path), saved)
    assert [item.name for item in tmp_path.iterdir()] == ["biopsy.zarr"]


def test_saving_again_replaces_the_older_one(tmp_path: Path) -> None:
    explanation(200).save(tmp_path / "biopsy.zarr")
    explanation(7).save(tmp_path / "biopsy.zarr")
    assert len(Explanation.load(tmp_path / "biopsy.zarr").levels["patch"].rows) == 7
    assert [item.name for item in tmp_path.iterdir()] == ["biopsy.zarr"]


def test_a_failed_save_leaves_the_older_one_and_no_debris(tmp_path: Path, monkeypatch) -> None:
    import zarr

    path = explanation(200).save(tmp_path / "biopsy.zarr")
    create = zarr.Group.create_array
    calls = []

    def full_disk(self, name, **keywords):
        calls.append(name)
        if len(calls) > 3:
            raise OSError(28, "No space left on device")
        return create(self, name, **keywords)

    monkeypatch.setattr(zarr.Group, "create_array", full_disk)
    with pytest.raises(ExplainError, match="No space left on device"):
        explanation(7).save(path)
    monkeypatch.undo()
    assert len(Explanation.load(path).levels["patch"].rows) == 200
    assert [item.name for item in tmp_path.iterdir()] == ["biopsy.zarr"]


def test_a_foreign_folder_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "precious.txt").write_text("mine")
    with pytest.raises(ExplainError, match="holds no explanation, so it is left alone"):
        explanation().save(tmp_path / "notes")
    assert (tmp_path / "notes" / "precious.txt").read_text() == "mine"


def damage(path: Path, how: str) -> None:
    if how == "an array is gone":
        shutil.rmtree(path / "patch" / "values")
    elif how == "a chunk is garbage":
        chunk = next(
            file for file in (path / "patch" / "values" / "c").rglob("*") if file.is_file()
        )
        chunk.write_bytes(b"garbage")
    elif how == "the facts are cut":
        file = path / "zarr.json"
        file.write_bytes(file.read_bytes()[:-200])
    elif how == "it is a file":
        shutil.rmtree(path)
        path.write_bytes(b"not a store")
    else:
        shutil.rmtree(path)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("an array is gone", "is damaged"),
        ("a chunk is garbage", "is damaged"),
        ("the facts are cut", "is not an explanation"),
        ("it is a file", "is not an explanation"),
        ("it is gone", "There is no explanation at"),
    ],
)
def test_bad_stores_say_what_is_wrong(tmp_path: Path, how: str, says: str) -> None:
    path = explanation().save(tmp_path / "biopsy.zarr")
    damage(path, how)
    with pytest.raises(ExplainError, match=says):
        Explanation.load(path)
