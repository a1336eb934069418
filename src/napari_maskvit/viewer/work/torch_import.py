"""Importing torch into a process that already draws with OpenGL."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from threading import Lock, get_native_id

from napari_maskvit.threads import wait_briefly

NICE = 10
"""How far computing steps back behind whatever draws the window."""

_lock = Lock()


def import_torch() -> None:
    """Import torch, safely and with a core left to the window; call it in a worker thread.

    torch's Linux wheels bring triton, whose library holds LLVM. So do Mesa's drivers, and once
    these draw, the loader resolves one LLVM's symbols with the other's and the process dies. Bound
    deeply, triton keeps to its own.
    """
    with _lock:
        wait_briefly()
        if "torch" not in sys.modules and _draws_with_llvm():
            flags = sys.getdlopenflags()
            sys.setdlopenflags(os.RTLD_NOW | os.RTLD_DEEPBIND)
            try:
                import triton  # type: ignore[import-not-found, import-untyped, unused-ignore]  # noqa: F401
            except ImportError:
                pass
            finally:
                sys.setdlopenflags(flags)
        import torch

        torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))


def share_cores() -> None:
    """Let the calling thread compute on every core, behind the window; call it in a worker.

    Where a thread can be made less urgent than the others (Linux), a core need not be kept free:
    the window takes it when it has something to draw. Threads that this one starts are alike.
    """
    import torch

    try:
        if sys.platform != "linux":
            return
        os.setpriority(os.PRIO_PROCESS, get_native_id(), NICE)
        torch.set_num_threads(os.cpu_count() or 1)
    except OSError:
        return  # a sandbox may forbid it: a core stays free then


def _draws_with_llvm() -> bool:
    if not sys.platform.startswith("linux") or not hasattr(os, "RTLD_DEEPBIND"):
        return False
    try:
        return "libLLVM" in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
