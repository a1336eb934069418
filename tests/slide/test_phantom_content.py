"""What phantoms show: grades that glands tell and mean colour does not, artefacts beside tissue."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.ndimage import label as connected

from napari_maskvit.errors import SlideError
from napari_maskvit.slide.phantom import (
    Artefact,
    Core,
    Lesion,
    PhantomSpec,
    PhantomTruth,
    Stain,
    biopsy,
    isup_patterns,
    with_artefact,
)
from napari_maskvit.slide.phantom.fields import TILE
from napari_maskvit.slide.phantom.painter import Painter
from napari_maskvit.slide.phantom.spec import ArtefactKind

KINDS: tuple[ArtefactKind, ...] = (
    "pen",
    "dust",
    "bubble",
    "coverslip",
    "seam",
    "fold",
    "shadow",
)
BESIDE: tuple[ArtefactKind, ...] = ("pen", "dust", "bubble", "shadow")


def painted(spec: PhantomSpec) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pixels, labels and artefacts of a small slide whose tiles divide it."""
    painter = Painter(spec)
    rows, columns = spec.height // TILE, spec.width // TILE
    parts = [[painter.paint(r, c) for c in range(columns)] for r in range(rows)]
    pixels, labels, mask = (
        np.concatenate([np.concatenate([p[k] for p in row], axis=1) for row in parts])
        for k in range(3)
    )
    return pixels, labels, mask


@given(grade=st.integers(0, 5), seed=st.integers(0, 2**40), cores=st.integers(1, 7))
@settings(max_examples=60, deadline=None)
def test_a_biopsy_has_the_grade_it_was_asked_for(grade: int, seed: int, cores: int):
    spec = biopsy(seed=seed, grade=grade, cores=cores)
    assert spec.isup_grade == grade
    assert len(spec.cores) == cores
    assert PhantomSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("lesions", "gleason", "isup"),
    [
        ((), None, 0),
        ((Lesion(0, 0.1, 3),), (3, 3), 1),
        ((Lesion(0, 0.3, 3), Lesion(0.3, 0.4, 4)), (3, 4), 2),
        ((Lesion(0, 0.3, 4), Lesion(0.3, 0.4, 3)), (4, 3), 3),
        ((Lesion(0, 1, 4),), (4, 4), 4),
        ((Lesion(0, 0.6, 3), Lesion(0.6, 1, 5)), (3, 5), 4),
        ((Lesion(0, 0.6, 5), Lesion(0.6, 1, 3)), (5, 3), 4),
        ((Lesion(0, 0.6, 4), Lesion(0.6, 1, 5)), (4, 5), 5),
        ((Lesion(0, 1, 5),), (5, 5), 5),
        ((Lesion(0, 1, 3), Lesion(0.1, 0.9, 4)), (4, 3), 3),
    ],
)
def test_grade_follows_from_the_lesions(
    lesions: tuple[Lesion, ...], gleason: tuple[int, int] | None, isup: int
):
    truth = PhantomTruth(PhantomSpec(cores=(Core(500, 500, 900, 300, lesions=lesions),)))
    assert (truth.gleason, truth.isup_grade) == (gleason, isup)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Lesion(0.5, 0.4, 3),
        lambda: Lesion(0, 1, 2),  # type: ignore[arg-type]
        lambda: Core(0, 0, -5, 100),
        lambda: PhantomSpec(width=0),
        lambda: PhantomSpec(spacing=0.0),
        lambda: Artefact("smudge"),  # type: ignore[arg-type]
        lambda: Artefact("pen", strength=1.5),
        lambda: Stain(eosin=0),
    ],
)
def test_impossible_specs_are_refused(make):
    with pytest.raises(ValidationError):
        make()


@pytest.mark.parametrize("text", ["", "{", '{"width": -1}', '{"colour": 3}', "[]"])
def test_descriptions_of_something_else_are_refused(text: str):
    with pytest.raises(SlideError, match="not the description of a phantom"):
        PhantomSpec.from_json(text)


def test_unknown_grades_are_refused():
    with pytest.raises(ValueError, match="0 to 5"):
        isup_patterns(6)


# -- artefacts ------------------------------------------------------------------------------------

PIECE = PhantomSpec(2048, 1536, seed=9, cores=(Core(500, 200, 800, 260, angle=3),))


@pytest.fixture(scope="module")
def clean() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return painted(PIECE)


@pytest.mark.parametrize("kind", KINDS)
def test_each_artefact_can_be_switched(kind: ArtefactKind, clean):
    spec = with_artefact(PIECE, kind)
    pixels, labels, mask = painted(spec)
    changed = (pixels != clean[0]).any(axis=2)
    assert changed.mean() > 0.001
    np.testing.assert_array_equal(labels, clean[1])
    if kind != "seam":
        clear = ~np.kron(mask, np.ones((4, 4), bool))
        far = np.abs(pixels.astype(int) - clean[0]).max(axis=2)
        assert far[clear].max() <= 12
    off = with_artefact(PIECE, kind, strength=0.0)
    np.testing.assert_array_equal(painted(off)[0], clean[0])


