"""What tile sizes and loop orders cost, and what the mapper compares, by hand on 3 x 2 elements."""

import numpy as np
import pytest

from addersim.errors import HardwareError
from addersim.hardware.dataflow.array_run import Beside, Placement
from addersim.hardware.dataflow.dispatch import layers_on_array
from addersim.hardware.dataflow.layer_on_array import LayersOnArray
from addersim.hardware.dataflow.objective import StageCosts
from addersim.hardware.dataflow.tiling_costs import ORDERS, TileSizes, tiling_costs
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.traffic import Access
from tests.unit.hardware.dataflow.test_systolic_mapper import AWAY, TABLE, machine, run
from tests.unit.hardware.traces import window


def cost_of(dataflow, tile, groups=1, pixels=6, taps=4, filters=2):
    """Six pixels, four taps, two filters: two folds of pixels, one of filters, four taps that stream (output stationary)."""
    layer = window("w", pixels, taps, filters, inputs=pixels * taps * groups, groups=groups)
    (on_array,) = layers_on_array([(layer, AWAY)], machine(dataflow), 1)
    *sizes, stays = tile
    arrays = LayersOnArray.of([on_array]).at(np.array([0]))
    return on_array, tiling_costs(arrays, TileSizes(*(np.array([one]) for one in sizes), np.array([stays])))


def test_nothing_is_fetched_again_where_nothing_moves_inside():
    """Two tiles of pixels, one of filters and of taps: weights and sums stay, whatever the order of the loops."""
    _, cost = cost_of("output", (3, 2, 4, False))
    assert set(cost.words.weight_fills.ravel().tolist()) == {8}
    assert set(cost.words.spilled_sums.ravel().tolist()) == {0}
    assert set(cost.words.input_fills.ravel().tolist()) == {24}


def test_loops_inside_fetch_again():
    """Two tiles of pixels and two of taps: weights come twice where taps run inside pixels, sums leave where pixels do."""
    _, cost = cost_of("output", (3, 2, 2, False))
    for order, weights, spilled in zip(ORDERS, cost.words.weight_fills[:, 0], cost.words.spilled_sums[:, 0], strict=True):
        assert (weights, spilled) == ((16, 0) if order.index(0) < order.index(2) else (8, 12))


def test_every_group_moves_its_own_words():
    _, cost = cost_of("output", (6, 2, 4, False), groups=3)
    assert (cost.words.input_fills[0, 0], cost.words.weight_fills[0, 0], cost.words.spilled_sums[0, 0]) == (72, 24, 0)


@pytest.mark.parametrize(("stays", "cycles"), [(False, 3 * (6 + 2) + 3 * (2 + 2)), (True, (6 + 6) + (2 + 6))])
def test_what_is_stationary_is_loaded_once_where_it_stays(stays, cycles):
    """Weight stationary: a fold of three taps fills 2 x 3 + 2 - 2 = 6 cycles, that of the last tap 2 x 1 + 2 - 2 = 2, since
    it uses
    one row; three tiles of two pixels stream."""
    _, cost = cost_of("weight", (2, 2, 3, stays))
    assert np.unique(cost.folds.cycles).tolist() == [cycles]


@pytest.mark.parametrize(("dataflow", "cycles"), [("output", 2 * (3 + 4)), ("weight", 2 * (4 + 6)), ("input", 6 * (4 + 2))])
@pytest.mark.parametrize("batch", [1, 3])
def test_cycles_of_a_batch(dataflow, cycles, batch):
    """Output: 6 pixels are two folds of 3; weight: 4 taps are two of 2, which fill 2 x 2 + 2 - 2 cycles; input: 4 taps and 6
    pixels are two by three."""
    found = run(window("w", 6, 4, 2, inputs=24), machine(dataflow), batch=batch)
    assert found.cycles == (cycles * batch if dataflow != "weight" else 2 * (4 + 6 * batch))


def test_an_uncut_window_needs_no_capacity_for_sums():
    """Output stationary: sums leave as outputs, so that a memory of two words, less than one sum, is enough."""
    found = run(window("w", 6, 4, 2, inputs=24), machine("output", output=0.005))
    assert all(access.operand != "partial_sum" for access in found.accesses)
    assert {loop.dimension: loop.trips for loop in found.tiling.loops}["window"] == 1


def test_sums_of_several_folds_need_capacity():
    with pytest.raises(
        HardwareError, match=r"buffers\.output of 0\.005 KiB gives tiles 1 words .* holds 1 partial sums of 24"
    ):
        run(window("w", 6, 4, 2, inputs=24), machine("weight", output=0.005))
    assert run(window("w", 6, 3, 2, inputs=18), machine("weight", output=0.005)).cycles == 6 + 6


