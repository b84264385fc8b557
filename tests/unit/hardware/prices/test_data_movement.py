"""Reads and writes have prices of their own, by hand."""

import msgspec
import pytest

from addersim.hardware import load_accelerator, parse_table
from addersim.hardware.prices.csv_file import TABLE_COLUMNS
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.traffic import Access

EDGE = load_accelerator("systolic-16x16")
ROWS = (
    "register,read,8,,1,pJ,45,0.9,exact,book", "register,write,8,,2,pJ,45,0.9,exact,book",
    "network,hop,8,,4,pJ,45,0.9,exact,book", "dram,dram,,,0.5,pJ/bit,45,0.9,exact,book",
)  # fmt: skip
TABLE = parse_table("\n".join((",".join(TABLE_COLUMNS), *ROWS)), "round", "round.csv")
MEMORY = {"word_bits": 16, "read_pj_per_word": 6.0, "write_pj_per_word": 5.0, "source": "made up"}
PARTS = {name: msgspec.structs.replace(getattr(EDGE.buffers, name), **MEMORY) for name in ("input", "weight", "output")}
PRICES = MovementEnergy(msgspec.structs.replace(EDGE, buffers=msgspec.structs.replace(EDGE.buffers, **PARTS)), TABLE)

MOVED = [
    (Access("buffer", "input", 4, 2, 16), 4 * 6 + 2 * 5),
    (Access("buffer", "weight", 4, 2, 8), 2 * 6 + 1 * 5),  # two in a word
    (Access("buffer", "output", 4, 2, 24), 8 * 6 + 4 * 5),  # two words each
    (Access("buffer", "output", 0, 3, 16), 15),
    (Access("register", "input", 3, 2, 8), 3 * 1 + 2 * 2),
    (Access("network", "input", 3, 0, 8), 12),
    (Access("dram", "input", 3, 2, 8), 5 * 8 * 0.5),
]


@pytest.mark.parametrize(("access", "energy_pj"), MOVED)
def test_energy_of_accesses(access, energy_pj):
    assert PRICES.energy_pj(access) == energy_pj


def test_energy_of_one_operand():
    assert PRICES.per_operand("buffer", "input", 8) == (3.0, 2.5)
    assert PRICES.per_operand("buffer", "partial_sum", 24) == (12.0, 10.0)
    assert PRICES.per_operand("dram", "input", 8) == (4.0, 4.0)
