"""Sums to codes by thresholds of each channel: any function of a sum that never falls, or never rises, exactly."""

from __future__ import annotations

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.ops import OpCounts
from addersim.errors import NetworkError
from addersim.layers.base import Array, Bill, Engine, IntegerLayer, Run, Value
from addersim.trace import Operand

__all__ = ["IntegerThresholds"]

FEW = 16
"""Thresholds up to this number are compared one after the other, more are searched for."""


class IntegerThresholds(IntegerLayer, frozen=True, tag="thresholds"):
    """``first`` plus the number of thresholds that ``x * signs`` reaches: FINN's MultiThreshold (arXiv 1612.07119).

    Nothing is rounded, so that no rule of rounding changes it.

    Attributes
    ----------
    thresholds
        int64 of 32 bits, shape ``(levels, channels)`` or ``(levels, 1)``; those of a channel do not fall.
    signs
        int8, +1 where the function rises with the sum and -1 where it falls, shape ``(channels,)`` or ``(1,)``.
    first
        The code below all thresholds.
    """

    thresholds: np.ndarray
    signs: np.ndarray
    first: int
    output: FixedFormat

    READS_SUMS = True
    TAKES_ZERO_POINTS = True

    def __post_init__(self) -> None:
        super().__post_init__()
        where, held = f"layer {self.name}", self.thresholds
        if held.dtype != np.int64 or held.ndim != 2 or not held.size:
            raise NetworkError(f"{where}: thresholds are {held.dtype} {held.shape}; expected int64, a row a level")
        if np.abs(held).max() > 1 << 31 or (np.diff(held, axis=0) < 0).any():
            raise NetworkError(f"{where}: thresholds of a channel are whole numbers of 32 bits that do not fall")
        if self.signs.dtype != np.int8 or self.signs.shape != held.shape[1:] or not np.isin(self.signs, (-1, 1)).all():
            found = f"{self.signs.dtype} {self.signs.shape}"
            raise NetworkError(f"{where}: signs are {found}; expected int8, -1 or 1 for each of {held.shape[1]} channels")
        if not self.output.minimum <= self.first <= self.first + len(held) <= self.output.maximum:
            codes = f"{self.first}..{self.first + len(held)}"
            raise NetworkError(f"{where}: {len(held)} thresholds give codes {codes}, which do not lie in {self.output}")

    def value(self, *inputs: Value) -> Value:
        shape, channels = inputs[0].shape, len(self.signs)
        if channels not in (1, shape[0]):
            raise NetworkError(f"layer {self.name}: {channels} channels, the input {shape} has {shape[0]}")
        return Value.of(shape, self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        x = codes[0]
        x = x if (self.signs == 1).all() else x.astype(np.int64) * self.signs
        found = self._compared(x) if len(self.thresholds) <= FEW else self._searched(x)
        return Run((found + self.first).astype(self.output.dtype))

    def _compared(self, x: Array) -> Array:
        found = np.zeros(x.shape, np.int16)
        ends = np.iinfo(x.dtype)  # a threshold beyond the codes' type is one that all of them, or none, reach
        for row in self.thresholds:
            reached = np.clip(row, ends.min, ends.max).astype(x.dtype)
            found += (x >= reached) & (row <= ends.max)
        return found

    def _searched(self, x: Array) -> Array:
        found = np.empty(x.shape, np.int32)
        for channel in range(x.shape[-1]):
            row = self.thresholds[:, channel if len(self.signs) > 1 else 0]
            found[..., channel] = np.searchsorted(row, x[..., channel], side="right")
        return found

    def details(self) -> str:
        return f"{len(self.thresholds)} a channel"

    def bill(self, output: Value, *inputs: Value) -> Bill:
        """A comparison a threshold, and the sum of their outcomes; what else is due to a sum is part of the thresholds."""
        (given,), levels = inputs, len(self.thresholds)
        sums = {("add", self.output.bits): (levels - 1) * output.words} if levels > 1 else {}
        steps = OpCounts({("cmp", given.bits): levels * output.words}) + OpCounts(sums)
        return Bill(steps, weights=Operand(self.thresholds.size, given.bits))
