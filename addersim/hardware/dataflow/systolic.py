"""A matrix product on a systolic array: folds, cycles, and how often each operand passes through the array.

The closed form is the one that SCALE-Sim 3.0.0 computes: for M output pixels, a window of K taps and N filters on R rows and
C columns, the array holds a part of Sr x Sc in each fold and streams T steps through it.

=================  ====  ====  ====  =================
dataflow           Sr    Sc    T     cycles of a fold
=================  ====  ====  ====  =================
output stationary  M     N     K     R + C + T - 2
weight stationary  K     N     M     2 R + C + T - 2
input stationary   K     M     N     2 R + C + T - 2
=================  ====  ====  ====  =================

There are ceil(Sr / R) ceil(Sc / C) folds, one after another; a partly filled one costs as much as a full one. (SCALE-Sim
prints the index of the last cycle, one less.) Groups, such as those of a depthwise convolution, run one after another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from addersim.hardware.accelerator import Dataflow
from addersim.hardware.arrays import IntOrArray, fewer
from addersim.hardware.dataflow.stationary import Gemm, systolic_dataflow
from addersim.trace import MatrixWork

__all__ = ["Folds", "fold", "mapping_efficiency", "systolic_cycles"]


@dataclass(frozen=True, slots=True)
class Folds:
    """How the array goes through the matrix products of one layer. Numbers of words are for all groups.

    Attributes
    ----------
    work
        The products.
    folds
        Of all groups.
    cycles
        Of the array.
    input_passes, weight_passes
        How often every word of the input matrix (M x K) and of the weights (K x N) goes into the array.
    sum_passes
        How often every sum leaves the array: partial sums are written `sum_passes` times and read back one time less.
    window
        Inputs of one output that the array is given: more than its taps where it skips zero weights.
    """

    work: Gemm
    folds: IntOrArray
    cycles: IntOrArray
    input_passes: IntOrArray
    weight_passes: IntOrArray
    sum_passes: IntOrArray
    window: IntOrArray

    @property
    def input_reads(self) -> IntOrArray:
        """Words that the input buffer delivers."""
        return self.work.m * self.window * self.work.groups * self.input_passes

    @property
    def weight_reads(self) -> IntOrArray:
        """Words that the weight buffer delivers."""
        return self.work.k * self.work.n * self.work.groups * self.weight_passes

    @property
    def outputs(self) -> IntOrArray:
        """Final sums."""
        return self.work.m * self.work.n * self.work.groups

    @property
    def partial_sums(self) -> IntOrArray:
        """Sums that go to the output buffer and come back."""
        return self.outputs * (self.sum_passes - 1)


def systolic_cycles(work: MatrixWork, rows: int, columns: int, dataflow: Dataflow) -> int:
    """Cycles of a layer on an array, by the closed form above.

    Examples
    --------
    The first layer of a ResNet-20 on 16 x 16, for which SCALE-Sim prints 3647:

    >>> systolic_cycles(MatrixWork(pixels=1024, window=27, filters=16), 16, 16, "output")
    3648
    """
    return int(fold(work, rows, columns, dataflow).cycles)


def mapping_efficiency(work: Gemm, rows: int, columns: int, dataflow: Dataflow) -> float:
    """Share of the processing elements that a fold fills, on average: Sr Sc / (folds R C), 0 to 1.

    Examples
    --------
    >>> mapping_efficiency(MatrixWork(pixels=64, window=27, filters=16), 16, 16, "weight")
    0.84375
    """
    on_rows, on_columns, _ = systolic_dataflow(dataflow).sides(work)
    return int(on_rows * on_columns) / int(-(-on_rows // rows) * rows * -(-on_columns // columns) * columns)


def fold(
    work: Gemm,
    rows: int,
    columns: int,
    dataflow: Dataflow,
    parts: IntOrArray = 1,
    overlapped: bool = False,
    window: IntOrArray | None = None,
) -> Folds:
    """Fold a layer onto an array.

    Parameters
    ----------
    work
        The products, M counted over the batch.
    rows, columns, dataflow
        The array.
    parts
        Equal parts into which tiles cut the dimension that passes in time: for each the array fills again and takes the
        stationary operand again, or, where sums are stationary, gives them out. 1 is the closed form.
    overlapped
        Whether a second set of registers loads, or drains, while a fold runs: then a fold takes max(T, R) cycles, and the
        array fills once a layer.
    window
        Inputs of one output, where they are more than its taps.
    """
    how = systolic_dataflow(dataflow)
    on_rows, on_columns, in_time = how.sides(work)
    row_folds, column_folds = -(-on_rows // rows), -(-on_columns // columns)
    folds = work.groups * row_folds * column_folds
    fill = how.fill_cycles(rows, columns)
    cycles = folds * (parts * fill + in_time)
    if overlapped:
        cycles = fewer(cycles, folds * _most(in_time, parts * rows) + fill)
    passes = how.passes(row_folds, column_folds, parts)
    return Folds(work, folds, cycles, *passes, work.k if window is None else window)


def _most(a: IntOrArray, b: IntOrArray) -> IntOrArray:
    return max(a, b) if isinstance(a, int) and isinstance(b, int) else np.maximum(a, b)
