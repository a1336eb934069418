"""The scorecard on phantoms whose truth is known: masked attention is blind to the background."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from maskvit_training.cli import app
from maskvit_training.cohort import read_cohort
from maskvit_training.recipe import load_recipe
from maskvit_training.scorecard import score_slide
from maskvit_training.scorecard.answer import Answer, label_of
from maskvit_training.scorecard.backgrounds import KeptTokens, glass, noise, pen, with_background
from maskvit_training.scorecard.cohort import MASKED, PLAIN, maskings
from maskvit_training.scorecard.curves import curve
from maskvit_training.scorecard.pointing import points_at, read_annotation
from maskvit_training.scorecard.slide import EVERY_LEVEL, Subject
from typer.testing import CliRunner

from napari_maskvit.explain import Explainer
from napari_maskvit.explain.contribution import score_of
from napari_maskvit.explain.features import slide_features
from napari_maskvit.model import ModelConfig, build_model, load_model, save_bundle
from napari_maskvit.slide import open_slide
from napari_maskvit.slide.phantom import biopsy, labels_path, with_artefact, write_phantom
from napari_maskvit.tissue import TissueMask

FILLS = ("noise", "pen", "another slide's glass")
LEVELS = ("patch", "region", "slide")


@pytest.fixture(scope="module")
def model_path(tmp_path_factory, encoder_bundle: Path) -> Path:
    """All three levels, untrained, but with features large enough for answers to differ."""
    facts = load_model(encoder_bundle).config.model_dump() | {
        "region": {"dim": 32, "depth": 1, "heads": 2, "position_side": 2},
        "slide": {"dim": 32, "depth": 1, "heads": 2, "feedforward": 32},
        "head": "classification",
        "labels": ("a", "b", "c"),
        "frozen": (),
        "weights_sha256": None,
    }
    torch.manual_seed(1)
    model = build_model(ModelConfig.model_validate(facts))
    with torch.no_grad():
        for module in (model.region, model.slide):
            for parameter in module.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(4)
    return save_bundle(model, tmp_path_factory.mktemp("models") / "whole")


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory, model_path: Path) -> Path:
    """Three slides with pen beside the tissue, their label masks, and a recipe."""
    folder = tmp_path_factory.mktemp("phantoms")
    rows = ["slide,label,mask,patient"]
    for at in range(3):
        spec = biopsy(512, 384, spacing=2.0, seed=at, grade=4, cores=1, core_width=260.0)
        path = folder / f"s{at}.tif"
        write_phantom(path, with_artefact(spec, "pen", strength=0.9))
        rows.append(f"{path.name},{at % 3},{labels_path(path).name},p{at}")
    (folder / "cohort.csv").write_text("\n".join(rows) + "\n")
    recipe = {
        "name": "phantoms",
        "output": "run",
        "data": {"cohort": "cohort.csv", "mask_kind": "labels", "annotation_labels": [3, 4, 5]},
        "encoder": {"model": str(model_path), "device": "cpu", "precision": "float32"},
        "task": {"kind": "classification", "classes": ["a", "b", "c"]},
        "evaluation": {"bootstraps": 20, "scorecard": 2},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder


@pytest.fixture(scope="module")
def subject(phantoms: Path) -> Iterator[Subject]:
    recipe = load_recipe(phantoms / "recipe.yaml")
    first, second, _ = read_cohort(recipe)
    slide, other = open_slide(first.slide), open_slide(second.slide)

    def tissue(case, of) -> TissueMask:
        return read_annotation(case.mask, of, (1, 2, 3, 4, 5))

    annotation = read_annotation(first.annotation, slide, first.annotation_labels)
    yield Subject(slide, tissue(first, slide), (other, tissue(second, other)), annotation)
    slide.close()
    other.close()


def score(model_path: Path, subject: Subject, masking: tuple[str, ...]):
    model = load_model(model_path)
    return score_slide(model, subject, masking, device="cpu", precision="float32")


@pytest.fixture(scope="module")
def masked(model_path: Path, subject: Subject):
    return score(model_path, subject, EVERY_LEVEL)


@pytest.fixture(scope="module")
def plain(model_path: Path, subject: Subject):
    return score(model_path, subject, ())


@pytest.mark.parametrize("level", LEVELS)
def test_masked_attention_never_lies_on_background(masked, plain, level: str):
    name = f"attention on background, {level} level"
    assert masked.numbers[name] == 0
    # What stays in plain attention: much of these phantoms is glass, though not whole regions.
    assert plain.numbers[name] >= (0.2 if level == "patch" else 0)


@pytest.mark.parametrize("fill", FILLS)
def test_another_background_changes_nothing_masked(masked, plain, fill: str):
    assert masked.numbers[f"change of the answer, {fill}"] == 0
    assert plain.numbers[f"change of the answer, {fill}"] > 0
    for level in LEVELS:
        assert masked.numbers[f"change of attention, {fill}, {level} level"] == 0
        assert plain.numbers[f"change of attention, {fill}, {level} level"] > 0


def test_every_number_is_there_and_finite(masked, plain):
    assert set(masked.numbers) == set(plain.numbers)
    for name, value in masked.numbers.items():
        assert math.isfinite(value) or "slide attention" in name, name
    for one in (masked, plain):
        assert set(one.curves) == {"attention", "contribution", "random"}


@pytest.mark.parametrize("spacing", [2.0, 3.1])
@pytest.mark.parametrize("kind", FILLS)
def test_painting_spares_what_a_masked_model_reads(subject: Subject, kind: str, spacing: float):
    rng = np.random.default_rng(0)
    step = 16 * spacing / 2.0
    shape = tuple(math.ceil(side / step) for side in subject.slide.shape)
    tokens = KeptTokens(rng.random(shape) > 0.5, step)
    fill = {
        "noise": noise(0),
        "pen": pen(2.0),
        "another slide's glass": glass(*subject.other, 0),
    }[kind]
    painted = with_background(subject.slide, tokens, fill)
    height, width = (16 * count for count in shape)
    before, after = (
        one.read(0.0, 0.0, width, height, spacing, keep=tokens.kept).pixels
        for one in (subject.slide, painted)
    )
    np.testing.assert_array_equal(before, after)
    whole = [one.read_region(0.0, 0.0, width, height, spacing) for one in (subject.slide, painted)]
    changed = (whole[0] != whole[1]).any(2)
    assert changed.mean() > (0.05 if kind != "noise" else 0.3)


@pytest.mark.parametrize("threshold", [0.0, 0.4])
def test_what_a_masked_model_reads_is_known_without_reading(
    model_path: Path, subject: Subject, threshold: float
):
    model = load_model(model_path)
    explainer = Explainer(
        subject.slide, model, threshold=threshold, device="cpu", precision="float32"
    )
    level = explainer.explain(subject.mask).levels["patch"]
    kept = np.zeros(level.shape, bool)
    kept[level.rows, level.columns] = True
    planned = KeptTokens.of(explainer.plan(subject.mask))
    np.testing.assert_array_equal(planned.kept, kept)
    assert planned.step == level.step


@pytest.mark.parametrize(
    ("sets", "masked_at", "plain_at"),
    [
        ((), LEVELS, ("slide",)),
        (("evaluation.plain=[]",), LEVELS, ()),
        (("masking.levels=[region]",), ("region",), ()),
        (("masking.levels=[]",), LEVELS, ()),
    ],
)
def test_plain_is_what_the_recipe_says(phantoms: Path, sets, masked_at, plain_at):
    recipe = load_recipe(phantoms / "recipe.yaml", sets)
    assert maskings(recipe) == {MASKED: masked_at, PLAIN: plain_at}


def test_a_patch_left_out_is_a_patch_erased_from_the_mask(model_path: Path, subject: Subject):
    model = load_model(model_path)
    explainer = Explainer(subject.slide, model, device="cpu", precision="float32")
    features = slide_features(explainer, subject.mask)
    answer = Answer(model, features)
    whole = explainer.explain(subject.mask).prediction
    label = label_of(whole)
    assert answer.full == pytest.approx(score_of(whole, label), abs=1e-6)
    assert answer.attention.sum() > 0
    n = features.patches_per_side
    owner = np.repeat(np.arange(len(features.regions)), features.lengths)
    places = features.regions[owner] * n + np.stack(np.divmod(features.positions, n), 1)
    left_out = explainer.contribution(subject.mask)
    stay = np.ones(len(answer), bool)
    cells = round(64 * 2.0 / subject.mask.spacing)
    for patch in (0, len(places) // 2):
        array = subject.mask.array.copy()
        row, column = places[patch] * cells
        array[row : row + cells, column : column + cells] = 0
        erased = explainer.explain(TissueMask(array, subject.mask.spacing)).prediction
        stay[patch] = False
        assert answer.without(stay) == pytest.approx(score_of(erased, label), abs=1e-6)
        stay[patch] = True
        at = (left_out.rows == row // cells) & (left_out.columns == column // cells)
        expected = answer.full - score_of(erased, label)
        assert left_out.values[at] == pytest.approx(expected, abs=1e-6)


def test_curves_start_and_end_at_the_whole_answer(model_path: Path, subject: Subject):
    model = load_model(model_path)
    explainer = Explainer(subject.slide, model, device="cpu", precision="float32")
    answer = Answer(model, slide_features(explainer, subject.mask))
    one = curve(answer, np.argsort(-answer.attention))
    assert one.deletion[0] == one.insertion[-1] == 0
    assert max(one.deletion) > 0


def test_pointing_by_hand():
    values = np.array([0.9, 0.8, 0.2, np.nan])
    assert points_at(values, np.array([True, True, False, True])) == (1.0, 1.0)
    assert points_at(values, np.array([False, False, True, True])) == (0.0, 0.0)
    assert all(map(math.isnan, points_at(values, np.zeros(4, bool))))


def test_geojson_and_labels_say_the_same(subject: Subject, tmp_path: Path):
    annotation = subject.annotation
    annotation.save(tmp_path / "a.geojson", subject.slide)
    again = read_annotation(tmp_path / "a.geojson", subject.slide, ())
    one, two = (mask.coverage(0.0, 0.0, 64.0, 12, 16) for mask in (annotation, again))
    np.testing.assert_allclose(one, two, atol=0.08)
    assert one.sum() > 1


def test_the_command_writes_a_report_and_does_nothing_twice(phantoms: Path, model_path: Path):
    words = ["scorecard", str(phantoms / "recipe.yaml"), str(model_path)]
    first = CliRunner().invoke(app, words, catch_exceptions=False)
    assert first.exit_code == 0, first.output
    assert "Scorecard of s0.tif" in first.output
    facts = json.loads((phantoms / "run/scorecard/scorecard.json").read_text())
    assert facts["slides"] == ["s0.tif", "s2.tif"]
    for level in LEVELS:
        mass = facts["summary"]["masked"][f"attention on background, {level} level"]
        assert mass == {"value": 0, "low": 0, "high": 0}
    html = (phantoms / "run/scorecard/scorecard.html").read_text()
    assert html.count("data:image/png;base64,") == 4
    again = CliRunner().invoke(app, words, catch_exceptions=False)
    assert "Scorecard of" not in again.output