@pytest.mark.parametrize("kind", BESIDE)
def test_artefacts_beside_the_tissue_leave_it_alone(kind: ArtefactKind, clean):
    inside = np.kron(clean[1] > 0, np.ones((4, 4), bool))
    place = {"x": 500.0, "y": 260.0, "size": 900.0, "over_tissue": False}
    pixels, _, _ = painted(with_artefact(PIECE, kind, **place))
    np.testing.assert_array_equal(pixels[inside], clean[0][inside])
    assert (pixels != clean[0]).any()
    if kind in ("pen", "shadow"):
        over, _, _ = painted(with_artefact(PIECE, kind, **(place | {"over_tissue": True})))
        assert (over[inside] != clean[0][inside]).mean() > 0.1


def test_strength_place_and_colour_count(clean):
    def darkness(**changes: object) -> np.ndarray:
        spec = with_artefact(PIECE, "pen", **({"x": 500.0, "y": 620.0, "size": 400.0} | changes))
        return clean[0].astype(int) - painted(spec)[0]

    weak, strong = darkness(strength=0.2), darkness(strength=0.9)
    assert strong.sum() > 1.4 * weak.sum()
    red = darkness(colour=(200, 20, 20))
    assert red[..., 0].sum() < 0.5 * red[..., 2].sum()
    moved = darkness(x=300.0)
    assert (
        np.nonzero(moved.any(axis=(0, 2)))[0].mean() < np.nonzero(weak.any(axis=(0, 2)))[0].mean()
    )


def test_scan_fields_are_white_where_nothing_was_scanned():
    spec = with_artefact(PIECE, "seam", size=150.0, strength=1.0)
    pixels, labels, _ = painted(spec)
    assert (pixels[-200:] == 255).all()
    tissue = np.kron(labels > 0, np.ones((4, 4), bool))
    assert (pixels[tissue] == 255).all(axis=1).mean() < 0.01
    assert len(np.unique(pixels[~tissue][:, 0])) > 10


@pytest.mark.parametrize("kind", BESIDE)
@pytest.mark.parametrize("seed", [1, 2])
def test_artefacts_are_placed_clear_of_tissue_where_there_is_room(kind: ArtefactKind, seed: int):
    spec = with_artefact(
        biopsy(12_000, 9000, seed=seed, cores=2, core_length=2400.0, core_width=350), kind
    )
    truth = PhantomTruth(with_artefact(spec, kind, over_tissue=True).at_spacing(4.0))
    alone = PhantomTruth(PhantomSpec(**(truth.spec.__dict__ | {"artefacts": ()})))
    added = truth.artefacts(16.0) & ~alone.artefacts(16.0)
    assert added.any()
    assert (added & truth.tissue(16.0)).sum() <= 0.03 * added.sum()


# -- grades ---------------------------------------------------------------------------------------


def test_patterns_differ_as_they_should():
    found = {}
    for pattern in (2, 3, 4, 5):
        lesions = (Lesion(0, 1, pattern),) if pattern > 2 else ()
        core = Core(1024, 512, 1900, 800, lesions=lesions, gland_density=0.8)
        spec = PhantomSpec(2048, 1024, spacing=1.0, seed=4, cores=(core,))
        pixels, labels, _ = painted(spec)
        glands = labels == pattern
        parts, count = connected(glands)
        sizes = np.bincount(parts.ravel())[1:]
        dark = (pixels[..., 0] < 130).reshape(512, 2, 1024, 2).mean(axis=(1, 3))
        white = (pixels.min(axis=2) > 205).reshape(512, 2, 1024, 2).mean(axis=(1, 3))
        found[pattern] = {
            "count": count,
            "area": float(np.percentile(sizes[sizes > 20], 75)) * 4,
            "dark": float(dark[glands].mean()),
            "white": float(white[glands].mean()),
        }
    assert found[3]["count"] > 1.5 * found[2]["count"]
    assert found[3]["area"] < 0.6 * found[2]["area"]
    assert found[4]["area"] > 1.5 * found[3]["area"]
    assert found[5]["white"] < 0.3 * found[4]["white"]
    assert found[5]["dark"] > 1.2 * found[4]["dark"]


def kappa(truth: np.ndarray, guess: np.ndarray) -> float:
    """Quadratic weighted kappa of grades 0 to 5."""
    table = np.zeros((6, 6))
    np.add.at(table, (truth, guess), 1)
    weight = (np.arange(6)[:, None] - np.arange(6)) ** 2
    chance = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return float(1 - (weight * table).sum() / (weight * chance).sum())


def probed(features: np.ndarray, grades: np.ndarray) -> float:
    """Kappa of a cross-validated linear probe."""
    guess = np.zeros(len(grades))
    folds = np.arange(len(grades)) // 6 % 4
    for fold in range(4):
        train = folds != fold
        mean, spread = features[train].mean(axis=0), features[train].std(axis=0) + 1e-9
        table = np.c_[(features - mean) / spread, np.ones(len(features))]
        weights = np.linalg.lstsq(table[train], grades[train], rcond=None)[0]
        guess[~train] = (table @ weights)[~train]
    return kappa(grades, np.clip(np.rint(guess), 0, 5).astype(int))


def test_mean_colour_does_not_tell_the_grade_but_glands_do():
    colours, shares = [], []
    grades = np.arange(42) % 6
    for number, grade in enumerate(grades):
        spec = biopsy(
            512, 512, spacing=4.0, seed=500 + number, grade=int(grade), cores=2, core_width=600
        )
        pixels, labels, _ = painted(spec)
        inside = pixels[labels > 0]
        colours.append(inside.mean(axis=0))
        shares.append([(labels[labels > 0] == k).mean() for k in range(2, 6)])
    assert probed(np.array(colours), grades) < 0.3
    assert probed(np.array(shares), grades) > 0.7
