"""The corrections of a session, one entry each, any of which can be gone back to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_maskvit.errors import MaskvitError
from napari_maskvit.tissue import TissueMask
from napari_maskvit.viewer.timeline.entry import VERSION, Entry, packed, unpacked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.model import Prediction
    from napari_maskvit.viewer.layers.boxes import Box

MOST_ENTRIES = 1000
MOST_BYTES = 64 << 20


class Timeline:
    """Every mask of a session, as what changed from one to the next.

    Parameters
    ----------
    most_entries, most_bytes
        Bounds; the oldest entries go first, and the one that is then the first keeps its mask.
    """

    def __init__(self, most_entries: int = MOST_ENTRIES, most_bytes: int = MOST_BYTES) -> None:
        self.most_entries, self.most_bytes = most_entries, most_bytes
        self._entries: list[Entry] = []
        self._now: NDArray[np.uint8] = np.zeros((0, 0), np.uint8)
        self._serial = 0
        self.nbytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries, oldest first."""
        return tuple(self._entries)

    @property
    def latest(self) -> Entry | None:
        """The entry of the mask as it stands."""
        return self._entries[-1] if self._entries else None

    def begin(self, mask: NDArray[np.uint8], spacing: float, kind: str) -> Entry:
        """Take a mask that rests on none before: the first, or one of another shape.

        Parameters
        ----------
        mask
            (rows, columns) uint8; copied.
        spacing
            Side of a pixel, µm.
        kind
            Where it comes from.
        """
        self._now = np.array(mask, np.uint8)
        box = (0, mask.shape[0], 0, mask.shape[1])
        tissue = int(np.count_nonzero(mask == TissueMask.TISSUE))
        return self._append(kind, box, spacing, packed(self._now), True, (tissue, tissue, 0))

    def record(self, mask: NDArray[np.uint8], box: Box, kind: str) -> NDArray[np.bool_] | None:
        """Take a correction.

        Parameters
        ----------
        mask
            (rows, columns) uint8, the whole mask as it stands.
        box
            Where it may have changed.
        kind
            What was done.

        Returns
        -------
        ndarray or None
            Pixels of the box whose tissue changed; None where nothing at all did.
        """
        then, now = self._now[box], np.asarray(mask[box], np.uint8)
        delta = then ^ now
        latest = self.latest
        if latest is None or not delta.any():
            return None
        was, is_tissue = then == TissueMask.TISSUE, now == TissueMask.TISSUE
        gained = int(np.count_nonzero(is_tissue & ~was))
        lost = int(np.count_nonzero(was & ~is_tissue))
        before = round(latest.tissue_mm2 * 1e6 / latest.spacing**2)
        place = (box[0].start, box[0].stop, box[1].start, box[1].stop)
        counts = (before + gained - lost, gained, lost)
        self._append(kind, place, latest.spacing, packed(delta), False, counts)
        np.copyto(then, now)
        return was != is_tissue

    def answered(self, serial: int, prediction: Prediction | None) -> None:
        """Note what the model said of an entry's mask; one that is gone is no error."""
        at = self._place(serial)
        if at is not None:
            self._entries[at] = replace(self._entries[at], prediction=prediction)

    def mask_at(self, serial: int) -> TissueMask:
        """The mask as it stood after an entry, exactly.

        Raises
        ------
        MaskvitError
            If there is no such entry any more.
        """
        at = self._place(serial)
        if at is None:
            raise MaskvitError("That step of the timeline is gone; choose a later one.")
        start = next(i for i in range(at, -1, -1) if self._entries[i].whole)
        array = np.zeros(self._entries[start].shape, np.uint8)
        for entry in self._entries[start : at + 1]:
            _apply(array, entry)
        return TissueMask(array, self._entries[at].spacing, "tissue mask")

    def to_json(self) -> dict[str, Any]:
        """The timeline in types that JSON knows; masks are compressed."""
        return {"version": VERSION, "entries": [entry.to_json() for entry in self._entries]}

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Timeline:
        """Read what `to_json` wrote.

        Raises
        ------
        MaskvitError
            If it is damaged, or of a newer version.
        """
        if not isinstance(facts, dict) or facts.get("version", 0) > VERSION:
            raise MaskvitError("The timeline was saved by a newer version; update MaskViT.")
        entries = [Entry.from_json(one) for one in facts.get("entries", [])]
        return cls.of(entries)

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> Timeline:
        """A timeline of entries that were kept elsewhere, oldest first.

        Raises
        ------
        MaskvitError
            If the first rests on an entry that is not among them, or a mask is damaged.
        """
        made = cls()
        if entries and not entries[0].whole:
            raise MaskvitError("The timeline lacks its beginning, so its masks cannot be built.")
        made._entries = list(entries)
        made.nbytes = sum(len(entry.delta) for entry in entries)
        if entries:
            made._serial = entries[-1].serial
            made._now = np.array(made.mask_at(entries[-1].serial).array)
            made._forget()
        return made

    def _append(
        self,
        kind: str,
        box: tuple[int, int, int, int],
        spacing: float,
        delta: bytes,
        whole: bool,
        counts: tuple[int, int, int],
    ) -> Entry:
        self._serial += 1
        tissue, gained, lost = (count * spacing**2 / 1e6 for count in counts)
        rows, columns = self._now.shape
        entry = Entry(
            serial=self._serial,
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            kind=kind,
            box=box,
            shape=(rows, columns),
            spacing=spacing,
            delta=delta,
            whole=whole,
            tissue_mm2=tissue,
            gained_mm2=gained,
            lost_mm2=lost,
        )
        self._entries.append(entry)
        self.nbytes += len(delta)
        self._forget()
        return entry

    def _forget(self) -> None:
        """Drop the oldest entries where there are too many or they are too large."""
        while len(self._entries) > 1 and (
            len(self._entries) > self.most_entries or self.nbytes > self.most_bytes
        ):
            # A tenth at a time, so that the first mask is not packed again at every stroke.
            drop = max(1, len(self._entries) // 10)
            first = self._entries[drop]
            array = np.array(self.mask_at(first.serial).array)
            box = (0, first.shape[0], 0, first.shape[1])
            self._entries[: drop + 1] = [replace(first, box=box, delta=packed(array), whole=True)]
            self.nbytes = sum(len(entry.delta) for entry in self._entries)

    def _place(self, serial: int) -> int | None:
        return next((i for i, one in enumerate(self._entries) if one.serial == serial), None)


def _apply(array: NDArray[np.uint8], entry: Entry) -> None:
    top, bottom, left, right = entry.box
    delta = unpacked(entry.delta, (bottom - top, right - left))
    if entry.whole:
        array[...] = delta
    else:
        array[top:bottom, left:right] ^= delta
