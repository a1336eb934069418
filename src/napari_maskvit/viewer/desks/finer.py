"""Finer attention: the mean over shifted grids, worked out once the plain grid is shown."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_maskvit.viewer.work.jobs import once, paced
from napari_maskvit.viewer.work.runs import STEP_SECONDS

if TYPE_CHECKING:
    from napari_maskvit.explain import Explanation, Heatmap
    from napari_maskvit.explain.granular import Granular
    from napari_maskvit.viewer.display import Display
    from napari_maskvit.viewer.session import Session
    from napari_maskvit.viewer.work.jobs import Job

CHANNEL = "finer"
LEVELS = ("patch", "region")
FACTORISED = "factorised"


class FinerDesk:
    """Replaces the picture of a level by a finer one, when a person wants that.

    Parameters
    ----------
    session
        Whose attention it is.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        self.session = session
        self.on = False
        self._found: dict[str, Granular] = {}
        self._of: Explanation | None = None
        session.explanation_changed.connect(self._follow)
        session.display_changed.connect(self._follow)

    def switch(self, on: bool) -> None:
        """Show the finer picture as soon as it is there, or the plain one again."""
        self.on = on
        if on:
            self._follow()
        else:
            self.cancel()
            self._found.clear()
            desk = self.session.attention
            if desk.explanation is not None:
                desk.layers.explain(desk.explanation, desk.drawn)
                self.session.display_changed.emit(desk.display)
        self.changed.emit()

    def cancel(self) -> None:
        """Stop working it out; what is known stays known."""
        self.session.jobs.cancel(CHANNEL)

    @property
    def why_not(self) -> str | None:
        """Why there is nothing finer of the level on display."""
        desk = self.session.attention
        explanation, model = desk.explanation, self.session.model
        if explanation is None:
            return None
        if not _needed(explanation, _level(explanation, desk.display)):
            return "The slide level weighs whole regions: there is nothing finer of it."
        if model is None or model.sha256 != explanation.model_sha256:
            return f"Load {explanation.model_title} first: these pictures are its own."
        return None

    def _follow(self) -> None:
        desk = self.session.attention
        explanation, display = desk.explanation, desk.display
        if explanation is not self._of:
            self._found.clear()
            self._of = explanation
        if (
            not self.on
            or explanation is None
            or not explanation.complete
            or self.why_not is not None
            or self.session.runs.is_running
        ):
            return
        level = _level(explanation, display)
        if self._is_shown(level):
            return
        needed = _needed(explanation, level)
        if all(name in self._found for name in needed):
            found = {name: self._found[name] for name in needed}
            self.session.jobs.start(
                CHANNEL,
                "",
                once(lambda: _picture(explanation, level, found, display)),
                on_done=lambda picture: self._show(explanation, display, level, picture),
            )
        else:
            self._work_out(explanation, level)

    def _work_out(self, explanation: Explanation, level: str) -> None:
        session, desk, models = self.session, self.session.attention, self.session.models
        slide, model, options = session.slides.need(), models.model, models.options
        editor = session.tissue.editor
        if model is None or editor is None:
            return
        mask, focus, display = editor.mask, desk.looking_at(), desk.display
        needed, known = _needed(explanation, level), dict(self._found)

        def body(job: Job) -> Generator[Any, None, tuple[dict[str, Granular], Heatmap] | None]:
            with models.explainers.at_work(slide, model, options) as explainer:
                from napari_maskvit.explain.granular import granular_steps

                for name in needed:
                    if name in known:
                        continue
                    steps = granular_steps(explainer, mask, name, focus=focus)
                    made: Granular | None = yield from paced(job, steps, STEP_SECONDS)
                    if made is None:
                        return None
                    known[name] = made
                return known, _picture(explanation, level, known, display)

        def done(found: tuple[dict[str, Granular], Heatmap] | None) -> None:
            if found is None or self._of is not explanation:
                return
            self._found |= found[0]
            self._show(explanation, display, level, found[1])

        self.session.jobs.start(CHANNEL, "Averaging over shifted grids", body, on_done=done)

    def _show(
        self, explanation: Explanation, display: Display, level: str, picture: Heatmap
    ) -> None:
        desk = self.session.attention
        if not self.on or desk.explanation is not explanation:
            return
        if desk.display.values_key != display.values_key:
            self._follow()
            return
        desk.layers.preview({level: picture})
        desk.beside.share_limits()
        self.session.display_changed.emit(desk.display)
        self.changed.emit()

    def _is_shown(self, level: str) -> bool:
        from napari_maskvit.explain.granular import GranularHeatmap

        return isinstance(self.session.attention.layers.pictures.get(level), GranularHeatmap)


def _level(explanation: Explanation, display: Display) -> str:
    """The level that is asked for; the first one there is where it is missing."""
    levels = explanation.heatmap_levels
    return display.level if display.level in levels else levels[0]


def _needed(explanation: Explanation, level: str) -> tuple[str, ...]:
    """Levels to work out on shifted grids for the picture of a level; none where none helps."""
    if level == FACTORISED:
        return tuple(name for name in LEVELS if name in explanation.levels)
    return (level,) if level in LEVELS else ()


def _picture(
    explanation: Explanation, level: str, found: Mapping[str, Granular], display: Display
) -> Heatmap:
    from napari_maskvit.explain.attention import usable_head
    from napari_maskvit.explain.granular import granular_factorised

    finer = {
        name: one.heatmap(
            head=usable_head(display.head, one.copies[0][1].heads),
            normalisation=display.normalisation,
            scope=display.scope,
        )
        for name, one in found.items()
        if name in _needed(explanation, level)
    }
    if level in finer:
        return finer[level]
    return granular_factorised(explanation, finer, gamma=display.gamma, combine=display.combine)
