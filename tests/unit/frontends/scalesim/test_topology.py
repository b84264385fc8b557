"""SCALE-Sim's files: topologies become traces, configurations accelerators, costs its report; what is wrong is named."""

import json

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from addersim import AddersimError, Quantization, count, estimate, load_accelerator, quantize
from addersim.errors import AddersimWarning, ConfigError, HardwareError, NetworkError
from addersim.frontends.scalesim.topology import load_topology, parse_topology, topology_trace
from addersim.hardware.scalesim import parse_scalesim
from addersim.hardware.scalesim.compute_report import compute_report
from addersim.layers import Move, Relu, Window
from addersim.network import Network
from addersim.quantization import LayerBits
from tests.command_line import call, refused
from tests.unit.cli.test_cli import document, run

HEADER = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
CONFIGURATION = """[general]
run_name = "small"
[architecture_presets]
ArrayHeight:    8
ArrayWidth:     16
ifmapsramszkB:  64
FilterSramSzkB: 32
OfmapSramSzkB:  16
IfmapOffset:    0
Bandwidth : 10, 10, 10
Dataflow : ws
[sparsity]
SparsitySupport : false
[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
"""


def topology(text):
    return parse_topology(text, "net", "net.csv")


def product(work):
    """What the systolic literature calls M, K, N, and the number of such products."""
    return work.pixels, work.window, work.filters, work.groups


def work_of(line, header=HEADER):
    (layer,) = topology(header + line).layers
    return product(layer.work)


def test_a_file_in_the_style_that_its_users_write():
    text = (
        HEADER
        + "\nConv1     ,224  ,224  ,11 ,11 ,3 ,96 ,4 ,\r\n"
        + "Conv2_dw, 27, 27, 5, 5, 1, 1, 1,#dw\n"
        + "\tConv3,28,28,1,1,256,256,1\n"  # no comma at the end
        + "Conv3, 96, 96, 3, 3, 3, 8, 2, 2\n"  # a second name, and a number behind the last comma
        + ",1,1,1,1,4,2,1, \n\n \n"
    )
    found = topology(text)
    assert [layer.name for layer in found.layers] == ["Conv1", "Conv2_dw", "Conv3", "Conv3.2", "layer4"]
    assert product(found.layers[0].work) == (55 * 55, 363, 96, 1)  # 54.25 windows a side, rounded up
    assert found.layers[0].input_words == 224 * 224 * 3
    assert product(found.layers[3].work) == (48 * 48, 27, 8, 1)
    assert found.layers[0].work.image == (227, 227)  # what 55 windows of 11 pixels reach at stride 4


@pytest.mark.parametrize("end", ["\r", "\r\n"])
def test_lines_end_as_any_spreadsheet_ends_them(end):
    text = HEADER + "\na,9,9,3,3,2,4,1,\n"
    assert topology(text.replace("\n", end)) == topology(text)
    with pytest.raises(ConfigError, match=r"line 3: column 'Channels'"):
        topology((HEADER + "\na,9,9,3,3,x,4,1,\n").replace("\n", end))


def test_names_hold_no_control_characters():
    (layer,) = topology(HEADER + "a\x1b[2J,9,9,3,3,2,4,1,\n").layers
    assert layer.name == "a\\x1b[2J"


def test_headers_that_exist():
    wide = HEADER.replace("Strides", "Stride Height,Stride Width,Batch Size")
    assert work_of("a,9,9,3,3,2,4,2,3,1,\n", wide) == (4 * 3, 18, 4, 1)
    assert work_of("a,9,9,3,3,2,4,2,NPU\n", HEADER.strip() + ", Target\n") == (16, 18, 4, 1)
    assert work_of("a,9,9,3,3,2,4,2,1:1,\n", HEADER.strip() + " Sparsity,\n") == (16, 18, 4, 1)
    for header in ("Layer,M,N,K\n", "Layer Name, M, N, K,\n", "\ufeffLayer,M,N,K,\n".lstrip("\ufeff")):
        assert work_of("Q, 5, 7, 9,\n", header) == (5, 9, 7, 1)


