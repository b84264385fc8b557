"""What tile sizes and loop orders cost, and what the mapper compares, by hand on 3 x 2 elements."""

import numpy as np
import pytest

from addersim.errors import HardwareError
from addersim.hardware.dataflow.dispatch import layers_on_array
from addersim.hardware.dataflow.objective import objective_function
from addersim.hardware.dataflow.systolic_mapper import ORDERS, LayerOnArray, TileSizes, tiling_costs
from addersim.hardware.prices.data_movement import MovementEnergy
from tests.unit.hardware.dataflow.test_systolic_mapper import AWAY, TABLE, machine, run
from tests.unit.hardware.traces import window


def cost_of(dataflow, tile, groups=1, pixels=6, taps=4, filters=2):
    """Six pixels, four taps, two filters: two folds of pixels, one of filters, four taps that stream (output stationary)."""
    layer = window("w", pixels, taps, filters, inputs=pixels * taps * groups, groups=groups)
    (on_array,) = layers_on_array([(layer, AWAY)], machine(dataflow), 1)
    *folds, stays = tile
    arrays = LayerOnArray.of_many([on_array], np.array([0]))
    return on_array, tiling_costs(arrays, TileSizes(*(np.array([one]) for one in folds), np.array([stays])))


def test_nothing_is_fetched_again_where_nothing_moves_inside():
    """Two tiles of pixels, one of filters and of taps: weights and sums stay, whatever the order of the loops."""
    on_array, cost = cost_of("output", (1, 1, 4, False))
    assert on_array.folds == (2, 1, 4)
    assert set(cost.weight_fills.ravel().tolist()) == {8}
    assert set(cost.spilled_sums.ravel().tolist()) == {0}
    assert set(cost.input_fills.ravel().tolist()) == {24}


def test_loops_inside_fetch_again():
    """Two tiles of pixels and two of taps: weights come twice where taps run inside pixels, sums leave where pixels do."""
    _, cost = cost_of("output", (1, 1, 2, False))
    for order, weights, spilled in zip(ORDERS, cost.weight_fills[:, 0], cost.spilled_sums[:, 0], strict=True):
        assert (weights, spilled) == ((16, 0) if order.index(0) < order.index(2) else (8, 12))


def test_every_group_moves_its_own_words():
    _, cost = cost_of("output", (2, 1, 4, False), groups=3)
    assert (cost.input_fills[0, 0], cost.weight_fills[0, 0], cost.spilled_sums[0, 0]) == (72, 24, 0)


@pytest.mark.parametrize(("stays", "cycles"), [(False, 2 * (3 * 6 + 6)), (True, 2 * (6 + 6))])
def test_what_is_stationary_is_loaded_once_where_it_stays(stays, cycles):
    """Weight stationary: two folds of taps, each fills 2 x 3 + 2 - 2 = 6 cycles, three tiles of the six pixels stream."""
    _, cost = cost_of("weight", (2, 1, 1, stays))
    assert np.unique(cost.folds.cycles).tolist() == [cycles]


@pytest.mark.parametrize(("dataflow", "cycles"), [("output", 2 * (3 + 4)), ("weight", 2 * (6 + 6)), ("input", 6 * (6 + 2))])
@pytest.mark.parametrize("batch", [1, 3])
def test_cycles_of_a_batch(dataflow, cycles, batch):
    """Output: 6 pixels are two folds; weight: 4 taps are two; input: 4 taps and 6 pixels are two by three."""
    found = run(window("w", 6, 4, 2, inputs=24), machine(dataflow), batch=batch)
    assert found.cycles == (cycles * batch if dataflow != "weight" else 2 * (6 + 6 * batch))


def test_an_uncut_window_needs_no_capacity_for_sums():
    """Output stationary: sums leave as outputs, so that a memory of two words, less than one sum, is enough."""
    found = run(window("w", 6, 4, 2, inputs=24), machine("output", output=0.005))
    assert all(access.operand != "partial_sum" for access in found.accesses)
    assert {loop.dimension: (loop.trips, loop.tile) for loop in found.tiling.loops} == {
        "pixels": (1, 6), "filters": (1, 2), "window": (1, 4),
    }  # fmt: skip


def test_sums_of_several_folds_need_capacity():
    with pytest.raises(
        HardwareError, match=r"buffers\.output of 0\.005 KiB gives tiles 1 words .* holds 2 partial sums of 24"
    ):
        run(window("w", 6, 4, 2, inputs=24), machine("weight", output=0.005))
    assert run(window("w", 6, 3, 2, inputs=18), machine("weight", output=0.005)).cycles == 6 + 6


@pytest.mark.parametrize("overlapped", [True, False])
def test_what_is_compared(overlapped):
    """The first number is the objective; energy, cycles and bits follow. Transfers that do not overlap come on top."""
    layer, on = window("w", 6, 4, 2, inputs=24), machine("output", double_buffered=overlapped)
    _, cost = cost_of("output", (2, 1, 4, False))
    index, found = np.array([0]), {}
    for objective in ("energy", "latency", "dram", "energy-delay"):
        first, *others = objective_function([(layer, AWAY)], on, 1, MovementEnergy(on, TABLE), objective)(cost, index)
        found[objective], (energy, cycles, bits) = first[0, 0], (np.broadcast_to(one, (6, 1))[0, 0] for one in others)
    assert bits == (24 + 8) * 8 + 12 * 24  # inputs and weights of 8 bits, outputs of 24
    compute, dram = 2 * (3 + 4), bits / on.dram_bits_per_cycle
    assert cycles == pytest.approx(max(compute, dram) if overlapped else compute + dram)
    assert found == {"energy": energy, "latency": cycles, "dram": bits, "energy-delay": energy * cycles}
