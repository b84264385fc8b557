"""Zero gating and run-length coding: what zeros save, where they save nothing, and who has to know them."""

import itertools
import math
import random
from dataclasses import replace

import numpy as np
import pytest
from msgspec.structs import replace as with_fields

from addersim import Quantization, count, estimate, load_accelerator, load_network, quantize, simulate
from addersim.arithmetic.datapaths import DATAPATHS
from addersim.errors import ConfigError, HardwareError
from addersim.hardware.accelerator import RunLengthCoding
from addersim.hardware.load import parse_accelerator
from addersim.hardware.sizing import Aim, fit_elements
from addersim.hardware.zero_savings import coded_bits
from addersim.trace import Operand, Trace
from addersim.zeros import Zeros
from tests.unit.hardware.traces import small_residual_network, window
from tests.unit.multipliers import multiplier
from tests.unit.networks import images, residual
from tests.unit.test_zeros import coded

SYSTOLIC, ROW = load_accelerator("systolic-16x16"), load_accelerator("eyeriss-65nm")
TABLES = {"systolic-16x16": "horowitz-45nm", "eyeriss-65nm": "eyeriss-65nm"}


def using(machine=SYSTOLIC, gating=False, coding=None, share=None, keep=True):
    """An accelerator that makes use of zeros; activations go to DRAM unless they are kept."""
    source = None if share is None else "chosen"
    return with_fields(
        machine,
        array=with_fields(machine.array, zero_gating=gating),
        dram=with_fields(machine.dram, run_length_coding=coding),
        buffers=machine.buffers if keep else with_fields(machine.buffers, keep_activations=False),
        zero_share=share,
        zero_share_source=source,
    )


def priced(trace, machine, **how):
    return estimate(trace, machine, TABLES.get(machine.name, "horowitz-45nm"), **how)


def seen(trace, share):
    """The trace as if a run had seen a share of zeros in every value."""
    return replace(
        trace,
        layers=tuple(
            replace(
                layer,
                zeros=tuple(Zeros(one.words, round(share * one.words), 0) for one in layer.inputs),
                output_zeros=None if layer.fused else Zeros(layer.output.words, round(share * layer.output.words), 0),
            )
            for layer in trace.layers
        ),
    )


@pytest.fixture(scope="module")
def simulated():
    network = residual(arithmetic="mac")
    pixels = images(network, 6)
    program = quantize(network, pixels)
    return program, pixels, simulate(program, pixels).trace


@pytest.mark.parametrize("machine", [SYSTOLIC, ROW], ids=lambda one: one.name)
@pytest.mark.parametrize("arithmetic", ["mac", "l1", "ternary"])
def test_without_zeros_nothing_changes(machine, arithmetic):
    network = residual(arithmetic=arithmetic)
    trace = seen(count(quantize(network, None)), 0.0)
    layers = tuple(
        layer if layer.work is None else replace(layer, work=replace(layer.work, geometry=None, image=None))
        for layer in trace.layers
    )
    for facts in (trace, replace(trace, layers=layers))[: 1 if machine is ROW else 2]:
        plain = priced(facts, using(machine, keep=False)).to_dict()
        coding = using(machine, coding=RunLengthCoding(), keep=False)
        assert priced(facts, coding).to_dict() == plain
        if facts is not trace:  # padding is zeros
            gating = priced(facts, using(machine, gating=True, coding=RunLengthCoding(), keep=False)).to_dict()
            assert gating | {"notes": {}} == plain | {"notes": {}}


@pytest.mark.parametrize("machine", [SYSTOLIC, ROW], ids=lambda one: one.name)
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 1.0])
def test_gating_saves_operations_and_reads_of_weights_in_the_share_of_taps_on_zeros(machine, share):
    trace = seen(count(quantize(residual(arithmetic="mac"), None)), share)
    plain, gated = (priced(trace, using(machine, gating=one)) for one in (False, True))
    assert gated.cycles == plain.cycles
    for layer, before, after in zip(trace.layers, plain.layers, gated.layers, strict=True):
        if layer.work is None:
            assert after.to_dict() == before.to_dict()
            continue
        rests = math.floor(layer.zero_taps * layer.work.taps) * plain.batch
        assert after.gated_taps == rests
        left = 1 - rests / before.taps
        ours, theirs = after.energy_by_component(), before.energy_by_component()
        assert ours.get("array", 0.0) == pytest.approx(left * theirs["array"])
        assert {one: pj for one, pj in ours.items() if one not in ("array", "register")} == pytest.approx(
            {one: pj for one, pj in theirs.items() if one not in ("array", "register")}
        )
        reads = {(one.level, one.operand): one.reads for one in before.accesses}
        for one in after.accesses:
            fewer = rests if (one.level, one.operand) == ("register", "weight") else 0
            assert one.reads == reads[one.level, one.operand] - fewer
    if share == 1.0:
        assert gated.energy_by_component().get("array", 0.0) == 0.0
        assert sum(layer.gated_taps for layer in gated.layers) == plain.taps