@pytest.mark.parametrize(
    ("header", "line", "found", "warning"),
    [
        (
            HEADER.replace("IFMAP Height", "IFMAP Width"),
            "a,20,30,3,5,4,8,1,\n",
            (18 * 26, 60, 8, 1),
            "column 2 is called 'IFMAP Width' and read as 'IFMAP Height': columns count by their place, as in SCALE-Sim",
        ),
        ("Layer, M, K, N\n", "a,5,7,9,\n", (5, 9, 7, 1), r"column 3 is called 'K' and read as 'N' \(and 1 more\): columns"),
        ("Layer, M, N\n", "a,5,7,9,\n", (5, 9, 7, 1), "column 4 is called '' and read as 'K'"),
        (
            HEADER.replace(" Channels,", ""),
            "a,9,9,3,3,2,4,1,\n",
            (49, 18, 4, 1),
            r"column 6 .* read as 'Channels' \(and 2 more\)",
        ),
        ("Layer, H, W, R, S, C, F, s\n", "a,9,9,3,3,2,4,1,\n", (49, 18, 4, 1), r"column 2 is called 'H' .* \(and 6 more\)"),
    ],
)
def test_columns_count_by_their_place_and_other_names_are_told(header, line, found, warning):
    with pytest.warns(AddersimWarning, match=rf"net.csv: line 1: {warning}"):
        assert work_of(line, header) == found


def test_names_that_say_the_same_are_not_told():
    for header in (HEADER.upper(), HEADER.replace("Layer name", "Conv layer"), HEADER.replace("Num Filter", "num filters")):
        assert work_of("a,9,9,3,3,2,4,1,\n", header) == (49, 18, 4, 1)


def test_a_depthwise_layer_has_a_report_row_a_channel_as_scale_sim_prints_them():
    """Six channels of 64 x 9 x 1 on 8 x 8: eight folds of 8 + 8 + 9 - 2 cycles, printed less one."""
    text = "[architecture_presets]\nArrayHeight: 8\nArrayWidth: 8\nIfmapSramSzkB: 64\nFilterSramSzkB: 64\nOfmapSramSzkB: 64\n"
    machine = parse_scalesim(text + "Dataflow: os\n", "a.cfg")
    trace = topology_trace(topology(HEADER + "a,10,10,3,3,6,4,1,\nDP1, 10, 10, 3, 3, 6, 1, 1,\n"))
    rows = compute_report(trace, estimate(trace, machine, compat="scalesim"), machine)
    assert [row[0] for row in rows] == [*range(7)]
    assert [row[1:4] for row in rows[1:]] == [(183, 183, 0)] * 6
    assert rows[1][4] == pytest.approx(100 * 64 * 9 / (183 * 64))
    cost = estimate(trace, machine, compat="scalesim")
    assert cost.layers[1].cycles == 6 * 183
    own = estimate(trace, machine)
    rows = compute_report(trace, own, machine)
    assert sum(row[2] + 1 for row in rows[1:]) == own.layers[1].cycles
    assert sum(row[3] for row in rows[1:]) == own.layers[1].cycles - own.layers[1].compute_cycles


def test_depthwise_layers_run_channel_by_channel():
    assert work_of("DP1, 10, 10, 3, 3, 6, 1, 1,\n") == (64, 9, 1, 6)
    (layer,) = topology(HEADER + "DP1, 10, 10, 3, 3, 6, 1, 1,\n").layers
    assert (layer.work.geometry.groups, layer.input_words) == (6, 600)


UNCLIPPED = [
    # datapath, clipped, operand bits, accumulator bits of 27 taps
    ("l1-2a", True, 8, 14),  # 27 x 255 = 6885
    ("l1-2a", False, 9, 15),  # weights of -128..127 beside inputs of 0..255: 27 x 383 = 10,341
    ("l2", True, 9, 23),  # cannot be clipped exactly: 27 x 383^2 = 3,960,603
    ("l2", False, 9, 23),
    ("mac", True, 8, 21),  # 27 x 255 x 128 = 881,280
    ("mac", False, 8, 21),
]


@pytest.mark.parametrize(("datapath", "clipped", "operand_bits", "accumulator_bits"), UNCLIPPED)
def test_weights_are_signed_where_nothing_clips_them(datapath, clipped, operand_bits, accumulator_bits):
    rules = Quantization(clip_weights=clipped)
    (layer,) = topology_trace(topology(HEADER + "a,9,9,3,3,3,4,1,\n"), datapath, rules).layers
    assert (layer.operand_bits, layer.accumulator_bits) == (operand_bits, accumulator_bits)


