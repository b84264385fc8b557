"""What a second level holds of a network: one memory between those beside the array and DRAM.

- Everything that the first level exchanges with DRAM passes through it: a word from DRAM is written into it and read from it,
  and so is a word to DRAM. The first level keeps what it keeps without a second (`schedule.kept_on_chip`, `residency`), or is
  for tiles alone where that is better and the second level is no smaller.
- Weights stay there, all or those of some layers, where they fit and that is better for the whole (`residency`): DRAM delivers
  them once, before the first image. Half of what is left keeps activations, by the rule of `kept_on_chip`: these cause no DRAM
  traffic.
- The other half (all, where activations are not kept) is for what comes from DRAM: *operands pass through it whole or tile by
  tile*. Of a layer's input and weights, the smaller one first, and then the partial sums that its tiles evict, those that fit
  beside each other are there whole: DRAM delivers each word once, and what the tile loop fetches again it fetches from here;
  the sums never leave. The others pass tile by tile, each as often as the tile loop asks. No tile is larger in the second
  level than in the first.
- Its banks bound the time of transfers as DRAM's bandwidth does: a tile is there when both have moved what they have to.
"""

from __future__ import annotations

from collections.abc import Iterable

from addersim.hardware.accelerator import Accelerator
from addersim.hardware.dataflow.footprint import Footprint
from addersim.hardware.residency import Residency
from addersim.hardware.schedule import Schedule, values_that_fit
from addersim.hardware.traffic import ALL, Backing, Widths
from addersim.trace import Trace

__all__ = ["SecondLevel"]


class SecondLevel:
    """What the second level of an accelerator holds, or of one that has none.

    Attributes
    ----------
    kept
        Layers whose stored value never goes to DRAM, besides those that the first level keeps.
    """

    def __init__(
        self,
        trace: Trace,
        order: Schedule,
        machine: Accelerator,
        residency: Residency,
        near: frozenset[int],
        batch: int,
    ) -> None:
        self._trace, self._order, self._residency, self._near, self._batch = trace, order, residency, near, batch
        self._memory = memory = machine.buffers.l2
        self.kept: frozenset[int] = frozenset()
        if memory is None:
            return
        self._room_bits = float((memory.capacity_words - residency.l2_words) * memory.word_bits)
        if machine.buffers.keep_activations:
            self._room_bits /= 2
            self.kept = values_that_fit(order, trace, (memory,), self._room_bits, batch, elsewhere=near)

    def backing(self, index: int) -> Backing | None:
        """What of a layer's operands lies in the second level; None without one."""
        memory, layer, batch = self._memory, self._trace.layers[index], self._batch
        if memory is None:
            return None
        inputs: list[int] = [0 if source in self.kept else ALL for source in self._order.sources[index]]
        weight = 0 if index in self._residency.kept_in_l2 else ALL
        output = 0 if index in self.kept else ALL
        work = layer.work
        if work is None or len(inputs) != 1:
            return Backing(tuple(inputs), weight, ALL, output)
        widths, whole = Widths.of(layer), {}
        if inputs[0] and self._order.sources[index][0] not in self._near:
            whole["input"] = memory.words(layer.inputs[0].words * batch, widths.input)
        if weight and index not in self._residency.kept:
            whole["weight"] = memory.words(layer.weights.words, widths.weight)
        sums = memory.words(work.m * batch * work.n * work.groups, widths.partial_sum)
        held = _that_fit([*sorted(whole.items(), key=lambda pair: pair[1]), ("sum", sums)], self._room_bits / memory.word_bits)
        if "input" in held:
            inputs[0] = int(Footprint.of(work, layer.inputs[0], batch).words) * work.groups
        if "weight" in held:
            weight = layer.weights.words
        return Backing(tuple(inputs), weight, 0 if "sum" in held else ALL, output)


def _that_fit(sizes: Iterable[tuple[str, int]], room: float) -> set[str]:
    """Names of those that fit beside all before them, these kept or not: more room never holds less."""
    taken, held = 0, set()
    for name, size in sizes:
        taken += size
        if taken <= room:
            held.add(name)
    return held
