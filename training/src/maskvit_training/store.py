"""Patch features of one slide as a Zarr store, found by content."""

from __future__ import annotations

import errno
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from maskvit_training.errors import FeatureError
from napari_maskvit.explain.store import remove_store

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from maskvit_training.pixels import SlidePixels
    from napari_maskvit.explain.features import SlideFeatures

FORMAT = "maskvit-training features"
VERSION = 1
ARRAYS = ("regions", "lengths", "positions", "features", "coverage")
TOKENS = "tokens"
CHUNK_BYTES = 4 << 20


@dataclass(frozen=True)
class StoredFeatures:
    """What the region transformer reads of one slide, packed; see `SlideFeatures`.

    With `tokens`, what the patch transformer reads: see `SlidePixels`.
    """

    regions: NDArray[np.int64]
    lengths: NDArray[np.int64]
    positions: NDArray[np.int64]
    features: NDArray[Any]
    coverage: NDArray[np.float32]
    patches_per_side: int
    tokens: NDArray[np.bool_] | None = None


def content_key(facts: dict[str, Any]) -> str:
    """Name of a store: equal for equal content."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def store_path(folder: Path, key: str) -> Path:
    """Where the store of a key lies; spread over folders, as there may be 100,000."""
    return folder / key[:2] / f"{key}.zarr"


def write_features(
    path: Path, features: SlideFeatures | SlidePixels, facts: dict[str, Any]
) -> None:
    """Write a store, whole or not at all.

    Raises
    ------
    FeatureError
        If it cannot be written.
    OSError
        With ENOSPC where the disk is full, as nothing else can be written then either.
    """
    import zarr

    partial = path.with_name(f".{path.name}.{uuid4().hex[:8]}.partial")
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        group = zarr.open_group(partial, mode="w")
        for name in (*ARRAYS, TOKENS):
            data = getattr(features, name, None)
            if data is None:
                continue
            rows = max(1, CHUNK_BYTES // max(1, data[:1].nbytes))
            group.create_array(
                name, data=data, chunks=(min(rows, max(1, len(data))), *data.shape[1:])
            )
        group.attrs.update(
            {
                "format": FORMAT,
                "version": VERSION,
                "patches_per_side": features.patches_per_side,
                "facts": facts,
            }
        )
        partial.replace(path)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        if not path.exists():  # another process may have written the same content meanwhile
            raise FeatureError(
                f"Features cannot be written to {path}: {error.strerror or error}."
            ) from error
    finally:
        remove_store(partial)


def read_features(path: Path) -> StoredFeatures:
    """Read a store.

    Raises
    ------
    FeatureError
        If it is not there or damaged.
    """
    import zarr

    if not path.exists():
        raise FeatureError(f"There are no features at {path}. Run maskvit-train features first.")
    try:
        group: Any = zarr.open_group(path, mode="r")
        if group.attrs["version"] > VERSION:
            raise FeatureError(f"{path} was written by a newer version of maskvit-training.")
        stored = StoredFeatures(
            **{name: np.asarray(group[name][:]) for name in ARRAYS},
            tokens=np.asarray(group[TOKENS][:]) if TOKENS in group else None,
            patches_per_side=int(group.attrs["patches_per_side"]),
        )
    except (KeyError, ValueError, TypeError, OSError, RuntimeError) as error:
        what = f"{error.args[0]} is missing" if isinstance(error, KeyError) else error
        raise FeatureError(
            f"The features at {path} are damaged ({what}). Remove them and run maskvit-train "
            "features again."
        ) from error
    if stored.lengths.sum() != len(stored.features) or len(stored.regions) != len(stored.lengths):
        raise FeatureError(
            f"The features at {path} are damaged (their arrays differ in length). Remove them and "
            "run maskvit-train features again."
        )
    return stored
