"""Where tissue is found, corrected, loaded and saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_maskvit.errors import MaskError
from napari_maskvit.tissue import TissueMask, TissueParameters, segment_tissue
from napari_maskvit.tissue.spacing import LONGEST_SIDE
from napari_maskvit.viewer.layers.marks import Levels, mark_levels
from napari_maskvit.viewer.layers.mask import MaskLayer
from napari_maskvit.viewer.work.jobs import once

if TYPE_CHECKING:
    from napari_maskvit.viewer.layers.areas import Areas
    from napari_maskvit.viewer.session import Session


class TissueDesk:
    """The mask of one session's slide.

    Parameters
    ----------
    session
        Whose signals tell what changes here.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.parameters = TissueParameters()
        self.editor: MaskLayer | None = None
        self.found: TissueMask | None = None

    @property
    def mask(self) -> TissueMask | None:
        """The mask as it stands."""
        return self.editor.mask if self.editor else None

    @property
    def layer(self) -> Any:
        """The Labels layer, if it is in the viewer."""
        editor = self.editor
        return editor.layer if editor and editor.is_in(self.session.viewer) else None

    @property
    def areas(self) -> Areas | None:
        """How much tissue there is and what was corrected; None where there is no mask."""
        return self.editor.areas if self.editor else None

    @property
    def share(self) -> float | None:
        """Share of the slide that is tissue, in [0, 1]; None where there is no mask."""
        areas, slide = self.areas, self.session.slide
        if areas is None or slide is None:
            return None
        height, width = slide.size_um
        return areas.tissue_mm2 / max(height * width / 1e6, 1e-12)

    def find(self, parameters: TissueParameters | None) -> None:
        """Segment in a worker; corrections made by hand survive."""
        slide = self.session.slides.need()
        self.parameters = chosen = parameters or self.parameters
        self.session.jobs.start(
            "tissue",
            "Finding tissue",
            once(lambda: _drawn(segment_tissue(slide, chosen))),
            on_done=self._found,
        )

    def take(
        self, mask: TissueMask, found: TissueMask | None = None, levels: Levels | None = None
    ) -> None:
        """Use a mask that comes from elsewhere; ``levels`` are its `mark_levels`, if known."""
        slide = self.session.slides.need()
        if max(mask.shape) > LONGEST_SIDE:
            raise MaskError(
                f"The mask {mask.name!r} has {max(mask.shape):,} pixels a side, more than can be "
                f"painted on ({LONGEST_SIDE:,}). Save it at a coarser spacing first."
            )
        self.session.jobs.cancel("tissue")
        editor = self.editor
        if found is None and editor and _alike(editor, mask):
            editor.show()
            editor.set_mask(mask)
            return
        held = self.session.hand.holds
        self.drop()
        self.found = found or mask
        self.editor = MaskLayer(self.session.viewer, slide, mask, self.found, levels)
        self.editor.changed.connect(self._changed)
        self.session.hand.take_over(self.editor.layer, held)
        self.session.mask_changed.emit()
        self.session.attention.check.start()
        self.session.attention.recalling.start()

    def load(self, path: Path) -> None:
        """Read a mask file in a worker."""
        slide = self.session.slides.need()
        self.session.jobs.start(
            "tissue",
            f"Reading {path.name}",
            once(lambda: _drawn(TissueMask.load(path, slide))),
            on_done=self._loaded,
        )

    def save(self, path: Path) -> None:
        """Write the mask in a worker."""
        slide, mask = self.session.slides.need(), self.need_mask()
        self.session.jobs.start(
            "files", f"Writing {path.name}", once(lambda: mask.save(path, slide))
        )

    def need_editor(self) -> MaskLayer:
        """The mask's layer, with every change seen.

        Raises
        ------
        MaskError
            If there is no mask.
        """
        if self.editor is None:
            raise MaskError("There is no tissue mask yet. Press Find tissue, or load a mask.")
        self.editor.settle()
        return self.editor

    def need_mask(self) -> TissueMask:
        """The mask as it stands.

        Raises
        ------
        MaskError
            If there is none.
        """
        return self.need_editor().mask

    def discard_corrections(self) -> None:
        """Back to the mask as found."""
        if self.editor is not None and self.found is not None:
            with self.session.timeline.naming("discarded"):
                self.editor.replace(self.found, keep_corrections=False)

    def drop(self) -> None:
        """Forget mask and layers."""
        self.session.tools.drop()
        # Forgotten first, so that nobody takes it for a layer that a person removes.
        editor, self.editor, self.found = self.editor, None, None
        if editor is not None:
            editor.close()
            editor.remove()

    def _found(self, drawn: tuple[TissueMask, Levels]) -> None:
        editor, (found, levels) = self.editor, drawn
        if found.is_empty:
            raise (
                MaskError(
                    "No tissue was found on this slide. Lower the threshold or the smallest piece, "
                    "or paint the mask by hand."
                )
                if editor
                else MaskError("No tissue is found with these settings.")
            )
        self.found = found
        with self.session.timeline.naming("found"):
            if editor and _alike(editor, found):
                editor.show()
                editor.replace(found, keep_corrections=True, levels=levels)
            else:
                self.take(found, levels=levels)
                self.session.hand.pick("brush")
        self.session.models.want()

    def _loaded(self, drawn: tuple[TissueMask, Levels]) -> None:
        mask, levels = drawn
        with self.session.timeline.naming("loaded"):
            self.take(mask, levels=levels)
        self.session.hand.pick("brush")
        self.session.models.want()

    def _changed(self, box: Any) -> None:
        # The update first: it works while the panels are told.
        self.session.attention.mask_changed(box)
        self.session.mask_changed.emit()


def _drawn(mask: TissueMask) -> tuple[TissueMask, Levels]:
    """A mask with its marks, and the slow imports of a Labels layer; called in a worker."""
    import pandas  # noqa: F401 - napari's layers import it on the main thread, for over a second

    _ = mask.is_empty  # remembered, so that the window need not look
    return mask, mark_levels(mask.array)


def _alike(editor: MaskLayer, mask: TissueMask) -> bool:
    return editor.layer.data.shape == mask.shape and abs(editor.spacing - mask.spacing) < 1e-9
