"""Folders of results that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_maskvit.errors import MaskvitError

SUMMARY = "prediction.json"
"""The file by which a folder is known to be ours."""


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """See, before anything is computed, whether results can go there.

    Raises
    ------
    MaskvitError
        If something stands in the way, or the place cannot be written to.
    """
    if folder.exists() and not folder.is_dir():
        raise MaskvitError(f"{folder} is a file; give a folder for the results with -o.")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / SUMMARY).is_file():
            raise MaskvitError(
                f"{folder} holds something else than results of maskvit; give another folder "
                "with -o."
            )
        if not overwrite:
            raise MaskvitError(
                f"{folder} holds an earlier result; add --overwrite to replace it, or give "
                "another folder with -o."
            )
    check_writable(folder)


def check_writable(target: Path) -> None:
    """See whether something can be written at ``target``, whose parents need not exist yet.

    Raises
    ------
    MaskvitError
        If not.
    """
    parent = target.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not (parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)):
        raise MaskvitError(
            f"{target} cannot be written: {parent} is not a folder that you may "
            "write to. Give another place with -o."
        )


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A temporary folder beside ``folder`` that takes its place once the block ends well.

    What stood there before goes only then; on any error or interrupt it stays as it was.

    Raises
    ------
    MaskvitError
        If the disk refuses.
    """
    folder = folder.absolute()
    fresh = folder.with_name(f".{folder.name}.new-{os.getpid()}")
    old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    try:
        fresh.mkdir(parents=True)
        yield fresh
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    except OSError as error:
        raise MaskvitError(
            f"The results cannot be written to {folder}: {error.strerror or error}. "
            "Make room there, or give another place with -o."
        ) from error
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
