"""Attention in a real window: run, looked at, compared, cancelled, followed, kept."""

from __future__ import annotations

import time

import numpy as np
import pytest

from napari_maskvit.errors import ExplainError
from napari_maskvit.viewer.hover import in_words
from napari_maskvit.viewer.keys import LEVEL_KEYS

pytestmark = pytest.mark.window

GLASS = (80.0, 900.0)
TISSUE = (384.0, 460.0)


def shown(session, level="patch"):
    return session.attention.layers.layers[level]


def names(viewer):
    return [layer.name for layer in viewer.layers]


def test_a_run_shows_every_level_over_the_slide(ran, viewer, qtbot):
    qtbot.waitUntil(lambda: "out of date" in names(viewer))  # the veil, at hand for a stroke
    assert not ran.messages
    assert ran.explanation.complete
    assert ran.levels == ("patch", "region", "slide", "factorised")
    assert names(viewer) == [
        "biopsy",
        "tissue mask",
        "attention: patch",
        "attention: region",
        "attention: slide",
        "attention: factorised",
        "out of date",
        "outline and corrections",
    ]
    assert [layer.visible for layer in viewer.layers[2:6]] == [True, False, False, False]
    assert ran.explanation.prediction.label in ("benign", "low", "high")
    assert viewer.layers.selection.active is ran.tissue.layer


def test_layers_come_in_turns_the_one_that_is_looked_at_first(ready, viewer, qtbot, monkeypatch):
    slow_down(ready, monkeypatch, 0.2)
    ready.show(level="region")
    ready.run()
    attention = [name for name in names(viewer) if name.startswith("attention")]
    assert attention == ["attention: region"]
    qtbot.waitUntil(lambda: ready.explanation is not None, timeout=240_000)
    assert not ready.explanation.complete
    qtbot.waitUntil(lambda: len(ready.attention.layers.in_order) == 4, timeout=240_000)
    qtbot.waitUntil(lambda: not ready.running, timeout=240_000)
    attention = [layer for layer in viewer.layers if layer.name.startswith("attention")]
    assert attention == ready.attention.layers.in_order
    assert [layer.visible for layer in attention] == [False, True, False, False]
    np.testing.assert_array_equal(
        shown(ready, "region").data, ready.explanation.heatmap("region").array
    )


def test_no_empty_layer_is_left_of_a_run_that_came_to_nothing(ready, viewer, qtbot, monkeypatch):
    slow_down(ready, monkeypatch, 0.5)
    ready.run()
    assert shown(ready) in viewer.layers
    ready.cancel()
    assert ready.explanation is None
    assert not [name for name in names(viewer) if name.startswith("attention")]
    ready.run()
    qtbot.waitUntil(lambda: ready.explanation is not None, timeout=240_000)
    assert np.isfinite(shown(ready).data).any()
    ready.cancel()


def test_what_is_shown_is_the_heatmap_in_its_place(ran):
    heatmap = ran.explanation.heatmap("patch")
    layer = shown(ran)
    np.testing.assert_array_equal(layer.data, heatmap.array)
    corner = layer.data_to_world((-0.5, -0.5))
    assert corner == pytest.approx((-0.25, -0.25))
    assert layer.scale[0] == pytest.approx(heatmap.spacing)
    row, column = (int(one / heatmap.spacing) for one in TISSUE)
    assert np.isfinite(layer.data[row, column])
    row, column = (int(one / heatmap.spacing) for one in GLASS)
    assert np.isnan(layer.data[row, column])


