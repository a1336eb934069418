"""Model, attention and result: a real model of every level, small, run by clicking."""

from __future__ import annotations

import pytest

pytest.importorskip("napari", reason="needs the gui extra")

from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QLabel, QWidget

from napari_maskvit.viewer.dock import MaskvitWidget
from napari_maskvit.viewer.parts.controls import Choice
from napari_maskvit.viewer.words.answers import pinned
from napari_maskvit.viewer.words.wording import NB, share

pytestmark = pytest.mark.window

LABELS = ("benign", "grade group 1", "grade group 2")
CARD = "# Tiny\n\nRandom weights, **for tests**."


@pytest.fixture
def core(slide_path):
    """1.02 x 0.77 mm at 0.5 µm/px, with an oval of tissue of 0.22 mm²."""
    return slide_path


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """A model of all three levels, as a bundle on disk."""
    from napari_maskvit.model import (
        ModelConfig,
        PatchArchitecture,
        RegionArchitecture,
        SlideArchitecture,
        build_model,
        save_bundle,
    )

    config = ModelConfig(
        name="tiny",
        title="Tiny H-ViT",
        spacing=1.0,
        token_px=16,
        patch_px=64,
        region_px=256,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        patch=PatchArchitecture(name="vit_tiny_patch16_224", options={"depth": 2}),
        region=RegionArchitecture(dim=24, depth=1, heads=2),
        slide=SlideArchitecture(dim=24, depth=1, heads=2, feedforward=24),
        head="classification",
        labels=LABELS,
        frozen=("patch",),
        licence="BSD-3-Clause",
        training_data="nothing: its weights are random",
        warnings=("Its weights are random.",),
    )
    return save_bundle(build_model(config, CARD), tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def dock(viewer, no_panel, qtbot):
    widget = MaskvitWidget(viewer)
    viewer.window.add_dock_widget(widget, name="MaskViT", area="right")
    viewer.window._qt_window.resize(1280, 800)
    with qtbot.waitActive(viewer.window._qt_window):
        viewer.window._qt_window.activateWindow()
    qtbot.waitUntil(widget.isVisible)
    return widget


@pytest.fixture
def ready(dock, core, bundle, qtbot):
    """The tiny model loaded, the tissue found."""
    session = dock.session
    session.open(core)
    session.use_model(bundle)
    qtbot.waitUntil(lambda: session.model is not None, timeout=120_000)
    session.find_tissue()
    qtbot.waitUntil(lambda: session.mask is not None, timeout=120_000)
    qtbot.waitUntil(lambda: session.busy is None, timeout=120_000)
    return dock


@pytest.fixture
def done(ready, qtbot):
    """The tiny model run."""
    click(qtbot, ready.run.start)
    wait_for_run(qtbot, ready)
    return ready


def wait_for_run(qtbot, dock: MaskvitWidget) -> None:
    session = dock.session
    qtbot.waitUntil(
        lambda: not session.running and session.explanation and session.explanation.complete,
        timeout=120_000,
    )


def click(qtbot, widget: QWidget) -> None:
    assert widget.isVisible(), "nobody can click what is not shown"
    assert widget.isEnabled(), widget.toolTip()
    qtbot.mouseClick(widget, Qt.MouseButton.LeftButton, pos=QPoint(8, widget.height() // 2))


def unfold(qtbot, dock: MaskvitWidget, name: str) -> QWidget:
    """Open a step by its heading, so that the program leaves it open."""
    section = dock.sections[name]
    if not section.is_open:
        click(qtbot, section.header)
    return section.content


def choose(qtbot, choice: Choice, value: object) -> None:
    index = next(i for i in range(choice.count()) if choice.itemData(i) == value)
    choice.setFocus()
    while choice.currentIndex() != index:
        key = Qt.Key.Key_Down if choice.currentIndex() < index else Qt.Key.Key_Up
        qtbot.keyClick(choice, key)


def said(widget: QWidget) -> str:
    labels = [label.text() for label in widget.findChildren(QLabel) if label.isVisible()]
    return "\n".join(labels).replace(NB, " ")


# ---- model


def test_the_model_is_told_in_a_sentence(ready, qtbot):
    text = said(unfold(qtbot, ready, "model"))
    assert "Tiny H-ViT: trained on nothing: its weights are random." in text
    assert "Research use only, not for diagnosis." in text
    assert "Levels: patch, region and slide." in text
    assert "Works at 1 µm/px (about 10×): tokens 16 µm, patches 64 µm, regions 256 µm wide." in text
    assert "Its weights are random." in text
    beside_run = ready.sections["attention"].content.model
    assert beside_run.isVisible()
    assert "Research use only" in beside_run.text()


def test_a_bundle_from_a_folder_stands_among_the_models(ready, bundle):
    choice = ready.sections["model"].content.models
    assert choice.currentText() == "Tiny H-ViT (patch, region, slide)"
    assert choice.currentData() == str(bundle)
    assert any("DINOv2" in choice.itemText(index) for index in range(choice.count()))


def test_the_card_opens_in_a_window_of_its_own(ready, qtbot):
    panel = unfold(qtbot, ready, "model")
    click(qtbot, panel.card_button)
    card = panel.card
    assert card.isVisible()
    assert "Random weights, for tests." in card.text.toPlainText()
    qtbot.keyClick(card, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: panel.card is None)


def test_masking_and_precision_are_set_under_advanced(ready, qtbot):
    panel = unfold(qtbot, ready, "model")
    assert not panel.options.isVisible()
    click(qtbot, panel.advanced.toggle)
    click(qtbot, panel.options.masked["region"])
    assert ready.session.models.options.masking == ("patch", "slide")
    choose(qtbot, panel.options.precision, "float32")
    assert ready.session.models.options.precision == "float32"
    panel.options.threshold.box.setFocus()
    panel.options.threshold.box.selectAll()
    qtbot.keyClicks(panel.options.threshold.box, "10")
    qtbot.keyClick(panel.options.threshold.box, Qt.Key.Key_Return)
    assert ready.session.models.options.threshold == pytest.approx(0.1)


def test_the_default_model_comes_by_itself_once_there_is_tissue(dock, core, qtbot):
    panel = unfold(qtbot, dock, "model")
    dock.session.open(core)
    assert "No model is loaded yet." in said(panel)
    dock.session.find_tissue()
    qtbot.waitUntil(lambda: dock.session.model is not None, timeout=120_000)
    assert dock.sections["model"].header.step.text() == "✓"
    assert panel.models.isEnabled()
    assert "Levels: patch, region and slide." in said(panel)
    assert "research use only" in said(panel).lower()


# ---- attention


def test_run_turns_into_cancel_and_progress_into_attention(ready, qtbot):
    panel = ready.sections["attention"].content
    assert not panel.look.isVisible()
    told: list[str] = []
    ready.session.progressed.connect(lambda _step: told.append(ready.run.said.text()))
    place = ready.run.start.mapToGlobal(QPoint(0, 0))
    click(qtbot, ready.run.start)
    assert ready.run.stop.isVisible()
    # Nothing moves away under the hand, and the second half of a double click cancels nothing.
    assert ready.run.stop.mapToGlobal(QPoint(0, 0)) == place
    qtbot.mouseDClick(ready.run.stop, Qt.MouseButton.LeftButton)
    assert ready.session.running
    assert not ready.run.start.isVisible()
    assert ready.run.bar.isVisible()
    wait_for_run(qtbot, ready)
    assert any("patches" in text for text in told)
    assert ready.run.start.isVisible()
    assert ready.run.start.text() == "Run again"
    assert ready.run.start.mapToGlobal(QPoint(0, 0)) == place
    assert ready.run.said.text() == pinned(ready.session.explanation.prediction, None)
    assert not ready.run.bar.isVisible()
    assert panel.look.isVisible()
    opened = [name for name, section in ready.sections.items() if section.is_open]
    assert opened == ["attention", "result"]


def test_cancel_answers_at_once(ready, qtbot):
    click(qtbot, ready.run.start)
    click(qtbot, ready.run.stop)
    assert not ready.session.running
    assert ready.run.start.isVisible()
    assert ready.run.start.isEnabled()


def test_levels_are_switched_by_button_and_the_legend_follows(done, qtbot):
    look = done.sections["attention"].content.look
    for level, made in look.levels.buttons.items():
        click(qtbot, made)
        assert done.session.display.level == level
        assert made.isChecked()
        qtbot.waitUntil(
            lambda level=level: f"{level} level" in look.legend.text() or level == "factorised"
        )
        legend = done.session.attention.picture().legend
        assert look.legend.text().rstrip(".").lower() == legend.lower()
        assert look.bar.limits == done.session.attention.limits()
        assert done.sections["attention"].header.summary.text() == level
    assert "Ctrl-4" in look.levels.buttons["factorised"].text()


def test_gamma_belongs_to_the_factorised_picture(done, qtbot):
    look = done.sections["attention"].content.look
    # What comes first is all levels in one.
    assert done.session.display.level == "factorised"
    click(qtbot, look.levels.buttons["patch"])
    assert not look.gamma.isEnabled()
    assert "factorised" in look.gamma.toolTip()
    click(qtbot, look.levels.buttons["factorised"])
    assert look.gamma.isEnabled()
    look.gamma.slider.setFocus()
    qtbot.keyClick(look.gamma.slider, Qt.Key.Key_End)
    assert done.session.display.gamma == 1.0
    choose(qtbot, look.combine, "multiply")
    assert done.session.display.combine == "multiply"


def test_everything_that_is_shown_changes_without_another_run(done, qtbot):
    look, session = done.sections["attention"].content.look, done.session
    runs: list[str] = []
    session.busy_changed.connect(lambda words: runs.append(str(words)))
    choose(qtbot, look.head, 2)
    choose(qtbot, look.normalisation, "relative")
    # A picture that is slow to make follows in a moment.
    qtbot.waitUntil(lambda: "even" in look.legend.text())
    choose(qtbot, look.scope, "window")
    choose(qtbot, look.colormap, "viridis")
    look.opacity.slider.setFocus()
    qtbot.keyClick(look.opacity.slider, Qt.Key.Key_Home)
    click(qtbot, look.visible)
    display = session.display
    assert (display.head, display.normalisation, display.scope) == (2, "relative", "window")
    assert (display.colormap, display.opacity, display.visible) == ("viridis", 0.0, False)
    assert not any("unning" in words for words in runs)


def test_controls_follow_what_a_key_changed(done):
    look = done.sections["attention"].content.look
    done.session.show(level="region", head="max", opacity=0.25, colormap="magma")
    assert look.levels.buttons["region"].isChecked()
    assert look.head.currentData() == "max"
    assert look.opacity.value == 25
    assert look.colormap.currentData() == "magma"


def test_plain_attention_is_put_beside_and_taken_away(done, qtbot):
    look, session = done.sections["attention"].content.look, done.session
    click(qtbot, look.comparing)
    qtbot.waitUntil(
        lambda: session.reference is not None and session.reference.complete, timeout=120_000
    )
    qtbot.waitUntil(lambda: not session.running, timeout=120_000)
    assert look.comparing.isChecked()
    mass = session.reference.statistics.background_mass["patch"]
    assert mass > 0
    beside = f"plain {share(mass)}".replace(NB, " ")
    qtbot.waitUntil(lambda: beside in said(done.sections["result"].content))
    click(qtbot, look.comparing)
    assert not session.comparing
    assert not look.comparing.isChecked()


# ---- result


def test_the_answer_is_told_in_words_and_bars(done, qtbot):
    panel, prediction = done.sections["result"].content, done.session.explanation.prediction
    assert panel.answer.text() == prediction.label
    qtbot.waitUntil(lambda: all(label in said(panel) for label in LABELS))
    text = said(panel)
    assert "Its weights are random." in panel.against.sentences
    assert "Its weights are random." in text
    kept = done.session.explanation.statistics.kept["patch"]
    assert f"{kept:,} of" in text
    assert "0 % of attention" in text
    assert done.sections["result"].header.summary.text() == prediction.label


def test_reasons_for_caution_are_read_once_and_then_stand_in_a_line(done, qtbot):
    against = done.sections["result"].content.against
    assert against.list.isVisible()
    before = done.session.explanation
    done.session.run()
    qtbot.waitUntil(lambda: done.session.explanation is not before, timeout=60_000)
    wait_for_run(qtbot, done)
    assert not against.list.isVisible()
    assert "for caution" in against.toggle.text()
    click(qtbot, against.toggle)
    assert against.list.isVisible()


def test_a_model_without_a_head_says_so(dock, core, qtbot, encoder):
    dock.session.open(core)
    dock.session.use_model(encoder)
    qtbot.waitUntil(lambda: dock.session.model is not None, timeout=120_000)
    dock.session.find_tissue()
    qtbot.waitUntil(lambda: dock.session.mask is not None, timeout=120_000)
    model = unfold(qtbot, dock, "model")
    assert "Without a slide level it makes no prediction." in said(model)
    options = model.options
    assert not options.masked["region"].isEnabled()
    assert "no region transformer" in options.masked["region"].toolTip()
    click(qtbot, dock.run.start)
    wait_for_run(qtbot, dock)
    panel = dock.sections["result"].content
    assert panel.answer.text() == "No prediction"
    assert "it has no slide transformer" in panel.detail.text()
    assert not panel.bars.isVisible()
    levels = dock.sections["attention"].content.look.levels.buttons
    assert levels["patch"].isEnabled()
    assert not levels["slide"].isEnabled()
    assert levels["slide"].toolTip() == "This model has no slide transformer."
    assert not dock.sections["attention"].content.look.gamma.isVisible()


def test_the_whole_state_is_saved_and_brought_back(done, qtbot, tmp_path, monkeypatch):
    panel, session = done.sections["result"].content, done.session
    folder = tmp_path / "kept.maskvit"
    dialog = "napari_maskvit.viewer.panels.result.QFileDialog"
    monkeypatch.setattr(f"{dialog}.getSaveFileName", lambda *_: (str(folder), ""))
    monkeypatch.setattr(f"{dialog}.getExistingDirectory", lambda *_: str(folder))
    label = session.explanation.prediction.label
    click(qtbot, panel.save_as_button)
    qtbot.waitUntil(lambda: folder.is_dir() and session.busy is None, timeout=30_000)
    session.attention.take(None)
    assert panel.answer.text() == ""
    unfold(qtbot, done, "result")
    click(qtbot, panel.load_button)
    qtbot.waitUntil(lambda: session.explanation is not None, timeout=30_000)
    assert panel.answer.text() == label


def test_export_writes_what_other_programs_open(done, qtbot, tmp_path, monkeypatch):
    panel = done.sections["result"].content
    dialog = "napari_maskvit.viewer.panels.result.QFileDialog"
    monkeypatch.setattr(f"{dialog}.getExistingDirectory", lambda *_: str(tmp_path / "out"))
    click(qtbot, panel.export_button)
    qtbot.waitUntil(lambda: done.session.busy is None, timeout=120_000)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    levels = ("patch", "region", "slide", "factorised")
    assert names == {
        "biopsy-tissue.geojson",
        *(f"biopsy-attention-{level}.{kind}" for level in levels for kind in ("tif", "png")),
    }
