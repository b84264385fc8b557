"""`addersim check` refuses a table under which something larger or wider is cheaper."""

import re

import pytest

from addersim.errors import ConfigError
from addersim.hardware import load_table, parse_table, table_names
from addersim.hardware.prices.csv_file import TABLE_COLUMNS
from addersim.hardware.prices.soundness import check_sizes

HEADER = ",".join(TABLE_COLUMNS)


def sram(energy, bits="", capacity=8, rule="exact", op="access", unit="pJ/64bit"):
    return f"sram,{op},{bits},{capacity},{energy},{unit},45,,{rule},lab"


def grid(*energies, rule):
    sizes = [(bits, capacity) for capacity in (8, 32) for bits in (32, 64)]
    rows = [sram(energy, *size, unit="pJ") for energy, size in zip(energies, sizes, strict=True)]
    return *rows, sram("", "1..128", "1..64", rule, unit="pJ")


def adds(*pairs, rule):
    rows = [f"integer,add,{bits},,{energy},pJ,45,,exact,lab" for bits, energy in pairs]
    return *rows, f"integer,add,1..64,,,pJ,45,,{rule},lab"


@pytest.mark.parametrize("name", table_names())
def test_the_bundled_tables_are_sound(name):
    check_sizes(load_table(name), name)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((sram(20, capacity=8), sram(10, capacity=64)),
         "lines 2 and 3: sram access of 64 KiB costs 0.15625 pJ a bit, that of 8 KiB 0.3125 pJ a bit"),
        ((sram(10, capacity=64), sram(20, capacity=8)),  # in whatever order
         "lines 3 and 2: sram access of 64 KiB costs 0.15625 pJ a bit"),
        (grid(3, 2, 4, 6, rule="grid"), "lines 2 and 3: sram access of 8 KiB x 64 bits costs 2 pJ, that of"),
        (grid(3, 4, 2, 6, rule="fit"), "lines 2 and 4: sram access of 32 KiB x 32 bits costs 2 pJ, that of"),
        (adds((8, 3), (16, 2), rule="linear"), "lines 2 and 3: integer add of 16 bits costs 2 pJ, that of 8 bits 3 pJ"),
        (adds((8, 8), (16, 9), rule="proportional"), "line 4: the rule proportional gives integer add of 12 bits 6.75 pJ"),
        ((sram("", capacity="1..64", rule="polynomial 5 -0.00001"),),
         "line 2: the rule polynomial gives sram access of 1.02112 KiB"),
        (("register,read,8,,2,pJ,45,,exact,lab", "register,read,16,,1,pJ,45,,exact,lab"),
         "lines 2 and 3: register read of 16 bits costs 1 pJ, that of 8 bits 2 pJ"),
    ],
)  # fmt: skip
def test_larger_is_cheaper_is_refused_in_one_line_that_names_both(rows, message):
    table = parse_table("\n".join((HEADER, *rows)), "lab", "lab.csv")
    end = ": larger is cheaper; correct it, or lower the smaller one to what can stand in for it"
    with pytest.raises(ConfigError, match=f"^lab.csv: {re.escape(message)}.*{re.escape(end)}$") as caught:
        check_sizes(table, "lab.csv")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "rows",
    [
        grid(1, 2, 2, 4, rule="grid"),
        grid(2, 2, 2, 2, rule="fit"),  # as dear is not cheaper
        adds((8, 1), (16, 3), rule="proportional"),
        (sram(20, 64, 8, op="read", unit="pJ"), sram(10, 64, 64, op="write", unit="pJ")),  # other operations
        (sram(20, 64, 8, op="read", unit="pJ"), sram(10, 32, 64, op="read", unit="pJ")),  # larger but narrower
    ],
)  # fmt: skip
def test_what_is_never_cheaper_passes(rows):
    check_sizes(parse_table("\n".join((HEADER, *rows)), "lab", "lab.csv"), "lab.csv")


def test_devices_are_compared_each_with_itself():
    header = HEADER.replace(",source", ",device,source")
    rows = ("sram,read,64,8,9,pJ,45,,exact,fast,lab", "sram,read,64,64,4,pJ,45,,exact,slow,lab")
    check_sizes(parse_table("\n".join((header, *rows)), "lab", "lab.csv"), "lab.csv")
