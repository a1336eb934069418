"""Why a control is disabled, in one sentence that says what to do; None where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_maskvit.viewer.session import Session

NO_SLIDE = "Open a slide first."
NO_SPACING = "Say how large a pixel is first: see Slide, above."
NO_MASK = "Find the tissue, or load a mask, first."
NO_TISSUE = "The mask holds no tissue: find or paint some first."
NO_EXPLANATION = "Run the model first."
RUNNING = "A run is under way: wait for it, or cancel it."


def measure(session: Session) -> str | None:
    """Why nothing in µm can be done."""
    if session.slide is None:
        return NO_SLIDE
    return NO_SPACING if session.slide.spacing is None else None


def correct(session: Session) -> str | None:
    """Why the mask cannot be painted on or saved."""
    return measure(session) or (NO_MASK if session.mask is None else None)


def run(session: Session) -> str | None:
    """Why the model cannot run."""
    if (reason := correct(session)) is not None:
        return reason
    if session.mask is not None and session.mask.is_empty:
        return NO_TISSUE
    return RUNNING if session.running else None


def look(session: Session) -> str | None:
    """Why there is nothing to look at."""
    return None if session.explanation is not None else NO_EXPLANATION


def compare(session: Session) -> str | None:
    """Why plain attention cannot be put beside."""
    if (reason := look(session)) is not None:
        return reason
    busy = session.running and not session.updating and not session.comparing
    return RUNNING if busy else None
