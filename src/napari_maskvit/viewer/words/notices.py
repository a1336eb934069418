"""One sentence for a person, whatever went wrong."""

from __future__ import annotations

import logging
import re

from napari_maskvit.errors import MaskvitError

log = logging.getLogger("napari_maskvit")
log.addHandler(logging.NullHandler())

_FOLDERS = re.compile(r"(?<![\w.:/])(?:[A-Za-z]:)?[/\\](?:[^/\\:'\"\n]+[/\\])+(?=[^\s/\\])")
"""The folders of a whole path. A corner of the window shows a line: the name says which file."""


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

    text = without_folders(sentence(error))
    if not isinstance(error, (MaskvitError, OSError)):
        log.debug("unexpected error", exc_info=error)
    show_error(text)
    return text


def without_folders(text: str) -> str:
    """A sentence with files called by their names, so that the reason can be read at once."""
    return _FOLDERS.sub("", text)


def tell(text: str) -> None:
    """Show good news, or plain information, in the corner."""
    from napari.utils.notifications import show_info

    show_info(text)
