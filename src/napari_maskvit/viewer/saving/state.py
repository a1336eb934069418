"""Everything about one slide in one folder beside it: ``<slide>.maskvit/``, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_maskvit.errors import MaskvitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_maskvit.explain import Explanation
    from napari_maskvit.tissue import TissueMask
    from napari_maskvit.viewer.timeline.steps import Steps

SUFFIX = ".maskvit"
VERSION = 1
SESSION = "session.json"


@dataclass(frozen=True)
class State:
    """What *Save* keeps.

    Parameters
    ----------
    slide
        Path of the slide.
    identity
        The slide's, to notice another file of the same name.
    spacing
        µm per level-0 pixel, and whether a person gave it.
    mask, found
        The tissue mask as it stands and as it was found.
    explanation, reference
        The masked run and, if there was one, plain attention.
    steps
        The timeline: every correction, with what the model said after it.
    model
        Name or path of the model, and what it hashes to.
    tool, brush_um
        What was in hand to correct the mask with; empty where there was no mask.
    parameters, display, options, camera
        Plain values, as JSON.
    """

    slide: str
    identity: str
    spacing: float | None = None
    spacing_given: bool = False
    mask: TissueMask | None = None
    found: TissueMask | None = None
    explanation: Explanation | None = None
    reference: Explanation | None = None
    steps: Steps | None = None
    model: str | None = None
    model_sha256: str | None = None
    tool: str = ""
    brush_um: float = 0.0
    parameters: dict[str, Any] = field(default_factory=dict)
    display: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    camera: dict[str, Any] = field(default_factory=dict)


PARTS = {
    "mask": "mask.tif",
    "found": "mask-found.tif",
    "explanation": "explanation.zarr",
    "reference": "plain.zarr",
    "steps": "timeline.json",
}


def default_folder(slide_path: Path) -> Path:
    """The folder beside a slide that holds its state."""
    return slide_path.with_name(slide_path.name + SUFFIX)


def is_state_folder(path: Path) -> bool:
    """Whether this is a folder that `write_state` wrote."""
    return path.name.endswith(SUFFIX) and (_settled(path) / SESSION).is_file()


def slide_of(folder: Path) -> Path:
    """The slide that a folder belongs to: beside it, or where it lay when it was saved.

    Raises
    ------
    MaskvitError
        If it is at neither place.
    """
    beside = folder.with_name(folder.name[: -len(SUFFIX)])
    if beside.exists():
        return beside
    saved = Path(_read_session(folder)["slide"])
    if saved.exists():
        return saved
    raise MaskvitError(f"The slide of {folder.name} is neither beside it nor at {saved}. Open the slide first.")  # fmt: skip  # noqa: E501


def write_state(folder: Path, state: State) -> Path:
    """Write a state; an older one in the same place is replaced only once the new one is whole.

    Raises
    ------
    MaskvitError
        If it cannot be written; what was there before is still there.
    """
    fresh = folder.with_name(f".{folder.name}.new-{os.getpid()}")
    old = _retired(folder)
    try:
        if folder.exists() and not (folder / SESSION).is_file():
            raise MaskvitError(f"{folder} is something else; choose another folder to save to.")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        _write_parts(fresh, state)
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
        fresh.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        if not folder.exists() and old.exists():
            old.rename(folder)
        raise MaskvitError(
            f"The session cannot be saved to {folder}: {error.strerror or error}. "
            "Choose another folder, or make room there."
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def read_state(folder: Path) -> State:
    """Read what `write_state` wrote.

    Raises
    ------
    MaskvitError
        If nothing is there, or a part of it cannot be read.
    """
    from napari_maskvit.explain import Explanation
    from napari_maskvit.tissue import TissueMask
    from napari_maskvit.viewer.timeline.steps import Steps

    place = _settled(folder)
    values = _read_session(folder)
    loaders: dict[str, Callable[[Path], Any]] = {
        "mask": TissueMask.load,
        "found": TissueMask.load,
        "explanation": Explanation.load,
        "reference": Explanation.load,
        "steps": Steps.load,
    }
    parts: dict[str, Any] = {
        name: loaders[name](place / file) for name, file in PARTS.items() if (place / file).exists()
    }
    known = {one.name for one in fields(State)} - set(PARTS)
    return State(**{key: value for key, value in values.items() if key in known}, **parts)


def _write_parts(folder: Path, state: State) -> None:
    for name, file in PARTS.items():
        part = getattr(state, name)
        if part is not None:
            part.save(folder / file)
    values = {"version": VERSION, **dict(_plain(state))}
    text = json.dumps(values, indent=2, ensure_ascii=False)
    (folder / SESSION).write_text(text + "\n", encoding="utf-8")


def _plain(state: State) -> Iterator[tuple[str, Any]]:
    for one in fields(state):
        if one.name not in PARTS:
            yield one.name, getattr(state, one.name)


def _read_session(folder: Path) -> dict[str, Any]:
    path = _settled(folder) / SESSION
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MaskvitError(f"There is no saved session in {folder}: {error}.") from error
    if not isinstance(values, dict) or values.get("version", 0) > VERSION:
        raise MaskvitError(f"The session in {folder} was saved by a newer version; update MaskViT.")
    return values


def _retired(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _settled(folder: Path) -> Path:
    # A machine that went down between two renames leaves the older state under its retired name.
    return _retired(folder) if not folder.exists() and _retired(folder).exists() else folder


def as_plain(value: Any) -> dict[str, Any]:
    """A frozen dataclass or pydantic model as JSON-ready values."""
    if hasattr(value, "model_dump"):
        return dict(value.model_dump(mode="json"))
    return asdict(value)
