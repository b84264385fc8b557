"""What runs together, and which values stay on chip: the order of a trace, worked out once for all cost models."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from addersim.errors import HardwareError
from addersim.hardware.accelerator import Buffer, Buffers
from addersim.trace import LayerTrace, Trace

__all__ = ["Schedule", "kept_on_chip", "schedule", "values_that_fit"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The order of a trace.

    Attributes
    ----------
    stages
        For each layer the number of its stage. A fused layer and its reader form one stage, a pipeline that lasts as long as
        its busiest resource; stages run one after another.
    sources
        For each layer, the layers whose stored values it reads; -1 is the network's input. Views are looked through.
    views
        Layers that only give a value another shape or name: no operations, no constants, one input, as many words out as in.
        They cost nothing.
    last_stage
        For each layer whose value is stored and read: the stage of its last reader.
    """

    stages: tuple[int, ...]
    sources: tuple[tuple[int, ...], ...]
    views: frozenset[int]
    last_stage: dict[int, int]


def schedule(trace: Trace) -> Schedule:
    """Work out stages, sources and lifetimes, and refuse a trace that contradicts itself."""
    layers = trace.layers
    if not layers:
        raise HardwareError(f"trace {trace.name!r} has no layers")
    if layers[-1].fused:
        raise HardwareError(f"layer {layers[-1].name}: fused, but no layer follows that could take its words")
    stages = tuple(accumulate((0, *(not layer.fused for layer in layers[:-1]))))
    views: dict[int, int] = {}
    last_stage: dict[int, int] = {}
    sources = []
    for index, layer in enumerate(layers):
        read = tuple([views.get(source, source) for source in _sources(layers, index)])
        sources.append(read)
        if _is_view(layer):
            views[index] = read[0]
        else:
            last_stage.update(dict.fromkeys(read, stages[index]))
    last_stage.pop(-1, None)
    return Schedule(stages, tuple(sources), frozenset(views), last_stage)


def kept_on_chip(order: Schedule, trace: Trace, buffers: Buffers, batch: int) -> frozenset[int]:
    """Layers whose stored value never goes to DRAM.

    Half of the input and output memories together (or of the unified one) holds activations, for the whole batch; the other
    half is for tiles in flight and partial sums. A value is live from the stage that writes it to the stage that reads it
    last, so that a residual branch takes capacity while it waits. Values are looked at by the length of their lifetime,
    shortest first, then by layer: a value is kept if, in each stage of its lifetime, it fits beside all live values that were
    looked at before it, kept or not; else it goes to DRAM once and every reader fetches it from there. (Counting those that
    are not kept makes sure that a larger buffer never keeps less.) The network's input and outputs are in DRAM.
    """
    if not buffers.keep_activations:
        return frozenset()
    names = {buffers.memory("input"), buffers.memory("output")}
    capacity = 8192 * sum(buffers.memories()[name].capacity_kib for name in names) / 2
    return values_that_fit(order, trace, (buffers.of("input"), buffers.of("output")), capacity, batch)


def values_that_fit(
    order: Schedule,
    trace: Trace,
    memories: tuple[Buffer, ...],
    capacity_bits: float,
    batch: int,
    elsewhere: frozenset[int] = frozenset(),
) -> frozenset[int]:
    """Layers whose stored value fits a capacity, by the rule of `kept_on_chip`; those `elsewhere` take none of it.

    A value takes as much as in that of the memories whose words fit it worst.
    """
    occupied = [0] * (order.stages[-1] + 1)
    kept = set()
    lifetimes = {index: range(order.stages[index], last + 1) for index, last in order.last_stage.items()}
    for index, lifetime in sorted(lifetimes.items(), key=lambda pair: (len(pair[1]), pair[0])):
        if index not in elsewhere:
            value = trace.layers[index].output
            size = max([memory.words(value.words * batch, value.bits) * memory.word_bits for memory in memories])
            for stage in lifetime:
                occupied[stage] += size
            if max(occupied[lifetime.start : lifetime.stop]) <= capacity_bits:
                kept.add(index)
    return frozenset(kept)


def _is_view(layer: LayerTrace) -> bool:
    return (
        not layer.operations
        and not layer.weights.words
        and layer.work is None
        and not layer.fused
        and len(layer.inputs) == 1
        and (layer.inputs[0].words, layer.inputs[0].bits) == (layer.output.words, layer.output.bits)
    )


def _sources(layers: tuple[LayerTrace, ...], index: int) -> tuple[int, ...]:
    """Indices of the layers that wrote a layer's inputs, checked."""
    layer = layers[index]
    where = f"layer {layer.name}"
    sources = layer.sources or ((index - 1,) if len(layer.inputs) == 1 else ())
    if len(sources) != len(layer.inputs):
        raise HardwareError(f"{where}: {len(layer.inputs)} inputs, but the trace names the layers of {len(sources)}")
    for source, operand in zip(sources, layer.inputs, strict=True):
        if not -1 <= source < index:
            raise HardwareError(f"{where}: reads layer number {source}; allowed: -1 (the network's input) to {index - 1}")
        if source >= 0 and layers[source].fused:
            raise HardwareError(f"{where}: reads layer {layers[source].name}, whose output is fused and never stored")
        if source >= 0 and layers[source].output.words != operand.words:
            written = f"{operand.words} words of layer {layers[source].name}, which writes {layers[source].output.words}"
            raise HardwareError(f"{where}: reads {written}")
    return sources
