"""Attention: what the model is, and what is shown of it; nothing here runs it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtWidgets import QButtonGroup, QCheckBox, QHBoxLayout, QPushButton, QWidget

from napari_maskvit.explain.heatmap import FACTORISED
from napari_maskvit.viewer.display import COLORMAPS, Display
from napari_maskvit.viewer.keys import LEVEL_KEYS
from napari_maskvit.viewer.panels import reasons
from napari_maskvit.viewer.panels.base import Panel
from napari_maskvit.viewer.parts.colourbar import ColourBar
from napari_maskvit.viewer.parts.columns import row
from napari_maskvit.viewer.parts.controls import Choice, Number, allow
from napari_maskvit.viewer.parts.text import muted, say, show, wrapped
from napari_maskvit.viewer.words.wording import about_model, sentence

_LEVELS = {
    "patch": "Attention of each patch over its tokens: the finest picture",
    "region": "Attention of each region over its patches",
    "slide": "Attention of the slide over its regions: the coarsest picture",
    "factorised": "All levels in one picture, weighed by γ",
}
_NORMALISATIONS = (("Rank", "rank"), ("Min–max", "min-max"), ("Relative to even", "relative"))
_SCOPES = (("The whole slide", "slide"), ("Each window", "window"))
_COMBINE = (("Their average", "average"), ("Their product", "multiply"))
_ONLY_FACTORISED = "Only the factorised picture has this: choose that level first."
_VALUES = (
    "How raw attention becomes a colour. Rank: share of the tissue with less. Min–max: from the "
    "least to the most. Relative: 1 is as much as if attention were even"
)
_COMPARED = (
    "Which values are compared: all of the slide, or those of each window (the tokens of one "
    "patch, the patches of one region)"
)
_COMPARE = "Put the unmasked model's attention beside this, on the same colour scale"
_FINER = (
    "Average over four grids, shifted by half a patch, in the background: where a patch begins no "
    "longer matters, and nothing is blurred"
)
_OUTDATED = "What is under a veil is out of date: the tissue was corrected since."
_CANCELLED = "Cancelled before it was done: only a part of the tissue is shown."
_LIVE = "Run by itself after each change of the mask; only what changed is computed"


class AttentionPanel(Panel):
    """Everything about the picture."""

    title = "Attention"

    def build(self) -> None:
        """Make the controls."""
        self._led, self._ran = False, False
        self.model = muted()
        self.said = wrapped()
        self.column.addWidget(self.model)
        self.column.addWidget(self.said)
        self.look = _LookPanel(self.session)
        self.column.addWidget(self.look)

    def connect_session(self) -> None:
        """Hear what this step shows."""
        session = self.session
        self.hear(
            session.mask_changed,
            session.model_changed,
            session.explanation_changed,
            session.display_changed,
            session.busy_changed,
            session.live_changed,
        )

    def refresh(self) -> None:
        """Say how far attention is."""
        session = self.session
        self._lead()
        say(self.model, about_model(session.model.config) if session.model else "")
        say(self.said, self._note())
        if session.running and not session.updating:
            self.summarised.emit("running…", False)
        elif session.explanation is None:
            self.summarised.emit("not run yet", False)
        else:
            self.summarised.emit(session.display.level, session.explanation.complete)

    def _lead(self) -> None:
        """Show all levels at once when the first run is done, unless a level was chosen.

        The finest level shows first while the run grows; on the whole slide it is a grain that
        tells little.
        """
        session, explanation = self.session, self.session.explanation
        self._ran = self._ran or session.running
        if self._led or not self._ran or explanation is None or not explanation.complete:
            return
        self._led = True
        if FACTORISED in session.levels and session.display.level == Display().level:
            session.show(level=FACTORISED)

    def _note(self) -> str:
        """What a person should know of the picture before looking at it."""
        session, explanation = self.session, self.session.explanation
        if explanation is None or (session.running and not session.updating):
            return ""
        if not explanation.complete:
            return _CANCELLED
        # Where the mask is followed, the next answer takes it away again: a flash of a line, for
        # which the whole column would be laid out twice.
        return _OUTDATED if session.outdated and not session.live else ""

    def release(self) -> None:
        """Hear nothing any more, nor does the part for looking."""
        super().release()
        self.look.release()


class _LookPanel(Panel):
    """Everything that changes the picture at once."""

    def build(self) -> None:
        """Make the controls."""
        self.column.setContentsMargins(0, 0, 0, 0)
        self.levels = _Levels(lambda level: self.session.show(level=level, visible=True))
        self.bar = ColourBar()
        self.bar.setToolTip("Colours of the picture, from the lowest value to the highest")
        self.legend = muted()
        self.head = Choice("Which attention head: the mean of all, the strongest, or a single one")
        self.normalisation = Choice(_VALUES, _NORMALISATIONS)
        self.scope = Choice(_COMPARED, _SCOPES)
        self.gamma = Number(
            "Tuned levels γ",
            (0.0, 1.0),
            tooltip="Weight of levels tuned for the task against frozen ones, 0 to 1",
        )
        self.combine = Choice(
            "How the levels are joined into one picture: averaged, or multiplied", _COMBINE
        )
        self.colormap = Choice(
            "Colours of all pictures; each of these is perceptually uniform",
            [(name, name) for name in COLORMAPS],
        )
        self.opacity = Number(
            "Opacity", (0.0, 100.0), unit="%", decimals=0, tooltip="Of every picture, in per cent"
        )
        self.visible = QCheckBox("Show attention over the slide")
        self.comparing = QCheckBox("Compare with plain attention")
        self.live = QCheckBox("Follow the mask while it changes")
        self.finer = QCheckBox("Finer (shifted grids)")
        self.finer.setToolTip(_FINER)
        self.visible.setToolTip("Show or hide the picture; the slide stays")
        self.comparing.setToolTip(_COMPARE)
        self.live.setToolTip(_LIVE)
        self._lay_out()
        self._connect_controls()

    def _lay_out(self) -> None:
        self.head_row = row(self.head, label="Head")
        self.scope_row = row(self.scope, label="Compared in")
        self.combine_row = row(self.combine, label="Combined as")
        for widget in (
            self.levels,
            self.bar,
            self.legend,
            self.visible,
            self.opacity,
            self.head_row,
            row(self.normalisation, label="Values"),
            self.scope_row,
            self.gamma,
            self.combine_row,
            row(self.colormap, label="Colours"),
            self.finer,
            self.comparing,
            self.live,
        ):
            self.column.addWidget(widget)

    def _connect_controls(self) -> None:
        session = self.session
        for field in ("head", "normalisation", "scope", "combine", "colormap"):
            choice: Choice = getattr(self, field)
            choice.chosen.connect(lambda value, field=field: session.show(**{field: value}))
        self.gamma.changed.connect(lambda value: session.show(gamma=value))
        self.opacity.changed.connect(lambda value: session.show(opacity=value / 100))
        self.visible.clicked.connect(lambda on: session.show(visible=on))
        self.comparing.clicked.connect(session.compare)
        self.live.clicked.connect(session.set_live)
        self.finer.clicked.connect(session.attention.finer.switch)

    def connect_session(self) -> None:
        """Hear what this step shows."""
        session = self.session
        self.hear(
            session.explanation_changed,
            session.display_changed,
            session.busy_changed,
            session.compare_changed,
            session.live_changed,
        )

    def refresh(self) -> None:
        """Say how far attention is."""
        session = self.session
        display = session.display
        show(self, session.explanation is not None)
        self.levels.show_levels(session.levels, display.level)
        self._show_display(display)
        self._show_legend(display)
        self.comparing.setChecked(session.comparing)
        self.live.setChecked(session.live)
        self.finer.setChecked(session.attention.finer.on)
        allow(self.comparing, reasons.compare(session))
        allow(self.finer, session.attention.finer.why_not)

    def _show_display(self, display: Display) -> None:
        self.head.offer(_heads(self._head_count(display.level)))
        for field in ("head", "normalisation", "scope", "combine", "colormap"):
            getattr(self, field).show_value(getattr(display, field))
        self.gamma.show_value(display.gamma)
        self.opacity.show_value(100 * display.opacity)
        self.visible.setChecked(self.session.attention.drawn.visible)
        several = "factorised" in self.session.levels
        show(self.gamma, several)
        show(self.combine_row, several)
        reason = None if display.level == "factorised" else _ONLY_FACTORISED
        allow(self.gamma, reason)
        allow(self.combine, reason)

    def _show_legend(self, display: Display) -> None:
        heatmap, limits = self.session.attention.picture(), self.session.attention.limits()
        show(self.bar, limits is not None)
        if limits is not None:
            self.bar.show_colours(display.colormap, limits)
        say(self.legend, sentence(heatmap.legend if heatmap else ""))

    def _head_count(self, level: str) -> int:
        explanation = self.session.explanation
        return explanation.heads(level) if explanation else 0


class _Levels(QWidget):
    """One button a level, with the key that does the same."""

    def __init__(self, choose: Callable[[str], Any]) -> None:
        super().__init__()
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(3)
        self.buttons: dict[str, QPushButton] = {}
        group = QButtonGroup(self)
        for key, level in LEVEL_KEYS.items():
            made = QPushButton(f"{level.capitalize()}\n{key}")
            made.setCheckable(True)
            made.setToolTip(f"{_LEVELS[level]} (key {key})")
            made.clicked.connect(lambda _on, level=level: choose(level))
            group.addButton(made)
            line.addWidget(made)
            self.buttons[level] = made

    def show_levels(self, levels: tuple[str, ...], chosen: str) -> None:
        """Offer the levels that there are, and mark the one that is shown."""
        for level, made in self.buttons.items():
            allow(made, None if level in levels else _missing(level))
            made.setChecked(level == chosen)


def _missing(level: str) -> str:
    if level == "factorised":
        return "There is only one level here, so there is nothing to factorise."
    return f"This model has no {level} transformer."


def _heads(count: int) -> list[tuple[str, str | int]]:
    options: list[tuple[str, str | int]] = [("Mean of the heads", "mean")]
    if count < 2:
        return options
    options.append(("Strongest head", "max"))
    return options + [(f"Head {head}", head) for head in range(count)]
