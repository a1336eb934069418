"""Corrections of the whole mask that take a moment: worked out beside the window, in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_maskvit.tissue import TissueMask
from napari_maskvit.tissue.edits import Edit
from napari_maskvit.viewer.layers.history import Write, writes_of
from napari_maskvit.viewer.layers.marks import Levels, mark_levels
from napari_maskvit.viewer.work.jobs import once

if TYPE_CHECKING:
    from napari_maskvit.viewer.tools.desk import ToolDesk

CHANNEL = "edit"
Made = tuple[Edit, Levels | None, list[Write]]


@dataclass(frozen=True, eq=False)
class Waiting:
    """A correction that was asked for.

    Attributes
    ----------
    words
        What is going on, for people.
    work
        Makes the correction of a mask; called in a worker.
    then
        Called once it was made, or there was nothing to change.
    """

    words: str
    work: Callable[[TissueMask], Edit]
    then: Callable[[], Any] | None = None


class EditQueue:
    """Makes one correction after the other, each of the mask that the one before has left.

    Parameters
    ----------
    desk
        Whose mask is corrected.
    """

    def __init__(self, desk: ToolDesk) -> None:
        self.desk = desk
        self._waiting: deque[Waiting] = deque()

    @property
    def words(self) -> tuple[str, ...]:
        """What is being made and what waits, first to last."""
        return tuple(one.words for one in self._waiting)

    def add(self, asked: Waiting) -> None:
        """Make a correction once those before it are made."""
        self._waiting.append(asked)
        if len(self._waiting) == 1:
            self._begin()
        self.desk.changed.emit()

    def take_back(self) -> bool:
        """Forget the correction that was asked for last; whether there was any to make."""
        if not self._waiting:
            return False
        self._waiting.pop()
        if not self._waiting:
            self.desk.session.jobs.cancel(CHANNEL)
        self.desk.changed.emit()
        return True

    def clear(self) -> None:
        """Forget all of them."""
        self._waiting.clear()
        self.desk.session.jobs.cancel(CHANNEL)

    def _begin(self) -> None:
        """Work out the first; if the mask changes meanwhile, it is worked out anew."""
        first, editor = self._waiting[0], self.desk.need_editor()
        mask, found = editor.mask, editor.found

        def body() -> Made | Exception:
            try:
                edit = first.work(mask)
                after = edit.applied(mask).array
                levels = None if edit.is_empty else mark_levels(after, found)
                return edit, levels, writes_of(edit, mask.array)
            except Exception as error:  # told on the main thread, where the next one is begun
                return error

        def done(made: Made | Exception) -> None:
            if not self._waiting or self._waiting[0] is not first:
                return
            editor.settle()
            if self.desk.session.tissue.editor is editor and editor.mask is mask:
                self._waiting.popleft()
                self._make(first, made)
            self.desk.changed.emit()
            if self._waiting:
                self._begin()

        self.desk.session.jobs.start(CHANNEL, first.words, once(body), on_done=done)

    def _make(self, asked: Waiting, made: Made | Exception) -> None:
        try:
            if isinstance(made, Exception):
                raise made
            self.desk.make(*made)
            if asked.then is not None:
                asked.then()
        except Exception as error:
            self.desk.fail(error)
