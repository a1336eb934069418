"""Bundles: a folder with config.json, model.safetensors and a model card."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from napari_maskvit.errors import ModelError
from napari_maskvit.model.config import CONFIG, load_config
from napari_maskvit.model.model import Model, build_model

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS = "model.safetensors"
CARD = "README.md"


def save_bundle(model: Model, path: str | Path, *, half: bool = False) -> Path:
    """Write a model as a bundle, whole or not at all; an older bundle there is replaced.

    Parameters
    ----------
    model
        What to write.
    path
        The bundle's folder.
    half
        Hold the weights in float16: half the size, 11 bits of mantissa.

    Raises
    ------
    ModelError
        If it cannot be written, or something that is no bundle stands there.
    """
    path = Path(path)
    if path.exists() and not (path / CONFIG).is_file():
        raise ModelError(f"{path} exists and holds no bundle, so it is left alone. Choose another.")
    partial = path.with_name(f".{path.name}.{uuid4().hex[:8]}.partial")
    try:
        partial.mkdir(parents=True)
        tensors = {
            f"{level}.{name}": tensor.detach().cpu().to(torch.float16 if half else tensor.dtype)
            for level, module in model.parts().items()
            for name, tensor in module.state_dict().items()
        }
        save_file(
            {name: tensor.contiguous() for name, tensor in tensors.items()}, partial / WEIGHTS
        )
        facts = model.config.model_copy(update={"weights_sha256": file_sha256(partial / WEIGHTS)})
        (partial / CONFIG).write_text(facts.model_dump_json(indent=2) + "\n", encoding="utf-8")
        (partial / CARD).write_text(model.card, encoding="utf-8")
        # safetensors writes for the owner's eyes alone; a bundle is there to be given away.
        (partial / WEIGHTS).chmod((partial / CONFIG).stat().st_mode)
        if path.exists():
            shutil.rmtree(path)
        partial.rename(path)
    except (OSError, SafetensorError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ModelError(f"The bundle cannot be written to {path}: {why or error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return path


def load_bundle(path: str | Path) -> Model:
    """Open a bundle.

    Raises
    ------
    ModelError
        If the folder is no bundle, or its config or weights are damaged or do not fit.
    """
    path = Path(path)
    config = load_config(path)
    weights = path / WEIGHTS
    try:
        sha256 = file_sha256(weights)
        tensors = load_file(weights)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"The weights of the bundle at {path} cannot be read ({error}). Copy it again."
        ) from error
    if config.weights_sha256 is not None and config.weights_sha256 != sha256:
        raise ModelError(
            f"The weights of the bundle at {path} are not those that its config states (sha256 "
            f"{sha256[:12]}…, not {config.weights_sha256[:12]}…). Copy it again."
        )
    card = path / CARD
    text = card.read_text(encoding="utf-8") if card.is_file() else f"# {config.title}\n"
    model = build_model(config, text, sha256=sha256, empty=True)
    fill(model, tensors, where=str(path))
    return Model(config, text, sha256, model.patch, model.region, model.slide, path=path.resolve())


def fill(model: Model, tensors: dict[str, Tensor], where: str) -> None:
    """Put tensors named ``level.name`` into a model; every one must fit, none may be missing.

    Raises
    ------
    ModelError
        Names what is missing, unknown, of another shape or not finite.
    """
    wanted = {
        f"{level}.{name}": tensor
        for level, module in model.parts().items()
        for name, tensor in module.state_dict().items()
    }
    complaints = [
        *(f"{name} is missing" for name in sorted(wanted.keys() - tensors.keys())),
        *(f"{name} is unknown" for name in sorted(tensors.keys() - wanted.keys())),
        *(
            f"{name} is {list(tensors[name].shape)}, not {list(wanted[name].shape)}"
            for name in sorted(wanted.keys() & tensors.keys())
            if tensors[name].shape != wanted[name].shape
        ),
        *(
            f"{name} is not finite"
            for name, tensor in sorted(tensors.items())
            if not tensor.isfinite().all()
        ),
    ]
    if complaints:
        more = f" and {len(complaints) - 5} more" if len(complaints) > 5 else ""
        raise ModelError(
            f"The weights at {where} do not fit {model.config.name!r}: "
            f"{'; '.join(complaints[:5])}{more}."
        )
    for level, module in model.parts().items():
        _fill_module(
            module,
            {
                name.removeprefix(f"{level}."): tensor
                for name, tensor in tensors.items()
                if name.startswith(f"{level}.")
            },
        )


def _fill_module(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    # Assigned and not copied: a module that was made empty gets its only weights here.
    floats = {name: tensor.float().contiguous() for name, tensor in tensors.items()}
    module.load_state_dict(floats, assign=True)


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
