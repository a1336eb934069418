"""Phantom slides: the file, its independence of tiles and threads, its truth."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_maskvit.errors import SlideError
from napari_maskvit.slide.phantom import (
    Core,
    Lesion,
    PhantomSpec,
    biopsy,
    labels_path,
    read_truth,
    sample_slide,
    with_artefact,
    write_phantom,
)
from napari_maskvit.slide.phantom.fields import TILE
from napari_maskvit.slide.phantom.painter import Painter
from napari_maskvit.slide.phantom.write import level_shapes

SMALL = PhantomSpec(
    width=3000,
    height=1400,
    seed=5,
    cores=(Core(740, 330, 1250, 420, angle=4, curvature=0.03, lesions=(Lesion(0.5, 1, 4),)),),
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("phantom") / "small.tif"
    write_phantom(path, with_artefact(with_artefact(SMALL, "pen"), "dust"), workers=2)
    return path


def test_same_spec_gives_the_same_bytes_whatever_the_threads(written: Path, tmp_path: Path):
    again = tmp_path / "again.tif"
    write_phantom(again, read_truth(written).spec, workers=1)
    assert again.read_bytes() == written.read_bytes()
    assert labels_path(again).read_bytes() == labels_path(written).read_bytes()
    other = tmp_path / "other.tif"
    write_phantom(other, replace(SMALL, seed=6), workers=1, truth=False)
    assert other.read_bytes() != written.read_bytes()
    assert not labels_path(other).exists()


def test_tiles_do_not_depend_on_what_was_painted_before():
    one, other = Painter(SMALL), Painter(SMALL)
    tiles = [(row, column) for row in range(3) for column in range(6)]
    forth = {tile: one.paint(*tile) for tile in tiles}
    back = {tile: other.paint(*tile) for tile in reversed(tiles)}
    for tile in tiles:
        for a, b in zip(forth[tile], back[tile], strict=True):
            np.testing.assert_array_equal(a, b)


def test_no_step_at_the_borders_of_tiles():
    painter = Painter(SMALL)
    left, right = painter.paint(1, 2)[0].astype(int), painter.paint(1, 3)[0].astype(int)
    both = np.concatenate([left, right], axis=1)
    steps = np.abs(np.diff(both, axis=1)).mean(axis=(0, 2))
    assert steps[TILE - 1] < 1.3 * np.percentile(steps, 95)


def test_levels_and_spacing(written: Path):
    with tifffile.TiffFile(written) as file:
        series = file.series[0]
        assert [level.shape[:2] for level in series.levels] == [(1400, 3000), (350, 750)]
        for k, level in enumerate(series.levels):
            page = level.keyframe
            assert page.is_tiled
            assert page.tags["ResolutionUnit"].value == 3
            across, per = page.tags["XResolution"].value
            assert 1e4 * per / across == pytest.approx(0.5 * 4**k)
        fine, coarse = (level.asarray().astype(float) for level in series.levels)
    means = fine[:1400, :3000].reshape(350, 4, 750, 4, 3).mean(axis=(1, 3))
    assert np.abs(means - coarse).mean() < 3


def test_even_glass_is_stored_once(tmp_path: Path):
    spec = PhantomSpec(12_000, 12_000, cores=(Core(700, 700, 300, 200),), seed=1)
    write_phantom(tmp_path / "glass.tif", spec)
    with tifffile.TiffFile(tmp_path / "glass.tif") as file:
        places = file.pages.first.tags["TileOffsets"].value
    assert len(places) == 24 * 24
    assert len(set(places)) < 12
    assert (tifffile.imread(tmp_path / "glass.tif", key=0)[-1, -1] > 240).all()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((100, 50), [(50, 100)]),
        ((2048, 2048), [(2048, 2048)]),
        ((2049, 10), [(10, 2049), (3, 513)]),
        (
            (100_000, 100_000),
            [(100_000, 100_000), (25_000, 25_000), (6250, 6250), (1563, 1563)],
        ),
    ],
)
def test_level_shapes(size: tuple[int, int], expected: list[tuple[int, int]]):
    assert level_shapes(*size) == expected


def test_other_readers_open_it(written: Path):
    openslide = pytest.importorskip("openslide")
    with openslide.OpenSlide(str(written)) as slide:
        assert slide.dimensions == (3000, 1400)
        theirs = np.asarray(slide.read_region((1000, 500), 0, (256, 256)).convert("RGB"))
    with tifffile.TiffFile(written) as file:
        ours = file.series[0].levels[0].asarray()[500:756, 1000:1256]
    assert np.abs(theirs.astype(int) - ours).max() <= 3


@pytest.mark.parametrize(("width", "height"), [(700, 300), (513, 1025), (1, 1)])
def test_sizes_that_tiles_do_not_divide(width: int, height: int, tmp_path: Path):
    spec = PhantomSpec(width, height, cores=(Core(width / 4, height / 4, 300, 200),), seed=1)
    write_phantom(tmp_path / "odd.tif", spec)
    assert tifffile.imread(tmp_path / "odd.tif").shape == (height, width, 3)
    assert tifffile.imread(labels_path(tmp_path / "odd.tif")).shape == (
        -(-height // 4),
        -(-width // 4),
    )


def test_truth_agrees_with_the_pixels(written: Path):
    truth = read_truth(written)
    image = tifffile.imread(written).astype(float)
    cells = image.reshape(350, 4, 750, 4, 3).mean(axis=(1, 3))
    tissue, odd = truth.tissue(2.0), truth.artefacts(2.0)
    glass = np.abs(cells - np.array(truth.spec.stain.glass)).max(axis=2) < 8
    coloured = cells.max(axis=2) - cells.min(axis=2) > 12
    assert glass[~tissue & ~odd].mean() > 0.985
    assert coloured[tissue & ~truth.lumina(2.0)].mean() > 0.9
    assert 0.05 < tissue.mean() < 0.5


def test_labels_beside_the_slide_are_the_truth(written: Path):
    labels = tifffile.imread(labels_path(written))
    truth = read_truth(written)
    np.testing.assert_array_equal(labels, truth.labels(2.0))
    assert set(np.unique(labels)) == {0, 1, 2, 4}
    coarse = truth.labels(8.0)
    assert coarse.shape == (88, 188)
    assert np.mean(coarse[:87, :187] == labels[2:-2:4, 2:-2:4][:87, :187]) > 0.97
    with tifffile.TiffFile(labels_path(written)) as file:
        assert file.pages.first.tags["XResolution"].value == (5000, 1)


def test_truth_is_known_from_the_file_alone(written: Path):
    truth = read_truth(written)
    assert truth.isup_grade == 4
    assert truth.gleason_score == "4+4"
    assert [item.kind for item in truth.spec.artefacts] == ["pen", "dust"]


def test_spacings_show_the_same_tissue():
    fine, coarse = Painter(SMALL), Painter(SMALL.at_spacing(2.0))
    wide = np.concatenate(
        [np.concatenate([fine.paint(r, c)[0] for c in range(4)], axis=1) for r in range(3)]
    )
    shrunk = wide.reshape(384, 4, 512, 4, 3).mean(axis=(1, 3))[:350, :, 1]
    small = coarse.paint(0, 0)[0][:350, :, 1].astype(float)
    assert np.corrcoef(shrunk.ravel(), small.ravel())[0, 1] > 0.9


GIANT = """
import sys
from pathlib import Path
from napari_maskvit.slide.phantom import Core, PhantomSpec, with_artefact, write_phantom

