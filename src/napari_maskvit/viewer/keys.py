"""Keys of the session; napari ignores those of a manifest."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_maskvit.viewer.display import LEVELS

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_maskvit.viewer.session import Session

LEVEL_KEYS = dict(zip(("Shift-1", "Shift-2", "Shift-3", "Shift-4"), LEVELS, strict=True))
KEYS = {
    "Shift-T": "find tissue",
    "Shift-G": "run, or cancel what runs",
    "Shift-H": "show or hide attention",
    "Shift-D": "plain attention beside it",
    **{key: f"attention: {level}" for key, level in LEVEL_KEYS.items()},
}
"""What each key does, for people."""


def bind_keys(session: Session) -> None:
    """Bind the session's keys in its viewer."""
    actions: dict[str, Callable[[], None]] = {
        "Shift-T": session.find_tissue,
        "Shift-G": lambda: session.cancel() if session.running else session.run(),
        "Shift-H": lambda: session.show(visible=not session.display.visible),
        "Shift-D": lambda: session.compare(not session.comparing),
    }
    for key, level in LEVEL_KEYS.items():
        actions[key] = partial(_show_level, session, level)
    for key, action in actions.items():
        session.viewer.bind_key(key, lambda viewer, action=action: action(), overwrite=True)


def _show_level(session: Session, level: str) -> None:
    if level in session.levels:
        session.show(level=level, visible=True)
