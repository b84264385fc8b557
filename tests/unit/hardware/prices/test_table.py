import math
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addersim.arithmetic.ops import OPERATIONS, OpCounts
from addersim.errors import ConfigError, HardwareError, PriceError
from addersim.hardware import load_table, parse_table, table_names
from addersim.hardware.prices.csv_file import TABLE_COLUMNS
from addersim.hardware.prices.operations import arithmetic_energy
from addersim.hardware.prices.rules import INTERPOLATIONS, RULES

TABLES = {name: load_table(name) for name in table_names()}
PRICED = tuple(op for op in OPERATIONS if op != "amul")  # of which each multiplier has its own price
HEADER = ",".join(TABLE_COLUMNS)


def table(*rows):
    return parse_table(file(*rows), "mine", "mine.csv")


def arithmetic(op="add", bits="8", energy="1", rule="exact", unit="pJ", component="integer"):
    return f"{component},{op},{bits},,{energy},{unit},45,0.9,{rule},book"


def ruled(rule, bits="1..8", energy=""):
    return arithmetic(bits=bits, energy=energy, rule=rule)


def file(*rows):
    return "\n".join((HEADER, *rows))


# nodes and supplies of their rows: circuits and memories
GATES = {
    "nangate45-fa": ({45}, {1.1, None}),
    "nangate45-gates": ({45}, {1.1, None}),
    "sg13g2-gates": ({130, 65}, {1.2, None}),
}


def test_the_bundled_tables():
    scaled = tuple(f"aladdin-cacti-{node}nm" for node in (16, 22, 28, 32, 45, 65, 7))
    literature = (*scaled, "eyeriss-65nm", "horowitz-45nm", "qtools-45nm", "shiftaddnet-45nm")
    assert table_names() == tuple(sorted((*literature, *GATES)))


@pytest.mark.parametrize("name", table_names())
def test_no_bundled_table_prices_a_multiplier_that_it_does_not_know(name):
    with pytest.raises(PriceError, match="has no row for integer amul of 8 bits"):
        TABLES[name].explain("amul", 8)


@pytest.mark.parametrize("name", table_names())
def test_a_bundled_table_prices_every_operation_of_the_vocabulary_and_names_its_source(name):
    for op in PRICED:
        for bits in range(1, 65):
            price = TABLES[name].explain(op, bits)
            assert 0 < price.energy_pj < math.inf
            assert price.rule
            assert price.source
    if name in GATES:
        assert ({row.node_nm for row in TABLES[name].rows}, {row.voltage_v for row in TABLES[name].rows}) == GATES[name]
        return
    assert {f"{row.node_nm:g}nm" for row in TABLES[name].rows} == {name.split("-")[-1]}
    assert all(row.voltage_v in ((0.9,) if "45nm" in name and "cacti" not in name else (None,)) for row in TABLES[name].rows)


@given(st.sampled_from(table_names()), st.sampled_from(PRICED), st.integers(1, 63))
def test_more_bits_are_never_cheaper(name, op, bits):
    assert TABLES[name].price(op, bits) <= TABLES[name].price(op, bits + 1)


@given(st.sampled_from(("horowitz-45nm", "qtools-45nm", "shiftaddnet-45nm")), st.floats(3, 65536), st.floats(3, 65536))
def test_a_bit_of_a_larger_sram_is_never_cheaper(name, one, other):
    assert TABLES[name].sram(min(one, other)).energy_pj <= TABLES[name].sram(max(one, other)).energy_pj


@pytest.mark.parametrize("node", [22, 32, 45, 65])
@pytest.mark.parametrize("op", ["read", "write"])
def test_a_fitted_word_costs_more_in_a_larger_and_in_a_wider_memory(node, op):
    cacti = TABLES[f"aladdin-cacti-{node}nm"]
    sizes = [(3, 48), (48, 48), (48, 96)]
    energies = [cacti.sram(capacity, bits, op).energy_pj for capacity, bits in sizes]
    assert energies == sorted(energies)
    assert "outside its rows of 0.5..2048 KiB, 32..128 bits" in cacti.sram(4096, 64, op).rule
    assert "outside" not in cacti.sram(48, 48, op).rule
    assert cacti.area("sram", op if op == "read" else "read", 48, 48).value > 0


