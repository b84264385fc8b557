"""A batch as parts that run one after another, where that is better than all of its images together, layer by layer.

Together the images share each fetch of the weights; in parts more of their activations may stay on chip, and tiles that one
image fills exactly do not straddle two. Batches of up to 16 images are cut in every way, so that none of them is dearer than
its parts are; larger ones in up to 16 parts as even as possible, and in parts of up to 16 images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from addersim.arithmetic.ops import sum_by_key
from addersim.hardware.cost import EnergyPart, LayerCost
from addersim.hardware.traffic import Access

__all__ = ["Parts", "added", "best_parts", "ways_to_cut"]

Parts = Mapping[int, int]
"""How many parts of a batch have a number of images."""
_MOST = 16


def ways_to_cut(batch: int) -> Iterator[Parts]:
    """Ways to run a batch in parts, the whole batch first.

    Examples
    --------
    >>> [dict(parts) for parts in ways_to_cut(4)]
    [{4: 1}, {3: 1, 1: 1}, {2: 2}, {2: 1, 1: 2}, {1: 4}]
    """
    if batch <= _MOST:
        yield from map(Counter, _partitions(batch, batch))
        return
    for number in range(1, _MOST + 1):
        least, larger = divmod(batch, number)
        yield _present({least + 1: larger, least: number - larger})
    for size in range(_MOST, 0, -1):
        yield _present({size: batch // size, batch % size: 1})


def best_parts(batch: int, value: Callable[[Parts], tuple[float, ...]]) -> Parts:
    """The way to cut a batch of the least value, the first of equals."""
    return min(ways_to_cut(batch), key=value)


def added(layers: Sequence[tuple[LayerCost, int]]) -> LayerCost:
    """One layer as it runs in several parts of a batch, each as often as is said, the largest part first."""
    (largest, _), *others = layers
    if not others and layers[0][1] == 1:
        return largest

    def on_average(field: str, cycles: str) -> float:
        weights = [getattr(one, cycles) * number for one, number in layers]
        weighed = sum(getattr(one, field) * weight for (one, _), weight in zip(layers, weights, strict=True))
        return weighed / sum(weights) if any(weights) else 0.0

    reads = sum_by_key(((one.level, one.operand, one.bits), one.reads * times) for one, times in _accesses(layers))
    writes = sum_by_key(((one.level, one.operand, one.bits), one.writes * times) for one, times in _accesses(layers))
    energy = sum_by_key(((part.component, part.of), part.energy_pj * number) for one, number in layers for part in one.parts)
    return replace(
        largest,
        cycles=sum(one.cycles * number for one, number in layers),
        compute_cycles=sum(one.compute_cycles * number for one, number in layers),
        buffer_cycles=sum(one.buffer_cycles * number for one, number in layers),
        dram_cycles=sum(one.dram_cycles * number for one, number in layers),
        taps=sum(one.taps * number for one, number in layers),
        utilisation=on_average("utilisation", "cycles"),
        mapping_efficiency=on_average("mapping_efficiency", "compute_cycles"),
        parts=tuple(EnergyPart(component, of, pj) for (component, of), pj in energy.items()),
        accesses=tuple(
            Access(level, operand, reads[level, operand, bits], writes[level, operand, bits], bits)
            for level, operand, bits in reads
        ),
    )


def _accesses(layers: Sequence[tuple[LayerCost, int]]) -> Iterator[tuple[Access, int]]:
    return ((access, number) for one, number in layers for access in one.accesses)


def _present(parts: Parts) -> Parts:
    return {size: number for size, number in parts.items() if size and number}


def _partitions(total: int, most: int) -> Iterator[list[int]]:
    """Ways to write a number as a sum of falling numbers, none above `most`."""
    if not total:
        yield []
    for first in range(min(total, most), 0, -1):
        for others in _partitions(total - first, first):
            yield [first, *others]