def test_glass_is_shown_as_glass_and_tissue_in_the_colormap(ran, viewer, hand, qtbot):
    ran.show(opacity=1.0, normalisation="rank")
    ran.tissue.editor.outline.visible = False
    viewer.canvas.overlays.scale_bar.visible = False
    qtbot.wait(150)
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
    height = viewer.canvas.size[0]
    ratio = picture.shape[0] / height

    def colour(place):
        x, y = hand.screen(*place)
        return picture[int(y * ratio), int(x * ratio)]

    assert (colour(GLASS) > 235).all()
    heatmap = ran.attention.picture()
    row, column = (int(one / heatmap.spacing) for one in TISSUE)
    y, x = ((index + 0.5) * heatmap.spacing for index in (row, column))
    from napari.utils.colormaps import ensure_colormap

    expected = ensure_colormap("inferno").map(heatmap.array[row, column])[0, :3] * 255
    assert np.abs(colour((y, x)) - expected).max() < 12


@pytest.mark.parametrize("key", LEVEL_KEYS)
def test_one_key_a_level(ran, viewer, key):
    from app_model.types import KeyBinding

    viewer.keymap[KeyBinding.from_str(key)](viewer)
    level = LEVEL_KEYS[key]
    assert ran.display.level == level
    visible = [n for n in names(viewer) if n.startswith("attention") and viewer.layers[n].visible]
    assert visible == [f"attention: {level}"]
    assert np.isfinite(shown(ran, level).data).any()


@pytest.mark.parametrize(
    "changes",
    [
        {"normalisation": "relative"},
        {"normalisation": "min-max", "scope": "window"},
        {"head": 1},
        {"head": "max"},
        {"level": "factorised", "gamma": 0.9},
        {"level": "factorised", "combine": "multiply"},
        {"level": "slide", "head": 2},
    ],
)
def test_the_picture_follows_the_display_without_a_run(ran, changes, settle):
    explanation = ran.explanation
    ran.show(**changes)
    settle(ran)
    display = ran.display
    heads = ran.explanation.heads(display.level)
    head = display.head
    expected = explanation.heatmap(
        display.level,
        head="mean" if isinstance(head, int) and head >= heads else head,
        normalisation=display.normalisation,
        scope=display.scope,
        gamma=display.gamma,
        combine=display.combine,
    )
    layer = shown(ran, display.level)
    np.testing.assert_array_equal(layer.data, expected.array)
    assert tuple(layer.contrast_limits) == pytest.approx(expected.limits)
    assert ran.attention.picture().legend == expected.legend
    assert ran.explanation is explanation


def test_colormap_and_opacity_are_one_for_all(ran):
    ran.show(colormap="viridis", opacity=0.25)
    for layer in ran.attention.layers.layers.values():
        assert layer.colormap.name == "viridis"
        assert layer.opacity == 0.25
    ran.show(visible=False)
    assert not any(layer.visible for layer in ran.attention.layers.layers.values())


def test_an_eye_opened_by_hand_shows_what_belongs_there(ran):
    ran.show(normalisation="relative")
    layer = shown(ran, "region")
    layer.visible = True
    expected = ran.explanation.heatmap("region", normalisation="relative")
    np.testing.assert_array_equal(layer.data, expected.array)


def test_removed_heatmaps_come_back(ran, viewer):
    for layer in list(ran.attention.layers.layers.values()):
        viewer.layers.remove(layer)
    ran.show(level="region")
    ran.attention.take(ran.explanation)
    assert sum(name.startswith("attention") for name in names(viewer)) == 4


def test_plain_attention_stands_beside_on_one_scale(ran, viewer, settle, qtbot):
    ran.show(normalisation="relative")
    before = names(viewer)
    ran.compare(True)
    settle(ran)
    assert ran.comparing
    assert ran.reference.masking == ("slide",)
    grid = viewer.canvas.grid
    assert grid.enabled
    assert grid.actual_shape(viewer.layers) == (1, 2)
    sides = {name: grid.position(i, viewer.layers) for i, name in enumerate(names(viewer))}
    assert sides["biopsy"] == sides["attention: patch (masked)"] == sides["tissue mask"] == (0, 0)
    assert sides["biopsy (plain)"] == sides["attention: patch (plain)"] == (0, 1)
    plain = viewer.layers["attention: patch (plain)"]
    masked = viewer.layers["attention: patch (masked)"]
    assert tuple(plain.contrast_limits) == tuple(masked.contrast_limits)
    assert np.isfinite(plain.data).sum() > np.isfinite(masked.data).sum()
    # A layer that a person adds belongs to the left, where everything was.
    viewer.add_points([[10, 10]], name="mine")
    sides = {name: grid.position(i, viewer.layers) for i, name in enumerate(names(viewer))}
    assert sides["mine"] == (0, 0)
    assert sides["biopsy (plain)"] == (0, 1)
    ran.show(level="region", colormap="magma")
    settle(ran)
    assert viewer.layers["attention: region (plain)"].visible
    qtbot.wait(100)
    ran.compare(False)
    assert not grid.enabled
    assert [name for name in names(viewer) if name != "mine"] == before


