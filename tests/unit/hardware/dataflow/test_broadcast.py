"""Arrays of adder trees: the mapper against the walk over every tile loop, and cycles by hand."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as change

from addersim.errors import HardwareError
from addersim.hardware import estimate, load_accelerator
from addersim.hardware.accelerator import BroadcastTrees
from addersim.hardware.dataflow.array_run import Beside, Placement
from addersim.hardware.dataflow.broadcast import tree_steps
from addersim.trace import Trace
from tests.unit.hardware.dataflow.test_systolic_mapper import (
    OBJECTIVES,
    check_that_none_is_better,
    convolution,
    machine,
    run,
)
from tests.unit.hardware.traces import window

TREES = st.builds(
    BroadcastTrees, stripe=st.integers(1, 4), load_cycles=st.integers(1, 4), image_channels=st.sampled_from((0, 2))
)
MACHINES = st.builds(
    machine, st.just("broadcast"), st.integers(1, 3), st.integers(1, 3), unified=st.none() | st.floats(0.02, 0.2),
    double_buffered=st.booleans(), banks=st.none() | st.integers(1, 4), trees=TREES, input=st.floats(0.01, 0.1),
    weight=st.floats(0.01, 0.1), output=st.floats(0.01, 0.1),
)  # fmt: skip
LAYERS = st.one_of(
    st.builds(
        convolution, st.integers(1, 2), st.integers(1, 2), st.integers(0, 1), st.integers(2, 3), st.integers(1, 3),
        st.integers(1, 3), st.integers(1, 2),
    ).filter(lambda layer: layer.work.geometry.padding[0] < layer.work.geometry.kernel[0]),
    st.builds(
        lambda m, k, n, groups: window("w", m, k, n, inputs=m * k * groups, groups=groups),
        st.integers(1, 6), st.integers(1, 5), st.integers(1, 4), st.integers(1, 2),
    ),
)  # fmt: skip


@pytest.mark.parametrize("examples", [20, pytest.param(1000, marks=pytest.mark.slow)])
def test_no_mapping_of_all_is_better(examples):
    @settings(max_examples=examples, deadline=None)
    @given(
        LAYERS, MACHINES, st.sampled_from(OBJECTIVES), st.booleans(), st.sampled_from((0.1, 12.8)), st.sampled_from((0, 30))
    )
    def check(layer, on, objective, kept, bandwidth, leakage):
        on = change(on, dram=change(on.dram, bandwidth_gb_s=bandwidth))
        check_that_none_is_better(layer, on, objective, Placement(kept, False), Beside(energy_pj=50, leakage_pj=leakage))

    check()


def on(rows, columns, **trees):
    large = {"input": 64, "weight": 8192, "output": 64}
    return machine("broadcast", rows, columns, trees=BroadcastTrees(**{"stripe": 32} | trees), **large)


@pytest.mark.parametrize(
    ("rows", "columns", "cycles"),
    [
        (64, 32, 64 * 9),  # all channels of a tap at once, all filters
        (8, 32, 64 * 9 * 3),  # 20 channels in three blocks
        (64, 4, 64 * 9 * 3),  # 10 filters on three times four trees
    ],
)
def test_a_tree_sums_channels_and_takes_taps_one_after_another(rows, columns, cycles):
    assert run(convolution(3, 1, 1, 8, 20, 10), on(rows, columns)).cycles == cycles


def test_taps_of_a_row_lie_side_by_side_where_there_are_few_channels():
    image = convolution(3, 1, 1, 8, 3, 10)
    assert run(image, on(9, 32)).cycles == 64 * 9
    assert run(image, on(9, 32, image_channels=3)).cycles == 64 * 3
    assert run(image, on(8, 32, image_channels=3)).cycles == 64 * 3 * 2
    assert run(convolution(3, 1, 1, 8, 4, 10), on(12, 32, image_channels=3)).cycles == 64 * 9


def test_a_short_stripe_waits_for_the_weights():
    """NVDLA takes 16 cycles a block of weights, so that dense layers use 6.25 % of it."""
    dense = window("fc", 1, 2048, 1000, 2048)
    found = run(dense, on(64, 32, load_cycles=16))
    assert found.cycles == 32 * 32 * 16
    assert run(dense, on(64, 32)).cycles == 32 * 32
    assert run(convolution(1, 1, 0, 5, 64, 32), on(64, 32, load_cycles=16)).cycles == 25
    assert run(convolution(1, 1, 0, 7, 64, 32), on(64, 32, stripe=8, load_cycles=16)).cycles == 7 * 16


def test_weights_are_read_again_for_each_stripe_and_sums_stay():
    layer = convolution(3, 1, 1, 8, 20, 10)
    for stripe, times in ((1, 64), (32, 2), (64, 1)):
        words = {one.operand: one for one in run(layer, on(8, 4, stripe=stripe)).accesses if one.level == "buffer"}
        assert words["weight"].reads == 9 * 20 * 10 * times
        assert words["input"].reads == 64 * 9 * 20 * 3
        assert "partial_sum" not in words


def test_a_depthwise_layer_has_one_product_a_cycle():
    assert run(convolution(3, 1, 1, 8, 1, 1, groups=20), on(64, 32)).cycles == 20 * 64 * 9


def test_filling_is_what_of_the_trees_is_used():
    assert run(convolution(3, 1, 1, 8, 20, 10), on(8, 4)).mapping_efficiency == 20 * 10 / (24 * 12)


@given(st.integers(1, 4), st.integers(1, 30), st.integers(1, 9))
def test_steps_by_counting(taps, channels, rows):
    steps = [0 for _ in range(taps) for _ in range(0, channels, rows)]
    assert tree_steps(taps * channels, taps, rows) == len(steps)


def test_what_describes_systolic_arrays_alone_is_refused():
    trace = Trace("t", "hardware", (window("w", 8, 8, 8, inputs=64),))
    with pytest.raises(HardwareError, match="the array is a broadcast array: systolic folds, and SCALE-Sim's reports"):
        estimate(trace, "nvdla-large", compat="scalesim")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"broadcast": None}, "found the dataflow 'broadcast' without broadcast; the dataflow 'broadcast' and the stripe"),
        ({"dataflow": "output"}, "found the dataflow 'output' with broadcast"),
        ({"overlapped_folds": True}, "overlapped_folds is for systolic arrays; a broadcast one counts no filling"),
        ({"sparsity": "2:4"}, "sparsity is for systolic arrays; a broadcast one gives all trees the same inputs"),
    ],
)
def test_keys_that_do_not_go_together(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        change(load_accelerator("nvdla-large").array, **changes)
