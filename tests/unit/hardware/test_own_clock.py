"""Designs at the clock that their own elements allow."""

import json
import re
from dataclasses import replace

import pytest
from msgspec.structs import replace as change

from addersim import count, load_network, quantize
from addersim.errors import AddersimError, HardwareError, PriceError
from addersim.hardware import estimate, load_accelerator, load_table, parse_table
from addersim.hardware.own_clock import at_own_clock
from addersim.trace import Trace
from tests.command_line import call, refused
from tests.unit.hardware.test_area import adder
from tests.unit.hardware.traces import batch_norm, small_residual_network

EDGE, GATES = load_accelerator("systolic-16x16"), load_table("nangate45-gates")
MULTIPLYING = small_residual_network()


def adding(circuit="l1-2a"):
    layers = tuple(adder(layer, circuit) if layer.work else layer for layer in MULTIPLYING.layers)
    return Trace("adding", "hardware", layers)


def delay(datapath, bits=8):
    return next(
        row.delay_ns for row in GATES.rows if (row.component, row.op, row.bits) == ("pe", datapath, (bits, bits))
    )  # fmt: skip


@pytest.mark.parametrize("circuit", ["l1-2a", "l1-1c1a", "l1-xor"])
def test_adders_run_at_the_clock_of_an_adder_and_multipliers_at_theirs(circuit):
    ours, theirs = at_own_clock(adding(circuit), EDGE, GATES), at_own_clock(MULTIPLYING, EDGE, GATES)
    assert ours.machine.clock_mhz == pytest.approx(1e3 / delay(circuit))
    assert theirs.machine.clock_mhz == pytest.approx(1e3 / delay("mac"))
    assert ours.machine.clock_mhz > 1.3 * theirs.machine.clock_mhz
    assert ours.machine.name == f"systolic-16x16, {1e3 / delay(circuit):.4g} MHz by {circuit}"
    assert (ours.slowest, theirs.slowest) == (f"element {circuit} of 8 bits", "element mac of 8 bits")
    assert theirs.source in theirs.machine.source


def test_a_network_that_multiplies_anywhere_has_a_multiplier_s_clock():
    mixed = Trace("mixed", "hardware", (MULTIPLYING.layers[0], *adding().layers[1:]))
    assert at_own_clock(mixed, EDGE, GATES).machine.clock_mhz == pytest.approx(1e3 / delay("mac"))
    also = change(EDGE, array=change(EDGE.array, datapaths=("l1-2a", "mac")))
    assert at_own_clock(adding(), also, GATES).machine.clock_mhz == pytest.approx(1e3 / delay("mac"))


def test_time_follows_the_clock_and_dram_keeps_its_bandwidth():
    own = at_own_clock(adding(), EDGE, GATES).machine
    cost, before = estimate(adding(), own, GATES), estimate(adding(), EDGE, GATES)
    assert own.dram == EDGE.dram
    assert own.dram_bits_per_cycle == pytest.approx(EDGE.dram_bits_per_cycle * 500 / own.clock_mhz)
    assert cost.latency_ms == pytest.approx(cost.cycles / own.clock_mhz / 1e3)
    assert cost.latency_ms < before.latency_ms


def test_what_has_no_delay_is_refused_by_name():
    with pytest.raises(HardwareError, match="own clock: energy table 'horowitz-45nm' has no delays of processing elements"):
        at_own_clock(MULTIPLYING, EDGE, load_table("horowitz-45nm"))
    with pytest.raises(HardwareError, match="own clock: network flat: no layer runs on the array"):
        at_own_clock(Trace("flat", "hardware", (batch_norm("bn", 64, 4),)), EDGE, GATES)
    text = "component,op,bits,capacity_kib,energy_pj,unit,delay_ns,node_nm,voltage_v,rule,source\n"
    some = parse_table(text + "pe,l1-2a,8,,1,pJ,0.5,45,1,exact,book\npe,mac,8,,1,pJ,,45,1,exact,book\n", "some", "some.csv")
    assert at_own_clock(adding(), EDGE, some).machine.clock_mhz == 2000
    with pytest.raises(PriceError, match="'some' has no row for the delay of a processing element mac of 8 bits"):
        at_own_clock(MULTIPLYING, EDGE, some)
    narrow = replace(MULTIPLYING.layers[0], inputs=(MULTIPLYING.layers[0].inputs[0]._replace(bits=40),))
    with pytest.raises(PriceError, match="has no row for the delay of a processing element mac of 40 bits"):
        at_own_clock(Trace("wide", "hardware", (narrow, *MULTIPLYING.layers[1:])), EDGE, GATES)


def test_trees_of_adders_are_not_clocked_as_single_elements():
    with pytest.raises(HardwareError, match="'nvdla-large' is a broadcast array, whose trees of adders are slower"):
        at_own_clock(MULTIPLYING, load_accelerator("nvdla-large"), GATES)


def test_a_price_of_whole_elements_is_told_where_trees_share_accumulators():
    def told(machine, table):
        return [words for words, _ in estimate(MULTIPLYING, machine, table).known if "trees share" in words]

    assert told("nvdla-large", GATES) == [
        "priced by elements with an accumulator each, which a broadcast array's adder trees share"
    ]
    assert not told("nvdla-large", "aladdin-cacti-45nm")
    assert not told(EDGE, GATES)


@pytest.mark.parametrize("place", range(3))
def test_what_is_of_another_kind_is_refused(place):
    given = [MULTIPLYING, EDGE, GATES]
    given[place] = "systolic-16x16"
    with pytest.raises(
        AddersimError, match=r"own clock: (trace|accelerator|table): found str, needs (Trace|Accelerator|EnergyTable);"
    ):
        at_own_clock(*given)


def test_verbs_compare_designs_at_their_own_clocks():
    found = json.loads(call("estimate", "lenet5-adder", "--own-clock", "--table", "nangate45-gates", "--json").stdout)
    trace = count(quantize(load_network("lenet5-adder"), None))
    assert found["clock_mhz"] == at_own_clock(trace, EDGE, GATES).machine.clock_mhz
    asked = "lenet5-conv", "lenet5-adder", "--table", "nangate45-gates", "--own-clock"
    assert len(re.findall(r"MHz by mac", call("compare", *asked, "--json").stdout)) >= 2


def test_verbs_refuse_tables_without_delays():
    for verb in ("estimate", "compare"):
        line = refused(verb, "lenet5-adder", "--own-clock")
        assert "own clock: energy table 'horowitz-45nm' has no delays" in line
    assert refused("estimate", "lenet5-adder", "--own-clock", "--table", "all") == (
        "--own-clock: needs one energy table, whose delays set it; found --table all"
    )
