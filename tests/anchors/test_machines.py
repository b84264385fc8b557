"""Machines that exist beside what was published of them: TPU v1, Gemmini, and what Arm's compiler estimates of an Ethos-U55.

TPU v1: Jouppi et al., "In-Datacenter Performance Analysis of a Tensor Processing Unit", ISCA 2017 (arXiv 1704.04760): Tables
1 to 3, Sections 6 and 7. The shapes of its networks were not published, only numbers of layers and weights, and the batch:
here their matrices are equal squares, and CNN0 has 3 x 3 convolutions of 19 x 19 pixels, for its 2,888 operations a byte are
8 x 19 x 19.

====================  =========  ======  ====================================================================================
figure                published  ours    cause of the gap
====================  =========  ======  ====================================================================================
peak, TOPS            92         91.8
MLP0, batch 200       12.3       12.3
MLP1, batch 168       9.7        9.9
LSTM0, batch 64       3.7        4.3     only its matrices are here; in 18 % of its time the chip multiplies none
LSTM1, batch 96       2.8        6.1     40 % of its weights in the array are padding (600 x 600 in tiles of 256 x 256):
                                         counted so, 3.7
CNN0, utilisation     78.2 %     70.2 %  shapes are guessed: 236 channels fill 92 % of the columns
power under CNN0, W   40         22.6    at 10 % of the load the chip draws 88 % of that; ours are operations, words and
                                         leakage at 28 nm
====================  =========  ======  ====================================================================================

Gemmini: "ResNet50 utilization: 51%" (ucb-bar/gemmini, pull request 90). Ours is 91 %: transfers overlap fully, main memory has
no latency, and no processor issues instructions.

Ethos-U55-256: cycles of its array and element-wise unit as Vela 5.2.0 estimates them (Ethos_U55_High_End_Embedded,
Shared_Sram), no measurement. Ours have the same order. Wake words are 2 % below and keyword spotting 22 %; ResNet-8 (-50 %)
and the autoencoder (-60 %) are not within 25 %: Vela expects 19 to 84 % of the array in use in ResNet-8's convolutions, whose
systolic folds are full, and 12,288 cycles for 16,384 element-wise additions, where 8 lanes take 2,048.
"""

import pytest

from addersim.hardware import estimate, load_accelerator
from tests.anchors.networks import Layers, mlperf_tiny, resnet50

TPU_TABLE = "aladdin-cacti-28nm"
VELA_CYCLES = {"ad": 41_404, "kws": 57_329, "ic": 107_389, "vww": 128_825}


def dense(layers, weights, side=None):
    """Equal square matrices one after another."""
    side = side or round((weights / layers) ** 0.5)
    net = Layers(1, 1, side)
    for _ in range(round(weights / side**2)):
        net.dense(side)
    return net.trace("matrices")


def tops(cost):
    return 2 * cost.taps / (cost.latency_ms * 1e9)


def test_the_peak_of_the_tpu():
    tpu = load_accelerator("tpu-v1")
    assert tpu.array.elements == 65_536
    assert round(2 * tpu.array.elements * tpu.clock_mhz * 1e-6) == 92
    memories = tpu.buffers.memories()
    assert memories["input"].capacity_kib + memories["output"].capacity_kib == 28 * 1024  # "28 MiB software-managed"


@pytest.mark.parametrize(
    ("layers", "weights", "batch", "published", "ours"),
    [(5, 20e6, 200, 12.3, 12.3), (4, 5e6, 168, 9.7, 9.9), (58, 52e6, 64, 3.7, 4.3)],
    ids=["MLP0", "MLP1", "LSTM0"],
)
def test_throughput_of_the_tpu_within_a_sixth(layers, weights, batch, published, ours):
    cost = estimate(dense(layers, weights), "tpu-v1", TPU_TABLE, batch)
    assert round(tops(cost), 1) == ours
    assert cost.time_by_bound() == {"dram": 1.0}
    assert tops(cost) == pytest.approx(published, rel=1 / 6)


def test_lstm1_of_the_tpu_is_slowed_by_padding():
    """Of its active weights 4.2 of 10.5 points are unused (Table 3): a matrix of 600 x 600 takes nine tiles (Section 7)."""
    cost = estimate(dense(56, 34e6), "tpu-v1", TPU_TABLE, 96)
    assert round(tops(cost), 1) == 6.1
    side, tile = 600, 256
    padding = (-(-side // tile) * tile / side) ** 2
    assert 1 - 1 / padding == pytest.approx(4.2 / 10.5, abs=0.02)
    assert round(tops(cost) / padding, 1) == 3.7


@pytest.fixture(scope="module")
def cnn0():
    """16 layers, 8 million weights, batch 8."""
    channels = round((8e6 / 16 / 9) ** 0.5)
    net = Layers(19, 19, channels)
    for _ in range(16):
        net.conv((3, 3), channels)
    return estimate(net.trace("CNN0"), "tpu-v1", TPU_TABLE, 8)


def test_utilisation_and_power_of_the_tpu(cnn0):
    assert 2888 == 8 * 19 * 19
    assert round(100 * cnn0.utilisation, 1) == 70.2
    assert cnn0.utilisation == pytest.approx(0.782, rel=0.11)
    watts = cnn0.energy_pj / cnn0.latency_ms * 1e-9
    assert round(watts, 1) == 22.6
    assert watts < 40


def test_utilisation_of_gemmini():
    """No upper layer of software, no latency: what a perfect schedule would reach."""
    network = resnet50()
    assert network.taps == pytest.approx(4.1e9, rel=0.01)
    cost = estimate(network, "gemmini-default")
    assert round(100 * cost.utilisation) == 91
    assert cost.utilisation / 0.51 == pytest.approx(1.79, abs=0.01)


@pytest.fixture(scope="module")
def tiny():
    return {name: (trace, estimate(trace, "ethos-u55-256-like", objective="latency")) for name, trace in mlperf_tiny().items()}


def test_the_tiny_networks_are_those_that_vela_counted():
    """Multiplications of its per-layer report without pooling."""
    counted = {"kws": 2_656_768, "vww": 7_489_664, "ic": 12_501_632, "ad": 264_192}
    assert {name: trace.taps for name, trace in mlperf_tiny().items()} == counted


def test_cycles_rise_in_the_order_of_vela(tiny):
    found = {name: sum(layer.compute_cycles for layer in cost.layers) for name, (_, cost) in tiny.items()}
    assert sorted(found, key=found.get) == sorted(VELA_CYCLES, key=VELA_CYCLES.get)
    ratios = {name: round(found[name] / cycles, 2) for name, cycles in VELA_CYCLES.items()}
    assert ratios == {"ad": 0.40, "kws": 0.78, "ic": 0.50, "vww": 0.98}


def test_activations_of_the_tiny_networks_stay_on_chip(tiny):
    """Flash delivers the image and the weights, and takes the answer: the rest stays in SRAM or in the buffer."""
    for trace, cost in tiny.values():
        constants = sum(layer.weights.words for layer in trace.layers)
        assert cost.dram_bytes == trace.layers[0].inputs[0].words + constants + trace.layers[-1].output.words
        assert sum(layer.words("l2") for layer in cost.layers) >= cost.dram_bytes
