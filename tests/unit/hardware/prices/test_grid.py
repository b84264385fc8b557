"""Prices of memories between the rows: nothing larger or wider is cheaper, and no row stands out."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addersim.errors import ConfigError, PriceError
from addersim.hardware import load_table, parse_table
from addersim.hardware.prices.csv_file import TABLE_COLUMNS
from addersim.hardware.prices.grid import Grid

CACTI = {name: load_table(name) for name in (f"aladdin-cacti-{node}nm" for node in (7, 16, 22, 28, 32, 45, 65))}
DEVICES = ("itrs-lstp", "itrs-lop", "itrs-hp")
CAPACITIES = [2.0**power for power in range(-1, 12)]
WIDTHS = (32, 64, 128)
ulp = 1 + 1e-12


def figure(table, quantity, capacity, bits, device):
    if quantity in ("read", "write"):
        return table.sram(capacity, bits, quantity, device).energy_pj
    return getattr(table, quantity)("sram", "read", bits, capacity, device).value


one_size = st.floats(0.125, 65536), st.integers(8, 1024)
cells = st.sampled_from([(name, device) for name in sorted(CACTI) for device in CACTI[name].devices()])


@given(cells, st.sampled_from(("read", "write", "area", "leakage")), *one_size, *one_size)
def test_a_larger_or_wider_memory_is_never_cheaper(cell, quantity, one, bits, other, others_bits):
    name, device = cell
    small, large = (min(one, other), min(bits, others_bits)), (max(one, other), max(bits, others_bits))
    assert figure(CACTI[name], quantity, *small, device) <= figure(CACTI[name], quantity, *large, device) * ulp


@given(cells, st.sampled_from(("read", "write", "area", "leakage")), st.sampled_from(CAPACITIES), st.sampled_from(WIDTHS))
def test_prices_are_continuous_at_rows(cell, quantity, capacity, bits):
    name, device = cell
    table = CACTI[name]
    row = figure(table, quantity, capacity, bits, device)
    for factor in (1 - 1e-9, 1 + 1e-9):
        assert figure(table, quantity, capacity * factor, bits, device) == pytest.approx(row, rel=1e-7)
    grid = table._surfaces[("sram", "read" if quantity in ("area", "leakage") else quantity, device), {
        "read": "energy_pj", "write": "energy_pj", "area": "area_um2", "leakage": "leakage_uw"}[quantity]]  # fmt: skip
    for factor in (1 - 1e-9, 1 + 1e-9):
        assert grid(capacity, bits * factor) == pytest.approx(row, rel=1e-7)


points = st.lists(st.floats(1e-6, 1e6), min_size=12, max_size=12)


@given(points, *[st.floats(0.5, 64) for _ in range(2)], *[st.floats(4, 512) for _ in range(2)])
def test_any_rows_make_a_grid_that_never_falls(values, one, other, bits, others_bits):
    nodes = [(capacity, width) for capacity in (1, 3, 8, 20) for width in (8, 32, 100)]
    grid = Grid.of([(*node, value) for node, value in zip(nodes, values, strict=True)])
    assert grid(min(one, other), min(bits, others_bits)) <= grid(max(one, other), max(bits, others_bits)) * ulp
    for node, value in zip(nodes, values, strict=True):
        lowest = min(other for place, other in zip(nodes, values, strict=True) if place[0] >= node[0] and place[1] >= node[1])
        assert grid(*node) == lowest <= value
        assert (node in grid.lowered) == (lowest < value)


def test_a_grid_by_hand():
    grid = Grid.of([(8, 32, 2.0), (8, 64, 4.0), (32, 32, 4.0), (32, 64, 16.0)])
    assert [grid(*size) for size in ((8, 32), (8, 64), (32, 64))] == [2, 4, 16]
    assert grid(16, 32) == pytest.approx(2 * 2**0.5)  # half way by the logarithm, along each side
    assert grid(8, 32 * 2**0.5) == pytest.approx(2 * 2**0.5)
    assert grid(16, 32 * 2**0.5) == pytest.approx(
        2**0.5 * 2 * 2**0.25 * 2**0.5
    )  # the four logarithms 1, 2, 2, 4 on average: 9/4
    # beyond: capacity^((1/2 + 1) / 2), width^((1 + 2) / 2), the means of both outermost pieces
    assert grid(2, 32) == pytest.approx(2 * 4**-0.75)
    assert grid(32, 256) == pytest.approx(16 * 4**1.5)
    assert grid(128, 256) == pytest.approx(16 * 4**0.75 * 4**1.5)


def test_a_grid_goes_on_with_the_pieces_at_its_own_ends():
    """Along the capacity 1, 2, 8 at 1, 4, 16 KiB: exponents 1/2 below and 1 above; along the width none."""
    grid = Grid.of([(capacity, width, y) for capacity, y in ((1, 1.0), (4, 2.0), (16, 8.0)) for width in (32, 64)])
    assert (grid.capacity_slopes, grid.width_slopes) == ((pytest.approx(0.5), pytest.approx(1)), (0, 0))
    assert (grid(0.25, 32), grid(64, 32)) == (pytest.approx(0.5), pytest.approx(32))
    assert grid(16, 512) == 8


def test_a_grid_says_which_rows_a_price_is_from():
    cacti = CACTI["aladdin-cacti-45nm"]
    assert cacti.sram(64, 64).rule == "exact"
    assert cacti.sram(64, 64).source == "CACTI 7 at 45 nm, as hwcomponents runs it (cacti.SRAM)"
    assert cacti.sram(48, 64).rule == "grid, between rows of 32 and 64 KiB, 64 bits"
    assert cacti.sram(48, 48).rule == "grid, between rows of 32 and 64 KiB, 32 and 64 bits"
    assert cacti.sram(4096, 64).rule.endswith("; outside its rows of 0.5..2048 KiB, 32..128 bits")
    assert cacti.sram(64, 256).note == "outside its rows of 0.5..2048 KiB, 32..128 bits"
    assert cacti.area("sram", "read", 32, 64).rule == "exact, lowered from 238696 to the row of 64 KiB x 128 bits"
    assert "it gives 11.6097 pJ, lowered to the row of 16 KiB x 128 bits" in cacti.sram(16, 64).source


def test_a_grid_needs_every_capacity_at_every_width():
    rows = [f"sram,read,{bits},{capacity},1,pJ,45,0.9,exact,b" for capacity, bits in ((8, 32), (8, 64), (32, 32))]
    text = "\n".join((",".join(TABLE_COLUMNS), *rows, "sram,read,1..128,1..64,,pJ,45,0.9,grid,b"))
    message = "line 5: rule grid needs an exact row of read for every capacity at every width; 32 KiB x 64 bits is missing"
    with pytest.raises(ConfigError, match=message):
        parse_table(text, "mine", "mine.csv")


def test_devices_of_one_table_are_asked_for_by_name():
    """CACTI 7 at 45 nm, 64 KiB of 64 bits: what leaks differs 18,600 times between cells for standby and for speed."""
    cacti = CACTI["aladdin-cacti-45nm"]
    assert cacti.devices() == DEVICES
    rows = [row for row in cacti.rows if row.exact and (row.op, row.bits, row.capacity_kib) == ("read", (64, 64), (64, 64))]
    assert {row.device: row.leakage_uw for row in rows} == dict(zip(DEVICES, (1.67027, 1397.57, 31083.6), strict=True))
    leaks = [cacti.leakage("sram", "read", 64, 64, device).value for device in DEVICES]
    assert leaks == [1.65181, 1397.57, 31083.6]  # the first lowered by 1 % to that of 128 bits
    assert [cacti.sram(64, 64, "read", device).energy_pj for device in DEVICES] == [25.8695, 13.069, 28.9844]
    assert cacti.sram(64, 64) == cacti.sram(64, 64, "read", "itrs-lstp")
    with pytest.raises(PriceError, match="no row for sram of 64 KiB, read of 64 bits, itrs-x; it has read itrs-lstp, "):
        cacti.sram(64, 64, "read", "itrs-x")


@pytest.mark.parametrize("name", sorted(CACTI))
def test_rows_say_what_they_hold_for(name):
    for row in CACTI[name].rows:
        if row.exact and row.component == "sram":
            assert (row.device in DEVICES, row.temperature_k, row.contains) == (True, 300, ("dynamic",))
        elif row.exact and row.component in ("integer", "register"):
            assert (row.corner, row.contains) == ("1 ns", ("dynamic",))
    assert math.isinf(load_table("horowitz-45nm").smallest_kib("itrs-hp"))
    assert CACTI[name].smallest_kib() == 0.125
