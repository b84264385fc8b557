"""Weights that stay on chip: fetched once, before the first image, where they fit."""

import contextlib
from dataclasses import replace
from itertools import combinations, pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim import count, load_network, quantize
from addersim.errors import ConfigError, HardwareError
from addersim.hardware import accelerator_names, estimate, load_accelerator
from addersim.hardware.estimate import ways_to_run
from addersim.hardware.kept_weights import SIXTEENTHS, fullest_subsets
from addersim.hardware.layer_walk import SharedWork
from addersim.hardware.least_way import least
from addersim.hardware.load import parse_accelerator
from addersim.hardware.prices.csv_file import load_table
from addersim.hardware.runs import SOME_STAY, Runs
from addersim.trace import Trace
from tests.unit.hardware.test_mapping_properties import OBJECTIVES, designs, stages, value
from tests.unit.hardware.traces import bottleneck_network, fetching_weights, relu, small_residual_network, window

EDGE = load_accelerator("systolic-16x16")
UNIFIED = load_accelerator("edge-unified-32x32")
SMALL = small_residual_network()


def with_buffers(machine, **changes):
    return msgspec.structs.replace(machine, buffers=msgspec.structs.replace(machine.buffers, **changes))


def with_weights_of(machine, kib):
    return with_buffers(machine, weight=msgspec.structs.replace(machine.buffers.weight, capacity_kib=kib))


def stays_whole(cost):
    """Whether all weights are fetched once."""
    return cost.cold_start is not None and moved(cost, "dram") == 0


def moved(cost, level, operand="weight"):
    return sum(layer.words(level, operand) for layer in cost.layers)


@pytest.mark.parametrize("name", [one for one in accelerator_names() if load_accelerator(one).buffers.keep_weights is None])
def test_weights_that_fit_are_fetched_once_and_nothing_else_changes(name):
    machine = load_accelerator(name)
    kept, fetched = estimate(SMALL, machine), estimate(SMALL, fetching_weights(machine))
    assert moved(kept, "dram") == 0 < moved(fetched, "dram")
    assert kept.energy_pj < fetched.energy_pj
    assert kept.cycles <= fetched.cycles
    assert kept.energy_by_component()["array"] == pytest.approx(fetched.energy_by_component()["array"])
    bits = sum(layer.weights.size_bits for layer in SMALL.layers)
    assert kept.cold_start.dram_bytes == bits / 8
    assert fetched.cold_start is None