def test_a_report_of_a_batch_has_all_its_pixels():
    """7 x 7 pixels of 3 images are 147: ten folds of 16 rows, each with 4 of 16 columns filled and 27 + 30 cycles."""
    trace, machine = topology_trace(topology(HEADER + "a,9,9,3,3,3,4,1,\n")), load_accelerator("systolic-16x16")
    cost = estimate(trace, machine, batch=3)
    ((number, _, total, stalls, overall, mapping, compute),) = compute_report(trace, cost, machine)
    assert (number, total, stalls) == (0, cost.layers[0].cycles - 1, cost.layers[0].cycles - cost.layers[0].compute_cycles)
    assert mapping == pytest.approx(100 * 147 * 4 / (10 * 16 * 16))
    assert compute == pytest.approx(mapping * 27 / 57)
    assert overall == pytest.approx(100 * 147 * 27 * 4 / (total * 256))


def test_a_report_of_a_weight_stationary_array():
    """27 taps in two folds of 16 rows; SCALE-Sim counts C - 1 cycles a fold more here than in its total: 32 + 32 + 49 - 3."""
    trace = topology_trace(topology(HEADER + "a,9,9,3,3,3,4,1,\n"))
    machine = load_accelerator("systolic-16x16")
    machine = msgspec.structs.replace(machine, array=msgspec.structs.replace(machine.array, dataflow="weight"))
    ((_, _, total, _, _, mapping, compute),) = compute_report(trace, estimate(trace, machine, compat="scalesim"), machine)
    assert mapping == pytest.approx(100 * 27 * 4 / (2 * 16 * 16))
    assert compute == pytest.approx(mapping * 49 / 110)
    assert total == 2 * (32 + 16 + 49 - 2) - 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"net.csv: empty; expected SCALE-Sim's columns Layer name, IFMAP Height"),
        (
            HEADER.replace(",", ";") + "a;9;9;3;3;2;4;1;\n",
            r"line 1: found semicolons between columns; SCALE-Sim's topologies have",
        ),
        (HEADER, r"net.csv: no layers below the line of column names"),
        ("a,9,9,3,3,2,4,1,\n" * 2, r"line 1: found 'a, 9, 9, 3, 3, 2, 4, 1, ', which names no columns; SCALE-Sim skips the"),
        ("1, 5, 7, 9\n", r"line 1: found '1, 5, 7, 9', which names no columns"),
        (HEADER + "a,9,9,3,3,2,4\n", r"net.csv: line 2: column 'Strides' is missing; found 7 fields"),
        (HEADER + "# the stem\n", r"line 2: column 'IFMAP Height' is missing; found 1 fields; commas separate fields"),
        (HEADER + "a;9;9;3;3;2;4;1\n", r"found 1 fields; commas separate fields, and comments stand behind the last one$"),
        (HEADER + "\na,9,9,3,3,,4,1,\n", r"net.csv: line 3: column 'Channels' is missing"),
        (HEADER + "a,9,9,3,3,x2,4,1,\n", r"line 2: column 'Channels': found 'x2', needs a whole number in 1\.\.1,048,576"),
        (HEADER + "a,9,9,3,3,2,4,0,\n", r"line 2: column 'Strides': found 0, needs a whole number"),
        (HEADER + "a,9,9,3,3,2,4,-1,\n", r"line 2: column 'Strides': found -1, needs a whole number"),
        (HEADER + f"a,9,9,3,3,2,{9 * '9'}9,1,\n", r"line 2: column 'Num Filter': found 9999999999, needs a whole number"),
        (HEADER + "a,9,9,3,3,2,4٤,1,\n", r"column 'Num Filter': found '4٤', needs a whole number"),
        (HEADER + "big,3,9,5,3,2,4,1,\n", r"line 2: layer big: a filter of height 5 is larger than the IFMAP's height 3"),
        (HEADER + "big,9,3,3,5,2,4,1,\n", r"a filter of width 5 is larger than the IFMAP's width 3"),
        (HEADER + "a,9000,9000,9000,9000,2,4,1,\n", r"line 2: 162,000,000 taps an output; at most 16,777,216"),
        (HEADER + "a,9,9,3,3,2,4,1,2:4,\n", r"line 2: sparsity 2:4 is not supported; only dense layers"),
        (HEADER.strip() + " Batch Size,\na,9,9,3,3,2,4,1,8,\n", r"line 2: batch size '8'; only 1, give a batch as an option"),
        (HEADER + "a,1,1,1,1,1,1,1,\n" * 10_001, r"net.csv: 10,001 layers; at most 10,000 are read"),
    ],
)
def test_wrong_topologies_are_told_in_one_line(text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        topology(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("datapath", ["mac", "l1-2a", "l1-xor"])
@pytest.mark.parametrize("convention", ["hardware", "paper"])
def test_a_topology_bills_as_the_network_of_the_same_shape(datapath, convention):
    """A window of a network, on unsigned inputs with signed weights, and the same window as a line of a file."""
    arithmetic, _, circuit = datapath.partition("-")
    weights = np.full((4, 3, 3, 3), -1, np.float32)
    layers = (
        Relu(name="r", inputs=("input",)),
        Window(name="a", inputs=("r",), arithmetic=arithmetic, weights=weights),
        Move(name="f", inputs=("a",)),
    )
    network = Network(name="n", input_shape=(3, 9, 9), mean=(0,) * 3, std=(1,) * 3, layers=layers)
    rules = Quantization(weight_bits=6, activation_bits=5, **({"circuit": circuit} if circuit else {}))
    expected = next(one for one in count(quantize(network, None, rules), convention).layers if one.name == "a")
    found = topology_trace(topology(HEADER + "a,9,9,3,3,3,4,1,\n"), datapath, rules, convention).layers[0]
    assert found.operations == expected.operations
    assert (found.weights, found.work, found.inputs) == (expected.weights, expected.work, expected.inputs)
    assert found.accumulator_bits == expected.accumulator_bits


def test_rules_by_layer_and_names_that_do_not_exist():
    two = topology(HEADER + "a,9,9,3,3,3,4,1,\nb,9,9,3,3,3,4,1,\n")
    trace = topology_trace(two, rules=Quantization(layers={"b": LayerBits(weight_bits=4, activation_bits=3)}))
    assert [layer.weights.bits for layer in trace.layers] == [8, 4]
    assert [layer.inputs[0].bits for layer in trace.layers] == [8, 3]
    with pytest.raises(ConfigError, match=r"layers\.c: no such layer; known: a, b"):
        topology_trace(two, rules=Quantization(layers={"c": LayerBits()}))
    with pytest.raises(AddersimError, match="unknown datapath 'adder'"):
        topology_trace(two, "adder")


def test_a_configuration_becomes_an_accelerator():
    found = parse_scalesim(CONFIGURATION, "scale.cfg")
    assert (found.name, found.array.rows, found.array.columns, found.array.dataflow) == ("small", 8, 16, "weight")
    sizes = [one.capacity_kib for one in (found.buffers.input, found.buffers.weight, found.buffers.output)]
    assert sizes == [64, 32, 16]
    user = parse_scalesim(CONFIGURATION.replace("CALC", "USER"), "scale.cfg")
    assert user.dram_bits_per_cycle == 3 * 10 * 8  # three interfaces of ten bytes a cycle


def test_a_bandwidth_is_read_only_where_scale_sim_reads_it():
    for found in ("0", "0, 0, 0", "fast"):
        ignored = CONFIGURATION.replace("10, 10, 10", found)
        assert parse_scalesim(ignored, "scale.cfg") == parse_scalesim(CONFIGURATION, "scale.cfg")
        with pytest.raises(ConfigError, match=rf"Bandwidth: found '?{found[:1]}\w*'?, needs a whole number in 1\.\.100,000"):
            parse_scalesim(ignored.replace("CALC", "USER"), "scale.cfg")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "[architecture_presets]",
            "[architecture]",
            r"scale.cfg: section \[architecture_presets\] is missing; found: general",
        ),
        ("ArrayHeight:    8", "", r"scale.cfg: \[architecture_presets\] ArrayHeight is missing"),
        ("ArrayHeight:    8", "ArrayHeight: eight", r"ArrayHeight: found 'eight', needs a whole number in 1\.\.65,536"),
        ("ArrayHeight:    8", "ArrayHeight: 0", r"ArrayHeight: found 0, needs a whole number in 1\.\.65,536"),
        ("FilterSramSzkB: 32", "", r"FilterSramSzkB is missing"),
        ("Dataflow : ws", "Dataflow : rs", r"Dataflow: 'rs' is not one of os, ws, is"),
        ("CALC", "AUTO", r"\[run_presets\] InterfaceBandwidth: 'AUTO' is neither CALC nor USER"),
        (
            "CALC",
            "USER\nx=1\n[architecture_presets]",
            r"^scale.cfg: not a configuration file of SCALE-Sim: line \d+: sect.* stands there twice; put",
        ),
        (
            "ArrayHeight:    8",
            "ArrayHeight: 8\nArrayHeight: 9",
            r"line \d+: key 'ArrayHeight' of \[architecture_presets\] stands there twice; keep one$",
        ),
        ("ArrayHeight:    8", "eight by eight", r"line \d+ is 'eight by eight', neither a \[section\] nor key = value$"),
        ("SparsitySupport : false", "SparsitySupport : true", r"\[sparsity\] SparsitySupport: 'true' is not supported"),
        ("UseRamulatorTrace: False", "UseRamulatorTrace: True", r"UseRamulatorTrace: 'True' is not supported; only False"),
        (
            "[general]",
            "",
            r"line \d+ is 'run_name.*', before any section; put a line \[architecture_presets\] above its keys$",
        ),
    ],
)
def test_wrong_configurations_are_told_in_one_line(old, new, message):
    with pytest.raises(ConfigError, match=message) as caught:
        parse_scalesim(CONFIGURATION.replace(old, new, 1), "scale.cfg")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("IfmapOffset:", "WordSize: 4\nNumPE: 4\nIfmapOffset:", r"\[architecture_presets\] WordSize, NumPE, which SCALE-Sim"),
        (
            "InterfaceBandwidth",
            "InterfaceBandwith",
            r"scale.cfg: \[run_presets\] InterfaceBandwith, which SCALE-Sim 2 and 3 do",
        ),
        ("[sparsity]", "[gpu]\nTensorCores = 8\n[sparsity]", r"\[gpu\] TensorCores, which"),
        ("[sparsity]", "[energy]\n[sparsity]", r"scale.cfg: \[energy\], which"),
    ],
)
def test_keys_that_scale_sim_does_not_have_are_told(old, new, told):
    with pytest.warns(AddersimWarning, match=told) as caught:
        found = parse_scalesim(CONFIGURATION.replace(old, new, 1), "scale.cfg")
    assert (found.array.rows, found.array.columns) == (8, 16)
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)


