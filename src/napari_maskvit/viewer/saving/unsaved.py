"""Work that nobody has saved yet, in one file that is whole at every moment."""

from __future__ import annotations

import json
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_maskvit.errors import MaskvitError
from napari_maskvit.tissue import TissueMask
from napari_maskvit.viewer.saving.packing import Packer, unpack
from napari_maskvit.viewer.timeline.entry import VERSION as TIMELINE_VERSION
from napari_maskvit.viewer.timeline.entry import Entry
from napari_maskvit.viewer.timeline.timeline import Timeline

ENDING = ".maskvit-unsaved"
VERSION = 2
"""Until 2 a mask was one stripe, which is read as ever."""


@dataclass(frozen=True, eq=False)
class Work:
    """What is kept of a slide's mask while it is worked on.

    Attributes
    ----------
    slide, identity
        Path of the slide, and what tells it from another file of that name.
    spacing, spacing_given
        µm per level-0 pixel, and whether a person said so.
    mask, found
        The tissue mask as it stands and as it was found.
    parameters
        How it was found, as JSON.
    entries
        The corrections so far.
    """

    slide: str
    identity: str
    spacing: float | None
    spacing_given: bool
    mask: TissueMask
    found: TissueMask
    parameters: dict[str, Any] = field(default_factory=dict)
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Offer:
    """A file that was left behind.

    Attributes
    ----------
    path
        Where it lies.
    identity
        Of its slide.
    time
        When it was written.
    tissue_mm2
        Area of its mask.
    corrections
        Number of entries of its timeline.
    """

    path: Path
    identity: str
    time: datetime
    tissue_mm2: float
    corrections: int


def folders(slide: Path) -> Iterator[Path]:
    """Where unsaved work on a slide may lie: beside it where one may write, and in any case apart.

    A folder without any permission to write is left alone, even by an administrator.
    """
    beside = slide.parent
    with suppress(OSError):
        writable = beside.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
        if writable and os.access(beside, os.W_OK):
            yield beside
    import platformdirs

    yield Path(platformdirs.user_data_dir("napari-maskvit")) / "unsaved"


def file_name(slide: Path, token: str) -> str:
    """Name of the file of one session; hidden, as it is no one's to open."""
    return f".{slide.name}.{token}{ENDING}"


def write(work: Work, name: str, slide: Path, packer: Packer | None = None) -> Path:
    """Write beside the slide, else in the user's data folder; whole or not at all.

    ``packer`` is the one that packed what was written before.

    Raises
    ------
    MaskvitError
        If neither can be written to.
    """
    problem: OSError | None = None
    for folder in folders(slide):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _replace(folder / name, work, packer or Packer())
        except OSError as error:
            problem = error
        else:
            return folder / name
    raise MaskvitError(
        f"Corrections of {slide.name} cannot be kept as you work ({problem}): make room on the "
        "disk, or save to another folder now."
    )


def read(path: Path) -> Work:
    """Read what `write` wrote.

    Raises
    ------
    MaskvitError
        If it is damaged, or of a newer version.
    """
    try:
        with zipfile.ZipFile(path) as file:
            facts = _facts(file)
            shape, spacing = tuple(facts["shape"]), float(facts["mask_spacing"])
            mask, found = (
                TissueMask(unpack(file.read(name), shape), spacing, "tissue mask")
                for name in ("mask", "found")
            )
            timeline = Timeline.from_json(json.loads(file.read("timeline.json")))
        return Work(
            facts["slide"],
            facts["identity"],
            facts["spacing"],
            facts["spacing_given"],
            mask,
            found,
            facts["parameters"],
            timeline.entries,
        )
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise MaskvitError(
            f"The unsaved corrections in {path} cannot be read ({type(error).__name__}: {error})."
        ) from error


def offers(slide: Path, identity: str) -> list[Offer]:
    """What was left behind of a slide, newest first; what was never finished is removed."""
    found = []
    for folder in folders(slide):
        for path in folder.glob(f".{_literal(slide.name)}.*{ENDING}"):
            # What is damaged, or somebody removed meanwhile, is no offer.
            with suppress(OSError, ValueError, KeyError, zipfile.BadZipFile, MaskvitError):
                offer = _peek(path)
                if offer.identity == identity:
                    found.append(offer)
        _sweep(folder, slide)
    return sorted(found, key=lambda offer: offer.time, reverse=True)


def _peek(path: Path) -> Offer:
    with zipfile.ZipFile(path) as file:
        facts = _facts(file)
    return Offer(
        path,
        facts["identity"],
        datetime.fromisoformat(facts["time"]),
        float(facts["tissue_mm2"]),
        int(facts["corrections"]),
    )


def _replace(path: Path, work: Work, packer: Packer) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as raw:
            _pack(raw, work, packer)
            raw.flush()
            os.fsync(raw.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    # The new name itself is safe only once the folder is; not every system lets one say so.
    with suppress(OSError):
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _pack(raw: Any, work: Work, packer: Packer) -> None:
    facts = {
        "version": VERSION,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "slide": work.slide,
        "identity": work.identity,
        "spacing": work.spacing,
        "spacing_given": work.spacing_given,
        "shape": list(work.mask.shape),
        "mask_spacing": work.mask.spacing,
        "tissue_mm2": work.mask.area_mm2,
        "corrections": len(work.entries),
        "parameters": work.parameters,
    }
    timeline = {"version": TIMELINE_VERSION, "entries": [one.to_json() for one in work.entries]}
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_STORED) as file:
        file.writestr("work.json", json.dumps(facts))
        file.writestr("mask", packer.pack("mask", work.mask.array))
        file.writestr("found", packer.pack("found", work.found.array))
        file.writestr("timeline.json", json.dumps(timeline))


def _facts(file: zipfile.ZipFile) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(file.read("work.json"))
    if facts["version"] > VERSION:
        raise MaskvitError("Unsaved corrections were kept by a newer version; update MaskViT.")
    return facts


def _sweep(folder: Path, slide: Path) -> None:
    """Remove what a killed process had not finished writing."""
    now = datetime.now(UTC).timestamp()
    for path in folder.glob(f".{_literal(slide.name)}.*{ENDING}.*.tmp"):
        with suppress(OSError):
            if now - path.stat().st_mtime > 60:
                path.unlink()


def _literal(name: str) -> str:
    """A name in which a glob sees no pattern."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
