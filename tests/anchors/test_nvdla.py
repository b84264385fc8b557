"""NVDLA beside its published throughput: nvdla/doc, doc/primer.rst, "Example Area and Performance with NVDLA": what its makers
estimate for ResNet-50 on 8-bit integers, without SRAM on chip but the convolution buffer.

Numbers of MACs, buffer sizes and bandwidths are the table's. Shapes of arrays are those of the configurations of nvdla/hw
with as many MACs (spec/defs: nv_large, nv_medium_1024_full, nv_medium_512, nv_small_256, nv_small); its rows of 128 and
32 MACs have none. Clocks are not given: 1 GHz is ours.

======  ===========  =========  ======  ====================================================================================
MACs    array        published  ours    cause of the gap
======  ===========  =========  ======  ====================================================================================
2048    64 x 32      269        248     two thirds of the time are DRAM's: 63.9 MB, of which 16.6 are those of residual
                                        additions, layers of their own here; NVDLA's SDP adds on the way
1024    64 x 16      153        142
512     32 x 16      93         88
256     32 x 8       46         46
64      8 x 8        7.3        10.4    where transfers hide behind computing; 7.5 where they do not: 65 M cycles of the trees
                                        and 67 M of DRAM, which are the larger of both here and their sum there
======  ===========  =========  ======  ====================================================================================

That of 64 MACs is as if nothing were hidden, those of more MACs as if all were: theirs would be 185, 116, 68 and 34 without.
The primer does not say which it took. One output a cycle in the SDP (SDP_BN_THROUGHPUT_1 of nv_small), a first layer without
taps side by side, or stripes half as long make the 7.55 7.50, 7.39 and 7.30: neither those nor the 8 x 8 array are the cause.
"""

import pytest
from msgspec.structs import replace as change

from addersim.hardware import estimate, load_accelerator
from addersim.hardware.accelerator import VectorUnit
from tests.anchors.networks import resnet50

NVDLA = load_accelerator("nvdla-large")


def configured(channels, kernels, kib, gb_s):
    memory = change(NVDLA.buffers.unified, capacity_kib=kib, word_bits=8 * channels)  # a bank's word has the channels of a tap
    array = change(NVDLA.array, rows=channels, columns=kernels)
    dram = change(NVDLA.dram, bandwidth_gb_s=gb_s)
    return change(NVDLA, array=array, buffers=change(NVDLA.buffers, unified=memory), dram=dram)


def test_the_bundled_one_is_the_largest_of_the_table():
    assert configured(64, 32, 512, 20) == NVDLA
    assert NVDLA.array.elements == 2048


@pytest.mark.parametrize(
    ("array", "kib", "gb_s", "published", "ours"),
    [
        ((64, 32), 512, 20, 269, 247.8), ((64, 16), 256, 15, 153, 141.8), ((32, 16), 256, 10, 93, 87.8),
        ((32, 8), 256, 5, 46, 46.5),
    ],
)  # fmt: skip
def test_frames_per_second_within_a_tenth(array, kib, gb_s, published, ours):
    cost = estimate(resnet50(), configured(*array, kib, gb_s))
    assert round(cost.images_per_second, 1) == ours
    assert cost.images_per_second == pytest.approx(published, rel=0.1)


def waiting(machine, lanes=80, **trees):
    """Where transfers are not hidden behind computing."""
    broadcast = change(machine.array.broadcast, **trees)
    buffers = change(machine.buffers, double_buffered=False)
    return change(machine, buffers=buffers, vector=VectorUnit(lanes=lanes), array=change(machine.array, broadcast=broadcast))


def test_the_smallest_one_hides_no_transfers():
    small = configured(8, 8, 128, 1)
    hidden, alone = estimate(resnet50(), small), estimate(resnet50(), waiting(small))
    assert round(hidden.images_per_second, 1) == 10.4
    assert hidden.images_per_second / 7.3 == pytest.approx(1.43, abs=0.01)
    assert alone.images_per_second == pytest.approx(7.3, rel=0.04)
    busy = [sum(layer.compute_cycles for layer in alone.layers), sum(layer.dram_cycles for layer in alone.layers)]
    assert [round(one / 1e6) for one in busy] == [65, 67]
    assert sum(busy) == pytest.approx(alone.cycles, rel=0.01)


@pytest.mark.parametrize(
    ("how", "ours"), [({"lanes": 5}, 7.50), ({"image_channels": 0}, 7.39), ({"stripe": 16}, 7.30)],
)  # fmt: skip
def test_what_else_the_smallest_one_has_changes_little(how, ours):
    assert estimate(resnet50(), waiting(configured(8, 8, 128, 1), **how)).images_per_second == pytest.approx(ours, abs=0.01)


@pytest.mark.parametrize(
    ("array", "kib", "gb_s", "ours"),
    [((64, 32), 512, 20, 185), ((64, 16), 256, 15, 116), ((32, 16), 256, 10, 68), ((32, 8), 256, 5, 34)],
)
def test_the_others_do(array, kib, gb_s, ours):
    assert round(estimate(resnet50(), waiting(configured(*array, kib, gb_s))).images_per_second) == ours


def test_residual_additions_are_what_dram_moves_more_than_needed():
    """Without them the largest one would have 63.9 - 16.6 MB to move, at 20 GB/s."""
    cost = estimate(resnet50(), NVDLA)
    added = sum(layer.dram_bytes for layer in cost.layers if layer.kind == "add")
    assert round(cost.dram_bytes / 1e6, 1) == 63.9
    assert round(added / 1e6, 1) == 16.6
    assert cost.time_by_bound()["dram"] == pytest.approx(2 / 3, abs=0.01)


def test_the_first_layer_has_taps_of_a_row_side_by_side():
    """Convolution with Image Input: 21 values of a row of 7 taps and 3 channels in a tree of 64."""
    first = estimate(resnet50(), NVDLA).layers[0]
    assert first.compute_cycles == 112 * 112 * 7 * 2