def test_keys_of_all_versions_are_known():
    """Those of the files that SCALE-Sim ships (configs/scale.cfg, google.cfg, edgeTPU.cfg), in any letters."""
    more = "MEMORYBANKS: 1\nReadRequestBuffer: 32\nWriteRequestBuffer: 32\nIfmapOffset:"
    layout = "[layout]\nIfmapCustomLayout: False\nFilterSRAMBankNum: 10\nFilterSRAMBankPort: 2\nIfmapSRAMBankBandwidth: 10\n"
    sparse = "SparseRep : ellpack_block\nOptimizedMapping : false\nBlockSize : 8\nRandomNumberGeneratorSeed : 40\n"
    text = CONFIGURATION.replace("IfmapOffset:", more).replace("[sparsity]\n", f"{layout}[sparsity]\n{sparse}")
    assert parse_scalesim(text, "scale.cfg") == parse_scalesim(CONFIGURATION, "scale.cfg")


def test_the_command_line_tells_warnings_once_and_errors_alone(tmp_path):
    (tmp_path / "net.csv").write_text(HEADER.replace("Height", "Width", 1) + "a,34,34,3,3,3,16,1,\n")
    (tmp_path / "scale.cfg").write_text(CONFIGURATION.replace("IfmapOffset", "WordSize"))
    command = ("estimate", tmp_path / "net.csv", "--accelerator", tmp_path / "scale.cfg")
    found = call(*command, "--json")
    assert found.returncode == 0, found.stderr
    lines = found.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("addersim: warning: ") for line in lines)
    assert "WordSize" in lines[1]
    assert json.loads(found.stdout)["network"] == "net"
    assert refused(*command, "--table", "none").startswith("energy table 'none': neither")


