"""Layers that run depth first, strip by strip: rows by a walk, cuts by brute force, and what no choice may break."""

import re
from dataclasses import replace
from itertools import product
from math import ceil
from time import process_time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as change

from addersim.arithmetic.geometry import Geometry
from addersim.errors import HardwareError
from addersim.hardware import estimate, load_accelerator
from addersim.hardware.chain_parts import Part, least_parts
from addersim.hardware.dataflow.strips import rows_held, strip_rows
from addersim.hardware.runs import DEPTH_FIRST
from addersim.trace import Trace
from tests.anchors.networks import resnet50
from tests.unit.hardware.test_mapping_properties import OBJECTIVES, check_that_more_is_not_worse, designs, of
from tests.unit.hardware.traces import add, batch_norm, relu, window

EDGE = load_accelerator("systolic-16x16")


def chain(*layers, side=12, channels=4, bits=8):
    """Convolutions one after another, of (kernel, stride, filters), each with its batch norm and ReLU fused."""
    found, source = [], -1
    for number, (kernel, stride, filters) in enumerate(layers):
        geometry = Geometry((kernel, kernel), (stride, stride), (kernel // 2, kernel // 2))
        out = geometry.output_size(side, side)[0]
        one = window(
            f"conv{number}", out * out, kernel * kernel * channels, filters, side * side * channels, bits=bits, fused=True,
            sources=(source,),
        )  # fmt: skip
        one = replace(one, work=replace(one.work, geometry=geometry, image=(side, side)))
        words = one.output.words
        found += [
            one,
            batch_norm(f"bn{number}", words, filters, fused=True, bits=bits),
            relu(f"relu{number}", words, bits=bits),
        ]
        side, channels, source = out, filters, len(found) - 1
    return Trace("chain", "hardware", tuple(found))


def machine(fused, activations=1.0, weights=16.0, base=EDGE, **changes):
    sizes = {"input": activations, "weight": weights, "output": activations}
    memories = {name: change(base.buffers.input, capacity_kib=kib) for name, kib in sizes.items()}
    buffers = change(base.buffers, fuse_layers=fused, keep_weights=False, **memories)
    return change(base, buffers=buffers, **changes)


THREE = chain((3, 1, 8), (1, 1, 8), (3, 2, 6), side=16)


@given(st.data(), st.integers(1, 4), st.integers(1, 3), st.integers(1, 2), st.integers(0, 2), st.integers(4, 30))
def test_rows_that_wait_by_a_walk(data, kernel, stride, dilation, padding, inputs):
    """Row by row: what is asked for is there, made once, and no more waits than is said."""
    assume(inputs + 2 * padding >= dilation * (kernel - 1) + 1)
    assume(padding < kernel)
    reader = Geometry((kernel, kernel), (stride, stride), (padding, padding), (dilation, dilation))
    outputs = reader.output_size(inputs, inputs)[0]
    strip = data.draw(st.integers(1, outputs))
    made = data.draw(st.sampled_from((1, 2, 3, strip_rows(strip, (inputs, outputs), (1, stride))[0])))
    there, next_row, most = set(), 0, 0
    for first in range(0, outputs, strip):
        rows = range(first, min(first + strip, outputs))
        asked = {row * stride - padding + tap * dilation for row in rows for tap in range(kernel)}
        asked = {row for row in asked if 0 <= row < inputs}
        there -= {row for row in there if row < first * stride - padding}
        while asked and next_row <= max(asked):
            there |= set(range(next_row, min(next_row + made, inputs)))
            next_row += made
        assert asked <= there
        most = max(most, len(there))
    assert rows_held(reader, outputs, strip, inputs, made) == most


@given(st.data(), st.integers(1, 5))
def test_the_cut_of_the_least_value_by_brute_force(data, layers):
    numbers = st.integers(0, 20).map(float)
    alone = [(data.draw(numbers),) for _ in range(layers)]
    parts = [
        Part(first, last, strip, (data.draw(numbers),), 0.0)
        for first in range(layers) for last in range(first + 1, layers) for strip in (1, 2) if data.draw(st.booleans())
    ]  # fmt: skip

    def cuts(start):
        if start == layers:
            yield 0.0
            return
        yield from (alone[start][0] + rest for rest in cuts(start + 1))
        for part in parts:
            if part.first == start:
                yield from (part.value[0] + rest for rest in cuts(part.last + 1))

    chosen = least_parts(layers, alone, parts)
    inside = {place for part in chosen for place in range(part.first, part.last + 1)}
    value = sum(part.value[0] for part in chosen) + sum(alone[place][0] for place in range(layers) if place not in inside)
    assert value == min(cuts(0))
    assert len(inside) == sum(part.last - part.first + 1 for part in chosen)


def dram_bits(trace, cuts):
    """Bits from and to DRAM, strip by strip: `cuts` are parts of the chain, with the rows of their last strips."""
    layers = [one for one in trace.layers if one.work is not None]
    constants = [sum(one.weights.size_bits for one in trace.layers[at : at + 3]) for at in range(0, len(trace.layers), 3)]
    bits = 0
    for first, last, strip in cuts:
        part = layers[first : last + 1]
        sizes = [one.work.geometry.output_size(*one.work.image)[0] for one in part]
        rows = strip_rows(strip, sizes, [one.work.geometry.stride[0] for one in part])[0]
        work, fetched = part[0].work, 0
        high, (kernel, _), (stride, _), (padding, _) = work.image[0], *(
            getattr(work.geometry, name) for name in ("kernel", "stride", "padding")
        )  # fmt: skip
        for top in range(0, sizes[0], rows):
            under = {row * stride - padding + tap for row in range(top, min(top + rows, sizes[0])) for tap in range(kernel)}
            fetched += len({row for row in under if 0 <= row < high}) * work.image[1] * work.window // kernel**2
        bits += fetched * part[0].inputs[0].bits + part[-1].output.words * 8 + sum(constants[first : last + 1])
    return bits


def test_dram_by_a_walk_over_the_strips():
    """Words of the strips that were chosen; smaller ones have more, and so has every cut of the chain."""
    found = estimate(THREE, machine(True, 2), objective="dram")
    before = estimate(THREE, machine(False, 2), objective="dram")
    last = found.layers[6].tiling.loops[0]
    assert (last.dimension, last.trips, last.tile % 8) == ("pixels", -(-64 // last.tile), 0)
    strip = last.tile // 8
    bits, walked = 8 * found.dram_bytes, dram_bits(THREE, [(0, 2, strip)])
    assert walked <= bits <= 1.06 * walked  # columns beside a tile count as shared, though it has whole rows
    assert all(dram_bits(THREE, [(0, 2, fewer)]) > walked for fewer in range(1, strip))
    assert all(dram_bits(THREE, [(0, 1, one), (2, 2, 8)]) > bits for one in (1, 2, 4, 8, 16))
    assert bits < 8 * before.dram_bytes
    assert found.notes()[DEPTH_FIRST] == ("relu0", "relu1")


def test_what_is_passed_on_is_no_dram_traffic_and_counted_in_the_memories():
    found, before = (estimate(THREE, machine(fused, 2)) for fused in (True, False))
    assert found.energy_pj < before.energy_pj
    for name, operand in (("relu0", "output"), ("conv1", "input"), ("relu1", "output"), ("conv2", "input")):
        ours, theirs = (next(one for one in cost.layers if one.name == name) for cost in (found, before))
        assert ours.words("dram", operand) == 0
        assert (theirs.words("dram", operand) > 0) == (name in ("relu1", "conv2"))  # the other one stays on chip whole
        assert ours.words("buffer", operand) > 0
    weights = sum(one.words("dram", "weight") for one in found.layers)
    assert weights == sum(one.weights.words for one in THREE.layers)
    assert [one.taps for one in found.layers] == [one.taps for one in before.layers]  # nothing is computed twice
    strips = [one.tiling for one in found.layers if one.tiling is not None]
    assert [tiling.loops[0].trips for tiling in strips] == [strips[0].loops[0].trips] * 3


def test_parts_add_up():
    cost = estimate(THREE, machine(True, 2))
    document = cost.to_dict()
    assert cost.energy_pj == sum(part.energy_pj for layer in cost.layers for part in layer.parts)
    assert document["energy_pj"]["total"] == sum(document["energy_pj_by_part"].values())
    assert cost.cycles == sum(layer.cycles for layer in cost.layers)


KINDS = st.tuples(st.sampled_from((1, 3)), st.sampled_from((1, 1, 2)), st.sampled_from((2, 4, 8)))
CHAINS = st.builds(
    lambda layers, side, channels, bits: chain(*layers, side=side, channels=channels, bits=bits),
    st.lists(KINDS, min_size=2, max_size=4),
    st.integers(6, 14), st.sampled_from((2, 4)), st.sampled_from((4, 8)),
)  # fmt: skip


@pytest.mark.parametrize("examples", [15, pytest.param(200, marks=pytest.mark.slow)])
def test_no_chain_is_worse_than_its_layers(examples):
    @settings(max_examples=examples, deadline=None)
    @given(CHAINS, designs(), st.sampled_from(OBJECTIVES), st.integers(1, 3))
    def check(trace, on, objective, batch):
        one_by_one, fused = (
            change(on, buffers=change(on.buffers, keep_activations=True, fuse_layers=flag)) for flag in (False, True)
        )
        try:
            before = estimate(trace, one_by_one, objective=objective, batch=batch)
        except HardwareError:
            return
        found = estimate(trace, fused, objective=objective, batch=batch)
        assert of(found, objective) <= of(before, objective) * (1 + 1e-9)
        if batch == 1:
            assert found.dram_bytes <= before.dram_bytes
        assert [layer.taps for layer in found.layers] == [layer.taps for layer in before.layers]
        assert found == estimate(trace, fused, objective=objective, batch=batch)

    check()


@pytest.mark.parametrize("examples", [6, pytest.param(200, marks=pytest.mark.slow)])
def test_larger_memories_and_more_bandwidth_are_never_worse_for_chains(examples):
    @settings(max_examples=examples, deadline=None)
    @given(CHAINS, designs(), st.sampled_from(("energy", "latency", "dram")), st.data())
    def check(trace, on, objective, data):
        fused = change(on, buffers=change(on.buffers, keep_activations=True, fuse_layers=True))
        check_that_more_is_not_worse(trace, fused, objective, data)

    check()


def test_it_is_off_unless_the_file_says_so():
    assert not EDGE.buffers.fuse_layers
    assert DEPTH_FIRST not in estimate(THREE, machine(False, 2)).notes()


@pytest.mark.parametrize("base", ["edge-unified-32x32", "systolic-32x32"])
def test_resnet50_is_fused_within_a_second(base):
    on = load_accelerator(base)
    on, before = change(on, buffers=change(on.buffers, fuse_layers=True)), estimate(resnet50(), on)
    start = process_time()
    found = estimate(resnet50(), on)
    assert process_time() - start < 1
    assert found.energy_pj < 0.99 * before.energy_pj
    assert found.dram_bytes < 0.97 * before.dram_bytes


def test_a_value_that_is_read_twice_is_not_passed_on():
    """A residual branch: the addition reads what the chain's first layer wrote."""
    base = chain((3, 1, 8), (1, 1, 8), side=16)
    layers = [*base.layers[:5], replace(base.layers[5], fused=True)]
    words = base.layers[2].output
    layers.append(add("add", words.words, (words,), sources=(2,)))
    notes = estimate(Trace("branch", "hardware", tuple(layers)), machine(True, 1.2), objective="dram").notes()
    assert DEPTH_FIRST not in notes
    assert DEPTH_FIRST in estimate(base, machine(True, 1.2), objective="dram").notes()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: change(EDGE.buffers, fuse_layers=True, keep_activations=False), "it needs keep_activations = true"),
        (
            lambda: change(load_accelerator("ethos-u55-256-like").buffers, fuse_layers=True, keep_activations=True),
            "fuse_layers is for memories without a second level",
        ),
        (
            lambda: change(EDGE, array=load_accelerator("eyeriss-65nm").array, buffers=machine(True).buffers),
            "is row stationary",
        ),
    ],
)
def test_where_it_cannot_be(build, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        build()


def test_strips_follow_the_strides():
    for strip, (stride, outputs) in product((1, 3), ((1, 20), (2, 10), (3, 7))):
        rows = strip_rows(strip, (20, 20, outputs), (1, 1, stride))
        assert rows == [min(20, strip * stride)] * 2 + [strip]
        assert ceil(20 / rows[0]) >= ceil(outputs / strip) or rows[0] == 20