def test_a_correction_is_followed_there_and_only_there(ran, hand, settle, qtbot):
    first = ran.explanation
    ran.hand.pick("eraser")
    hand.drag([TISSUE, (384.0, 500.0)])
    qtbot.waitUntil(lambda: ran.explanation is not first, timeout=10_000)
    settle(ran)
    second = ran.explanation
    assert second is not first
    assert second.complete
    assert second.statistics.kept["patch"] < first.statistics.kept["patch"]
    assert 0 < second.statistics.computed_patches < first.statistics.computed_patches / 3
    ran.hand.undo()
    qtbot.waitUntil(lambda: ran.explanation is not second, timeout=10_000)
    settle(ran)
    assert ran.explanation.statistics.computed_patches == 0
    assert ran.explanation.statistics.kept == first.statistics.kept
    np.testing.assert_array_equal(ran.explanation.attention("patch"), first.attention("patch"))


def test_live_can_be_turned_off(ran, hand, settle):
    first = ran.explanation
    ran.set_live(False)
    hand.drag([GLASS, (80.0, 940.0)])
    settle(ran)
    assert ran.explanation is first


def test_cancel_answers_at_once_and_keeps_what_is_there(ready, qtbot, monkeypatch):
    steps = []
    slow_down(ready, monkeypatch, 0.15)
    ready.progressed.connect(steps.append)
    ready.run()
    qtbot.waitUntil(lambda: ready.explanation is not None and len(steps) > 1, timeout=240_000)
    started = time.perf_counter()
    ready.cancel()
    assert time.perf_counter() - started < 0.1
    assert not ready.running
    assert ready.busy is None
    count = len(steps)
    partial = ready.explanation
    qtbot.wait(600)
    assert len(steps) == count
    assert ready.explanation is partial
    assert not partial.complete
    assert np.isfinite(shown(ready).data).any()
    # And it goes on from there.
    ready.run()
    qtbot.waitUntil(lambda: not ready.running, timeout=240_000)
    assert ready.explanation.complete
    assert ready.explanation.statistics.cached_patches > 0


def test_the_window_lives_while_the_model_runs(ready, qtbot, monkeypatch):
    slow_down(ready, monkeypatch, 0.1)
    gaps = []
    last = time.perf_counter()
    ready.run()
    while ready.running:
        qtbot.wait(5)
        gaps.append(time.perf_counter() - last)
        last = time.perf_counter()
    assert len(gaps) > 20
    assert np.median(gaps) < 0.1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ExplainError("The glass is broken. Take another."), "The glass is broken."),
        (RuntimeError("shape mismatch in torch"), "RuntimeError: shape mismatch in torch"),
        (OSError("network drive gone"), "network drive gone"),
    ],
)
def test_an_error_in_the_middle_of_a_run_is_one_sentence(
    ready, qtbot, monkeypatch, capfd, error, words
):
    from napari_maskvit.explain.computing import PatchComputer

    original = PatchComputer._encode
    calls = []

    def fails(self, batch):
        calls.append(1)
        if len(calls) > 1:
            raise error
        return original(self, batch)

    monkeypatch.setattr(PatchComputer, "_encode", fails)
    monkeypatch.setattr("napari_maskvit.explain.engine.TOKEN_BUDGET", {"cpu": 64})
    ready.run()
    qtbot.waitUntil(lambda: bool(ready.messages) and not ready.running, timeout=240_000)
    assert len(ready.messages) == 1
    assert words in ready.messages[0]
    assert "Traceback" not in capfd.readouterr().err
    assert ready.mask is not None


