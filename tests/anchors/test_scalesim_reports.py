"""COMPUTE_REPORT rows that SCALE-Sim published with its own topologies, from our reader to our report, digit by digit.

Sources, as stored in SCALE-Sim's public repository (scalesim-project/SCALE-Sim and scale-sim-v2):
topologies/MLperf_tiny/vww.csv on configs/edgeTPU.cfg (4 x 4, weight stationary) with
edgeTPU_experiment_results/edgeTPU_ws/COMPUTE_REPORT.csv; topologies/GEMM_mnk/test_mnk_input.csv on 32 x 32 with
test/general/golden_trace_user_{os,ws,is}/COMPUTE_REPORT.csv, whose stalls are those of its USER bandwidth.
"""

import pytest

from addersim import estimate
from addersim.frontends.scalesim.topology import parse_topology, topology_trace
from addersim.hardware.scalesim import parse_scalesim
from addersim.hardware.scalesim.compute_report import compute_report
from tests.anchors.test_systolic import SUMS

VWW = """Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
Conv2D_1, 96, 96, 3, 3, 3, 8, 2, 2
DepthwiseConv2D_1, 48, 48, 3, 3, 8, 1, 1,
Conv2D_2, 48, 48, 1, 1, 8, 16, 1,
DepthwiseConv2D_2, 48, 48, 3, 3, 16, 1, 2,
Conv2D_3, 24, 24, 1, 1, 16, 32, 1,
DepthwiseConv2D_3, 24, 24, 3, 3, 32, 1, 1,
"""
PRINTED = (  # rows 0 to 5, without the stalls, which are all zero
    (32395, 96.01481710140453, 96.42857142857143, 95.88753930575251),
    (38267, 24.883058509943293, 25.0, 24.8473461719117),
    (18511, 99.5732267300524, 100.0, 99.43892965041002),
    (21095, 24.574543730741883, 25.0, 24.448217317487263),
    (18751, 98.29875739960535, 100.0, 97.79286926994907),
    (35567, 24.49461579554081, 25.0, 24.34607645875252),
)
PRODUCT = "Layer Name, M, N, K,\nTest 1, 256, 128, 256,"
GOLDEN = {  # total cycles, stall cycles, mapping efficiency, compute utilisation
    "os": (52447, 42272, 100.0, 80.50314465408806),
    "ws": (52447, 41248, 100.0, 67.19160104986877),
    "is": (19984, 5777, 100.0, 50.59288537549407),
}


def report(text, rows, columns, dataflow, kib=1536):
    machine = parse_scalesim(
        f"[architecture_presets]\nArrayHeight: {rows}\nArrayWidth: {columns}\nIfmapSramSzkB: {kib}\n"
        f"FilterSramSzkB: {kib}\nOfmapSramSzkB: {kib}\nDataflow: {dataflow}\n",
        "anchor.cfg",
    )
    trace = topology_trace(parse_topology(text, "net", "net.csv"))
    return compute_report(trace, estimate(trace, machine, compat="scalesim"), machine)


RESNET20 = (  # how often, and the line: the input of so many windows, its padding included
    (1, "34, 34, 3, 3, 3, 16, 1"),
    (6, "34, 34, 3, 3, 16, 16, 1"),
    (1, "33, 33, 3, 3, 16, 32, 2"),
    (5, "18, 18, 3, 3, 32, 32, 1"),
    (1, "17, 17, 3, 3, 32, 64, 2"),
    (5, "10, 10, 3, 3, 64, 64, 1"),
)


def test_a_network_on_the_edge_tpu_file():
    found = report(VWW, 4, 4, "ws")
    assert [row[:4] for row in found] == [(place, cycles, cycles, 0) for place, (cycles, *_) in enumerate(PRINTED)]
    for row, (_, *percentages) in zip(found, PRINTED, strict=True):
        assert row[4:] == pytest.approx(percentages, rel=1e-13)


@pytest.mark.parametrize("side", SUMS)
@pytest.mark.parametrize(("place", "dataflow"), [(0, "os"), (1, "ws"), (2, "is")])
def test_resnet20_as_a_topology_has_the_printed_cycles(place, dataflow, side):
    lines = [f"conv{block}_{turn}, {line},\n" for block, (times, line) in enumerate(RESNET20) for turn in range(times)]
    found = report(VWW.splitlines(keepends=True)[0] + "".join(lines), side, side, dataflow)
    assert len(found) == 19
    assert sum(total for _, _, total, *_ in found) == SUMS[side][place]


@pytest.mark.parametrize("dataflow", GOLDEN)
def test_a_matrix_product_in_every_dataflow(dataflow):
    total, stalls, mapping, compute = GOLDEN[dataflow]
    ((_, _, cycles, stalled, _, *percentages),) = report(PRODUCT, 32, 32, dataflow, kib=64)
    assert (cycles, stalled) == (total - stalls, 0)  # with the bandwidth that never stalls
    assert percentages == pytest.approx([mapping, compute], rel=1e-13)
