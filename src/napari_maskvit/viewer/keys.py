"""Keys of the session; napari ignores those of a manifest."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_maskvit.tissue.kinds import EXCLUDED, TISSUE
from napari_maskvit.viewer.display import LEVELS

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_maskvit.viewer.session import Session

# napari takes Shift and a digit for the digit: those of the mask's layer would be meant.
LEVEL_KEYS = dict(zip(("Ctrl-1", "Ctrl-2", "Ctrl-3", "Ctrl-4"), LEVELS, strict=True))
KIND_KEYS = dict(
    zip(("Ctrl-5", "Ctrl-6", "Ctrl-7", "Ctrl-8", "Ctrl-9"), (TISSUE, *EXCLUDED), strict=True)
)
HAND_KEYS = {
    "1": "eraser",
    "2": "brush",
    "3": "polygon",
    "4": "fill",
    "Ctrl-Z": "undo",
    "Ctrl-Shift-Z": "redo",
}
"""napari's own keys while the mask is selected, for people."""

TOOL_KEYS = {
    "Shift-S": "smooth edges",
    "Shift-E": "grow (expand)",
    "Shift-R": "shrink (reduce)",
    "Shift-F": "fill holes",
    "Shift-K": "drop specks",
    "Shift-L": "select by likeness",
    "Shift-W": "fine window",
    **{key: f"paint: {kind.name.lower()}" for key, kind in KIND_KEYS.items()},
}
"""What the keys for correcting tissue do, for people."""

KEYS = {
    "Shift-T": "find tissue",
    "Shift-G": "run, or cancel what runs",
    "Shift-H": "show or hide attention",
    "Shift-D": "plain attention beside it",
    **{key: f"attention: {level}" for key, level in LEVEL_KEYS.items()},
    **TOOL_KEYS,
}
"""What each key does, for people."""


def bind_keys(session: Session) -> None:
    """Bind the session's keys in its viewer."""
    actions: dict[str, Callable[[], None]] = {
        "Shift-T": session.find_tissue,
        "Shift-G": lambda: session.cancel() if session.running else session.run(),
        "Shift-H": lambda: session.show(visible=not session.attention.drawn.visible),
        "Shift-D": lambda: session.compare(not session.comparing),
    }
    tools = session.tools
    actions |= {
        "Shift-S": tools.smooth,
        "Shift-E": tools.grow,
        "Shift-R": tools.shrink,
        "Shift-F": tools.fill_holes,
        "Shift-K": tools.drop_specks,
        "Shift-L": tools.pick_likeness,
        "Shift-W": lambda: tools.apply_fine() if tools.fine.is_open else tools.open_fine(),
    }
    for key, kind in KIND_KEYS.items():
        actions[key] = partial(tools.paint_with, kind.value)
    for key, level in LEVEL_KEYS.items():
        actions[key] = partial(_show_level, session, level)
    for key, action in actions.items():
        session.viewer.bind_key(key, lambda viewer, action=action: action(), overwrite=True)


def _show_level(session: Session, level: str) -> None:
    if level in session.levels:
        session.show(level=level, visible=True)
