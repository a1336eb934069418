"""Where slides are opened, take turns, and go: one of those in a viewer is studied at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_maskvit.errors import SlideError
from napari_maskvit.viewer.layers.placing import TAG, geometry, kind_of
from napari_maskvit.viewer.layers.slide import slide_layer_data
from napari_maskvit.viewer.words import notices

if TYPE_CHECKING:
    from napari_maskvit.slide import Slide
    from napari_maskvit.viewer.session import Session

_MASK_GONE = (
    "The mask layer was removed; nothing is lost. Take the brush, or any tool under Tissue, "
    "and it is back."
)


class SlideDesk:
    """The slides of one viewer.

    Parameters
    ----------
    session
        Whose signals tell what changes here.

    Attributes
    ----------
    slide
        The one that is studied; None where there is none.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.slide: Slide | None = None
        self._layer: Any = None
        events = session.viewer.layers.events
        events.inserted.connect(self._on_inserted)
        events.removed.connect(self._on_removed)

    def close(self) -> None:
        """Listen no more."""
        events = self.session.viewer.layers.events
        events.inserted.disconnect(self._on_inserted)
        events.removed.disconnect(self._on_removed)

    @property
    def layer(self) -> Any:
        """The Image layer of the slide that is studied, or None."""
        return self._layer if self._layer in self.session.viewer.layers else None

    @property
    def layers(self) -> tuple[Any, ...]:
        """Every slide that is open in this viewer."""
        return tuple(layer for layer in self.session.viewer.layers if kind_of(layer) == "slide")

    def use(self, slide: Slide | Any) -> None:
        """Work on a slide, or the slide of a layer; the one before is remembered, and hidden.

        Raises
        ------
        SlideError
            If the layer shows no slide.
        """
        from napari_maskvit.slide import Slide

        if isinstance(slide, Slide):
            open_already = (one for one in self.layers if one.metadata["slide"] is slide)
            layer = next(open_already, None) or self._add(slide)
        else:
            layer = slide
        if kind_of(layer) != "slide":
            raise SlideError(f"The layer {layer.name!r} is no slide opened with MaskViT.")
        if layer is self._layer:
            return
        self.leave()
        self.slide, self._layer = layer.metadata["slide"], layer
        self._show()
        self.session.slide_changed.emit()
        self.session.memory.recall(layer.metadata.pop("restore", None))

    def give_spacing(self, um: float) -> None:
        """State how large a level-0 pixel is, in µm.

        Raises
        ------
        SlideError
            If that is no slide's, or there is no slide.
        """
        if not 0.01 <= um <= 100:
            raise SlideError(f"A spacing of {um:g} µm/px is no slide's; give 0.05 to 10.")
        session, slide, layer = self.session, self.need(), self.layer
        if slide.spacing == um:
            return
        session.attention.drop()
        session.tissue.drop()
        self.slide = slide.with_spacing(um)
        if layer is not None:
            layer.metadata["slide"] = self.slide
            layer.metadata[TAG] |= {"spacing": um, "spacing_source": self.slide.spacing_source}
            for name, value in geometry(1.0, um).items():
                setattr(layer, name, value)
            self._show()
        session.slide_changed.emit()
        session.mask_changed.emit()
        session.explanation_changed.emit()

    def need(self) -> Slide:
        """The slide that is studied.

        Raises
        ------
        SlideError
            If none is open.
        """
        if self.slide is None:
            raise SlideError("No slide is open. Drop one on the window, or use File > Open.")
        return self.slide

    def leave(self) -> None:
        """Put the slide aside with all that was done on it."""
        if self.slide is None:
            return
        session, layer = self.session, self.layer
        session.tools.leave()
        session.autosave.flush()
        session.memory.keep()
        session.jobs.cancel("tissue")
        session.attention.drop()
        session.tissue.drop()
        if layer is not None:
            # Slides have one corner in common: the next one would lie on top of this.
            layer.visible = False
        self.slide = self._layer = None
        session.mask_changed.emit()
        session.explanation_changed.emit()

    def fit(self) -> None:
        """Fit the slide that is studied into the view."""
        if self.layer is not None:
            self.session.viewer.reset_view(layers=[self.layer])

    def _show(self) -> None:
        assert self.slide is not None
        self._layer.visible = True
        bar = self.session.viewer.canvas.overlays.scale_bar
        # Of a slide that does not say how large its pixels are, nothing can be said in µm.
        bar.visible = self.slide.spacing is not None
        bar.box = True
        self.fit()

    def _add(self, slide: Slide) -> Any:
        from napari.layers import Layer

        layer = Layer.create(*slide_layer_data(slide))
        with self.session.viewer.layers.events.inserted.blocker(self._on_inserted):
            self.session.viewer.add_layer(layer)
        return layer

    def _on_inserted(self, event: Any) -> None:
        if kind_of(event.value) == "slide":
            self.session.use_slide(event.value)

    def _on_removed(self, event: Any) -> None:
        editor = self.session.tissue.editor
        if event.value is self._layer:
            self.leave()
            self.session.slide_changed.emit()
            for layer in self.layers[-1:]:
                self.session.use_slide(layer)
        elif editor is not None and event.value is editor.layer:
            from qtpy.QtCore import QTimer

            self.session.mask_changed.emit()
            # It may go because everything goes, or come back at once to another place.
            QTimer.singleShot(0, self._mask_removed)

    def _mask_removed(self) -> None:
        session, editor = self.session, self.session.tissue.editor
        if editor is not None and not session.closed and not editor.is_in(session.viewer):
            notices.tell(_MASK_GONE)
