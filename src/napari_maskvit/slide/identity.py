"""What tells one slide file from another."""

from __future__ import annotations

import hashlib
from pathlib import Path

HEADER_BYTES = 1 << 16


def identity_of(path: Path) -> str:
    """Hash of a file's name, size, time of change and first 64 KiB; of a folder, of its metadata.

    The content of a slide is far too large to hash whenever it is opened.
    """
    digest = hashlib.sha256(path.name.encode())
    parts = [path] if path.is_file() else _metadata_files(path)
    for part in parts:
        stat = part.stat()
        digest.update(f"{part.name}:{stat.st_size}:{stat.st_mtime_ns}".encode())
        with part.open("rb") as file:
            digest.update(file.read(HEADER_BYTES))
    return digest.hexdigest()[:32]


def _metadata_files(folder: Path) -> list[Path]:
    names = ("zarr.json", ".zattrs", ".zgroup", ".zarray", "METADATA.ome.xml")
    found = [folder / name for name in names] + [
        child / name for child in sorted(folder.iterdir()) if child.is_dir() for name in names
    ]
    return [path for path in found if path.is_file()]