def test_explanations_say_how_a_price_was_found():
    horowitz = TABLES["horowitz-45nm"]
    assert horowitz.explain("add", 17).rule == "linear, between 8 and 32 bits"
    assert horowitz.explain("add", 33).rule == "linear, continued from 8 and 32 bits"
    assert horowitz.explain("add", 4).rule == (
        "linear, continued from 8 and 32 bits; outside the table's evidence of 8..32 bits"
    )
    assert horowitz.explain("cmp", 16).rule == "as add: linear, between 8 and 32 bits"
    assert "chosen" in horowitz.explain("sub", 8).source
    assert "Horowitz" in horowitz.explain("sub", 8).source
    assert horowitz.sram(64).rule == "power, between 32 and 1024 KiB"
    assert horowitz.sram(2).rule == ("power, continued from 8 and 32 KiB; outside the table's evidence of 8..1024 KiB")
    assert TABLES["qtools-45nm"].explain("add", 8).rule == "polynomial 0 0.003125"


def test_interpolation_by_hand():
    rows = [arithmetic(bits="8", energy="2"), arithmetic(bits="16", energy="6"), arithmetic(bits="32", energy="7")]
    linear = table(*rows, arithmetic(bits="1..64", energy="", rule="linear"))
    assert [linear.price("add", bits) for bits in (8, 12, 16, 24, 32, 48)] == [2, 4, 6, 6.5, 7, 8]
    quadratic = table(*rows[:2], arithmetic(bits="1..64", energy="", rule="quadratic"))
    # E = b (c + d b) through (8, 2) and (16, 6): d = (6/16 - 2/8) / 8 = 1/64, c = 1/8
    assert quadratic.price("add", 32) == pytest.approx(32 * (1 / 8 + 32 / 64))
    power = table("sram,access,,8,10,pJ/64bit,45,0.9,exact,b", "sram,access,,32,20,pJ/64bit,45,0.9,exact,b",
                  "sram,access,,1..99,,pJ/64bit,45,0.9,power,b")  # fmt: skip
    assert power.sram(16).energy_pj * 64 == pytest.approx(10 * 2**0.5)
    assert set(INTERPOLATIONS) < set(RULES)


def memory(component, op, bits, capacity, energy, unit="pJ", rule="exact", area="", leakage=""):
    return f"{component},{op},{bits},{capacity},{energy},{unit},{area},{leakage},45,,{rule},book"


def wide_table(*rows):
    header = HEADER.replace(",unit", ",unit,area_um2,leakage_uw")
    return parse_table("\n".join((header, *rows)), "mine", "mine.csv")


def test_register_files_and_the_network_of_the_array_are_priced_by_bit_or_by_access():
    found = wide_table(
        memory("register", "read", "16", "0.5", "1.5", area="100"),
        memory("register", "write", "16", "0.5", "2"),
        memory("register", "access", "", "", "16", "pJ/16bit"),
        memory("network", "hop", "", "", "4", "pJ/16bit"),
    )
    assert found.register("read", 16, 0.5).energy_pj == 1.5
    assert found.register("write", 16, 0.5).energy_pj == 2
    assert found.network(8).energy_pj == 2
    assert found.area("register", "read", 16, 0.5).value == 100
    with pytest.raises(
        HardwareError, match=re.escape("no row for register of 1 KiB, read of 16 bits; it has read of 0.5 KiB x 16")
    ):
        found.register("read", 16, 1)
    alike = wide_table(memory("register", "access", "", "", "16", "pJ/16bit"))
    assert [alike.register(op, 24, 3).energy_pj for op in ("read", "write")] == [24, 24]


