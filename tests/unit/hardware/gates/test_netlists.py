"""Netlists of cells: what drives what, how long it takes, and what a toggle costs."""

import numpy as np
import pytest

from addersim.errors import HardwareError
from addersim.hardware.gates.activity import Simulator
from addersim.hardware.gates.liberty import load_library
from addersim.hardware.gates.netlist import read_netlist
from addersim.hardware.gates.power import cycle_energy
from addersim.hardware.gates.timing import Timing, usual_slew_ns
from tests.unit.hardware.gates import library


def module(cells, **ports):
    """A module of yosys' JSON: cells as (type, pin=net), ports as (direction, nets)."""
    return {
        "ports": {name: {"direction": way, "bits": bits} for name, (way, bits) in ports.items()},
        "cells": {
            f"u{place}": {"type": kind, "connections": {pin: [net] for pin, net in nets.items()}}
            for place, (kind, nets) in enumerate(cells)
        },
    }


@pytest.fixture
def small(tmp_path):
    return load_library(library.write(tmp_path))


def with_flop(tmp_path, per_load, both=True):
    text = library.library_text(library.cells().split("cell (DFF)")[0] + library.flop("DFF", per_load, both))
    return load_library(library.write(tmp_path, text, f"{per_load}{both}.lib"))


def register(lib):
    """d -> register -> q, which an inverter reads."""
    nets = {"CK": 2, "D": 3, "Q": 4} | ({"QN": 6} if "QN" in lib.cells["DFF"].pins else {})
    made = module([("DFF", nets), ("INV", {"A": 4, "Y": 5})], clk=("input", [2]), d=("input", [3]), y=("output", [5]))
    return Timing.of(read_netlist(made, lib), 0.1)


def test_gates_stand_behind_what_they_read_and_loads_are_pins_and_wires(small):
    chain = [("INV", {"A": 4, "Y": 5}), ("INV", {"A": 3, "Y": 4}), ("NAND2", {"A": 2, "B": "1", "Y": 3})]
    found = read_netlist(module(chain, a=("input", [2]), y=("output", [5])), small)
    assert [one.cell.name for one in found.gates] == ["NAND2", "INV", "INV"]
    assert found.area_um2 == 4.0
    assert found.leakage_nw == 4.0
    assert found.loads_pf[2] == pytest.approx(0.002 + 0.001)
    assert read_netlist(module(chain, a=("input", [2])), small, with_wires=False).loads_pf[2] == 0.002


def test_a_loop_an_unknown_cell_and_a_forced_register_are_refused(small, tmp_path):
    loop = [("INV", {"A": 3, "Y": 2}), ("NAND2", {"A": 2, "B": 4, "Y": 3})]
    with pytest.raises(HardwareError, match="read each other in a loop: u0, u1"):
        read_netlist(module(loop, a=("input", [4])), small)
    with pytest.raises(HardwareError, match=r"u0 is a \$_DLATCH_P_, which library small_nangate_like has not"):
        read_netlist(module([("$_DLATCH_P_", {"E": 2})], a=("input", [2])), small)
    reset = (
        library.flop()
        .replace('next_state : "D";', 'next_state : "D"; clear : "!RN";')
        .replace("pin (D)", f"{library.input_pin('RN')} pin (D)")
    )
    lib = load_library(
        library.write(tmp_path, library.library_text(library.cells().split("cell (DFF)")[0] + reset), "reset.lib")
    )
    unforced = ("DFF", {"CK": 2, "D": 3, "Q": 4, "RN": "1"})
    assert read_netlist(module([unforced], clk=("input", [2]), d=("input", [3])), lib).flops
    with pytest.raises(HardwareError, match="RN of u0 is driven"):
        read_netlist(module([("DFF", {"CK": 2, "D": 3, "Q": 4, "RN": 3})], clk=("input", [2]), d=("input", [3])), lib)


