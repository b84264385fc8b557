"""Weights that stay on chip: they are fetched once, before the first image; all of a network where they fit, else of some
layers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from addersim.errors import HardwareError
from addersim.hardware.accelerator import Accelerator, Buffer
from addersim.hardware.kept_weights import fullest_subsets
from addersim.hardware.traffic import Access, Level
from addersim.trace import Operand, Trace

__all__ = ["Residency", "residencies"]


@dataclass(frozen=True, slots=True)
class Residency:
    """What of the memories is taken before the first image.

    Attributes
    ----------
    kept
        Layers whose weights and stored constants are in the first level.
    machine
        The accelerator with what its memories have left for activations and tiles.
    whole
        The same with all that its memories have, as if weights that stay took none of it.
    loads
        Words that are fetched once, before the first image.
    kept_in_l2
        Layers whose weights are in the second level and not in the first.
    l2_words
        Words of the second level that these take.
    """

    kept: frozenset[int]
    machine: Accelerator
    whole: Accelerator
    loads: tuple[Access, ...] = ()
    kept_in_l2: frozenset[int] = frozenset()
    l2_words: int = 0

    @property
    def stays(self) -> frozenset[int]:
        """Layers whose weights stay at either level."""
        return self.kept | self.kept_in_l2

    def cold_start_pj(self, energy_pj: Callable[[Access], float]) -> float:
        """Energy of what is fetched once, by the energy of an access."""
        return sum(energy_pj(access) for access in self.loads)


def residencies(trace: Trace, machine: Accelerator) -> list[Residency]:
    """The ways in which a network's weights may lie in an accelerator's memories, those that keep the most first.

    A memory of their own holds the weights if all fit: nothing is lost then, and there is no other way. Else those of some
    layers may stay there (`kept_weights`), and the others have the rest for their tiles. In a unified memory, and in a second
    level, weights that stay take room from all else that lies there. So all ways are to be tried; ``keep_weights`` leaves
    those in which all stay, or the one in which none do. Layers that use weights of another one stay with all others or not
    at all: a trace does not say whose weights they are. Where a second level, no smaller than the first, keeps activations,
    each way is tried with a first level that keeps them too, and with one that is for tiles alone.

    Raises
    ------
    HardwareError
        ``keep_weights`` is true and the weights do not fit.
    """
    buffers = machine.buffers
    own = {at: layer.weights for at, layer in enumerate(trace.layers) if layer.weights.words and not layer.weights_shared}
    ways = [Residency(frozenset(), machine, machine)]
    if own and buffers.keep_weights is not False:
        whole = _ways_to_keep_all(own, trace, machine)
        if buffers.keep_weights and not whole:
            raise _too_many(trace, own, machine)
        if buffers.unified is None and any(way.kept for way in whole):
            ways = whole[:1]
        else:
            ways = whole if buffers.keep_weights else [*whole, *_ways_to_keep_some(own, machine), *ways]
    first_kib = sum(memory.capacity_kib for memory in buffers.memories().values())
    if buffers.l2 is None or buffers.l2.capacity_kib < first_kib or not buffers.keep_activations:
        return ways
    without = [(way, _for_tiles_alone(way.machine), _for_tiles_alone(way.whole)) for way in ways]
    return ways + [replace(way, machine=left, whole=whole) for way, left, whole in without]


_Weights = Mapping[int, Operand]
"""Weights of layers, by their places."""


def _ways_to_keep_all(own: _Weights, trace: Trace, machine: Accelerator) -> list[Residency]:
    """Ways in which all weights stay on chip: in the first level, in the second."""
    every = frozenset(range(len(trace.layers)))
    return [place(own, own, every, machine) for memory, place in _places(machine) if _fits(own.values(), memory)]


def _ways_to_keep_some(own: _Weights, machine: Accelerator) -> Iterator[Residency]:
    """Ways in which the weights of some layers stay in the first level or in the second, and the others' do not."""
    bits = {at: one.size_bits for at, one in own.items()}
    for memory, place in _places(machine):
        words = {at: memory.words(one.words, one.bits) for at, one in own.items()}
        for some in fullest_subsets(words, bits, memory.capacity_words):
            if len(some) < len(own):
                yield place(own, sorted(some), some, machine)


def _places(machine: Accelerator) -> list[tuple[Buffer, Callable[..., Residency]]]:
    """The memories that weights may stay in, and how they do."""
    buffers = machine.buffers
    return [(buffers.of("weight"), _in_first_level), *([] if buffers.l2 is None else [(buffers.l2, _in_second_level)])]


def _in_first_level(own: _Weights, some: Collection[int], served: frozenset[int], machine: Accelerator) -> Residency:
    """Weights of some layers in the first level; they serve these, and others that use them."""
    buffers, memory, stored = machine.buffers, machine.buffers.of("weight"), [own[at] for at in some]
    levels: tuple[Level, ...] = ("dram", "buffer") if buffers.l2 is None else ("dram", "l2", "buffer")
    loads = _loads(stored, levels)
    if buffers.unified is None and len(stored) == len(own):
        return Residency(served, machine, machine, loads)
    left = (memory.capacity_words - _words(stored, memory)) * memory.word_bits / 8192
    beside = msgspec.structs.replace(memory, capacity_kib=left)
    return Residency(served, _with(machine, **{buffers.memory("weight"): beside}), machine, loads)


def _in_second_level(own: _Weights, some: Collection[int], served: frozenset[int], machine: Accelerator) -> Residency:
    """Weights of some layers in the second level, of which the first fetches them."""
    stored, memory = [own[at] for at in some], machine.buffers.l2
    assert memory is not None
    return Residency(frozenset(), machine, machine, _loads(stored, ("dram", "l2")), served, _words(stored, memory))


def _fits(stored: Collection[Operand], memory: Buffer) -> bool:
    return _words(stored, memory) <= memory.capacity_words


def _words(stored: Collection[Operand], memory: Buffer) -> int:
    return sum(memory.words(one.words, one.bits) for one in stored)


def _loads(stored: Collection[Operand], levels: tuple[Level, ...]) -> tuple[Access, ...]:
    """What brings weights through memories to the last of them."""
    return tuple(
        Access(level, "weight", one.words * (level != levels[-1]), one.words * (level != levels[0]), one.bits)
        for one in stored
        for level in levels
    )


def _with(machine: Accelerator, **changes: Any) -> Accelerator:
    """The accelerator with changed buffers."""
    return msgspec.structs.replace(machine, buffers=msgspec.structs.replace(machine.buffers, **changes))


def _for_tiles_alone(machine: Accelerator) -> Accelerator:
    """The accelerator with a first level that keeps no activations."""
    return _with(machine, keep_activations=False)


def _too_many(trace: Trace, own: _Weights, machine: Accelerator) -> HardwareError:
    memories = {machine.buffers.memory("weight"): machine.buffers.of("weight")}
    if machine.buffers.l2 is not None:
        memories["l2"] = machine.buffers.l2
    found = " and ".join(
        f"take {_words(own.values(), memory):,} words of {memory.word_bits} bits, and its {name} memory has "
        f"{memory.capacity_words:,}"
        for name, memory in memories.items()
    )
    return HardwareError(
        f"accelerator {machine.name!r}: keep_weights is true, but the weights of {trace.name} {found}; "
        "leave keep_weights out to fetch them where they do not fit"
    )
