"""One sentence for a person, whatever went wrong."""

from __future__ import annotations

import logging

from napari_maskvit.errors import MaskvitError

log = logging.getLogger("napari_maskvit")
log.addHandler(logging.NullHandler())


def sentence(error: BaseException) -> str:
    """What happened and what to do, in one or two sentences."""
    if isinstance(error, MaskvitError):
        return str(error)
    if isinstance(error, OSError):
        return f"A file cannot be read or written: {error}. Check that the drive is still there."
    cause = error.__cause__ or error
    detail = str(cause).strip().split("\n", 1)[0] or "no message"
    return f"Something unexpected went wrong ({type(cause).__name__}: {detail}). Your work is kept."


def show(error: BaseException) -> str:
    """Show an error as a napari notification; return its sentence."""
    from napari.utils.notifications import show_error

    text = sentence(error)
    if not isinstance(error, (MaskvitError, OSError)):
        log.debug("unexpected error", exc_info=error)
    show_error(text)
    return text


def tell(text: str) -> None:
    """Show good news, or plain information, in the corner."""
    from napari.utils.notifications import show_info

    show_info(text)
