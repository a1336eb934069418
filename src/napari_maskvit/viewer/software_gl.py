"""Keeps two copies of LLVM apart, where OpenGL is drawn by the processor.

Mesa's software renderer loads LLVM, and so does triton, which torch and torchvision import if it
is installed. On Debian 12 the second of the two crashes the process while it is being loaded
(measured: Mesa 22.3 with LLVM 15, triton 3.9). A viewer's canvas exists before any plugin runs, so
triton is the one that can be done without: it only serves ``torch.compile``, not used here.
"""

from __future__ import annotations

import sys
from pathlib import Path


def keep_triton_out() -> bool:
    """Make ``import triton`` fail cleanly if it would crash; call before torch is imported.

    Returns
    -------
    bool
        Whether triton is kept out. It is left alone where it is imported already, and where no
        software renderer has loaded LLVM.
    """
    if "triton" in sys.modules:
        return sys.modules["triton"] is None
    if not llvm_is_loaded():
        return False
    sys.modules["triton"] = None  # type: ignore[assignment]
    return True


def llvm_is_loaded() -> bool:
    """Whether a shared LLVM is part of this process (Linux; False elsewhere)."""
    try:
        return "libLLVM" in Path("/proc/self/maps").read_text()
    except OSError:
        return False
