"""A batch as parts that run one after another, where that is better than all of its images together, layer by layer.

Together the images share each fetch of the weights; in parts more of their activations may stay on chip, and tiles that one
image fills exactly do not straddle two. Batches of up to 16 images are cut in every way, so that none of them is dearer than
its parts are; larger ones in parts whose numbers of images are powers of two, so that few numbers are worked out, or, where
each takes seconds, image by image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from addersim.arithmetic.ops import sum_by_key
from addersim.hardware.layer_cost import EnergyPart, LayerCost
from addersim.hardware.traffic import Access

__all__ = ["Parts", "added", "best_parts", "ways_to_cut"]

Parts = Mapping[int, int]
"""How many parts of a batch have a number of images."""
_MOST = 16


def ways_to_cut(batch: int, few: bool = False) -> Iterator[Parts]:
    """Ways to run a batch in parts, the whole batch first; `few` leaves a large one whole or takes its images one by one.

    Examples
    --------
    >>> [dict(parts) for parts in ways_to_cut(4)]
    [{4: 1}, {3: 1, 1: 1}, {2: 2}, {2: 1, 1: 2}, {1: 4}]
    >>> [dict(parts) for parts in ways_to_cut(20)]
    [{20: 1}, {16: 1, 4: 1}, {8: 2, 4: 1}, {4: 5}, {2: 10}, {1: 20}]
    """
    if batch <= _MOST:
        yield from map(Counter, _partitions(batch, batch))
        return
    yield {batch: 1}
    for power in (0,) if few else range((batch - 1).bit_length() - 1, -1, -1):
        rest = batch % (1 << power)
        yield {1 << power: batch >> power} | {1 << bit: 1 for bit in range(power - 1, -1, -1) if rest >> bit & 1}


def best_parts(batch: int, value: Callable[[Parts], tuple[float, ...]], few: bool = False) -> Parts:
    """The way to cut a batch of the least value, the first of equals; `few` as in `ways_to_cut`."""
    return min(ways_to_cut(batch, few), key=value)


def added(layers: Sequence[tuple[LayerCost, int]]) -> LayerCost:
    """One layer as it runs in several parts of a batch, each as often as is said, the largest part first."""
    (largest, _), *others = layers
    if not others and layers[0][1] == 1:
        return largest

    def on_average(field: str, cycles: str) -> float:
        weights = [getattr(one, cycles) * number for one, number in layers]
        weighed = sum(getattr(one, field) * weight for (one, _), weight in zip(layers, weights, strict=True))
        return weighed / sum(weights) if any(weights) else 0.0

    reads = sum_by_key((one._replace(reads=0, writes=0), one.reads * times) for one, times in _accesses(layers))
    writes = sum_by_key((one._replace(reads=0, writes=0), one.writes * times) for one, times in _accesses(layers))
    energy = sum_by_key(((part.component, part.of), part.energy_pj * number) for one, number in layers for part in one.parts)
    return replace(
        largest,
        cycles=sum(one.cycles * number for one, number in layers),
        compute_cycles=sum(one.compute_cycles * number for one, number in layers),
        buffer_cycles=sum(one.buffer_cycles * number for one, number in layers),
        dram_cycles=sum(one.dram_cycles * number for one, number in layers),
        taps=sum(one.taps * number for one, number in layers),
        gated_taps=sum(one.gated_taps * number for one, number in layers),
        utilisation=on_average("utilisation", "cycles"),
        mapping_efficiency=on_average("mapping_efficiency", "compute_cycles"),
        parts=tuple(EnergyPart(component, of, pj) for (component, of), pj in energy.items()),
        accesses=tuple(moved._replace(reads=reads[moved], writes=writes[moved]) for moved in reads),
    )


def _accesses(layers: Sequence[tuple[LayerCost, int]]) -> Iterator[tuple[Access, int]]:
    return ((access, number) for one, number in layers for access in one.accesses)


def _partitions(total: int, most: int) -> Iterator[list[int]]:
    """Ways to write a number as a sum of falling numbers, none above `most`."""
    if not total:
        yield []
    for first in range(min(total, most), 0, -1):
        for others in _partitions(total - first, first):
            yield [first, *others]