def test_reads_and_writes_of_a_memory_may_differ_and_depend_on_its_width():
    found = wide_table(memory("sram", "read", 64, 8, 6, area=10), memory("sram", "write", 64, 8, 7))
    assert (found.sram(8, 64).energy_pj, found.sram(8, 64, "write").energy_pj) == (6, 7)
    assert found.area("sram", "read", 64, 8) == (10, "exact", "book")
    with pytest.raises(HardwareError, match="no row for sram of 8 KiB, read of 32 bits; it has read of 8 KiB x 64 bits"):
        found.sram(8, 32)
    with pytest.raises(HardwareError, match="no row for leakage of sram read of 64 bits, 8 KiB"):
        found.leakage("sram", "read", 64, 8)


def law(capacity, bits):
    return 3 * capacity**0.5 * bits**0.25


def test_a_fit_is_computed_from_the_rows_and_states_its_error():
    sizes = [(c, b) for c in (1, 4, 16) for b in (16, 256)]
    rows = [memory("sram", "read", b, c, law(c, b), area=law(c, b), leakage=1) for c, b in sizes]
    found = wide_table(*rows, memory("sram", "read", "8..512", "1..64", "", rule="fit"))
    price = found.sram(9, 81)
    assert price.energy_pj == pytest.approx(27)
    assert price.rule == "fit 3 KiB^0.500 bits^0.250 to 6 rows, error 0 % rms, 0 % at most"
    assert found.area("sram", "read", 81, 9).value == pytest.approx(27)
    assert found.leakage("sram", "read", 81, 9).value == pytest.approx(1)
    assert found.sram(4, 16).rule == price.rule  # at a row too, which would stand out otherwise
    rows[0] = memory("sram", "read", 16, 1, 2 * law(1, 16))
    off = wide_table(*rows, memory("sram", "read", "8..512", "1..64", "", rule="fit"))
    assert re.search(r"error \d+ % rms, \d\d % at most", off.sram(9, 81).rule)
    assert off.sram(9, 81).energy_pj != pytest.approx(27)


def test_polynomials_count_in_the_units_of_their_row():
    row = "sram,access,,1..99,,pJ/10bit,45,0.9,{rule},b"
    assert table(row.format(rule="polynomial 5 0 1")).sram(1).energy_pj == pytest.approx((5 + 8192**2) / 10)
    assert table(row.format(rule="polynomial-log2 5 2")).sram(1).energy_pj == pytest.approx((5 + 2 * 13) / 10)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda t: t.price("mul", 8), "energy table 'mine' has no row for integer mul of 8 bits; it has add"),
        (lambda t: t.price("add", 9), "energy table 'mine' has no row for integer add of 9 bits; it has add of 8 bits"),
        (lambda t: t.price("add", 8, "float"), "no row for float add of 8 bits; it has no float rows"),
        (lambda t: t.sram(8), "no row for sram of 8 KiB, read of 1 bit; it has no sram rows"),
        (lambda t: t.dram("hbm"), "no row for dram of kind 'hbm'; it has ddr"),
    ],
)
def test_a_missing_row_is_an_error_that_says_what_there_is(ask, message):
    with pytest.raises(HardwareError, match=re.escape(message)):
        ask(table(arithmetic(), "dram,ddr,,,70,pJ/bit,45,0.9,exact,book"))
    with pytest.raises(HardwareError, match=r"no row for integer mul of 65 bits; it has mul of 1\.\.64 bits, 8 bits, 32 bits"):
        TABLES["horowitz-45nm"].price("mul", 65)


