"""What brings tiles to the first level and takes results from it: DRAM, and a second level whose banks bound its words.

Both work at the same time: what moves for a tile takes as long as the slowest of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import NamedTuple

import numpy as np

from addersim.hardware.accelerator import Accelerator, Buffer
from addersim.hardware.arrays import AnyArray, IntOrArray, fewer
from addersim.hardware.traffic import ALL, Access, Level

__all__ = ["Channel", "channels", "slowest"]


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
