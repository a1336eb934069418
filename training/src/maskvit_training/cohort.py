"""The cohort table: slides, masks, labels, patients, folds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskvit_training.errors import CohortError

if TYPE_CHECKING:
    import pandas as pd

    from maskvit_training.recipe import DataRecipe, Recipe

NAMED_PROBLEMS = 200
"""Broken rows spelled out in one message."""


@dataclass(frozen=True, slots=True)
class Case:
    """One slide of a cohort.

    Attributes
    ----------
    name
        As the table says it; unique.
    line
        Its line in the table, the header being line 1.
    label
        Class or grade, counted from 0; None for survival.
    time, event
        Follow-up and whether the event was seen; survival only.
    fold
        As the table says it, None where it says nothing.
    annotation
        What a person has annotated, for the scorecard: GeoJSON, or a label mask of which
        `annotation_labels` count.
    """

    name: str
    line: int
    slide: Path
    mask: Path | None
    patient: str
    label: int | None = None
    time: float | None = None
    event: bool | None = None
    fold: str | None = None
    annotation: Path | None = None
    annotation_labels: tuple[int, ...] = ()


def read_cohort(recipe: Recipe) -> tuple[Case, ...]:
    """Read and check the cohort table of a recipe.

    Raises
    ------
    CohortError
        If the table cannot be read, lacks a column, or has broken rows: all of them are named
        with their lines.
    """
    table = _read_table(recipe.data.cohort)
    _require_columns(table, recipe)
    cases, problems = [], []
    for index, values in enumerate(table.to_dict("records")):
        reader = _Row({str(key): value for key, value in values.items()}, index + 2, recipe)
        case = reader.read()
        problems += [(reader.line, problem) for problem in reader.problems]
        if case is not None:
            cases.append(case)
    problems += _across_rows(cases, recipe)
    if problems:
        raise CohortError(broken_rows(recipe.data.cohort, problems))
    if not cases:
        raise CohortError(f"{recipe.data.cohort} has no rows.")
    return tuple(cases)


class _Row:
    """Reads one row, and notes all that is wrong with it."""

    def __init__(self, values: dict[str, Any], line: int, recipe: Recipe) -> None:
        self.values, self.line, self.recipe = values, line, recipe
        self.data = recipe.data
        self.problems: list[str] = []

    def read(self) -> Case | None:
        name = self._text(self.data.slide)
        if name is None:
            self.problems.append(f"no name in the column {self.data.slide!r}")
            return None
        slide = _place(self.data, name + self.data.extension)
        if not slide.exists():
            self.problems.append(f"slide not found: {slide}")
        survival = self.recipe.task.kind == "survival"
        unlabelled = self.recipe.task.kind == "none"
        mask = self._file(self.data.mask, "mask") or self._mask_beside(name)
        labels = self._annotation_labels()
        case = Case(
            name=name,
            line=self.line,
            slide=slide,
            mask=mask,
            patient=self._text(self.data.patient) or name,
            label=None if survival or unlabelled else self._label(),
            time=self._time() if survival else None,
            event=self._event() if survival else None,
            fold=self._text(self.data.fold),
            annotation=self._file(self.data.annotation, "annotation")
            or self._labels_in(mask, labels),
            annotation_labels=labels,
        )
        return None if self.problems else case

    def _text(self, column: str) -> str | None:
        value = self.values.get(column)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return str(value).strip() or None

    def _file(self, column: str, what: str) -> Path | None:
        given = self._text(column)
        if given is None:
            return None
        path = _place(self.data, given)
        if not path.exists():
            self.problems.append(f"{what} not found: {path}")
        return path

    def _mask_beside(self, name: str) -> Path | None:
        if self.data.mask_folder is None:
            return None
        path = self.data.mask_folder / f"{name}{self.data.mask_suffix}"
        return path if path.exists() else None

    def _labels_in(self, mask: Path | None, labels: tuple[int, ...]) -> Path | None:
        """A label mask says what is annotated, where the recipe says which labels do."""
        return mask if self.data.mask_kind == "labels" and labels else None

    def _annotation_labels(self) -> tuple[int, ...]:
        wanted = self.data.annotation_labels
        if not isinstance(wanted, dict):
            return wanted
        provider = self._text(self.data.provider)
        if provider not in wanted:
            self.problems.append(
                f"{self.data.provider} is {provider!r}, for which data.annotation_labels says "
                f"nothing (known: {', '.join(wanted)})"
            )
        return wanted.get(provider or "", ())

    def _label(self) -> int | None:
        text = self._text(self.data.label)
        classes = self.recipe.task.classes
        if text is None:
            self.problems.append(f"no label in the column {self.data.label!r}")
        elif text in classes:
            return classes.index(text)
        elif text.isdecimal() and int(text) < len(classes):
            return int(text)
        else:
            self.problems.append(f"unknown label {text!r} (known: {', '.join(classes)})")
        return None

    def _time(self) -> float | None:
        text = self._text(self.data.time)
        try:
            time = float(text or "nan")
        except ValueError:
            time = math.nan
        if not (math.isfinite(time) and time > 0):
            self.problems.append(f"{self.data.time} is {text!r} and not a time above 0")
            return None
        return time

    def _event(self) -> bool | None:
        text = (self._text(self.data.event) or "").lower()
        if text in ("1", "true", "yes"):
            return True
        if text in ("0", "false", "no"):
            return False
        self.problems.append(f"{self.data.event} is {text!r}; write 1 (seen) or 0 (censored)")
        return None


def _across_rows(cases: list[Case], recipe: Recipe) -> list[tuple[int, str]]:
    problems = []
    first: dict[str, Case] = {}
    folds: dict[str, Case] = {}
    labels: dict[str, Case] = {}
    for case in cases:
        earlier = first.setdefault(case.name, case)
        if earlier is not case:
            problems.append((case.line, f"{case.name} stands in line {earlier.line} already"))
        seen = folds.setdefault(case.patient, case)
        if seen.fold != case.fold:
            problems.append(
                (
                    case.line,
                    f"patient {case.patient} is in fold {case.fold}, but in fold {seen.fold} in "
                    f"line {seen.line}: the same patient must not be on two sides of a split",
                )
            )
        other = labels.setdefault(case.patient, case)
        outcome = (case.label, case.time, case.event)
        if recipe.data.unit == "patient" and outcome != (other.label, other.time, other.event):
            problems.append(
                (case.line, f"patient {case.patient} has another label in line {other.line}")
            )
    without = [case for case in cases if case.fold is None]
    if without and len(without) < len(cases):
        problems += [(case.line, "no fold, but other rows have one") for case in without]
    return problems


def _read_table(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return pd.read_parquet(path)
        # Text as it stands: a patient called 007 is not 7.
        return pd.read_csv(path, dtype=str, keep_default_na=False, skip_blank_lines=False)
    except OSError as error:
        raise CohortError(
            f"The cohort table {path} cannot be read: {error.strerror or error}. Check data.cohort."
        ) from error
    except (ValueError, UnicodeError) as error:
        raise CohortError(f"The cohort table {path} cannot be read: {error}") from error


def _require_columns(table: pd.DataFrame, recipe: Recipe) -> None:
    data = recipe.data
    survival = recipe.task.kind == "survival"
    wanted = [data.slide, *((data.time, data.event) if survival else (data.label,))]
    if recipe.task.kind == "none":
        wanted = [data.slide]
    if data.unit == "patient":
        wanted.append(data.patient)
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        raise CohortError(
            f"{data.cohort} has no column {', '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, table.columns))}. Name the columns in the recipe under data."
        )


def _place(data: DataRecipe, name: str) -> Path:
    return (data.root or data.cohort.parent) / name


def broken_rows(path: Path, problems: list[tuple[int, str]]) -> str:
    """One message that names every broken row of a table with its line."""
    rows = len({line for line, _ in problems})
    lines = [f"  line {line}: {text}" for line, text in sorted(problems)[:NAMED_PROBLEMS]]
    if len(problems) > NAMED_PROBLEMS:
        lines.append(f"  and {len(problems) - NAMED_PROBLEMS} more")
    word = "row" if rows == 1 else "rows"
    return "\n".join([f"{path} has {rows} broken {word}; nothing was started:", *lines])