@pytest.mark.parametrize("leakage", [0.0, 7.0])
def test_what_is_compared(leakage):
    """The first number is the objective; energy, cycles and bits follow; what leaks does so in every cycle."""
    layer, on = window("w", 6, 4, 2, inputs=24), machine("output")
    _, cost = cost_of("output", (6, 2, 4, False))
    index, found = np.array([0]), {}
    for objective in ("energy", "latency", "dram", "energy-delay"):
        costs = StageCosts([(layer, AWAY)], [Beside(leakage_pj=leakage)], on, 1, MovementEnergy(on, TABLE), objective)
        load = costs.load(cost.words, index)
        first, *others = costs.values(load, np.array([[20.0]] * 6), index)
        found[objective], (energy, cycles, bits) = first[0, 0], (np.broadcast_to(one, (6, 1))[0, 0] for one in others)
        assert costs.counts_cycles == (objective in ("latency", "energy-delay") or (objective == "energy" and leakage > 0))
    assert bits == (24 + 8) * 8 + 12 * 24  # inputs and weights of 8 bits, outputs of 24
    assert cycles == 20
    assert energy == pytest.approx(load.energy_pj[0, 0] + 20 * leakage)
    assert found == {"energy": energy, "latency": cycles, "dram": bits, "energy-delay": energy * cycles}


def test_what_is_fused_to_a_layer_shares_its_memories_and_dram():
    """Twelve constants of 16 bits come first, twelve inputs of 8 bits after the sums; a bank serves a word of 16 bits a
    cycle."""
    layer, on = window("w", 6, 4, 2, inputs=24, fused=True), machine("output", banks=1)
    accesses = (Access("dram", "weight", 12, 0, 16), Access("dram", "input", 12, 0, 8), Access("buffer", "output", 0, 100, 16))
    _, cost = cost_of("output", (6, 2, 4, False))
    prices = MovementEnergy(on, TABLE)
    loads = {}
    for name, one in (("alone", Beside()), ("beside", Beside(accesses, vector=40, energy_pj=9.0))):
        costs = StageCosts([(layer, Placement(False, True))], [one], on, 1, prices, "energy")
        loads[name] = costs.load(cost.words, np.array([0]))
        (streams,) = costs.streams(cost.swept, np.array([0]))
    cycle = on.dram_bits_per_cycle
    assert (streams.start[0] * cycle, streams.finished[0] * cycle) == pytest.approx((12 * 16, 12 * 8))
    bits, energies, units = (
        [getattr(loads[name], field).ravel()[0] for name in ("alone", "beside")]
        for field in ("dram_bits", "energy_pj", "units")
    )
    assert bits[1] - bits[0] == 12 * 16 + 12 * 8
    assert energies[1] - energies[0] == pytest.approx(9 + sum(map(prices.energy_pj, accesses)))
    assert (units[0], units[1]) == (24, 100)  # 24 inputs and 24 reads of them, two a word; 100 words of the output memory


@pytest.mark.parametrize("kept", [AWAY, Placement(True, False), Placement(False, True, True)])
def test_lines_of_energy_are_below_it_by_no_more_than_rounding_up(kept):
    """Tiles of any size: memory words of 16 bits hold two operands of 8 and two thirds of a sum of 24."""
    layer, on = window("w", 29, 19, 13, inputs=551), machine("weight")
    costs = StageCosts([(layer, kept)], [Beside(energy_pj=3.0)], on, 1, MovementEnergy(on, TABLE), "energy")
    (on_array,) = layers_on_array([(layer, kept)], on, 1)
    sizes = np.array([(m, n, k) for m in (1, 7, 29) for n in (1, 5, 13) for k in (1, 3, 19)]).T
    words = tiling_costs(on_array, TileSizes(*sizes, np.zeros(sizes.shape[1], bool))).words
    start, slopes, more = costs.lines()
    promised = start[0] + sum(slope * count for slope, count in zip(slopes[0], words, strict=True))
    energy = costs.load(words, np.zeros(sizes.shape[1], int)).energy_pj
    assert (promised <= energy * (1 + 1e-12)).all()
    assert (energy <= promised + more[0] + 1e-9).all()
    assert (energy > promised + 1e-3 * more[0]).any()


def test_costs_of_several_machines_joined_are_those_of_each():
    layer = window("w", 30, 20, 14, inputs=600)
    apart = [
        StageCosts([(layer, kept)], [Beside(energy_pj=3.0)], on, 1, MovementEnergy(on, TABLE), "energy")
        for on in (machine("weight"), machine("weight", banks=2))
        for kept in (AWAY, Placement(True, False))
    ]
    joined, words = StageCosts.joined(apart), cost_of("weight", (3, 2, 4, False))[1].words
    for number, one in enumerate(apart):
        for own, of_all in zip(one.load(words, np.array([0])), joined.load(words, np.array([number])), strict=True):
            assert np.array_equal(own, of_all)
    assert np.unique(joined.transfer_kinds).tolist() == [0, 1]
    assert joined.transfer_kinds[0] == joined.transfer_kinds[2] != joined.transfer_kinds[1]
