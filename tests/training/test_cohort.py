"""Broken rows are all named at once; nobody is on two sides of a split."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from maskvit_training.cohort import Case, read_cohort
from maskvit_training.errors import CohortError
from maskvit_training.recipe import make_recipe
from maskvit_training.splits import assign_folds, make_folds, settle_splits

ALL = ("a.tif", "b.tif", "c.tif")


@pytest.mark.parametrize(
    ("header", "rows", "named"),
    [
        ("slide,label", ["a.tif,7"], ["line 2: unknown label '7'"]),
        ("slide,label", ["a.tif,1", "b.tif,"], ["line 3: no label"]),
        ("slide,label", ["gone.tif,1"], ["line 2: slide not found"]),
        ("slide,label", ["a.tif,1", "a.tif,1"], ["line 3: a.tif stands in line 2 already"]),
        ("slide,label,mask", ["a.tif,1,no.png"], ["line 2: mask not found"]),
        ("slide,label,fold", ["a.tif,1,0", "b.tif,1,"], ["line 3: no fold"]),
        (
            "slide,label,patient,fold",
            ["a.tif,1,p,0", "b.tif,1,p,1"],
            ["line 3: patient p is in fold 1, but in fold 0 in line 2"],
        ),
        (
            "slide,label",
            ["gone.tif,9", "a.tif,1", "b.tif,x"],
            ["2 broken rows", "line 2: slide not found", "line 2: unknown", "line 4: unknown"],
        ),
        ("slide,grade", ["a.tif,1"], ["no column 'label'"]),
        ("slide,label", [], ["has no rows"]),
    ],
)
def test_every_broken_row_is_named_with_its_line(cohort, header, rows, named):
    recipe = cohort(header, *rows, slides=ALL)
    with pytest.raises(CohortError) as caught:
        read_cohort(recipe)
    for text in named:
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("row", "named"),
    [("a.tif,0,1", "not a time"), ("a.tif,x,1", "not a time"), ("a.tif,3,maybe", "censored")],
)
def test_survival_rows_are_checked(cohort, row, named):
    recipe = cohort("slide,time,event", row, slides=ALL, kind="survival", classes=[])
    with pytest.raises(CohortError, match=named):
        read_cohort(recipe)


def test_a_good_table_is_read_as_it_says(cohort):
    recipe = cohort("slide,label,patient", "a.tif,2,007", "b.tif,0,008", slides=ALL)
    first, second = read_cohort(recipe)
    assert (first.patient, first.label, first.line) == ("007", 2, 2)
    assert second.mask is None


def test_parquet_is_read_like_csv(cohort, tmp_path: Path):
    import pandas as pd

    recipe = cohort("slide,label", "a.tif,2", slides=ALL)
    from_csv = read_cohort(recipe)
    pd.DataFrame({"slide": ["a.tif"], "label": [2]}).to_parquet(tmp_path / "cohort.parquet")
    data = recipe.data.model_copy(update={"cohort": tmp_path / "cohort.parquet"})
    assert read_cohort(recipe.model_copy(update={"data": data})) == from_csv


def test_panda_is_read_as_it_is(tree: dict, tmp_path: Path):
    (tmp_path / "train.csv").write_text(
        "image_id,data_provider,isup_grade,gleason_score\n"
        "0005f7,karolinska,0,0+0\n000920,radboud,2,3+4\n"
    )
    for folder, name in (("images", "0005f7"), ("images", "000920"), ("masks", "000920_mask")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"{name}.tiff").touch()
    tree["data"] = {
        "cohort": "train.csv",
        "root": "images",
        "slide": "image_id",
        "label": "isup_grade",
        "extension": ".tiff",
        "mask_folder": "masks",
        "mask_kind": "labels",
    }
    first, second = read_cohort(make_recipe(tree, tmp_path))
    assert (first.slide.name, first.mask, first.label) == ("0005f7.tiff", None, 0)
    assert second.mask == tmp_path / "masks/000920_mask.tiff"
    assert second.label == 2


def case(name: str, patient: str, label: int, fold: str | None = None) -> Case:
    return Case(name, 2, Path(name), None, patient, label, fold=fold)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2)), min_size=40, max_size=80),
    st.integers(0, 5),
)
def test_a_patient_is_never_on_two_sides(tmp_path_factory, rows, seed):
    cases = [case(str(at), f"p{patient}", label) for at, (patient, label) in enumerate(rows)]
    tree = {
        "name": "x",
        "seed": seed,
        "output": "o",
        "data": {"cohort": "c.csv"},
        "task": {"classes": ["0", "1", "2"]},
        "splits": {"folds": 3},
    }
    recipe = make_recipe(tree, Path())
    if len({one.patient for one in cases}) < 3:
        return
    fold_of = assign_folds(recipe, cases)
    assert fold_of == assign_folds(recipe, cases[::-1])
    folds = make_folds(cases, fold_of)
    assert sorted(one.name for fold in folds for one in fold.test) == sorted(
        one.name for one in cases
    )
    for fold in folds:
        sides = [{one.patient for one in side} for side in (fold.train, fold.tune, fold.test)]
        assert not sides[0] & sides[1] | sides[0] & sides[2] | sides[1] & sides[2]


def test_folds_are_stratified(tree: dict, tmp_path: Path):
    cases = [case(f"{at}", f"{at}", at % 3) for at in range(30)]
    recipe = make_recipe(tree, tmp_path)
    for fold in make_folds(cases, assign_folds(recipe, cases)):
        assert sorted(one.label for one in fold.test) == [0, 0, 1, 1, 2, 2]


def test_a_leak_in_given_folds_is_an_error():
    cases = [case("a", "p", 0, "train"), case("b", "p", 0, "test"), case("c", "q", 0, "tune")]
    with pytest.raises(CohortError, match="Patient p would both train and test"):
        make_folds(cases, {one.name: str(one.fold) for one in cases})


@pytest.mark.parametrize("names", [("0", "1"), ("a", "b", "c"), ("train", "test")])
def test_folds_that_make_no_split_are_an_error(names):
    cases = [case(name, name, 0, name) for name in names]
    with pytest.raises(CohortError):
        make_folds(cases, {one.name: str(one.fold) for one in cases})


def test_written_folds_stay(tree: dict, tmp_path: Path):
    cases = [case(f"{at}", f"{at}", at % 3) for at in range(15)]
    recipe = make_recipe(tree, tmp_path)
    path = tmp_path / "run/splits.csv"
    drawn = settle_splits(recipe, cases, path)
    other = recipe.model_copy(update={"seed": 9})
    assert settle_splits(other, cases, path) == drawn
    with pytest.raises(CohortError, match="has changed"):
        settle_splits(recipe, [*cases, case("new", "new", 0)], path)
    moved = [dataclasses.replace(one, fold="9") for one in cases]
    with pytest.raises(CohortError, match="has changed"):
        settle_splits(recipe, moved, path)
