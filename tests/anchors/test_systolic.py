"""Cycles and SRAM counts of ResNet-20's 3x3 convolutions as SCALE-Sim 3.0.0 prints them, run layer by layer in CALC mode.

Batch 1, CIFAR images; the two projection shortcuts are not in the list. SCALE-Sim prints the index of the last cycle.
"""

import msgspec
import pytest

from addersim.arithmetic.ops import OpCounts
from addersim.hardware import estimate, load_accelerator, systolic_cycles
from addersim.hardware.dataflow.systolic import fold
from addersim.trace import LayerTrace, MatrixWork, Operand, Trace

# name, how often, (M, K, N), printed cycles at 16 x 16 and 32 x 32: output, weight, input stationary
LAYERS = (
    ("conv1", 1, (1024, 27, 16), (3647, 2139, 7935), (2847, 1117, 3519)),
    ("16->16", 6, (1024, 144, 16), (11135, 9629, 35711), (6591, 5589, 17599)),
    ("16->32 stride 2", 1, (256, 144, 32), (5567, 5435, 11231), (1647, 1749, 5039)),
    ("32->32", 5, (256, 288, 32), (10175, 10871, 22463), (2799, 3149, 9071)),
    ("32->64 stride 2", 1, (64, 288, 64), (5087, 7919, 7919), (1399, 2843, 2843)),
    ("64->64", 5, (64, 576, 64), (9695, 15839, 15839), (2551, 5687, 5687)),
)
SQUARE = load_accelerator("systolic-16x16")
DATAFLOWS = ("output", "weight", "input")
SUMS = {16: (180461, 206817, 432861), 32: (72189, 83423, 190785)}


@pytest.mark.parametrize("side", [16, 32])
@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize(("name", "shape", "at_16", "at_32"), [(row[0], *row[2:]) for row in LAYERS])
def test_cycles_are_those_that_scale_sim_prints_plus_one(name, shape, at_16, at_32, dataflow, side):
    printed = {16: at_16, 32: at_32}[side][DATAFLOWS.index(dataflow)]
    assert systolic_cycles(MatrixWork(*shape), side, side, dataflow) - 1 == printed


@pytest.mark.parametrize("side", [16, 32])
@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_the_19_layers_add_up_to_the_printed_sum(dataflow, side):
    found = sum(count * (systolic_cycles(MatrixWork(*shape), side, side, dataflow) - 1) for _, count, shape, *_ in LAYERS)
    assert sum(count for _, count, *_ in LAYERS) == 19
    assert found == SUMS[side][DATAFLOWS.index(dataflow)]


@pytest.mark.parametrize("side", [16, 32])
@pytest.mark.parametrize("shape", [row[2] for row in LAYERS])
def test_sram_counts_are_those_of_scale_sim_with_the_output_writes_corrected(shape, side):
    m, k, n = shape
    by_filters, by_pixels, by_window = (-(-size // side) for size in (n, m, k))

    def counts(dataflow):
        found = fold(MatrixWork(*shape), side, side, dataflow)
        return found.input_reads, found.weight_reads, found.outputs + found.partial_sums

    # SCALE-Sim writes M N + folds (R + C) words under output stationary (its issue 166); M N words exist.
    assert counts("output") == (m * k * by_filters, k * n * by_pixels, m * n)
    assert counts("weight") == (m * k * by_filters, k * n, m * n * by_window)
    assert counts("input") == (m * k, k * n * by_pixels, m * n * by_window)


def printed(shape, side, dataflow):
    """A layer as the compat mode prints it."""
    array = msgspec.structs.replace(SQUARE.array, rows=side, columns=side, dataflow=dataflow)
    m, k, n = shape
    stored = {"inputs": (Operand(m * k, 8),), "output": Operand(m * n, 24), "weights": Operand(k * n, 8)}
    layer = LayerTrace(
        "conv", "window", OpCounts({("mul", 8): m * k * n}), datapath="mac", operand_bits=8, work=MatrixWork(*shape), **stored
    )
    cost = estimate(Trace("t", "hardware", (layer,)), msgspec.structs.replace(SQUARE, array=array), compat="scalesim")
    assert (cost.compat, cost.energy_pj, cost.prices) == ("scalesim", 0, ())
    return cost.layers[0]


@pytest.mark.parametrize("side", [16, 32])
@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize(("shape", "at_16", "at_32"), [row[2:] for row in LAYERS])
def test_compat_mode_prints_what_scale_sim_prints(shape, at_16, at_32, dataflow, side):
    m, k, n = shape
    found, cycles = printed(shape, side, dataflow), {16: at_16, 32: at_32}[side][DATAFLOWS.index(dataflow)]
    by_filters, by_pixels, by_window = (-(-size // side) for size in (n, m, k))
    held_rows, held_columns = {"output": (m, n), "weight": (k, n), "input": (k, m)}[dataflow]
    folds = -(-held_rows // side) * -(-held_columns // side)
    assert found.cycles == cycles
    assert 100 * found.utilisation == pytest.approx(100 * m * k * n / (cycles * side**2), rel=1e-15)
    assert 100 * found.mapping_efficiency == pytest.approx(100 * held_rows * held_columns / (folds * side**2), rel=1e-15)
    expected = {
        "output": (m * k * by_filters, k * n * by_pixels, m * n + folds * 2 * side),  # its issue 166
        "weight": (m * k * by_filters, k * n, m * n * by_window),
        "input": (m * k, k * n * by_pixels, m * n * by_window),
    }[dataflow]
    assert [(access.operand, access.words, access.bits) for access in found.accesses] == [
        (operand, words, 8) for operand, words in zip(("input", "weight", "output"), expected, strict=True)
    ]


def test_scale_sim_never_reads_partial_sums_back_and_we_do():
    found = fold(MatrixWork(64, 576, 64), 16, 16, "weight")
    assert found.sum_passes == 36
    assert found.partial_sums == 64 * 64 * 35  # written and read back, on chip
