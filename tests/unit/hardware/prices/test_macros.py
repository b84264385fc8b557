"""Memories are priced by their banks, by hand and in general."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from addersim import count, load_network, quantize
from addersim.hardware import estimate, load_accelerator, load_table, parse_table
from addersim.hardware.accelerator import Buffer
from addersim.hardware.area import estimate_area
from addersim.hardware.leakage import Leakage
from addersim.hardware.load import parse_accelerator
from addersim.hardware.prices.csv_file import TABLE_COLUMNS
from addersim.hardware.prices.macros import Macros, access_energy, macros_of
from tests.unit.hardware.traces import fetching_weights, small_residual_network

SMALL = small_residual_network()
EDGE = load_accelerator("edge-unified-32x32")
BANKED = ("horowitz-45nm", *(f"aladdin-cacti-{node}nm" for node in (7, 16, 22, 28, 32, 45, 65)))
TABLES = {name: load_table(name) for name in (*BANKED, "qtools-45nm")}
ROWS = (
    "sram,access,,1,1,pJ/bit,10000,45,,exact,book", "sram,access,,16,4,pJ/bit,160000,45,,exact,book",
    "sram,access,,1..64,,pJ/bit,,45,,power,book", "wire,on-chip,,,0.5,pJ/bit/mm,,45,,exact,ruler",
)  # fmt: skip
ROUND = parse_table("\n".join((",".join(TABLE_COLUMNS).replace(",unit", ",unit,area_um2"), *ROWS)), "round", "round.csv")


def test_an_access_by_hand():
    memory = Buffer(capacity_kib=64, word_bits=8, banks=16)
    macros = macros_of(memory, ROUND)
    # 16 macros of 4 KiB: 2 pJ a bit and 40,000 um2 each; together a square of 0.8 mm a side
    assert macros == Macros(16, 4.0, 0.4)
    found = access_energy(memory, macros, ROUND, "read")
    assert found.energy_pj == pytest.approx(8 * 2 + 8 * 0.5 * 0.4)
    assert found.rule == "power, between 1 and 16 KiB, one of 16 macros of 4 KiB: 16 pJ, and 0.4 mm of wire (exact): 1.6 pJ"
    assert found.source == "book; ruler"
    whole = access_energy(memory, macros_of(memory, ROUND, monolithic=True), ROUND, "read")
    assert whole == ROUND.sram(64, 8)
    assert whole.energy_pj == pytest.approx(8 * 8)


@pytest.mark.parametrize("banks", [None, 1])
def test_one_bank_is_one_macro_without_a_wire(banks):
    assert macros_of(Buffer(capacity_kib=64, banks=banks), ROUND) == Macros(1, 64)


def test_no_macro_is_smaller_than_the_smallest_of_the_table():
    assert macros_of(Buffer(capacity_kib=4, word_bits=8, banks=16), ROUND).capacity_kib == 1
    assert macros_of(Buffer(capacity_kib=0.5, word_bits=8, banks=16), ROUND).note  # the table has no such memory at all


@pytest.mark.parametrize("left_out", ["wire", "area"])
def test_a_table_without_areas_or_wires_prices_one_memory_and_says_so(left_out):
    rows = [row for row in ROWS if not row.startswith(left_out)]
    if left_out == "area":
        rows = [row.replace(",10000,", ",,").replace(",160000,", ",,") for row in rows]
    lacking = parse_table("\n".join((",".join(TABLE_COLUMNS).replace(",unit", ",unit,area_um2"), *rows)), "lab", "lab.csv")
    memory = Buffer(capacity_kib=64, word_bits=8, banks=16)
    macros = macros_of(memory, lacking)
    note = "priced as one memory, not by banks: the table lacks areas of memories or the energy of wires"
    assert macros == Macros(1, 64, note=note)
    found = access_energy(memory, macros, lacking, "read")
    assert (found.energy_pj, found.note) == (
        lacking.sram(64, 8).energy_pj,
        f"outside the table's evidence of 1..16 KiB; {note}",
    )


def test_a_cost_names_the_memories_that_are_priced_as_one():
    noted = estimate(SMALL, EDGE, "qtools-45nm").notes()
    (note,) = (one for one in noted if one.startswith("priced as one memory"))
    assert noted[note] == ("unified buffer of 384 KiB, read", "unified buffer of 384 KiB, write")
    assert not [one for one in estimate(SMALL, EDGE, "horowitz-45nm").notes() if one.startswith("priced")]


@given(
    st.sampled_from(sorted(TABLES)),
    st.floats(4, 4096),
    st.floats(4, 4096),
    st.integers(1, 128),
    st.sampled_from((8, 32, 64, 128)),
)
def test_a_larger_memory_of_as_many_banks_is_never_cheaper(name, one, other, banks, bits):
    table = TABLES[name]
    small, large = (Buffer(capacity_kib=size, word_bits=bits, banks=banks) for size in sorted((one, other)))
    for op in ("read", "write"):
        less, more = (access_energy(memory, macros_of(memory, table), table, op).energy_pj for memory in (small, large))
        assert less <= more * (1 + 1e-12)


@given(st.sampled_from(BANKED), st.floats(4, 4096), st.integers(1, 128))
def test_energy_of_an_access_is_that_of_a_macro_and_the_wire_of_its_area(name, capacity, banks):
    table, memory = TABLES[name], Buffer(capacity_kib=capacity, banks=banks)
    macros = macros_of(memory, table)
    assert macros.number == banks
    assert macros.capacity_kib == max(capacity / banks, table.smallest_kib())
    all_mm2 = banks * table.area("sram", "read", 64, macros.capacity_kib).value * 1e-6
    assert macros.wire_mm == pytest.approx(all_mm2**0.5 / 2 if banks > 1 else 0)


def test_energy_leakage_and_area_are_those_of_the_same_macros():
    cacti = TABLES["aladdin-cacti-45nm"]
    areas = [part for part in estimate_area(SMALL, EDGE, cacti).parts if part.circuit.unit == "buffer"]
    assert [(part.circuit.number, part.circuit.capacity_kib) for part in areas] == [(40, 9.6)]
    macro = cacti.leakage("sram", "read", 64, 9.6).value
    assert Leakage(SMALL, EDGE, cacti).power_uw["buffer"] == pytest.approx(40 * macro)
    read = next(used for used in estimate(SMALL, EDGE, cacti).prices if used.what.endswith("KiB, read"))
    assert "one of 40 macros of 9.6 KiB" in read.energy.rule


def test_an_accelerator_may_say_that_its_memories_are_monolithic():
    text = """
