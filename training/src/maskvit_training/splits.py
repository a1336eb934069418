"""Who trains, who tunes, who tests: by patient, stratified, written down."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from maskvit_training.errors import CohortError
from maskvit_training.writing import written_whole

if TYPE_CHECKING:
    from maskvit_training.cohort import Case
    from maskvit_training.recipe import Recipe

ROLES = ("train", "tune", "test")

FINAL = -1
"""Number of the fold in which every slide trains."""


@dataclass(frozen=True)
class Fold:
    """One way of splitting the cohort; every case has one role.

    In the fold `FINAL` every case trains, and nobody tunes or tests.

    Raises
    ------
    CohortError
        If a patient has two roles, or a role has nobody.
    """

    number: int
    train: tuple[Case, ...]
    tune: tuple[Case, ...]
    test: tuple[Case, ...]

    def __post_init__(self) -> None:
        side: dict[str, str] = {}
        for role in ROLES:
            cases: tuple[Case, ...] = getattr(self, role)
            if not cases and (role == "train" or self.number != FINAL):
                raise CohortError(
                    f"Fold {self.number} has nobody to {role}. Give the table more patients, or "
                    "other folds."
                )
            for case in cases:
                if side.setdefault(case.patient, role) != role:
                    raise CohortError(
                        f"Patient {case.patient} would both {side[case.patient]} and {role} in "
                        f"fold {self.number} (line {case.line}): the same patient must not be on "
                        "two sides of a split."
                    )


def assign_folds(recipe: Recipe, cases: Sequence[Case]) -> dict[str, str]:
    """Fold of every case by name: the table's, else drawn by patient and stratified.

    The same cohort and seed give the same folds, whatever the order of the rows.

    Raises
    ------
    CohortError
        If there are fewer patients than folds.
    """
    if any(case.fold is not None for case in cases):
        return {case.name: str(case.fold) for case in cases}
    from sklearn.model_selection import StratifiedKFold  # type: ignore[import-untyped]

    by_patient: dict[str, list[Case]] = {}
    for case in sorted(cases, key=lambda case: (case.patient, case.name)):
        by_patient.setdefault(case.patient, []).append(case)
    if len(by_patient) < recipe.splits.folds:
        raise CohortError(
            f"{len(by_patient)} patients cannot make {recipe.splits.folds} folds: set "
            f"splits.folds to {max(3, len(by_patient))} or fewer, or give more patients."
        )
    strata = _strata([_stratum(group) for group in by_patient.values()], recipe.splits.folds)
    splitter = StratifiedKFold(recipe.splits.folds, shuffle=True, random_state=recipe.seed)
    fold_of = {}
    groups = list(by_patient.values())
    for number, (_, tested) in enumerate(splitter.split(strata, strata)):
        for index in tested:
            for case in groups[index]:
                fold_of[case.name] = str(number)
    return fold_of


def make_folds(cases: Sequence[Case], fold_of: dict[str, str]) -> tuple[Fold, ...]:
    """Folds from every case's fold: fold k tests, the next one tunes, the others train.

    A table whose folds are called train, tune and test gives a single fold.

    Raises
    ------
    CohortError
        If the names of the folds are neither.
    """
    names = sorted(set(fold_of.values()))
    if set(names) <= set(ROLES):
        sides = {role: tuple(c for c in cases if fold_of[c.name] == role) for role in ROLES}
        return (Fold(0, **sides),)
    if not all(name.isdecimal() for name in names) or len(names) < 3:
        raise CohortError(
            f"The folds are called {', '.join(names)}. Number them (three or more), or call them "
            "train, tune and test."
        )
    order = sorted(names, key=int)
    return tuple(
        Fold(
            int(name),
            train=tuple(
                c for c in cases if fold_of[c.name] not in (name, order[(at + 1) % len(order)])
            ),
            tune=tuple(c for c in cases if fold_of[c.name] == order[(at + 1) % len(order)]),
            test=tuple(c for c in cases if fold_of[c.name] == name),
        )
        for at, name in enumerate(order)
    )


def whole_cohort(cases: Sequence[Case]) -> Fold:
    """The fold in which every case trains, for the weights that go into a bundle."""
    return Fold(FINAL, train=tuple(cases), tune=(), test=())


def settle_splits(recipe: Recipe, cases: Sequence[Case], path: Path) -> tuple[Fold, ...]:
    """The folds of a run: those written at `path`, else drawn now and written there.

    Raises
    ------
    CohortError
        If what is written does not fit the cohort.
    """
    if not path.exists():
        fold_of = assign_folds(recipe, cases)
        folds = make_folds(cases, fold_of)
        _write(path, cases, fold_of)
        return folds
    with path.open(newline="", encoding="utf-8") as file:
        fold_of = {row["slide"]: row["fold"] for row in csv.DictReader(file)}
    changed = sorted({case.name for case in cases} ^ set(fold_of))
    changed += [
        case.name
        for case in cases
        if case.fold is not None and fold_of.get(case.name, case.fold) != case.fold
    ]
    if changed:
        raise CohortError(
            f"The cohort has changed since its folds were written to {path} "
            f"({len(changed)} slides, {changed[0]} among them). Use another output folder, or "
            "remove that file to draw folds anew; what is trained already will not fit them."
        )
    return make_folds(cases, fold_of)


def _write(path: Path, cases: Sequence[Case], fold_of: dict[str, str]) -> None:
    with written_whole(path) as place, place.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("slide", "patient", "label", "time", "event", "fold"))
        for case in cases:
            writer.writerow(
                (case.name, case.patient, case.label, case.time, case.event, fold_of[case.name])
            )


def _stratum(group: list[Case]) -> int:
    """What a patient counts as: the worst grade of its slides, or whether the event was seen."""
    return max(int(bool(case.event)) if case.label is None else case.label for case in group)


def _strata(strata: list[int], folds: int) -> list[int]:
    """Join classes with fewer patients than folds, which cannot be spread over all of them."""
    counts = Counter(strata)
    common, _ = counts.most_common(1)[0]
    rare = {one for one, count in counts.items() if count < folds}
    joined = -1 if sum(counts[one] for one in rare) >= folds else common
    return [joined if one in rare else one for one in strata]
