"""Arrays that skip zero weights: N of each M are stored and computed, in multiplying layers alone."""

import numpy as np
import pytest
from msgspec.structs import replace

from addersim import count, estimate, load_accelerator, quantize
from addersim.errors import AddersimError, ConfigError
from addersim.hardware.load import parse_accelerator
from addersim.layers import Window
from addersim.network import Network
from addersim.trace import Operand
from tests.unit.hardware.traces import fetching_weights
from tests.unit.networks import images

DENSE = fetching_weights(load_accelerator("systolic-16x16"))
RANDOM = np.random.default_rng(0)


def with_array(machine=DENSE, **changes):
    return replace(machine, array=replace(machine.array, **changes))


def network(arithmetic, most, group, filters=24, channels=8, kernel=3, size=10):
    """One window layer on an image; of each group of weights in the order of the sum as many are zero as the pattern wants."""
    taps = kernel * kernel * channels
    weights = RANDOM.uniform(0.5, 1, (filters, -(-taps // group), group))
    weights[:, :, most:] = 0
    rows = weights.reshape(filters, -1)[:, :taps].reshape(filters, kernel, kernel, channels)
    window = Window(
        name="window", inputs=("input",), arithmetic=arithmetic, weights=rows.transpose(0, 3, 1, 2).astype(np.float32)
    )
    return Network(
        name="net", input_shape=(channels, size, size), mean=(0.5,) * channels, std=(0.5,) * channels, layers=(window,)
    )


def trace(net):
    return count(quantize(net, images(net, 4)))


def reads(cost, operand, level="buffer"):
    return sum(one.reads for one in cost.layers[0].accesses if (one.operand, one.level) == (operand, level))


@pytest.mark.parametrize("dataflow", ["output", "weight", "input"])
@pytest.mark.parametrize(("most", "group"), [(2, 4), (1, 2), (1, 4), (2, 8), (3, 4), (5, 16)])
def test_taps_weights_and_cycles_fall_and_inputs_do_not(dataflow, most, group):
    facts = trace(network("mac", most, group))
    dense = estimate(facts, with_array(dataflow=dataflow), objective="dram")
    sparse = estimate(facts, with_array(dataflow=dataflow, sparsity=f"{most}:{group}"), objective="dram")
    kept = 72 // group * most + min(72 % group, most)
    assert sparse.taps == dense.taps * kept // 72
    before, after = (
        sum(part.energy_pj for part in cost.layers[0].parts if part.component == "array") for cost in (dense, sparse)
    )
    assert after == pytest.approx(before * kept / 72)
    assert reads(sparse, "weight", "dram") == 24 * kept
    bits = {one.bits for one in sparse.layers[0].accesses if one.operand == "weight"}
    assert bits == {8 + (group - 1).bit_length()}
    assert sparse.cycles < dense.cycles
    assert reads(sparse, "input", "dram") >= reads(dense, "input", "dram")
    if dataflow == "output":  # 64 pixels on 16 rows, 24 filters on 16 columns
        assert reads(sparse, "input") == reads(dense, "input") == 64 * 72 * 2
        assert sparse.layers[0].compute_cycles - dense.layers[0].compute_cycles == 4 * 2 * (kept - 72)


def test_layers_without_the_pattern_and_other_arithmetics_run_as_they_are():
    for facts in (
        trace(network("l1", 2, 4)),
        trace(network("mac", 3, 4)),
        trace(network("mac", 4, 4)),
        count(quantize(network("ternary", 2, 4), None)),
    ):
        dense, sparse = (estimate(facts, with_array(sparsity=one)) for one in (None, "2:4"))
        assert dense.to_dict() == sparse.to_dict()


def test_what_has_fewer_than_n_and_what_is_left_over_fit_too():
    assert dict(trace(network("mac", 1, 4)).layers[0].nonzero) == {2: 1, 4: 1, 8: 2, 16: 4}
    facts = trace(network("mac", 1, 4, channels=1))  # 9 taps: 1 + 1 + 1 of the last, or 2 + 2 + 1 where two are kept
    found = {one: estimate(facts, with_array(sparsity=one)).taps for one in ("1:4", "2:4", "3:8")}
    assert found == {"1:4": 64 * 24 * 3, "2:4": 64 * 24 * 5, "3:8": 64 * 24 * 4}


def test_the_paper_convention_knows_no_hardware():
    facts = count(quantize(network("mac", 2, 4), images(network("mac", 2, 4), 4)), "paper")
    dense, sparse = (estimate(facts, with_array(sparsity=one)) for one in (None, "2:4"))
    assert dense.energy_pj == sparse.energy_pj


def test_a_tile_has_room_for_all_inputs_of_its_taps():
    """Of 576 taps 288 are kept; those of a tile read up to two words each of every pixel, a byte a word."""
    facts = trace(network("mac", 2, 4, channels=64, size=12))
    machine = with_array(sparsity="2:4")
    found = {}
    for kib in (0.5, 1.0, 64.0):
        buffers = replace(DENSE.buffers, input=replace(DENSE.buffers.input, capacity_kib=kib), keep_activations=False)
        cost = estimate(facts, replace(machine, buffers=buffers), objective="dram")
        found[kib] = cost.layers[0]
        tiles = {loop.dimension: loop.tile for loop in cost.layers[0].tiling.loops}
        assert min(tiles["pixels"] * tiles["window"] * 2, 64 * 144) <= kib * 1024 / 2
    words = [
        sum(one.reads for one in layer.accesses if (one.operand, one.level) == ("input", "dram")) for layer in found.values()
    ]
    assert words[0] >= words[1] > words[2] == 64 * 144


@pytest.mark.parametrize("pattern", ["4:2", "2:5", "0:4", "half", "2:4 "])
def test_other_patterns_are_refused(pattern):
    text = parse_text(pattern)
    with pytest.raises(ConfigError, match="sparsity '.*'; needs N:M with M one of 2, 4, 8, 16 and N from 1 to M - 1, as 2:4"):
        parse_accelerator(text, "own.toml")


def parse_text(pattern):
    from addersim.config import resolve_text

    return resolve_text("systolic-16x16", "accelerators", ".toml", "accelerator")[2].replace(
        "[array]\n", f'[array]\nsparsity = "{pattern}"\n'
    )


def test_a_row_stationary_array_and_scalesim_are_refused():
    rows = load_accelerator("eyeriss-65nm")
    with pytest.raises(ValueError, match="sparsity is for systolic arrays; a row stationary one takes whole rows of weights"):
        replace(rows.array, sparsity="2:4")
    facts = trace(network("mac", 2, 4))
    with pytest.raises(
        AddersimError, match="compat scalesim: accelerator 'systolic-16x16' skips zeros 2:4, which it does not"
    ):
        estimate(facts, with_array(sparsity="2:4"), compat="scalesim")


def test_the_zeros_are_known_where_nothing_is_calibrated_unless_the_weights_are_not_there():
    net = network("mac", 2, 4)
    (window,) = net.layers
    absent = replace(net, layers=(replace(window, weights=np.broadcast_to(np.zeros(1, np.float32), window.weights.shape)),))
    kept = [estimate(count(quantize(one, None)), with_array(sparsity="2:4")).taps for one in (net, absent)]
    assert kept == [64 * 24 * 36, 64 * 24 * 72]


def test_stored_weights_of_a_trace_stay_those_of_the_network():
    assert trace(network("mac", 2, 4)).layers[0].weights == Operand(24 * 72, 8)