def test_more_zeros_never_cost_more():
    drawn = random.Random(3)
    for _ in range(40):
        pixels, taps, filters, inputs = (drawn.randint(1, 300) for _ in range(4))
        trace = Trace("one", "hardware", (window("a", pixels, taps, filters, inputs, bits=drawn.choice((4, 8, 16))),))
        objective = drawn.choice(("energy", "latency", "dram", "energy-delay"))
        coding = RunLengthCoding(run_bits=drawn.randint(4, 8), word_bits=drawn.choice((16, 32, 64, 256)))
        machine = with_fields(
            SYSTOLIC, array=with_fields(SYSTOLIC.array, dataflow=drawn.choice(("output", "weight", "input")))
        )
        shares = sorted([0.0, *(drawn.random() for _ in range(3)), 1.0])
        plain = priced(trace, machine, objective=objective)
        costs = [plain, *(priced(seen(trace, one), using(machine, True, coding), objective=objective) for one in shares)]
        values = [
            {
                "energy": one.energy_pj,
                "latency": one.cycles,
                "dram": one.dram_bytes,
                "energy-delay": one.energy_pj * one.cycles,
            }
            for one in costs
        ]
        for before, after in itertools.pairwise(values):
            assert after[objective] <= before[objective] * (1 + 1e-12), (trace, coding, objective)


@pytest.mark.parametrize("circuit", ["l1-2a", "l1-1c1a", "l1-xor", "l2", "xnor"])
def test_elements_whose_term_of_zero_is_not_zero_never_rest(circuit):
    bits, record = 1 if circuit == "xnor" else 8, DATAPATHS[circuit]
    assert record.arithmetic.term(np.zeros(1, int), np.full(1, 3)) != 0
    layer = window("a", 64, 32, 16, inputs=512, bits=bits)
    other = replace(layer, datapath=circuit, operations=record.bill(layer.work.taps, bits, 24, 32))
    trace = Trace("one", "hardware", (other,))
    plain, gated = priced(trace, SYSTOLIC), priced(trace, using(gating=True))  # nobody has to know the zeros
    assert gated.energy_pj == plain.energy_pj
    assert gated.notes()["zero gating saves nothing where the term of a zero is not zero"] == ("a",)
    assert "zero gating" not in " ".join(plain.notes())


@pytest.mark.parametrize("circuit", ["mac", "ternary", "shift", "apot"])
def test_elements_whose_term_of_zero_is_zero_rest(circuit):
    record = DATAPATHS[circuit]
    assert record.arithmetic.term(np.zeros(1, int), np.full(1, 3)) == 0
    layer = window("a", 64, 32, 16, inputs=512)
    other = replace(layer, datapath=circuit, operations=record.bill(layer.work.taps, 8, 24, 32), zeros=(Zeros(512, 256, 1),))
    cost = priced(Trace("one", "hardware", (other,)), using(gating=True))
    plain = priced(Trace("one", "hardware", (other,)), SYSTOLIC)
    assert cost.energy_by_component()["array"] == pytest.approx(plain.energy_by_component()["array"] / 2)
    assert "zero gating" not in " ".join(cost.notes())


def test_a_multiplier_that_is_a_table_may_have_a_product_of_zero():
    network = residual(arithmetic="mac")
    pixels = images(network, 4)
    table = multiplier(cut=2, signed=True, relative_energy=0.5, source="chosen")
    program = quantize(network, pixels, Quantization(activation_bits=7)).with_multiplier(table)
    trace = simulate(program, pixels).trace
    assert {layer.datapath for layer in trace.layers if layer.work} == {"table"}
    plain, gated = priced(trace, SYSTOLIC), priced(trace, using(gating=True))
    assert gated.energy_pj == plain.energy_pj


