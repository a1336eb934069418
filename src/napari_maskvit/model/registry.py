"""Which models there are, and one of them by name, folder or hub address.

Listing them reads configs alone, so that a window can offer them before torch is imported.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_maskvit.errors import ModelError
from napari_maskvit.model.config import ModelConfig, load_config
from napari_maskvit.model.encoders import known_encoders, repository_of

if TYPE_CHECKING:
    from napari_maskvit.model.model import Model

DEFAULT = "sicap-hvit-s"
"""The bundled model that is loaded where no name is given."""

_BUNDLED = Path(__file__).resolve().parent.parent / "checkpoints"


@dataclass(frozen=True)
class ModelInfo:
    """A model that `load_model` knows by name.

    Parameters
    ----------
    name
        What to hand to `load_model`.
    config
        What is known of it before its weights are read.
    where
        "bundled", "user" or "hub".
    path
        The bundle's folder; None on the hub.
    """

    name: str
    config: ModelConfig
    where: str
    path: Path | None = None


def user_models() -> Path:
    """The folder whose bundles are known by name; MASKVIT_MODELS sets another."""
    import platformdirs

    chosen = os.environ.get("MASKVIT_MODELS")
    if chosen:
        return Path(chosen)
    return Path(platformdirs.user_data_dir("napari-maskvit")) / "models"


def list_models() -> tuple[ModelInfo, ...]:
    """The bundled models, the default first, then a person's own, then known hub encoders.

    A damaged bundle in the user's folder is left out; loading it by its path says what is wrong.
    """
    bundled = sorted(_bundles(_BUNDLED, "bundled"), key=lambda info: info.name != DEFAULT)
    hub = [ModelInfo(config.name, config, "hub") for config in known_encoders()]
    return (*bundled, *_bundles(user_models(), "user"), *hub)


def load_model(name_or_path: str | Path | None = None) -> Model:
    """Load a model.

    Parameters
    ----------
    name_or_path
        A name that `list_models` gives, a bundle's folder, or "hf-hub:OWNER/NAME" for any timm
        Vision Transformer on the hub. None: the bundled default.

    Raises
    ------
    ModelError
        If there is no such model, or it is damaged.
    """
    from napari_maskvit.model.bundle import load_bundle

    wanted = DEFAULT if name_or_path is None else str(name_or_path)
    if isinstance(name_or_path, Path) or Path(wanted).is_dir():
        return load_bundle(Path(wanted))
    for info in list_models():
        if info.name == wanted and info.path is not None:
            return load_bundle(info.path)
    repository = repository_of(wanted)
    if repository is not None:
        from napari_maskvit.model.hub import load_encoder

        return load_encoder(repository)
    if os.sep in wanted:
        raise ModelError(f"There is no bundle at {wanted}.")
    names = ", ".join(info.name for info in list_models())
    raise ModelError(f"There is no model {wanted!r}. Known: {names}; or give a bundle's folder.")


def find_bundle(weights_sha256: str) -> Path | None:
    """The folder of the bundle, bundled or the user's, whose config states these weights."""
    for info in list_models():
        if info.path is not None and info.config.weights_sha256 == weights_sha256:
            return info.path
    return None


def _bundles(folder: Path, where: str) -> list[ModelInfo]:
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith(".") or not path.is_dir():
            continue
        try:
            config = load_config(path)
        except ModelError:
            continue
        found.append(ModelInfo(config.name, config, where, path))
    return found
