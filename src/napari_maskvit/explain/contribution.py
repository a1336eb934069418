"""What holds the prediction up: its change when a patch or a region is left out.

A patch or region that is left out is background to its transformer: under the default masking of
all levels the answer is the one that an explanation gives with the patch erased from the mask.
Patch features stay as they are, so that only the region and slide transformers run again.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.errors import ExplainError
from napari_maskvit.explain.ground import Ground
from napari_maskvit.explain.leaving_out import patches_left_out, regions_left_out
from napari_maskvit.explain.progress import Share
from napari_maskvit.explain.signed import SignedHeatmap, symmetric_limits
from napari_maskvit.tissue import TissueMask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain.engine import Engine
    from napari_maskvit.explain.hierarchy import Run
    from napari_maskvit.model import Prediction

LEVEL_OF = {"patch": "region", "region": "slide"}
"""The level that attends over what is left out."""


@dataclass(frozen=True, eq=False)
class Contribution:
    """How much each patch, or region, holds the prediction up.

    Parameters
    ----------
    left_out
        "patch" or "region".
    rows, columns
        (K,) places in the lattice of patches, or of regions.
    values
        (K,) score of the whole slide minus its score without this one: positive holds the
        predicted answer up, negative pulls it down. NaN where nothing of the slide is left.
    shape
        Rows and columns of the lattice.
    step
        Side of a cell in level-0 pixels.
    slide_spacing
        µm a level-0 pixel.
    prediction
        Of the whole slide.
    score
        Its score, and ``score_name`` what that is; see `score_of`.
    ground
        The tokens that were looked at, on which it is shown.
    """

    left_out: str
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    values: NDArray[np.float32]
    shape: tuple[int, int]
    step: float
    slide_spacing: float
    prediction: Prediction
    score: float
    score_name: str
    ground: Ground

    def heatmap(self) -> SignedHeatmap:
        """A picture with limits symmetric about 0; NaN where there was nothing to leave out."""
        picture = np.full(self.shape, np.nan, np.float32)
        picture[self.rows, self.columns] = self.values
        return SignedHeatmap(
            array=self.ground.lay(picture, self.step),
            step=self.ground.step,
            spacing=self.ground.step * self.slide_spacing,
            level="contribution",
            head="mean",
            normalisation="contribution",
            scope="slide",
            limits=symmetric_limits(self.values),
            meaning=(
                f"change of the {self.score_name} that this {self.left_out} makes "
                f"(positive = it would be lower without; {self.score:.3g} with all)"
            ),
        )


def score_of(prediction: Prediction, label: int) -> float:
    """The number whose change is measured.

    Classification: the probability of the label. Ordinal: the expected label, Σ k p_k.
    Regression: the value. Survival: the risk.
    """
    if prediction.kind in ("regression", "survival") or prediction.probabilities is None:
        return prediction.value
    if prediction.kind == "classification":
        return prediction.probabilities[label]
    return float(np.dot(np.arange(len(prediction.probabilities)), prediction.probabilities))


def score_name(prediction: Prediction) -> str:
    """What `score_of` gives, in words."""
    if prediction.kind == "classification":
        return f"probability of {prediction.label!r}"
    return {"regression": "predicted value", "survival": "risk"}.get(
        prediction.kind, "expected grade"
    )


def contribution_steps(
    engine: Engine, mask: TissueMask, left_out: str = "patch"
) -> Generator[Share, None, Contribution]:
    """Leave out one patch, or one region, after the other.

    Patches that are not known yet are computed first. Closing the generator cancels.

    Parameters
    ----------
    engine
        Whose model is asked.
    mask
        What is tissue.
    left_out
        "patch": what the region level attends over. "region": what the slide level attends over.

    Raises
    ------
    ExplainError
        If the model makes no prediction, the mask holds no tissue, or ``left_out`` is neither.
    """
    model = engine.model
    if left_out not in LEVEL_OF:
        raise ExplainError(
            f"left_out is {left_out!r}; leave out a 'patch' or a 'region' at a time."
        )
    if model.region is None or model.slide is None or model.config.head is None:
        raise ExplainError(
            f"{model.config.title!r} makes no prediction, so nothing can hold it up. Choose a "
            "model with a region level, a slide level and a head."
        )
    running = engine.run(mask)
    run: Run
    while True:
        try:
            step = next(running)
        except StopIteration as end:
            run = end.value
            break
        yield Share(step.done, 2 * step.total)
    explanation = run.explanation(complete=True)
    prediction = explanation.prediction
    if prediction is None:
        raise ExplainError(
            "There is no tissue under the mask, so there is no prediction to take apart. Find "
            "tissue or paint some."
        )
    answers = [answer for answer in run.answers() if answer.region is not None]
    leaving = patches_left_out if left_out == "patch" else regions_left_out
    total = run.total + (
        len(answers)
        if left_out == "region"
        else sum(len(answer.region.positions) for answer in answers if answer.region)
    )
    places: list[tuple[int, int]] = []
    scores: list[float] = []
    label = int(prediction.value) if prediction.kind == "classification" else 0
    for there, logits in leaving(model, run.plan, answers):
        places += there
        scores += [np.nan if one is None else score_of(model.predict(one), label) for one in logits]
        yield Share(run.total + len(places), total)
    score = score_of(prediction, label)
    lattice, level = run.plan.lattice, LEVEL_OF[left_out]
    at = np.array(places, np.int32).reshape(-1, 2)
    return Contribution(
        left_out=left_out,
        rows=at[:, 0],
        columns=at[:, 1],
        values=(score - np.array(scores, np.float64)).astype(np.float32),
        shape=lattice.shape(level),
        step=lattice.step(level),
        slide_spacing=lattice.slide_spacing,
        prediction=prediction,
        score=score,
        score_name=score_name(prediction),
        ground=Ground.of(explanation.levels, explanation.slide_shape),
    )


def mask_without(mask: TissueMask, area: TissueMask | NDArray[np.bool_]) -> TissueMask:
    """A mask with an area made background.

    Raises
    ------
    ExplainError
        If the area lies on other pixels.
    """
    gone = area.tissue if isinstance(area, TissueMask) else np.asarray(area)
    spacing = area.spacing if isinstance(area, TissueMask) else mask.spacing
    if gone.shape != mask.shape or gone.dtype != np.bool_ or spacing != mask.spacing:
        raise ExplainError(
            f"The area to leave out has {gone.shape} pixels of {gone.dtype} at {spacing:g} µm, the "
            f"mask {mask.shape} at {mask.spacing:g} µm: draw it on the mask's own pixels, True "
            "where it is."
        )
    array = mask.array.copy()
    array[gone] = 0
    return TissueMask(array, mask.spacing, mask.name)
