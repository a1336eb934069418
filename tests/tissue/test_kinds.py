"""Kinds of what is left out: in files by name and colour, and back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_maskvit.tissue import TissueMask, mask_spacing_for
from napari_maskvit.tissue.kinds import EXCLUDED, KINDS, excluded_areas, kind_named


def every_kind(shape=(240, 300)):
    """Bands of each kind across a square of tissue."""
    array = np.zeros(shape, np.uint8)
    array[40:200, 40:240] = 1
    for place, kind in enumerate(EXCLUDED):
        array[60 + 30 * place : 70 + 30 * place, 20:220] = kind.value
    return array


@pytest.mark.parametrize("ending", ["geojson", "tif", "png"])
def test_kinds_go_to_a_file_and_come_back(tmp_path, blank, ending):
    slide = blank(600, 480, 1.0)
    mask = TissueMask(every_kind(), mask_spacing_for(slide))
    path = tmp_path / f"mask.{ending}"
    mask.save(path, slide)
    np.testing.assert_array_equal(TissueMask.load(path, slide).array, mask.array)


def test_geojson_calls_them_by_name_in_colours_of_their_own(tmp_path, blank):
    slide = blank(600, 480, 1.0)
    TissueMask(every_kind(), 2.0).save(tmp_path / "mask.geojson", slide)
    content = json.loads((tmp_path / "mask.geojson").read_text())
    classes = [feature["properties"]["classification"] for feature in content["features"]]
    assert {one["name"] for one in classes} == {"Tissue", *(kind.name for kind in EXCLUDED)}
    assert len({tuple(one["color"]) for one in classes}) == 5


def square(name, left):
    ring = [[left, 100], [left + 100, 100], [left + 100, 200], [left, 200], [left, 100]]
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "annotation", "classification": {"name": name}},
    }


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ([("Tissue", 100), ("Fold", 150)], {1: 5_000, 3: 10_000}),
        ([("Fold", 150), ("Tissue", 100)], {1: 5_000, 3: 10_000}),
        ([("out of TISSUE", 300)], {5: 10_000}),
        ([("Pen", 100), ("Tumor", 300)], {1: 10_000, 2: 10_000}),
        ([("blur", 100), ("Stroma", 200), ("Tissue", 400)], {1: 10_000, 4: 10_000}),
    ],
)
def test_what_names_mean(tmp_path, blank, features, expected):
    slide = blank(600, 480, 1.0)
    path = tmp_path / "mask.geojson"
    path.write_text(json.dumps([square(name, left) for name, left in features]))
    array = TissueMask.load(path, slide).array
    values, counts = np.unique(array[array > 0], return_counts=True)
    assert dict(zip(values.tolist(), (counts * 4).tolist(), strict=True)) == expected


def test_areas_and_names():
    areas = excluded_areas(every_kind(), 2.0)
    assert areas == {kind.name: pytest.approx(2000 * 4e-6) for kind in EXCLUDED}
    assert excluded_areas(np.ones((5, 5), np.uint8), 2.0) == {}
    assert kind_named(" fold ") is EXCLUDED[1]
    assert kind_named("Tissue") is None
    assert [kind.value for kind in KINDS] == list(range(len(KINDS)))