def test_arrivals_add_up_edge_by_edge(small):
    made = module([("INV", {"A": 2, "Y": 3}), ("INV", {"A": 3, "Y": 4})], a=("input", [2]), y=("output", [4]))
    timing = Timing.of(read_netlist(made, small), 0.1)
    load = 0.002 + 0.001
    rise, fall = 0.02 + 0.1 * 0.1 + 2.0 * load, 0.018 + 0.1 * 0.1 + 1.8 * load
    end, middle = timing.netlist.ports["y"].nets[0], timing.netlist.gates[0].nets["Y"]
    assert timing.arrivals[middle] == pytest.approx((rise, fall))
    slew_fall = 0.02 + 0.1 * 0.1 + 2.5 * load
    assert timing.arrivals[end].rise == pytest.approx(fall + 0.02 + 0.1 * slew_fall + 2.0 * 0.001)
    assert timing.delay_ns == max(timing.arrivals[end])


def test_setup_counts_where_a_register_waits(small):
    made = module([("INV", {"A": 4, "Y": 3}), ("DFF", {"CK": 2, "D": 3, "Q": 4})], clk=("input", [2]))
    timing = Timing.of(read_netlist(made, small), 0.1)
    rise, fall = timing.arrivals[timing.netlist.gates[0].nets["Y"]]
    rises, falls = rise + 0.03 + 0.1 * 0.1, fall + 0.04 + 0.1 * 0.1
    assert timing.delay_ns == pytest.approx(max(rises, falls))


def test_the_usual_slew_is_that_of_an_inverter_with_four_of_its_like(small):
    slew = usual_slew_ns(small)
    assert slew == pytest.approx(0.02 + 0.1 * slew + 2.75 * 4 * 0.002, rel=1e-3)


def test_the_load_of_a_register_is_charged_once_whether_its_table_holds_it_or_not(tmp_path):
    # trap: some libraries' tables of registers contain half of C V^2 of the load
    plain, holding = (register(with_flop(tmp_path, per_load, both=False)) for per_load in (0.0, 0.5))
    toggles = np.ones(len(plain.netlist.loads_pf))
    assert cycle_energy(holding, toggles).registers_pj == pytest.approx(cycle_energy(plain, toggles).registers_pj)


def test_a_cell_with_two_outputs_is_charged_once(tmp_path):
    # trap: tables of registers and full adders tell the energy of the whole cell at each output
    both, one = (register(with_flop(tmp_path, 0.0, more)) for more in (True, False))
    energies = [cycle_energy(timing, np.ones(len(timing.netlist.loads_pf))).registers_pj for timing in (both, one)]
    assert energies[0] == pytest.approx(energies[1], rel=0.01)
    adder = load_library(library.write(tmp_path, library.library_text(library.cells() + library.full_adder()), "fa.lib"))
    cells = [("FA", {"A": 2, "B": 3, "C": 4, "S": 5, "CO": 6})]
    timing = Timing.of(read_netlist(module(cells, a=("input", [2, 3, 4]), y=("output", [5, 6])), adder), 0.1)
    toggles = np.array([0, 0, 0, 0, 0, 1.0, 0.25])
    loads = 0.5 * np.array(timing.netlist.loads_pf) @ toggles
    pin = adder.cells["FA"].pins["S"]
    assert cycle_energy(timing, toggles).gates_pj == pytest.approx(loads + pin.energy_pj(0.1, 0.001))


def test_the_clock_costs_both_edges_of_every_register_whatever_changes(small):
    timing = register(small)
    still = cycle_energy(timing, np.zeros(len(timing.netlist.loads_pf)))
    assert still.clock_pj == pytest.approx(2 * 0.003 + timing.netlist.loads_pf[timing.netlist.ports["clk"].nets[0]])
    assert still.gates_pj == still.registers_pj == 0


def test_a_netlist_is_driven_by_words_and_gives_words(small):
    made = module(
        [("XOR2", {"A": 3, "B": 5, "Y": 4}), ("DFF", {"CK": 2, "D": 4, "QN": 6}), ("INV", {"A": 6, "Y": 5})],
        clk=("input", [2]), x=("input", [3, 7]), q=("output", [5, 7]),
    )  # fmt: skip
    simulator = Simulator.of(Timing.of(read_netlist(made, small), 0.1))
    assert set(simulator.inputs) == {"x"}
    found = simulator.drive({"x": np.array([1, 1, 2, 3, 0])})
    assert found.outputs["q"].tolist() == [0, 1, 2, 2, 1]
    with pytest.raises(HardwareError, match="it has no input z; inputs: x"):
        simulator.drive({"z": np.zeros(3)})
