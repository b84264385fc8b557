"""DianNao beside what was published of it: Chen et al., "DianNao: A Small-Footprint High-Throughput Accelerator for Ubiquitous
Machine-Learning", ASPLOS 2014, abstract: 452 GOP/s, 3.02 mm2 and 485 mW after layout at 65 nm, which is taken to be without
DRAM. Array and memories are those of NVlabs/timeloop, configs/mapper/chen-asplos2014.cfg, and so is the layer (its problem:
3 x 3, 128 channels to 128 filters, 16 x 16 outputs). The clock is ours: neither names one.

==========================  =========  ======  ==============================================================================
figure                      published  ours    cause of the gap
==========================  =========  ======  ==============================================================================
peak, GOP/s                 452        512     a multiplication and an addition in 256 elements at 1 GHz; at 883 MHz equal
area, mm2                   3.02       1.57    control, activation functions, DMA and wires are no part of the model
power without DRAM, mW      485        1,099   826 of them are 16-bit multipliers at 4.53 pJ, Aladdin's at 1 ns; memories are
                                               238, and with Horowitz's 45 nm figures the whole is 395
==========================  =========  ======  ==============================================================================

So these figures bound the chip's from both sides, and decide nothing within a factor of two: what a multiplier takes is not
published apart.
"""

import pytest

from addersim.hardware import estimate, load_accelerator
from addersim.hardware.area import estimate_area
from tests.anchors.networks import Layers

DIANNAO = load_accelerator("diannao-like")
AT_65_NM = "aladdin-cacti-65nm"


def layer():
    return Layers(16, 16, 128, bits=16, accumulator_bits=16).conv((3, 3), 128).trace("layer")


def milliwatts(table):
    """Power by component."""
    cost = estimate(layer(), DIANNAO, table)
    return {name: energy / (cost.latency_ms * 1e6) for name, energy in cost.energy_by_component().items()}


def test_the_peak():
    assert DIANNAO.array.elements == 256
    assert 2 * DIANNAO.array.elements * DIANNAO.clock_mhz / 1e3 == pytest.approx(512)
    assert 2 * DIANNAO.array.elements * 0.883 == pytest.approx(452, rel=1e-3)


def test_area_is_half_of_the_chips():
    found = estimate_area(layer(), DIANNAO, AT_65_NM)
    assert not found.missing
    assert found.area_mm2 == pytest.approx(1.57, abs=0.005)


def test_power_is_that_of_its_multipliers():
    parts = milliwatts(AT_65_NM)
    assert sum(parts.values()) - parts["dram"] == pytest.approx(1099, abs=0.5)
    assert parts["buffer"] == pytest.approx(238, abs=0.5)
    multipliers = [part for part in estimate(layer(), DIANNAO, AT_65_NM).layers[0].parts if part.of == "mul"]
    assert sum(part.energy_pj for part in multipliers) / layer().taps == pytest.approx(4.53, abs=0.005)
    parts = milliwatts("horowitz-45nm")
    assert sum(parts.values()) - parts["dram"] == pytest.approx(395, abs=0.5)


def test_weights_are_read_in_every_cycle():
    """16 words of 16 weights, once for each output pixel of 16 filters: the memory next to the trees is busy all the time."""
    (cost,) = estimate(layer(), DIANNAO, AT_65_NM).layers
    reads = sum(one.reads for one in cost.accesses if (one.level, one.operand) == ("buffer", "weight"))
    assert reads == layer().taps
