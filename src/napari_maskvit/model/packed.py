"""Self-attention over sequences of different lengths, packed row after row without padding.

Masked attention gives background keys the weight exp(-inf) = 0. A background position is
therefore read by nobody, and leaving it out before the first block changes nothing but rounding.
Every level of the hierarchy runs its kept positions through this module.

A packed batch is one matrix of rows: for each sequence its prefix (class and register tokens)
followed by its kept positions. Everything but attention itself works on rows, and so costs the
kept positions and no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_maskvit.model.even import evened, is_narrow, linear
from napari_maskvit.model.packing import Packing

TOKEN_BUDGET = 2048
"""Kept tokens a batch that two CPU cores run fastest; more overflows their cache."""

_ROWS_AT_ONCE = 512
_LENGTHS_APART = 16


@dataclass(frozen=True)
class Encoded:
    """What one level says about a packed batch of B sequences with T kept positions in all.

    Attributes
    ----------
    features
        float32 [B, D], the class token after the final norm.
    attention
        float32 [T, heads], the class token's row of the last block at every kept position, in the
        order in which the positions came. The prefix holds what is missing to a sum of 1.
    """

    features: Tensor
    attention: Tensor


def _parts(rows: Tensor) -> Iterator[slice]:
    """Stretches of rows small enough for what they widen to to stay in a CPU's cache."""
    step = _ROWS_AT_ONCE if rows.device.type == "cpu" else max(1, len(rows))
    return (slice(start, start + step) for start in range(0, len(rows), step))


def encode_packed(
    blocks: Iterable[Any],
    norm: nn.Module,
    rows: Tensor,
    packing: Packing,
) -> Encoded:
    """Run rows through timm blocks; the last one for the class token alone.

    Parameters
    ----------
    blocks
        `timm.models.vision_transformer.Block`s.
    norm
        The norm after the last block.
    rows
        [S, D] as `Packing.join` laid them, overwritten.
    packing
        Where each sequence lies in `rows`.

    Returns
    -------
    Encoded
        Features and the attention that made them, from one and the same pass.
    """
    *inner, last = blocks
    width = last.attn.qkv.out_features
    qkv = rows.new_empty(len(rows), width)
    mixed = rows.new_empty(len(rows), width // 3)
    mixed[packing.rows :] = 0
    for block in inner:
        _run_block(block, rows, packing, qkv, mixed)
    return _run_last_block(last, norm, rows, packing)


def _run_block(block: Any, rows: Tensor, packing: Packing, qkv: Tensor, mixed: Tensor) -> None:
    attn = block.attn
    for part in _parts(rows):
        _linear_into(qkv[part], block.norm1(rows[part]), attn.qkv)
    for group in packing.groups:
        split = group.take(qkv).unflatten(2, (3, attn.num_heads, -1))
        q, k, v = (one.transpose(1, 2) for one in split.unbind(2))
        q, k = attn.q_norm(q), attn.k_norm(k)
        if is_narrow(q) and group.key_mask is None:
            attended = _attend_by_products(q * attn.scale, k, v)
        else:
            attended = F.scaled_dot_product_attention(
                q, k, v, attn_mask=group.key_mask, scale=attn.scale
            )
        group.put(mixed, attended.transpose(1, 2).flatten(2))
    for part in _parts(rows):
        _finish_block(block, rows[part], mixed[part])


def _attend_by_products(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention of [B, heads, L, d], written out.

    The fused one is slower in bfloat16 on a CPU than it is in float32; two products take less than
    two thirds of its time. Lengths are evened out for the same reason as rows are.
    """
    batch, heads, length, width = q.shape
    longer = -(-length // _LENGTHS_APART) * _LENGTHS_APART
    q, k, v = (
        F.pad(one, (0, 0, 0, longer - length)).reshape(batch * heads, longer, width)
        for one in (q, k, v)
    )
    scores = torch.bmm(q, k.transpose(1, 2))
    scores[:, :, length:] = -torch.inf
    mixed = torch.bmm(scores.softmax(-1), v)
    return mixed[:, :length].unflatten(0, (batch, heads))


def _finish_block(block: Any, rows: Tensor, mixed: Tensor) -> None:
    """From what attention gathered to the block's output, in place."""
    attn = block.attn
    if getattr(attn, "norm", None) is not None:
        mixed = attn.norm(mixed)
    if getattr(attn, "gate", None) is not None:
        mixed = mixed * attn.gate(block.norm1(rows)).sigmoid()
    rows += block.ls1(attn.proj(mixed))
    rows += block.ls2(block.mlp(block.norm2(rows)))


def _linear_into(target: Tensor, x: Tensor, linear: nn.Linear) -> None:
    # Fresh memory for a large result costs more than the product itself where page faults are slow.
    if linear.bias is None:
        torch.mm(x, linear.weight.t(), out=target)
    else:
        torch.addmm(linear.bias, x, linear.weight.t(), out=target)


def _run_last_block(block: Any, norm: nn.Module, rows: Tensor, packing: Packing) -> Encoded:
    """Only the class token's output is wanted, so only the class token asks.

    Its query yields the row of attention to show and the feature in one go; the keys and values
    of the others are all that is left of them.
    """
    attn = block.attn
    dim = attn.qkv.out_features // 3
    bias = attn.qkv.bias
    keys_values = rows.new_empty(len(rows), 2 * dim)
    for part in _parts(rows):
        keys_values[part] = F.linear(
            block.norm1(rows[part]), attn.qkv.weight[dim:], None if bias is None else bias[dim:]
        )
    first = rows[packing.first_rows]
    query = linear(block.norm1(first), attn.qkv.weight[:dim], None if bias is None else bias[:dim])
    query = attn.q_norm(query.unflatten(1, (attn.num_heads, -1))).float() * attn.scale
    attention = torch.empty(packing.rows, attn.num_heads, device=rows.device)
    mixed = torch.empty_like(first, dtype=torch.float32).new_empty(packing.sequences, dim)
    for group in packing.groups:
        k, v = group.take(keys_values).unflatten(2, (2, attn.num_heads, -1)).unbind(2)
        scores = torch.einsum("bhd,blhd->bhl", query[group.sequences], attn.k_norm(k).float())
        if group.key_mask is not None:
            scores.masked_fill_(~group.key_mask[:, 0], -torch.inf)
        weights = scores.softmax(-1)
        mixed[group.sequences] = torch.einsum("bhl,blhd->bhd", weights, v.float()).flatten(1)
        group.put(attention, weights.transpose(1, 2))
    first = evened(first)
    _finish_block(block, first, evened(mixed.to(rows.dtype)))
    return Encoded(norm(first[: packing.sequences]).float(), attention[packing.token_rows])