@pytest.mark.parametrize(("bits", "packed"), [(16, 3), (8, 4)])
def test_codes_are_as_long_as_a_coder_makes_them(bits, packed):
    """Bits of all values that one simulation wrote and read, as pairs packed to words of 64 bits."""
    network, coding = residual(arithmetic="mac"), RunLengthCoding()
    pixels = images(network, 6)
    program = quantize(network, pixels, Quantization(activation_bits=bits))
    trace = simulate(program, pixels).trace
    codes = {name: run.values for name, run in program.runs(pixels)}
    cost = priced(trace, using(coding=coding, keep=False))
    found = 0
    for layer, moved in zip(trace.layers, cost.layers, strict=True):
        if layer.fused:
            continue
        whole = packed if layer.output.bits == bits else 64 // (5 + layer.output.bits)
        pairs = sum(len(coded(row, 5)) for row in codes[layer.name].reshape(len(pixels), -1))
        long = pairs * 64 / whole / len(pixels)
        written = sum(one.size_bits for one in moved.accesses if (one.level, one.operand) == ("dram", "output"))
        if long < layer.output.size_bits:
            assert written == pytest.approx(long, abs=1e-3)
            found += 1
        elif written:
            assert written == layer.output.size_bits
    assert found == (2 if bits == 16 else 1)


def test_only_activations_are_coded_and_the_memories_hold_words():
    trace = seen(small_residual_network(), 0.6)
    coding = RunLengthCoding()
    plain, ours = (priced(trace, using(coding=one, keep=False)) for one in (None, coding))
    width = coded_bits(Operand(1024, 8), Zeros(1024, 614, 0), coding)
    assert width < 8
    for before, after in zip(plain.layers, ours.layers, strict=True):
        for one, other in zip(before.accesses, after.accesses, strict=True):
            assert other[:5] == one[:5]
            activation = one.level == "dram" and one.operand in ("input", "output") and one.bits == 8
            assert other.size_bits == pytest.approx(one.words * width if activation else other.size_bits, rel=2e-3)
            assert other.size_bits < one.size_bits if activation else other.coded_bits is None or one.bits != 8
    assert ours.dram_bytes < plain.dram_bytes
    assert ours.cycles <= plain.cycles


def test_what_the_code_would_lengthen_is_stored_as_it_is():
    coding = RunLengthCoding()
    assert coded_bits(Operand(100, 16), Zeros(100, 24, 0), coding) is None  # 0.76 x 64 / 3 > 16
    assert coded_bits(Operand(100, 16), Zeros(100, 26, 0), coding) < 16
    assert coded_bits(Operand(100, 16), None, coding) is None
    assert coded_bits(Operand(0, 16), Zeros(0, 0, 0), coding) is None
    narrow = RunLengthCoding(run_bits=8, word_bits=16)  # a pair of 8 and 16 bits takes two words
    assert coded_bits(Operand(100, 16), Zeros(100, 0, 0), narrow) is None
    assert coded_bits(Operand(128, 16), Zeros(128, 128, 1, (8, 4, 2, 1, 1)), narrow) == 32 / 128


def test_weights_that_are_skipped_are_gated_no_more():
    """Of the taps that 2:4 sparsity leaves, those on zeros rest."""
    layer = replace(window("a", 64, 32, 16, inputs=512), nonzero=((2, 1), (4, 2)), zeros=(Zeros(512, 128, 1),))
    machine = with_fields(SYSTOLIC, array=with_fields(SYSTOLIC.array, sparsity="2:4"))
    plain, gated = (priced(Trace("one", "hardware", (layer,)), using(machine, gating=one)) for one in (False, True))
    assert plain.taps == gated.taps == 64 * 16 * 16
    assert gated.layers[0].gated_taps == gated.taps / 4
    assert gated.energy_by_component()["array"] == pytest.approx(0.75 * plain.energy_by_component()["array"])


def test_parts_add_up_and_dram_costs_its_bits(simulated):
    _, _, trace = simulated
    cost = priced(trace, using(gating=True, coding=RunLengthCoding(), keep=False), batch=5)
    parts = [part.energy_pj for layer in cost.layers for part in layer.parts]
    random.Random(1).shuffle(parts)
    assert sum(parts) == cost.energy_pj == sum(cost.energy_by_component().values()) == cost.to_dict()["energy_pj"]["total"]
    (bit,) = (used.energy.energy_pj for used in cost.prices if used.what == "DRAM dram")
    assert cost.energy_by_component()["dram"] == pytest.approx(bit * 8 * cost.dram_bytes)
    wide = cost.dram_bytes * 8
    assert wide == math.fsum(one.size_bits for layer in cost.layers for one in layer.accesses if one.level == "dram")


@pytest.mark.parametrize("machine", [SYSTOLIC, ROW], ids=lambda one: one.name)
def test_no_objective_is_beaten_by_another(machine, simulated):
    _, _, trace = simulated
    ours = using(machine, gating=True, coding=RunLengthCoding(), keep=False)
    costs = {one: priced(trace, ours, objective=one) for one in ("energy", "latency", "dram")}
    for one, measure in (("energy", "energy_pj"), ("latency", "cycles"), ("dram", "dram_bytes")):
        least = min(getattr(cost, measure) for cost in costs.values())
        assert getattr(costs[one], measure) <= least * (1.05 if machine is ROW else 1 + 1e-9)


