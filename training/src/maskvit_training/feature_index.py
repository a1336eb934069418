"""The table of which features belong to which slide of a cohort."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maskvit_training.errors import FeatureError
from maskvit_training.writing import written_whole

if TYPE_CHECKING:
    from maskvit_training.extraction import Extracted

INDEX = "features.csv"


def write_index(path: Path, results: Sequence[Extracted], made_for: str = "") -> None:
    """Write which features belong to which case, and what went wrong with the others.

    Parameters
    ----------
    made_for
        Key of what they all depend on; empty where that does not matter.
    """
    with written_whole(path) as place, place.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("slide", "features", "problem", "variants", "made_for"))
        for result in results:
            others = " ".join(result.variants)
            key, problem = result.key or "", result.problem or ""
            writer.writerow((result.case.name, key, problem, others, made_for))


def read_index(path: Path, made_for: str = "") -> dict[str, str]:
    """Key of the features of each case that has them.

    Parameters
    ----------
    made_for
        As of `write_index`; empty to take whatever is there.

    Raises
    ------
    FeatureError
        If there is no index, or it is of features that were made for something else.
    """
    keys = {}
    for row in _rows(path):
        known = row.get("made_for") or made_for
        if made_for and known != made_for:
            raise FeatureError(
                f"The features in {path} were made by another encoder or under another masking "
                "than the recipe's. Run maskvit-train features again."
            )
        keys[row["slide"]] = row["features"]
    return keys


def read_variants(path: Path) -> dict[str, tuple[str, ...]]:
    """Keys of the features under other outlines, of each case that has features."""
    return {row["slide"]: tuple((row.get("variants") or "").split()) for row in _rows(path)}


def _rows(path: Path) -> Iterator[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            yield from (row for row in csv.DictReader(file) if row["features"])
    except OSError as error:
        raise FeatureError(
            f"There are no features yet ({path}). Run maskvit-train features first."
        ) from error