side = int(sys.argv[2])
spec = PhantomSpec(side, side, cores=(Core(0.2 * side, 0.2 * side, 1800, 400, angle=30),), seed=2)
spec = with_artefact(spec, "bubble", size=500.0)
write_phantom(sys.argv[1], spec, workers=1)
# Not ru_maxrss, which starts at the peak of the process that forked this one.
status = Path("/proc/self/status").read_text()
print(status.split("VmHWM:")[1].split()[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc for the peak of memory")
def test_memory_and_size_do_not_grow_with_the_slide(tmp_path: Path):
    peaks, sizes = [], []
    for side in (6_000, 60_000):
        path = tmp_path / f"{side}.tif"
        done = subprocess.run(
            [sys.executable, "-c", GIANT, str(path), str(side)],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout) / 1024)
        sizes.append(path.stat().st_size / 1e6)
    assert peaks[1] < peaks[0] + 60, f"peak {peaks} MiB"
    assert peaks[1] < 300
    assert sizes[1] < sizes[0] + 1.5, f"files {sizes} MB"


def test_nothing_is_left_behind_when_it_fails(tmp_path: Path):
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_phantom(tmp_path / "half.tif", SMALL, progress=stop)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SlideError, match="could not be written"):
        write_phantom(tmp_path / "no such folder" / "x.tif", SMALL)
    with pytest.raises(SlideError, match=r"ends in \.tif"):
        write_phantom(tmp_path / "x.png", SMALL)


def test_progress_counts_every_tile(tmp_path: Path):
    seen: list[tuple[int, int]] = []
    write_phantom(
        tmp_path / "x.tif",
        SMALL,
        workers=2,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1][0] == seen[-1][1] > 0
    assert seen == sorted(seen)


def test_only_phantoms_hold_a_truth(tmp_path: Path):
    plain = tmp_path / "plain.tif"
    tifffile.imwrite(plain, np.zeros((8, 8), np.uint8))
    (tmp_path / "text.tif").write_text("no picture")
    for path in (plain, tmp_path / "text.tif", tmp_path / "absent.tif"):
        with pytest.raises(SlideError):
            read_truth(path)


def test_the_sample_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from napari_maskvit.slide.phantom import sample

    monkeypatch.setenv("MASKVIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sample, "sample_spec", lambda: replace(SMALL, width=800, height=600))
    path = sample_slide()
    before = path.stat().st_mtime_ns
    assert sample_slide() == path
    assert path.stat().st_mtime_ns == before
    assert sorted(p.name for p in path.parent.iterdir()) == sorted(
        [path.name, labels_path(path).name]
    )
    monkeypatch.setattr(sample, "sample_spec", lambda: replace(SMALL, width=801, height=600))
    assert sample_slide() != path


def test_the_sample_shows_what_it_should():
    from napari_maskvit.slide.phantom.sample import sample_spec

    spec = sample_spec()
    assert spec.isup_grade == 3
    assert {"pen", "dust", "bubble", "coverslip"} <= {item.kind for item in spec.artefacts}
    assert 2 <= len(spec.cores) <= 3
    assert biopsy(seed=3) == biopsy(seed=3) != biopsy(seed=4)
