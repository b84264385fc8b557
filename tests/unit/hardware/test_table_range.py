import re

import pytest

from addersim.errors import HardwareError, PriceError
from addersim.hardware import estimate, load_accelerator, parse_table, table_names
from addersim.hardware.prices.csv_file import TABLE_COLUMNS
from addersim.hardware.prices.missing import WHAT_TO_DO
from addersim.hardware.table_range import estimate_range
from tests.unit.hardware.traces import small_residual_network

SMALL, EDGE = small_residual_network(), load_accelerator("systolic-16x16")


def bare(name):
    return parse_table(",".join(TABLE_COLUMNS) + "\ninteger,add,8,,1,pJ,45,0.9,exact,book", name, "bare.csv")


def test_every_bundled_table_prices_a_plain_design_and_the_cheapest_comes_first():
    found = estimate_range(SMALL, EDGE)
    assert {cost.table for cost in found.costs} == set(table_names())
    assert not found.refused
    energies = [cost.energy_pj for cost in found.costs]
    assert energies == sorted(energies)
    assert found.spread == energies[-1] / energies[0] > 1
    for cost in found.costs:
        assert cost == estimate(SMALL, EDGE, cost.table)


def test_a_table_that_cannot_price_a_design_says_why():
    found = estimate_range(SMALL, EDGE, ["horowitz-45nm", bare("lab"), "qtools-45nm"], batch=2)
    assert {cost.table for cost in found.costs} == {"horowitz-45nm", "qtools-45nm"}
    assert {cost.batch for cost in found.costs} == {2}
    reason = (
        "energy table 'lab' has no row for integer add of 24 bits; it has add of 8 bits; needed by layers conv1, conv2, fc"
    )
    assert found.refused == {"lab": reason + WHAT_TO_DO}


def test_no_table_at_all_is_an_error_that_names_the_first_reason():
    with pytest.raises(PriceError, match="^none of 2 energy tables can price this: energy table 'one' has no row"):
        estimate_range(SMALL, EDGE, [bare("one"), bare("two")])
    with pytest.raises(PriceError, match="^energy table 'one' has no row for integer add of 24 bits"):
        estimate_range(SMALL, EDGE, [bare("one")])
    with pytest.raises(PriceError, match="no energy table was given"):
        estimate_range(SMALL, EDGE, [])


def test_a_design_that_cannot_work_is_no_matter_of_the_table():
    with pytest.raises(HardwareError, match=re.escape("batch: found 0, needs a whole number in 1..")) as caught:
        estimate_range(SMALL, EDGE, batch=0)
    assert not isinstance(caught.value, PriceError)
