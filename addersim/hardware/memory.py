"""Words that move: what each layer reads from and writes to the on-chip buffers and DRAM.

Rules, each simple enough to check by hand:

- The array reads its operands from the buffers as often as the closed form says (`systolic.Folds`): output stationary
  M K ceil(N/C) inputs and K N ceil(M/R) weights; weight stationary M K ceil(N/C) and K N; input stationary M K and
  K N ceil(M/C). It writes M N sums. (SCALE-Sim adds folds (R + C) to the output stationary writes, its issue 166.)
- Weight and input stationary sums that need several folds along K stay on chip: each fold but the last writes M N partial
  sums of the accumulator's width to the output buffer, and each but the first reads them back.
- A layer on the vector unit reads every input and constant once and writes every output once.
- A fused output is never stored, and its reader reads nothing for it.
- An activation that stays on chip (`schedule.kept_on_chip`) causes no DRAM traffic. The others are written once, and fetched
  by every reader. Weights are fetched once a layer and batch.
- An operand that fits its buffer is fetched once. Otherwise: the outer loop holds tiles of one operand (all the words that
  one fold's rows or columns need), so that it is fetched once if a tile fits, else once a pass of the array. The other one
  is fetched once a pass. Weight stationary arrays hold the weights, input stationary ones the inputs. Output stationary ones
  hold whichever costs fewer bits, as many tiles as fit, and the other operand passes once for all of these if one of its own
  tiles fits. With groups, this is asked of one group at a time.
- A word from DRAM is written into its buffer before it is read there; a word to DRAM is read from the output buffer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from addersim.errors import HardwareError
from addersim.hardware.accelerator import Accelerator, Buffer, Buffers, Stored
from addersim.hardware.systolic import Folds, fold
from addersim.trace import LayerTrace, Operand

__all__ = ["Access", "Level", "Moved", "array_accesses", "fold_layer", "output_accesses", "vector_accesses"]

Level = Literal["register", "network", "buffer", "dram"]
Moved = Stored


@dataclass(frozen=True, slots=True)
class Access:
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


def fold_layer(layer: LayerTrace, accelerator: Accelerator, batch: int) -> Folds:
    """How a systolic array runs a window layer for a batch."""
    work = layer.work
    assert work is not None
    array, buffer = accelerator.array, accelerator.buffers.of("partial_sum")
    bits = layer.accumulator_bits or layer.output.bits
    room = buffer.room(bits)
    if array.systolic != "output" and work.window > array.rows and room < array.columns:
        name = accelerator.buffers.memory("partial_sum")
        raise HardwareError(
            f"layer {layer.name}: accelerator {accelerator.name!r}: buffers.{name} of {buffer.capacity_kib:g} KiB holds "
            f"{room} partial sums of {bits} bits, needs {array.columns} (one a column)"
        )
    batched = type(work)(work.pixels * batch, work.window, work.filters, work.groups)
    return fold(batched, array.rows, array.columns, array.systolic, room, array.overlapped_folds)


def array_accesses(layer: LayerTrace, folds: Folds, buffers: Buffers, batch: int, kept: bool) -> tuple[Access, ...]:
    """Accesses of a window layer on a systolic array, final outputs not included."""
    found = _array_reads(layer, folds, buffers, batch, kept)
    if folds.partial_sums:
        bits = layer.accumulator_bits or layer.output.bits
        found.append(Access("buffer", "partial_sum", folds.partial_sums, folds.partial_sums, bits))
    return tuple(access for access in found if access.words)


def vector_accesses(layer: LayerTrace, batch: int, inputs_kept: tuple[bool, ...]) -> tuple[Access, ...]:
    """Accesses of a layer on the vector unit, final outputs not included; for each input whether it is on chip."""
    found = []
    for operand, kept in zip(layer.inputs, inputs_kept, strict=True):
        words = operand.words * batch
        found += _read("input", words, 0 if kept else words, operand.bits)
    found += _read("weight", layer.weights.words * batch, layer.weights.words, layer.weights.bits)
    return tuple(access for access in found if access.words)


def output_accesses(layer: LayerTrace, batch: int, kept: bool) -> tuple[Access, ...]:
    """Writes of a layer's final outputs, and their way to DRAM unless they are kept; none where they are fused."""
    words, bits = layer.output.words * batch, layer.output.bits
    if layer.fused or not words:
        return ()
    if kept:
        return (Access("buffer", "output", 0, words, bits),)
    return Access("buffer", "output", words, words, bits), Access("dram", "output", 0, words, bits)


def _read(operand: Moved, reads: int, fetched: int, bits: int) -> list[Access]:
    """Reads from a buffer into which `fetched` words came from DRAM."""
    return [Access("buffer", operand, reads, fetched, bits), Access("dram", operand, fetched, 0, bits)]


def _array_reads(layer: LayerTrace, folds: Folds, buffers: Buffers, batch: int, kept: bool) -> list[Access]:
    work, (given,), weights = folds.work, layer.inputs, layer.weights
    inputs = Operand(min(given.words * batch, work.pixels * work.window * work.groups), given.bits)
    input_times, weight_times = _fetches(folds, buffers, inputs, weights, kept)
    beside = weights.words - work.window * work.filters * work.groups
    return [
        *_read("input", folds.input_reads, inputs.words * input_times, inputs.bits),
        *_read("weight", folds.weight_reads + beside, weights.words * weight_times, weights.bits),
    ]


@dataclass(frozen=True, slots=True)
class _Stream:
    """One operand of one group on its way from DRAM: passes of the array, words in all, room in its buffer, its tile."""

    passes: int
    whole: int
    room: int
    tile: int | None

    @classmethod
    def of(cls, operand: Operand, groups: int, passes: int, buffer: Buffer, tile: int | None) -> _Stream:
        whole = max(1, -(-operand.words // groups))
        room = buffer.room(operand.bits) if operand.bits else whole
        return cls(passes, whole, room, None if tile is None else min(tile, whole))


def _fetches(folds: Folds, buffers: Buffers, inputs: Operand, weights: Operand, kept: bool) -> tuple[int, int]:
    """How often DRAM delivers the inputs and the weights: the cheaper of the loop orders that the dataflow allows."""
    given = _Stream.of(inputs, folds.work.groups, folds.input_passes, buffers.of("input"), folds.input_tile)
    constant = _Stream.of(weights, folds.work.groups, folds.weight_passes, buffers.of("weight"), folds.weight_tile)
    orders = []
    if constant.tile is not None:
        weight_times, input_times = _nest(constant, given)
        orders.append((input_times, weight_times))
    if given.tile is not None:
        orders.append(_nest(given, constant))
    choices = [(0 if kept else input_times, weight_times) for input_times, weight_times in orders]
    return min(choices, key=lambda choice: choice[0] * inputs.size_bits + choice[1] * weights.size_bits)


def _nest(outer: _Stream, inner: _Stream) -> tuple[int, int]:
    """Fetches of the operand that the outer loop holds, and of the one that passes by."""
    held = outer.room // outer.tile if outer.tile else 0
    if inner.whole <= inner.room:
        times = 1
    elif held and inner.tile is not None and inner.tile <= inner.room:
        times = -(-inner.passes // held)
    else:
        times = inner.passes
    return (1 if held else outer.passes), times