def test_the_cold_start_is_the_fetch_and_the_writes():
    layer = window("conv", 64, 27, 16, inputs=192)
    cost = estimate(Trace("t", "hardware", (layer,)), EDGE)
    table = load_table("horowitz-45nm")
    words = layer.weights.words
    memory = EDGE.buffers.weight
    writes = {one.what: one.energy.energy_pj for one in cost.prices}[f"weight buffer of {memory.capacity_kib:g} KiB, write"]
    assert cost.cold_start.energy_pj == pytest.approx(
        words * 8 * table.dram("dram").energy_pj + memory.words(words, 8) * writes
    )
    assert cost.cold_start.cycles == -(-words * 8 * EDGE.clock_mhz // (EDGE.dram.bandwidth_gb_s * 8000))
    assert cost.to_dict()["cold_start"] == {
        "energy_pj": cost.cold_start.energy_pj, "cycles": cost.cold_start.cycles, "dram_bytes": words, "share": 1,
    }  # fmt: skip
    assert "cold start" in str(cost)
    assert "cold start" not in str(estimate(SMALL, fetching_weights(EDGE)))


def test_a_memory_that_holds_them_to_the_last_word_is_enough():
    words = sum(EDGE.buffers.weight.words(layer.weights.words, layer.weights.bits) for layer in SMALL.layers)
    enough = words * EDGE.buffers.weight.word_bits / 8192
    assert estimate(SMALL, with_weights_of(EDGE, enough)).cold_start
    less = with_weights_of(EDGE, enough - EDGE.buffers.weight.word_bits / 8192)
    assert not stays_whole(estimate(SMALL, less))


def test_true_refuses_what_does_not_fit():
    small = with_buffers(with_weights_of(EDGE, 0.25), keep_weights=True)
    with pytest.raises(HardwareError, match=r"keep_weights is true, but the weights of .*, and its weight memory has 32"):
        estimate(SMALL, small)


def test_shared_weights_are_held_once():
    conv = window("conv", 64, 27, 16, inputs=192)
    again = replace(conv, name="again", sources=(-1,), weights_shared=True)
    once = estimate(Trace("t", "hardware", (conv,)), EDGE).cold_start
    assert estimate(Trace("t", "hardware", (conv, again)), EDGE).cold_start == once


@pytest.mark.parametrize(("kib", "kept"), [(110, "all"), (120, "none"), (150, "some"), (160, "all")])
def test_a_unified_memory_keeps_them_only_where_the_whole_gains(kib, kept):
    """120 KiB hold the activations of two layers or, with tiles of these, the weights: the activations are worth more. 150
    KiB hold these and the weights of the first and the last layer."""
    first, second = window("first", 960, 27, 64, inputs=3072), window("second", 960, 576, 64, inputs=61440)
    third = window("third", 960, 64, 1, inputs=61440)
    layers = (first, relu("relu1", 61440), second, relu("relu2", 61440), third, relu("relu3", 960))
    trace = Trace("t", "hardware", layers)
    machine = with_buffers(UNIFIED, unified=msgspec.structs.replace(UNIFIED.buffers.unified, capacity_kib=kib))
    found, stay, fetch = (estimate(trace, with_buffers(machine, keep_weights=keep)) for keep in (None, True, False))
    if kept == "some":
        assert found.energy_pj < min(stay.energy_pj, fetch.energy_pj)
        assert found.notes()[SOME_STAY] == ("first", "third")
    else:
        assert (stay.energy_pj < fetch.energy_pj) == (kept == "all")
        assert found == (stay if kept == "all" else fetch)


def test_weights_that_leave_no_room_for_a_tile_are_fetched():
    layer = window("conv", 64, 32, 1024, inputs=192)
    trace = Trace("t", "hardware", (layer,))
    memory = UNIFIED.buffers.unified
    exact = msgspec.structs.replace(memory, capacity_kib=memory.words(layer.weights.words, 8) * memory.word_bits / 8192 + 0.01)
    machine = with_buffers(UNIFIED, unified=exact)
    assert estimate(trace, machine) == estimate(trace, fetching_weights(machine))
    with pytest.raises(HardwareError, match="holds 1 inputs of 8 bits; the rest holds the weights, which keep_weights wants"):
        estimate(trace, with_buffers(machine, keep_weights=True))


@pytest.mark.parametrize("text", ["1", "'yes'"])
def test_keep_weights_is_true_or_false(text):
    from importlib import resources

    toml = resources.files("addersim").joinpath("data", "accelerators", "systolic-16x16.toml").read_text("utf-8")
    with pytest.raises(ConfigError, match=r"buffers.keep_weights: found .*, needs"):
        parse_accelerator(toml.replace("keep_activations = true", f"keep_activations = true\nkeep_weights = {text}"), "mine")


@pytest.mark.parametrize("unified", [False, True])
def test_memories_ever_larger_fetch_ever_less(unified):
    """No cliff where the last word fits: the weights of most layers stay before."""
    words = sum(EDGE.buffers.weight.words(layer.weights.words, layer.weights.bits) for layer in SMALL.layers)
    whole = words * EDGE.buffers.weight.word_bits / 8192
    on = {False: with_weights_of, True: lambda machine, kib: with_buffers(machine, unified=sized(UNIFIED, kib))}[unified]
    sizes = [share * whole for share in (0.05, 0.2, 0.4, 0.6, 0.86, 0.95, 1.02)]
    costs = [estimate(SMALL, on(UNIFIED if unified else EDGE, kib), objective="dram") for kib in sizes]
    fetched = [cost.dram_bytes for cost in costs]
    assert all(more <= less for less, more in pairwise(fetched))
    if not unified:
        assert len(set(fetched)) >= 5
        assert moved(costs[-2], "dram") < 0.5 * sum(layer.weights.words for layer in SMALL.layers)


def sized(machine, kib):
    return msgspec.structs.replace(machine.buffers.unified, capacity_kib=kib)


def test_what_stays_and_what_is_fetched_add_up_to_all_weights():
    cost = estimate(SMALL, with_weights_of(EDGE, 6))
    staying = set(cost.notes()[SOME_STAY])
    assert 0 < len(staying) < sum(layer.weights.words > 0 for layer in SMALL.layers)
    bits = {layer.name: layer.weights.size_bits for layer in SMALL.layers if layer.weights.words}
    assert 8 * cost.cold_start.dram_bytes == sum(bits[name] for name in staying)
    assert cost.cold_start.share == sum(bits[name] for name in staying) / sum(bits.values())
    assert f"for {100 * cost.cold_start.share:.3g} % of the weights" in str(cost)
    for layer in cost.layers:
        assert (layer.words("dram", "weight") == 0) == (layer.name in staying or layer.name not in bits)
        assert layer.name not in bits or layer.words("buffer", "weight") > 0


def test_weights_that_another_layer_has_stay_with_all_or_not_at_all():
    """Whose they are is not known."""
    conv = window("conv", 64, 27, 64, inputs=192)
    again = replace(conv, name="again", sources=(-1,), weights_shared=True)
    other = window("other", 64, 512, 16, inputs=4096, sources=(-1,))
    cost = estimate(Trace("t", "hardware", (conv, again, other)), with_weights_of(EDGE, 4))
    assert cost.notes()[SOME_STAY] == ("conv",)
    assert [layer.words("dram", "weight") > 0 for layer in cost.layers] == [False, True, True]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=7), st.integers(1, 12), st.integers(0, 200))
