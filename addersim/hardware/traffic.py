"""Words that move: what each layer reads from and writes to the on-chip buffers and DRAM.

Rules, each simple enough to check by hand:

- The array reads its operands from the buffers as often as the closed form says (`dataflow.systolic.Folds`): output stationary
  M K ceil(N/C) inputs and K N ceil(M/R) weights; weight stationary M K ceil(N/C) and K N; input stationary M K and K N
  ceil(M/C); a cut of the dimension that passes in time adds to that. It writes M N sums. (SCALE-Sim adds folds (R + C) to the
  output stationary writes, its issue 166.)
- Sums that need several folds along K stay on chip: each fold but the last writes M N partial sums of the accumulator's width
  to the output memory, and each but the first reads them back. Only tiles of sums that the mapper evicts go to DRAM
  (`systolic_mapper`).
- A layer on the vector unit reads every input and constant once and writes every output once.
- A fused output is never stored, and its reader reads nothing for it.
- An activation that stays on chip (`schedule.kept_on_chip`) causes no DRAM traffic. The others are written once, and fetched
  by every reader. Weights are fetched once a layer and batch, or as often as the tile loop needs them; never where they stay
  on chip (`residency`).
- A word from DRAM is written into its buffer before it is read there; a word to DRAM is read from the output buffer.
- With a second level (`second_level`) what the buffers exchange with DRAM they exchange with `l2`, and l2 with DRAM what does
  not lie there: each word is written into l2 once and read from it once on its way, or read again without DRAM.
- `PACKING`: a memory word of 64 bits holds eight operands of 8 bits, and each access is taken to use all eight. That depends
  on how a layer's data lie: of a depthwise layer with channels last one of eight is of use, with stride 2 every other one, so
  that up to 8 and 2 times as many accesses are needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from addersim.arithmetic.ops import sum_by_key
from addersim.hardware.accelerator import Buffers, Stored
from addersim.hardware.arrays import AnyArray, IntOrArray, fewer
from addersim.trace import LayerTrace

__all__ = [
    "ALL",
    "PACKING",
    "Access",
    "ArrayTraffic",
    "Backing",
    "Level",
    "Loop",
    "Stored",
    "Tiling",
    "Widths",
    "array_traffic",
    "memory_words",
    "output_traffic",
    "stored_outputs",
    "sum_bits",
    "through_l2",
    "unused_weights",
    "vector_traffic",
]


PACKING = (
    "operands are taken to lie so that every access uses a full word; depthwise layers with channels last take up to 8 times, "
    "stride 2 twice as many accesses"
)
"""The assumption behind the number of memory accesses, in words."""


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


Level = Literal["register", "network", "buffer", "l2", "dram"]


class Access(NamedTuple):
    """Words of one operand, of `bits` each, that a layer reads from and writes to one level.

    Levels are the processing elements' registers, the network between them, the on-chip memories, those of a second level, and
    DRAM. A write to an on-chip memory is a fill where DRAM delivers it, a read of the output memory a drain where DRAM takes
    it. A word over the network counts as one read for each hop. `coded_bits` are those that a word takes in DRAM, on average,
    where runs of zeros are coded there (`zero_savings`); None: `bits`.
    """

    level: Level
    operand: Stored
    reads: int
    writes: int
    bits: int
    coded_bits: float | None = None

    @property
    def words(self) -> int:
        """Words in both directions."""
        return self.reads + self.writes

    @property
    def size_bits(self) -> float:
        """Bits in both directions."""
        return self.words * (self.bits if self.coded_bits is None else self.coded_bits)


def sum_bits(layer: LayerTrace) -> int:
    """Width of a window layer's running sums."""
    return layer.accumulator_bits or layer.output.bits


class Widths(NamedTuple):
    """Bits of an input, a weight and a running sum."""

    input: int
    weight: int
    partial_sum: int

    @classmethod
    def of(cls, layer: LayerTrace) -> Widths:
        """Widths in which a window layer's operands are stored, and that of its accumulator."""
        return cls(layer.inputs[0].bits, layer.weights.bits, sum_bits(layer))


class ArrayTraffic(NamedTuple):
    """Words that a window layer moves, final outputs not included: numbers, or arrays for many tilings.

    Attributes
    ----------
    input_fills, weight_fills
        From DRAM into the on-chip memories; an input that is kept on chip is there already.
    spilled_sums
        Partial sums that go to DRAM and come back.
    input_reads, weight_reads
        From the on-chip memories into the array.
    partial_sums
        Sums that go to the output memory and come back.
    """

    input_fills: IntOrArray
    weight_fills: IntOrArray
    spilled_sums: IntOrArray
    input_reads: IntOrArray
    weight_reads: IntOrArray
    partial_sums: IntOrArray

    def with_constants(self, constants: IntOrArray) -> ArrayTraffic:
        """The same traffic and stored constants that are no weights of a tap: each is filled in and read once."""
        return self._replace(weight_fills=self.weight_fills + constants, weight_reads=self.weight_reads + constants)


