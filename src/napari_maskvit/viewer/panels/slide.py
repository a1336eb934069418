"""Slide: which one, how large, how fine, and who said so."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QFileDialog,
    QFrame,
    QLabel,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from napari_maskvit.errors import SlideError
from napari_maskvit.viewer.panels.base import Panel
from napari_maskvit.viewer.parts.columns import BOXED, column, row
from napari_maskvit.viewer.parts.controls import Choice, button, guard_wheel
from napari_maskvit.viewer.parts.style import set_role
from napari_maskvit.viewer.parts.text import Warnings, elided, say, wrapped
from napari_maskvit.viewer.words import notices
from napari_maskvit.viewer.words.wording import pixels, size, spacing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.slide import Slide

_OFFERED = ((0.25, "40×"), (0.5, "20×"))
_QUESTION = (
    "How large is a pixel? The file does not say, and without it nothing can be measured or run."
)
_IMAGES = {
    "thumbnail": "The whole slide, small",
    "label": "The paper label, as the scanner saw it. It may name the patient",
    "macro": "The whole glass, as the scanner saw it",
}


class SlidePanel(Panel):
    """Shows the slide, asks for what its file does not say."""

    title = "Slide"

    def build(self) -> None:
        """Make the controls."""
        self.empty = wrapped("Drop a slide on the window, or open one here.")
        self.open_button = button(
            "Open a slide…",
            "Choose a slide file of any format (SVS, TIFF, MRXS, …)",
            self._open,
            "main",
        )
        self.sample_button = button(
            "Open the sample slide",
            "A synthetic biopsy with pen, dust and lesions; made on first use",
            self._open_sample,
        )
        self.slides = Choice("Which of the open slides is studied")
        self.slides.chosen.connect(self.session.use_slide)
        self.slides_row = row(self.slides, label="Studied slide")
        self.name = elided()
        set_role(self.name, "strong")
        self.extent = wrapped()
        self.fineness = wrapped()
        self.question = _SpacingQuestion(self.session.give_spacing)
        self.change_button = button(
            "Change the spacing",
            "Give another number of µm per pixel; mask and attention start anew",
            self.question.show,
        )
        self.warnings = Warnings()
        self.restore_button = button(
            "Restore saved work",
            "Bring back mask, model and attention saved beside this slide",
            lambda: self.session.restore(),
        )
        self.images = _Images()
        for widget in (
            self.empty, self.open_button, self.sample_button, self.slides_row,
            self.name, self.extent, self.fineness,
            self.question, self.change_button, self.warnings, self.restore_button, self.images,
        ):  # fmt: skip
            self.column.addWidget(widget)

    def connect_session(self) -> None:
        """Hear what this step shows."""
        session = self.session
        self.hear(session.slide_changed, session.explanation_changed)

    def refresh(self) -> None:
        """Show the slide, or ask for what is missing."""
        slide = self.session.slide
        self.empty.setVisible(slide is None)
        self.open_button.setVisible(slide is None)
        self.sample_button.setVisible(slide is None)
        for widget in (self.name, self.extent, self.fineness):
            widget.setVisible(slide is not None)
        layers = self.session.slides.layers
        self.slides_row.setVisible(len(layers) > 1)
        self.slides.offer([(layer.name, layer) for layer in layers])
        self.slides.show_value(self.session.slide_layer)
        self.restore_button.setVisible(
            self.session.memory.has_saved and self.session.explanation is None
        )
        self.images.show_slide(slide)
        self.question.setVisible(slide is not None and slide.spacing is None)
        self.change_button.setVisible(slide is not None and slide.spacing_source == "given")
        self.warnings.show_sentences(slide.warnings if slide is not None else ())
        if slide is None:
            self.summarised.emit("none open", False)
            return
        self._describe(slide)
        if slide.spacing is None:
            self.summarised.emit("how large is a pixel?", False)
        else:
            height_um, width_um = slide.size_um
            self.summarised.emit(size(width_um, height_um), True)

    def _describe(self, slide: Slide) -> None:
        height, width = slide.shape
        layer = self.session.slide_layer
        # The sample slide's file has a name that only a program could give.
        self.name.setText(layer.name if layer is not None else slide.name)
        self.name.setToolTip(str(slide.path))
        count = pixels(width, height)
        if slide.spacing is None:
            say(self.extent, count)
            say(self.fineness, "")
            return
        height_um, width_um = slide.size_um
        say(self.extent, f"{size(width_um, height_um)}  ·  {count}")
        self.extent.setToolTip("Width × height, in mm and in pixels of the finest level")
        source = (
            "as you said" if slide.spacing_source == "given" else f"from {slide.spacing_source}"
        )
        say(self.fineness, f"{spacing(slide.spacing)}, {source}")
        self.fineness.setToolTip("Side of a pixel of the finest level in µm, and what said so")

    def _open(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, "Open a slide")
        if chosen:
            self.session.open(Path(chosen))

    def _open_sample(self) -> None:
        self.session.viewer.open_sample("napari-maskvit", "phantom")


class _SpacingQuestion(QFrame):
    """Asks how large a pixel is, where the file does not say."""

    def __init__(self, give: Callable[[float], Any]) -> None:
        super().__init__()
        set_role(self, "warning")
        self.offers = [
            button(
                f"{um:g} µm ({objective})",
                f"A pixel of the finest level is {um:g} µm wide: the usual {objective} scan",
                partial(give, um),
            )
            for um, objective in _OFFERED
        ]
        self.field = QDoubleSpinBox()
        self.field.setRange(0.01, 100.0)
        self.field.setDecimals(4)
        self.field.setSingleStep(0.05)
        self.field.setValue(0.25)
        self.field.setSuffix(" µm/px")
        self.field.setToolTip("Side of a pixel of the finest level, in µm: 0.01 to 100")
        self.field.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        guard_wheel(self.field)
        self.use = button(
            "Use this", "Take this number of µm per pixel", lambda: give(self.field.value())
        )
        asked = wrapped(_QUESTION)
        column(self, asked, row(*self.offers), row(self.field, self.use), margins=BOXED)


class _Images(QWidget):
    """Thumbnail, label and macro image, each shown when asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._slide: Slide | None = None
        self.buttons: dict[str, QPushButton] = {}
        for name, tooltip in _IMAGES.items():
            made = button(name.capitalize(), tooltip, partial(self._toggle, name))
            made.setCheckable(True)
            self.buttons[name] = made
        self.picture = QLabel()
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.picture.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        column(self, row(*self.buttons.values()), self.picture)
        self.picture.hide()

    def show_slide(self, slide: Slide | None) -> None:
        """Offer the images that `slide` has; those of another slide disappear."""
        if slide is not None and self._slide is not None and slide.identity == self._slide.identity:
            self._slide = slide
            return
        self._slide = slide
        names = slide.image_names if slide is not None else ()
        for name, made in self.buttons.items():
            made.setVisible(name in names)
            made.setChecked(False)
        self.picture.hide()
        self.setVisible(any(name in names for name in self.buttons))

    def _toggle(self, name: str) -> None:
        wanted = self.buttons[name].isChecked()
        for other, made in self.buttons.items():
            made.setChecked(wanted and other == name)
        if wanted and self._slide is not None:
            try:
                self._paint(self._slide.image(name))
            except SlideError as error:
                notices.show(error)
                self.buttons[name].setChecked(wanted := False)
        self.picture.setVisible(wanted)

    def _paint(self, image: NDArray[np.uint8]) -> None:
        rgb = np.ascontiguousarray(image[..., :3])
        height, width = rgb.shape[:2]
        drawn = QImage(rgb.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
        scaled = QPixmap.fromImage(drawn).scaled(
            max(100, self.width()),
            260,
            Qt.AspectRatioMode.KeepAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
        self.picture.setPixmap(scaled)
        self.picture.setFixedHeight(scaled.height())
