"""Where the rows of each sequence lie in a packed batch, and which attend in one call."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_maskvit.model.even import even


@dataclass(frozen=True)
class Group:
    """Sequences that attend in one call: `count` of them, `length` rows each."""

    rows: slice | Tensor
    count: int
    length: int
    sequences: slice
    key_mask: Tensor | None = None
    valid: Tensor | None = None

    def take(self, rows: Tensor) -> Tensor:
        """[S, ...] -> [count, length, ...]."""
        return rows[self.rows].unflatten(0, (self.count, self.length))

    def put(self, target: Tensor, values: Tensor) -> None:
        """Write [count, length, ...] back to its rows."""
        flat = values.flatten(0, 1)
        if self.valid is None:
            target[self.rows] = flat
        else:
            assert isinstance(self.rows, Tensor)
            target[self.rows[self.valid]] = flat[self.valid]


class Packing:
    """Where the rows of each sequence lie in a packed batch.

    Parameters
    ----------
    lengths
        int64 [B], kept positions of each sequence; 0 leaves the prefix alone.
    prefix
        Prefix tokens of each sequence; the first one is the class token.
    device
        Where the rows live.
    padded
        Attend in one padded call with a key mask (fast on a GPU, where a call is dear) instead of
        one call for each run of equal lengths (fast on a CPU, where padding is dear).
    """

    def __init__(
        self, lengths: Tensor, prefix: int, device: torch.device, padded: bool | None = None
    ) -> None:
        kept = lengths.to("cpu", torch.int64)
        full = kept + prefix
        ends = full.cumsum(0)
        first = ends - full
        self.prefix = prefix
        self.sequences = len(full)
        self.tokens = int(kept.sum())
        self.rows = self.tokens + prefix * self.sequences
        self.device = device
        sequence_of_token = torch.repeat_interleave(torch.arange(self.sequences), kept)
        token_rows = torch.arange(self.tokens) + prefix * (sequence_of_token + 1)
        prefix_rows = (first[:, None] + torch.arange(prefix)).flatten()
        self.first_rows = first.to(device)
        self.token_rows = token_rows.to(device)
        self.prefix_rows = prefix_rows.to(device)
        if padded is None:
            padded = device.type != "cpu"
        self.groups = self._padded_group(first, full) if padded else self._runs(full)

    @staticmethod
    def _runs(full: Tensor) -> list[Group]:
        lengths, counts = torch.unique_consecutive(full, return_counts=True)
        groups, row, sequence = [], 0, 0
        for length, count in zip(lengths.tolist(), counts.tolist(), strict=True):
            stop = row + length * count
            sequences = slice(sequence, sequence + count)
            groups.append(Group(slice(row, stop), count, length, sequences))
            row, sequence = stop, sequence + count
        return groups

    def _padded_group(self, first: Tensor, full: Tensor) -> list[Group]:
        longest, shortest = int(full.max()), int(full.min())
        if longest == shortest:
            return self._runs(full)
        # Fused GPU kernels want a key mask whose rows are aligned to eight entries.
        longest = -(-longest // 8) * 8
        steps = torch.arange(longest)
        inside = steps < full[:, None]
        rows = torch.where(inside, first[:, None] + steps, first[:, None])
        return [
            Group(
                rows.flatten().to(self.device),
                self.sequences,
                longest,
                slice(0, self.sequences),
                inside[:, None, None].to(self.device),
                inside.flatten().nonzero()[:, 0].to(self.device),
            )
        ]

    def join(self, prefix: Tensor, tokens: Tensor) -> Tensor:
        """Prefix [P, D] and tokens [T, D] -> rows [S, D], and some of zeros (see `even`)."""
        space = even(self.rows, tokens)
        rows = tokens.new_empty(space, tokens.shape[1])
        rows[self.prefix_rows] = prefix.to(tokens.dtype).repeat(self.sequences, 1)
        rows[self.token_rows] = tokens
        rows[self.rows :] = 0
        return rows
