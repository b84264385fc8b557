"""Liberty files: what is read of them, and what is wrong with damaged ones, in one line each."""

import gzip
import lzma

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from addersim.errors import ConfigError
from addersim.hardware.gates.functions import truth_table
from addersim.hardware.gates.liberty import load_library
from addersim.hardware.gates.liberty_syntax import MAX_DEPTH, MAX_LIBRARY_BYTES, parse_groups
from addersim.hardware.gates.lookup import Lookup
from tests.unit.hardware.gates import library


def refused(path, **how):
    with pytest.raises(ConfigError) as told:
        load_library(path, **how)
    assert "\n" not in str(told.value)
    return str(told.value)


def test_a_library_is_read_with_its_units(tmp_path):
    text = library.library_text().replace('"1ns"', '"10ps"').replace("(1, pf)", "(100, ff)").replace('"1nW"', '"1uW"')
    found = load_library(library.write(tmp_path, text))
    plain = load_library(library.write(tmp_path, name="plain.lib"))
    inverter, same = found.cells["INV"], plain.cells["INV"]
    assert inverter.pins["A"].load_pf == pytest.approx(0.1 * same.pins["A"].load_pf)
    assert inverter.leakage_nw == 1000 * same.leakage_nw
    arc, other = inverter.pins["Y"].arcs[0], same.pins["Y"].arcs[0]
    assert arc.delays[0](0.001, 0.001) == pytest.approx(0.01 * other.delays[0](0.1, 0.01))
    assert inverter.pins["Y"].energy_pj(0.001, 0.001) == pytest.approx(0.1 * same.pins["Y"].energy_pj(0.1, 0.01))


@pytest.mark.parametrize(("name", "pack"), [("a.lib", bytes), ("a.lib.gz", gzip.compress), ("a.lib.xz", lzma.compress)])
def test_packed_files_give_the_same_library(tmp_path, name, pack):
    path = tmp_path / name
    path.write_bytes(pack(library.library_text().encode()))
    assert set(load_library(path).cells) == {"INV", "BUF", "NAND2", "NOR2", "XOR2", "DFF"}


def test_cells_that_no_circuit_uses_are_hidden_and_not_given_to_synthesis(tmp_path):
    more = [
        library.gate("TIE", "1", []),
        library.gate("NEVER", "!A", ["A"]).replace("area", "dont_use : true; area", 1),
        library.gate("BUS3", "!A", ["A"]).replace("direction : output", 'direction : output; three_state : "A"'),
        library.flop("LATE").replace('clocked_on : "CK"', 'clocked_on : "!CK"'),
        library.flop("SCAN").replace("area", "test_cell () { } area", 1),
        library.gate("OWN", "!A", ["A"]),
    ]
    found = load_library(library.write(tmp_path, library.library_text(library.cells() + "\n".join(more))), hide="^OWN$")
    assert set(found.hidden) == {"TIE", "NEVER", "BUS3", "LATE", "SCAN", "OWN"}
    assert set(found.cells) == {"INV", "BUF", "NAND2", "NOR2", "XOR2", "DFF"}
    again = parse_groups(found.text, "text")
    assert {cell.name for cell in again.all("cell")} == set(found.cells)


def test_sparse_points_of_a_wire_model_are_interpolated_and_continued(tmp_path):
    wires = load_library(library.write(tmp_path)).wires
    assert [wires.load_pf(fanout) for fanout in (0, 1, 2, 4, 6)] == pytest.approx([0, 0.001, 0.003, 0.007, 0.011])
    without = load_library(library.write(tmp_path, library.library_text(more="")))
    assert without.wires.load_pf(3) == pytest.approx(3 * 0.002)
    assert without.wires.about == "none in the library: 2 fF a fan-out, its smallest input, chosen"


def test_a_library_cut_off_anywhere_is_refused_in_one_line(tmp_path):
    whole = library.library_text()
    for at in range(1, len(whole.rstrip()), 97):
        assert "cut off" in (told := refused(library.write(tmp_path, whole[:at]))) or "not a Liberty file" in told


def test_what_a_library_lacks_is_named(tmp_path):
    quiet = library.cells(power=False).split("cell (DFF)")[0] + library.flop().replace("internal_power", "other_power")
    assert "no power tables (internal_power)" in refused(library.write(tmp_path, library.library_text(quiet)))
    gates = library.cells().split("cell (DFF)")[0]
    assert "no register" in refused(library.write(tmp_path, library.library_text(gates)))
    assert "no cell that can be used" in refused(library.write(tmp_path, library.library_text("")))
    assert "has no nom_voltage" in refused(library.write(tmp_path, library.library_text().replace("nom_voltage : 1.0;", "")))
    without = (
        library.cells().split("cell (BUF)")[0]
        + library.cells().split("cell (BUF)")[1].partition("cell (")[1]
        + library.cells().split("cell (BUF)")[1].partition("cell (")[2]
    )
    assert "holds no buffer" in refused(library.write(tmp_path, library.library_text(without)))
    untimed = library.library_text().replace("cell_rise", "other")
    assert "no timing tables" in refused(library.write(tmp_path, untimed))