name = "multi-port"
source = "mine"
clock_mhz = 500
[array]
rows = 8
columns = 8
dataflow = "output"
[buffers]
keep_activations = true
monolithic = true
[buffers.unified]
capacity_kib = 64
banks = 16
[dram]
bandwidth_gb_s = 1
[vector]
lanes = 8
"""
    whole, banked = (
        parse_accelerator(text.replace("= true\n[buffers.u", f"= {said}\n[buffers.u"), "m.toml") for said in ("true", "false")
    )
    cacti = TABLES["aladdin-cacti-45nm"]
    costs = [estimate(SMALL, machine, cacti) for machine in (whole, banked)]
    reads = [next(used.energy for used in cost.prices if used.what.endswith("KiB, read")) for cost in costs]
    assert reads[0].energy_pj == cacti.sram(64, 64).energy_pj
    assert reads[0].rule.startswith("exact; of transistors itrs-lstp")
    assert reads[1].energy_pj < reads[0].energy_pj
    areas = [estimate_area(SMALL, machine, cacti).by_unit()["buffer"] for machine in (whole, banked)]
    assert areas[0] == pytest.approx(cacti.area("sram", "read", 64, 64).value) != areas[1]


@pytest.mark.parametrize(
    ("name", "before"), [("systolic-16x16", 11.148), ("edge-unified-32x32", 5.912), ("systolic-128x128", 13.686)]
)
def test_monolithic_memories_give_the_figures_as_they_were(name, before):
    """LeNet-5 with adders under Horowitz' figures, in uJ, before memories were priced by their banks."""
    trace, machine = count(quantize(load_network("lenet5-adder"), None)), load_accelerator(name)
    machine = fetching_weights(machine)
    whole = msgspec.structs.replace(machine, buffers=msgspec.structs.replace(machine.buffers, monolithic=True))
    assert estimate(trace, whole).energy_pj / 1e6 == pytest.approx(before, abs=5e-4)
    assert estimate(trace, machine).energy_pj / 1e6 < before - 0.2


def test_a_memory_may_name_its_transistors():
    cacti, leaks = TABLES["aladdin-cacti-45nm"], {}
    for device in (None, "itrs-lstp", "itrs-hp"):
        unified = msgspec.structs.replace(EDGE.buffers.unified, device=device)
        machine = msgspec.structs.replace(EDGE, buffers=msgspec.structs.replace(EDGE.buffers, unified=unified))
        leaks[device] = Leakage(SMALL, machine, cacti).power_uw["buffer"]
        macros = macros_of(unified, cacti)
        assert access_energy(unified, macros, cacti, "read").energy_pj == pytest.approx(
            cacti.sram(9.6, 64, "read", device).energy_pj + macros.wire_mm * cacti.wire(64, device).energy_pj
        )
    assert leaks[None] == leaks["itrs-lstp"] < leaks["itrs-hp"] / 10_000


def test_a_cost_names_the_transistors_that_no_accelerator_chose():
    """CACTI's leak a thousand times more or less, by what they are made for."""
    said = "of transistors itrs-lstp, where the table has itrs-lop and itrs-hp too"
    assert estimate(SMALL, EDGE, "aladdin-cacti-45nm").notes() == {
        said: ("unified buffer of 384 KiB, read", "unified buffer of 384 KiB, write")
    }
    assert list(estimate(SMALL, EDGE, "aladdin-cacti-16nm").notes()) == ["of transistors itrs-lstp"]
    unified = msgspec.structs.replace(EDGE.buffers.unified, device="itrs-lop")
    chosen = msgspec.structs.replace(EDGE, buffers=msgspec.structs.replace(EDGE.buffers, unified=unified))
    assert not estimate(SMALL, chosen, "aladdin-cacti-45nm").notes()