ALL = 1 << 62
"""More words than any layer moves."""


class Backing(NamedTuple):
    """How many words of a layer's operands DRAM moves at most, where there is a second level: it has the others.

    0 where an operand lies in l2 throughout, its size where it is fetched into l2 whole, `ALL` where it passes tile by tile.

    Attributes
    ----------
    inputs
        Of each input.
    weight, partial_sum, output
        Of the weights with all stored constants; of partial sums that leave, each way; of final outputs.
    """

    inputs: tuple[int, ...]
    weight: int
    partial_sum: int
    output: int

    def of(self, operand: Stored) -> int:
        """That of an operand of a window layer, which has one input."""
        most: int = self.inputs[0] if operand == "input" else getattr(self, operand)
        return most


def through_l2(accesses: Iterable[Access], backing: Backing | None) -> tuple[Access, ...]:
    """Accesses of a window layer, or of final outputs, as they are with a second level, if there is one."""
    if backing is None:
        return tuple(accesses)
    return tuple(part for access in accesses for part in _beyond(access, backing.of(access.operand)))


def _beyond(access: Access, most: int | None) -> tuple[Access, ...]:
    """What becomes of words that the first level exchanges with DRAM."""
    if access.level != "dram" or most is None:
        return (access,)
    reads, writes = fewer(access.reads, most), fewer(access.writes, most)
    l2 = access._replace(level="l2", reads=access.reads + writes, writes=access.writes + reads, coded_bits=None)
    return l2, access._replace(reads=reads, writes=writes)


def array_traffic(
    widths: Widths, words: ArrayTraffic, input_kept: bool, weights_kept: bool = False, coded_bits: float | None = None
) -> tuple[Access, ...]:
    """Reads and writes of a window layer on a systolic array, final outputs not included."""
    input_fills, weight_fills, spilled, input_reads, weight_reads, partial_sums = map(int, words)
    waiting = partial_sums + spilled
    return (
        *_read("input", input_reads, 0 if input_kept else input_fills, widths.input, coded_bits),
        *_read("weight", weight_reads, 0 if weights_kept else weight_fills, widths.weight),
        Access("buffer", "partial_sum", waiting, waiting, widths.partial_sum),
        Access("dram", "partial_sum", spilled, spilled, widths.partial_sum),
    )


def vector_traffic(
    layer: LayerTrace,
    batch: int,
    inputs_kept: tuple[bool, ...],
    weights_kept: bool = False,
    backing: Backing | None = None,
) -> tuple[Access, ...]:
    """Reads and writes of a layer on the vector unit, final outputs not included; for each input whether it is on chip."""
    traffic: list[Access] = []
    behind = (None,) * len(layer.inputs) if backing is None else backing.inputs
    for operand, kept, most in zip(layer.inputs, inputs_kept, behind, strict=True):
        words = operand.words * batch
        for access in _read("input", words, 0 if kept else words, operand.bits, operand.coded_bits):
            traffic += _beyond(access, most)
    if layer.weights.words:
        fills = 0 if weights_kept else layer.weights.words
        for access in _read("weight", layer.weights.words * batch, fills, layer.weights.bits):
            traffic += _beyond(access, backing and backing.weight)
    return tuple(access for access in traffic if access.words)


def unused_weights(layer: LayerTrace) -> int:
    """Stored constants of a window layer beyond the weights of its matrix products."""
    assert layer.work is not None
    return layer.weights.words - layer.work.weights


def stored_outputs(layer: LayerTrace, batch: int) -> int:
    """Final outputs that are stored: none where they are fused."""
    return 0 if layer.fused else layer.output.words * batch


def output_traffic(
    words: int, bits: int, kept: bool, coded_bits: float | None = None, backing: Backing | None = None
) -> tuple[Access, ...]:
    """Writes of final outputs that are stored, and their way to DRAM unless they are kept."""
    if kept:
        return (Access("buffer", "output", 0, words, bits),)
    beyond = through_l2([Access("dram", "output", 0, words, bits, coded_bits)], backing)
    return Access("buffer", "output", words, words, bits), *(access for access in beyond if access.words)


def memory_words(accesses: Iterable[Access], buffers: Buffers) -> dict[str, AnyArray]:
    """Words that each on-chip memory reads and writes; arrays where accesses hold arrays."""
    memories = buffers.all_memories()
    return sum_by_key(
        (name, memories[name].words(reads, bits) + memories[name].words(writes, bits))
        for level, operand, reads, writes, bits, _ in accesses
        if level in ("buffer", "l2")
        for name in ("l2" if level == "l2" else buffers.memory(operand),)
    )


def _read(operand: Stored, reads: int, fills: int, bits: int, coded_bits: float | None = None) -> list[Access]:
    """Reads from an on-chip memory, and the words that DRAM fills into it before."""
    return [Access("buffer", operand, reads, fills, bits), Access("dram", operand, fills, 0, bits, coded_bits)]
