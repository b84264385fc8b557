"""Weights that stay on chip: where all of a network fit there, they are fetched once, before the first image."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from addersim.errors import HardwareError
from addersim.hardware.accelerator import Accelerator
from addersim.hardware.traffic import Access
from addersim.trace import Trace

__all__ = ["Residency", "residencies"]


@dataclass(frozen=True, slots=True)
class Residency:
    """What of the memories is taken before the first image.

    Attributes
    ----------
    weights_kept
        Whether all weights and stored constants are on chip.
    machine
        The accelerator with what its memories have left for activations and tiles.
    loads
        Words that are fetched once, before the first image.
    """

    weights_kept: bool
    machine: Accelerator
    loads: tuple[Access, ...] = ()


def residencies(trace: Trace, machine: Accelerator) -> list[Residency]:
    """The ways in which a network's weights may lie in an accelerator's memories, the usual one first.

    A memory of their own holds them if they fit: nothing is lost then, and there is no other way. In a unified memory they
    take room from activations and tiles, so that both ways are to be tried. ``keep_weights`` leaves one of the two.

    Raises
    ------
    HardwareError
        ``keep_weights`` is true and the weights do not fit.
    """
    wanted, memory = machine.buffers.keep_weights, machine.buffers.of("weight")
    away = Residency(False, machine)
    stored = [(layer.weights.words, layer.weights.bits) for layer in trace.layers if not layer.weights_shared]
    words = sum(memory.words(number, bits) for number, bits in stored)
    if wanted is False or not words:
        return [away]
    if words > memory.capacity_words:
        if wanted:
            raise HardwareError(
                f"accelerator {machine.name!r}: keep_weights is true, but the weights of {trace.name} take {words:,} words of "
                f"{memory.word_bits} bits, and its {machine.buffers.memory('weight')} memory has {memory.capacity_words:,}; "
                "leave keep_weights out to fetch them where they do not fit"
            )
        return [away]
    loads = tuple(
        access
        for number, bits in stored
        if number
        for access in (Access("dram", "weight", number, 0, bits), Access("buffer", "weight", 0, number, bits))
    )
    if machine.buffers.unified is None:
        return [Residency(True, machine, loads)]
    left = (memory.capacity_words - words) * memory.word_bits / 8192
    if not left:
        return [away] if wanted is None else [Residency(True, machine, loads)]
    beside = replace(machine, buffers=replace(machine.buffers, unified=replace(memory, capacity_kib=left)))
    kept = Residency(True, beside, loads)
    return [kept] if wanted else [kept, away]