def test_the_fullest_subsets_by_brute_force(words, density, room):
    sizes = dict(enumerate(words, start=3))
    bits = {at: size * (1 + (at * density) % 5) for at, size in sizes.items()}
    total, found = sum(words), fullest_subsets(sizes, bits, room)
    every = [set(some) for number in range(len(words) + 1) for some in combinations(sizes, number)]
    for part in SIXTEENTHS:
        most = total * part // 16
        if most <= room:
            best = max(sum(bits[at] for at in some) for some in every if sum(sizes[at] for at in some) <= most)
            fitting = [some for some in found if sum(sizes[at] for at in some) <= most]
            assert max((sum(bits[at] for at in some) for some in fitting), default=0) == best
    assert set(found) >= set(fullest_subsets(sizes, bits, room // 2))
    largest = max(sizes, key=lambda at: bits[at])
    assert (frozenset({largest}) in found) == (sizes[largest] <= room)
    assert all(sum(sizes[at] for at in some) <= room for some in found)
    assert len(set(found)) == len(found)


def test_a_layer_that_is_most_of_a_network_stays_where_it_alone_fits():
    """As LeNet-5's first dense layer: more than three quarters of all weights, and less than seven eighths fit."""
    first, most, last = window("first", 64, 25, 16, 192), window("most", 1, 1024, 100, 1024), window("last", 1, 100, 200, 100)
    trace = Trace("t", "hardware", tuple(replace(one, sources=(-1,)) for one in (first, most, last)))
    words = EDGE.buffers.weight.words(most.weights.words, 8) + 40
    assert 0.82 < words * 8 / sum(layer.weights.words for layer in trace.layers) < 0.86
    cost = estimate(trace, with_weights_of(EDGE, words * EDGE.buffers.weight.word_bits / 8192))
    assert cost.notes()[SOME_STAY] == ("most",)


def test_large_networks_are_cut_in_grains_that_a_memory_does_not_change():
    sizes = {at: 3_000_000 + at for at in range(40)}
    every = [fullest_subsets(sizes, sizes, room) for room in (30_000_000, 60_000_000, 10**12)]
    assert every[0] == every[1][-len(every[0]) :] == every[2][-len(every[0]) :]
    assert all(sum(sizes[at] for at in some) <= sum(sizes.values()) * 14 / 16 for some in every[2])
    assert sum(sizes[at] for at in every[2][0]) > sum(sizes.values()) * 13.5 / 16


@settings(max_examples=25, deadline=None)
@given(st.one_of(stages(), st.just(SMALL)), designs(), st.sampled_from(OBJECTIVES))
def test_tilings_known_from_larger_memories_are_those_that_a_search_finds(trace, on, objective):
    for runs in reversed(ways_to_run(trace, on, "horowitz-45nm", objective).runs):
        own = SharedWork(runs.shared.alike)
        alone = Runs(trace, runs.order, on, runs.residency, runs.energies, runs.arithmetic, objective, own)
        try:
            expected = alone.value({1: 1})
        except HardwareError:
            with pytest.raises(HardwareError):
                runs.value({1: 1})
        else:
            assert runs.value({1: 1}) == expected


@settings(max_examples=25, deadline=None)
@given(st.one_of(stages(), st.just(SMALL)), designs(), st.sampled_from(OBJECTIVES), st.integers(1, 3))
def test_ways_that_are_not_looked_at_would_not_be_better(trace, on, objective, batch):
    """The best of all is what looking at each of them gives, and none has less than it is promised to have at least."""
    ways = ways_to_run(trace, on, "horowitz-45nm", objective).runs
    found = []
    for place, way in enumerate(ways_to_run(trace, on, "horowitz-45nm", objective).runs):
        with contextlib.suppress(HardwareError):
            parts = way.best_parts(batch)
            value = way.value(parts)
            found.append((value, place, parts))
            if on.array.row_stationary is None and objective != "energy-delay":
                assert way.least_value(parts)[0] <= value[0] * (1 + 1e-9)
    if not found:
        with pytest.raises(HardwareError):
            least(ways, batch)
        return
    best, parts = least(ways, batch)
    assert (best.value(parts), ways.index(best), parts) == min(found, key=lambda one: one[:2])


def test_ways_that_cannot_be_best_are_not_looked_at(monkeypatch):
    looked_at = []
    best_parts = Runs.best_parts
    monkeypatch.setattr(Runs, "best_parts", lambda self, batch: looked_at.append(self) or best_parts(self, batch))
    trace = count(quantize(load_network("resnet20-adder"), None))
    assert len(ways_to_run(trace, EDGE, "horowitz-45nm", None).runs) == 5
    estimate(trace, EDGE)
    assert len(looked_at) == 1


@settings(max_examples=15, deadline=None)
@given(designs(), st.sampled_from(("energy", "latency", "dram")), st.integers(1, 3), st.floats(0.5, 16), st.floats(1.01, 3))
def test_a_larger_memory_for_weights_is_never_worse(on, objective, batch, kib, times):
    name = on.buffers.memory("weight")
    memory = msgspec.structs.replace(on.buffers.of("weight"), capacity_kib=kib)
    larger = msgspec.structs.replace(memory, capacity_kib=kib * times)
    small, large = (
        value(SMALL, msgspec.structs.replace(with_buffers(on, **{name: one}), batch=batch), objective)
        for one in (memory, larger)
    )
    assert large <= small * (1 + 1e-9)


def test_a_large_network_fetches_as_before():
    large = bottleneck_network()
    assert estimate(large, with_weights_of(EDGE, 16)) == estimate(large, fetching_weights(with_weights_of(EDGE, 16)))
