"""Which model answers where a person chose none: the one whose result is shown, or nobody."""

from __future__ import annotations

import pytest

from napari_maskvit.explain import Explainer
from napari_maskvit.model import load_model
from napari_maskvit.tissue import segment_tissue

pytestmark = pytest.mark.window

TISSUE, GLASS = (384.0, 460.0), (80.0, 900.0)


@pytest.fixture
def shown(session, bundle):
    """A result of the minute model over its mask, as one from a file: no model is loaded."""
    mask = segment_tissue(session.slide)
    session.use_mask(mask)
    session.attention.take(Explainer(session.slide, load_model(bundle)).explain(mask))
    return session


@pytest.fixture
def known(bundle, monkeypatch):
    """The minute model is one of the person's own."""
    monkeypatch.setenv("MASKVIT_MODELS", str(bundle.parent))


@pytest.fixture
def said(monkeypatch):
    """What is told, beside what went wrong."""
    told: list[str] = []
    monkeypatch.setattr("napari_maskvit.viewer.words.notices.tell", told.append)
    return told


def test_a_stroke_is_answered_by_the_model_whose_result_is_shown(shown, known, hand, settle):
    before = shown.explanation
    assert shown.model is None
    shown.hand.pick("eraser")
    hand.drag([TISSUE, (TISSUE[0], TISSUE[1] + 60)])
    settle(shown)
    assert shown.model.sha256 == before.model_sha256
    assert shown.explanation is not before
    assert shown.explanation.complete
    assert shown.explanation.model_sha256 == before.model_sha256
    assert not shown.outdated
    assert not shown.messages


def test_no_other_model_answers_in_its_place(shown, said, hand, settle, bundle):
    before = shown.explanation
    shown.hand.pick("eraser")
    for far in (30, 60):
        hand.drag([TISSUE, (TISSUE[0], TISSUE[1] + far)])
        settle(shown)
    assert shown.model is None
    assert shown.explanation is before
    assert shown.outdated
    assert len(said) == 1
    assert "Untrained" in said[0]
    assert "Choose a model" in said[0]
    shown.run()
    assert shown.messages == said
    assert not shown.running
    shown.use_model(bundle)
    shown.run()
    settle(shown)
    assert shown.explanation is not before
    assert not shown.outdated


@pytest.mark.parametrize("is_known", [True, False])
def test_tissue_that_is_found_brings_no_other_model(
    session, bundle, said, settle, is_known, request
):
    if is_known:
        request.getfixturevalue("known")
    mask = segment_tissue(session.slide)
    session.attention.take(Explainer(session.slide, load_model(bundle)).explain(mask))
    session.find_tissue()
    settle(session)
    assert session.mask is not None
    assert (session.model.name if session.model else None) == ("minute" if is_known else None)
    assert not session.messages
    assert not said
