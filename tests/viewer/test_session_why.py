"""Taking the answer apart in a real window: contributions, a ring, and finer attention."""

from __future__ import annotations

from threading import Event

import numpy as np
import pytest

from napari_maskvit.explain import Explainer
from napari_maskvit.explain.granular import GranularHeatmap
from napari_maskvit.viewer.panels.why import WhyPanel

pytestmark = pytest.mark.window

GLASS = (80.0, 900.0)
TISSUE = (384.0, 460.0)


def ring(y, x, radius):
    turn = np.linspace(0, 2 * np.pi, 14)
    return [(y + radius * np.sin(one), x + radius * np.cos(one)) for one in turn]


def test_contributions_lie_over_the_slide_centred_at_nothing(ran, viewer, qtbot, settle):
    panel = WhyPanel(ran)
    qtbot.addWidget(panel)
    panel.compute.click()
    assert ran.attention.why.is_running
    settle(ran)
    layer = viewer.layers["contribution: patch"]
    expected = Explainer(ran.slide, ran.model).contribution(ran.mask).heatmap()
    np.testing.assert_allclose(layer.data, expected.array, atol=1e-5)
    assert layer.contrast_limits[0] == -layer.contrast_limits[1]
    assert layer.visible
    assert not viewer.layers["attention: patch"].visible
    assert "holds the answer up" in panel.legend.text()
    panel.shown.click()
    assert "contribution: patch" not in viewer.layers
    assert viewer.layers["attention: patch"].visible
    panel.release()


def test_a_cover_is_no_choice_of_the_person(ran, viewer, settle, other_slide_path):
    first, attention = ran.slide_layer, ran.attention
    attention.why.compute()
    settle(ran)
    attention.changes.switch(True)
    settle(ran)
    assert not viewer.layers["attention: patch"].visible
    assert ran.display.visible
    ran.save()
    settle(ran)
    ran.open(other_slide_path)
    assert ran.display.visible
    assert attention.drawn.visible
    ran.use_slide(first)
    assert viewer.layers["attention: patch"].visible


@pytest.mark.parametrize("cover", ["contribution", "change", "hidden"])
def test_run_shows_what_it_has_found(ran, viewer, settle, cover):
    attention = ran.attention
    if cover == "contribution":
        attention.why.compute()
    elif cover == "change":
        attention.changes.switch(True)
    else:
        ran.show(visible=False)
    settle(ran)
    assert not viewer.layers["attention: patch"].visible
    ran.run()
    settle(ran)
    assert viewer.layers["attention: patch"].visible
    assert not attention.why.shown
    assert not attention.changes.on


def test_a_map_of_an_answer_that_no_longer_stands_is_faint(ran, viewer, hand, settle):
    ran.attention.why.compute()
    settle(ran)
    layer = viewer.layers["contribution: patch"]
    strong = layer.opacity
    ran.set_live(False)
    ran.hand.pick("brush")
    hand.drag([GLASS, (80.0, 930.0)])
    assert layer.opacity < strong / 2
    ran.attention.why.compute()
    settle(ran)


def test_a_ring_says_what_the_answer_would_be_without(ran, viewer, hand, qtbot, settle):
    why = ran.attention.why
    panel = WhyPanel(ran)
    qtbot.addWidget(panel)
    panel.draw.click()
    hand.drag(ring(*TISSUE, 60), moves=2)
    qtbot.waitUntil(lambda: why.without is not None, timeout=30_000)
    settle(ran)
    area = np.pi * 60**2 / 1e6
    assert why.without.mm2 == pytest.approx(area, rel=0.1)
    assert why.without.then == ran.explanation.prediction
    assert why.without.now != why.without.then
    assert "Without this" in panel.said.text()
    assert "→" in panel.detail.text()
    before = ran.mask.array.copy()
    hand.drag(ring(*GLASS, 40), moves=2)
    qtbot.waitUntil(lambda: bool(ran.messages), timeout=30_000)
    assert "no tissue in that ring" in ran.messages[0]
    np.testing.assert_array_equal(ran.mask.array, before)
    panel.clear.click()
    assert "what if not there" not in viewer.layers
    panel.release()


def test_without_an_answer_it_says_why_not(ready, qtbot):
    panel = WhyPanel(ready)
    qtbot.addWidget(panel)
    assert not panel.compute.isEnabled()
    assert "Run the model first" in panel.compute.toolTip()
    panel.release()


def test_a_correction_goes_before_what_can_wait(ran, hand, settle, monkeypatch):
    from napari_maskvit.explain import contribution

    leaving, gate = contribution.patches_left_out, Event()

    def slow(*args):
        gate.wait(60)
        yield from leaving(*args)

    monkeypatch.setattr(contribution, "patches_left_out", slow)
    ran.attention.why.compute("patch")
    assert ran.attention.why.is_running
    ran.hand.pick("eraser")
    hand.drag([TISSUE, (TISSUE[0], TISSUE[1] + 40)])
    assert not ran.attention.why.is_running
    gate.set()
    settle(ran)
    assert ran.attention.why.contribution is None
    assert ran.explanation.complete
    assert not ran.outdated


def test_finer_attention_replaces_the_picture_and_follows(ran, hand, qtbot, settle):
    finer = ran.attention.finer
    plain = ran.attention.picture()
    finer.switch(True)
    settle(ran)
    shown = ran.attention.picture()
    assert isinstance(shown, GranularHeatmap)
    assert shown.grids == 4
    expected = Explainer(ran.slide, ran.model).granular(ran.mask, "patch").heatmap()
    np.testing.assert_allclose(shown.array, expected.array, atol=1e-4)
    layer = ran.attention.layers.layers["patch"]
    np.testing.assert_array_equal(layer.data, shown.array)
    assert "4 shifted grids" in ran.attention.picture().legend
    ran.show(normalisation="relative")
    settle(ran)
    assert isinstance(ran.attention.picture(), GranularHeatmap)
    assert ran.attention.picture().normalisation == "relative"
    ran.show(level="region")
    settle(ran)
    region = ran.attention.layers.layers["region"]
    assert isinstance(ran.attention.picture(), GranularHeatmap)
    assert region.scale[0] == pytest.approx(ran.attention.picture().spacing)
    assert region.data_to_world((-0.5, -0.5)) == pytest.approx((-0.25, -0.25))
    ran.show(level="factorised")
    settle(ran)
    assert isinstance(ran.attention.picture(), GranularHeatmap)
    assert finer.why_not is None
    ran.show(level="slide")
    assert "whole regions" in finer.why_not
    ran.show(level="patch", normalisation="rank")
    first = ran.explanation
    ran.hand.pick("eraser")
    hand.drag([TISSUE, (TISSUE[0], TISSUE[1] + 40)])
    qtbot.waitUntil(lambda: ran.explanation is not first, timeout=30_000)
    settle(ran)
    assert isinstance(ran.attention.picture(), GranularHeatmap)
    ran.hand.undo()
    finer.switch(False)
    settle(ran)
    np.testing.assert_array_equal(ran.attention.picture().array, plain.array)
    np.testing.assert_array_equal(layer.data, plain.array)
    assert not ran.messages
