"""Tissue: find it, adjust what counts as tissue, correct it by hand, load and save it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QFrame, QWidget
from superqt.utils import qthrottled

from napari_maskvit.viewer.panels import reasons
from napari_maskvit.viewer.panels.base import Panel
from napari_maskvit.viewer.panels.knobs import ParameterKnobs
from napari_maskvit.viewer.panels.tools import MoreTools
from napari_maskvit.viewer.parts.columns import BOXED, column, row
from napari_maskvit.viewer.parts.controls import allow, button
from napari_maskvit.viewer.parts.style import set_role
from napari_maskvit.viewer.parts.text import muted, say, show, wrapped
from napari_maskvit.viewer.words.wording import area, listing, share

if TYPE_CHECKING:
    from napari_maskvit.viewer.layers.areas import Areas
    from napari_maskvit.viewer.session import Session

_REDRAW_MS = 120
_NOTHING = "Nothing changed by hand."
_FILES = "Masks (*.tif *.tiff *.png *.geojson *.json)"


class TissuePanel(Panel):
    """Finds tissue, and tells what a person changed."""

    title = "Tissue"

    def build(self) -> None:
        """Make the controls."""
        self.find_button = button(
            "Find tissue",
            "Outline the tissue on the whole slide; takes about a second. "
            "Corrections by hand are kept",
            self._find,
            "main",
        )
        self.knobs = ParameterKnobs(self.session.tissue.parameters)
        self.amount = wrapped(role="strong")
        self.amount.setToolTip("Area of the mask in mm², and its share of the slide's area")
        self.correcting = _Correcting(self.session)
        self.unsaved = _Unsaved(self.session)
        self.load_button = button(
            "Load mask…", "Read a mask from a TIFF, PNG or GeoJSON file", self._load
        )
        self.save_button = button(
            "Save mask…", "Write the mask as TIFF, PNG or GeoJSON (opens in QuPath)", self._save
        )
        for widget in (
            self.unsaved,
            self.find_button,
            self.amount,
            self.knobs,
            self.correcting,
            row(self.load_button, self.save_button),
        ):
            self.column.addWidget(widget)
        self._redraw = qthrottled(self._find_again, timeout=_REDRAW_MS)
        self.knobs.changed.connect(lambda: self._redraw())

    def connect_session(self) -> None:
        """Hear what this step shows."""
        session = self.session
        self.hear(session.slide_changed, session.mask_changed, session.busy_changed)
        self.links.connect(session.tools.changed, self.correcting.refresh)
        self.links.connect(session.autosave.changed, self.unsaved.refresh)

    def refresh(self) -> None:
        """Show the mask in numbers, and what can be done to it."""
        session = self.session
        reason = reasons.measure(session)
        for control in (self.find_button, self.knobs, self.load_button):
            allow(control, reason)
        allow(self.save_button, reasons.correct(session))
        # Once there is a mask, the way leads on to Run.
        set_role(self.find_button, "main" if session.mask is None else "")
        self.find_button.setText("Find tissue" if session.mask is None else "Find tissue again")
        if not self.knobs.is_moving:
            self.knobs.show_parameters(session.tissue.parameters)
        show(self.correcting, session.mask is not None)
        self.correcting.refresh()
        self.unsaved.refresh()
        said = self._amount()
        say(self.amount, said or (reason or ""))
        areas = session.tissue.areas
        brief = area(areas.tissue_mm2) if areas else "not found yet"
        done = areas is not None and areas.tissue_mm2 > 0
        self.summarised.emit(brief if reason is None else "", done)

    def _amount(self) -> str:
        areas, of_slide = self.session.tissue.areas, self.session.tissue.share
        if areas is None:
            return ""
        if areas.tissue_mm2 == 0:
            return "No tissue: lower the threshold, or paint it in."
        return f"{area(areas.tissue_mm2)} of tissue" + (
            f", {share(of_slide)} of the slide" if of_slide is not None else ""
        )

    def _find(self) -> None:
        self.session.find_tissue(self.knobs.parameters)

    def _find_again(self) -> None:
        # A mask that was loaded or painted is not replaced because a slider was touched.
        if self.session.tissue.found is not None:
            self._find()

    def _load(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, "Load a mask", "", _FILES)
        if chosen:
            self.session.load_mask(chosen)

    def _save(self) -> None:
        slide = self.session.slide
        name = f"{slide.name}-mask.geojson" if slide is not None else "mask.geojson"
        chosen, _ = QFileDialog.getSaveFileName(self, "Save the mask", name, _FILES)
        if chosen:
            self.session.save_mask(chosen)


class _Correcting(QWidget):
    """What was changed by hand, and tools for more of it; those in the hand are at the foot."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.more = MoreTools(session)
        self.changed = muted()
        self.changed.setToolTip("Corrected by hand since the tissue was found")
        self.discard = button(
            "Discard changes", "Go back to the tissue that was found", session.discard_corrections
        )
        column(self, self.changed, self.discard, self.more)

    def refresh(self) -> None:
        """Show the corrections as they are."""
        if self.session.mask is None:
            return
        self.more.refresh()
        areas = self.session.tissue.areas
        nothing = areas is None or not areas.is_corrected
        say(self.changed, self._by_hand(areas) if areas and not nothing else _NOTHING)
        allow(self.discard, "Nothing was changed by hand." if nothing else None)

    @staticmethod
    def _by_hand(areas: Areas) -> str:
        amounts = (
            (areas.added_mm2, "added"),
            (areas.removed_mm2, "removed"),
            (areas.excluded_mm2, "marked as excluded"),
        )
        said = [f"{area(mm2)} {what}" for mm2, what in amounts if mm2]
        return f"By hand: {listing(said)}."


class _Unsaved(QFrame):
    """Offers what an earlier session left behind."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        set_role(self, "warning")
        self.said = wrapped()
        self.restore = button(
            "Restore", "Bring back mask, corrections and their timeline", self._restore, "main"
        )
        self.discard = button("Discard", "Remove these corrections for good", self._discard)
        column(self, self.said, row(self.restore, self.discard), margins=BOXED)

    def refresh(self) -> None:
        offer = self.session.autosave.offer
        show(self, offer is not None)
        if offer is not None:
            when = offer.time.astimezone().strftime("%d %B, %H:%M")
            say(
                self.said,
                f"Corrections of {when} were never saved: {area(offer.tissue_mm2)} of tissue.",
            )

    def _restore(self) -> None:
        self.session.autosave.restore()

    def _discard(self) -> None:
        self.session.autosave.discard()
