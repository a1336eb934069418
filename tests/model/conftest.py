"""Encoders of many kinds with weights that matter, and the textbook to compare them with."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def textbook() -> ModuleType:
    """Dense masked softmax, as the benchmark runs it."""
    spec = spec_from_file_location("textbook", ROOT / "benchmarks/textbook.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """Weights under which every part counts: LayerScale, norms, positions and registers too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in name or "gamma" in name:
                parameter.copy_((1.0 if name.endswith(("weight", "gamma")) else 0) + 0.2 * noise)
            elif name.endswith("bias"):
                parameter.copy_(0.1 * noise)
            elif parameter.ndim == 3:
                parameter.copy_(0.5 * noise)
            else:
                parameter.copy_(noise / parameter[0].numel() ** 0.5)
    return module.eval()


@pytest.fixture(scope="session")
def randomised():
    return randomise