@pytest.mark.parametrize("goal", ["latency", "energy"])
def test_an_array_is_sized_with_it(goal, simulated):
    """Bounds of shapes hold: no shape of as many elements is better."""
    _, _, trace = simulated
    machine = using(gating=True, coding=RunLengthCoding(), keep=False)
    measure = {"latency": "cycles", "energy": "energy_pj"}[goal]
    found = getattr(priced(trace, fit_elements(machine, 32, trace, Aim(goal))), measure)
    for rows in (1, 2, 4, 8, 16, 32):
        shape = with_fields(machine, array=with_fields(machine.array, rows=rows, columns=32 // rows))
        assert found <= getattr(priced(trace, shape), measure) * (1 + 1e-9)


def test_a_stated_share_stands_for_what_nobody_saw():
    trace = small_residual_network()
    ours = using(gating=True, coding=RunLengthCoding(), share=0.6, keep=False)
    cost = priced(trace, ours)
    assert cost.notes()["share of zeros stated as 0.6, not seen (chosen)"] == ("conv1", "conv2", "add", "flatten", "fc")
    gated = {layer.name: layer.gated_taps / layer.taps for layer in cost.layers if layer.taps}
    assert gated["conv1"] == 0  # it reads the image
    assert gated["conv2"] == gated["fc"] == pytest.approx(0.6, abs=1e-3)
    last = cost.layers[-1]
    assert all(one.coded_bits is None for one in last.accesses if one.operand == "output")  # nobody reads it
    watched = seen(trace, 0.3)
    assert (
        priced(watched, ours).to_dict() == priced(watched, using(gating=True, coding=RunLengthCoding(), keep=False)).to_dict()
    )


@pytest.mark.parametrize(
    ("gating", "coding", "what"), [(True, None, "zero_gating"), (False, RunLengthCoding(), "run_length_coding")]
)
def test_zeros_that_nobody_saw_are_asked_for(gating, coding, what):
    trace = count(quantize(load_network("lenet5-conv"), None))
    with pytest.raises(HardwareError) as error:
        estimate(trace, using(gating=gating, coding=coding))
    assert str(error.value) == (
        f"layer conv1: accelerator 'systolic-16x16' has {what}, but nobody saw the zeros of the layer's input; estimate the "
        "trace of a simulation, as addersim report does, or state zero_share and zero_share_source in the accelerator file"
    )


def test_conventions_and_tools_that_know_no_hardware_ask_for_nothing():
    program = quantize(load_network("lenet5-conv"), None)
    ours = using(gating=True, coding=RunLengthCoding())
    assert estimate(count(program, "paper"), ours).energy_pj == estimate(count(program, "paper"), SYSTOLIC).energy_pj
    assert (
        estimate(count(program), ours, compat="scalesim").cycles
        == estimate(count(program), SYSTOLIC, compat="scalesim").cycles
    )


TOML = """
name = "a"
source = "chosen"
clock_mhz = 500
{top}
[array]
rows = 16
columns = 16
dataflow = "output"
{array}
[buffers]
keep_activations = true
[buffers.unified]
capacity_kib = 64
[dram]
bandwidth_gb_s = 1
{dram}
[vector]
lanes = 16
"""


def test_an_accelerator_file_states_them():
    found = parse_accelerator(
        TOML.format(
            top='zero_share = 0.5\nzero_share_source = "chosen"',
            array="zero_gating = true",
            dram="[dram.run_length_coding]\nrun_bits = 4",
        ),
        "a.toml",
    )
    assert found.array.zero_gating
    assert found.dram.run_length_coding == RunLengthCoding(run_bits=4, word_bits=64)
    assert (found.zero_share, found.zero_share_source) == (0.5, "chosen")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"top": "zero_share = 0.5"}, "zero_share and zero_share_source come together: a number needs its source"),
        ({"top": 'zero_share = 1.5\nzero_share_source = "a"'}, "zero_share"),
        ({"array": "zero_gating = 1"}, "zero_gating"),
        ({"dram": "[dram.run_length_coding]\nrun_bits = 3"}, "run_bits"),
        ({"dram": "[dram.run_length_coding]\nrun_bits = 9"}, "run_bits"),
        ({"dram": "[dram.run_length_coding]\nruns = 5"}, "runs"),
    ],
)
def test_what_it_may_not_state_is_told_in_one_line(parts, message):
    with pytest.raises(ConfigError) as error:
        parse_accelerator(TOML.format(**{"top": "", "array": "", "dram": ""} | parts), "a.toml")
    assert message in str(error.value)
    assert "\n" not in str(error.value)
