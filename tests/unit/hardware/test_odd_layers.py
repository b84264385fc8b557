"""Layers and machines that an architect may try a cost model with: what holds of every one of them."""

import math
from dataclasses import replace

import pytest
from msgspec.structs import replace as change

from addersim.arithmetic.geometry import Geometry
from addersim.errors import HardwareError
from addersim.hardware import estimate, load_accelerator
from addersim.trace import Trace
from tests.unit.hardware.traces import window

MACHINES = {name: load_accelerator(name) for name in ("systolic-16x16", "edge-unified-32x32", "nvdla-large")}


def convolution(rows, columns, channels, filters, geometry, bits=8):
    """One layer as a trace."""
    outputs, groups = geometry.output_size(rows, columns), geometry.groups
    taps = geometry.kernel[0] * geometry.kernel[1] * channels // groups
    how = {"groups": groups, "bits": bits, "sources": (-1,)}
    layer = window("layer", outputs[0] * outputs[1], taps, filters // groups, rows * columns * channels, **how)
    return Trace("odd", "hardware", (replace(layer, work=replace(layer.work, geometry=geometry, image=(rows, columns))),))


LAYERS = {
    "3x3": convolution(14, 14, 16, 32, Geometry((3, 3), padding=(1, 1))),
    "1x1": convolution(14, 14, 64, 32, Geometry((1, 1))),
    "depthwise": convolution(14, 14, 32, 32, Geometry((3, 3), padding=(1, 1), groups=32)),
    "grouped": convolution(14, 14, 32, 64, Geometry((3, 3), padding=(1, 1), groups=4)),
    "oblong": convolution(7, 29, 16, 24, Geometry((1, 5), padding=(0, 2))),
    "dilated": convolution(20, 20, 8, 16, Geometry((3, 3), padding=(2, 2), dilation=(2, 2))),
    "strided": convolution(21, 21, 8, 16, Geometry((3, 3), stride=(3, 3), padding=(1, 1))),
    "linear": convolution(1, 1, 400, 120, Geometry((1, 1))),
    "one tap": convolution(1, 1, 1, 1, Geometry((1, 1))),
    "16 bits": convolution(9, 9, 8, 8, Geometry((3, 3), padding=(1, 1)), bits=16),
}


@pytest.fixture(params=MACHINES)
def machine(request):
    return MACHINES[request.param]


@pytest.fixture(params=LAYERS)
def trace(request):
    return LAYERS[request.param]


def test_parts_are_all_and_none_is_negative(trace, machine):
    cost = estimate(trace, machine)
    parts = [part.energy_pj for part in cost.layers[0].parts]
    assert cost.energy_pj == sum(parts)
    assert min(parts) >= 0
    assert math.isfinite(cost.energy_pj)
    assert 0 < cost.utilisation <= 1
    assert 8 * cost.dram_bytes >= trace.layers[0].output.size_bits


def test_an_image_of_a_batch_is_never_dearer_than_one_alone(trace, machine):
    alone = estimate(trace, machine)
    for batch in (2, 7, 1000):
        assert estimate(trace, machine, batch=batch).energy_pj / batch <= alone.energy_pj * (1 + 1e-9)


def test_more_bandwidth_or_a_faster_clock_is_never_slower(trace, machine):
    def milliseconds(clock, bandwidth):
        on = change(machine, clock_mhz=clock, dram=change(machine.dram, bandwidth_gb_s=bandwidth))
        return estimate(trace, on, objective="latency").latency_ms

    by_bandwidth = [milliseconds(machine.clock_mhz, one) for one in (1e-3, 1, 1e6)]
    assert by_bandwidth == sorted(by_bandwidth, reverse=True)
    slow, fast = (milliseconds(clock, machine.dram.bandwidth_gb_s) for clock in (10, 2000))
    assert fast <= slow * (1 + 1e-9)


def test_a_second_level_takes_words_from_dram_and_adds_none(trace, machine):
    behind = change(load_accelerator("systolic-16x16").buffers.input, capacity_kib=4096)
    with_it = change(machine, buffers=change(machine.buffers, l2=behind))
    least = [estimate(trace, one, objective="dram").dram_bytes for one in (with_it, machine)]
    assert least[0] <= least[1]


@pytest.mark.parametrize("capacity_kib", [1e-6, 1 / 8192, 0.01])
def test_a_memory_without_room_for_one_tile_is_refused_by_name(capacity_kib):
    small = MACHINES["systolic-16x16"]
    memories = {name: change(one, capacity_kib=capacity_kib) for name, one in small.buffers.memories().items()}
    with pytest.raises(HardwareError, match=r"^layer layer: accelerator 'systolic-16x16': buffers\.input of .* KiB gives"):
        estimate(LAYERS["3x3"], change(small, buffers=change(small.buffers, **memories)))
