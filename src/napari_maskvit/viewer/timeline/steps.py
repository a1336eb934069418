"""The entries of a timeline as a file, for the folder that *Save* writes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from napari_maskvit.errors import MaskvitError
from napari_maskvit.viewer.timeline.entry import VERSION, Entry
from napari_maskvit.viewer.timeline.timeline import Timeline


@dataclass(frozen=True)
class Steps:
    """The corrections of a session so far, oldest first."""

    entries: tuple[Entry, ...] = ()

    def save(self, path: Path) -> Path:
        """Write them as JSON."""
        facts = {"version": VERSION, "entries": [entry.to_json() for entry in self.entries]}
        path.write_text(json.dumps(facts), encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: Path) -> Steps:
        """Read what `save` wrote.

        Raises
        ------
        MaskvitError
            If it is damaged, or of a newer version.
        """
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise MaskvitError(f"The timeline in {path} cannot be read: {error}.") from error
        return cls(Timeline.from_json(facts).entries)
