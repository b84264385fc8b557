"""What brings tiles to the first level and takes results from it: DRAM, and a second level whose banks bound its words.

Both work at the same time: what moves for a tile takes as long as the slowest of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from functools import reduce
from typing import NamedTuple

import numpy as np

from addersim.hardware.accelerator import Accelerator, Buffer, Stored
from addersim.hardware.arrays import AnyArray, FloatArray, IntArray, IntOrArray, fewer
from addersim.hardware.dataflow.array_run import Beside
from addersim.hardware.traffic import ALL, Access, Level

__all__ = ["Channel", "ChannelCycles", "channels", "slowest"]


class Channel(NamedTuple):
    """DRAM or the second level: what it moves in a cycle, bits of DRAM or words of a memory."""

    level: Level
    rate: float
    memory: Buffer | None = None

    def cycles(self, accesses: Iterable[Access]) -> AnyArray:
        """Cycles of its share of accesses, parts of cycles included."""
        mine = [one for one in accesses if one.level == self.level]
        memory = self.memory
        if memory is None:
            return sum(one.size_bits for one in mine) / self.rate
        return sum(memory.words(words, one.bits) for one in mine for words in (one.reads, one.writes)) / self.rate

    def word_cycles(self, bits: float) -> float:
        """Cycles of one operand, one way; in DRAM it may be coded, in bits that are no whole number."""
        return bits / self.rate if self.memory is None else self.memory.share(int(bits)) / self.rate

    def passing(self, words: IntOrArray, most: IntOrArray | None) -> tuple[IntOrArray, IntOrArray]:
        """Words that it moves where the first level asks for some words for the first time, and where it asks again; DRAM
        moves `most` of them (`Backing`), all where there is no second level (None)."""
        if most is None:
            return words, words
        first, again = fewer(words, most), words * (np.asarray(most) >= ALL)
        return (first, again) if self.memory is None else (words + first, words + again)


def channels(accelerator: Accelerator) -> list[Channel]:
    """DRAM, and the second level where there is one that has a number of banks."""
    dram, memory = Channel("dram", accelerator.dram_bits_per_cycle), accelerator.buffers.l2
    return [dram] if memory is None or memory.banks is None else [dram, Channel("l2", memory.banks, memory)]


def slowest(cycles: Iterable[AnyArray]) -> AnyArray:
    """The longest of cycles, number by number."""
    return reduce(np.maximum, cycles)


class ChannelCycles:
    """Cycles of a channel, of each layer: of what does not depend on tiles, before the first and after the last sums; and of
    one word of an operand, of a weight the first time and again."""

    def __init__(
        self,
        channel: Channel,
        fixed: Sequence[Beside],
        widths: Mapping[Stored, AnyArray],
        most: Mapping[Stored, IntArray | None],
        fetched: IntArray,
    ) -> None:
        self.channel, level = channel, channel.level
        self.start = np.array([channel.cycles(one.constants(level)) for one in fixed], np.float64)
        self.finished = np.array([channel.cycles(one.activations(level)) for one in fixed], np.float64)
        word = {name: np.array([channel.word_cycles(bits) for bits in of_layers]) for name, of_layers in widths.items()}
        self.input: FloatArray = word["input"]
        first, again = channel.passing(fetched.astype(np.int64), most["weight"])
        self.weight: FloatArray = first * word["weight"]
        self.weight_again: FloatArray = self.weight if first is again else again * word["weight"]
        sums, _ = channel.passing(np.ones_like(fetched, np.int64), most["partial_sum"])
        self.partial_sum: FloatArray = sums * word["partial_sum"]

    @property
    def columns(self) -> tuple[FloatArray, ...]:
        """Cycles of each layer, where weights take as long again as the first time: those of a DRAM without a second level."""
        return self.start, self.finished, self.input, self.weight, self.partial_sum

    @classmethod
    def joined(cls, several: Sequence[ChannelCycles]) -> ChannelCycles:
        """The layers of several channels of one rate, all of them DRAM without a second level."""
        return several[0]._of(map(np.concatenate, zip(*(one.columns for one in several), strict=True)))

    def at(self, places: IntArray) -> ChannelCycles:
        """Some of the layers of DRAM without a second level."""
        return self._of(column[places] for column in self.columns)

    def _of(self, columns: Iterable[FloatArray]) -> ChannelCycles:
        changed = copy(self)
        changed.start, changed.finished, changed.input, changed.weight, changed.partial_sum = columns
        changed.weight_again = changed.weight
        return changed
