"""One slide under study in one viewer: slide, mask, model, explanation and how it is shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from psygnal import Signal

from napari_maskvit.errors import MaskvitError
from napari_maskvit.viewer.desks.attention import AttentionDesk
from napari_maskvit.viewer.desks.models import ModelDesk
from napari_maskvit.viewer.desks.runs import RunDesk
from napari_maskvit.viewer.desks.slide import SlideDesk
from napari_maskvit.viewer.desks.tissue import TissueDesk
from napari_maskvit.viewer.display import Display
from napari_maskvit.viewer.graphics import free_in_own_context
from napari_maskvit.viewer.hover import Hover
from napari_maskvit.viewer.keys import bind_keys
from napari_maskvit.viewer.layers.placing import kind_of
from napari_maskvit.viewer.saving.autosave import Autosave
from napari_maskvit.viewer.saving.memory import Memory
from napari_maskvit.viewer.timeline.desk import TimelineDesk
from napari_maskvit.viewer.tools.desk import ToolDesk
from napari_maskvit.viewer.tools.hand import Hand
from napari_maskvit.viewer.words import notices
from napari_maskvit.viewer.words.telling import told
from napari_maskvit.viewer.work.explainers import RunOptions
from napari_maskvit.viewer.work.jobs import Jobs

if TYPE_CHECKING:
    import napari

    from napari_maskvit.explain import Explanation
    from napari_maskvit.model import Model
    from napari_maskvit.slide import Slide
    from napari_maskvit.tissue import TissueMask, TissueParameters


class Session:
    """What one viewer knows about the slide in it. Get it with ``Session.of(viewer)``.

    Here is what several parts of the window need to know, and what a person can ask for; the rest
    is at the desks: ``slides``, ``tissue``, ``hand``, ``tools``, ``models``, ``attention``,
    ``runs``, ``timeline``, ``memory`` and ``autosave``.

    Every signal is emitted on the main thread, after the attribute changed. Methods do not raise:
    what goes wrong becomes a napari notification and the signal ``failed``. What takes long runs in
    worker threads; ``busy`` says in words what is going on.

    Parameters
    ----------
    viewer
        The viewer to serve.
    """

    slide_changed = Signal()
    mask_changed = Signal()
    model_changed = Signal()
    explanation_changed = Signal()
    display_changed = Signal(Display)
    options_changed = Signal(RunOptions)
    busy_changed = Signal(object)
    progressed = Signal(object)
    failed = Signal(str)
    live_changed = Signal(bool)
    compare_changed = Signal(bool)
    saved = Signal(object)

    _sessions: ClassVar[dict[int, Session]] = {}

    @classmethod
    def of(cls, viewer: napari.Viewer) -> Session:
        """The session of this viewer; the first call makes it."""
        # Widgets get a proxy of the viewer that hides what is private.
        viewer = getattr(viewer, "__wrapped__", viewer)
        if id(viewer) not in cls._sessions:
            cls._sessions[id(viewer)] = cls(viewer)
        return cls._sessions[id(viewer)]

    def __init__(self, viewer: napari.Viewer) -> None:
        self.viewer = viewer
        self.closed = False
        self.slides = SlideDesk(self)
        self.jobs = Jobs(self._tell_busy, self.fail)
        self.tissue = TissueDesk(self)
        self.tools = ToolDesk(self)
        self.hand = Hand(self)
        self.models = ModelDesk(self)
        self.timeline = TimelineDesk(self)
        self.attention = AttentionDesk(self)
        self.runs = RunDesk(self.attention)
        self.memory = Memory(self)
        self.autosave = Autosave(self)
        self._hover = Hover(self)
        bind_keys(self)
        free_in_own_context(viewer)
        _when_window_closes(viewer, self.close)
        for layer in viewer.layers:
            if kind_of(layer) == "slide":
                self.use_slide(layer)

    # ---- slide

    @property
    def slide(self) -> Slide | None:
        """The slide that is studied."""
        return self.slides.slide

    @property
    def slide_layer(self) -> Any:
        """The slide's Image layer, or None."""
        return self.slides.layer

    @told
    def open(self, path: str | Path, spacing: float | None = None) -> None:
        """Open a slide file and use it; ``spacing`` in µm/px where the file does not say."""
        from napari_maskvit.slide import open_slide

        self.use_slide(open_slide(path, spacing=spacing))

    @told
    def use_slide(self, slide: Slide | Any) -> None:
        """Work on this slide: a `Slide`, or the layer of one. The one before is remembered."""
        self.slides.use(slide)

    @told
    def give_spacing(self, um: float) -> None:
        """State how large a level-0 pixel is, in µm, where the file does not say."""
        self.slides.give_spacing(um)

    # ---- tissue

    @property
    def mask(self) -> TissueMask | None:
        """The mask as it stands, corrections included."""
        return self.tissue.mask

    @told
    def find_tissue(self, parameters: TissueParameters | None = None) -> None:
        """Segment; the newest call wins, and corrections made by hand survive."""
        self.tissue.find(parameters)

    @told
    def use_mask(self, mask: TissueMask) -> None:
        """Use a mask from elsewhere."""
        self.tissue.take(mask)

    @told
    def load_mask(self, path: str | Path) -> None:
        """Read a mask from a TIFF, PNG or GeoJSON file."""
        self.tissue.load(Path(path))

    @told
    def save_mask(self, path: str | Path) -> None:
        """Write the mask to a TIFF, PNG or GeoJSON file."""
        self.tissue.save(Path(path))

    @told
    def discard_corrections(self) -> None:
        """Back to the mask as it was found."""
        self.tissue.discard_corrections()

    # ---- model and attention

    @property
    def model(self) -> Model | None:
        """The model in use; None until one is loaded."""
        return self.models.model

    @property
    def explanation(self) -> Explanation | None:
        """The latest result; ``complete`` is False while a run goes on and after a cancel."""
        return self.attention.explanation

    @property
    def reference(self) -> Explanation | None:
        """Plain attention, once it was compared with."""
        return self.attention.reference

    @property
    def display(self) -> Display:
        """How attention is shown."""
        return self.attention.display

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels that can be shown."""
        return self.explanation.heatmap_levels if self.explanation else ()

    @property
    def live(self) -> bool:
        """Whether a correction of the mask starts a run by itself, once there was one."""
        return self.attention.live.on

    @property
    def updating(self) -> bool:
        """Whether a correction is being followed: what is shown is about to change."""
        return self.attention.live.is_updating

    @property
    def outdated(self) -> bool:
        """Whether the tissue was corrected since the explanation was made."""
        return self.attention.live.stale.any

    @property
    def comparing(self) -> bool:
        """Whether plain attention stands beside."""
        return self.attention.beside.is_shown

    @told
    def use_model(self, name: str | Path | None = None) -> None:
        """Load a model by name, bundle folder or hub reference; None is the default."""
        self.models.use(name)

    @told
    def configure(self, **changes: Any) -> None:
        """Change fields of `RunOptions`."""
        self.models.configure(**changes)

    @told
    def run(self) -> None:
        """Run the model under the mask as it stands, and show what it attends to."""
        self.show(visible=True)
        self.runs.run()

    @told
    def cancel(self) -> None:
        """Stop; what is there so far stays."""
        self.runs.cancel()

    @told
    def compare(self, on: bool = True) -> None:
        """Put plain attention beside the masked."""
        self.attention.compare(on)

    @told
    def set_live(self, on: bool) -> None:
        """Follow corrections of the mask, or wait for Run."""
        self.attention.live.on = on
        self.live_changed.emit(on)

    @told
    def show(self, **changes: Any) -> None:
        """Change fields of `Display`."""
        self.attention.show(**changes)

    # ---- the whole state

    @property
    def busy(self) -> str | None:
        """What is going on, in words."""
        return self.jobs.words

    @property
    def running(self) -> bool:
        """Whether the model runs."""
        return self.runs.is_running

    def save(self, folder: str | Path | None = None) -> Path | None:
        """Save mask, corrections, result and view into one folder; returns it at once."""
        try:
            return self.memory.save(Path(folder) if folder else None)
        except MaskvitError as error:
            self.fail(error)
            return None

    @told
    def restore(self, folder: str | Path | None = None) -> None:
        """Bring back what was saved for this slide."""
        self.memory.restore(Path(folder) if folder else None)

    def fail(self, error: Exception) -> None:
        """Tell a person in one sentence what went wrong."""
        self.failed.emit(notices.show(error))

    def close(self) -> None:
        """Stop all work and listen no more; called when the window closes."""
        if self.closed:
            return
        self.closed = True
        self.autosave.close()
        self.runs.cancel()
        self.jobs.close()
        self._hover.close()
        if self.tissue.editor:
            self.tissue.editor.close()
        self.slides.close()
        self._sessions.pop(id(self.viewer), None)

    def _tell_busy(self, words: str | None) -> None:
        self.busy_changed.emit(words)


def _when_window_closes(viewer: Any, close: Callable[[], None]) -> None:
    if not hasattr(viewer, "window"):  # a ViewerModel without Qt
        return
    from napari_maskvit.viewer.closing import when_closed

    when_closed(viewer.window._qt_window, close)
