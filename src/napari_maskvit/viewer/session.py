"""One slide under study in one viewer: slide, mask, model, explanation and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

from psygnal import Signal

from napari_maskvit.viewer.display import Display

if TYPE_CHECKING:
    import napari

    from napari_maskvit.explain import Explanation
    from napari_maskvit.model import Model
    from napari_maskvit.slide import Slide
    from napari_maskvit.tissue import TissueMask, TissueParameters


@dataclass(frozen=True)
class RunOptions:
    """How a run is done; changing any of these needs another run."""

    masking: tuple[str, ...] = ("patch", "region", "slide")
    threshold: float = 0.0
    device: str = "auto"
    precision: str = "auto"


@dataclass(frozen=True)
class Corrections:
    """What a person changed in the mask that was found, in mm²."""

    added_mm2: float
    removed_mm2: float


class Session:
    """What one viewer knows about the slide in it. Get it with ``Session.of(viewer)``.

    Every signal is emitted on the main thread, after the attribute changed.
    """

    slide_changed = Signal()
    mask_changed = Signal()
    model_changed = Signal()
    explanation_changed = Signal()
    display_changed = Signal(Display)
    options_changed = Signal(RunOptions)
    busy_changed = Signal(object)  # str | None: what is going on, in words
    progressed = Signal(object)  # napari_maskvit.explain.Progress
    failed = Signal(str)  # one sentence; already shown as a notification
    live_changed = Signal(bool)
    compare_changed = Signal(bool)

    _sessions: ClassVar[WeakKeyDictionary[Any, Session]] = WeakKeyDictionary()

    @classmethod
    def of(cls, viewer: napari.Viewer) -> Session:
        """The session of this viewer; the first call makes it."""

    viewer: napari.Viewer
    slide: Slide | None
    slide_layer: Any  # napari.layers.Image | None
    slide_layers: tuple[Any, ...]  # every slide open in this viewer
    parameters: TissueParameters  # last used to find tissue
    found: TissueMask | None  # as segmented
    mask: TissueMask | None  # as it stands, with corrections
    mask_layer: Any  # napari.layers.Labels | None
    tissue_mm2: float | None
    tissue_share: float | None  # of the slide's area, in [0, 1]
    corrections: Corrections | None
    brush_um: float  # brush diameter; settable
    model: Model | None
    options: RunOptions
    explanation: Explanation | None  # partial ones have complete=False
    reference: Explanation | None  # plain attention, while or after comparing
    display: Display
    levels: tuple[str, ...]  # that the explanation has, "factorised" last when there are two or more
    busy: str | None
    running: bool  # a run of the model is under way (find_tissue etc. only set busy)
    live: bool
    comparing: bool
    legend: str  # what the colour means; level, head, normalisation
    limits: tuple[float, float] | None  # of the colour scale
    default_folder: Path | None  # <slide>.maskvit beside the slide
    has_saved_state: bool

    def open(self, path: str | Path) -> None: ...
    def use_slide(self, slide: Any) -> None: ...  # a Slide, or a slide's Image layer
    def give_spacing(self, um: float) -> None: ...
    def find_tissue(self, parameters: TissueParameters | None = None) -> None: ...
    def use_mask(self, mask: TissueMask) -> None: ...
    def load_mask(self, path: str | Path) -> None: ...
    def save_mask(self, path: str | Path) -> None: ...
    def discard_corrections(self) -> None: ...
    def pick_tool(self, tool: str) -> None: ...  # "brush" | "eraser" | "polygon" | "fill" | "move"
    def undo(self) -> None: ...
    def redo(self) -> None: ...
    def use_model(self, name: str | Path | None = None) -> None: ...
    def configure(self, **changes: Any) -> None: ...  # fields of RunOptions
    def run(self) -> None: ...
    def cancel(self) -> None: ...
    def compare(self, on: bool = True) -> None: ...
    def set_live(self, on: bool) -> None: ...
    def show(self, **changes: Any) -> None: ...  # fields of Display
    def heads(self, level: str | None = None) -> int: ...
    def save(self, folder: str | Path | None = None) -> Path: ...
    def restore(self, folder: str | Path | None = None) -> None: ...
    def close(self) -> None: ...
