"""Filters as the kernels read them: matrices with zeros up to whole steps and tiles, so that no load of theirs is masked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

__all__ = ["STEP", "by_classes", "by_eights", "by_taps", "by_terms"]

STEP = 16
"""Terms that a block adds up between two barriers."""
EIGHT = 8
"""Terms that the packed kernel reads together."""
WIDEST = 128
"""Columns of the widest tile."""


def by_terms(adder: Tensor, groups: int) -> Tensor:
    """(groups, taps x channels, outputs)."""
    matrices = _by_group(adder, groups).permute(0, 3, 4, 2, 1).flatten(1, 3)
    return _filled(matrices, _up(matrices.shape[1], STEP))


def by_eights(adder: Tensor, groups: int) -> Tensor:
    """(groups, eights of taps x channels, outputs, 8), for the packed kernel."""
    matrices = by_terms(adder, groups)
    return matrices.view(groups, -1, EIGHT, matrices.shape[2]).transpose(2, 3).contiguous()


def by_classes(adder: Tensor, groups: int, repeats: Sequence[int]) -> Tensor:
    """(groups, classes, taps x outputs, channels): taps of a class, `repeats` apart, meet the same pixels of a stride."""
    filters = _by_group(adder, groups)
    found = [
        filters[..., row :: repeats[0], column :: repeats[1]].permute(0, 3, 4, 1, 2).flatten(1, 3)
        for row in range(min(repeats[0], adder.shape[2]))
        for column in range(min(repeats[1], adder.shape[3]))
    ]
    rows = _up(max(one.shape[1] for one in found), STEP)
    return torch.stack([_filled(one, rows) for one in found], 1)


def by_taps(adder: Tensor) -> Tensor:
    """(taps, outputs), for groups of one channel."""
    return adder.detach().flatten(1).T.contiguous()


def _by_group(adder: Tensor, groups: int) -> Tensor:
    """(groups, outputs, channels, kernel height, kernel width)."""
    return adder.detach().reshape(groups, -1, *adder.shape[1:])


def _filled(matrices: Tensor, rows: int) -> Tensor:
    terms, columns = matrices.shape[-2:]
    return pad(matrices, (0, _up(columns, WIDEST) - columns, 0, rows - terms)).contiguous()


def _up(size: int, whole: int) -> int:
    return -(-size // whole) * whole
