"""The report of a scorecard alone."""

from __future__ import annotations

import base64
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from maskvit_training.evaluation import summary_of, write_json
from maskvit_training.report import render, scorecard_table
from maskvit_training.scorecard.plots import draw_scorecard
from maskvit_training.writing import write_text

if TYPE_CHECKING:
    from maskvit_training.recipe import Recipe
    from maskvit_training.scorecard.cohort import Scorecard


def write_scorecard(folder: Path, recipe: Recipe, title: str, scorecard: Scorecard) -> Path:
    """Write scorecard.json, scorecard.md, scorecard.html and the plots; returns the HTML file."""
    folder.mkdir(parents=True, exist_ok=True)
    summary = summary_of(recipe, scorecard)
    facts = {
        "model": title,
        "slides": scorecard.slides,
        "patients": scorecard.patients,
        "summary": {
            masking: {name: asdict(one) for name, one in of.items()}
            for masking, of in summary.items()
        },
        "by_slide": {
            masking: [one.numbers for one in of] for masking, of in scorecard.scores.items()
        },
    }
    write_json(folder / "scorecard.json", facts)
    interval = f"{100 * recipe.evaluation.confidence:g} % intervals from resampled patients"
    table = scorecard_table(summary, len(scorecard.slides), interval)
    plots = [
        (name, path.name, base64.b64encode(path.read_bytes()).decode())
        for name, path in draw_scorecard(folder, scorecard, summary)
    ]
    for name in ("scorecard.md", "scorecard.html"):
        text = render(f"{name}.j2", title=title, table=table, plots=plots)
        write_text(folder / name, text)
    return folder / "scorecard.html"
