"""Explanations as Zarr stores."""

from __future__ import annotations

import shutil
import time
import zlib
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from napari_maskvit.errors import ExplainError
from napari_maskvit.explain.attention import LevelAttention
from napari_maskvit.explain.explanation import Explanation, Statistics
from napari_maskvit.explain.patch_features import FeaturePart, PatchFeatures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_maskvit.model import Prediction

FORMAT = "napari-maskvit explanation"
VERSION = 1

_ARRAYS = ("rows", "columns", "values", "coverage")
_LEVEL_FACTS = ("shape", "step", "window")
_FEATURES = "features"
_FEATURE_ARRAYS = ("rows", "columns", "values")
_CHUNK_ROWS = 1 << 18
_CHUNK_FEATURES = 1 << 13


def save_explanation(explanation: Explanation, path: Path) -> Path:
    """Write to ``path``, whole or not at all; replaces an explanation that stands there.

    Raises
    ------
    ExplainError
        If it cannot be written, or something that is no explanation stands there.
    """
    if path.exists() and not _is_explanation(path):
        raise ExplainError(
            f"{path} exists and holds no explanation, so it is left alone. Choose another name."
        )
    partial = path.with_name(f".{path.name}.{uuid4().hex[:8]}.partial")
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        _write(explanation, partial)
        _replace(partial, path)
    except OSError as error:
        raise ExplainError(
            f"The explanation cannot be written to {path}: {error.strerror or error}."
        ) from error
    finally:
        remove_store(partial)
    return path


def load_explanation(path: Path) -> Explanation:
    """Read what `save_explanation` wrote.

    Raises
    ------
    ExplainError
        If there is no explanation, it is damaged, or a newer version wrote it.
    """
    import zarr

    if not path.exists():
        raise ExplainError(f"There is no explanation at {path}.")
    if not _is_explanation(path):
        raise ExplainError(f"{path} is not an explanation; choose a folder that MaskViT saved.")
    try:
        group = zarr.open_group(path, mode="r")
        facts: dict[str, Any] = dict(group.attrs)
        if facts["version"] > VERSION:
            raise ExplainError(
                f"{path} was saved by a newer version of napari-maskvit; update to open it."
            )
        levels = {name: _read_level(group[name], name) for name in facts["levels"]}
        features = _read_features(group[_FEATURES]) if facts.get(_FEATURES) else None
        return _explanation(facts["explanation"], levels, features)
    except (KeyError, ValueError, TypeError, OSError, RuntimeError) as error:
        raise ExplainError(
            f"The explanation at {path} is damaged ({type(error).__name__}: {error}). Run it again."
        ) from error


def _write(explanation: Explanation, partial: Path) -> None:
    import zarr

    group = zarr.open_group(partial, mode="w")
    for name, attention in explanation.levels.items():
        about = {fact: _plain(getattr(attention, fact)) for fact in _LEVEL_FACTS}
        _write_arrays(group.create_group(name), attention, _ARRAYS, _CHUNK_ROWS, about)
    features = explanation.features
    if features is not None:
        there, about = group.create_group(_FEATURES), {"maker": features.maker}
        _write_arrays(there, features, _FEATURE_ARRAYS, _CHUNK_FEATURES, about)
    facts = {
        item.name: _plain(getattr(explanation, item.name))
        for item in fields(explanation)
        if item.name not in ("levels", "prediction", "statistics", _FEATURES)
    }
    prediction = explanation.prediction
    facts["prediction"] = None if prediction is None else _plain(asdict(prediction))
    facts["statistics"] = _plain(asdict(explanation.statistics))
    # Last, so that a store without its facts is known to be unfinished.
    group.attrs.update(
        {
            "format": FORMAT,
            "version": VERSION,
            "levels": list(explanation.levels),
            _FEATURES: features is not None,
            "explanation": facts,
        }
    )


def _write_arrays(
    group: Any, source: object, names: Sequence[str], rows: int, about: dict[str, Any]
) -> None:
    arrays = [getattr(source, name) for name in names]
    for name, data in zip(names, arrays, strict=True):
        chunk = max(1, min(len(data), rows))
        group.create_array(name, data=data, chunks=(chunk, *data.shape[1:]))
    group.attrs.update(about | {"checksum": _checksum(arrays)})


def _read_arrays(group: Any, names: Sequence[str]) -> list[NDArray[Any]]:
    arrays = [np.asarray(group[name][:]) for name in names]
    if len({len(one) for one in arrays}) > 1:
        raise ValueError(f"the arrays of {group.name} differ in length")
    # To zarr, a file that has gone is one of zeros.
    if group.attrs.get("checksum", _checksum(arrays)) != _checksum(arrays):
        raise ValueError(f"{group.name} is not what was written")
    return arrays


def _checksum(arrays: Sequence[NDArray[Any]]) -> int:
    total = 0
    for one in arrays:
        total = zlib.crc32(np.ascontiguousarray(one).data.cast("B") if one.size else b"", total)
    return total


def _read_features(group: Any) -> PatchFeatures:
    rows, columns, values = _read_arrays(group, _FEATURE_ARRAYS)
    part = FeaturePart(rows, columns, tuple(values))
    return PatchFeatures((part,), values.shape[1], str(group.attrs["maker"]))


def _read_level(group: Any, name: str) -> LevelAttention:
    rows, columns, values, coverage = _read_arrays(group, _ARRAYS)
    shape = group.attrs["shape"]
    window = group.attrs["window"]
    return LevelAttention(
        level=name,
        rows=rows,
        columns=columns,
        values=values,
        coverage=coverage,
        shape=(int(shape[0]), int(shape[1])),
        step=float(group.attrs["step"]),
        window=None if window is None else int(window),
    )


def _explanation(
    facts: dict[str, Any], levels: dict[str, LevelAttention], features: PatchFeatures | None
) -> Explanation:
    prediction = facts.pop("prediction")
    statistics = Statistics(**facts.pop("statistics"))
    for name in ("slide_shape", "masking", "frozen", "warnings"):
        facts[name] = tuple(facts[name])
    return Explanation(
        levels=levels,
        prediction=None if prediction is None else _prediction(prediction),
        statistics=statistics,
        features=features,
        **facts,
    )


def _prediction(facts: dict[str, Any]) -> Prediction:
    from napari_maskvit.model import Prediction

    plain: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()
    }
    return Prediction(**plain)


def _is_explanation(path: Path) -> bool:
    import zarr

    if not path.is_dir():
        return False
    try:
        return bool(zarr.open_group(path, mode="r").attrs.get("format") == FORMAT)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _replace(partial: Path, path: Path) -> None:
    """Put a finished store in place; the older one goes only when the new one stands."""
    if not path.exists():
        partial.rename(path)
        return
    old = path.with_name(f".{path.name}.{uuid4().hex[:8]}.old")
    path.rename(old)
    try:
        partial.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def remove_store(folder: Path) -> None:
    """Remove a store, though threads of zarr may still write to it after one of them failed."""
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.05)


def _plain(value: Any) -> Any:
    """The same in types that JSON knows."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value
