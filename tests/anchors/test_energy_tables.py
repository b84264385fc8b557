"""Unit energies and arithmetic-only figures that can be worked out from published tables.

Horowitz, "Computing's energy problem", ISSCC 2014, Fig. 1.1.9 (45 nm, 0.9 V); QKeras, qtools/config_public.py, its fit to it.
The counts are those of the AdderNet paper (CVPR 2020, tables 1 and 2), which bill every tap as two additions, or as one
multiplication and one addition; they hold no memory, no control and no batch norm.
"""

import pytest

from addersim.hardware import arithmetic_energy, load_table
from addersim.ops import OpCounts

HOROWITZ, QTOOLS = load_table("horowitz-45nm"), load_table("qtools-45nm")


@pytest.mark.parametrize(
    ("op", "bits", "component", "energy_pj"),
    [
        ("add", 8, "integer", 0.03),
        ("add", 32, "integer", 0.1),
        ("mul", 8, "integer", 0.2),
        ("mul", 32, "integer", 3.1),
        ("add", 16, "float", 0.4),
        ("mul", 16, "float", 1.1),
        ("add", 32, "float", 0.9),
        ("mul", 32, "float", 3.7),
    ],
)
def test_horowitz_operations(op, bits, component, energy_pj):
    assert HOROWITZ.explain(op, bits, component)[:2] == (energy_pj, "exact")


def test_horowitz_interpolated_add_lies_near_the_rounded_0_05_that_others_use_for_16_bits():
    assert HOROWITZ.price("add", 16) == pytest.approx(0.0533, abs=5e-5)  # 7 % above 0.05, which is not in the figure


@pytest.mark.parametrize(("capacity_kib", "access_pj"), [(8, 10), (32, 20), (1024, 100)])
def test_memories_of_both_tables_a_64_bit_access(capacity_kib, access_pj):
    assert HOROWITZ.sram(capacity_kib).energy_pj * 64 == access_pj
    assert QTOOLS.sram(capacity_kib).energy_pj * 64 == pytest.approx(access_pj, rel=1e-4)
    assert HOROWITZ.dram().energy_pj == QTOOLS.dram().energy_pj == 20.3125
    assert HOROWITZ.dram("dram-high").energy_pj * 64 == 2600


@pytest.mark.parametrize(
    ("bits", "add", "mul", "saving"),
    [
        (4, 0.0125, 0.0521, 2.58),
        (6, 0.0188, 0.1141, 3.54),
        (8, 0.0250, 0.2000, 4.50),
        (16, 0.0500, 0.7833, 8.33),
        (32, 0.1000, 3.1000, 16.0),
    ],
)
def test_qkeras_fit_and_the_arithmetic_ceiling_of_the_saving(bits, add, mul, saving):
    found_add, found_mul = QTOOLS.price("add", bits), QTOOLS.price("mul", bits)
    assert (found_add, found_mul) == (pytest.approx(add, abs=5.1e-5), pytest.approx(mul, abs=5e-5))
    assert (found_mul + found_add) / (2 * found_add) == pytest.approx(saving, abs=5e-3)


def test_the_quadratic_rule_of_horowitz_is_the_qkeras_fit():
    for bits in range(1, 65):
        assert HOROWITZ.price("mul", bits) == pytest.approx(QTOOLS.price("mul", bits), rel=1e-8)


@pytest.mark.parametrize(
    ("component", "bits", "saving"), [("float", 32, 2.56), ("float", 16, 1.88), ("integer", 8, 3.83), ("integer", 32, 16)]
)
def test_arithmetic_ceiling_of_the_saving_with_horowitz(component, bits, saving):
    add, mul = (HOROWITZ.price(op, bits, component) for op in ("add", "mul"))
    assert (mul + add) / (2 * add) == pytest.approx(saving, abs=5.1e-3)


@pytest.mark.parametrize(
    ("network", "taps", "component", "bits", "unit_pj", "cnn", "addernet"),
    [
        ("ResNet-20", 41_170_000, "float", 32, 1e6, 189.4, 74.1),
        ("ResNet-20", 41_170_000, "integer", 8, 1e6, 9.47, 2.47),
        ("LeNet-5", 435_000, "float", 32, 1e6, 2.00, 0.78),
        ("ResNet-50", 3_900_000_000, "float", 32, 1e9, 17.94, 7.02),
    ],
)
def test_arithmetic_alone_with_the_counts_of_the_paper(network, taps, component, bits, unit_pj, cnn, addernet):
    multiplying = arithmetic_energy(OpCounts({("mul", bits): taps, ("add", bits): taps}), HOROWITZ, component)
    adding = arithmetic_energy(OpCounts({("add", bits): 2 * taps}), HOROWITZ, component)
    digits = 1 if cnn > 100 else 2
    assert (round(sum(multiplying.values()) / unit_pj, digits), round(sum(adding.values()) / unit_pj, digits)) == (
        cnn,
        addernet,
    )
