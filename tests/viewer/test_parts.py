"""The small pieces of window that panels are made of."""

from __future__ import annotations

import numpy as np
import pytest

qt = pytest.importorskip("qtpy.QtCore", reason="needs a Qt binding")

from qtpy.QtCore import QPoint, QPointF, Qt  # noqa: E402
from qtpy.QtGui import QWheelEvent  # noqa: E402
from qtpy.QtWidgets import QApplication, QLabel, QPushButton, QVBoxLayout, QWidget  # noqa: E402

from napari_maskvit.viewer.parts import controls, text  # noqa: E402
from napari_maskvit.viewer.parts.bars import ProbabilityBars, Scale  # noqa: E402
from napari_maskvit.viewer.parts.cautions import Cautions  # noqa: E402
from napari_maskvit.viewer.parts.colourbar import ColourBar  # noqa: E402
from napari_maskvit.viewer.parts.fold import Fold  # noqa: E402
from napari_maskvit.viewer.parts.line import Line  # noqa: E402
from napari_maskvit.viewer.parts.section import Section  # noqa: E402
from napari_maskvit.viewer.parts.style import style_sheet  # noqa: E402

pytestmark = pytest.mark.window


@pytest.fixture
def shown(qtbot):
    """Show widgets in a column 300 px wide."""

    holders = []

    def show(*widgets: QWidget) -> QWidget:
        holder = QWidget()
        holders.append(holder)
        holder.setObjectName("maskvit")
        column = QVBoxLayout(holder)
        for widget in widgets:
            column.addWidget(widget)
        holder.resize(300, 200)
        qtbot.addWidget(holder)
        with qtbot.waitActive(holder):
            holder.show()
            holder.activateWindow()
        return holder

    yield show
    holders.clear()


def wheel(widget: QWidget) -> None:
    centre = QPointF(widget.rect().center())
    event = QWheelEvent(
        centre,
        QPointF(widget.mapToGlobal(widget.rect().center())),
        QPoint(0, 0),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)


def test_a_section_opens_and_closes_by_mouse_and_by_key(shown, qtbot):
    section = Section(2, "Tissue", QLabel("inside"))
    shown(section)
    assert section.content.isHidden()
    qtbot.mouseClick(section.header, Qt.MouseButton.LeftButton)
    assert section.is_open
    assert section.content.isVisible()
    section.header.setFocus()
    qtbot.keyClick(section.header, Qt.Key.Key_Space)
    assert section.content.isHidden()


def test_a_section_that_a_person_moved_is_left_alone(shown, qtbot):
    section = Section(1, "Slide", QLabel("inside"))
    shown(section)
    section.set_open(True)
    assert section.is_open
    qtbot.mouseClick(section.header, Qt.MouseButton.LeftButton)
    section.set_open(True)
    assert not section.is_open
    section.set_open(True, force=True)
    assert section.is_open


def test_a_section_says_what_it_holds_and_whether_it_is_done(shown):
    section = Section(3, "Model", QLabel())
    shown(section)
    assert section.header.step.text() == "3"
    section.set_summary("DINOv2", done=True)
    assert section.header.step.text() == "✓"
    assert section.header.accessibleName() == "3 Model: DINOv2"
    section.set_summary("none", done=False)
    assert section.header.step.text() == "3"


def test_a_slider_and_its_box_move_together_and_tell_once(shown, qtbot):
    number = controls.Number(
        "Smallest piece", (0, 50_000), unit="µm²", decimals=0, logarithmic=True
    )
    shown(number)
    told: list[float] = []
    number.changed.connect(told.append)
    number.show_value(5000)
    assert told == []
    assert number.value == 5000
    number.slider.setFocus()
    qtbot.keyClick(number.slider, Qt.Key.Key_End)
    assert told == [50_000]
    assert number.box.value() == 50_000
    number.box.setFocus()
    number.box.selectAll()
    qtbot.keyClicks(number.box, "200")
    qtbot.keyClick(number.box, Qt.Key.Key_Return)
    assert told == [50_000, 200]
    assert number.slider.value() == pytest.approx(1000 * np.cbrt(200 / 50_000), abs=1)


def test_the_wheel_scrolls_past_a_control_that_has_no_focus(shown, qtbot):
    number = controls.Number("Opacity", (0, 100))
    choice = controls.Choice("Which", [("a", 1), ("b", 2)])
    other = QPushButton("elsewhere")
    shown(other, number, choice)
    other.setFocus()
    number.show_value(50)
    for control in (number.slider, number.box, choice):
        wheel(control)
    assert number.value == 50
    assert choice.currentData() == 1
    number.slider.setFocus()
    wheel(number.slider)
    assert number.value != 50


def test_a_disabled_control_says_why_and_an_enabled_one_what_it_does(shown):
    made = controls.button("Run", "Run the model", lambda: None)
    shown(made)
    controls.allow(made, "Open a slide first.")
    assert not made.isEnabled()
    assert made.toolTip() == "Open a slide first."
    controls.allow(made, None)
    assert made.isEnabled()
    assert made.toolTip() == "Run the model"


