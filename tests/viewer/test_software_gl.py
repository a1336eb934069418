"""A model can be loaded beside a canvas that the processor draws."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from napari_maskvit.viewer import software_gl

_JOURNEY = """
import napari
viewer = napari.Viewer(show=True)
viewer.screenshot(canvas_only=False, flash=False)
from napari_maskvit.viewer.software_gl import keep_triton_out, llvm_is_loaded
assert keep_triton_out() == llvm_is_loaded()
import torch, torchvision, torch._dynamo
assert torch.nn.Linear(2, 2)(torch.ones(1, 2)).shape == (1, 2)
print("alive")
"""


@pytest.mark.window
def test_torch_is_imported_after_a_canvas_without_a_crash():
    pytest.importorskip("napari", reason="needs the gui extra")
    done = subprocess.run(
        [sys.executable, "-c", _JOURNEY], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "alive" in done.stdout


def test_triton_is_left_alone_where_no_software_renderer_is(monkeypatch):
    monkeypatch.setattr(software_gl, "llvm_is_loaded", lambda: False)
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    assert not software_gl.keep_triton_out()
    assert "triton" not in sys.modules


def test_triton_that_is_imported_already_is_left_alone(monkeypatch):
    monkeypatch.setattr(software_gl, "llvm_is_loaded", lambda: True)
    monkeypatch.setitem(sys.modules, "triton", software_gl)
    assert not software_gl.keep_triton_out()
    assert sys.modules["triton"] is software_gl


def test_triton_kept_out_looks_as_if_it_were_not_installed(monkeypatch):
    monkeypatch.setattr(software_gl, "llvm_is_loaded", lambda: True)
    monkeypatch.setitem(sys.modules, "triton", None)
    assert software_gl.keep_triton_out()
    assert importlib.util.find_spec("triton") is None
    with pytest.raises(ImportError):
        import triton  # noqa: F401
