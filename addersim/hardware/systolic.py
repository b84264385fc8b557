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

from addersim.hardware.accelerator import Dataflow
from addersim.trace import MatrixWork

__all__ = ["Folds", "fold", "mapping_efficiency", "systolic_cycles"]


@dataclass(frozen=True, slots=True)
class Folds:
    """How the array goes through the matrix products of one layer. Numbers of words are for one group.

    Attributes
    ----------
    work
        The products.
    cycles
        Of the array, all groups.
    input_passes, weight_passes
        How often every word of the input matrix (M x K) and of the weights (K x N) goes into the array.
    sum_folds
        Folds along K whose results are added up outside the array: partial sums are written `sum_folds` times and read back
        one time less.
    input_tile, weight_tile
        Words of an operand that the rows or columns of one fold need, over all of K, where the outer loop may hold that
        operand; None where the dataflow puts the other one there.
    """

    work: MatrixWork
    cycles: int
    input_passes: int
    weight_passes: int
    sum_folds: int
    input_tile: int | None
    weight_tile: int | None

    @property
    def input_reads(self) -> int:
        """Words that the input buffer delivers."""
        return self.work.pixels * self.work.window * self.work.groups * self.input_passes

    @property
    def weight_reads(self) -> int:
        """Words that the weight buffer delivers."""
        return self.work.window * self.work.filters * self.work.groups * self.weight_passes

    @property
    def outputs(self) -> int:
        """Final sums."""
        return self.work.pixels * self.work.filters * self.work.groups

    @property
    def partial_sums(self) -> int:
        """Sums that go to the output buffer and come back."""
        return self.outputs * (self.sum_folds - 1)


def systolic_cycles(work: MatrixWork, rows: int, columns: int, dataflow: Dataflow) -> int:
    """Cycles of a layer on an array, by the closed form above.

    Examples
    --------
    The first layer of a ResNet-20 on 16 x 16, for which SCALE-Sim prints 3647:

    >>> systolic_cycles(MatrixWork(pixels=1024, window=27, filters=16), 16, 16, "output")
    3648
    """
    return fold(work, rows, columns, dataflow).cycles


def mapping_efficiency(work: MatrixWork, rows: int, columns: int, dataflow: Dataflow) -> float:
    """Share of the processing elements that a fold fills, on average: Sr Sc / (folds R C), 0 to 1.

    Examples
    --------
    >>> mapping_efficiency(MatrixWork(pixels=64, window=27, filters=16), 16, 16, "weight")
    0.84375
    """
    held = {
        "output": (work.pixels, work.filters),
        "weight": (work.window, work.filters),
        "input": (work.window, work.pixels),
    }
    on_rows, on_columns = held[dataflow]
    return on_rows * on_columns / (-(-on_rows // rows) * rows * -(-on_columns // columns) * columns)


def fold(
    work: MatrixWork, rows: int, columns: int, dataflow: Dataflow, sum_room: int | None = None, overlapped: bool = False
) -> Folds:
    """Fold a layer onto an array.

    Parameters
    ----------
    work
        The products, `pixels` counted over the batch.
    rows, columns, dataflow
        The array.
    sum_room
        Partial sums that fit on chip, at least `columns` where a window has several folds; None for no limit, which is the
        closed form. Where weight or input stationary folds leave more than that, the streamed dimension is cut into parts
        that fit, each of which fills the array anew.
    overlapped
        Whether a second set of registers loads, or drains, while a fold runs: then a fold takes max(T, R) cycles, and the
        array fills once a layer.
    """
    pixels, window, filters = work.pixels, work.window, work.filters
    if dataflow == "output":
        row_folds, column_folds = -(-pixels // rows), -(-filters // columns)
        cycles = _cycles(work.groups * row_folds * column_folds, window, 1, rows, rows + columns - 2, overlapped)
        tiles = min(rows, pixels) * window, min(columns, filters) * window
        return Folds(work, cycles, column_folds, row_folds, 1, *tiles)
    stationary, streamed = (filters, pixels) if dataflow == "weight" else (pixels, filters)
    sum_folds, column_folds = -(-window // rows), -(-stationary // columns)
    held = min(columns, stationary)
    parts = 1 if sum_room is None or sum_folds == 1 else -(-streamed // (sum_room // held))
    cycles = _cycles(work.groups * sum_folds * column_folds, streamed, parts, rows, 2 * rows + columns - 2, overlapped)
    if dataflow == "weight":
        return Folds(work, cycles, column_folds, parts, sum_folds, None, window * held)
    return Folds(work, cycles, parts, column_folds, sum_folds, window * held, None)


def _cycles(folds: int, streamed: int, parts: int, rows: int, fill: int, overlapped: bool) -> int:
    """Cycles of folds that each stream `streamed` steps in equal parts; loading or draining takes a cycle a row."""
    anew = folds * (parts * fill + streamed)
    return min(anew, folds * max(streamed, parts * rows) + fill) if overlapped else anew