def test_a_convention_without_a_bill_is_refused():
    with pytest.raises(NetworkError, match="convention: 'thop' is not one of hardware, paper"):
        topology_trace(topology(HEADER + "a,9,9,3,3,3,4,1,\n"), convention="thop")


def test_a_report_needs_scale_sims_world():
    trace = topology_trace(topology(HEADER + "a,9,9,3,3,3,4,1,\n"))
    machine = load_accelerator("systolic-16x16")
    cost = estimate(trace, machine)
    with pytest.raises(HardwareError, match="its layers are not those of trace net"):
        compute_report(topology_trace(topology(HEADER + "b,9,9,3,3,3,4,1,\n")), cost, machine)
    paper = topology_trace(topology(HEADER + "a,9,9,3,3,3,4,1,\n"), convention="paper")
    with pytest.raises(HardwareError, match="cost of net: the paper convention has no cycles"):
        compute_report(paper, estimate(paper, machine), machine)
    rows = load_accelerator("eyeriss-65nm")
    with pytest.raises(HardwareError, match="the array is row stationary"):
        compute_report(trace, estimate(trace, rows, "eyeriss-65nm"), rows)


def test_the_command_line_takes_both_files_and_writes_both_tables(tmp_path):
    (tmp_path / "net.csv").write_text(HEADER + "a,34,34,3,3,3,16,1,\nb,34,34,3,3,16,16,1,\n")
    (tmp_path / "scale.cfg").write_text(CONFIGURATION)
    net, tables = tmp_path / "net.csv", (tmp_path / "layers.csv", tmp_path / "COMPUTE_REPORT.csv")
    counted = document("count", net, "--datapath", "l1-2a")
    assert counted["taps_by_datapath"] == {"l1-2a": 1024 * 27 * 16 + 1024 * 144 * 16}
    priced = document(
        "estimate", net, "--accelerator", tmp_path / "scale.cfg", "--csv", tables[0], "--compute-report", tables[1]
    )
    lines = tables[0].read_text().splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    assert [row["layer"] for row in rows] == ["a", "b"]
    assert sum(float(row["energy_pj"]) for row in rows) == priced["energy_pj"]["total"]
    for row in rows:
        parts = sum(float(row[f"{name}_pj"]) for name in ("array", "vector", "buffer", "dram"))
        assert parts == float(row["energy_pj"])
    report = tables[1].read_text().splitlines()
    columns = "Total Cycles (incl. prefetch), Total Cycles, Stall Cycles, Overall Util %, Mapping Efficiency %, Compute Util %"
    assert report[0] == f"LayerID, {columns},"
    assert [line.split(", ")[0] for line in report[1:]] == ["0", "1"]
    assert load_topology(net).name == "net"
    assert json.loads(run("check", tmp_path / "scale.cfg", "--json")[1])[0]["name"] == "small"


