"""Words that move: what each layer reads from and writes to the on-chip buffers and DRAM.

Rules, each simple enough to check by hand:

- The array reads its operands from the buffers as often as the closed form says (`dataflow.systolic.Folds`): output stationary
  M K ceil(N/C) inputs and K N ceil(M/R) weights; weight stationary M K ceil(N/C) and K N; input stationary M K and
  K N ceil(M/C); a cut of the streamed dimension adds to that. It writes M N sums. (SCALE-Sim adds folds (R + C) to the output
  stationary writes, its issue 166.)
- Sums that need several folds along K stay on chip: each fold but the last writes M N partial sums of the accumulator's width
  to the output memory, and each but the first reads them back. Only tiles that have to leave go to DRAM (`systolic_mapper`).
- A layer on the vector unit reads every input and constant once and writes every output once.
- A fused output is never stored, and its reader reads nothing for it.
- An activation that stays on chip (`schedule.kept_on_chip`) causes no DRAM traffic. The others are written once, and fetched
  by every reader. Weights are fetched once a layer and batch, or as often as the tile loop needs them.
- A word from DRAM is written into its buffer before it is read there; a word to DRAM is read from the output buffer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from addersim.hardware.accelerator import Stored
from addersim.trace import LayerTrace

__all__ = [
    "Access",
    "ArrayWords",
    "Level",
    "Loop",
    "Moved",
    "Tiling",
    "Whole",
    "Widths",
    "array_accesses",
    "output_accesses",
    "stored_outputs",
    "unused_weights",
    "vector_accesses",
]


Whole = Any  # an int, or an array of them: the mapper folds all its candidates in one call


class Loop(NamedTuple):
    """One loop over tiles: the dimension it runs over, how often, and the dimension's size in the largest tile."""

    dimension: str
    trips: int
    tile: int


@dataclass(frozen=True, slots=True)
class Tiling:
    """The tile loop of one group between DRAM and the on-chip memories.

    Attributes
    ----------
    loops
        Outermost first. Dimensions of a matrix product are ``pixels``, ``window`` and ``filters``.
    """

    loops: tuple[Loop, ...]

    def __str__(self) -> str:
        return ", ".join(f"{loop.dimension} {loop.trips} x {loop.tile}" for loop in self.loops)


Level = Literal["register", "network", "buffer", "dram"]
Moved = Stored


class Access(NamedTuple):
    """Words of one operand, of `bits` each, that a layer reads from and writes to one level.

    Levels are the processing elements' registers, the network between them, the on-chip memories and DRAM. A word over the
    network counts as one read for each hop.
    """

    level: Level
    operand: Moved
    reads: int
    writes: int
    bits: int

    @property
    def words(self) -> int:
        """Words in both directions."""
        return self.reads + self.writes

    @property
    def size_bits(self) -> int:
        """Bits in both directions."""
        return self.words * self.bits


class Widths(NamedTuple):
    """Bits of an input, a weight and a running sum."""

    input: int
    weight: int
    partial_sum: int

    @classmethod
    def of(cls, layer: LayerTrace) -> Widths:
        """Those of a window layer."""
        return cls(layer.inputs[0].bits, layer.weights.bits, layer.accumulator_bits or layer.output.bits)


class ArrayWords(NamedTuple):
    """Words that a window layer moves, final outputs not included; numbers or arrays.

    Attributes
    ----------
    inputs, weights
        From DRAM; an input that is kept on chip comes from nowhere.
    spilled
        Sums that go to DRAM and come back.
    input_reads, weight_reads
        From the on-chip memories into the array.
    partial_sums
        Sums that go to the output memory and come back.
    """

    inputs: Whole
    weights: Whole
    spilled: Whole
    input_reads: Whole
    weight_reads: Whole
    partial_sums: Whole

    def beside(self, constants: Whole) -> ArrayWords:
        """And so many stored constants that no tap needs, each fetched and read once."""
        return self._replace(weights=self.weights + constants, weight_reads=self.weight_reads + constants)


def array_accesses(widths: Widths, words: ArrayWords, input_kept: bool) -> tuple[Access, ...]:
    """Accesses of a window layer on a systolic array, final outputs not included."""
    waiting = words.partial_sums + words.spilled
    return (
        *_read("input", words.input_reads, 0 if input_kept else words.inputs, widths.input),
        *_read("weight", words.weight_reads, words.weights, widths.weight),
        Access("buffer", "partial_sum", waiting, waiting, widths.partial_sum),
        Access("dram", "partial_sum", words.spilled, words.spilled, widths.partial_sum),
    )


def vector_accesses(layer: LayerTrace, batch: int, inputs_kept: tuple[bool, ...]) -> tuple[Access, ...]:
    """Accesses of a layer on the vector unit, final outputs not included; for each input whether it is on chip."""
    found: list[Access] = []
    for operand, kept in zip(layer.inputs, inputs_kept, strict=True):
        words = operand.words * batch
        found += _read("input", words, 0 if kept else words, operand.bits)
    if layer.weights.words:
        found += _read("weight", layer.weights.words * batch, layer.weights.words, layer.weights.bits)
    return tuple(access for access in found if access.words)


def unused_weights(layer: LayerTrace) -> int:
    """Stored constants of a window layer that no tap needs."""
    assert layer.work is not None
    return layer.weights.words - layer.work.window * layer.work.filters * layer.work.groups


def stored_outputs(layer: LayerTrace, batch: int) -> int:
    """Final outputs that are stored: none where they are fused."""
    return 0 if layer.fused else layer.output.words * batch


def output_accesses(words: Whole, bits: int, kept: bool) -> tuple[Access, ...]:
    """Writes of final outputs that are stored, and their way to DRAM unless they are kept."""
    if kept:
        return (Access("buffer", "output", 0, words, bits),)
    return Access("buffer", "output", words, words, bits), Access("dram", "output", 0, words, bits)


def _read(operand: Moved, reads: Whole, fetched: Whole, bits: int) -> list[Access]:
    """Reads from a buffer into which `fetched` words came from DRAM."""
    return [Access("buffer", operand, reads, fetched, bits), Access("dram", operand, fetched, 0, bits)]
