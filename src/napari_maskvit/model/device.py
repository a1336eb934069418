"""Where a model runs and in which precision its weights are held."""

from __future__ import annotations

from pathlib import Path

import torch

from napari_maskvit.errors import ModelError

PRECISIONS = ("float32", "bfloat16")
_FAST_BFLOAT16 = ("amx_bf16", "avx512_bf16")


def resolve_device(device: str = "auto") -> str:
    """The device to use: "cpu", "cuda" or "cuda:N".

    Parameters
    ----------
    device
        "auto" takes a CUDA device where there is one.

    Raises
    ------
    ModelError
        If it is not there or unknown.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ModelError(
            f"There is no device {device!r}; use auto, cpu, cuda or cuda:1."
        ) from error
    if chosen.type not in ("cpu", "cuda"):
        raise ModelError(f"Models do not run on {device!r}; use auto, cpu, cuda or cuda:1.")
    if chosen.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (chosen.index or 0) >= count:
            raise ModelError(
                f"Device {device!r} was asked for, but this machine has {count} CUDA devices that "
                "torch can use. Use device='cpu', or see `maskvit doctor`."
            )
    return device


def resolve_precision(precision: str = "auto", device: str = "cpu") -> str:
    """The precision in which weights are held: "float32" or "bfloat16".

    Parameters
    ----------
    precision
        "auto" takes bfloat16 where the hardware multiplies it fast; elsewhere it is emulated and
        several times slower than float32.
    device
        As `resolve_device` returned it.

    Raises
    ------
    ModelError
        If it is unknown.
    """
    if precision == "auto":
        return "bfloat16" if fast_bfloat16(device) else "float32"
    if precision not in PRECISIONS:
        raise ModelError(f"precision is {precision!r}; use auto, float32 or bfloat16.")
    return precision


def fast_bfloat16(device: str) -> bool:
    """Whether the hardware multiplies bfloat16 natively."""
    if device.startswith("cuda"):
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return any(flag in flags for flag in _FAST_BFLOAT16)
