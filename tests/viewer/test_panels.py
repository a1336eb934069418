"""Each step of the panel in every state that it can be in, clicked as a person would."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

pytest.importorskip("napari", reason="needs the gui extra")

from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QLabel, QPushButton, QWidget

from napari_maskvit.viewer.dock import MaskvitWidget
from napari_maskvit.viewer.parts.controls import Choice, Number
from napari_maskvit.viewer.words.wording import NB, area

pytestmark = pytest.mark.window

STROKE = ((60, 420), (60, 520))
"""Over glass above the tissue: (y, x) in µm."""


def write_unmeasured(path: Path) -> Path:
    """A picture that does not say how large its pixels are."""
    tifffile.imwrite(path, np.full((800, 1600, 3), 244, np.uint8), tile=(256, 256))
    return path


@pytest.fixture
def core(slide_path):
    """1.02 x 0.77 mm at 0.5 µm/px, with an oval of tissue of 0.22 mm²."""
    return slide_path


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
def failures(dock):
    told: list[str] = []
    dock.session.failed.connect(told.append)
    return told


def step(dock: MaskvitWidget, name: str) -> QWidget:
    return dock.sections[name].content


def click(qtbot, widget: QWidget) -> None:
    """Click where a person would: only what is in view and enabled can be hit."""
    assert widget.isVisible(), "nobody can click what is not shown"
    assert widget.isEnabled(), widget.toolTip()
    qtbot.waitUntil(lambda: widget.height() > 0, timeout=2000)  # what was just shown is laid out
    qtbot.mouseClick(widget, Qt.MouseButton.LeftButton, pos=QPoint(8, widget.height() // 2))


def choose(qtbot, choice: Choice, value: object) -> None:
    index = next(i for i in range(choice.count()) if choice.itemData(i) == value)
    choice.setFocus()
    while choice.currentIndex() != index:
        key = Qt.Key.Key_Down if choice.currentIndex() < index else Qt.Key.Key_Up
        qtbot.keyClick(choice, key)


def slide_to(qtbot, number: Number, value: float) -> None:
    number.box.setFocus()
    number.box.selectAll()
    qtbot.keyClicks(number.box, f"{value:g}")
    qtbot.keyClick(number.box, Qt.Key.Key_Return)


def said(widget: QWidget) -> str:
    labels = [label.text() for label in widget.findChildren(QLabel) if label.isVisible()]
    return "\n".join(labels).replace(NB, " ")


def find_tissue(qtbot, dock: MaskvitWidget) -> None:
    click(qtbot, step(dock, "tissue").find_button)
    qtbot.waitUntil(lambda: dock.session.mask is not None, timeout=20_000)
    # With the tissue comes the model; importing torch takes long on a busy machine.
    qtbot.waitUntil(lambda: dock.session.busy is None, timeout=120_000)


# ---- slide


def test_without_a_slide_the_panel_offers_to_open_one(dock):
    panel = step(dock, "slide")
    assert panel.open_button.isVisible()
    assert panel.sample_button.isVisible()
    assert not panel.question.isVisible()
    for widget in (step(dock, "tissue").find_button, dock.run.start):
        assert not widget.isEnabled()
        assert widget.toolTip() == "Open a slide first."


def test_the_slide_is_told_in_words(dock, core):
    dock.session.open(core)
    panel = step(dock, "slide")
    assert panel.name.toolTip() == str(core)
    text = said(panel)
    assert "1.02 × 0.77 mm" in text
    assert "2,048 × 1,536 px" in text
    assert "0.5 µm/px (about 20×), from TIFF resolution tag" in text
    assert dock.sections["slide"].header.summary.text() == f"1.02 × 0.77{NB}mm"
    assert not panel.open_button.isVisible()


@pytest.mark.parametrize(("offer", "spacing"), [(0, 0.25), (1, 0.5)])
def test_an_unknown_spacing_is_asked_for_and_nothing_starts_before(
    dock, tmp_path, qtbot, offer, spacing
):
    dock.session.open(write_unmeasured(tmp_path / "unknown.tif"))
    panel = step(dock, "slide")
    assert panel.question.isVisible()
    for name, section in dock.sections.items():
        if name != "slide":
            section.set_open(True)
    tissue = step(dock, "tissue")
    assert not tissue.find_button.isEnabled()
    assert not tissue.knobs.isEnabled()
    assert not tissue.load_button.isEnabled()
    assert "Say how large a pixel is first" in tissue.find_button.toolTip()
    assert not dock.run.start.isEnabled()
    click(qtbot, panel.question.offers[offer])
    assert dock.session.slide.spacing == spacing
    assert not panel.question.isVisible()
    assert f"{spacing:g} µm/px" in said(panel)
    assert "as you said" in said(panel)
    assert tissue.find_button.isEnabled()


def test_a_spacing_of_ones_own_can_be_typed(dock, tmp_path, qtbot):
    dock.session.open(write_unmeasured(tmp_path / "unknown.tif"))
    question = step(dock, "slide").question
    question.field.setFocus()
    question.field.selectAll()
    qtbot.keyClicks(question.field, "0.75")
    click(qtbot, question.use)
    assert dock.session.slide.spacing == 0.75


def test_with_two_slides_one_is_chosen(dock, core, tmp_path, qtbot):
    second = shutil.copy(core, tmp_path / "second.tif")
    dock.session.open(core)
    panel = step(dock, "slide")
    assert not panel.slides_row.isVisible()
    dock.session.open(second)
    assert panel.slides_row.isVisible()
    assert panel.slides.currentText() == "second"
    choose(qtbot, panel.slides, dock.session.viewer.layers["biopsy"])
    assert dock.session.slide.name == "biopsy"


def test_the_label_is_shown_only_when_asked_for(dock, shared_svs, qtbot):
    dock.session.open(shared_svs)
    images = step(dock, "slide").images
    assert not images.picture.isVisible()
    click(qtbot, images.buttons["label"])
    assert images.picture.isVisible()
    assert not images.picture.pixmap().isNull()
    click(qtbot, images.buttons["macro"])
    assert images.picture.isVisible()
    assert not images.buttons["label"].isChecked()
    click(qtbot, images.buttons["macro"])
    assert not images.picture.isVisible()


# ---- tissue


def test_finding_tissue_tells_how_much(dock, core, qtbot, failures):
    dock.session.open(core)
    find_tissue(qtbot, dock)
    panel = step(dock, "tissue")
    assert dock.session.tissue.areas.tissue_mm2 == pytest.approx(0.22, rel=0.15)
    assert panel.amount.text().startswith(area(dock.session.tissue.areas.tissue_mm2))
    assert "of the slide" in panel.amount.text()
    assert "mm²" in dock.sections["tissue"].header.summary.text()
    assert "Nothing changed by hand." in said(panel)
    assert not panel.correcting.discard.isEnabled()
    assert failures == []


def test_a_slider_redraws_the_mask(dock, core, qtbot):
    dock.session.open(core)
    find_tissue(qtbot, dock)
    before = dock.session.tissue.areas.tissue_mm2
    slide_to(qtbot, step(dock, "tissue").knobs.knobs["smoothing_um"], 40)
    qtbot.waitUntil(lambda: dock.session.tissue.areas.tissue_mm2 != before, timeout=20_000)
    assert dock.session.tissue.parameters.smoothing_um == 40


def test_sliders_have_units_and_ranges_from_the_parameters(dock, core):
    dock.session.open(core)
    knobs = step(dock, "tissue").knobs
    assert set(knobs.knobs) == set(type(dock.session.tissue.parameters).model_fields)
    assert knobs.knobs["min_object_um2"].box.suffix() == " µm²"
    assert knobs.knobs["smoothing_um"].box.suffix() == " µm"
    for knob in knobs.knobs.values():
        assert knob.toolTip()
        if isinstance(knob, Number):
            assert knob.box.minimum() < knob.value < knob.box.maximum()


def test_what_was_painted_by_hand_is_told_and_can_be_discarded(dock, core, hand, qtbot):
    dock.session.open(core)
    find_tissue(qtbot, dock)
    session, correcting = dock.session, step(dock, "tissue").correcting
    tools = dock.hand.tools
    click(qtbot, tools["brush"])
    assert tools["brush"].isChecked()
    assert session.tissue.layer.mode == "paint"
    slide_to(qtbot, dock.hand.brush, 200)
    assert session.hand.brush_um == pytest.approx(200, rel=0.05)
    hand.drag(STROKE)
    qtbot.waitUntil(lambda: session.tissue.areas.added_mm2 > 0)
    assert "added" in correcting.changed.text()
    assert not dock.hand.redo.isEnabled()
    click(qtbot, dock.hand.undo)
    qtbot.waitUntil(lambda: session.tissue.areas.added_mm2 == 0)
    qtbot.waitUntil(dock.hand.redo.isEnabled)
    assert not dock.hand.undo.isEnabled()
    hand.drag(STROKE)
    qtbot.waitUntil(correcting.discard.isEnabled)
    click(qtbot, correcting.discard)
    qtbot.waitUntil(lambda: session.tissue.areas.added_mm2 == 0)
    assert "Nothing changed by hand." in said(step(dock, "tissue"))


def test_a_tool_picked_in_napari_is_marked_here_too(dock, core, qtbot):
    dock.session.open(core)
    find_tissue(qtbot, dock)
    tools = dock.hand.tools
    dock.session.tissue.layer.mode = "erase"
    assert [name for name, made in tools.items() if made.isChecked()] == ["eraser"]
    click(qtbot, tools["eraser"])
    assert tools["eraser"].isChecked()


def test_a_mask_is_saved_and_loaded(dock, core, hand, qtbot, tmp_path, monkeypatch):
    dock.session.open(core)
    find_tissue(qtbot, dock)
    panel = step(dock, "tissue")
    dialog = "napari_maskvit.viewer.panels.tissue.QFileDialog"
    path = tmp_path / "mask.tif"
    monkeypatch.setattr(f"{dialog}.getSaveFileName", lambda *_: (str(path), ""))
    monkeypatch.setattr(f"{dialog}.getOpenFileName", lambda *_: (str(path), ""))
    before = dock.session.tissue.areas.tissue_mm2
    click(qtbot, panel.save_button)
    qtbot.waitUntil(lambda: path.exists() and dock.session.busy is None, timeout=20_000)
    hand.drag(STROKE)
    qtbot.waitUntil(lambda: dock.session.tissue.areas.tissue_mm2 > before)
    click(qtbot, panel.load_button)
    qtbot.waitUntil(lambda: dock.session.tissue.areas.tissue_mm2 == before, timeout=20_000)


# ---- buttons and reasons


def test_every_control_has_a_tooltip_and_a_name(dock, core):
    dock.session.open(core)
    for section in dock.sections.values():
        section.set_open(True)
    for control in dock.findChildren((QPushButton, Choice, Number)):
        assert control.toolTip(), control
        assert control.accessibleName() or getattr(control, "text", lambda: "x")(), control
