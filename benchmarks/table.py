"""Measure and print the comparison table of the README.

    python benchmarks/table.py            # all of it
    python benchmarks/table.py speed area # parts: speed, area, memory

What is compared runs in turn, A B A B, in one process on one machine; medians are printed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from napari_maskvit.threads import wait_briefly

# Before torch loads, as the command line does.
wait_briefly()

import numpy as np
import torch
from subjects import gigapixel, same_tissue, speed_slide, textbook, vit_s16

from napari_maskvit.explain import Explainer, Explanation
from napari_maskvit.model.device import fast_bfloat16
from napari_maskvit.slide import Slide, open_slide
from napari_maskvit.tissue import segment_tissue

ROUNDS = 5
_GIGABYTE = 1e9


def in_turn(rounds: int, **candidates: Callable[[], object]) -> dict[str, list[float]]:
    """Seconds of each candidate, run in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, candidate in candidates.items():
            started = time.perf_counter()
            candidate()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def speed(folder: Path) -> None:
    """Masked attention by dropping against the textbook, on one slide."""
    slide, name = speed_slide(folder)
    model = vit_s16()
    mask = segment_tissue(slide)
    explainer = Explainer(slide, model, device="cpu", precision="float32")
    explanation = explainer.explain(mask)
    kept, total = explanation.statistics.kept["patch"], explanation.statistics.total["patch"]
    dense = partial(textbook, model, slide, explainer, mask)
    agreement = _difference(dense(whole_regions=False), explanation, explainer)
    candidates: dict[str, Callable[[], object]] = {
        "dense, whole regions": lambda: dense(whole_regions=True),
        "dense, only patches on the slide": lambda: dense(whole_regions=False),
        "masked, float32": lambda: Explainer(
            slide, model, device="cpu", precision="float32"
        ).explain(mask),
    }
    if fast_bfloat16("cpu"):
        candidates["masked, bfloat16"] = lambda: Explainer(
            slide, model, device="cpu", precision="bfloat16"
        ).explain(mask)
    seconds = in_turn(ROUNDS, **candidates)
    print(
        f"\nViT-S/16 on {name}, {kept} of {total} tokens kept, largest difference {agreement:.1e}"
    )
    print("\n| way | seconds (median of 5) | masked is faster by |\n|---|---|---|")
    for way, values in seconds.items():
        ratios = [a / b for a, b in zip(values, seconds["masked, float32"], strict=True)]
        print(f"| {way} | {statistics.median(values):.2f} | {statistics.median(ratios):.1f} |")
    if not fast_bfloat16("cpu"):
        print("\nbfloat16: not measured, this CPU has neither AMX nor AVX512-BF16")


def _difference(dense: np.ndarray, explanation: Explanation, explainer: Explainer) -> float:
    """Largest difference of attention at a kept token, over all heads."""
    t = explainer.lattice.tokens_per_side
    rows, columns, heads, _ = dense.shape
    worst = 0.0
    for head in range(heads):
        ours = explanation.attention("patch", head)[: rows * t, : columns * t]
        theirs = dense[:, :, head].reshape(rows, columns, t, t).swapaxes(1, 2).reshape(ours.shape)
        worst = max(worst, float(np.abs(theirs - ours)[ours > 0].max()))
    return worst


def area(folder: Path) -> None:
    """The same tissue on a slide of ten times the area."""
    model = vit_s16()
    small, large = (open_slide(same_tissue(folder, factor)) for factor in (1, 10))
    kept = {}

    def run(slide: Slide) -> None:
        mask = segment_tissue(slide)
        explanation = Explainer(slide, model, device="cpu", precision="float32").explain(mask)
        kept[slide.shape] = explanation.statistics.kept["patch"]

    run(small)
    seconds = in_turn(ROUNDS, once=lambda: run(small), ten=lambda: run(large))
    ratios = [b / a for a, b in zip(seconds["once"], seconds["ten"], strict=True)]
    print("\n| slide | kept tokens | seconds (median of 5) |\n|---|---|---|")
    for slide, name in ((small, "once"), (large, "ten")):
        height, width = slide.shape
        middle = statistics.median(seconds[name])
        print(f"| {width} x {height} px | {kept[slide.shape]} | {middle:.2f} |")
    print(f"\nten times the area costs {statistics.median(ratios):.2f} times as much")


def memory(folder: Path) -> None:
    """Peak resident memory of ``maskvit explain`` by slide area, same tissue."""
    print("\n| slide | seconds | peak RSS, GB |\n|---|---|---|")
    for side in (50_000, 100_000):
        path = Path(os.environ.get("MASKVIT_BENCH_PHANTOM", folder)) / f"phantom-{side}.tif"
        gigapixel(path, side)
        started = time.perf_counter()
        peak = _peak_memory(
            [sys.executable, "-m", "napari_maskvit", "explain", str(path),
             "-o", str(folder / f"out-{side}"), "--precision", "float32"]
        )  # fmt: skip
        seconds = time.perf_counter() - started
        print(f"| {side} x {side} px | {seconds:.0f} | {peak / _GIGABYTE:.2f} |", flush=True)


def _peak_memory(command: list[str]) -> int:
    """Bytes that a finished process has used at most."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return usage.ru_maxrss * 1024


PARTS = {"speed": speed, "area": area, "memory": memory}

if __name__ == "__main__":
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, "
        f"{torch.backends.cpu.get_cpu_capability()}"
    )
    with tempfile.TemporaryDirectory() as scratch:
        for part in sys.argv[1:] or PARTS:
            PARTS[part](Path(scratch))