def test_files_that_are_too_large_packed_too_are_refused_unread(tmp_path):
    path = tmp_path / "huge.lib"
    with path.open("wb") as stream:
        stream.truncate(100_000_000)
    assert f"larger than {MAX_LIBRARY_BYTES:,} bytes" in refused(path)
    for name, opened in (("bomb.lib.gz", gzip.open), ("bomb.lib.xz", lzma.open)):
        with opened(tmp_path / name, "wb") as stream:
            for _ in range(60):
                stream.write(bytes(1 << 20))
        assert "bytes when unpacked" in refused(tmp_path / name)


@pytest.mark.parametrize(("name", "pack"), [("a.lib.gz", gzip.compress), ("a.lib.xz", lzma.compress)])
def test_damaged_packed_files_are_refused_in_one_line(tmp_path, name, pack):
    packed, path = pack(library.library_text().encode()), tmp_path / name
    path.write_bytes(packed[: len(packed) // 2])
    assert "damaged" in refused(path)
    path.write_bytes(packed[:30] + bytes(40) + packed[70:])
    assert "damaged" in refused(path)


def test_groups_that_nest_too_deep_are_refused():
    text = "library (a) {" + "group () {" * 20_000
    with pytest.raises(ConfigError, match=f"groups more than {MAX_DEPTH} deep"):
        parse_groups(text, "deep.lib")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("}", "a closing brace without an opening one"),
        ("cell (a) { }", r"needs one group library"),
        ("library (a) { area 2; }", "'area' is followed by '2'"),
        ("library (a) { x (1", "in the middle of a statement"),
        ('library (a) { x : "1', "inside a quoted text"),
        ("library (a) { { } }", "found '{' where a name is expected"),
    ],
)
def test_what_is_no_liberty_file_is_told(text, told):
    with pytest.raises(ConfigError, match=told):
        parse_groups(text, "bad.lib")


@pytest.mark.parametrize(
    ("found", "instead", "told"),
    [
        ("capacitance : 0.002;", "capacitance : -1;", "pin 'A': capacitance: found -1, needs a number in 0..1e+09"),
        ("capacitance : 0.002;", "capacitance : 1e300;", "pin 'A': capacitance: found 1e300, needs a number in 0..1e+09"),
        ("area : 1.0;", "area : -5;", "cell 'INV': area: found -5, needs a number in 0..1e+09"),
        ("cell_leakage_power : 1.0;", "cell_leakage_power : -2;", "cell 'INV': cell_leakage_power: found -2"),
        ("nom_voltage : 1.0;", "nom_voltage : 0;", "nom_voltage: found 0, needs a number > 0"),
        ("nom_voltage : 1.0;", "nom_voltage : -1.2;", "nom_voltage: found -1.2, needs a number in 0..1e+09"),
        (
            "nom_temperature : 25;",
            "nom_temperature : -300;",
            "nom_temperature: found -300, needs degrees Celsius in -273..1,000",
        ),
        ('time_unit : "1ns";', 'time_unit : "0ns";', "time_unit: found '0ns', needs a number above 0"),
        ('values ("', 'values ("1e300, ', "cell_rise, values: holds numbers that are not finite, or beyond 1e+09"),
    ],
)
def test_numbers_that_no_library_has_are_refused(found, instead, told, tmp_path):
    text = library.library_text()
    assert found in text
    assert told in refused(library.write(tmp_path, text.replace(found, instead, 1)))


def test_damaged_tables_are_told_with_their_cell_and_pin(tmp_path):
    text = library.library_text().replace("values (", 'values ("1, nan", ', 1)
    assert "cell 'INV', pin 'Y', cell_rise" in refused(library.write(tmp_path, text))


@given(st.floats(-0.1, 2), st.floats(-0.1, 0.5))
def test_a_table_of_a_plane_is_that_plane_beyond_its_ends_too(slew, load):
    slews, loads = np.array([0.0, 0.3, 1.0]), np.array([0.0, 0.1, 0.2])
    plane = Lookup(slews, loads, 1 + 2 * slews[:, None] + 3 * loads)
    assert plane(slew, load) == pytest.approx(1 + 2 * slew + 3 * load)


@pytest.mark.parametrize(
    ("function", "python"),
    [
        ("!(A & B) | C", lambda a, b, c: (1 - (a & b)) | c),
        ("A B' + C ^ A", lambda a, b, c: (a & (1 - b)) | (c ^ a)),
        ("((A+B)*(C))'", lambda a, b, c: 1 - ((a | b) & c)),
        ("~A * 1 + 0", lambda a, b, c: 1 - a),
        ("(A)'' B", lambda a, b, c: a & b),
    ],
)
def test_functions_are_read_as_liberty_has_them(function, python):
    table = truth_table(function, ["A", "B", "C"], "cell")
    for state in range(8):
        assert table >> state & 1 == python(state & 1, state >> 1 & 1, state >> 2)


@pytest.mark.parametrize("function", ["A &", "(A", "A)", "A % B", "D", "", "(" * 3000 + "A", "(" * 500 + "A" + ")" * 500])
def test_what_is_no_function_of_the_inputs_is_told(function):
    with pytest.raises(ConfigError, match="cell x: function"):
        truth_table(function, ["A", "B"], "cell x")
