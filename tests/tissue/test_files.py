"""Masks written and read back, masks of other programs, and files that are none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
import shapely.geometry
import tifffile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from napari_maskvit.errors import MaskError, SpacingUnknown
from napari_maskvit.tissue import TissueMask, mask_spacing_for
from napari_maskvit.tissue.polygons import filled, polygons_of, together

masks = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=16), elements=st.integers(0, 3)
)
once = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def ring(rows: int = 120, columns: int = 150) -> np.ndarray:
    y, x = np.mgrid[:rows, :columns]
    far = np.hypot(y - rows / 2, x - columns / 2)
    return ((far < 50) & (far > 20)).astype(np.uint8)


# -- what is written here -------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".tif", ".tiff", ".png", ".TIF"])
@once
@given(array=masks, spacing=st.floats(0.3, 40))
def test_pictures_come_back_as_they_were(tmp_path, ending, array, spacing):
    path = tmp_path / f"mask{ending}"
    TissueMask(array, spacing).save(path)
    found = TissueMask.load(path)
    np.testing.assert_array_equal(found.array, array)
    assert found.spacing == spacing
    assert found.name == "mask"


def test_tiff_is_tiled_deflated_and_carries_its_resolution(tmp_path):
    TissueMask(ring(), 4.0).save(tmp_path / "mask.tif")
    with tifffile.TiffFile(tmp_path / "mask.tif") as file:
        page = file.pages.first
        assert page.is_tiled
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert page.resolution == (2500.0, 2500.0)
        assert page.resolutionunit == tifffile.RESUNIT.CENTIMETER


def test_png_carries_its_spacing_and_looks_like_a_mask(tmp_path):
    TissueMask(ring(), 4.0).save(tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as image:
        assert image.info["dpi"] == pytest.approx((6350, 6350), rel=1e-4)
        colours = image.convert("RGB")
    assert colours.getpixel((0, 0)) == (255, 255, 255)
    assert colours.getpixel((75, 25)) == (46, 160, 103)


def test_masks_larger_than_pillow_opens_go_through_png(tmp_path):
    array = np.zeros((16_384, 11_000), np.uint8)
    array[100:200, 10_000:] = 1
    TissueMask(array, 4.0).save(tmp_path / "mask.png")
    found = TissueMask.load(tmp_path / "mask.png")
    assert found.shape == array.shape
    assert found.tissue[100:200, 10_000:].all()
    assert found.tissue.sum() == 100_000


def test_planes_of_colour_in_a_tiff(tmp_path):
    planes = np.stack([ring() * 0, ring() * 9, ring() * 0])
    tifffile.imwrite(
        tmp_path / "f.tif",
        planes,
        photometric="rgb",
        planarconfig="separate",
        resolution=(2000, 2000),
        resolutionunit="CENTIMETER",
    )
    np.testing.assert_array_equal(TissueMask.load(tmp_path / "f.tif").array, ring())


@pytest.mark.parametrize("name", ["mask.tif", "mask.png", "mask.geojson"])
def test_saving_replaces_whole_files_and_leaves_nothing_behind(tmp_path, blank, name):
    slide = blank(300, 240)
    path = tmp_path / "out" / name
    path.parent.mkdir()
    path.write_text("an older file")
    TissueMask(ring(), 4.0).save(path, slide)
    assert [p.name for p in path.parent.iterdir()] == [name]
    assert TissueMask.load(path, slide).area_mm2 == pytest.approx(
        TissueMask(ring(), 4.0).area_mm2, rel=1e-9
    )


def test_a_failed_save_keeps_the_older_file(tmp_path, monkeypatch):
    path = tmp_path / "mask.tif"
    TissueMask(ring(), 4.0).save(path)
    before = path.read_bytes()

    def fails(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", fails)
    with pytest.raises(MaskError, match=r"cannot be written to .*No space left.*another folder"):
        TissueMask(1 - ring(), 4.0).save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["mask.tif"]


# -- polygons -------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(array=masks)
def test_polygons_fill_to_the_same_mask(array):
    tissue = array == 1
    polygons = polygons_of(tissue)
    assert all(p.is_valid for p in polygons)
    assert sum(p.area for p in polygons) == tissue.sum()
    np.testing.assert_array_equal(filled(shapely.union_all(polygons), tissue.shape) == 1, tissue)


@settings(max_examples=100, deadline=None)
@given(
    points=st.lists(st.tuples(st.floats(-5, 25), st.floats(-5, 25)), min_size=3, max_size=7),
)
@example(points=[(0.0, 3.6e-143), (1.0, 1.0), (0.0, 0.0), (0.0, 1.0), (1.0, 0.0)])
def test_filling_agrees_with_asking_for_every_centre(points):
    area = together([shapely.Polygon(points)])
    y, x = np.mgrid[:20, :20] + 0.5
    centres = shapely.points(x, y)
    edges = shapely.LineString([*points, points[0]])
    clear = shapely.distance(centres, edges) > 1e-5
    expected = shapely.contains(area, centres)
    found = filled(area, (20, 20)) == 1
    np.testing.assert_array_equal(found[clear], expected[clear])


@pytest.mark.parametrize("spacing", [1.0, 0.499, 0.25])
def test_geojson_round_trip_within_a_pixel(tmp_path, blank, spacing):
    slide = blank(int(600 / spacing), int(480 / spacing), spacing)
    at = mask_spacing_for(slide)
    rows, columns = (int(np.ceil(px * spacing / at - 1e-6)) for px in slide.shape)
    mask = TissueMask(ring(rows, columns), at)
    mask.save(tmp_path / "mask.geojson", slide)
    found = TissueMask.load(tmp_path / "mask.geojson", slide)
    assert found.spacing == at
    np.testing.assert_array_equal(found.array, mask.array)


def test_geojson_is_what_qupath_writes(tmp_path, blank):
    slide = blank(600, 480, 1.0)
    array = np.zeros((240, 300), np.uint8)
    array[10:20, 30:50] = 1
    array[12:15, 35:40] = 0
    array[200:, 290:] = 1
    TissueMask(array, 2.0).save(tmp_path / "mask.geojson", slide)
    content = json.loads((tmp_path / "mask.geojson").read_text())
    assert content["type"] == "FeatureCollection"
    assert len(content["features"]) == 2
    for feature in content["features"]:
        assert feature["type"] == "Feature"
        assert feature["properties"]["objectType"] == "annotation"
        assert feature["properties"]["classification"]["name"] == "Tissue"
        assert len(feature["properties"]["classification"]["color"]) == 3
    shapes = sorted(
        (shapely.geometry.shape(f["geometry"]) for f in content["features"]), key=lambda s: s.bounds
    )
    assert shapes[0].bounds == (60, 20, 100, 40)
    assert len(shapes[0].interiors) == 1
    assert shapes[0].area == 40 * 20 - 10 * 6
    assert shapes[1].bounds == (580, 400, 600, 480)


def test_polygons_stay_on_the_slide(tmp_path, blank):
    slide = blank(601, 479, 1.0)
    TissueMask(np.ones((240, 301), np.uint8), 2.0).save(tmp_path / "m.geojson", slide)
    feature = json.loads((tmp_path / "m.geojson").read_text())["features"][0]
    assert shapely.geometry.shape(feature["geometry"]).bounds == (0, 0, 601, 479)
    assert TissueMask.load(tmp_path / "m.geojson", slide).fraction > 0.99


SQUARE = [[[100, 100], [200, 100], [200, 200], [100, 200], [100, 100]]]
OTHER = [[[300, 100], [400, 100], [400, 200], [300, 200], [300, 100]]]
BOWTIE = [[[100, 100], [200, 200], [200, 100], [100, 200], [100, 100]]]


def feature(geometry, name=None, kind="annotation"):
    properties = {"objectType": kind}
    if name:
        properties["classification"] = {"name": name, "color": [1, 2, 3]}
    return {"type": "Feature", "id": "x", "geometry": geometry, "properties": properties}


def polygon(rings):
    return {"type": "Polygon", "coordinates": rings}


COLLECTION = {
    "type": "GeometryCollection",
    "geometries": [polygon(SQUARE), {"type": "Point", "coordinates": [1, 1]}],
}


@pytest.mark.parametrize(
    ("content", "area_px"),
    [
        (feature(polygon(SQUARE)), 10_000),
        ([feature(polygon(SQUARE)), feature(polygon(OTHER))], 20_000),
        (
            {
                "type": "FeatureCollection",
                "features": [feature(polygon(SQUARE), "Tissue"), feature(polygon(OTHER), "Tumor")],
            },
            10_000,
        ),
        (
            {
                "type": "FeatureCollection",
                "features": [feature(polygon(SQUARE), "Stroma"), feature(polygon(OTHER), "Tumor")],
            },
            20_000,
        ),
        ([feature(polygon(SQUARE), "my tissue: core"), feature(polygon(OTHER))], 10_000),
        ([feature(polygon(SQUARE)), feature(polygon(SQUARE))], 10_000),
        (feature({"type": "MultiPolygon", "coordinates": [SQUARE, OTHER]}), 20_000),
        (feature(COLLECTION), 10_000),
        (COLLECTION, 10_000),
        (feature(polygon(BOWTIE)), 5_000),
        (feature(polygon([[[*p, 7] for p in SQUARE[0]]])), 10_000),
        ([feature(polygon(SQUARE)), feature(polygon(OTHER), kind="cell")], 10_000),
        ({"type": "FeatureCollection", "features": []}, 0),
    ],
)
def test_annotations_of_other_programs(tmp_path, blank, content, area_px):
    path = tmp_path / "export.geojson"
    path.write_text(json.dumps(content))
    mask = TissueMask.load(path, blank(600, 480, 1.0))
    assert mask.area_mm2 == pytest.approx(area_px / 1e6, rel=0.03)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not GeoJSON as QuPath exports it"),
        ("", "is not GeoJSON"),
        ("3", "is not GeoJSON"),
        ('{"type": "Nonsense"}', "is not GeoJSON"),
        ('{"type": "FeatureCollection"}', "is not GeoJSON"),
        (
            json.dumps(feature({"type": "Polygon", "coordinates": [[1, 2]]})),
            "is not GeoJSON|cannot be drawn",
        ),
        (
            json.dumps(feature({"type": "Polygon", "coordinates": [[[1, 2], [3, 4]]]})),
            "is not GeoJSON|cannot be drawn",
        ),
        (json.dumps(feature({"type": "Point", "coordinates": [1, 2]})), "points and lines"),
        (
            json.dumps(feature(polygon([[[x * 9, y * 9] for x, y in SQUARE[0]]]))),
            "beyond the slide",
        ),
    ],
)
def test_bad_geojson_says_what_is_wrong(tmp_path, blank, text, message):
    path = tmp_path / "export.geojson"
    path.write_text(text)
    with pytest.raises(MaskError, match=message) as raised:
        TissueMask.load(path, blank(600, 480, 1.0))
    assert "export.geojson" in str(raised.value)


def test_polygons_need_their_slide(tmp_path, blank):
    with pytest.raises(MaskError, match="together with the slide"):
        TissueMask(ring(), 4.0).save(tmp_path / "m.geojson")
    assert not list(tmp_path.glob("*m*.geojson"))
    (tmp_path / "m.geojson").write_text(json.dumps(feature(polygon(SQUARE))))
    with pytest.raises(MaskError, match="load them with it"):
        TissueMask.load(tmp_path / "m.geojson")
    with pytest.raises(SpacingUnknown):
        TissueMask.load(tmp_path / "m.geojson", blank(600, 480, None))


# -- pictures of other programs -------------------------------------------------------------------


def write_png(path: Path, array: np.ndarray, **options) -> None:
    Image.fromarray(array).save(path, **options)


@pytest.mark.parametrize("kind", ["grey", "bits", "rgb", "rgba", "palette", "panda"])
def test_foreign_pngs_cover_the_slide(tmp_path, blank, kind):
    tissue = ring() == 1
    path = tmp_path / "foreign.png"
    image = Image.fromarray((tissue * 255).astype(np.uint8))
    if kind == "bits":
        image = Image.fromarray(tissue)
    elif kind == "palette":
        image = Image.fromarray(tissue.astype(np.uint8) + 5)
        image.putpalette([0, 0, 0] * 6 + [200, 30, 30] * 250)
    elif kind == "panda":
        image = Image.fromarray(np.dstack([tissue * 3, tissue * 0, tissue * 0]).astype(np.uint8))
    elif kind != "grey":
        image = image.convert(kind.upper())
    image.save(path)
    mask = TissueMask.load(path, blank(1500, 1200, 0.5))
    assert mask.spacing == pytest.approx(5.0)
    np.testing.assert_array_equal(mask.tissue, tissue)


@pytest.mark.parametrize(
    ("dpi", "spacing"),
    [
        ((72, 72), 5.0),
        ((96, 96), 5.0),
        ((25400 / 5, 25400 / 5), 5.0),
        ((25400 / 20, 25400 / 20), 5.0),
    ],
)
def test_resolution_of_foreign_pngs(tmp_path, blank, dpi, spacing):
    write_png(tmp_path / "f.png", ring() * 255, dpi=dpi)
    mask = TissueMask.load(tmp_path / "f.png", blank(1500, 1200, 0.5))
    assert mask.spacing == pytest.approx(spacing, rel=1e-3)


def test_without_spacing_and_slide_a_picture_is_refused(tmp_path):
    write_png(tmp_path / "f.png", ring() * 255)
    with pytest.raises(MaskError, match=r"does not say how large its pixels are; load it together"):
        TissueMask.load(tmp_path / "f.png")
    write_png(tmp_path / "f.png", ring() * 255, dpi=(72, 72))
    with pytest.raises(MaskError, match="does not say how large"):
        TissueMask.load(tmp_path / "f.png")


@pytest.mark.parametrize("ours", [True, False])
def test_a_mask_of_another_slide_is_refused(tmp_path, blank, ours):
    path = tmp_path / "other.png"
    if ours:
        TissueMask(ring(), 5.0).save(path)
    else:
        write_png(path, ring() * 255)
    with pytest.raises(MaskError, match=r"other\.png .* does not fit the slide .* mm\)"):
        TissueMask.load(path, blank(1500, 900, 0.5))
    if ours:
        with pytest.raises(MaskError, match="does not fit"):
            TissueMask.load(path, blank(3000, 2400, 0.5))


def test_one_pixel_more_or_less_fits(tmp_path, blank):
    for rows, columns in [(120, 150), (121, 150), (119, 151)]:
        TissueMask(ring(rows, columns), 5.0).save(tmp_path / "m.tif")
        assert TissueMask.load(tmp_path / "m.tif", blank(1500, 1200, 0.5)).spacing == 5.0


@pytest.mark.parametrize(
    ("options", "spacing"),
    [
        ({"resolution": (2000, 2000), "resolutionunit": "CENTIMETER"}, 5.0),
        ({"resolution": (5080, 5080), "resolutionunit": "INCH"}, 5.0),
        ({}, 5.0),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, 5.0),
        ({"photometric": "miniswhite"}, 5.0),
    ],
)
def test_foreign_tiffs(tmp_path, blank, options, spacing):
    array = ring()
    written = 1 - array if options.get("photometric") == "miniswhite" else array * 4
    tifffile.imwrite(tmp_path / "f.tif", written, **options)
    mask = TissueMask.load(tmp_path / "f.tif", blank(1500, 1200, 0.5))
    assert mask.spacing == pytest.approx(spacing)
    np.testing.assert_array_equal(mask.array, array)


def test_a_pyramid_gives_the_finest_level_that_can_be_edited(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_maskvit.tissue.tiff.LONGEST_SIDE", 200)
    array = ring(240, 300)
    with tifffile.TiffWriter(tmp_path / "panda.tif") as file:
        options = {"tile": (64, 64), "resolutionunit": "CENTIMETER"}
        file.write(array, subifds=1, resolution=(5000, 5000), **options)
        file.write(array[::2, ::2], subfiletype=1, resolution=(2500, 2500), **options)
    mask = TissueMask.load(tmp_path / "panda.tif")
    assert mask.shape == (120, 150)
    assert mask.spacing == pytest.approx(4.0)


# -- files that are none --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.png", None, "no file"),
        ("m.jpg", b"x", r"\.jpg is not one of \.tif, \.tiff, \.png, \.geojson"),
        ("m", b"x", r"\(none\) is not one of"),
        ("m.png", b"", "cannot be read as PNG"),
        ("m.png", b"\x89PNG\r\n\x1a\n rest is missing", "cannot be read as PNG"),
        ("m.tif", b"", "cannot be read as TIFF"),
        ("m.tif", b"II*\0 rest is missing", "cannot be read as TIFF"),
        ("m.geojson", b"\xff\xfe\xff", "is not GeoJSON"),
    ],
)
def test_what_is_no_mask_file_is_refused(tmp_path, blank, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MaskError, match=message) as raised:
        TissueMask.load(path, blank(600, 480, 1.0))
    assert name in str(raised.value)


@pytest.mark.parametrize("ending", [".png", ".tif"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_truncated_files_are_refused(tmp_path, ending, share):
    path = tmp_path / f"m{ending}"
    noise = np.random.default_rng(0).integers(0, 2, (300, 400)).astype(np.uint8)
    TissueMask(noise, 4.0).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(MaskError, match="cannot be read"):
        TissueMask.load(path)


def test_stacks_and_giants_are_refused(tmp_path, blank):
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((5, 120, 150), np.uint8))
    with pytest.raises(MaskError, match="single flat picture"):
        TissueMask.load(tmp_path / "stack.tif", blank(1500, 1200, 0.5))
    write_png(tmp_path / "wide.png", np.zeros((2, 20_000), np.uint8))
    with pytest.raises(MaskError, match="20,000 x 2"):
        TissueMask.load(tmp_path / "wide.png")
    tifffile.imwrite(tmp_path / "wide.tif", np.zeros((2, 20_000), np.uint8))
    with pytest.raises(MaskError, match="20,000 x 2"):
        TissueMask.load(tmp_path / "wide.tif")


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(MaskError, match=r"cannot be written to .*another folder"):
        TissueMask(ring(), 4.0).save(tmp_path / "nowhere" / "m.tif")
