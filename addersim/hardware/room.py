"""Room for tiles: what the on-chip memories hold of a layer's inputs, weights and sums at a time."""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm
from typing import NamedTuple

import numpy as np

from addersim.hardware.accelerator import Buffers, Stored
from addersim.hardware.footprint import Footprint
from addersim.hardware.systolic import Whole

__all__ = ["Room", "Widths", "tile_words"]

_TILED: tuple[Stored, ...] = ("input", "weight", "partial_sum")


class Widths(NamedTuple):
    """Bits of an input, a weight and a running sum."""

    input: int
    weight: int
    partial_sum: int


class _Memory(NamedTuple):
    """One memory: what it holds for tiles, and what a word of each operand takes of it; 0 where it lies elsewhere."""

    name: str
    limit: int
    input: int
    weight: int
    partial_sum: int


def tile_words(buffers: Buffers, name: str) -> int:
    """Memory words that the tiles of one step may take.

    Half of a memory that also keeps activations is theirs. Where transfers overlap, half of what is left is filled while the
    other half is in use.
    """
    share = 1 + (buffers.keep_activations and name != "weight")
    return buffers.memories()[name].capacity_words // (share * (1 + buffers.double_buffered))


@dataclass(frozen=True, slots=True)
class Room:
    """Room for the tiles of one layer; an input that is kept on chip takes none of it."""

    memories: tuple[_Memory, ...]

    @classmethod
    def of(cls, buffers: Buffers, widths: Widths, input_kept: bool) -> Room:
        """Room that the memories of an accelerator give to operands of some widths."""
        found = []
        for name, buffer in buffers.memories().items():
            sizes = {
                operand: buffer.share(bits)
                for operand, bits in zip(_TILED, widths, strict=True)
                if buffers.memory(operand) == name and not (operand == "input" and input_kept)
            }
            scale = lcm(*(size.denominator for size in sizes.values()))
            shares = {operand: int(size * scale) for operand, size in sizes.items()}
            limit = tile_words(buffers, name) - max(0, len(shares) - 1)  # each tile starts a word of its own
            found.append(_Memory(name, max(0, limit) * scale, *(shares.get(operand, 0) for operand in _TILED)))
        return cls(tuple(found))

    def fits(self, inputs: Whole, weights: Whole, sums: Whole) -> Whole:
        """Whether tiles of so many words fit all memories."""
        fitting: Whole = True
        for one in self.memories:
            fitting = fitting & (one.input * inputs + one.weight * weights + one.partial_sum * sums <= one.limit)
        return fitting

    def too_small(self, inputs: int, weights: int, sums: int) -> str | None:
        """Name of the first memory that has no room for tiles of so many words."""
        for one in self.memories:
            if one.input * inputs + one.weight * weights + one.partial_sum * sums > one.limit:
                return one.name
        return None

    def most_window(self, footprint: Footprint, window: int, pixels: Whole, filters: Whole, sums: Whole) -> Whole:
        """Taps, up to the whole window, of the largest tile that fits beside so many pixels, filters and sums.

        0 or less where none does.
        """
        most: Whole = window
        for one in self.memories:
            free = one.limit - one.partial_sum * sums if one.partial_sum else one.limit
            if one.input:
                fitting = _most_window(footprint, pixels, one.input, one.weight * filters if one.weight else 0, free, window)
            elif one.weight:
                fitting = free // (one.weight * filters)
            else:
                fitting = np.where(free >= 0, window, 0)
            most = np.minimum(most, fitting)
        return most


def _most_window(footprint: Footprint, pixels: Whole, per_input: int, per_tap: Whole, free: Whole, window: int) -> Whole:
    """Largest window for which inputs and weights fit, by any of the three bounds on a tile's inputs."""
    taps, channel = footprint.taps, per_input * footprint.per_channel(pixels)
    by_pixel = free // (per_input * pixels + per_tap)
    channels = free // (channel + taps * per_tap)
    by_channel = channels * taps
    if isinstance(per_tap, int):  # weights lie elsewhere
        by_image = np.where(free >= per_input * footprint.words, window, 0)
    else:
        part = (free - (channels + 1) * channel) // per_tap  # one channel more, but not all of its taps
        by_channel = np.maximum(by_channel, np.minimum(part, by_channel + taps))
        by_image = (free - per_input * footprint.words) // per_tap
    return np.maximum(np.maximum(by_pixel, by_channel), by_image)
