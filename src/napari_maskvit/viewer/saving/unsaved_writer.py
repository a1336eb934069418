"""Writes unsaved work from any thread: in turn, the newest last, and nothing where all is saved."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.errors import MaskvitError
from napari_maskvit.tissue import TissueMask
from napari_maskvit.viewer.saving import unsaved
from napari_maskvit.viewer.saving.packing import Packer, are_same

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_maskvit.viewer.saving.unsaved import Work
    from napari_maskvit.viewer.tools.fine import Drawn


class Writer:
    """Writes files in turn; one that was overtaken by a newer is left out."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._packer = Packer()
        self._given = self._done = 0

    def job(
        self,
        work: Work,
        name: str,
        slide: Path,
        *,
        saved: TissueMask,
        drawn: Drawn | None = None,
        stroke: NDArray[np.uint8] | None = None,
    ) -> Callable[[], MaskvitError | None]:
        """Writing this work, to be called in any thread.

        Parameters
        ----------
        work, name, slide
            As for `unsaved.write`.
        saved
            The mask that is safe elsewhere; nothing is kept of one that is equal.
        drawn
            What was drawn in a finer window since.
        stroke : uint8 (rows, columns)
            The mask under a hand that is still drawing, read as it stands when its turn comes.
        """
        self._given += 1
        number = self._given

        def run() -> MaskvitError | None:
            with self._turn:
                if number < self._done:
                    return None
                self._done = number
                mask = work.mask
                if stroke is not None:
                    mask = TissueMask(np.array(stroke), mask.spacing, mask.name)
                if drawn is not None:
                    mask = drawn.edit(mask).applied(mask)
                try:
                    if are_same(mask.array, saved.array):
                        _forget(name, slide)
                    else:
                        unsaved.write(replace(work, mask=mask), name, slide, self._packer)
                except MaskvitError as error:
                    return error
            return None

        return run


def _forget(name: str, slide: Path) -> None:
    for folder in unsaved.folders(slide):
        with suppress(OSError):
            (folder / name).unlink(missing_ok=True)
