"""Model: which one, what it was trained on, its limits; how it is run, for those who ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QTextBrowser,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_maskvit.viewer.panels.base import Panel
from napari_maskvit.viewer.parts.columns import column, row
from napari_maskvit.viewer.parts.controls import Choice, Number, allow, button
from napari_maskvit.viewer.parts.fold import Fold
from napari_maskvit.viewer.parts.text import Warnings, muted, say, wrapped
from napari_maskvit.viewer.words.wording import about_model, levels_of, sizes_of

if TYPE_CHECKING:
    from napari_maskvit.model import Model, ModelConfig
    from napari_maskvit.viewer.session import Session

_NOT_LISTED = "Models are listed once the tissue is found."
LEVELS = ("patch", "region", "slide")
_MASKED = {
    "patch": "Drop background tokens inside a patch",
    "region": "Drop background patches inside a region",
    "slide": "Drop regions without tissue",
}
_DEVICES = (("Automatic", "auto"), ("Processor (CPU)", "cpu"), ("Graphics card (CUDA)", "cuda"))
_PRECISIONS = (
    ("Automatic", "auto"),
    ("float32: exact", "float32"),
    ("bfloat16: fast where the machine can", "bfloat16"),
)


class ModelPanel(Panel):
    """Chooses the model, and says what it is."""

    title = "Model"

    def build(self) -> None:
        """Make the controls."""
        self.models = Choice("The model, by its title and levels")
        self.models.setAccessibleName("Model")
        self.models.chosen.connect(self.session.use_model)
        self.card_button = QToolButton()
        self.card_button.setText("Card")
        self.card_button.setAccessibleName("Model card")
        self.card_button.setToolTip("Show the model card: data, measurements, licence")
        self.card_button.clicked.connect(self._show_card)
        self.open_button = button(
            "Open a model folder…",
            "Use a bundle of your own: config.json, weights in safetensors, a model card",
            self._open,
        )
        self.card: _Card | None = None
        self.about = wrapped()
        self.sizes = muted()
        self.warnings = Warnings()
        self.options = _Options(self.session)
        self.advanced = Fold("Advanced", self.options)
        for widget in (
            row(self.models, self.card_button),
            self.about,
            self.sizes,
            self.warnings,
            self.open_button,
            self.advanced,
        ):
            self.column.addWidget(widget)

    def connect_session(self) -> None:
        """Hear what this step shows."""
        session = self.session
        self.hear(session.model_changed)
        self.links.connect(session.busy_changed, self._follow_loading)
        self.links.connect(session.options_changed, self.options.refresh)

    def refresh(self) -> None:
        """Show the model in use."""
        model = self.session.model
        self._offer(model)
        allow(self.card_button, None if model is not None else "Choose a model first.")
        self._loading = loading = self.session.models.is_loading
        missing = "The model is being loaded…" if loading else "No model is loaded yet."
        say(self.about, about_model(model.config) if model else missing)
        say(self.sizes, f"{levels_of(model.config)} {sizes_of(model.config)}" if model else "")
        self.warnings.show_sentences(
            text
            for text in (model.config.warnings if model else ())
            if "research use only" not in text.lower()
        )
        self.options.refresh()
        self.summarised.emit(
            model.config.title if model else ("loading…" if loading else "none"), model is not None
        )

    def _follow_loading(self) -> None:
        if self.session.models.is_loading != self._loading:
            self.refresh()

    def _offer(self, model: Model | None) -> None:
        options = _known()
        chosen: str | None = None
        if model is not None:
            chosen = model.name
            if chosen not in (name for _, name in options):
                chosen = str(model.path or model.name)
                options.append((_titled(model.config), chosen))
        self.models.offer(options)
        self.models.show_value(chosen)
        for index, (words, _) in enumerate(options):
            self.models.setItemData(index, words, Qt.ItemDataRole.ToolTipRole)

    def _show_card(self) -> None:
        model = self.session.model
        if model is None:
            return
        self.card = _Card(model, self)
        self.card.destroyed.connect(self._forget_card)
        self.card.show()

    def _forget_card(self) -> None:
        self.card = None

    def _open(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Open a model folder")
        if chosen:
            self.session.use_model(chosen)


def _known() -> list[tuple[str, str]]:
    """Models as (words, name)."""
    from napari_maskvit.model import list_models

    return [
        (_titled(info.config) + (", from the hub" if info.where == "hub" else ""), info.name)
        for info in list_models()
    ]


def _titled(config: ModelConfig) -> str:
    return f"{config.title} ({', '.join(config.levels)})"


class _Options(QWidget):
    """Masking, threshold, device and precision: each needs another run."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.masked = {level: QCheckBox(level) for level in LEVELS}
        for level, box in self.masked.items():
            box.setToolTip(_MASKED[level])
            box.setAccessibleName(f"Mask the {level} level")
            box.clicked.connect(self._set_masking)
        self.note = muted()
        self.threshold = Number(
            "Threshold",
            (0.0, 99.0),
            unit="%",
            decimals=0,
            tooltip="A square is kept if more than this share of it is tissue, in per cent; "
            "0 keeps whatever has any tissue",
        )
        self.threshold.changed.connect(lambda value: session.configure(threshold=value / 100))
        self.device = Choice("Where the model runs", _DEVICES)
        self.device.chosen.connect(lambda value: session.configure(device=value))
        self.precision = Choice("How exactly it calculates", _PRECISIONS)
        self.precision.chosen.connect(lambda value: session.configure(precision=value))
        column(
            self,
            muted("Levels whose background is left out:"),
            row(*self.masked.values()),
            self.note,
            self.threshold,
            row(self.device, label="Device"),
            row(self.precision, label="Precision"),
        )

    def refresh(self) -> None:
        """Show the options as they are."""
        options, model = self.session.models.options, self.session.model
        for level, box in self.masked.items():
            box.setChecked(level in options.masking)
            missing = model is not None and level not in model.levels
            allow(box, f"This model has no {level} transformer." if missing else None)
        say(self.note, "" if options.masking else "Nothing is masked: this is plain attention.")
        self.threshold.follow(100 * options.threshold)
        self.device.show_value(options.device)
        self.precision.show_value(options.precision)

    def _set_masking(self) -> None:
        self.session.configure(
            masking=tuple(level for level, box in self.masked.items() if box.isChecked())
        )


class _Card(QDialog):
    """The model card, as its authors wrote it."""

    def __init__(self, model: Model, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"Model card: {model.config.title}")
        self.resize(560, 640)
        self.text = QTextBrowser()
        self.text.setOpenExternalLinks(True)
        self.text.setMarkdown(model.card)
        self.text.setAccessibleName("Model card")
        column = QVBoxLayout(self)
        column.addWidget(self.text)
        column.addWidget(button("Close", "Close the card (Escape)", self.close))
