"""What came out of the experiment, and the table of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from maskvit_training.experiment.arm import MASKINGS
from maskvit_training.experiment.phantoms import COUPLED, FREE, Design
from maskvit_training.writing import write_text


@dataclass(frozen=True)
class Outcome:
    """One trained model.

    Attributes
    ----------
    training
        "coupled": artefacts went along with the grade in training; "free": they did not.
    masking
        "plain" or "masked".
    learning_rate, epoch
        Chosen on the tuning pieces: the rate for the arm, the epoch (from 1) for the model.
    kappa_free, kappa_coupled
        Quadratic weighted kappa on the same test tissue with free and with coupled artefacts.
    change
        Mean change of the predicted grade between the two.
    region_mass, slide_mass
        Share of attention on background, mean over the test slides.
    """

    training: str
    masking: str
    seed: int
    learning_rate: float
    epoch: int
    kappa_free: float
    kappa_coupled: float
    change: float
    region_mass: float
    slide_mass: float


@dataclass(frozen=True)
class Probes:
    """What linear models reach on the test tissue with free artefacts, trained on free ones.

    Attributes
    ----------
    colour
        On the mean colour of the tissue.
    tissue, everything
        Ridge regression on the mean feature of patches with tissue, and of all that are read, by
        masking.
    """

    colour: float
    tissue: dict[str, float]
    everything: dict[str, float]


def write_outcomes(
    folder: Path,
    design: Design,
    outcomes: Sequence[Outcome],
    probes: Probes,
    tuning: dict[str, dict[str, float]],
) -> None:
    """Write experiment.json and experiment.md.

    Parameters
    ----------
    tuning
        Tuning loss of each learning rate, by arm.
    """
    facts = {
        "design": asdict(design),
        "probes": asdict(probes),
        "tuning_loss": tuning,
        "outcomes": [asdict(one) for one in outcomes],
    }
    write_text(folder / "experiment.json", json.dumps(facts, indent=2) + "\n")
    write_text(folder / "experiment.md", _markdown(design, outcomes, probes))


def _markdown(design: Design, outcomes: Sequence[Outcome], probes: Probes) -> str:
    seeds = len({one.seed for one in outcomes})
    lines = [
        "# Masked and plain attention, with and without bait on the glass",
        "",
        f"Phantom biopsies of ISUP grades {', '.join(map(str, design.grades))}: {design.train} "
        f"pieces of tissue train, {design.tune} tune, {design.test} test. Pen and another "
        'artefact lie on the glass. "Coupled": they follow from the grade; "free": drawn by lot. '
        "Every test tissue was predicted with coupled and with free artefacts. Learning rate and "
        "epoch were chosen on the tuning pieces, in every arm alike. Mean and standard deviation "
        f"over {seeds} seeds.",
        "",
        "| artefacts in training | attention | learning rate | kappa, free | kappa, coupled "
        "| change of the predicted grade | attention on background: region | slide |",
        "|---|---|---|---|---|---|---|---|",
    ]
    names = ("kappa_free", "kappa_coupled", "change", "region_mass", "slide_mass")
    for training in (FREE, COUPLED):
        for masking in MASKINGS:
            rows = [one for one in outcomes if (one.training, one.masking) == (training, masking)]
            cells = [_spread([getattr(row, name) for row in rows]) for name in names]
            rate = f"{rows[0].learning_rate:g}" if rows else "-"
            lines.append(f"| {training} | {masking} | {rate} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_probe_lines(probes), ""])


def _probe_lines(probes: Probes) -> list[str]:
    lines = [
        "Linear models trained and tested where the artefacts are free:",
        "",
        "| on | attention of the encoder | kappa, free |",
        "|---|---|---|",
        f"| mean colour of the tissue | - | {probes.colour:.3f} |",
    ]
    for masking in MASKINGS:
        lines += [
            f"| mean feature of patches with tissue | {masking} | {probes.tissue[masking]:.3f} |",
            f"| mean feature of all patches read | {masking} | {probes.everything[masking]:.3f} |",
        ]
    return lines


def _spread(values: Sequence[float]) -> str:
    if not any(values):
        return "0"
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=len(values) > 1):.3f}"
