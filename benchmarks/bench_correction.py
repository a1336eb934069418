"""What a correction of the mask costs: a full run, strokes of 200 µm, and taking them back.

    python benchmarks/bench_correction.py [--slide FILE] [--model NAME] [--strokes 24]

Without a window; prints a Markdown table. Every stroke lies elsewhere on the tissue, so that none
profits from another; each is answered with the explanation and the patch heatmap, and undone.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from napari_maskvit.threads import wait_briefly

# Before torch loads, as the command line does.
wait_briefly()

import numpy as np

from napari_maskvit.explain import Explainer, Explanation
from napari_maskvit.model import load_model
from napari_maskvit.slide import open_slide
from napari_maskvit.slide.phantom import biopsy, write_phantom
from napari_maskvit.tissue import TissueMask, segment_tissue

STROKE_UM = 200.0
BRUSH_UM = 30.0
STAGES = {
    "plan": "planning",
    "read": "reading",
    "encode": "computing",
    "climb": "region and slide",
    "heatmap": "heatmap",
}


@dataclass(frozen=True)
class Answer:
    """Seconds of one explanation with its heatmap, by stage, and the patches computed for it."""

    explanation: Explanation
    total: float
    stages: dict[str, float]

    @property
    def computed(self) -> int:
        """Patches that ran through the patch transformer."""
        return self.explanation.statistics.computed_patches


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slide", type=Path, help="a slide to use instead of a phantom")
    parser.add_argument("--model", help="a model's name or folder; the bundled one if not given")
    parser.add_argument("--strokes", type=int, default=24)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    slide = open_slide(options.slide or phantom(options.cache))
    mask = segment_tissue(slide)
    explainer = Explainer(slide, load_model(options.model))
    plan = explainer.plan(mask)
    patches = sum(len(part.patches) for part in plan.parts)
    print(
        f"{slide.name}: {slide.shape[1]:,} x {slide.shape[0]:,} px, {patches} patches of tissue in "
        f"{len(plan.parts)} regions, mask {mask.shape[1]:,} x {mask.shape[0]:,} px; "
        f"{explainer.model.name} on {explainer.device}, {explainer.precision}"
    )
    # Warm: the first call of every layer allocates.
    Explainer(slide, explainer.model).explain(stroke(mask, np.random.default_rng(99), alone=True))
    full = answer(Explainer(slide, explainer.model), mask)
    explainer.explain(mask)
    strokes, undone = [], []
    random = np.random.default_rng(0)
    for _ in range(options.strokes):
        strokes.append(answer(explainer, stroke(mask, random)))
        undone.append(answer(explainer, mask))
    print(table(full, strokes, undone))
    median = statistics.median(one.total for one in strokes)
    print(f"\nA full run takes {full.total / median:.0f} times as long as a stroke (median).")
    print(f"Held between explanations: {explainer.nbytes / 1e6:.0f} MB.")
    print(f"Machine load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")
    slide.close()


def phantom(folder: Path) -> Path:
    """Three long cores, made once."""
    path = folder / "maskvit-correction-phantom.tif"
    if not path.exists():
        partial = path.with_suffix(".partial.tif")
        write_phantom(partial, biopsy(30_000, 10_000, cores=3, grade=3, seed=2), truth=False)
        partial.rename(path)
    return path


def answer(explainer: Explainer, mask: TissueMask) -> Answer:
    """Explain, and make the picture."""
    started = time.perf_counter()
    explanation = explainer.explain(mask)
    drawing = time.perf_counter()
    explanation.heatmap("patch")
    ended = time.perf_counter()
    seconds = {**explanation.statistics.seconds, "heatmap": ended - drawing}
    stages = {stage: seconds.get(name, 0.0) for stage, name in STAGES.items()}
    return Answer(explanation, ended - started, stages)


def stroke(mask: TissueMask, random: np.random.Generator, *, alone: bool = False) -> TissueMask:
    """The mask after a straight stroke of the eraser from a random place on the tissue.

    Parameters
    ----------
    alone
        Only what is under the stroke, instead.
    """
    tissue = np.argwhere(mask.tissue)
    row, column = tissue[random.integers(len(tissue))]
    angle = random.uniform(0, 2 * np.pi)
    reach = int((STROKE_UM + BRUSH_UM) / mask.spacing) + 1
    rows = np.arange(max(0, row - reach), min(mask.shape[0], row + reach + 1))
    columns = np.arange(max(0, column - reach), min(mask.shape[1], column + reach + 1))
    down, across = np.meshgrid(rows - row, columns - column, indexing="ij")
    along = down * np.sin(angle) + across * np.cos(angle)
    nearest = np.clip(along, 0, STROKE_UM / mask.spacing)
    distance = np.hypot(down - nearest * np.sin(angle), across - nearest * np.cos(angle))
    under = distance <= BRUSH_UM / 2 / mask.spacing
    box = np.ix_(rows, columns)
    array = np.zeros_like(mask.array) if alone else mask.array.copy()
    array[box] = np.where(under, int(alone), array[box])
    return TissueMask(array, mask.spacing)


def table(full: Answer, strokes: list[Answer], undone: list[Answer]) -> str:
    """Markdown: seconds in all and by stage."""
    lines = [
        f"| | seconds | {' | '.join(STAGES)} | patches computed |",
        f"|---|{'---|' * (len(STAGES) + 2)}",
        line("full run", [full], 0.5),
        line(f"stroke of {STROKE_UM:g} µm, median of {len(strokes)}", strokes, 0.5),
        line("stroke, 95th percentile", strokes, 0.95),
        line("undo, median", undone, 0.5),
        line("undo, 95th percentile", undone, 0.95),
    ]
    return "\n".join(lines)


def line(name: str, answers: list[Answer], quantile: float) -> str:
    """A row; each number is that quantile of its own column."""
    columns = [[one.total for one in answers]]
    columns += [[one.stages[stage] for one in answers] for stage in STAGES]
    seconds = [f"{np.quantile(column, quantile):.3f}" for column in columns]
    computed = np.quantile([one.computed for one in answers], quantile)
    return f"| {name} | {' | '.join(seconds)} | {computed:.0f} |"


if __name__ == "__main__":
    main()
