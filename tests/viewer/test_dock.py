"""The panel as a whole: its width, its order, its themes, and what it opens by itself."""

from __future__ import annotations

from itertools import pairwise

import pytest

pytest.importorskip("napari", reason="needs the gui extra")

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QLabel, QPushButton, QScrollArea

from napari_maskvit.tissue import segment_tissue
from napari_maskvit.viewer.dock import MaskvitWidget
from napari_maskvit.viewer.panels import reasons

pytestmark = pytest.mark.window

STEPS = ["slide", "tissue", "model", "attention", "result", "what changed", "ask why"]


@pytest.fixture
def core(slide_path):
    return slide_path.rename(slide_path.with_name("a rather long name, 2026-11-21.tif"))


@pytest.fixture
def dock(viewer, no_panel, qtbot):
    widget = MaskvitWidget(viewer)
    viewer.window.add_dock_widget(widget, name="MaskViT", area="right")
    viewer.window._qt_window.resize(1280, 800)
    with qtbot.waitActive(viewer.window._qt_window):
        viewer.window._qt_window.activateWindow()
    qtbot.waitUntil(widget.isVisible)
    return widget


def find_tissue(qtbot, dock: MaskvitWidget) -> None:
    dock.session.find_tissue()
    qtbot.waitUntil(lambda: dock.session.mask is not None, timeout=20_000)
    # With the tissue comes the model; importing torch takes long on a busy machine.
    qtbot.waitUntil(lambda: dock.session.busy is None, timeout=120_000)


def open_all(dock: MaskvitWidget) -> None:
    for section in dock.sections.values():
        section.set_open(True, force=True)
    for fold in dock.findChildren(QPushButton):
        if fold.property("role") == "fold":
            fold.setChecked(True)
    QApplication.processEvents()


def tab_stops(dock: MaskvitWidget) -> list[tuple[int, int]]:
    """Places of what Tab reaches, in the order in which it does."""
    places = []
    widget = dock
    for _ in range(500):
        widget = widget.nextInFocusChain()
        if widget is dock:
            break
        if not dock.isAncestorOf(widget) or not widget.isVisibleTo(dock):
            continue
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isEnabled():
            inside = dock.scroll_area.widget()
            if not inside.isAncestorOf(widget):
                continue  # the foot, which does not scroll
            corner = widget.mapTo(inside, widget.rect().topLeft())
            places.append((corner.y() + widget.height() // 2, corner.x()))
    return places


def test_steps_in_the_order_of_the_journey(dock):
    assert list(dock.sections) == STEPS
    titles = [section.header.title for section in dock.sections.values()]
    assert titles == [
        "Slide", "Tissue", "Model", "Attention", "Result", "What changed", "Ask why",
    ]  # fmt: skip
    assert [section.header.number for section in dock.sections.values()] == list(range(1, 8))


def test_a_column_of_300_px_never_scrolls_sideways(dock, core, qtbot):
    dock.session.open(core)
    find_tissue(qtbot, dock)
    open_all(dock)
    area: QScrollArea = dock.scroll_area
    assert area.horizontalScrollBarPolicy() == Qt.ScrollBarPolicy.ScrollBarAlwaysOff
    bar = area.verticalScrollBar().sizeHint().width()
    assert area.widget().minimumSizeHint().width() <= 300 - bar
    assert dock.minimumSizeHint().width() <= 300


def test_no_text_is_cut_off_at_300_px(dock, core, qtbot):
    dock.session.open(core)
    find_tissue(qtbot, dock)
    open_all(dock)
    dock.setParent(None)
    dock.setFixedSize(300, 780)
    dock.show()
    qtbot.wait(50)
    for label in dock.findChildren(QLabel):
        if label.isVisible() and not label.wordWrap() and type(label) is QLabel and label.text():
            needed = label.fontMetrics().horizontalAdvance(label.text())
            assert label.width() >= needed, label.text()
    for made in dock.findChildren(QPushButton):
        if made.isVisible() and made.text() and made.property("role") != "header":
            lines = made.text().split("\n")
            needed = max(made.fontMetrics().horizontalAdvance(line) for line in lines)
            assert made.width() >= needed, made.text()


def test_tab_goes_down_the_column_as_one_reads(dock, core, qtbot):
    dock.session.open(core)
    find_tissue(qtbot, dock)
    open_all(dock)
    qtbot.wait(50)
    stops = tab_stops(dock)
    assert len(stops) > 20
    rows = [y for y, _ in stops]
    for (y0, x0), (y1, x1) in pairwise(stops):
        same_row = abs(y1 - y0) <= 8
        assert x1 > x0 if same_row else y1 > y0, (rows, (y0, x0), (y1, x1))


def test_the_keyboard_alone_opens_a_step(dock, qtbot):
    header = dock.sections["model"].header
    header.setFocus()
    assert header.hasFocus()
    qtbot.keyClick(header, Qt.Key.Key_Space)
    assert dock.sections["model"].is_open


def test_steps_open_as_the_journey_goes_on(dock, core, qtbot):
    def opened() -> list[str]:
        return [name for name, section in dock.sections.items() if section.is_open]

    assert opened() == ["slide"]
    dock.session.open(core)
    assert opened() == ["slide", "tissue"]
    find_tissue(qtbot, dock)
    assert opened() == ["slide", "tissue", "attention"]


def test_what_a_person_closed_stays_closed(dock, core, qtbot):
    qtbot.mouseClick(dock.sections["tissue"].header, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(dock.sections["tissue"].header, Qt.MouseButton.LeftButton)
    assert not dock.sections["tissue"].is_open
    dock.session.open(core)
    assert not dock.sections["tissue"].is_open


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_text_can_be_read_in_every_theme(dock, theme):
    dock.session.viewer.theme = theme
    QApplication.processEvents()
    title = dock.sections["slide"].header.findChildren(QLabel)[1]
    picture = dock.grab().toImage()
    ground = picture.pixelColor(3, dock.height() - 60).lightness()
    ink = title.palette().windowText().color().lightness()
    assert abs(ground - ink) > 120
    assert (ground < 100) == (theme == "dark")


def test_a_closed_panel_hears_nothing(dock, core):
    session = dock.session
    dock.close()
    session.open(core)
    assert "none open" in dock.sections["slide"].header.summary.text()


def test_a_failure_is_a_notification_and_the_panel_stays(dock, tmp_path):
    broken = tmp_path / "broken.svs"
    broken.write_bytes(b"this is no slide")
    told: list[str] = []
    dock.session.failed.connect(told.append)
    dock.session.open(broken)
    assert len(told) == 1
    assert "broken.svs" in told[0]
    assert dock.isVisible()


def test_the_foot_says_its_sentences_whole(dock, slide_path, bundle):
    """What waits, what is missing: at the width that the panel has at first."""
    dock.session.open(slide_path)
    dock.session.use_mask(segment_tissue(dock.session.slide))
    dock.session.use_model(bundle)
    dock.run.start.click()
    assert dock.session.runs.is_waiting
    line = dock.run.said
    assert "model is loaded" in line.text()
    assert " ".join(line.lines()) == line.text()
    dock.session.cancel()
    for words in (reasons.NO_SLIDE, reasons.NO_SPACING, reasons.NO_MASK, reasons.NO_TISSUE):
        line.setText(words)
        assert " ".join(line.lines()) == words
