"""How threads wait is said before torch loads, and only where a person has not said it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SAYS = (
    "import os, sys; from napari_maskvit.threads import wait_briefly; wait_briefly(); "
    "print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'), "
    "'torch' in sys.modules)"
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "3000 PASSIVE False"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None ACTIVE False"),
        ({"GOMP_SPINCOUNT": "7"}, "7 None False"),
    ],
)
def test_what_a_person_has_set_stays(given: dict[str, str], expected: str) -> None:
    own = {
        name: value
        for name, value in os.environ.items()
        if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    }
    run = subprocess.run(
        [sys.executable, "-c", SAYS], env=own | given, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == expected
