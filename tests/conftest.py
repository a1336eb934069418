"""Fixtures that every room's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real slides beside the checkout; not part of the product."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the real slides in ../shared are not on this machine")
    return SHARED


@pytest.fixture(scope="session")
def shared_svs(shared: Path) -> Path:
    """A real Aperio slide: 2220 x 2967 px at 0.499 µm/px."""
    return shared / "data/slides/CMU-1-Small-Region.svs"


@pytest.fixture(scope="session")
def shared_cores(shared: Path) -> list[Path]:
    """Ten real prostate cores, tiled pyramids at 1.0 µm/px."""
    return sorted((shared / "data/sicapv2/cores").glob("*.tif"))
