"""Weights that stay on chip: fetched once, before the first image, where they fit."""

from dataclasses import replace

import msgspec
import pytest

from addersim.errors import ConfigError, HardwareError
from addersim.hardware import accelerator_names, estimate, load_accelerator
from addersim.hardware.load import parse_accelerator
from addersim.hardware.prices.csv_file import load_table
from addersim.trace import Trace
from tests.unit.hardware.traces import bottleneck_network, fetching_weights, relu, small_residual_network, window

EDGE = load_accelerator("systolic-16x16")
UNIFIED = load_accelerator("edge-unified-32x32")
SMALL = small_residual_network()


def with_buffers(machine, **changes):
    return msgspec.structs.replace(machine, buffers=msgspec.structs.replace(machine.buffers, **changes))


def with_weights_of(machine, kib):
    return with_buffers(machine, weight=msgspec.structs.replace(machine.buffers.weight, capacity_kib=kib))


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
        "energy_pj": cost.cold_start.energy_pj, "cycles": cost.cold_start.cycles, "dram_bytes": words,
    }  # fmt: skip
    assert "cold start" in str(cost)
    assert "cold start" not in str(estimate(SMALL, fetching_weights(EDGE)))


def test_a_memory_that_holds_them_to_the_last_word_is_enough():
    words = sum(EDGE.buffers.weight.words(layer.weights.words, layer.weights.bits) for layer in SMALL.layers)
    enough = words * EDGE.buffers.weight.word_bits / 8192
    assert estimate(SMALL, with_weights_of(EDGE, enough)).cold_start
    less = with_weights_of(EDGE, enough - EDGE.buffers.weight.word_bits / 8192)
    assert estimate(SMALL, less).cold_start is None


def test_true_refuses_what_does_not_fit():
    small = with_buffers(with_weights_of(EDGE, 0.25), keep_weights=True)
    with pytest.raises(HardwareError, match=r"keep_weights is true, but the weights of .*, and its weight memory has 32"):
        estimate(SMALL, small)


def test_shared_weights_are_held_once():
    conv = window("conv", 64, 27, 16, inputs=192)
    again = replace(conv, name="again", sources=(-1,), weights_shared=True)
    once = estimate(Trace("t", "hardware", (conv,)), EDGE).cold_start
    assert estimate(Trace("t", "hardware", (conv, again)), EDGE).cold_start == once


@pytest.mark.parametrize(("kib", "kept"), [(110, True), (120, False), (150, False), (160, True)])
def test_a_unified_memory_keeps_them_only_where_the_whole_gains(kib, kept):
    """120 KiB hold the activations of two layers or, with tiles of these, the weights: the activations are worth more."""
    first, second = window("first", 960, 27, 64, inputs=3072), window("second", 960, 576, 64, inputs=61440)
    third = window("third", 960, 64, 1, inputs=61440)
    layers = (first, relu("relu1", 61440), second, relu("relu2", 61440), third, relu("relu3", 960))
    trace = Trace("t", "hardware", layers)
    machine = with_buffers(UNIFIED, unified=msgspec.structs.replace(UNIFIED.buffers.unified, capacity_kib=kib))
    found, stay, fetch = (estimate(trace, with_buffers(machine, keep_weights=keep)) for keep in (None, True, False))
    assert (stay.energy_pj < fetch.energy_pj) == kept
    assert found == (stay if kept else fetch)


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


def test_a_large_network_fetches_as_before():
    large = bottleneck_network()
    assert estimate(large, with_weights_of(EDGE, 16)) == estimate(large, fetching_weights(with_weights_of(EDGE, 16)))
