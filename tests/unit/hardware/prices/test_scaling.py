import re

import pytest

from addersim.errors import ConfigError, PriceError
from addersim.hardware import load_table, parse_table, scale_table
from addersim.hardware.prices.csv_file import TABLE_COLUMNS
from addersim.hardware.prices.scaling import nodes

HOROWITZ, CACTI = load_table("horowitz-45nm"), load_table("aladdin-cacti-45nm")


@pytest.mark.parametrize(
    ("node_nm", "voltage_v", "factor"),
    [
        (65, 1.1, 2.41),
        (32, 0.9, 0.654),
        (20, 0.9, 0.287),
        (16, 0.8, 0.172),
        (14, 0.8, 0.138),
        (10, 0.75, 0.101),
        (7, 0.7, 0.068),
    ],
)
def test_factors_from_45_nm_at_0_9_v(node_nm, voltage_v, factor):
    """Worked out by hand from the coefficients of Stillmaker and Baas."""
    scaled = scale_table(HOROWITZ, node_nm, voltage_v)
    assert scaled.price("mul", 8) / 0.2 == pytest.approx(factor, rel=7e-3)
    assert scaled.price("mul", 16) / HOROWITZ.price("mul", 16) == pytest.approx(factor, rel=7e-3)
    assert scaled.sram(64, 64).energy_pj / HOROWITZ.sram(64, 64).energy_pj == pytest.approx(factor, rel=7e-3)
    assert scaled.price("mul", 8) == scale_table(HOROWITZ, node_nm).price("mul", 8)  # these supplies are the usual ones


def test_every_scaled_price_says_so_and_dram_keeps_its_own():
    scaled = scale_table(HOROWITZ, 7)
    assert scaled.name == "horowitz-45nm at 7 nm"
    said = ", x 0.0684 from 45 nm 0.9 V to 7 nm 0.7 V by Stillmaker and Baas"
    rules = [scaled.explain(op, bits).rule for op in ("add", "mul", "cmp", "shift") for bits in (8, 13)]
    rules.append(scaled.sram(100, 64).rule)
    assert all(rule.endswith(said) for rule in rules)
    assert scaled.dram() == HOROWITZ.dram()
    assert {row.node_nm for row in scaled.rows if row.component != "dram"} == {7}


def test_area_scales_and_leakage_is_left_out():
    scaled = scale_table(CACTI, 7)
    found = scaled.area("integer", "mul", 8)
    assert found.value / CACTI.area("integer", "mul", 8).value == pytest.approx(0.059)
    assert "x 0.059 from 45 nm" in found.rule
    assert all(row.leakage_uw is None for row in scaled.rows)


def test_wires_go_with_the_square_of_the_supply():
    scaled = scale_table(HOROWITZ, 7)
    assert scaled.wire(1).energy_pj == pytest.approx(0.121 * (0.7 / 0.9) ** 2)
    assert scaled.wire(1).rule == "exact, x 0.605 from 45 nm 0.9 V to 7 nm 0.7 V by the supply squared"


def test_what_must_be_known_stays_behind_the_factor():
    rule = "linear, continued from 8 and 32 bits, x 0.0684 from 45 nm 0.9 V to 7 nm 0.7 V by Stillmaker and Baas"
    assert scale_table(HOROWITZ, 7).explain("add", 2).rule == f"{rule}; outside the table's evidence of 8..32 bits"


def test_scaling_there_and_back_changes_nothing():
    back = scale_table(scale_table(HOROWITZ, 16), 45, 0.9)
    for op in ("add", "mul"):
        assert back.price(op, 11) == pytest.approx(HOROWITZ.price(op, 11), rel=1e-12)


def test_polynomials_scale_too():
    qtools = load_table("qtools-45nm")
    assert scale_table(qtools, 7).price("mul", 9) / qtools.price("mul", 9) == pytest.approx(0.0684, rel=1e-3)


def test_memories_of_cacti_shrink_as_the_fits_say_from_65_to_32_nm():
    """From 65 to 32 nm the 64 KiB of CACTI fall to 0.274, the fits of logic to 0.271 at the usual supplies: they agree."""
    own = load_table("aladdin-cacti-32nm").sram(64, 64).energy_pj / load_table("aladdin-cacti-65nm").sram(64, 64).energy_pj
    fits = nodes()[32].energy(0.9) / nodes()[65].energy(1.1)
    assert (own, fits) == (pytest.approx(0.274, abs=5e-3), pytest.approx(0.271, abs=5e-3))


def test_every_node_has_a_source_and_falls():
    found = list(nodes().values())
    assert all("Stillmaker and Baas" in node.source for node in found)
    energies = [node.energy(node.voltage_v) for node in found]
    assert energies == sorted(energies, reverse=True)
    assert [node.area for node in found] == sorted((node.area for node in found), reverse=True)


def test_what_cannot_be_scaled_is_told_in_one_line():
    with pytest.raises(ConfigError, match=re.escape("node 5 nm: cannot be scaled to; known: 180, 130, 90, 65, 45, 32, 20")):
        scale_table(HOROWITZ, 5)
    with pytest.raises(ConfigError, match=re.escape("supply 12 V at 7 nm: outside the fits; usual there: 0.7 V")):
        scale_table(HOROWITZ, 7, 12)
    with pytest.raises(PriceError, match="energy table 'aladdin-cacti-22nm': its 22 nm cannot be scaled from; known: 180"):
        scale_table(load_table("aladdin-cacti-22nm"), 7)
    rows = [f"integer,add,{bits},,1,pJ,{node},0.9,exact,b" for bits, node in ((8, 45), (9, 32))]
    with pytest.raises(PriceError, match="energy table 'mixed': holds rows of several nodes or supplies; scaling needs one"):
        scale_table(parse_table("\n".join((",".join(TABLE_COLUMNS), *rows)), "mixed", "mixed.csv"), 7)
