"""The systolic dataflows as one table: which dimension of a matrix product (GEMM) lies where on the array.

A product of M x K inputs and K x N weights to M x N sums has three dimensions and three operands, and each dimension is absent
from one operand. One dimension lies on the rows of the array, one on its columns, and the third passes through in time. The
operand without the third dimension is the stationary one: it stays in the processing elements while the others pass. All else
follows: the size of a fold, how often each operand passes through the array, what fills it, and which registers are doubled
where folds overlap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

from addersim.hardware.accelerator import Dataflow
from addersim.hardware.arrays import IntOrArray

__all__ = [
    "GEMM_DIMENSIONS",
    "REUSED_ALONG",
    "SYSTOLIC_DATAFLOWS",
    "Gemm",
    "GemmSizes",
    "SystolicDataflow",
    "systolic_dataflow",
]

Dimension = Literal["m", "n", "k"]
GEMM_DIMENSIONS: tuple[Dimension, ...] = ("m", "n", "k")
"""Output pixels, filters, and taps of one output: the order of every tuple of numbers by dimension."""


class Gemm(Protocol):
    """Sizes of `groups` equal matrix products: those of a `trace.MatrixWork`, or arrays of them for many layers."""

    @property
    def m(self) -> IntOrArray: ...
    @property
    def n(self) -> IntOrArray: ...
    @property
    def k(self) -> IntOrArray: ...
    @property
    def groups(self) -> IntOrArray: ...


class GemmSizes(NamedTuple):
    """A `Gemm` of numbers or arrays."""

    m: IntOrArray
    n: IntOrArray
    k: IntOrArray
    groups: IntOrArray


GemmOperand = Literal["input", "weight", "partial_sum"]
REUSED_ALONG: Mapping[GemmOperand, Dimension] = MappingProxyType({"input": "n", "weight": "m", "partial_sum": "k"})
"""The dimension that each operand does not have: along it the array uses each of its words again, or adds to it."""


@dataclass(frozen=True, slots=True)
class SystolicDataflow:
    """A systolic dataflow: the dimension on the rows, the one on the columns, and the one that passes in time.

    Examples
    --------
    >>> weight_stationary = SystolicDataflow(rows="k", columns="n", time="m")
    >>> weight_stationary.stationary, weight_stationary.preloaded, weight_stationary.fill_cycles(16, 8)
    ('weight', True, 38)
    """

    rows: Dimension
    columns: Dimension
    time: Dimension

    @property
    def stationary(self) -> GemmOperand:
        """The operand that stays in the processing elements during a fold."""
        return next(operand for operand, dimension in REUSED_ALONG.items() if dimension == self.time)

    @property
    def places(self) -> tuple[int, int, int]:
        """Places of the dimensions on the rows, on the columns and in time among `GEMM_DIMENSIONS`."""
        rows, columns, time = (GEMM_DIMENSIONS.index(one) for one in (self.rows, self.columns, self.time))
        return rows, columns, time

    @property
    def preloaded(self) -> bool:
        """Whether the stationary operand is filled in, row by row, before a fold; if not, sums drain after it."""
        return self.stationary != "partial_sum"

    def fill_cycles(self, rows: int, columns: int) -> int:
        """Cycles that a fold takes beyond its steps in time: to cross the array, and to load what is stationary."""
        return (2 * rows if self.preloaded else rows) + columns - 2

    def sides(self, work: Gemm) -> tuple[IntOrArray, IntOrArray, IntOrArray]:
        """Sr, Sc and T of a product: its sizes on the rows, on the columns and in time."""
        size = {"m": work.m, "n": work.n, "k": work.k}
        return size[self.rows], size[self.columns], size[self.time]

    def fold_size(self, rows: int, columns: int) -> tuple[int, int, int]:
        """Size of one fold along m, n and k; 1 along the dimension that passes in time."""
        size = {self.rows: rows, self.columns: columns, self.time: 1}
        return size["m"], size["n"], size["k"]

    def passes(
        self, row_folds: IntOrArray, column_folds: IntOrArray, time_parts: IntOrArray
    ) -> tuple[IntOrArray, IntOrArray, IntOrArray]:
        """How often every input, weight and sum goes through the array: once for each part of the dimension it lacks."""
        parts = {self.rows: row_folds, self.columns: column_folds, self.time: time_parts}
        return parts[REUSED_ALONG["input"]], parts[REUSED_ALONG["weight"]], parts[REUSED_ALONG["partial_sum"]]


SYSTOLIC_DATAFLOWS: Mapping[Dataflow, SystolicDataflow] = MappingProxyType(
    {
        "output": SystolicDataflow(rows="m", columns="n", time="k"),
        "weight": SystolicDataflow(rows="k", columns="n", time="m"),
        "input": SystolicDataflow(rows="k", columns="m", time="n"),
    }
)
"""By the name that an accelerator file gives: a further dataflow is one more row, and its name in `accelerator.Dataflow`."""


def systolic_dataflow(name: Dataflow) -> SystolicDataflow:
    """The dataflow of a name."""
    return SYSTOLIC_DATAFLOWS[name]
