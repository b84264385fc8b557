"""A trace on an accelerator, layer by layer: the facts that layers of one shape share, and the cycles of each stage."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, pairwise, takewhile
from typing import NamedTuple

from addersim.errors import PriceError
from addersim.hardware.accelerator import Accelerator, Objective
from addersim.hardware.dataflow.array_run import ArrayRun, Beside, Placement
from addersim.hardware.dataflow.dispatch import check_on_array, run_on_array
from addersim.hardware.dataflow.known_tilings import AskedTilings, KnownTilings
from addersim.hardware.latency import LayerCycles, stage_cycles
from addersim.hardware.layer_cost import Bound, EnergyPart, LayerCost, utilisation
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.prices.operations import ArithmeticEnergies
from addersim.hardware.residency import Residency
from addersim.hardware.schedule import Schedule
from addersim.hardware.second_level import SecondLevel
from addersim.hardware.traffic import Access, output_traffic, stored_outputs, vector_traffic
from addersim.trace import LayerTrace

__all__ = ["IDLE", "Facts", "LayerWalk", "SharedWork", "TimedLayer", "WindowInStage", "alike_layers", "layer_cost"]


class Facts(NamedTuple):
    """What layers of one shape share: their run on the array, their own cycles, words moved, and energy without leakage."""

    run: ArrayRun | None
    own: LayerCycles
    accesses: tuple[Access, ...]
    parts: list[EnergyPart]


class WindowInStage(NamedTuple):
    """A window layer and those after it in its stage, up to the next: all that their facts depend on, the layers of each
    place where they stand alike, and what the array is asked."""

    shape: tuple[Hashable, ...]
    same: tuple[tuple[int, ...], ...]
    on_array: tuple[LayerTrace, Placement]
    beside: Beside


class TimedLayer(NamedTuple):
    """A layer on its way to a LayerCost, with the cycles that pass, what sets them, and the array's use meanwhile."""

    layer: LayerTrace
    facts: Facts
    cycles: int
    bound: Bound
    utilisation: float


IDLE = LayerCycles()


class SharedWork:
    """What the ways to run one trace share, under one table and objective, whatever number of images runs together.

    Attributes
    ----------
    alike
        As `alike_layers` gives it.
    tilings
        Tilings of window layers.
    facts
        Facts of layers, by all that they depend on.
    arithmetic
        Energy of their operations, by the first layer that is like them and the number of images.
    """

    def __init__(self, alike: Sequence[int]) -> None:
        self.alike = alike
        self.tilings = KnownTilings()
        self.facts: dict[Hashable, Facts] = {}
        self.arithmetic: dict[tuple[int, int], list[EnergyPart]] = {}


def alike_layers(layers: Sequence[LayerTrace], arithmetic: ArithmeticEnergies) -> list[int]:
    """For each layer the number of the first one that is like it in all that its facts depend on, but where operands lie."""
    first = dict[Hashable, int]()
    return [first.setdefault(_kind(layer, arithmetic), number) for number, layer in enumerate(layers)]


def _kind(layer: LayerTrace, arithmetic: ArithmeticEnergies) -> Hashable:
    operands = layer.inputs, layer.weights, layer.output, layer.accumulator_bits, layer.fused
    return layer.work, layer.datapath, *operands, arithmetic.apart(layer), *layer.operations.items()


