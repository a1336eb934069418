"""How threads wait for each other while a model computes."""

from __future__ import annotations

import os

SPINS = "3000"
"""A few microseconds. None at all made a run in bfloat16 a quarter slower on two quiet cores; the
default of 300,000 starves whatever else runs: measured three times slower, at five times the time
of the processor."""


def wait_briefly() -> None:
    """Let threads sleep soon after they reach a barrier of OpenMP; to be said before torch loads.

    What a person has set in the environment stays.
    """
    if "GOMP_SPINCOUNT" not in os.environ and "OMP_WAIT_POLICY" not in os.environ:
        os.environ["GOMP_SPINCOUNT"] = SPINS
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
