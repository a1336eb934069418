"""What features depend on of their encoder, known again without loading it (nor torch)."""

from __future__ import annotations

import json
import os
import platform
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskvit_training.store import content_key
from maskvit_training.writing import write_text

if TYPE_CHECKING:
    from maskvit_training.network import Encoder
    from maskvit_training.recipe import Recipe

FOLDER = "encoders"


@dataclass(frozen=True)
class EncoderFacts:
    """What the features of a slide depend on of the encoder that makes them.

    Attributes
    ----------
    sha256
        Of its weights.
    spacing, token_px, patch_px, region_px
        As of `ModelConfig`.
    normalisation
        Mean and standard deviation of the three colours.
    precision
        In which its weights are held on this machine.
    """

    sha256: str
    spacing: float
    token_px: int
    patch_px: int
    region_px: int
    normalisation: tuple[float, ...]
    precision: str

    @classmethod
    def of(cls, recipe: Recipe, encoder: Encoder) -> EncoderFacts:
        """Those of a loaded encoder."""
        from napari_maskvit.model import resolve_device, resolve_precision

        config, wanted = encoder.model.config, recipe.encoder
        return cls(
            sha256=encoder.sha256,
            spacing=config.spacing,
            token_px=config.token_px,
            patch_px=config.patch_px,
            region_px=config.region_px,
            normalisation=(*config.mean, *config.std),
            precision=resolve_precision(wanted.precision, resolve_device(wanted.device)),
        )


def recall_facts(recipe: Recipe) -> EncoderFacts | None:
    """What `note_facts` wrote of the same files for the same recipe on the same machine, if any."""
    path = _noted_at(recipe)
    if path is None:
        return None
    try:
        known = json.loads(path.read_text("utf-8"))
        return EncoderFacts(**known | {"normalisation": tuple(known["normalisation"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None  # Not noted, or damaged: loading the encoder tells.


def note_facts(recipe: Recipe, facts: EncoderFacts) -> None:
    """Remember the facts of a recipe's encoder beside its features; nothing for one on the hub."""
    path = _noted_at(recipe)
    if path is None or recall_facts(recipe) == facts:
        return
    # Without the note the next run takes longer, no more: a full disk is said when slides are.
    with suppress(OSError):
        write_text(path, json.dumps(asdict(facts)))


def _noted_at(recipe: Recipe) -> Path | None:
    folder = _bundle_folder(recipe.encoder.model)
    if folder is None:
        return None
    stats = {file.name: file.stat() for file in sorted(folder.iterdir()) if file.is_file()}
    depends: dict[str, Any] = {
        "encoder": recipe.encoder.model_dump(),
        "train": recipe.model.train,
        "files": [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()],
        "versions": [version(name) for name in ("napari-maskvit", "torch", "timm")],
        "machine": _machine(),
    }
    return recipe.feature_folder / FOLDER / f"{content_key(depends)}.json"


def _machine() -> list[str]:
    """What decides, under `auto`, about the device and its precision."""
    cards = [path.name for path in sorted(Path("/dev").glob("nvidia[0-9]*"))]
    return [platform.node(), os.environ.get("CUDA_VISIBLE_DEVICES", ""), *cards]


def _bundle_folder(model: str | None) -> Path | None:
    """Where the model that `load_model` would open lies; None for one on the hub."""
    from napari_maskvit.model.registry import DEFAULT, list_models

    wanted = DEFAULT if model is None else model
    if Path(wanted).is_dir():
        return Path(wanted)
    return next((info.path for info in list_models() if info.name == wanted), None)
