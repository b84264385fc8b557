"""Runs: a trace on an accelerator for any number of images together, and how a batch is put together from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple, TypeAlias, get_args

from msgspec import structs

from addersim.hardware.accelerator import Accelerator, Objective
from addersim.hardware.batches import Parts, added, best_parts
from addersim.hardware.cost import ColdStart
from addersim.hardware.dataflow.objective import objective_value
from addersim.hardware.depth_first import Chains
from addersim.hardware.idle import IdlePower
from addersim.hardware.latency import LayerCycles, stage_cycles
from addersim.hardware.layer_cost import EnergyPart, LayerCost, UnitEnergyUsed, on_common_grain
from addersim.hardware.layer_walk import Facts, LayerWalk, SharedWork, TimedLayer, WindowInStage, layer_cost
from addersim.hardware.leakage import Leakage
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.prices.missing import LayersNeeding
from addersim.hardware.prices.operations import ArithmeticEnergies
from addersim.hardware.prices.table import EnergyTable
from addersim.hardware.residency import Residency
from addersim.hardware.schedule import Schedule, kept_on_chip
from addersim.hardware.second_level import SecondLevel
from addersim.trace import Trace

__all__ = ["DEPTH_FIRST", "SOME_STAY", "Runs", "Totals"]

DEPTH_FIRST = "passed on depth first, strip by strip, without DRAM"
"""The note of layers whose values are."""
SOME_STAY = "weights stay on chip, those of other layers are fetched for each image"
"""The note of the first layers."""
_PRODUCT = "energy-delay"


_Worked: TypeAlias = tuple[list[TimedLayer], list[list[EnergyPart]]]
"""Layers, and their parts of energy, not rounded."""


class Totals(NamedTuple):
    """What a number of images together takes."""

    energy_pj: float
    cycles: float
    dram_bits: float


class _Asked(NamedTuple):
    """A walk, what it asks the array, and the facts of all other layers."""

    walk: LayerWalk
    windows: list[WindowInStage]
    others: dict[int, Facts]


class _Mapped(NamedTuple):
    """A number of images together with the layers mapped for an objective."""

    walk: LayerWalk
    facts: dict[int, Facts]
    worked: _Worked
    totals: Totals


class Runs:
    """A trace on an accelerator for any number of images together, each number worked out once."""

    def __init__(
        self,
        trace: Trace,
        order: Schedule,
        machine: Accelerator,
        residency: Residency,
        energies: EnergyTable,
        arithmetic: ArithmeticEnergies,
        objective: Objective | None,
        shared: SharedWork,
    ) -> None:
        self.trace, self.order, self.machine, self.residency, self.objective = trace, order, machine, residency, objective
        self.energies, self.arithmetic, self.shared = energies, arithmetic, shared
        self.standing = (Leakage(trace, machine, energies), IdlePower(machine))
        self.standing_pj = sum(part.energy_pj for part in self._standing_parts(1))
        self.found: dict[int, _Worked] = {}
        self.movements: list[MovementEnergy] = []
        self.summed: dict[int, Totals] = {}
        self.least: dict[int, Totals] = {}
        self.asked: dict[int, _Asked] = {}
        self.passed_on: tuple[str, ...] = ()

    def asked_of(self, images: int) -> _Asked:
        """What a number of images together asks the array."""
        if images not in self.asked:
            kept = kept_on_chip(self.order, self.trace, self.residency.machine.buffers, images)
            second = SecondLevel(self.trace, self.order, self.machine, self.residency, kept, images)
            needing = LayersNeeding(self.trace.layers, self.order, kept | second.kept)
            movement = MovementEnergy(self.machine, self.energies, needing)
            walk = LayerWalk(
                self.trace.layers, self.order, kept, second, self.residency, images, self.arithmetic, movement,
                self.objective, self.standing_pj, self.shared,
            )  # fmt: skip
            self.asked[images] = _Asked(walk, *walk.windows())
        return self.asked[images]

    def together(self, images: int) -> _Worked:
        """Layers of a number of images together, and their parts of energy, not rounded."""
        if images not in self.found:
            best = min(self._mapped(images), key=lambda one: self._value_of(one.totals))
            walk, facts, self.found[images], self.summed[images] = best
            self.movements.append(walk.movement)
            if self.machine.buffers.fuse_layers and images == 1:
                self._run_depth_first(walk, facts)
        return self.found[images]

    def _mapped(self, images: int) -> Iterator[_Mapped]:
        """A number of images together, the layers mapped for the objective; for a product of sums, whose least need not be
        that of each layer, for every other one too."""
        asked, windows, others = self.asked_of(images)
        every: tuple[Objective, ...] = get_args(Objective)
        for objective in sorted(every, key=_PRODUCT.__ne__) if self.objective == _PRODUCT else (self.objective,):
            walk = replace(asked, objective=objective)
            facts = walk.facts(walk.machine, windows, others)
            worked = self._with_parts(walk.rows(facts))
            yield _Mapped(walk, facts, worked, _summed(*worked))

    def _run_depth_first(self, walk: LayerWalk, facts: Mapping[int, Facts]) -> None:
        """Run the chains depth first that gain by it, if the whole network does."""
        chains, one_by_one, before = Chains(walk), self.found[1], self.value({1: 1})
        chains.choose(facts)
        del self.summed[1]
        self.found[1] = self._with_parts(walk.rows({**facts, **chains.facts}))
        if self.value({1: 1}) < before:
            self.passed_on = tuple(chains.passed_on)
        else:
            self.found[1] = one_by_one
            del self.summed[1]

    def _with_parts(self, rows: list[TimedLayer]) -> _Worked:
        """Layers with all their parts of energy."""
        parts = [row.facts.parts for row in rows]
        if self.standing_pj:
            parts = [one + self._standing_parts(row.cycles) for one, row in zip(parts, rows, strict=True)]
        return rows, parts

    def notes(self, batch_parts: Parts) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """What must be known of how layers run."""
        passed_on = ((DEPTH_FIRST, self.passed_on),) if self.passed_on and 1 in batch_parts else ()
        return passed_on + (((SOME_STAY, self.staying),) if self.some_stay else ())

    @property
    def staying(self) -> tuple[str, ...]:
        """Names of the layers whose weights stay on chip."""
        layers, stays = self.trace.layers, self.residency.stays
        return tuple(layer.name for at, layer in enumerate(layers) if layer.weights.words and at in stays)

    @property
    def some_stay(self) -> bool:
        """Whether the weights of some layers stay on chip, and those of others do not."""
        return 0 < len(self.staying) < sum(layer.weights.words > 0 for layer in self.trace.layers)

    def best_parts(self, batch: int) -> Parts:
        """How to run a batch, by the value of the objective for the whole network."""
        few = self.machine.array.row_stationary is not None  # each number of images takes seconds there
        return {1: 1} if batch == 1 else best_parts(batch, self.value, few)

    def value(self, batch_parts: Parts) -> tuple[float, ...]:
        """What is to be least of a batch in parts, the most important first."""
        return self._value(batch_parts, self.totals)

    def least_value(self, batch_parts: Parts) -> tuple[float, ...]:
        """What a batch in parts has at least: its value if the weights that stay took no room from the tiles of others."""
        return self._value(batch_parts, self.least_totals)

    def _value(self, batch_parts: Parts, totals: Callable[[int], Totals]) -> tuple[float, ...]:
        energy = cycles = bits = 0.0
        for images, number in batch_parts.items():
            one = totals(images)
            energy, cycles, bits = energy + number * one.energy_pj, cycles + number * one.cycles, bits + number * one.dram_bits
        return self._value_of(Totals(energy, cycles, bits))

    def _value_of(self, totals: Totals) -> tuple[float, ...]:
        return objective_value(self.objective or self.machine.array.usual_objective, *totals)

    def totals(self, images: int) -> Totals:
        """Energy, cycles and bits of DRAM of a number of images together."""
        rows, parts = self.together(images)
        if images not in self.summed:  # layers run depth first are summed when they are asked for
            self.summed[images] = _summed(rows, parts)
        return self.summed[images]

    def least_totals(self, images: int) -> Totals:
        """Those of tiles that have the whole memories."""
        if images not in self.least:
            walk, windows, others = self.asked_of(images)
            facts = walk.facts(self.residency.whole, windows, others)
            self.least[images] = _summed(*self._with_parts(walk.rows(facts)))
        return self.least[images]

    def layers(self, batch_parts: Parts) -> tuple[LayerCost, ...]:
        """Layers of a batch in parts, with energies on a common grain."""
        whole = [self.together(images) for images in batch_parts]
        if list(batch_parts.values()) == [1]:
            (images,), ((rows, parts),) = batch_parts, whole
            return tuple(layer_cost(row, one, images) for row, one in zip(rows, on_common_grain(parts), strict=True))
        costs = [
            [layer_cost(row, tuple(one), images) for row, one in zip(rows, parts, strict=True)]
            for images, (rows, parts) in zip(batch_parts, whole, strict=True)
        ]
        layers = [added([*zip(same, batch_parts.values(), strict=True)]) for same in zip(*costs, strict=True)]
        rounded = on_common_grain([layer.parts for layer in layers])
        return tuple(structs.replace(layer, parts=parts) for layer, parts in zip(layers, rounded, strict=True))

    def cold_start(self) -> ColdStart | None:
        """What is paid before the first image, where the weights then stay."""
        loads = self.residency.loads
        if not loads:
            return None
        bits = sum(access.size_bits for access in loads if access.level == "dram")
        every = sum(layer.weights.size_bits for layer in self.trace.layers if not layer.weights_shared)
        energy = self.residency.cold_start_pj(self.movements[0].energy_pj)
        cycles, _ = stage_cycles([LayerCycles.of(0, 0, loads, self.machine)])
        return ColdStart(energy, cycles, bits / 8, bits / every)

    @property
    def used(self) -> list[UnitEnergyUsed]:
        """Unit energies of all that moves, leaks and idles, each once."""
        moving = dict.fromkeys(used for movement in self.movements for used in movement.used)
        return [*moving, *(used for one in self.standing for used in one.used)]

    def _standing_parts(self, cycles: int) -> list[EnergyPart]:
        """What is drawn in a number of cycles, whatever is done."""
        return [part for one in self.standing for part in one.parts(cycles)]


def _summed(rows: Sequence[TimedLayer], parts: Sequence[Sequence[EnergyPart]]) -> Totals:
    distinct = {id(one): one for one in parts}  # layers of one shape share theirs, and their facts
    energies = {key: [part.energy_pj for part in one] for key, one in distinct.items()}
    facts = {id(row.facts): row.facts for row in rows}
    bits = {key: [access.size_bits for access in one.accesses if access.level == "dram"] for key, one in facts.items()}
    return Totals(
        math.fsum(chain.from_iterable([energies[id(one)] for one in parts])),
        sum([row.cycles for row in rows]),
        sum(chain.from_iterable([bits[id(row.facts)] for row in rows])),
    )
