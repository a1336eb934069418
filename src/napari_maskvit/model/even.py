"""Products of bfloat16 on a CPU, for few different numbers of rows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_ROWS_APART = 64


def even(count: int, like: Tensor) -> int:
    """So many rows, or some more where every new number of rows would cost memory for good.

    On a CPU, bfloat16 products run through oneDNN, which makes a kernel for each number of rows it
    meets, and keeps it.
    """
    if is_narrow(like):
        return -(-count // _ROWS_APART) * _ROWS_APART
    return count


def is_narrow(x: Tensor) -> bool:
    """Whether products of these rows are computed in bfloat16 on a CPU."""
    return x.dtype is torch.bfloat16 and x.device.type == "cpu"


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`torch.nn.functional.linear` of [S, D], computed for an `even` number of rows."""
    return F.linear(evened(x), weight, bias)[: len(x)]


def evened(x: Tensor) -> Tensor:
    """Rows [S, D] with zeros below, up to an `even` number."""
    return F.pad(x, (0, 0, 0, even(len(x), x) - len(x)))
