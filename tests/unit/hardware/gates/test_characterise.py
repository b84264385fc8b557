"""Elements characterised with a small library: sums checked, rows kept, and the figures beside OpenSTA and Icarus Verilog."""

import re
import subprocess
from dataclasses import replace as with_element
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace as with_fields

import addersim
from addersim import kernels
from addersim.arithmetic.datapaths import DATAPATHS
from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import ConfigError, HardwareError
from addersim.hardware.gates.activity import Simulator
from addersim.hardware.gates.characterise import Circuit, _fitted, fit_elements
from addersim.hardware.gates.element_operands import (
    HOLD,
    TURN,
    Element,
    Operands,
    layer_operands,
    made_up_operands,
    uniform_operands,
)
from addersim.hardware.gates.element_table import (
    ROW_BITS,
    LayerJob,
    OperatorJob,
    characterise,
    element_jobs,
    node_of,
    rule_rows,
)  # fmt: skip
from addersim.hardware.gates.liberty import load_library
from addersim.hardware.gates.power import CycleEnergy, cycle_energy
from addersim.hardware.gates.synthesis import workshop
from addersim.hardware.gates.table_file import GrowingTable
from addersim.hardware.prices.csv_file import load_table
from addersim.hardware.prices.row import OF_TOGGLES, OPERAND_TOGGLES
from addersim.layers import IntegerWindow
from addersim.rtl.sources import sources_text
from addersim.rtl.tools import yosys_candidates
from tests.unit.hardware.gates import library

NEEDS_YOSYS = pytest.mark.skipif(not yosys_candidates(), reason="no yosys: pip install 'addersim[gates]'")
NAMED = [name for name, one in DATAPATHS.items() if one.arithmetic.name != "table"]


@pytest.fixture(scope="module")
def lib(tmp_path_factory):
    return load_library(library.write(tmp_path_factory.mktemp("lib")))


@pytest.fixture(scope="module")
def shop(lib, tmp_path_factory):
    with workshop(lib, sources_text(), tmp_path_factory.mktemp("shop")) as made:
        yield made


def circuit_of(element, shop, lib):
    return Circuit.of(element, shop.netlist(element.module, element.parameters), lib)


@NEEDS_YOSYS
@pytest.mark.parametrize("name", [*NAMED, "mac booth"])
def test_every_datapath_as_gates_sums_what_its_arithmetic_says(name, shop, lib):
    datapath, _, style = name.partition(" ")
    element = Element.of_width(datapath, 3, style)
    circuit = circuit_of(element, shop, lib)
    for operands in (uniform_operands(element, 300, 1), made_up_operands(element, 0.5, 300, 2)):
        assert circuit.energy(operands).total_pj > 0


@NEEDS_YOSYS
@pytest.mark.parametrize("datapath", ["mac", "l1-2a", "xnor"])
def test_elements_of_row_stationary_arrays_add_to_sums_that_take_turns(datapath, shop, lib):
    """And take more than a systolic array's: they have a register for the sum that comes. Sums are checked, of all codes."""
    element = Element.of_width(datapath, 3, scratchpads=True)
    circuit, plain = (circuit_of(one, shop, lib) for one in (element, Element.of_width(datapath, 3)))
    operands = made_up_operands(element, 0.5, 300, 2)
    assert operands.turn == TURN
    assert circuit.energy(operands).total_pj > plain.energy(with_element(operands, turn=1)).total_pj
    assert circuit.energy(uniform_operands(element, 300, 1)).total_pj > 0
    more = len(circuit.netlist.flops) - len(plain.netlist.flops)
    assert more in (element.accumulator_bits - 1, element.accumulator_bits)  # a bit that clears is held in the other alone


@NEEDS_YOSYS
def test_the_line_of_a_row_stationary_element_is_of_inputs_that_stay_while_filters_take_turns(shop, lib):
    element = Element.of_width("mac", 4, scratchpads=True)
    circuit = circuit_of(element, shop, lib)
    fit = fit_elements(circuit, 800, 1)
    free = made_up_operands(element, 0.5, 800, 5)
    held = free.held(x=True, steps=free.turn)
    assert fit.energy_pj - fit.zero_pj * held.zeros == pytest.approx(circuit.energy(held).total_pj, rel=0.06)
    assert circuit.energy(free).total_pj > 1.05 * circuit.energy(held).total_pj


