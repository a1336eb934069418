"""However a session went, it ends in the explanation of one run from scratch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_maskvit.explain import Explainer, Explanation
from napari_maskvit.model import Model, build_model
from napari_maskvit.slide import Slide, open_slide
from napari_maskvit.slide.phantom import biopsy, write_phantom
from napari_maskvit.tissue import TissueMask, TissueParameters, segment_tissue

ALL = ("patch", "region", "slide")
# Model, masking, threshold, cache: what a person switches between.
SETUPS = (
    (0, ALL, 0.0, 1 << 30),
    (0, ALL, 0.25, 1 << 30),
    (0, ("region", "slide"), 0.0, 1 << 30),
    (1, ALL, 0.0, 60_000),
)
TOLERANCE = 1e-6

PLACES = st.tuples(st.integers(0, 90), st.integers(0, 140))
STROKES = st.tuples(
    st.just("stroke"), PLACES, st.integers(1, 30), st.integers(1, 30), st.sampled_from([0, 1, 2])
)
ACTIONS = st.one_of(
    STROKES,
    STROKES,
    st.tuples(st.just("undo")),
    st.tuples(st.just("redo")),
    st.tuples(st.just("segment"), st.sampled_from([0.6, 1.0, 1.8]), st.sampled_from([2.0, 3.0])),
    st.tuples(st.just("cancel"), st.integers(1, 4)),
    st.tuples(st.just("switch"), st.integers(0, len(SETUPS) - 1)),
    st.tuples(st.just("restart")),
)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slide]:
    path: Path = tmp_path_factory.mktemp("session") / "biopsy.tif"
    spec = biopsy(600, 400, cores=1, core_length=220.0, core_width=110.0, grade=3, seed=4)
    write_phantom(path, spec, truth=False)
    with open_slide(path) as slide:
        yield slide


@pytest.fixture(scope="module")
def models(model: Model) -> tuple[Model, Model]:
    torch.manual_seed(7)
    other = build_model(model.config.model_copy(update={"name": "other"}))
    return replace(model, sha256="1" * 64), replace(other, sha256="2" * 64)


class Session:
    """A mask with its history, and explainers that remember."""

    def __init__(self, slide: Slide, models: tuple[Model, Model]) -> None:
        self.slide, self.models = slide, models
        self.explainers: dict[int, Explainer] = {}
        self.setup = 0
        first = segment_tissue(slide, TissueParameters(min_object_um2=100.0))
        assert 0.1 < first.fraction < 0.9
        self.history = [TissueMask(first.array.copy(), first.spacing)]
        self.at = 0

    @property
    def mask(self) -> TissueMask:
        return self.history[self.at]

    @property
    def explainer(self) -> Explainer:
        if self.setup not in self.explainers:
            self.explainers[self.setup] = self.make()
        return self.explainers[self.setup]

    def make(self) -> Explainer:
        which, masking, threshold, cache_bytes = SETUPS[self.setup]
        explainer = Explainer(
            self.slide, self.models[which], masking=masking, threshold=threshold, device="cpu",
            precision="float32", cache_bytes=cache_bytes,
        )  # fmt: skip
        explainer.token_budget = 96
        return explainer

    def act(self, action: tuple) -> Explanation | None:
        """Do it, and follow it as a live window does; a cancelled run gives nothing."""
        kind, *how = action
        getattr(self, kind)(*how)
        if kind == "cancel":
            return None
        return self.explainer.explain(self.mask, focus=(300.0, 200.0))

    def stroke(self, place: tuple[int, int], height: int, width: int, label: int) -> None:
        array = self.mask.array.copy()
        array[place[0] : place[0] + height, place[1] : place[1] + width] = label
        self.take(TissueMask(array, self.mask.spacing))

    def segment(self, threshold: float, spacing: float) -> None:
        parameters = TissueParameters(
            threshold=threshold, spacing_um=spacing, min_object_um2=100.0, min_hole_um2=0.0
        )
        self.take(segment_tissue(self.slide, parameters))

    def take(self, mask: TissueMask) -> None:
        self.history = [*self.history[: self.at + 1], mask]
        self.at += 1

    def undo(self) -> None:
        self.at = max(0, self.at - 1)

    def redo(self) -> None:
        self.at = min(len(self.history) - 1, self.at + 1)

    def switch(self, setup: int) -> None:
        self.setup = setup

    def restart(self) -> None:
        """Close and open again: what is left is the explanation, in a store."""
        explanation = self.explainer.explain(self.mask)
        with TemporaryDirectory() as folder:
            loaded = Explanation.load(explanation.save(Path(folder) / "saved.zarr"))
        self.explainers = {self.setup: self.make()}
        recalled = self.explainer.recall(loaded)
        assert recalled.patches or SETUPS[self.setup][3] < 1 << 20 or not loaded.features

    def cancel(self, steps: int) -> None:
        """A stroke whose run is closed midway."""
        self.stroke((20 + 7 * steps, 15 * steps), 25, 40, 1)
        stream = self.explainer.stream(self.mask, focus=(100.0, 100.0))
        for _, step in zip(range(steps), stream, strict=False):
            step.snapshot()
        stream.close()


def assert_same(left: Explanation, right: Explanation) -> None:
    assert left.complete
    assert left.statistics.kept == right.statistics.kept
    assert left.levels.keys() == right.levels.keys()
    for name, one in left.levels.items():
        other = right.levels[name]
        np.testing.assert_array_equal(one.rows, other.rows)
        np.testing.assert_array_equal(one.columns, other.columns)
        np.testing.assert_array_equal(one.coverage, other.coverage)
        np.testing.assert_allclose(one.values, other.values, rtol=0, atol=TOLERANCE)
        mass = left.statistics.background_mass[name]
        assert mass == pytest.approx(right.statistics.background_mass[name], abs=TOLERANCE)
    assert (left.prediction is None) == (right.prediction is None)
    if left.prediction is not None and right.prediction is not None:
        assert left.prediction.label == right.prediction.label
        np.testing.assert_allclose(
            left.prediction.probabilities, right.prediction.probabilities, rtol=0, atol=TOLERANCE
        )


@settings(
    max_examples=40, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@given(actions=st.lists(ACTIONS, min_size=1, max_size=10))
def test_any_session_ends_as_one_run_from_scratch(
    phantom: Slide, models: tuple[Model, Model], actions: list[tuple]
) -> None:
    session = Session(phantom, models)
    for action in actions:
        session.act(action)
    last = session.explainer.explain(session.mask)
    assert_same(last, session.make().explain(session.mask))
    for explainer in session.explainers.values():
        assert explainer.cache.nbytes <= explainer.cache.max_bytes


def test_every_step_of_a_long_session_is_as_from_scratch(
    phantom: Slide, models: tuple[Model, Model]
) -> None:
    session = Session(phantom, models)
    random = np.random.default_rng(3)
    for _ in range(25):
        place = int(random.integers(0, 90)), int(random.integers(0, 140))
        size = random.integers(2, 25, 2).tolist()
        action = ("stroke", place, *size, int(random.integers(0, 3)))
        if random.random() < 0.3:
            action = ("undo",)
        explanation = session.act(action)
        assert explanation is not None
        assert_same(explanation, session.make().explain(session.mask))