@dataclass(frozen=True, slots=True)
class LayerWalk:
    """A trace on an accelerator, layer by layer; of layers of one shape only the first is worked out."""

    layers: tuple[LayerTrace, ...]
    order: Schedule
    kept: frozenset[int]
    second: SecondLevel
    residency: Residency
    batch: int
    arithmetic: ArithmeticEnergies
    movement: MovementEnergy
    objective: Objective | None
    leakage_pj: float
    shared: SharedWork

    @property
    def machine(self) -> Accelerator:
        """The accelerator with what its memories have left."""
        return self.residency.machine

    def rows(self, facts: Mapping[int, Facts]) -> list[TimedLayer]:
        """All layers, with the cycles of their stages, by the facts of each."""
        rows: list[TimedLayer] = []
        timed: dict[tuple[int, ...], tuple[int, Bound]] = {}  # stages of one shape share their facts
        for members in self.stages():
            key = tuple([id(facts[index]) for index in members])
            if key not in timed:
                timed[key] = self.stage_cycles([facts[index] for index in members])
            cycles, bound = timed[key]
            works = [self.layers[index].work for index in members]
            taps = sum([work.taps for work in works if work is not None]) * self.batch
            used = utilisation(taps, cycles, self.machine.array.elements)
            for index in members:
                rows.append(TimedLayer(self.layers[index], facts[index], cycles, bound, used))
                cycles, bound, used = 0, "fused", 0.0
        return rows

    def stages(self) -> list[tuple[int, ...]]:
        """Layers of each stage."""
        return [tuple(members) for _, members in groupby(range(len(self.layers)), key=self.order.stages.__getitem__)]

    def stage_cycles(self, stage: Sequence[Facts]) -> tuple[int, Bound]:
        """Cycles that pass for a stage, and what sets them: window layers wait for their first and last tiles."""
        cycles, bound = stage_cycles([facts.own for facts in stage], self.machine.buffers.double_buffered)
        runs = [facts.run.stage_cycles for facts in stage if facts.run is not None]
        if not runs:
            return cycles, bound
        before = takewhile(lambda facts: facts.run is None, stage)
        return sum(runs) + stage_cycles([facts.own for facts in before], self.machine.buffers.double_buffered)[0], bound

    def facts(self, machine: Accelerator, windows: Sequence[WindowInStage], others: Mapping[int, Facts]) -> dict[int, Facts]:
        """Facts of all layers, those that `windows` gave and those of window layers whose tiles have the memories of an
        accelerator."""
        found = dict(others)
        for one, run in zip(windows, self.run_windows(machine, windows), strict=True):
            found |= dict.fromkeys([members[0] for members in one.same], self.shared_facts(one.shape[0], one.same[0][0], run))
        return found

    def run_windows(self, machine: Accelerator, windows: Sequence[WindowInStage]) -> list[ArrayRun]:
        """How an accelerator's array runs window layers."""
        chosen, besides = [one.on_array for one in windows], [one.beside for one in windows]
        asked = [(one.shape, self.batch, self.objective) for one in windows]
        known = None if machine.array.row_stationary is not None else AskedTilings(self.shared.tilings, asked)
        return run_on_array(chosen, machine, self.batch, self.movement, self.objective, besides, known)

    def windows(self) -> tuple[list[WindowInStage], dict[int, Facts]]:
        """Window layers with what follows them, and the facts of all other layers."""
        shapes = [self.shape(index) for index in range(len(self.layers))]
        together: dict[tuple[Hashable, ...], list[tuple[int, ...]]] = {}
        for members in chain.from_iterable(map(self.by_window, self.stages())):
            together.setdefault(tuple([shapes[index] for index in members]), []).append(members)
        chosen = [(self.layers[same[0][0]], self.placement(same[0][0])) for same in together.values()]
        try:
            facts = self.facts_of_others(shapes)
        except PriceError:
            check_on_array(chosen, self.machine, self.batch)  # what runs under no table is said first
            raise
        besides = [self.beside(same[0], facts) for same in together.values()]
        found = zip(together.items(), chosen, besides, strict=True)
        return [WindowInStage(shape, tuple(same), one, beside) for (shape, same), one, beside in found], facts

    def facts_of_others(self, shapes: Sequence[Hashable]) -> dict[int, Facts]:
        """Facts of the layers that are no window layers."""
        others = [index for index, layer in enumerate(self.layers) if layer.work is None]
        by_shape = {shapes[index]: index for index in reversed(others)}
        found = {shape: self.shared_facts(shape, index, None) for shape, index in reversed(by_shape.items())}
        return {index: found[shapes[index]] for index in others}

    def by_window(self, stage: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Window layers of a stage, each with those after it up to the next."""
        windows = [at for at, index in enumerate(stage) if self.layers[index].work is not None]
        return [stage[start:end] for start, end in pairwise([*windows, len(stage)])]

    def beside(self, members: tuple[int, ...], facts: Mapping[int, Facts]) -> Beside:
        """What shares a stage with a window layer, the first of the members."""
        others = members[1:]
        arithmetic = map(self.operations, members)
        return Beside(
            accesses=tuple(access for one in others for access in facts[one].accesses),
            vector=sum(facts[one].own.vector for one in others),
            energy_pj=sum(part.energy_pj for parts in arithmetic for part in parts),
            leakage_pj=self.leakage_pj,
        )

    def shape(self, index: int) -> Hashable:
        """All of a layer that its facts depend on."""
        placed = self.inputs_kept(index), index in self.kept, index in self.residency.kept, self.second.backing(index)
        return self.shared.alike[index], *placed

    def shared_facts(self, shape: Hashable, index: int, run: ArrayRun | None) -> Facts:
        """Facts of a layer, once for all ways in which layers of its shape run so."""
        key = shape, self.batch, id(run)  # facts hold their run, so that no other one gets its number
        if key not in self.shared.facts:
            self.shared.facts[key] = self.facts_of(index, run)
        return self.shared.facts[key]

    def facts_of(self, index: int, run: ArrayRun | None) -> Facts:
        """Facts of a layer, with how the array runs it if it does."""
        layer, parts = self.layers[index], self.operations(index)
        if index in self.order.views:
            return Facts(None, IDLE, (), parts)
        kept, behind, output = index in self.residency.kept, self.second.backing(index), layer.output
        read = run.accesses if run else vector_traffic(layer, self.batch, self.inputs_kept(index), kept, behind)
        written = stored_outputs(layer, self.batch)
        stored = output_traffic(written, output.bits, index in self.kept, output.coded_bits, behind) if written else ()
        accesses, done = read + stored, layer.operations.total() * self.batch
        own = LayerCycles.of(run.cycles if run else 0, 0 if run else done, accesses, self.machine)
        return Facts(run, own, accesses, parts + self.movement.parts(accesses))

    def operations(self, index: int) -> list[EnergyPart]:
        """Energy of a layer's operations, once for all layers that are like it."""
        key = self.shared.alike[index], self.batch
        if key not in self.shared.arithmetic:
            self.shared.arithmetic[key] = self.arithmetic.parts(self.layers[index], self.batch)
        return self.shared.arithmetic[key]

    def placement(self, index: int) -> Placement:
        output_kept = index in self.kept or self.layers[index].fused
        weights_kept = index in self.residency.kept
        return Placement(all(self.inputs_kept(index)), output_kept, weights_kept, self.second.backing(index))

    def inputs_kept(self, index: int) -> tuple[bool, ...]:
        return tuple([source in self.kept for source in self.order.sources[index]])


def layer_cost(row: TimedLayer, parts: tuple[EnergyPart, ...], batch: int) -> LayerCost:
    """A layer that is timed, with its parts of energy."""
    layer, (run, own, accesses, _) = row.layer, row.facts
    return LayerCost(
        name=layer.name,
        kind=layer.kind,
        datapath=layer.datapath,
        cycles=row.cycles,
        bound=row.bound,
        compute_cycles=own.array + own.vector,
        buffer_cycles=own.buffer,
        dram_cycles=own.dram,
        taps=layer.work.taps * batch if layer.work else 0,
        utilisation=row.utilisation,
        mapping_efficiency=run.mapping_efficiency if run else 0.0,
        tiling=run.tiling if run else None,
        parts=parts,
        accesses=accesses,
        gated_taps=layer.gated_taps * batch,
        elements=run.elements if run else 0,
    )
