"""A correction followed in a real window: at once, kept in the timeline, shown as gain and loss."""

from __future__ import annotations

import time

import numpy as np
import pytest

from napari_maskvit.viewer.dock import MaskvitWidget
from napari_maskvit.viewer.panels.changes import ChangesPanel
from napari_maskvit.viewer.work import courtesy

pytestmark = pytest.mark.window

GLASS = (80.0, 900.0)
TISSUE = (384.0, 460.0)


def names(viewer):
    return [layer.name for layer in viewer.layers]


def shown(session, level="patch"):
    return session.attention.layers.layers[level]


def slow_down(monkeypatch, seconds):
    """Batches that take a while, so that there is a middle to an update."""
    from napari_maskvit.explain.computing import PatchComputer

    original = PatchComputer._encode

    def slow(self, batch):
        time.sleep(seconds)
        return original(self, batch)

    monkeypatch.setattr(PatchComputer, "_encode", slow)


def erase(session, hand, y=TISSUE[0], x=TISSUE[1]):
    session.hand.pick("eraser")
    hand.drag([(y, x), (y, x + 40)])


def followed(session, before, qtbot):
    qtbot.waitUntil(lambda: session.explanation is not before, timeout=30_000)


def test_going_back_to_the_first_step_gives_the_first_mask(ran, hand, qtbot, settle):
    first, mask = ran.explanation, ran.mask.array.copy()
    erase(ran, hand)
    followed(ran, first, qtbot)
    second = ran.explanation
    ran.hand.pick("brush")
    hand.drag([GLASS, (GLASS[0], GLASS[1] + 40)])
    followed(ran, second, qtbot)
    kinds = [entry.kind for entry in ran.timeline.timeline.entries]
    assert kinds == ["found", "erased", "painted"]
    said = [entry.prediction for entry in ran.timeline.timeline.entries]
    assert said == [first.prediction, second.prediction, ran.explanation.prediction]
    corrected = ran.mask.array.copy()
    third = ran.explanation
    ran.timeline.go_back(ran.timeline.timeline.entries[0].serial)
    np.testing.assert_array_equal(ran.mask.array, mask)
    followed(ran, third, qtbot)
    assert ran.explanation.statistics.computed_patches == 0
    np.testing.assert_array_equal(ran.explanation.attention("patch"), first.attention("patch"))
    ran.hand.undo()
    np.testing.assert_array_equal(ran.mask.array, corrected)
    settle(ran)
    kinds = [entry.kind for entry in ran.timeline.timeline.entries]
    assert kinds[3:] == ["gone back", "undone"]
    ran.hand.redo()
    np.testing.assert_array_equal(ran.mask.array, mask)
    assert ran.timeline.timeline.latest.kind == "redone"
    settle(ran)
    assert not ran.messages


def test_the_newest_mask_wins_and_nothing_is_computed_twice(ran, hand, qtbot, monkeypatch, settle):
    from napari_maskvit.explain import Explainer
    from napari_maskvit.explain.computing import PatchComputer

    first, computed = ran.explanation, []
    slow_down(monkeypatch, 0.1)
    slow = PatchComputer._encode

    def counted(self, batch):
        computed.extend((one.plan.row, one.plan.column, one.kept.tobytes()) for one in batch)
        return slow(self, batch)

    monkeypatch.setattr(PatchComputer, "_encode", counted)
    for step in range(4):
        erase(ran, hand, TISSUE[0] + 50 * (step % 2), TISSUE[1] + 60 * step)
    settle(ran)
    assert ran.explanation is not first
    assert ran.explanation.complete
    assert not ran.outdated
    assert len(computed) == len(set(computed))
    explainer = Explainer(ran.slide, ran.model)
    fresh = explainer.explain(ran.mask)
    assert ran.explanation.statistics.kept == fresh.statistics.kept
    # Other batches are other kernels, which bfloat16 shows.
    within = 1e-6 if explainer.precision == "float32" else 1e-3
    np.testing.assert_allclose(
        ran.explanation.attention("patch"), fresh.attention("patch"), atol=within
    )
    assert ran.explanation.prediction.probabilities == pytest.approx(
        fresh.prediction.probabilities, abs=within
    )


def test_an_update_waits_while_a_hand_draws_and_then_answers_both(ran, hand, monkeypatch, settle):
    slow_down(monkeypatch, 0.15)
    # However slow the machine, the hand does not rest before it is lifted.
    monkeypatch.setattr(courtesy, "REST_S", 5.0)
    monkeypatch.setattr(courtesy, "PATIENCE_S", 60.0)
    first, answered = ran.explanation, []
    ran.explanation_changed.connect(lambda *_: answered.append(ran.hand.courtesy.is_drawing))
    erase(ran, hand)
    assert ran.updating
    hand.drag([(TISSUE[0] + 100, TISSUE[1]), (TISSUE[0] + 100, TISSUE[1] + 60)], moves=60)
    assert sum(hand.seconds[-60:]) > 0.3
    settle(ran)
    assert answered == [False]
    assert ran.explanation is not first
    assert not ran.outdated