@NEEDS_YOSYS
@pytest.mark.parametrize("datapath", ["mac", "l1-2a"])
def test_energy_by_toggles_of_a_row_stationary_element_tells_few_sums_that_take_turns_from_many(datapath, shop, lib):
    """Sums of other lengths, and other numbers of them, than it was fitted to; by operands alone it is far off."""
    element = Element.of_width(datapath, 6, scratchpads=True)
    circuit = circuit_of(element, shop, lib)
    fit = fit_elements(circuit, 1000, 1)
    assert (len(fit.by_toggles), fit.by_toggles[-1] > 0) == (len(OF_TOGGLES), True)
    free = made_up_operands(element, 0.4, 1200, 9)
    for turn, taps in ((1, 2), (1, 6), (2, 4), (4, 30)):
        operands = with_element(free, turn=turn, starts=np.arange(1200) // turn % taps == 0)
        told = float(np.dot(fit.by_toggles, operands.toggles(element).terms))
        assert told == pytest.approx(circuit.energy(operands).total_pj, rel=0.06)


def test_changes_of_the_sum_that_comes_are_those_of_its_register():
    element = Element.of_width("mac", 4, scratchpads=True)
    operands = made_up_operands(element, 0.3, 300, 4).alone(5)
    register, sums, changes = 0, 0, []
    for x, w, starts in zip(operands.x[:, 0], operands.w[:, 0], operands.starts, strict=True):
        before = 0 if starts else sums
        changes.append((before ^ register).bit_count())
        register, sums = before, before + int(x) * int(w) & (1 << element.accumulator_bits) - 1
    assert operands.toggles(element).sum_changes == np.mean(changes[1:])
    assert operands.toggles(Element.of_width("mac", 4)).sum_changes is None


@NEEDS_YOSYS
def test_a_bit_more_of_a_sum_takes_a_registers_clock_and_two_between_scratchpads(lib, tmp_path):
    plain, scratchpads = characterise(lib, element_jobs(["l1-xor"], [3]), tmp_path, steps=100)
    assert scratchpads["accumulator_pj"] == pytest.approx(2 * plain["accumulator_pj"], rel=0.1)


def test_sums_that_take_turns_are_those_of_each_alone():
    element = Element.of_width("mac", 4, scratchpads=True)
    free = made_up_operands(element, 0.3, 100, 4)
    found, held = free.sums(element), {}
    for step, (x, w, starts) in enumerate(zip(free.x[:, 0], free.w[:, 0], free.starts, strict=True)):
        before = 0 if starts else held[step % free.turn]
        assert int(free.words(element)["sum_before"][step]) == (0 if step < free.turn else found[step - free.turn])
        held[step % free.turn] = before + int(x) * int(w)
        assert found[step] == held[step % free.turn] & ((1 << element.accumulator_bits) - 1)
    assert free.starts.sum() == 8 + 4  # 12 taps of 8 sums, and the first tap of 4


@NEEDS_YOSYS
def test_a_netlist_that_computes_something_else_is_refused(shop, lib):
    element = Element.of_width("l1-2a", 3)
    module = shop.netlist("pe_mac", element.parameters)
    with pytest.raises(HardwareError, match=r"pe_l1_2a: step \d+: the netlist sums"):
        Circuit.of(element, module, lib).energy(uniform_operands(element, 200, 1))


@NEEDS_YOSYS
def test_zeros_quieten_a_multiplier_and_hardly_a_difference(shop, lib):
    mac, adder = (fit_elements(circuit_of(Element.of_width(name, 6), shop, lib), 600, 1) for name in ("mac", "l1-2a"))
    assert mac.zero_pj / mac.energy_pj > 2 * adder.zero_pj / adder.energy_pj
    assert 0 < mac.idle_pj < mac.energy_pj < mac.uniform_pj
    assert mac.error < 0.1


@NEEDS_YOSYS
def test_energy_by_toggles_holds_for_streams_that_it_was_not_fitted_to(shop, lib):
    """Other shares of zeros, drawn anew; weights held, inputs held, neither."""
    element = Element.of_width("mac", 6)
    circuit = circuit_of(element, shop, lib)
    fit = fit_elements(circuit, 1000, 1)
    assert len(fit.by_toggles) == len(OPERAND_TOGGLES)
    assert min(fit.by_toggles) >= 0
    assert fit.toggle_error < 0.1
    for share, seed in ((0.1, 8), (0.6, 9)):
        free = made_up_operands(element, share, 1000, seed)
        for operands in (free, free.held(x=False), free.held(x=True)):
            told = float(np.dot(fit.by_toggles, operands.toggles(element).terms))
            assert told == pytest.approx(circuit.energy(operands).total_pj, rel=0.15)


class Linear:
    """A circuit whose energy is what some factors make of its operands' toggles."""

    def __init__(self, element, factors):
        self.element, self.factors, self.seen = element, factors, []

    def energy(self, operands):
        toggles = operands.toggles(self.element)
        self.seen.append(toggles)
        return CycleEnergy(float(np.dot(self.factors, toggles.terms)), 0.0, 0.25)


def test_the_fit_finds_what_energy_is_made_of_on_operands_of_which_either_is_held():
    circuit = Linear(Element.of_width("mac", 8), (1.0, 0.25, 0.5, 0.125, 0.0625))
    fit = fit_elements(circuit, 2000, 1)
    assert fit.by_toggles == pytest.approx((1.25, 0.25, 0.5, 0.125, 0.0625), rel=1e-6)  # and the clock
    assert fit.toggle_error == pytest.approx(0, abs=1e-9)
    assert fit.idle_pj == 0.25
    held = [one for one in circuit.seen if min(one.input_changes, one.weight_changes) < 0.3]
    assert sorted(one.input_changes < one.weight_changes for one in held) == [False, False, True, True]
    assert sorted(one.zeros > 0.3 for one in held) == [False, False, True, True]


def test_factors_are_the_best_of_those_that_take_nothing_away():
    rng = np.random.default_rng(1)
    terms = np.concatenate([np.ones((9, 1)), rng.random((9, 3))], axis=1)
    found, error = _fitted(terms, terms @ [2.0, 0.5, 0.0, 1.5])
    assert found == pytest.approx((2, 0.5, 0, 1.5), abs=1e-9)
    assert error == pytest.approx(0, abs=1e-9)
    energies = terms @ [2.0, 0.5, -0.4, 1.5]
    found, error = _fitted(terms, energies)
    rows = terms[:, [0, 1, 3]] / energies[:, None]
    least = np.linalg.lstsq(rows, np.ones(9), rcond=None)[0]
    assert found == pytest.approx((least[0], least[1], 0, least[2]))
    assert error == pytest.approx(np.abs(rows @ least - 1).max())


def test_operands_that_are_held_keep_every_word_for_a_while():
    element = Element.of_width("ternary", 8)
    free = made_up_operands(element, 0.5, 200, 1)
    held = free.held(x=False)
    assert (held.x == free.x).all()
    assert (held.w[:HOLD] == free.w[0]).all()
    assert (held.w[HOLD : 2 * HOLD] == free.w[HOLD]).all()
    codes = held.words(element)["weight_code"]
    found = held.toggles(element)
    assert found.weight_changes == np.mean([int(a ^ b).bit_count() for a, b in pairwise(codes)])
    assert found.weight_ones == np.mean([int(one).bit_count() for one in codes])
    assert found.input_changes == free.toggles(element).input_changes > found.weight_changes
    assert found.zeros == free.zeros


def test_toggles_of_operands_are_those_of_twos_complement():
    element = with_element(Element.of_width("mac", 4), input_signed=True)
    operands = Operands(
        np.array([[-1], [0], [7], [-8]]), np.array([[1], [1], [-2], [-2]]), np.array([True, False, False, False])
    )
    found = operands.toggles(element)
    assert (found.input_changes, found.weight_changes) == pytest.approx(((4 + 3 + 4) / 3, 4 / 3))
    assert (found.input_ones, found.weight_ones, found.zeros) == ((4 + 0 + 3 + 1) / 4, (1 + 1 + 3 + 3) / 4, 0.25)


@NEEDS_YOSYS
def test_rows_are_the_same_twice_and_an_earlier_runs_are_kept(lib, tmp_path):
    jobs = [job for job in element_jobs(["l1-xor"], [2, 3]) if not job.element.scratchpads]
    told = []
    path = tmp_path / "t.csv"
    table = GrowingTable.open(path, None)
    rows = characterise(lib, jobs, tmp_path, steps=100, finished=lambda job, row: (told.append(job.key), table.add(row)))
    table.finish()
    assert told == [job.key for job in jobs]
    assert [row["bits"] for row in rows] == ["2", "3"]
    whole = path.read_bytes()
    assert characterise(lib, jobs, tmp_path, steps=100, done=load_table(path).rows) == []
    path.unlink()
    again = GrowingTable.open(path, None)
    characterise(lib, jobs, tmp_path, steps=100, threads=1, finished=lambda job, row: again.add(row))
    again.finish()
    assert path.read_bytes() == whole
    other = characterise(lib, jobs, tmp_path, steps=100, seed=2, done=load_table(path).rows)
    assert len(other) == 2  # of another seed
    assert {one.name for one in tmp_path.iterdir()} == {"t.csv"}
    found = load_table(path)
    assert found.element("l1-xor", 3).energy_pj == pytest.approx(rows[1]["energy_pj"])
    assert found.element("l1-xor", 4).rule.startswith("linear, continued from 2 and 3 bits")
    assert found.element("l1-xor", 3).by_toggles == tuple(rows[1][name] for name in OPERAND_TOGGLES)
    assert 0 < rows[1]["toggle_error"] < 0.2
    assert len(found.element("l1-xor", 4).by_toggles) == len(OPERAND_TOGGLES)
    assert lib.sha256[:16] in found.rows[0].source


@NEEDS_YOSYS
@pytest.mark.parametrize(("column", "told"), [("leakage_uw", "cell_leakage_power"), ("area_um2", r"\barea")])
def test_what_a_library_tells_of_no_cell_is_no_number_of_its_rows(column, told, tmp_path):
    """A leakage of nothing would be a claim; estimates say that there is none."""
    silent = load_library(library.write(tmp_path, re.sub(rf"{told} : [^;]*;", "", library.library_text())))
    jobs = [*element_jobs(["l1-xor"], [2])[:1], OperatorJob("cmp", 8)]
    for row in characterise(silent, jobs, tmp_path, steps=100, node_nm=130):
        assert {"area_um2", "leakage_uw"} - set(row) == {column}
        assert row["energy_pj"] > 0


@NEEDS_YOSYS
def test_the_row_of_a_layer_is_of_one_tap_whatever_its_element_takes_at_once(lib, tmp_path):
    element = Element.of_width("xnor", 1)
    operands = made_up_operands(element, 0.0, 100, 1)
    (row,) = characterise(lib, [LayerJob("n", "l", element, 1, operands)], tmp_path, steps=100)
    (other, _) = characterise(lib, element_jobs(["xnor"]), tmp_path, steps=100)
    assert row["energy_pj"] == pytest.approx(other["energy_pj"], rel=1e-4)  # of the same operands
    assert row["idle_pj"] == pytest.approx(other["idle_pj"], rel=1e-4)
    assert not set(OF_TOGGLES) & set(other)


@NEEDS_YOSYS
def test_finished_rows_stay_where_a_later_circuit_fails(lib, tmp_path):
    jobs = [job for job in element_jobs(["l1-xor"], [2, 3]) if not job.element.scratchpads]
    wrong = LayerJob(
        "n", "l", jobs[0].element._replace(weight_bits=3) if hasattr(jobs[0].element, "_replace") else jobs[0].element, 2, None
    )
    table = GrowingTable.open(tmp_path / "t.csv", None)
    with pytest.raises(AttributeError):
        characterise(lib, [jobs[0], wrong], tmp_path, steps=100, threads=1, finished=lambda job, row: table.add(row))
    assert [row.bits for row in load_table(tmp_path / "t.csv").rows] == [(2, 2)]


def test_a_table_takes_the_memories_of_another_as_they_are(tmp_path):
    table = GrowingTable.open(tmp_path / "t.csv", "horowitz-45nm")
    row = {"component": "pe", "op": "mac", "device": "", "bits": "8", "energy_pj": 1.0, "unit": "pJ", "node_nm": "45"}
    table.add(row | {"voltage_v": "1", "rule": "exact", "source": "here"})
    table.finish()
    found, horowitz = load_table(tmp_path / "t.csv"), load_table("horowitz-45nm")
    assert found.sram(32, 64).energy_pj == horowitz.sram(32, 64).energy_pj
    assert {one.component for one in found.rows} == {"pe", "sram", "wire", "dram"}


def test_jobs_are_of_widths_that_a_datapath_has():
    widths = {name: [job.element.input_bits for job in element_jobs([name], [2, 3, 16])] for name in NAMED}
    assert widths["mac"] == [2, 3, 16] * 8  # in two styles, without and with a sign of the inputs, in two arrays
    devices = ["", "signed", "booth", "booth signed"]
    devices += ["row-stationary", "signed row-stationary", "booth row-stationary", "booth signed row-stationary"]
    assert [job.key[2] for job in element_jobs(["mac"], [8])] == devices
    assert widths["apot"] == [3, 16] * 2
    assert widths["xnor"] == [1, 1]
    usual = [job.element for job in element_jobs(["l1-2a"])]
    assert [one.input_bits for one in usual if not one.scratchpads] == list(range(2, 17))
    assert tuple(one.input_bits for one in usual if one.scratchpads) == ROW_BITS
    with pytest.raises(ConfigError, match="datapath 'table': there is no element of it in Verilog; known: l1-2a"):
        element_jobs(["table"])


def test_nodes_are_told_by_names_or_asked_for():
    assert node_of("NangateOpenCellLibrary") == 45
    with pytest.raises(ConfigError, match="library 'own': its node is not known; give --node-nm"):
        node_of("own")


def test_between_widths_that_were_run_rules_hold_and_say_so():
    rows = [
        dict.fromkeys(("unit", "node_nm", "voltage_v", "temperature_k", "contains"), "x")
        | {"component": "pe", "op": "mac", "device": "", "bits": str(bits)}
        for bits in (4, 8)
    ]
    (rule,) = rule_rows(rows)
    assert (rule["bits"], rule["rule"]) == ("2..16", "linear")
    assert rule["source"].startswith("chosen: a straight line")
    assert rule_rows([rows[0] | {"bits": str(bits)} for bits in range(2, 17)]) == []


@pytest.mark.parametrize(("name", "how"), [("lenet5-adder", {}), ("lenet5-conv", {}), ("lenet5-conv", {"zero_points": True})])
def test_the_operands_of_a_layer_sum_to_its_outputs(name, how):
    images = addersim.load_images("fashion-mnist-2000", limit=2).pixels
    program = addersim.quantize(addersim.load_network(name), images, addersim.Quantization(**how))
    assert any(layer.input_format.zero_point for layer in windows(program)) == bool(how)
    runs = dict(program.runs(images, kernels))
    for layer, operands in layer_operands(program, images, 400, 3):
        element, outputs = Element.of_layer(layer), np.unique(runs[layer.name].values)
        last = np.append(operands.starts[1:], True)
        sums = operands.sums(element)[last]
        low = np.where(sums >> element.accumulator_bits - 1, sums - (1 << element.accumulator_bits), sums)
        assert np.isin(low, outputs).all(), layer.name
        for words, bits, signed in (
            (operands.x, element.input_bits, element.input_signed), (operands.w, element.weight_bits, element.weight_signed)
        ):  # fmt: skip
            least = -(1 << bits - 1) if signed else 0
            assert least <= words.min() <= words.max() < least + (1 << bits), layer.name
        assert operands.starts.sum() == len(low) >= 8


def windows(program):
    return [layer for layer in program.layers if isinstance(layer, IntegerWindow)]


@pytest.mark.parametrize(("zero", "bits", "signed"), [(0, 8, True), (-128, 8, False), (5, 9, True), (-127, 9, True)])
def test_elements_take_inputs_less_their_zero_points(zero, bits, signed):
    images = addersim.load_images("fashion-mnist-2000", limit=2).pixels
    layer = windows(addersim.quantize(addersim.load_network("lenet5-conv"), images))[0]
    held = FixedFormat(8, signed=True, scale=layer.input_format.scale, zero_point=zero)
    element = Element.of_layer(with_fields(layer, input_format=held))
    assert (element.input_bits, element.input_signed, element.weight_bits) == (bits, signed, 8)
    points = np.arange(len(layer.weights), dtype=np.int32)
    assert Element.of_layer(with_fields(layer, weight_zero_points=points)).weight_bits == 9


def test_made_up_operands_have_the_share_of_zeros_that_is_asked_for():
    element = Element.of_width("mac", 8)
    for share in (0.0, 0.3, 0.9):
        operands = made_up_operands(element, share, 4000, 1)
        assert operands.zeros == pytest.approx(share, abs=0.03)
        assert operands.x.min() >= 0
        assert -128 <= operands.w.min() <= operands.w.max() <= 127
        signed = made_up_operands(Element.of_width("mac", 8, signed=True), share, 4000, 1)
        assert signed.zeros == pytest.approx(share, abs=0.03)
        assert np.sign(signed.x).mean() == pytest.approx(0, abs=0.05)
        assert -127 <= signed.x.min() < 0 < signed.x.max() <= 127


@NEEDS_YOSYS
@pytest.mark.skipif(not library.has("sta"), reason="OpenSTA is not installed")
@pytest.mark.parametrize("name", ["l1-2a", "mac"])
def test_timing_and_leakage_are_those_of_opensta(name, shop, lib):
    element = Element.of_width(name, 6)
    circuit = circuit_of(element, shop, lib)
    script = f"""read_liberty library.lib
read_verilog netlist.v
link_design dut
set_wire_load_model -name small
create_clock -name clk -period 100 [get_ports clk]
set_input_delay 0 -clock clk [get_ports {{input_code* weight_code* clear enable}}]
set_input_transition {circuit.timing.slew_ns} [all_inputs]
report_checks -path_delay max -format end -digits 5
report_power -digits 6
exit
"""
    Path(shop._folder, "s.tcl").write_text(script)
    told = subprocess.run(
        ["sta", "-no_splash", "-exit", "s.tcl"], cwd=shop._folder, capture_output=True, text=True, check=True
    ).stdout
    slack = float(re.search(r"^\S+ \(\S+\)\s+\S+\s+\S+\s+(\S+)", told, re.MULTILINE)[1])
    assert circuit.timing.delay_ns == pytest.approx(100 - slack, rel=0.05)
    leakage = float(re.search(r"^Total\s+\S+\s+\S+\s+(\S+)", told, re.MULTILINE)[1]) * 1e9
    assert circuit.netlist.leakage_nw == pytest.approx(leakage, rel=0.01)


def bench(circuit, words, period):
    """A test bench of the netlist for Icarus: one inertial delay a gate, registers at the clock's edge."""
    netlist, timing = circuit.netlist, circuit.timing
    lines = ["`timescale 1ps/1ps", "module tb; integer i; reg clk = 0;"]
    lines += [f"wire n{net};" for net in range(len(netlist.loads_pf))] + ["assign n0 = 0; assign n1 = 1;"]
    for place, one in enumerate(netlist.gates):
        for pin in one.cell.outputs:
            delays = timing.delays[one.name, pin.name]
            delay = max(1, round(1000 * sum(delays.values()) / len(delays))) if delays else 1
            terms = re.sub(r"[A-Z]\w*", lambda found, one=one: f"n{one.nets[found[0]]}", pin.function.replace("'", ""))
            terms = f"!({terms})" if "'" in pin.function else terms.replace("+", "|")
            lines.append(f"assign #{delay} n{one.nets[pin.name]} = {terms.replace('+', '|').replace('!', '~')}; // {place}")
    for place, one in enumerate(netlist.flops):
        lines.append(f"reg q{place} = 0; always @(posedge clk) q{place} <= n{one.nets['D']};")
        for pin, sign in (("Q", ""), ("QN", "~")):
            if pin in one.nets:
                delay = max(1, round(1000 * timing.arrivals[one.nets[pin]].mean))
                lines.append(f"assign #{delay} n{one.nets[pin]} = {sign}q{place};")
    steps = len(next(iter(words.values())))
    for name, (_, width) in circuit.simulator.inputs.items():
        values = ", ".join(f"{width}'d{int(one) & ((1 << width) - 1)}" for one in reversed(words[name].tolist()))
        lines.append(f"wire [{width * steps - 1}:0] m_{name} = {{{values}}}; reg [{width - 1}:0] {name} = 0;")
        lines += [f"assign n{net} = {name}[{k}];" for k, net in enumerate(netlist.ports[name].nets)]
    moves = " ".join(f"{name} <= m_{name}[i*{width} +: {width}];" for name, (_, width) in circuit.simulator.inputs.items())
    first = moves.replace("<=", "=").replace("[i*", "[0*")
    lines.append(f'initial begin $dumpfile("t.vcd"); {first} #{period}; $dumpvars(0, tb);')
    lines.append(
        f"for (i = 1; i < {steps}; i = i + 1) begin clk = 1; {moves} #{period // 2}; clk = 0; #{period - period // 2}; end"
    )
    return "\n".join([*lines, "$finish; end endmodule"])


def toggles_of(vcd, nets, cycles):
    """Changes a cycle of each net, out of a file of value changes."""
    names, found, values, live = {}, np.zeros(nets), {}, False
    for line in vcd.splitlines():
        if line.startswith("$var") and (named := re.match(r"\$var wire 1 (\S+) n(\d+) ", line)):
            names.setdefault(named[1], []).append(int(named[2]))
        live = live or line.startswith("$dumpvars")
        if line[:1] in ("0", "1") and (code := line[1:].strip()) in names:
            if live and values.get(code, line[0]) != line[0]:
                found[names[code]] += 1
            values[code] = line[0]
    return found / (cycles - 1)


@NEEDS_YOSYS
@pytest.mark.skipif(not library.has("iverilog", "vvp"), reason="Icarus Verilog is not installed")
@pytest.mark.parametrize("name", ["l1-2a", "mac"])
def test_energy_is_that_of_the_changes_that_icarus_sees(name, shop, lib, tmp_path):
    element = Element.of_width(name, 5)
    circuit = circuit_of(element, shop, lib)
    words = uniform_operands(element, 400, 1).words(element)
    period = int(circuit.timing.delay_ns * 2000) + 100
    (tmp_path / "tb.v").write_text(bench(circuit, words, period))
    subprocess.run(["iverilog", "-o", "tb.vvp", "tb.v"], cwd=tmp_path, check=True)
    subprocess.run(["vvp", "-n", "tb.vvp"], cwd=tmp_path, check=True, capture_output=True)
    seen = toggles_of((tmp_path / "t.vcd").read_text(), len(circuit.netlist.loads_pf), 400)
    for net in circuit.netlist.clock_nets:
        seen[net] = 0
    ours = Simulator.of(circuit.timing).drive(words).toggles.every
    found, wanted = (cycle_energy(circuit.timing, one).total_pj for one in (ours, seen))
    assert found == pytest.approx(wanted, rel=0.12)
    assert seen.sum() > 20
