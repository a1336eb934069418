"""Result: what the model says, what speaks against trusting it, what it rests on; take it along."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QGridLayout, QLabel, QWidget

from napari_maskvit.viewer.panels import reasons
from napari_maskvit.viewer.panels.base import Panel
from napari_maskvit.viewer.parts.bars import ProbabilityBars, Scale
from napari_maskvit.viewer.parts.cautions import Cautions
from napari_maskvit.viewer.parts.columns import row
from napari_maskvit.viewer.parts.controls import allow, button
from napari_maskvit.viewer.parts.text import muted, say, show, wrapped
from napari_maskvit.viewer.saving.exporting import export
from napari_maskvit.viewer.words.answers import predicted
from napari_maskvit.viewer.words.wording import computed, share

if TYPE_CHECKING:
    from napari_maskvit.explain import Explanation

_NO_PREDICTION = (
    "This model makes no prediction: it has no slide transformer. Its attention can be looked at "
    "all the same."
)
_NOTHING_KEPT = "Nothing was kept to predict from: the mask holds no tissue."
_GOES_ON = "The prediction comes when all tissue has been looked at."
_UNFINISHED = "No prediction: the run was not finished."
_TOKENS = {"patch": "Tokens", "region": "Patches", "slide": "Regions"}


class ResultPanel(Panel):
    """The answer, in words and numbers."""

    title = "Result"

    def build(self) -> None:
        """Make the controls."""
        self.answer = wrapped(role="figure")
        self.detail = muted()
        self.bars = ProbabilityBars()
        self.scale = Scale()
        self.against = Cautions()
        self.rests_on = wrapped("What it rests on", "strong")
        self.statistics = _Statistics()
        self.save_button = button(
            "Save", "Keep mask, attention and settings in one folder beside the slide", self._save
        )
        self.save_as_button = button(
            "Save as…", "Keep all in a folder of your choice", self._save_as
        )
        self.load_button = button("Load…", "Bring back what was saved in a folder", self._load)
        self.export_button = button(
            "Export…",
            "Write heatmaps (TIFF that QuPath opens in place), pictures and the mask (GeoJSON) "
            "into a folder",
            self._export,
        )
        self.where = muted()
        saving = row(self.save_button, self.save_as_button)
        taking = row(self.load_button, self.export_button)
        for widget in (
            self.answer, self.bars, self.scale, self.detail, self.against, self.rests_on,
            self.statistics, saving, taking, self.where,
        ):  # fmt: skip
            self.column.addWidget(widget)

    def connect_session(self) -> None:
        """Hear what this step shows."""
        session = self.session
        self.hear(
            session.slide_changed,
            session.mask_changed,
            session.explanation_changed,
            session.busy_changed,
        )

    def refresh(self) -> None:
        """Show the answer and what it rests on."""
        session, explanation = self.session, self.session.explanation
        self._answer(explanation)
        done = explanation is not None and explanation.complete
        self.against.show_sentences(
            explanation.warnings if explanation else (), explanation if done else None
        )
        show(self.rests_on, explanation is not None)
        show(self.statistics, explanation is not None)
        if explanation is not None:
            self.statistics.show_statistics(explanation, session.reference)
        nothing = reasons.measure(session) or (
            "There is nothing to save yet: find the tissue first." if session.mask is None else None
        )
        allow(self.save_button, nothing)
        allow(self.save_as_button, nothing)
        allow(self.load_button, reasons.NO_SLIDE if session.slide is None else None)
        allow(self.export_button, reasons.look(session))
        folder = session.memory.folder
        say(self.where, f"Save writes {folder.name} beside the slide." if folder else "")

    def _answer(self, explanation: Explanation | None) -> None:
        prediction = explanation.prediction if explanation else None
        if explanation is None:
            say(self.answer, "")
            say(self.detail, reasons.NO_EXPLANATION)
        elif prediction is None:
            self._no_answer(explanation)
        else:
            headline, detail = predicted(prediction)
            say(self.answer, headline)
            say(self.detail, f"{self._state()}{detail}")
        probabilities = prediction.probabilities if prediction else None
        labels = prediction.labels if prediction and probabilities else ()
        self.bars.show_probabilities(labels, probabilities or ())
        numbered = prediction is not None and prediction.kind == "regression"
        self.scale.show_value(
            prediction.labels if prediction and numbered else (),
            prediction.value if prediction else 0.0,
        )
        if prediction is not None:
            self.summarised.emit(prediction.label, True)
        else:
            done = explanation is not None and explanation.complete
            self.summarised.emit("no prediction" if done else "", done)

    def _state(self) -> str:
        """Whether the answer is the answer to the mask as it stands."""
        session = self.session
        if session.updating:
            # What is over in a blink is not told: the column would be laid out for it.
            return "" if session.attention.live.is_quick else "Updating… "
        return "Of the tissue before it was corrected. " if session.outdated else ""

    def _no_answer(self, explanation: Explanation) -> None:
        if explanation.complete:
            why = _NO_PREDICTION if "slide" not in explanation.levels else _NOTHING_KEPT
        else:
            why = _GOES_ON if self.session.running else _UNFINISHED
        say(self.answer, "No prediction" if explanation.complete else "")
        say(self.detail, why)

    def _save(self) -> None:
        self.session.save()

    def _save_as(self) -> None:
        folder = self.session.memory.folder
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Save as a folder", str(folder) if folder else ""
        )
        if chosen:
            self.session.save(chosen)

    def _load(self) -> None:
        folder = self.session.memory.folder
        chosen = QFileDialog.getExistingDirectory(
            self, "Load a saved folder", str(folder) if folder else ""
        )
        if chosen:
            self.session.restore(chosen)

    def _export(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Export into a folder")
        if chosen:
            export(self.session, Path(chosen))


class _Statistics(QWidget):
    """What was kept, what lay on glass, what it took: a small table."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[tuple[str, str, str]] = []
        self._labels: list[tuple[QLabel, QLabel]] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(1, 1)

    def show_statistics(self, explanation: Explanation, reference: Explanation | None) -> None:
        """Fill the table; `reference` is the plain run beside it, if there is one."""
        before, self._rows = self._rows, []
        numbers = explanation.statistics
        for level, kept in numbers.kept.items():
            total = numbers.total.get(level, 0)
            self._add(
                f"{_TOKENS.get(level, level)} kept",
                f"{kept:,} of {total:,} ({share(kept / total if total else 0)})",
                f"Positions of the {level} level with tissue in them, of all that the slide has",
            )
        self._add_glass(explanation, reference)
        if numbers.undecodable_tiles:
            self._add(
                "Undecodable",
                f"{numbers.undecodable_tiles:,} tiles",
                "Tiles of the file that could not be decoded; they count as background",
            )
        stages = sum(time for stage, time in numbers.seconds.items() if stage != "total")
        seconds = numbers.seconds.get("total", stages)
        self._add(
            "Computed",
            computed(numbers.computed_patches, numbers.cached_patches, seconds),
            f"On {explanation.device} in {explanation.precision}",
        )

        if [name for name, *_ in self._rows] != [name for name, *_ in before]:
            self._draw()
        # New labels would lay out the column again; most runs only change numbers.
        for (name, number), (_, value, tooltip) in zip(self._labels, self._rows, strict=True):
            say(number, value)
            for label in (name, number):
                label.setToolTip(tooltip)

    def _draw(self) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        self._labels = []
        for index, (label, value, _) in enumerate(self._rows):
            name, number = QLabel(label), wrapped(value)
            self._labels.append((name, number))
            self._grid.addWidget(name, index, 0)
            self._grid.addWidget(number, index, 1)

    def _add_glass(self, explanation: Explanation, reference: Explanation | None) -> None:
        masses = explanation.statistics.background_mass
        plain = reference.statistics.background_mass if reference is not None else {}
        if masses and not any(masses.values()) and not any(plain.values()):
            self._add("On glass", "0 % of attention", "Attention on background, at every level")
            return
        for level, mass in masses.items():
            beside = f", plain {share(plain[level])}" if level in plain else ""
            self._add(
                f"On glass, {level}",
                f"{share(mass)}{beside}",
                f"Share of the {level} level's attention that lies on background",
            )

    def _add(self, label: str, value: str, tooltip: str) -> None:
        self._rows.append((label, value, tooltip))
