"""One slide under study in one viewer: slide, mask, model, explanation and how it is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from psygnal import Signal

from napari_maskvit.errors import MaskvitError, SlideError
from napari_maskvit.viewer import notices
from napari_maskvit.viewer.attention_desk import AttentionDesk, RunOptions
from napari_maskvit.viewer.autosave import Autosave
from napari_maskvit.viewer.display import Display
from napari_maskvit.viewer.hover import Hover
from napari_maskvit.viewer.jobs import Jobs
from napari_maskvit.viewer.keys import bind_keys
from napari_maskvit.viewer.layers import TAG, geometry, kind_of, slide_layer_data
from napari_maskvit.viewer.memory import Memory
from napari_maskvit.viewer.state import default_folder
from napari_maskvit.viewer.telling import told
from napari_maskvit.viewer.timeline_desk import TimelineDesk
from napari_maskvit.viewer.tissue_desk import TissueDesk
from napari_maskvit.viewer.tools.desk import ToolDesk

if TYPE_CHECKING:
    import napari

    from napari_maskvit.explain import Explanation
    from napari_maskvit.model import Model
    from napari_maskvit.slide import Slide
    from napari_maskvit.tissue import TissueMask, TissueParameters

__all__ = ["Corrections", "RunOptions", "Session"]


@dataclass(frozen=True)
class Corrections:
    """What a person changed in the mask that was found, in mm²."""

    added_mm2: float
    removed_mm2: float


class Session:
    """What one viewer knows about the slide in it. Get it with ``Session.of(viewer)``.

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
    brush_changed = Signal()
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
        self.slide: Slide | None = None
        self._slide_layer: Any = None
        self.jobs = Jobs(self._tell_busy, self.fail)
        self.tissue = TissueDesk(self)
        self.tools = ToolDesk(self)
        self.timeline = TimelineDesk(self)
        self.attention = AttentionDesk(self)
        self._memory = Memory(self)
        self.autosave = Autosave(self)
        self._hover = Hover(self)
        bind_keys(self)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)
        _when_window_closes(viewer, self.close)
        for layer in viewer.layers:
            if kind_of(layer) == "slide":
                self.use_slide(layer)

    # ---- slide

    @property
    def slide_layer(self) -> Any:
        """The slide's Image layer, or None."""
        return self._slide_layer if self._slide_layer in self.viewer.layers else None

    @property
    def slide_layers(self) -> tuple[Any, ...]:
        """Every slide that is open in this viewer."""
        return tuple(layer for layer in self.viewer.layers if kind_of(layer) == "slide")

    @told
    def open(self, path: str | Path, spacing: float | None = None) -> None:
        """Open a slide file and use it; ``spacing`` in µm/px where the file does not say."""
        from napari_maskvit.slide import open_slide

        self.use_slide(open_slide(path, spacing=spacing))

    @told
    def use_slide(self, slide: Slide | Any) -> None:
        """Work on this slide: a `Slide`, or the layer of one. The one before is remembered."""
        from napari_maskvit.slide import Slide

        if isinstance(slide, Slide):
            open_already = (one for one in self.slide_layers if one.metadata["slide"] is slide)
            layer = next(open_already, None) or self._add_slide(slide)
        else:
            layer = slide
        if kind_of(layer) != "slide":
            raise SlideError(f"The layer {layer.name!r} is no slide opened with MaskViT.")
        if layer is self._slide_layer:
            return
        self._leave_slide()
        self.slide, self._slide_layer = layer.metadata["slide"], layer
        self.viewer.canvas.overlays.scale_bar.visible = True
        self.viewer.canvas.overlays.scale_bar.box = True
        self.slide_changed.emit()
        self._memory.recall(layer.metadata.pop("restore", None))

    @told
    def give_spacing(self, um: float) -> None:
        """State how large a level-0 pixel is, in µm, where the file does not say."""
        if not 0.01 <= um <= 100:
            raise SlideError(f"A spacing of {um:g} µm/px is no slide's; give 0.05 to 10.")
        slide, layer = self.need_slide(), self.slide_layer
        if slide.spacing == um:
            return
        self.attention.drop()
        self.tissue.drop()
        self.slide = slide.with_spacing(um)
        if layer is not None:
            layer.metadata["slide"] = self.slide
            layer.metadata[TAG] |= {"spacing": um, "spacing_source": self.slide.spacing_source}
            for name, value in geometry(1.0, um).items():
                setattr(layer, name, value)
            self.viewer.reset_view()
        self.slide_changed.emit()
        self.mask_changed.emit()
        self.explanation_changed.emit()

    def need_slide(self) -> Slide:
        """The slide in use.

        Raises
        ------
        SlideError
            If none is open.
        """
        if self.slide is None:
            raise SlideError("No slide is open. Drop one on the window, or use File > Open.")
        return self.slide

    # ---- tissue

    @property
    def parameters(self) -> TissueParameters:
        """How tissue was last found."""
        return self.tissue.parameters

    @property
    def found(self) -> TissueMask | None:
        """The mask as segmented."""
        return self.tissue.found

    @property
    def mask(self) -> TissueMask | None:
        """The mask as it stands, corrections included."""
        return self.tissue.mask

    @property
    def mask_layer(self) -> Any:
        """The mask's Labels layer, or None."""
        return self.tissue.layer

    @property
    def tissue_mm2(self) -> float | None:
        """Area of tissue, mm²."""
        return self.tissue.editor.tissue_mm2 if self.tissue.editor else None

    @property
    def tissue_share(self) -> float | None:
        """Share of the slide that is tissue, in [0, 1]."""
        if self.tissue.editor is None or self.slide is None:
            return None
        height, width = self.slide.size_um
        return self.tissue.editor.tissue_mm2 / max(height * width / 1e6, 1e-12)

    @property
    def corrections(self) -> Corrections | None:
        """What was changed by hand."""
        editor = self.tissue.editor
        return Corrections(editor.added_mm2, editor.removed_mm2) if editor else None

    @property
    def brush_um(self) -> float:
        """Diameter of the brush, µm."""
        return self.tissue.brush_um

    @brush_um.setter
    def brush_um(self, um: float) -> None:
        self.tissue.brush_um = um

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

    @told
    def pick_tool(self, tool: str) -> None:
        """Take "brush", "eraser", "polygon", "fill" or "move" in hand."""
        self.tissue.pick_tool(tool)

    @told
    def undo(self) -> None:
        """Take the last stroke back."""
        if self.tissue.editor:
            self.tissue.painted.undo()
            self.tissue.editor.settle()

    @told
    def redo(self) -> None:
        """Do it again after all."""
        if self.tissue.editor:
            self.tissue.painted.redo()
            self.tissue.editor.settle()

    # ---- model and attention

    @property
    def model(self) -> Model | None:
        """The model in use; None until one is loaded."""
        return self.attention.model

    @property
    def options(self) -> RunOptions:
        """How a run is done."""
        return self.attention.options

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

    @property
    def legend(self) -> str:
        """What the colour means: level, head, normalisation."""
        heatmap = self.attention.picture()
        return heatmap.legend if heatmap else ""

    @property
    def limits(self) -> tuple[float, float] | None:
        """Values at the two ends of the colour scale."""
        heatmap = self.attention.picture()
        if heatmap is None:
            return None
        return self.attention.layers.limits.get(heatmap.level, heatmap.limits)

    def heads(self, level: str | None = None) -> int:
        """Number of heads at a level; for "factorised" the most of any."""
        if self.explanation is None:
            return 0
        levels = self.explanation.levels
        name = level or self.display.level
        return levels[name].heads if name in levels else max(one.heads for one in levels.values())

    @told
    def use_model(self, name: str | Path | None = None) -> None:
        """Load a model by name, bundle folder or hub reference; None is the default."""
        self.attention.use_model(name)

    @told
    def configure(self, **changes: Any) -> None:
        """Change fields of `RunOptions`."""
        self.attention.configure(**changes)

    @told
    def run(self) -> None:
        """Run the model under the mask as it stands."""
        self.attention.run()

    @told
    def cancel(self) -> None:
        """Stop; what is there so far stays."""
        self.attention.cancel()

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
        return self.attention.is_running

    @property
    def default_folder(self) -> Path | None:
        """Where *Save* puts things: a folder beside the slide."""
        return default_folder(Path(self.slide.path)) if self.slide else None

    @property
    def has_saved_state(self) -> bool:
        """Whether something was saved for this slide."""
        folder = self.default_folder
        return folder is not None and self._memory.is_saved(folder)

    def save(self, folder: str | Path | None = None) -> Path | None:
        """Save mask, corrections, result and view into one folder; returns it at once."""
        try:
            return self._memory.save(Path(folder) if folder else None)
        except MaskvitError as error:
            self.fail(error)
            return None

    @told
    def restore(self, folder: str | Path | None = None) -> None:
        """Bring back what was saved for this slide."""
        self._memory.restore(Path(folder) if folder else None)

    def fail(self, error: Exception) -> None:
        """Tell a person in one sentence what went wrong."""
        self.failed.emit(notices.show(error))

    def close(self) -> None:
        """Stop all work and listen no more; called when the window closes."""
        if self.closed:
            return
        self.closed = True
        self.autosave.close()
        self.attention.cancel()
        self.jobs.close()
        self._hover.close()
        if self.tissue.editor:
            self.tissue.editor.close()
        self.viewer.layers.events.inserted.disconnect(self._on_inserted)
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self._sessions.pop(id(self.viewer), None)

    def _add_slide(self, slide: Slide) -> Any:
        from napari.layers import Layer

        layer = Layer.create(*slide_layer_data(slide))
        with self.viewer.layers.events.inserted.blocker(self._on_inserted):
            self.viewer.add_layer(layer)
        return layer

    def _leave_slide(self) -> None:
        if self.slide is None:
            return
        self.tools.leave()
        self.autosave.flush()
        self._memory.keep()
        self.jobs.cancel("tissue")
        self.attention.drop()
        self.tissue.drop()
        self.slide = self._slide_layer = None
        self.mask_changed.emit()
        self.explanation_changed.emit()

    def _tell_busy(self, words: str | None) -> None:
        self.busy_changed.emit(words)

    def _on_inserted(self, event: Any) -> None:
        if kind_of(event.value) == "slide":
            self.use_slide(event.value)

    def _on_removed(self, event: Any) -> None:
        if event.value is self._slide_layer:
            self._leave_slide()
            self.slide_changed.emit()
            for layer in self.slide_layers[-1:]:
                self.use_slide(layer)
        elif self.tissue.editor and event.value is self.tissue.editor.layer:
            self.mask_changed.emit()


def _when_window_closes(viewer: Any, close: Callable[[], None]) -> None:
    if not hasattr(viewer, "window"):  # a ViewerModel without Qt
        return
    from napari_maskvit.viewer.closing import when_closed

    when_closed(viewer.window._qt_window, close)