def test_a_choice_tells_only_what_a_person_chose(shown, qtbot):
    choice = controls.Choice("Head", [("Mean", "mean"), ("Head 0", 0), ("Head 1", 1)])
    shown(choice)
    told: list[object] = []
    choice.chosen.connect(told.append)
    choice.show_value(1)
    choice.offer([("Mean", "mean"), ("Head 1", 1)])
    assert choice.currentData() == 1
    assert told == []
    choice.setFocus()
    qtbot.keyClick(choice, Qt.Key.Key_Up)
    assert told == ["mean"]


def test_the_colour_bar_draws_the_colormap_from_left_to_right(shown):
    bar = ColourBar()
    shown(bar)
    bar.show_colours("inferno", (0.0, 2.0))
    picture = bar.grab().toImage()
    left, right = picture.pixelColor(2, 5), picture.pixelColor(picture.width() - 3, 5)
    assert left.lightness() < 20
    assert right.lightness() > 180
    assert bar.accessibleName() == "Legend: colours from 0 to 2"


def test_probability_bars_say_label_and_number(shown, qtbot):
    bars = ProbabilityBars()
    shown(bars)
    bars.show_probabilities(("benign", "grade 1"), (0.58, 0.42))
    rows = ["benign", ".58", "grade 1", ".42"]
    qtbot.waitUntil(
        lambda: [one.text() for one in bars.findChildren(QLabel) if one.isVisible()] == rows
    )
    bars.show_probabilities((), ())
    assert bars.isHidden()


def test_warnings_take_no_room_while_there_are_none(shown):
    warnings = text.Warnings()
    shown(warnings)
    assert warnings.isHidden()
    warnings.show_sentences(["Little tissue.", "Little tissue.", "", "Research use only."])
    assert warnings.sentences == ("Little tissue.", "Research use only.")
    assert warnings.isVisible()
    warnings.show_sentences([])
    assert warnings.isHidden()


def test_a_fold_is_closed_at_first(shown, qtbot):
    fold = Fold("Advanced", QLabel("inside"))
    shown(fold)
    assert fold.content.isHidden()
    qtbot.mouseClick(fold.toggle, Qt.MouseButton.LeftButton)
    assert fold.content.isVisible()


@pytest.mark.parametrize("theme", ["dark", "light", "system"])
def test_the_style_sheet_is_filled_in_every_theme(theme):
    sheet = style_sheet(theme)
    assert "{{" not in sheet
    assert "rgb(" in sheet


def test_a_long_text_wraps_instead_of_widening_the_column(shown):
    label = text.wrapped("many words " * 40)
    name = text.elided("a_very_long_file_name_without_any_blank_" * 4)
    holder = shown(label, name)
    assert holder.width() == 300
    assert holder.minimumSizeHint().width() <= 300
    assert label.height() > 3 * label.fontMetrics().height()


def test_cautions_open_for_what_is_new_and_fold_with_the_next_answer(shown, qtbot):
    cautions = Cautions()
    shown(cautions)
    first, second = object(), object()
    cautions.show_sentences(("a.", "unfinished."), None)
    cautions.show_sentences(("a.",), first)
    assert cautions.list.isVisible()
    cautions.show_sentences(("a.",), first)
    assert cautions.list.isVisible()
    cautions.show_sentences(("a.",), second)
    assert not cautions.list.isVisible()
    assert "1 reason for caution" in cautions.toggle.text()
    cautions.show_sentences(("a.", "b."), object())
    assert cautions.list.isVisible()
    qtbot.mouseClick(cautions.toggle, Qt.MouseButton.LeftButton)
    assert not cautions.list.isVisible()
    qtbot.mouseClick(cautions.toggle, Qt.MouseButton.LeftButton)
    cautions.show_sentences(("a.", "b."), object())
    assert cautions.list.isVisible()
    cautions.show_sentences((), object())
    assert not cautions.isVisible()


@pytest.mark.parametrize("value", [-1.0, 2.4, 5.6])
def test_a_number_stands_on_its_scale(shown, value):
    scale = Scale()
    holder = shown(scale)
    scale.show_value(tuple("012345"), value)
    assert "scale from 0 to 5" in scale.accessibleName()
    assert scale.grab().toImage() != holder.grab().toImage()
    scale.show_value((), 0.0)
    assert not scale.isVisible()


def test_a_line_is_shortened_and_says_all_in_its_tooltip(shown):
    line = Line("A rather long sentence that does not fit into so narrow a column")
    shown(line)
    assert line.sizeHint().width() < 100
    assert line.toolTip() == line.text() == line.accessibleName()


@pytest.mark.parametrize(
    ("text", "most", "cut"),
    [
        ("Short", 2, False),
        ("Two lines are enough here", 2, False),
        ("Two lines are enough here", 1, True),
        ("One_word_that_is_wider_than_the_whole_line_and_then_some more", 2, True),
        ("", 2, False),
    ],
)
def test_a_line_breaks_between_words_and_is_cut_off_only_where_it_must(shown, text, most, cut):
    line = Line(text, most=most)
    shown(line)
    line.resize(line.fontMetrics().horizontalAdvance("Two lines are enough"), line.height())
    drawn = line.lines()
    assert 1 <= len(drawn) <= most
    assert all(line.fontMetrics().horizontalAdvance(one) <= line.width() for one in drawn)
    assert (" ".join(drawn) != text) == cut
