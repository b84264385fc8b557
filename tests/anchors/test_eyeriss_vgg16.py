"""The Eyeriss-like accelerator beside the chip, on the convolutions of VGG-16 at batch 3.

The chip: Chen, Krishna, Emer, Sze, "Eyeriss", JSSC 52(1), 2017, Table VI as the public repository cucapra/fodlam has its text
(raw/eyeriss-tableVI.txt, data/eyeriss-vgg16.csv). Two cells are unreadable there and are corrected so that the columns add up
to their totals: CONV2-2 took 810.3 ms as CONV1-2 nearly did, and CONV1-1 moved 15.4 MB.

=================  =========  =========  ==============================================================================
figure             chip       ours       cause of the gap
=================  =========  =========  ==============================================================================
frames/s           0.70       1.50       the chip's mappings move 11.0 GB through the buffer, ours 3.4 GB: at the eight words
                                         a cycle that the buffer serves, its own words alone take 3.45 of its 3.76 s
CONV5-1 to 5-3     161.7 ms   163.4 ms   there both move 90 MB a layer, and the gap is 1 %
CONV4-1 to 4-3     636.4 ms   547.4 ms   1.4 times our words, filling of scratchpads between passes: 14 %
DRAM words a MAC   0.0035     0.0046     zeros are coded in runs on the chip
power on chip      236 mW     258 mW     ours computes twice as fast; energy a MAC is half of the chip's
=================  =========  =========  ==============================================================================
"""

from typing import NamedTuple

import pytest

from addersim.hardware import estimate, load_accelerator
from tests.anchors.networks import vgg16_convolutions

BATCH, CLOCK_MHZ = 3, 200


class Row(NamedTuple):
    """A layer of Table VI."""

    power_mw: float
    total_ms: float
    processing_ms: float
    buffer_mb: float
    dram_mb: float


CHIP = {
    "CONV1-1": Row(247, 76.2, 38.0, 112.5, 15.4),
    "CONV1-2": Row(218, 910.3, 810.6, 2402.8, 54.0),
    "CONV2-1": Row(242, 470.3, 405.3, 1201.4, 33.4),
    "CONV2-2": Row(231, 894.3, 810.3, 2402.3, 48.5),
    "CONV3-1": Row(254, 241.1, 204.0, 607.4, 20.2),
    "CONV3-2": Row(235, 460.9, 408.1, 1214.8, 32.2),
    "CONV3-3": Row(233, 457.7, 408.1, 1214.8, 30.8),
    "CONV4-1": Row(278, 135.3, 105.1, 321.3, 17.8),
    "CONV4-2": Row(261, 254.8, 210.0, 643.7, 20.6),
    "CONV4-3": Row(240, 246.3, 210.0, 643.7, 22.8),
    "CONV5-1": Row(258, 54.3, 48.3, 90.0, 6.3),
    "CONV5-2": Row(236, 53.7, 48.5, 90.0, 5.7),
    "CONV5-3": Row(230, 53.7, 48.5, 90.0, 5.6),
}
TOTAL = Row(236, 4309.5, 3755.2, 11035.8, 321.1)


@pytest.fixture(scope="module")
def cost():
    return estimate(vgg16_convolutions(), "eyeriss-65nm", "eyeriss-65nm", BATCH)


def buffer_mb(layer):
    return 2e-6 * sum(access.words for access in layer.accesses if access.level == "buffer")


def ms(cycles):
    return cycles / (CLOCK_MHZ * 1e3)


def test_the_table_adds_up():
    """To its totals but for its own rounding; DRAM's cells miss their total by 8 MB."""
    for field, most in (("total_ms", 1), ("processing_ms", 1), ("buffer_mb", 2), ("dram_mb", 8)):
        assert sum(getattr(row, field) for row in CHIP.values()) == pytest.approx(getattr(TOTAL, field), abs=most)
    assert vgg16_convolutions().taps * BATCH == pytest.approx(46.040e9, rel=1e-4)


def test_frames_per_second(cost):
    assert cost.batch_parts == ((BATCH, 1),)
    assert round(BATCH / TOTAL.total_ms * 1e3, 2) == 0.70
    assert round(cost.images_per_second, 2) == 1.50
    assert sum(map(buffer_mb, cost.layers)) == pytest.approx(3365, rel=0.001)


def test_the_chips_own_words_at_the_buffers_width_are_its_processing_time(cost):
    """92 % of it, or 93 % where the array is the slower one."""
    banks = load_accelerator("eyeriss-65nm").buffers.unified.banks
    busiest = [
        max(ms(row.buffer_mb / 2e-6 / banks), ms(layer.compute_cycles))
        for row, layer in zip(CHIP.values(), cost.layers, strict=True)
    ]
    assert sum(busiest) / TOTAL.processing_ms == pytest.approx(0.929, abs=0.002)
    words_alone = sum(ms(row.buffer_mb / 2e-6 / banks) for row in CHIP.values())
    assert words_alone / TOTAL.processing_ms == pytest.approx(0.918, abs=0.005)


def test_where_both_move_the_same_words_they_take_the_same_time(cost):
    for layer in cost.layers[-3:]:
        chip = CHIP[layer.name]
        assert buffer_mb(layer) == pytest.approx(chip.buffer_mb, rel=0.04)
        assert ms(layer.cycles) == pytest.approx(chip.total_ms, rel=0.02)
    fourth = [layer for layer in cost.layers if layer.name.startswith("CONV4")]
    assert sum(ms(layer.cycles) for layer in fourth) / sum(CHIP[layer.name].total_ms for layer in fourth) == pytest.approx(
        0.86, abs=0.005
    )


def test_dram_words_and_power(cost):
    found = sum(layer.words("dram") for layer in cost.layers) / cost.taps
    assert (round(TOTAL.dram_mb / 2e-6 / cost.taps, 4), round(found, 4)) == (0.0035, 0.0046)
    on_chip_pj = cost.energy_pj - cost.energy_by_component()["dram"]
    assert round(on_chip_pj / cost.latency_ms * 1e-6) == 258
    measured_pj = TOTAL.power_mw * TOTAL.total_ms * 1e6
    assert (round(measured_pj / cost.taps, 1), round(on_chip_pj / cost.taps, 1)) == (22.1, 11.2)
