"""A matrix product on adder trees that all get the same inputs, as in NVDLA and DianNao: its cycles.

Of an array of R rows and C columns each column is a tree that sums R products in a cycle, of R input channels under one tap of
the window; the same inputs go to all C trees, one a filter. Taps follow each other, and blocks of channels: an output takes

    steps = taps x ceil(channels / R)

cycles, of which the last block of channels fills the tree only in part. Sums stay in the accumulators behind the trees, for a
stripe of outputs, while weights change; for the next stripe they are read again. So what passes is what passes in an output
stationary array with a row for each output of the stripe, and tiles are chosen as there. Nothing fills and drains: the next
weights are loaded while others are in use; a stripe of fewer outputs than `load_cycles` lasts as long as that. Depthwise
layers have one channel, in one tree. Layers of few channels may have the taps of a kernel row side by side
(`BroadcastTrees.image_channels`).

NVDLA: atomic, stripe, block and channel operations (nvdla/doc, doc/hw/v1/ias/unit_description.rst, Direct Convolution).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from addersim.hardware.accelerator import BroadcastTrees
from addersim.hardware.arrays import AnyArray, BoolOrArray, IntOrArray
from addersim.hardware.dataflow.fold_times import FoldTimes
from addersim.trace import MatrixWork

__all__ = ["TreeTimes", "taps_in_turn", "tree_steps"]


def taps_in_turn(work: MatrixWork, trees: BroadcastTrees | None) -> int:
    """Taps of one channel that follow each other in time: all of a kernel, or its rows where those lie side by side; 1 where
    only the product is known, or the array has no trees.

    Examples
    --------
    >>> from addersim.arithmetic.geometry import Geometry
    >>> image = MatrixWork(12544, 147, 64, geometry=Geometry((7, 7), (2, 2), (3, 3)), image=(224, 224))
    >>> taps_in_turn(image, BroadcastTrees(stripe=16)), taps_in_turn(image, BroadcastTrees(stripe=16, image_channels=4))
    (49, 7)
    """
    if trees is None or work.geometry is None:
        return 1
    rows, columns = work.geometry.kernel
    return rows if work.window // (rows * columns) <= trees.image_channels else rows * columns


def tree_steps(window: IntOrArray, in_turn: IntOrArray, rows: IntOrArray) -> IntOrArray:
    """Cycles of one output in a tree of some rows, of its taps `in_turn` one after another.

    Examples
    --------
    >>> tree_steps(9 * 96, 9, 64), tree_steps(147, 7, 64)
    (18, 7)
    """
    return in_turn * -(-window // (in_turn * rows))


@dataclass(frozen=True, slots=True)
class TreeTimes(FoldTimes):
    """Folds of a layer on adder trees, those of an output stationary array whose rows are the outputs of a stripe.

    Attributes
    ----------
    in_turn
        Taps that follow each other.
    tree_rows
        Products that a tree sums in a cycle.
    load_cycles
        Least cycles of a stripe.
    """

    in_turn: IntOrArray
    tree_rows: IntOrArray
    load_cycles: int

    def tile_cycles(
        self, sizes: Sequence[IntOrArray], begins: BoolOrArray, first: BoolOrArray, overlap: BoolOrArray
    ) -> AnyArray:
        """Cycles of single tiles of some sizes along m, n and k; nothing fills."""
        outputs, filters, window = sizes
        return self._striped(outputs) * -(-filters // self.columns) * self._steps(window)

    def _apart(self) -> IntOrArray:
        (outputs, _, window), (last_outputs, _, last_window), (stripes, _, parts) = self.tile, self.rest, self.trips
        striped = (stripes - 1) * self._striped(outputs) + self._striped(last_outputs)
        steps = (parts - 1) * self._steps(window) + self._steps(last_window)
        return self.groups * striped * self._folds_along(1) * steps

    def _striped(self, outputs: IntOrArray) -> IntOrArray:
        """Cycles of some outputs in one step, stripe by stripe."""
        return self._streamed(outputs, self.load_cycles)

    def _steps(self, window: IntOrArray) -> IntOrArray:
        return np.asarray(tree_steps(window, self.in_turn, self.tree_rows))
