"""The device and the precision that are chosen, and what is said where there is no choice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from napari_maskvit.errors import ModelError
from napari_maskvit.model import device, resolve_device, resolve_precision


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("flags : fpu avx2 fma", "float32"),
        ("flags : fpu avx512f avx512_bf16", "bfloat16"),
        ("flags : fpu amx_bf16 amx_tile", "bfloat16"),
        (None, "float32"),
    ],
)
def test_bfloat16_only_where_the_cpu_is_fast_at_it(flags, expected, monkeypatch) -> None:
    def read_text(path: Path) -> str:
        if flags is None:
            raise FileNotFoundError(path)
        return flags

    monkeypatch.setattr(device.Path, "read_text", read_text)
    assert resolve_precision("auto", "cpu") == expected


def test_what_is_asked_for_is_taken() -> None:
    assert resolve_device("cpu") == "cpu"
    assert [resolve_precision(one, "cpu") for one in ("float32", "bfloat16")] == [
        "float32",
        "bfloat16",
    ]
    assert resolve_device() == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["cuda:99", "toaster", "mps", "cpu:x"])
def test_devices_that_are_not_there(name: str) -> None:
    with pytest.raises(ModelError, match=r"auto|device='cpu'"):
        resolve_device(name)


def test_unknown_precision() -> None:
    with pytest.raises(ModelError, match="float16"):
        resolve_precision("float16")


def test_importing_the_package_loads_neither_torch_nor_timm() -> None:
    code = (
        "import sys, napari_maskvit; print(sorted({'torch', 'timm', 'napari'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
