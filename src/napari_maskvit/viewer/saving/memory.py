"""What is remembered of a slide: while the window is open, and on disk."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_maskvit.errors import MaskvitError
from napari_maskvit.viewer.display import Display
from napari_maskvit.viewer.saving.state import (
    SESSION,
    State,
    as_plain,
    default_folder,
    is_state_folder,
    read_state,
    write_state,
)
from napari_maskvit.viewer.timeline.steps import Steps
from napari_maskvit.viewer.words import notices
from napari_maskvit.viewer.work.explainers import RunOptions
from napari_maskvit.viewer.work.jobs import once

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_maskvit.viewer.session import Session

CHANNEL = "restore"


class Memory:
    """Keeps and brings back the state of slides.

    Parameters
    ----------
    session
        Whose state it is.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._kept: dict[str, State] = {}
        self._then: list[Callable[[], None]] = []

    def keep(self) -> None:
        """Remember the slide in use, for when the person comes back to it."""
        slide = self.session.slide
        if slide is None:
            return
        if self.session.jobs.cancel(CHANNEL):
            # What is there is not what was saved, which is read again next time.
            self._kept.pop(slide.identity, None)
        else:
            self._kept[slide.identity] = self._now()

    def recall(self, folder: str | None = None) -> None:
        """Bring back what is known of the slide in use: from this session, else from its folder."""
        slide = self.session.slides.need()
        kept = self._kept.get(slide.identity)
        beside = default_folder(Path(slide.path))
        if kept is not None and folder is None:
            self._apply(kept)
        elif folder is not None or self.is_saved(beside):
            self.restore(Path(folder) if folder else beside)

    @property
    def folder(self) -> Path | None:
        """Where *Save* puts things: a folder beside the slide; None where there is no slide."""
        slide = self.session.slide
        return default_folder(Path(slide.path)) if slide is not None else None

    @property
    def has_saved(self) -> bool:
        """Whether something was saved for this slide."""
        return self.folder is not None and self.is_saved(self.folder)

    def is_saved(self, folder: Path) -> bool:
        """Whether a state lies there."""
        return is_state_folder(folder) or (folder / SESSION).is_file()

    def save(self, folder: Path | None) -> Path:
        """Write the state in a worker; the folder is returned at once."""
        slide = self.session.slides.need()
        place = folder or default_folder(Path(slide.path))
        if self.session.tissue.editor is not None:
            self.session.tissue.editor.settle()
        state = self._now()
        self.session.jobs.start(
            "files",
            "Saving",
            once(lambda: write_state(place, state)),
            on_done=lambda folder: self._saved(folder, state),
        )
        return place

    def restore(self, folder: Path | None) -> None:
        """Read a state in a worker, then show it."""
        slide = self.session.slides.need()
        place = folder or default_folder(Path(slide.path))
        if not self.is_saved(place):
            raise MaskvitError(f"Nothing is saved in {place}. Save first, or choose its folder.")
        self._then = []
        self.session.jobs.start(
            CHANNEL,
            "Restoring",
            once(lambda: read_state(place), torch=True),
            on_done=self._restored,
        )

    def when_restored(self, then: Callable[[], None]) -> None:
        """Call ``then`` once what is being restored is there; now where nothing is."""
        if self.session.jobs.is_running(CHANNEL):
            self._then.append(then)
        else:
            then()

    def _saved(self, folder: Path, state: State) -> None:
        self.session.autosave.mark_saved(state.mask, state.identity)
        notices.tell(f"Saved to {folder}.")
        self.session.saved.emit(folder)

    def _restored(self, state: State) -> None:
        slide = self.session.slides.need()
        if state.identity != slide.identity:
            raise MaskvitError(
                f"The saved session belongs to another file than {slide.name}. It is left as it "
                "is; save to replace it."
            )
        self._apply(state)
        self.session.autosave.mark_saved(state.mask, state.identity)
        self.session.autosave.when_looked(self._greet)
        self.session.jobs.cancel(CHANNEL)
        then, self._then = self._then, []
        for one in then:
            one()

    def _greet(self) -> None:
        """Say that everything is back, unless newer work is offered, which says so itself."""
        slide = self.session.slide
        if slide is not None and self.session.autosave.offer is None:
            notices.tell(f"{slide.name} is as you left it.")

    def _now(self) -> State:
        session = self.session
        slide = session.slides.need()
        camera = session.viewer.scene.camera
        model = session.model
        return State(
            slide=str(Path(slide.path).absolute()),
            identity=slide.identity,
            spacing=slide.spacing,
            spacing_given=slide.spacing_source == "given",
            mask=session.mask,
            found=session.tissue.found,
            steps=Steps(session.timeline.timeline.entries),
            tool=session.hand.tool,
            brush_um=session.hand.brush_um,
            explanation=session.explanation,
            reference=session.reference,
            model=str(model.path or model.name) if model else None,
            model_sha256=model.sha256 if model else None,
            parameters=as_plain(session.tissue.parameters),
            display=as_plain(session.display),
            options=as_plain(session.models.options),
            camera={"center": [float(one) for one in camera.center], "zoom": float(camera.zoom)},
        )

    def _apply(self, state: State) -> None:
        session = self.session
        slide = session.slides.need()
        if state.spacing_given and state.spacing and slide.spacing is None:
            session.give_spacing(state.spacing)
        session.tissue.parameters = _updated(session.tissue.parameters, state.parameters)
        session.models.options = _updated(RunOptions(), state.options)
        session.attention.display = _updated(Display(), state.display)
        if state.mask is not None:
            session.tissue.take(state.mask, state.found or state.mask)
            if state.steps is not None:
                session.timeline.resume(state.steps.entries)
            if state.brush_um:
                session.hand.brush_um = state.brush_um
            if state.tool:
                session.hand.pick(state.tool)
        session.attention.take(state.explanation, state.reference)
        if state.camera:
            session.viewer.scene.camera.center = state.camera["center"]
            session.viewer.scene.camera.zoom = state.camera["zoom"]
        if state.model and session.model is None:
            session.use_model(state.model)
        session.options_changed.emit(session.models.options)
        session.display_changed.emit(session.display)


def _updated(target: Any, values: dict[str, Any]) -> Any:
    """A copy with those values that it has fields for; JSON's lists become tuples again."""
    if hasattr(target, "model_copy"):
        known = set(type(target).model_fields)
        return type(target)(**{key: value for key, value in values.items() if key in known})
    known = {one.name for one in fields(target)}
    taken = {key: value for key, value in values.items() if key in known}
    return replace(target, **{k: tuple(v) if isinstance(v, list) else v for k, v in taken.items()})