def test_what_waits_is_veiled_and_the_answer_says_so(ran, viewer, hand, qtbot, monkeypatch):
    panel = MaskvitWidget(viewer)
    qtbot.addWidget(panel)
    result = panel.panels[4]
    first = ran.explanation
    slow_down(monkeypatch, 1.2)
    before = shown(ran).data.copy()
    layer = viewer.layers["out of date"]
    assert not layer.visible
    erase(ran, hand)
    assert ran.updating
    assert ran.outdated
    assert ran.explanation is first
    qtbot.waitUntil(lambda: layer.visible, timeout=5000)
    qtbot.waitUntil(lambda: "Updating" in result.detail.text(), timeout=5000)
    assert 0 < np.count_nonzero(layer.data) < layer.data.size / 4
    untouched = np.isfinite(before)
    untouched[:, : untouched.shape[1] // 2] = False
    followed(ran, first, qtbot)
    qtbot.waitUntil(lambda: not ran.running, timeout=5000)
    assert not layer.visible
    assert not ran.outdated
    assert "Updating" not in result.detail.text()
    panel.close()


def test_without_following_it_waits_for_run(ran, viewer, hand, qtbot, settle):
    ran.set_live(False)
    first = ran.explanation
    erase(ran, hand)
    settle(ran)
    assert ran.explanation is first
    assert ran.outdated
    assert viewer.layers["out of date"].visible
    ran.run()
    settle(ran)
    assert not ran.outdated
    assert not viewer.layers["out of date"].visible


def test_gain_and_loss_lie_where_the_correction_was(ran, viewer, hand, qtbot, settle):
    changes, first = ran.attention.changes, ran.explanation
    erase(ran, hand)
    followed(ran, first, qtbot)
    changes.switch(True)
    settle(ran)
    layer = viewer.layers["change: patch"]
    assert layer.visible
    assert not shown(ran).visible
    assert layer.contrast_limits[0] == -layer.contrast_limits[1]
    row, column = (int(one / (16 * 0.5)) for one in TISSUE)
    assert layer.data[row, column] < 0
    patches = np.abs(np.nan_to_num(layer.data)).reshape(-1, 8, layer.data.shape[1] // 8, 8)
    touched = patches.max(axis=(1, 3)) > 0
    assert touched.sum() == ran.explanation.statistics.computed_patches
    change = changes.compared.change
    latest = ran.timeline.timeline.latest
    assert change.lost_mm2 == pytest.approx(latest.lost_mm2, rel=1e-4)
    assert change.gained_mm2 == 0
    assert (change.then, change.now) == (first.prediction, ran.explanation.prediction)
    ran.show(level="region")
    settle(ran)
    assert viewer.layers["change: region"].visible
    assert not layer.visible
    changes.choose("plain")
    settle(ran)
    assert changes.compared.then.masking == ("slide",)
    changes.keep()
    assert ("Kept: 1", "Kept: 1") in changes.offered
    changes.switch(False)
    assert not any(name.startswith("change") for name in names(viewer))
    assert shown(ran, "region").visible


def test_other_ways_of_running_are_kept_to_compare_with(ran, settle):
    first = ran.explanation
    ran.configure(threshold=0.5)
    ran.run()
    settle(ran)
    changes = ran.attention.changes
    assert changes._kept["Untrained"] is first
    changes.switch(True)
    changes.choose("Untrained")
    settle(ran)
    assert changes.compared.then is first
    assert changes.compared.change.lost_mm2 > 0


def test_the_panel_lists_the_steps_and_goes_back(ran, viewer, hand, qtbot, settle):
    mask, first = ran.mask.array.copy(), ran.explanation
    panel = ChangesPanel(ran)
    qtbot.addWidget(panel)
    erase(ran, hand)
    followed(ran, first, qtbot)
    settle(ran)
    assert panel.steps.count() == 2
    assert "erased" in panel.steps.item(0).text()
    assert "µm²" in panel.steps.item(0).text()
    assert ran.explanation.prediction.label in panel.steps.item(0).text()
    assert "→" in panel.labels.text()
    assert not panel.back.isEnabled()
    panel.steps.setCurrentRow(1)
    assert panel.back.isEnabled()
    panel.back.click()
    settle(ran)
    np.testing.assert_array_equal(ran.mask.array, mask)
    assert panel.steps.count() == 3
    panel.release()