def test_closing_the_window_in_the_middle_of_a_run(ready, viewer, qtbot, monkeypatch):
    slow_down(ready, monkeypatch, 0.2)
    ready.run()
    qtbot.waitUntil(lambda: ready.explanation is not None, timeout=240_000)
    started = time.perf_counter()
    viewer.close()
    assert time.perf_counter() - started < 5
    assert ready.closed
    qtbot.wait(300)


def test_the_status_bar_says_what_lies_under_the_mouse(ran, viewer, hand, qtbot):
    hand.hover(*TISSUE)
    qtbot.waitUntil(lambda: "patch attention" in str(viewer.status), timeout=30_000)
    heatmap = ran.attention.picture()
    row, column = (int(one / heatmap.spacing) for one in TISSUE)
    assert in_words(float(heatmap.array[row, column]), "rank") in str(viewer.status)
    assert "patch row" in str(viewer.status)
    hand.hover(*GLASS)
    qtbot.waitUntil(lambda: "none (background)" in str(viewer.status), timeout=30_000)


def test_the_status_bar_follows_a_level_under_a_mouse_that_stands_still(ran, viewer, hand, qtbot):
    hand.hover(*TISSUE)
    qtbot.waitUntil(lambda: "patch attention" in str(viewer.status), timeout=30_000)
    ran.show(level="region")
    qtbot.waitUntil(lambda: "region attention" in str(viewer.status), timeout=30_000)
    assert "patch attention" not in str(viewer.status)
    ran.show(visible=False)
    qtbot.waitUntil(lambda: "attention" not in str(viewer.status), timeout=30_000)


def test_waiting_for_the_model_is_said_and_can_be_cancelled(session, bundle, settle, qtbot):
    from napari_maskvit.viewer.panels.run import RunPanel

    session.find_tissue()
    qtbot.waitUntil(lambda: session.mask is not None, timeout=20_000)
    panel = RunPanel(session)
    qtbot.addWidget(panel)
    session.use_model(bundle)
    panel.start.click()
    assert session.runs.is_waiting
    assert panel.start.isHidden()
    assert not panel.stop.isHidden()
    assert "model is loaded" in panel.said.text()
    panel.stop.click()
    assert not session.runs.is_waiting
    assert not panel.start.isHidden()
    settle(session)
    assert session.explanation is None
    panel.release()


def test_running_before_the_model_is_there_waits_for_it(session, bundle, settle):
    session.find_tissue()
    settle(session)
    session.use_model(bundle)
    session.run()
    assert session.running
    settle(session)
    assert session.explanation.complete
    assert session.explanation.model_title == "Untrained"


def test_a_model_that_is_none_is_told(session, settle, tmp_path):
    session.use_model(tmp_path / "nothing")
    settle(session)
    assert len(session.messages) == 1
    assert "nothing" in session.messages[0]


def test_an_empty_mask_is_told(ready):
    from napari_maskvit.tissue import TissueMask

    mask = ready.mask
    ready.use_mask(TissueMask(np.zeros_like(mask.array), mask.spacing))
    ready.run()
    assert "empty" in ready.messages[0]


def slow_down(session, monkeypatch, seconds):
    """Small batches that take a while, so that there is a middle to a run."""
    from napari_maskvit.explain.computing import PatchComputer

    original = PatchComputer._encode

    def slow(self, batch):
        time.sleep(seconds)
        return original(self, batch)

    monkeypatch.setattr(PatchComputer, "_encode", slow)
    monkeypatch.setattr("napari_maskvit.explain.engine.TOKEN_BUDGET", {"cpu": 128})