def test_a_memory_outside_the_rule_is_an_error():
    message = "'qtools-45nm' has no row for sram of 2 KiB, read of 1 bit; it has access of 3..65536 KiB"
    with pytest.raises(HardwareError, match=re.escape(message)):
        TABLES["qtools-45nm"].sram(2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "mine.csv: column 'component' is missing; needs component, op, bits"),
        (HEADER.replace(",rule", ""), "mine.csv: column 'rule' is missing"),
        (HEADER + ",note", "mine.csv: unknown or repeated column 'note'; known: component, op"),
        (HEADER + ",op", "mine.csv: unknown or repeated column 'op'"),
        (HEADER, "mine.csv: holds no rows"),
        (file(arithmetic() + ",x"), "mine.csv: line 2: 11 fields, expected 10; quote a text that holds a comma"),
        (HEADER + "\n\n" + arithmetic(energy="cheap"), "line 3, column energy_pj: found 'cheap', needs a number >= 0"),
        (file(arithmetic(energy="-1")), "column energy_pj: found '-1', needs a number >= 0"),
        (file(arithmetic(energy="nan")), "column energy_pj: found 'nan', needs a number >= 0"),
        (file(arithmetic(energy="")), "column energy_pj: found '', needs a number >= 0"),
        (file(arithmetic(bits="0")), "column bits: found '0', needs a number > 0"),
        (file(arithmetic(bits="1..8")), "column bits: found '1..8', needs a number > 0"),
        (file(ruled("as mul", bits="8")), "column bits: found '8', needs a range such as 1..64"),
        (file(ruled("as mul", bits="9..8")), "column bits: found '9..8', whose limits are in the wrong order"),
        (file(arithmetic(op="div")), "column op: found 'div', needs one of add, sub"),
        (file(arithmetic(component="rom")), "column component: found 'rom', needs one of integer, float, sram, register"),
        (file(arithmetic(rule="cubic")), "column rule: found 'cubic', needs one of exact, proportional"),
        (file(arithmetic(rule="")), "column rule: found '', needs one of exact"),
        (file(arithmetic(rule="exact 3")), "column rule: exact with 1 arguments; exact: the row's own number"),
        (file(ruled("as")), "column rule: as with 0 arguments"),
        (file(ruled("polynomial")), "column rule: polynomial with 0 arguments"),
        (file(ruled("polynomial 1 x")), "column rule, coefficients '1 x': found 'x', needs a number such as"),
        (file(ruled("polynomial 1 inf")), "coefficients '1 inf': found 'inf', needs a number such as"),
        (file(ruled("polynomial 1", energy="1")), "column energy_pj: found '1'; empty in a row with the rule polynomial"),
        (file(ruled("as mul")), "line 2: as mul, which has no price of its own"),
        (file(ruled("linear")), "line 2: rule linear needs two exact rows of add, above zero"),
        (file(arithmetic(), arithmetic()), "lines 2 and 3 both price integer add of the same size"),
        (file(arithmetic(unit="nJ")), "column unit: found 'nJ', needs pJ (an operation)"),
        (file(arithmetic(unit="pJ/bit")), "column unit: found 'pJ/bit', needs pJ (an operation)"),
        (HEADER + "\ndram,dram,,,70,pJ,45,0.9,exact,b", "column unit: found 'pJ', needs pJ/bit or pJ/64bit"),
        (HEADER + "\ndram,dram,8,,70,pJ/bit,45,0.9,exact,b", "column bits: found '8'; empty in a row of component dram"),
        (HEADER + "\nsram,access,8,8,70,pJ/bit,45,0.9,exact,b", "column bits: found '8'; empty in a row of component sram"),
        (file(arithmetic().replace("45", "0")), "column node_nm: found '0', needs a number > 0"),
        (file(arithmetic().replace(",book", ",")), "column source is empty; every price needs one"),
        (HEADER + "\nnetwork,jump,,,70,pJ/bit,45,0.9,exact,b", "column op: found 'jump', needs one of hop"),
        (HEADER + "\nregister,get,8,,70,pJ,45,0.9,exact,b", "column op: found 'get', needs one of read, write, access"),
        (HEADER + "\nregister,read,8,,70,J,45,0.9,exact,b", "column unit: found 'J', needs pJ (an access)"),
        (HEADER + "\nsram,read,,8,70,pJ,45,0.9,exact,b", "column bits: found '', needs a number > 0"),
        (HEADER + "\nsram,read,1..8,1..8,,pJ,45,0.9,power,b", "runs along bits or capacity_kib, not both; use grid, fit, or"),
        (HEADER + "\nsram,read,,1..8,,pJ/bit,45,0.9,fit,b", "rule fit needs a range of bits and of capacity_kib"),
        (HEADER + "\nnetwork,hop,,,,pJ/bit,45,0.9,linear,b", "rule linear needs a range of bits or of capacity_kib"),
        (HEADER + "\nsram,read,1..8,1..8,,pJ,45,0.9,fit,b", "line 2: rule fit needs exact rows of read, two"),
        (HEADER + '\n"integer,add', "mine.csv: line 2: not CSV"),
        (HEADER + "\nwire,on-chip,,,1,pJ/bit,45,0.9,exact,b", "column unit: found 'pJ/bit', needs pJ/bit/mm"),
        (HEADER + "\nnetwork,hop,,,1,pJ/bit/mm,45,0.9,exact,b", "column unit: found 'pJ/bit/mm', needs pJ (an access)"),
        (HEADER + ",device\n" + arithmetic() + ",fast", "column device: found 'fast'; empty in a row of component integer"),
        (HEADER + ",contains\n" + arithmetic() + ",heat", "column contains: found 'heat', needs one of dynamic, clock"),
        (HEADER + ",temperature_k\n" + arithmetic() + ",0", "column temperature_k: found '0', needs a number > 0"),
        (HEADER + ",evidence\n" + arithmetic() + ",8..32", "column evidence: found '8..32'; empty in a row with the rule"),
    ],
)  # fmt: skip
def test_a_bad_table_is_told_in_one_line(text, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        parse_table(text, "mine", "mine.csv")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rule", ["polynomial 1 -1", "polynomial 0 1e308"])
def test_a_rule_that_gives_no_energy_is_an_error_not_a_number(rule):
    with pytest.raises(HardwareError, match=r"its polynomial rule gives .* pJ for integer add of 32 bits; needs 0 or more"):
        table(arithmetic(bits="1..64", energy="", rule=rule)).price("add", 32)


def test_a_power_law_that_overflows_is_an_error():
    steep = ("sram,access,,1,1e-300,pJ/bit,45,0.9,exact,b", "sram,access,,2,1,pJ/bit,45,0.9,exact,b",
             "sram,access,,1..99,,pJ/bit,45,0.9,power,b")  # fmt: skip
    with pytest.raises(HardwareError, match="its power rule gives inf pJ for sram of 99 KiB, read of 1 bit;"):
        table(*steep).sram(99)


def test_a_users_file_works_as_a_bundled_one_and_a_table_survives_pickling(tmp_path):
    path = tmp_path / "lab.csv"
    path.write_text(HEADER + "\n" + arithmetic(energy="0.5") + "\n", encoding="utf-8")
    found = pickle.loads(pickle.dumps(load_table(path)))  # studies send tables to worker processes
    assert (found.name, found.price("add", 8)) == ("lab", 0.5)
    with pytest.raises(ConfigError, match="energy table 'horowitz': neither a bundled name"):
        load_table("horowitz")


def test_the_nearest_row_of_a_proportion_is_nearest_by_factor():
    """7 bits are 3.5 times 2 and less than 2.3 times below 16."""
    rows = (
        arithmetic(bits="2", energy="1"),
        arithmetic(bits="16", energy="32"),
        arithmetic(bits="1..64", energy="", rule="proportional"),
    )
    assert table(*rows).price("add", 7) == pytest.approx(14.0)
    assert table(*rows).explain("add", 7).rule == "proportional to 16 bits"
    assert table(*rows).price("add", 4) == pytest.approx(2.0)


def test_a_price_of_a_bit_is_no_area_of_a_bit():
    header = HEADER + ",area_um2"
    rows = (
        "sram,access,,64,1,pJ/bit,45,0.9,exact,book,1000",
        "sram,access,,1..128,,pJ/bit,45,0.9,proportional,book,",
    )
    mine = parse_table("\n".join((header, *rows)), "mine", "mine.csv")
    assert (mine.sram(64, 8).energy_pj, mine.sram(32, 8).energy_pj) == (8, 4)
    assert mine.area("sram", "read", 8, 64).value == 1000
    assert mine.area("sram", "read", 8, 32).value == 500


def test_a_rule_holds_at_both_of_its_ends_and_not_beyond():
    mine = table(arithmetic(bits="8", energy="8"), arithmetic(bits="4..16", energy="", rule="proportional"))
    assert [mine.price("add", bits) for bits in (4, 16)] == [4, 16]
    for bits in (3, 17):
        with pytest.raises(PriceError, match=f"has no row for integer add of {bits} bits; it has add of 4..16 bits, 8 bits"):
            mine.price("add", bits)


def test_a_negative_price_is_refused_and_not_used():
    rows = (
        arithmetic(bits="8", energy="1"),
        arithmetic(bits="16", energy="9"),
        arithmetic(bits="1..64", energy="", rule="linear"),
    )
    with pytest.raises(PriceError, match="its linear rule gives -3 pJ for integer add of 4 bits; needs 0 or more"):
        table(*rows).price("add", 4)


def test_polynomials_run_along_bits_of_capacity():
    """4 KiB are 32,768 bits, 2 to the power of 15."""
    plain = table("sram,access,,1..64,,pJ/bit,45,0.9,polynomial 1 0.001,book")
    logarithmic = table("sram,access,,1..64,,pJ/bit,45,0.9,polynomial-log2 1 2,book")
    assert plain.sram(4, 2).energy_pj == pytest.approx(2 * (1 + 32.768))
    assert logarithmic.sram(4, 2).energy_pj == pytest.approx(2 * (1 + 2 * 15))


def test_the_unit_of_a_price_does_not_scale_the_area():
    """64 pJ an access of 64 bits are 1 pJ a bit; 1000 um2 are those of the memory."""
    row = "sram,access,,64,64,pJ/64bit,45,0.9,exact,book,1000"
    mine = parse_table(f"{HEADER},area_um2\n{row}", "mine", "mine.csv")
    assert (mine.sram(64).energy_pj, mine.area("sram", "read", 64, 64).value) == (1, 1000)


def test_energy_of_an_operation_at_several_widths_adds_up():
    rows = arithmetic(bits="8", energy="1"), arithmetic(bits="16", energy="3"), arithmetic("mul", energy="7")
    counts = OpCounts({("add", 8): 10, ("add", 16): 100, ("mul", 8): 2})
    assert arithmetic_energy(counts, table(*rows)) == {"add": 10 * 1 + 100 * 3, "mul": 2 * 7}


def test_rows_say_what_their_figures_hold_for():
    header = HEADER + ",device,temperature_k,corner,contains"
    rows = (
        "sram,read,64,8,2,pJ,45,,exact,lab,fast,358,slow-slow,dynamic + clock",
        "wire,on-chip,,,1,pJ/bit/mm,45,,exact,lab,,,,",
    )
    found = parse_table("\n".join((header, *rows)), "mine", "mine.csv")
    memory, wire = found.rows
    assert (memory.device, memory.temperature_k, memory.corner) == ("fast", 358, "slow-slow")
    assert memory.contains == ("dynamic", "clock")
    assert (wire.device, wire.temperature_k, wire.contains) == ("", None, ())
    assert found.sram(8, 64).energy_pj == found.sram(8, 64, device="fast").energy_pj == 2
    assert found.wire(64).energy_pj == found.wire(64, "fast").energy_pj == 64


@pytest.mark.parametrize(("bits", "outside"), [(2, True), (4, True), (8, False), (40, False)])
def test_operations_narrower_than_the_evidence_are_said_to_be(bits, outside):
    """Horowitz' figure has 8 and 32 bits, and QKeras fits it; wider adders and multipliers go on as they were."""
    for name in ("horowitz-45nm", "qtools-45nm"):
        for op in ("add", "sub", "mul"):
            note = TABLES[name].explain(op, bits).note
            assert note == ("outside the table's evidence of 8..32 bits" if outside else "")
    assert TABLES["aladdin-cacti-45nm"].explain("mul", 2).note == "outside the table's evidence of 4..32 bits"
    assert TABLES["aladdin-cacti-45nm"].explain("mul", 4).note == ""