def test_the_command_line_refuses_what_does_not_go_together(tmp_path):
    (tmp_path / "net.csv").write_text(HEADER + "a,34,34,3,3,3,16,1,\n")
    two = refused("count", tmp_path / "net.csv", "--datapath", "2a,mac")
    assert two == "--datapath: found l1-2a, mac; a SCALE-Sim topology takes one for all its layers"
    assert document("count", tmp_path / "net.csv", "--circuit", "2a") == document(
        "count", tmp_path / "net.csv", "--datapath", "l1-2a"
    )
    assert document("count", "lenet5-conv", "--datapath", "mac") == document("count", "lenet5-conv")
    assert "nett.csv: cannot be read: No such file or directory; did you mean " in refused("count", tmp_path / "nett.csv")
    (tmp_path / "scale.cfg").write_text(CONFIGURATION.replace("8", "no", 1))
    bad = refused("estimate", tmp_path / "net.csv", "--accelerator", tmp_path / "scale.cfg", "--csv", tmp_path / "out.csv")
    assert "ArrayHeight: found 'no', needs a whole number" in bad
    assert not (tmp_path / "out.csv").exists()


PIECES = st.sampled_from(
    ["Layer name", "IFMAP Height", "M", "N", "K", "Strides", "DP", "1", "9", "34", "-1", "1:2", "x", "٣", ""]
)
LINES = st.lists(st.one_of(PIECES, st.text(max_size=6)), max_size=12).map(",".join)


@pytest.mark.filterwarnings("ignore::addersim.errors.AddersimWarning")
@settings(max_examples=150, deadline=None)
@given(st.lists(LINES, max_size=6).map("\n".join), st.booleans())
@example("a,1,1,1,1,1,1,1\x0c", True)
def test_garbled_topologies_give_layers_or_one_line(text, header):
    try:
        found = topology(HEADER + text if header else text)
        topology_trace(found)
    except AddersimError as error:
        assert "\n" not in str(error)


@pytest.mark.filterwarnings("ignore::addersim.errors.AddersimWarning")
@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(CONFIGURATION)), st.integers(0, 30), st.one_of(st.text(max_size=20), st.just("%(x)s"), st.just("[")))
def test_garbled_configurations_give_an_accelerator_or_one_line(place, length, text):
    try:
        parse_scalesim(CONFIGURATION[:place] + text + CONFIGURATION[place + length :], "scale.cfg")
    except AddersimError as error:
        assert "\n" not in str(error)
