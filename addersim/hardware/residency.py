"""Weights that stay on chip: where all of a network fit there, they are fetched once, before the first image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from addersim.errors import HardwareError
from addersim.hardware.accelerator import Accelerator, Buffer
from addersim.hardware.traffic import Access, Level
from addersim.trace import Trace

__all__ = ["Residency", "residencies"]


@dataclass(frozen=True, slots=True)
class Residency:
    """What of the memories is taken before the first image.

    Attributes
    ----------
    weights_kept
        Whether all weights and stored constants are in the first level.
    machine
        The accelerator with what its memories have left for activations and tiles.
    loads
        Words that are fetched once, before the first image.
    l2_words
        Words of the second level that the weights take, where they are there and not in the first.
    """

    weights_kept: bool
    machine: Accelerator
    loads: tuple[Access, ...] = ()
    l2_words: int = 0


_Stored = Sequence[tuple[int, int]]
"""Words of the weights of each layer, and their bits."""


def residencies(trace: Trace, machine: Accelerator) -> list[Residency]:
    """The ways in which a network's weights may lie in an accelerator's memories, the usual one first.

    A memory of their own holds the weights if they fit: nothing is lost then, and there is no other way. In a unified memory,
    and in a second level, they take room from what else lies there, so that all ways are to be tried; ``keep_weights`` leaves
    those in which they stay, or the one in which they do not. Where a second level, no smaller than the first, keeps
    activations, each way is tried with a first level that keeps them too, and with one that is for tiles alone.

    Raises
    ------
    HardwareError
        ``keep_weights`` is true and the weights do not fit.
    """
    buffers = machine.buffers
    weights = [layer.weights for layer in trace.layers if not layer.weights_shared]
    stored = [(one.words, one.bits) for one in weights if one.words]
    ways = [Residency(False, machine)]
    if stored and buffers.keep_weights is not False:
        kept = _ways_to_keep(stored, machine)
        if buffers.keep_weights and not kept:
            raise _too_many(trace, stored, machine)
        lossless = buffers.unified is None and any(way.weights_kept for way in kept)
        ways = kept[:1] if lossless else kept if buffers.keep_weights else kept + ways
    first_kib = sum(memory.capacity_kib for memory in buffers.memories().values())
    if buffers.l2 is None or buffers.l2.capacity_kib < first_kib or not buffers.keep_activations:
        return ways
    return ways + [replace(way, machine=_with(way.machine, keep_activations=False)) for way in ways]


def _ways_to_keep(stored: _Stored, machine: Accelerator) -> list[Residency]:
    """Ways in which all weights stay on chip: in the first level, in the second."""
    buffers, memory, ways = machine.buffers, machine.buffers.of("weight"), []
    if (words := _words(stored, memory)) <= memory.capacity_words:
        left = (memory.capacity_words - words) * memory.word_bits / 8192
        beside = machine
        if buffers.unified is not None:
            beside = _with(machine, unified=msgspec.structs.replace(memory, capacity_kib=left))
        levels: tuple[Level, ...] = ("dram", "buffer") if buffers.l2 is None else ("dram", "l2", "buffer")
        ways.append(Residency(True, beside, _loads(stored, levels)))
    if buffers.l2 is not None and (words := _words(stored, buffers.l2)) <= buffers.l2.capacity_words:
        ways.append(Residency(False, machine, _loads(stored, ("dram", "l2")), words))
    return ways


def _words(stored: _Stored, memory: Buffer) -> int:
    return sum(memory.words(number, bits) for number, bits in stored)


def _loads(stored: _Stored, levels: tuple[Level, ...]) -> tuple[Access, ...]:
    """What brings weights through memories to the last of them."""
    return tuple(
        Access(level, "weight", number * (level != levels[-1]), number * (level != levels[0]), bits)
        for number, bits in stored
        for level in levels
    )


def _with(machine: Accelerator, **changes: Any) -> Accelerator:
    """The accelerator with changed buffers."""
    return msgspec.structs.replace(machine, buffers=msgspec.structs.replace(machine.buffers, **changes))


def _too_many(trace: Trace, stored: _Stored, machine: Accelerator) -> HardwareError:
    memories = {machine.buffers.memory("weight"): machine.buffers.of("weight")}
    if machine.buffers.l2 is not None:
        memories["l2"] = machine.buffers.l2
    found = " and ".join(
        f"take {_words(stored, memory):,} words of {memory.word_bits} bits, and its {name} memory has "
        f"{memory.capacity_words:,}"
        for name, memory in memories.items()
    )
    return HardwareError(
        f"accelerator {machine.name!r}: keep_weights is true, but the weights of {trace.name} {found}; "
        "leave keep_weights out to fetch them where they do not fit"
    )
