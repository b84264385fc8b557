"""Layers that run depth first: a chain of them strip by strip, so that what they pass on to each other never goes to DRAM.

- *What may be a chain*: window layers, each with what is fused to it, of which each reads the one before it and nothing else
  reads that value; in a part of it that runs depth first some value would else go to DRAM. One that would stay on chip whole
  (`schedule.kept_on_chip`) is passed on in rows there, too, and leaves room.
- *Strips* are whole rows of all channels of the chain's last output; each layer makes as many at a time as the next moves on
  by (`dataflow.strips`). Rows that two strips share are kept, not computed again, so that a chain has no more taps and no more
  accesses of memories than its layers have one after another in tiles of these rows.
- *Memory*: rows that wait lie in the half of the memories that holds activations, beside those that stay there meanwhile. All
  weights and constants of a chain are fetched before its first strip and stay until its last: in a memory of their own, or in
  the unified one, of which activations and tiles then have the rest.
- *Tiles*: a strip with the whole window and all filters, in one tile. The array takes its stationary operand again for each.
- *Time*: each layer waits for its own first load and last store, as in `latency`; that strips of others would hide a part of
  the transfers is not counted.
- *Which chains*: those with the least sum of the objective over all ways to cut each chain into parts and strips, none of
  which moves more from and to DRAM than its layers do one by one. Images run one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise
from typing import NamedTuple

import msgspec

from addersim.hardware.accelerator import Accelerator
from addersim.hardware.chain_parts import Part, Value, added_values, least_parts
from addersim.hardware.dataflow.array_run import ArrayRun, Placement
from addersim.hardware.dataflow.dispatch import run_in_strips
from addersim.hardware.dataflow.objective import objective_value
from addersim.hardware.dataflow.strips import rows_held, strip_rows
from addersim.hardware.even_parts import largest_parts
from addersim.hardware.layer_walk import Facts, LayerWalk
from addersim.hardware.traffic import Access
from addersim.trace import MatrixWork

__all__ = ["Chains"]

_MOST_LAYERS = 8
"""Layers of a part: chosen, for longer ones rarely fit."""


class _Variant(NamedTuple):
    """A stage as it runs in a part: its layers, output pixels of a strip, whether it reads and writes what is passed on, and
    the words of a unified memory that the weights of the part take."""

    members: tuple[int, ...]
    pixels: int
    reads: bool
    writes: bool
    taken: int


@dataclass(frozen=True, slots=True)
class _Stage:
    """What a window layer and those fused to it cost in a part."""

    facts: Mapping[int, Facts]
    energy_pj: float
    cycles: int
    dram_bits: float


class Chains:
    """The chains of a walk over a trace, one image at a time, and what of them runs depth first.

    Attributes
    ----------
    facts
        Of the layers that run depth first; empty where none gains by it.
    passed_on
        Names of the layers whose value is passed on so.
    """

    def __init__(self, walk: LayerWalk) -> None:
        self.walk, self.stages = walk, walk.stages()
        self.readers = Counter(
            source for index, sources in enumerate(walk.order.sources) if index not in walk.order.views for source in sources
        )
        self.shapes: dict[int, Hashable] = {}
        self.found: dict[tuple[object, ...], _Stage | None] = {}
        self.facts: dict[int, Facts] = {}
        self.passed_on: list[str] = []

    def choose(self, own: Mapping[int, Facts]) -> None:
        """Find what runs depth first, from the facts of all layers one by one."""
        chains = list(self.chains())
        offers = [[*self.offers(chain)] for chain in chains]
        self.work_out([variant for offered in offers for _, variants in offered for variant in variants])
        for chain, offered in zip(chains, offers, strict=True):
            alone = [self.cost(members, own) for members in chain]
            parts = [
                part for (first, last, strip), variants in offered if (part := self.part(first, last, strip, variants, alone))
            ]
            by_value = [self.value_of(stage) for stage in alone]
            variants_of = dict(offered)
            for part in least_parts(len(chain), by_value, parts):
                for variant in variants_of[part.first, part.last, part.strip]:
                    stage = self.found[self.key(variant)]
                    assert stage is not None
                    self.facts |= dict(zip(variant.members, stage.facts.values(), strict=True))
                    if variant.writes:
                        self.passed_on.append(self.walk.layers[variant.members[-1]].name)

    def chains(self) -> Iterator[list[tuple[int, ...]]]:
        """Stages of each chain of more than one."""
        chain: list[tuple[int, ...]] = []
        for members in [*self.stages, ()]:
            if chain and not (members and self.follows(chain[-1], members)):
                if len(chain) > 1:
                    yield chain
                chain = []
            if members and self.work(members) is not None:
                chain.append(members)

    def work(self, members: tuple[int, ...]) -> MatrixWork | None:
        """The matrix product of a stage that has one, at its start, and as many outputs as that; None of others."""
        layers = [self.walk.layers[index] for index in members]
        first = layers[0].work
        if first is None or first.geometry is None or first.image is None or any(layer.work for layer in layers[1:]):
            return None
        same = layers[-1].output.words == first.m * first.n * first.groups
        return first if same and not layers[-1].fused else None

    def follows(self, before: tuple[int, ...], members: tuple[int, ...]) -> bool:
        """Whether a stage reads what the one before it writes, and nothing else does."""
        above, below, value = self.work(before), self.work(members), before[-1]
        if above is None or below is None or self.readers[value] != 1:
            return False
        assert above.geometry is not None
        assert above.image is not None
        size = above.geometry.output_size(*above.image)
        return self.walk.order.sources[members[0]] == (value,) and below.image == size

    def offers(self, chain: Sequence[tuple[int, ...]]) -> Iterator[tuple[tuple[int, int, int], list[_Variant]]]:
        """Every part of a chain, with every height of its strips, that the memories hold, as stages."""
        works = [work for members in chain if (work := self.work(members)) is not None]
        sizes = [work.geometry.output_size(*work.image) for work in works if work.geometry and work.image]
        for first in range(len(chain) - 1):
            for last in range(first + 1, min(len(chain), first + _MOST_LAYERS)):
                part, outputs = slice(first, last + 1), [size[0] for size in sizes[first : last + 1]]
                taken = self.words_of_weights(chain[part])
                if taken is None:
                    break
                if all(members[-1] in self.walk.kept for members in chain[first:last]):
                    continue
                strides = [work.geometry.stride[0] for work in works[part] if work.geometry]
                for strip in largest_parts(outputs[-1]):
                    rows = strip_rows(strip, outputs, strides)
                    if self.holds(chain[part], works[part], rows, taken):
                        pixels = [height * size[1] for height, size in zip(rows, sizes[part], strict=True)]
                        yield (
                            (first, last, strip),
                            [
                                _Variant(members, wide, at > 0, at < last - first, taken)
                                for at, (members, wide) in enumerate(zip(chain[part], pixels, strict=True))
                            ],
                        )

    def words_of_weights(self, part: Sequence[tuple[int, ...]]) -> int | None:
        """Words of a unified memory that all weights of a part take, 0 in one of their own; None where they do not fit."""
        residency = self.walk.residency
        buffers, memory = residency.machine.buffers, residency.machine.buffers.of("weight")
        fetched = [self.walk.layers[at].weights for members in part for at in members if at not in residency.kept]
        words = sum(memory.words(weights.words, weights.bits) for weights in fetched)
        if words > memory.capacity_words:
            return None
        return words if buffers.unified is not None else 0

    def holds(self, part: Sequence[tuple[int, ...]], works: Sequence[MatrixWork], rows: Sequence[int], taken: int) -> bool:
        """Whether the rows that wait fit beside the values that stay on chip meanwhile."""
        buffers = self.machine(taken).buffers
        memories = (buffers.of("input"), buffers.of("output"))
        names = {buffers.memory("input"), buffers.memory("output")}
        room = 8192 * sum(buffers.memories()[name].capacity_kib for name in names) / 2
        stages = self.walk.order.stages
        during = stages[part[0][0]], stages[part[-1][0]]
        passed_on = {members[-1] for members in part[:-1]}
        waiting = [self.walk.layers[value].output for value in self.staying(*during) if value not in passed_on]
        words = [(value.words, value.bits) for value in waiting]
        for above, (made, strip), work in zip(part[:-1], pairwise(rows), works[1:], strict=True):
            value, reader = self.walk.layers[above[-1]].output, work.geometry
            assert reader is not None
            assert work.image is not None
            held = rows_held(reader, reader.output_size(*work.image)[0], strip, work.image[0], made)
            words.append((held * value.words // work.image[0], value.bits))
        return sum(max(one.words(number, bits) * one.word_bits for one in memories) for number, bits in words) <= room

    def staying(self, first: int, last: int) -> list[int]:
        """Layers whose value stays on chip and is alive in some stage from one to another."""
        order = self.walk.order
        return [one for one in self.walk.kept if order.stages[one] <= last and order.last_stage.get(one, -1) >= first]

    def machine(self, taken: int) -> Accelerator:
        """The accelerator with what its unified memory has left beside weights."""
        machine = self.walk.residency.machine
        memory = machine.buffers.unified
        if not taken or memory is None:
            return machine
        left = msgspec.structs.replace(memory, capacity_kib=(memory.capacity_words - taken) * memory.word_bits / 8192 or 1e-6)
        return msgspec.structs.replace(machine, buffers=msgspec.structs.replace(machine.buffers, unified=left))

    def key(self, variant: _Variant) -> tuple[object, ...]:
        """All that the cost of a stage in a part depends on."""
        for index in variant.members:
            if index not in self.shapes:
                self.shapes[index] = self.walk.shape(index)
        return (*(self.shapes[index] for index in variant.members), *variant[1:])

    def work_out(self, variants: Sequence[_Variant]) -> None:
        """Costs of stages in parts, each shape once."""
        different = {self.key(variant): variant for variant in variants}
        by_taken: dict[int, list[_Variant]] = {}
        for variant in different.values():
            by_taken.setdefault(variant.taken, []).append(variant)
        walk = self.walk
        for taken, same in by_taken.items():
            windows, besides, others = [], [], []
            for variant in same:
                there = self.walk_of(variant)
                facts = {index: there.facts_of(index, None) for index in variant.members[1:]}
                window = walk.layers[variant.members[0]]
                inputs, outputs = all(there.inputs_kept(variant.members[0])), there.placement(variant.members[0]).output_kept
                beside = there.beside(variant.members, facts)
                beside = replace(beside, accesses=(*self.fetched(variant), *beside.accesses))
                windows.append((window, Placement(inputs, outputs, True, strip=variant.pixels)))
                besides.append(beside)
                others.append(facts)
            runs = run_in_strips(windows, self.machine(taken), 1, walk.movement, walk.objective, besides)
            for variant, run, facts in zip(same, runs, others, strict=True):
                self.found[self.key(variant)] = None if run is None else self.stage(variant, run, facts)

    def walk_of(self, variant: _Variant) -> LayerWalk:
        """The walk, with what the stage reads and writes on chip where it is passed on."""
        passed = {*([variant.members[-1]] if variant.writes else ())}
        passed |= {*(self.walk.order.sources[variant.members[0]] if variant.reads else ())}
        return replace(self.walk, kept=self.walk.kept | passed)

    def fetched(self, variant: _Variant) -> tuple[Access, ...]:
        """What brings the window layer's weights on chip, before the first strip."""
        first = variant.members[0]
        weights = self.walk.layers[first].weights
        if first in self.walk.residency.kept or not weights.words:
            return ()
        return (
            Access("dram", "weight", weights.words, 0, weights.bits),
            Access("buffer", "weight", 0, weights.words, weights.bits),
        )

    def stage(self, variant: _Variant, run: ArrayRun, others: Mapping[int, Facts]) -> _Stage:
        """What a stage costs with the run of its window layer."""
        first = variant.members[0]
        run = replace(run, accesses=_joined((*run.accesses, *self.fetched(variant))))
        facts = {first: self.walk_of(variant).facts_of(first, run), **others}
        return self.cost(variant.members, facts)

    def cost(self, members: tuple[int, ...], facts: Mapping[int, Facts]) -> _Stage:
        """What a stage costs, by the facts of its layers."""
        mine = {index: facts[index] for index in members}
        cycles, _ = self.walk.stage_cycles(list(mine.values()))
        energy = sum(part.energy_pj for one in mine.values() for part in one.parts) + self.walk.leakage_pj * cycles
        bits = sum(access.size_bits for one in mine.values() for access in one.accesses if access.level == "dram")
        return _Stage(mine, energy, cycles, bits)

    def part(self, first: int, last: int, strip: int, variants: Sequence[_Variant], alone: Sequence[_Stage]) -> Part | None:
        """A part with its value; None where a tile does not fit, or DRAM would move more than for its layers one by one."""
        stages = [self.found[self.key(variant)] for variant in variants]
        if None in stages:
            return None
        there = [stage for stage in stages if stage is not None]
        bits = sum(stage.dram_bits for stage in there)
        if bits > sum(stage.dram_bits for stage in alone[first : last + 1]):
            return None
        return Part(first, last, strip, reduce(added_values, map(self.value_of, there)), bits)

    def value_of(self, stage: _Stage) -> Value:
        """The objective's value of a stage, and what decides among equals."""
        objective = self.walk.objective or self.walk.machine.array.usual_objective
        return objective_value(objective, stage.energy_pj, stage.cycles, stage.dram_bits)


def _joined(accesses: Sequence[Access]) -> tuple[Access, ...]:
    """Accesses, those of one operand at one level together."""
    found: dict[tuple[object, ...], Access] = {}
    for one in accesses:
        key = one.level, one.operand, one.bits, one.coded_bits
        before = found.get(key)
        found[key] = (
            one if before is None else before._replace(reads=before.reads + one.reads, writes=before.writes + one.writes)
        )
    return tuple(found.values())
