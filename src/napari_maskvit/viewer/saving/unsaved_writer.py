"""Writes unsaved work from any thread: in turn, the newest last, and nothing where all is saved."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.errors import MaskvitError
from napari_maskvit.viewer.saving import unsaved

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_maskvit.tissue import TissueMask
    from napari_maskvit.viewer.saving.unsaved import Work
    from napari_maskvit.viewer.tools.fine import Drawn


class Writer:
    """Writes files in turn; one that was overtaken by a newer is left out."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._given = self._done = 0

    def job(
        self, work: Work, drawn: Drawn | None, saved: TissueMask, name: str, slide: Path
    ) -> Callable[[], MaskvitError | None]:
        """Writing this work, to be called in any thread."""
        self._given += 1
        number = self._given

        def run() -> MaskvitError | None:
            with self._turn:
                if number < self._done:
                    return None
                self._done = number
                try:
                    _keep(work, drawn, saved, name, slide)
                except MaskvitError as error:
                    return error
            return None

        return run


def _keep(work: Work, drawn: Drawn | None, saved: TissueMask, name: str, slide: Path) -> None:
    if drawn is not None:
        work = replace(work, mask=drawn.edit(work.mask).applied(work.mask))
    if np.array_equal(work.mask.array, saved.array):
        for folder in unsaved.folders(slide):
            with suppress(OSError):
                (folder / name).unlink(missing_ok=True)
        return
    unsaved.write(work, name, slide)
