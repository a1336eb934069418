"""Finer attention: the mean over shifted grids, worked out once the plain grid is shown."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_maskvit.viewer.jobs import once
from napari_maskvit.viewer.torch_import import import_torch, share_cores

if TYPE_CHECKING:
    from napari_maskvit.explain import Explanation, Heatmap
    from napari_maskvit.explain.granular import Granular
    from napari_maskvit.viewer.display import Display
    from napari_maskvit.viewer.jobs import Job
    from napari_maskvit.viewer.session import Session

CHANNEL = "finer"
LEVELS = ("patch", "region")


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

    def _follow(self) -> None:
        desk = self.session.attention
        explanation, display = desk.explanation, desk.display
        level = desk.layers.current_level
        if explanation is not self._of:
            self._found.clear()
            self._of = explanation
        if (
            not self.on
            or explanation is None
            or not explanation.complete
            or level not in LEVELS
            or desk.is_running
            or self._is_shown(level)
        ):
            return
        if level in self._found:
            found = self._found[level]
            self.session.jobs.start(
                CHANNEL,
                "",
                once(lambda: _picture(found, display)),
                on_done=lambda picture: self._show(explanation, display, level, picture),
            )
        else:
            self._work_out(explanation, level)

    def _work_out(self, explanation: Explanation, level: str) -> None:
        desk = self.session.attention
        slide, model, options = self.session.need_slide(), desk.model, desk.options
        editor = self.session.tissue.editor
        if model is None or editor is None or model.sha256 != explanation.model_sha256:
            return
        mask, focus, display = editor.mask, desk.looking_at(), desk.display

        def body(job: Job) -> Generator[None, None, tuple[Granular, Heatmap] | None]:
            with desk.explainers.engine:
                import_torch()
                share_cores()
                from napari_maskvit.explain.granular import granular_steps

                explainer = desk.explainers.of(slide, model, options)
                steps = granular_steps(explainer, mask, level, focus=focus)
                try:
                    while not job.cancelled:
                        try:
                            next(steps)
                        except StopIteration as end:
                            return end.value, _picture(end.value, display)
                finally:
                    steps.close()
            yield
            return None

        def done(found: tuple[Granular, Heatmap] | None) -> None:
            if found is None or self._of is not explanation:
                return
            self._found[level] = found[0]
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


def _picture(found: Granular, display: Display) -> Heatmap:
    from napari_maskvit.explain.attention import usable_head

    head = usable_head(display.head, found.copies[0][1].heads)
    return found.heatmap(head=head, normalisation=display.normalisation, scope=display.scope)
