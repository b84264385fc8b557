"""STATIONARY: the three systolic dataflows as one table: which size of the product lies where, and what follows from that.

A product of M output pixels, a window of K taps and N filters has three operands, each of two of these sizes: inputs M x K,
weights K x N, sums M x N. Two sizes lie along the rows and the columns of the array, the third streams; the operand
of the two that lie is the one that stays in the array.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeVar

from addersim.hardware.accelerator import Dataflow
from addersim.trace import MatrixWork

__all__ = ["OPERANDS", "SIZES", "STATIONARY", "Size", "Stationary"]

Size = Literal["pixels", "filters", "window"]
Number = TypeVar("Number")

SIZES: tuple[Size, ...] = ("pixels", "filters", "window")
"""M, N and K, in the order of a tiling's dimensions."""
OPERANDS: Mapping[str, frozenset[Size]] = MappingProxyType(
    {
        "input": frozenset(("pixels", "window")),
        "weight": frozenset(("window", "filters")),
        "partial_sum": frozenset(("pixels", "filters")),
    }
)
"""Sizes of each operand of the product."""


@dataclass(frozen=True, slots=True)
class Stationary:
    """A systolic dataflow.

    Attributes
    ----------
    rows, columns, streams
        What lies along the rows, what along the columns, and what streams through the array in time.

    Examples
    --------
    >>> STATIONARY["weight"].stays, STATIONARY["weight"].loads
    ('weight', True)
    """

    rows: Size
    columns: Size
    streams: Size

    @property
    def stays(self) -> str:
        """The operand that stays in the array during a fold."""
        return next(name for name, sizes in OPERANDS.items() if sizes == {self.rows, self.columns})

    @property
    def loads(self) -> bool:
        """Whether a fold begins with loading what stays, a row a cycle; sums need no loading, they drain instead."""
        return self.stays != "partial_sum"

    def sides(self, work: MatrixWork) -> tuple[int, int, int]:
        """Sr, Sc and T of a product: the sizes along the rows, along the columns, and streamed."""
        return getattr(work, self.rows), getattr(work, self.columns), getattr(work, self.streams)

    def by_size(self, rows: Number, columns: Number, streams: Number) -> tuple[Number, Number, Number]:
        """One thing for each of `SIZES`, from what belongs to the rows, the columns and the stream."""
        places = {self.rows: rows, self.columns: columns, self.streams: streams}
        return places["pixels"], places["filters"], places["window"]

    def fill(self, rows: int, columns: int) -> int:
        """Cycles of a fold beside the streamed steps: what stays is loaded, and the last operands cross the array."""
        return (2 * rows if self.loads else rows) + columns - 2

    def passes(self, row_folds: Number, column_folds: Number, parts: Number) -> tuple[Number, Number, Number]:
        """How often inputs, weights and sums go through the array.

        What stays goes once for each part of the stream; every other operand once for each fold along the side that
        is no size of it.
        """
        inputs, weights, sums = (
            column_folds if self.columns not in sizes else row_folds if self.rows not in sizes else parts
            for sizes in OPERANDS.values()
        )
        return inputs, weights, sums


STATIONARY: Mapping[Dataflow, Stationary] = MappingProxyType(
    {
        "output": Stationary(rows="pixels", columns="filters", streams="window"),
        "weight": Stationary(rows="window", columns="filters", streams="pixels"),
        "input": Stationary(rows="window", columns="pixels", streams="filters"),
    }
)
