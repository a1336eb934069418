"""Two processes that train together, and one that is killed, end as one that is left alone."""

from __future__ import annotations

import multiprocessing
import multiprocessing.process
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from maskvit_training.cli import main

COMMAND = Path(sys.executable).parent / "maskvit-train"
PRELOADED = [
    "jinja2",
    "lightning.pytorch.loggers",
    "maskvit_training.bundle",
    "maskvit_training.cli",
    "maskvit_training.extract_cohort",
    "maskvit_training.fit",
    "maskvit_training.report",
    "matplotlib.figure",
    "napari_maskvit.explain.features",
    "napari_maskvit.model.registry",
    "napari_maskvit.tissue",
    "pandas",
    "scipy.stats",
    "sklearn.metrics",
    "sklearn.model_selection",
    "tensorboard.summary.writer.event_file_writer",
    "torch.utils.tensorboard",
    "zarr",
]
SMALL = ("optimiser.epochs=3", "model.dropout=0.2", "masking.drop_patches=0.2")

pytestmark = pytest.mark.skipif(not COMMAND.exists(), reason="maskvit-train is not installed")


def command(cohort: Path, output: Path, word: str, *words: str, **sets: object) -> list[str]:
    changes = [*SMALL, f"output={output}", *(f"{name}={value}" for name, value in sets.items())]
    options = [part for change in changes for part in ("--set", change.replace("__", "."))]
    return [str(COMMAND), word, str(cohort / "recipe.yaml"), *words, *options]


@pytest.fixture(scope="module")
def start():
    """Start a command in a process that has everything imported, as most of its time would go."""
    before = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY")}
    os.environ.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)

    def started(words: list[str]) -> multiprocessing.process.BaseProcess:
        # A forked process takes its words from here.
        argv, sys.argv = sys.argv, words
        try:
            process = context.Process(target=main)
            process.start()
            return process
        finally:
            sys.argv = argv

    yield started
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


def finish(process: multiprocessing.process.BaseProcess) -> None:
    process.join(300)
    assert process.exitcode == 0


@pytest.fixture(scope="module")
def features(start, colour_cohort: Path, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("features")
    finish(start(command(colour_cohort, output, "features")))
    return output


def kill_until_done(start, words: list[str], lots: random.Random) -> int:
    """How often a command was killed before it ended."""
    for attempt in range(20):
        process = start(words)
        process.join(lots.uniform(0.3, 1.5) * (1 + attempt / 4))
        if process.exitcode is not None:
            assert process.exitcode == 0
            return attempt
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    finish(start(words))
    return 20


def history(output: Path) -> pd.DataFrame:
    return pd.read_csv(output / "fold-1/history.csv")


def with_features(features: Path, output: Path) -> Path:
    """A folder of its own for another training on the same features."""
    output.mkdir()
    for name in ("features.csv", "features"):
        (output / name).symlink_to(features / name)
    return output


def fit(cohort: Path, output: Path, **sets: object) -> list[str]:
    return command(cohort, output, "fit", "--fold", "1", **sets)


@pytest.fixture(scope="module")
def alone(start, colour_cohort: Path, features: Path, tmp_path_factory) -> Path:
    """One process that adds up two units before each step."""
    output = with_features(features, tmp_path_factory.mktemp("alone") / "run")
    finish(start(fit(colour_cohort, output, optimiser__accumulate=2)))
    return output


@pytest.fixture(scope="module")
def quick_start(tmp_path_factory) -> dict[str, str]:
    """An environment whose later processes find compiled what the first one imported."""
    return os.environ | {
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("bytecode")),
    }


def require_losses_of_one(
    cohort: Path, environment: dict[str, str], alone: Path, both: Path, **sets: object
) -> None:
    """Train on two processes, by Lightning's own launcher, and compare the losses."""
    two = {"trainer__devices": 2, "trainer__strategy": "ddp", "optimiser__accumulate": 1}
    result = subprocess.run(
        fit(cohort, both, **sets, **two),
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("Fold 1") == 1
    one, two_of_them = history(alone), history(both)
    assert list(one["epoch"]) == list(two_of_them["epoch"]) == [0, 1, 2]
    assert one["train_loss"].nunique() == 3
    for name in ("train_loss", "tune_loss"):
        # Gradients are added up in another order: the same to rounding.
        pd.testing.assert_series_equal(two_of_them[name], one[name], rtol=1e-4)


def test_two_processes_have_the_losses_of_one(
    colour_cohort: Path, quick_start, features, alone, tmp_path
):
    """On the CPU; six units, so that no step is short of one."""
    output = with_features(features, tmp_path / "run")
    require_losses_of_one(colour_cohort, quick_start, alone, output)


def test_so_they_have_where_the_slide_transformer_alone_is_trained(
    start, colour_cohort: Path, quick_start, features: Path, alone: Path, tmp_path: Path
):
    bundle = tmp_path / "bundle"
    finish(start(command(colour_cohort, alone, "export", str(bundle), "--fold", "1")))
    upper = {"encoder__model": bundle, "model__train": "global"}
    outputs = [with_features(features, tmp_path / name) for name in ("one", "two")]
    finish(start(fit(colour_cohort, outputs[0], **upper, optimiser__accumulate=2)))
    require_losses_of_one(colour_cohort, quick_start, *outputs, **upper)


def test_so_they_have_where_all_is_trained_from_pixels(
    start, colour_cohort: Path, quick_start, tmp_path: Path
):
    whole = {
        "model__train": "end",
        "finetune": "{patches: 6, batch: 4, learning_rate: 0.0001}",
    }
    finish(start(command(colour_cohort, tmp_path / "one", "features", **whole)))
    both = with_features(tmp_path / "one", tmp_path / "two")
    finish(start(fit(colour_cohort, tmp_path / "one", **whole, optimiser__accumulate=2)))
    require_losses_of_one(colour_cohort, quick_start, tmp_path / "one", both, **whole)


def test_killed_at_any_moment_it_goes_on_to_the_same_end(
    start, colour_cohort: Path, features: Path, alone: Path, tmp_path: Path
):
    """Each command killed again and again, at random, until it has ended."""
    output, lots = tmp_path / "run", random.Random(3)
    evaluate = command(colour_cohort, output, "evaluate", evaluation__scorecard=1)
    kills = [
        kill_until_done(start, words, lots)
        for words in (
            command(colour_cohort, output, "features"),
            fit(colour_cohort, output, optimiser__accumulate=2),
            evaluate,
        )
    ]
    assert min(kills) >= 1, kills
    report = (output / "report/report.json").read_text()
    for name in ("report", "scorecard"):
        shutil.rmtree(output / name)
    finish(start(evaluate))
    assert (output / "report/report.json").read_text() == report
    names = {path.name for path in (output / "features").rglob("*.zarr")}
    assert names == {path.name for path in (features / "features").rglob("*.zarr")}
    assert (output / "features.csv").read_text() == (features / "features.csv").read_text()
    pd.testing.assert_frame_equal(history(output), history(alone), rtol=1e-3)
    one, again = (pd.read_csv(o / "fold-1/predictions.csv") for o in (alone, output))
    pd.testing.assert_frame_equal(again, one, rtol=1e-3, atol=1e-4)
