"""Golden vectors: their words are the simulator's, their test bench passes, and a module of one's own is judged by them."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from addersim import load_images, load_network, quantize
from addersim.arithmetic.datapaths import datapath
from addersim.errors import NetworkError
from addersim.golden.files import WORD_FILES, write_vectors
from addersim.golden.vectors import layer_vectors
from addersim.golden.verify import verify_element
from addersim.kernels import reference
from addersim.rtl.elements import signed
from addersim.rtl.sources import sources_text, verilog_files
from addersim.rtl.tools import RtlError, yosys_candidates
from tests.command_line import call, refused

with_yosys = pytest.mark.skipif(
    not any(one.headers for one in yosys_candidates()), reason="no yosys with the headers of its CXXRTL runtime"
)
CONV = ("--network", "lenet5-conv", "--data", "fashion-mnist-2000")
GOOD = """module my_pe #(parameter ACCUMULATOR_BITS = 24) (
  input clk, input clear, input signed [7:0] input_code, input signed [7:0] weight_code,
  output reg signed [ACCUMULATOR_BITS-1:0] sum);
  reg signed [7:0] x, w;
  reg first;
  always @(posedge clk) begin
    x <= input_code;
    w <= weight_code;
    first <= clear;
    sum <= (first ? 0 : sum) + x * w;
  end
endmodule
"""


@pytest.fixture(scope="module")
def programs():
    images = load_images("fashion-mnist-2000", limit=50).pixels
    return {name: (quantize(load_network(name), images), images) for name in ("lenet5-adder", "lenet5-conv")}


@pytest.fixture(scope="module")
def conv1(programs):
    """Signed inputs, padding."""
    program, images = programs["lenet5-conv"]
    return layer_vectors(program, "conv1", images)


def numbers(words, bits, is_signed):
    return signed(words.astype(np.uint64), bits) if is_signed else words


@pytest.mark.parametrize("name", ["lenet5-adder", "lenet5-conv"])
@pytest.mark.parametrize("layer", ["conv1", "conv2", "fc2"])
def test_words_are_those_of_the_simulator(programs, name, layer):
    """The taps of each sum, read as their widths and signs say, add up to it, and the codes are the next layer's."""
    program, images = programs[name]
    vectors = layer_vectors(program, layer, images)
    element = vectors.element
    x, w = vectors.taps(np.arange(vectors.sums.size))
    x, w = numbers(x, element.input_bits, element.input_signed), numbers(w, element.weight_bits, element.weight_signed)
    term = datapath(vectors.facts["datapath"]).arithmetic.term
    assert np.array_equal(term(x, w).sum(axis=1), vectors.sums.reshape(-1))
    values = {name: run.values for name, run in program.runs(images[:1], reference)}
    assert np.array_equal(vectors.codes.reshape(-1), values[f"{layer}_bn"].reshape(-1))


def test_taps_in_groups_read_their_own_channels():
    """Of a sum in the second group."""
    from dataclasses import replace

    from addersim.arithmetic.geometry import Geometry
    from addersim.rtl.elements import Element
    from addersim.rtl.shapes import LayerShape

    random = np.random.default_rng(2)
    geometry = Geometry((3, 2), (2, 1), (1, 0), (1, 2), groups=2)
    x, w = random.integers(-128, 128, (1, 9, 8, 4)), random.integers(-128, 128, (6, 3, 2, 2))
    moves = {name: getattr(geometry, name) for name in ("stride", "padding", "dilation", "groups")}
    sums = reference.window(x.astype(np.int8), w.astype(np.int8), arithmetic="mac", **moves).values.reshape(-1, 6)
    from addersim.golden.vectors import LayerVectors

    shape = LayerShape.of(x.shape, w.shape, geometry)
    vectors = LayerVectors("net", "layer", Element("mac", 8, 8), shape, x.reshape(-1), w.reshape(6, -1), sums, None, {})
    operands = vectors.taps(np.arange(sums.size))
    assert np.array_equal((operands[0] * operands[1]).sum(axis=1), sums.reshape(-1))
    assert replace(vectors).places(12 * 5).size == 5
    assert vectors.places(10**6).size == sums.size


def test_files_hold_the_same_words(conv1, tmp_path):
    paths = {path.name: path for path in write_vectors(conv1, tmp_path)}
    expected = (conv1.sums.reshape(-1) & ((1 << conv1.element.accumulator_bits) - 1)).tolist()
    found = {end: paths[f"sums{end}"].read_text() for end in WORD_FILES}
    assert [int(line, 16) for line in found[".hex"].split()] == expected
    assert [int(word, 16) for word in re.findall(r": (\w+);", found[".mif"])] == expected
    assert "DEPTH = 4704;\nWIDTH = 20;" in found[".mif"]
    radix, vector = found[".coe"].split(";\n", 1)
    assert radix == "memory_initialization_radix=16"
    assert [int(word, 16) for word in re.findall(r"\w+", vector.partition("=")[2])] == expected
    listed = re.search(r"int64_t sums\[4704\] = \{(.*)\}", paths["vectors.h"].read_text())[1]
    assert [int(word) for word in listed.split(",")] == conv1.sums.reshape(-1).tolist()


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
def test_the_header_is_c(conv1, tmp_path):
    write_vectors(conv1, tmp_path)
    use = "int main(void) { return inputs[0] + weights[0] + (int)sums[0] + outputs[0]; }"
    (tmp_path / "use.c").write_text(f'#include "vectors.h"\n{use}\n')
    subprocess.run(["gcc", "-Wall", "-Werror", "-fsyntax-only", "use.c"], cwd=tmp_path, check=True)


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="no Icarus Verilog")
@pytest.mark.parametrize("name", ["lenet5-adder", "lenet5-conv"])
def test_the_test_bench_passes_and_stops_at_a_wrong_word(programs, name, tmp_path):
    program, images = programs[name]
    write_vectors(layer_vectors(program, "conv1", images), tmp_path)
    build = ["iverilog", "-g2005", "-Ptestbench.CHECKED=300", "-o", "test", "testbench.v", *verilog_files()]
    subprocess.run(build, cwd=tmp_path, check=True)

    def run():
        return subprocess.run(["vvp", "-n", "test"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    assert "PASS: 300 sums of 25 taps" in run()
    lines = (tmp_path / "sums.hex").read_text().splitlines()
    lines[7] = f"{int(lines[7], 16) ^ 1:0{len(lines[7])}x}"
    (tmp_path / "sums.hex").write_text("\n".join(lines))
    told = run()
    assert "PASS" not in told
    assert re.search(r"^WRONG sum 7: pixel 1, filter 1: expected -?\d+, found -?\d+$", told, re.MULTILINE)


@with_yosys
def test_a_module_of_ones_own_is_run(conv1):
    right = verify_element({"my.v": GOOD}, "my_pe", conv1)
    assert (right.sums, right.taps, right.of_sums, right.wrong, right.first) == (4704, 117_600, 4704, 0, "")
    narrow = verify_element(
        {"my.v": GOOD.replace("parameter ACCUMULATOR_BITS = 24", "localparam ACCUMULATOR_BITS = 8")}, "my_pe", conv1
    )
    beyond = np.flatnonzero((conv1.sums < -128) | (conv1.sums > 127))
    assert narrow.wrong == beyond.size > 0
    assert narrow.first.startswith(f"sum {beyond[0]}, ")
    assert f"expected {conv1.sums.reshape(-1)[beyond[0]]}, found " in narrow.first


@with_yosys
def test_the_elements_of_the_package_are_right(programs):
    program, images = programs["lenet5-adder"]
    assert verify_element(sources_text(), "pe_l1_2a", layer_vectors(program, "fc3", images)).wrong == 0


OTHER_PORTS = GOOD.replace("clear,", "reset,").replace("<= clear", "<= reset")
LOOP = GOOD.replace("reg first;", "reg first;\n  wire a, b;\n  assign a = ~b;\n  assign b = a & clear;")
LOOP = LOOP.replace("x * w;", "x * w + a;")


@with_yosys
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD.replace("x * w;", "x * ;"), r"^yosys: my\.v:10: ERROR: syntax error, unexpected ';'$"),
        (GOOD.replace("module my_pe", "module another"), r"^my\.v: no module 'my_pe'; found another$"),
        (OTHER_PORTS, r"^module my_pe: ports clk, reset, .*; expected clk, clear, enable, input_code, weight_code, sum "),
        (
            GOOD.replace("[7:0] input_code", "[3:0] input_code"),
            r"^module my_pe: port input_code is an input of 4 bits; expected",
        ),
        (
            GOOD.replace("_BITS = 24", "_BITS_OF = 70").replace("TOR_BITS-", "TOR_BITS_OF-"),
            r"^module my_pe: port sum has 70 bits",
        ),
        (LOOP, r"^yosys: my\.v:\d+: found logic loop in module my_pe$"),
    ],
)
def test_what_cannot_be_run_is_told_in_one_line(conv1, text, told):
    with pytest.raises(RtlError, match=told):
        verify_element({"my.v": text}, "my_pe", conv1)


def test_layers_without_words_are_refused(programs):
    program, images = programs["lenet5-conv"]
    with pytest.raises(NetworkError, match=r"^layer 'conv9' is no window layer; known: conv1, conv2, fc1, fc2, fc3"):
        layer_vectors(program, "conv9", images)


@with_yosys
def test_the_command_line_verifies(tmp_path):
    (tmp_path / "my.v").write_text(GOOD)
    arguments = ("verify", tmp_path / "my.v", "--top", "my_pe", *CONV, "--layer", "conv1")
    right = call(*arguments)
    assert (right.returncode, right.stderr) == (0, "")
    assert re.search(r"^wrong +0$", right.stdout, re.MULTILINE)
    (tmp_path / "my.v").write_text(GOOD.replace("x * w;", "x * w + 1;"))
    wrong = call(*arguments, "--json")
    assert wrong.returncode == 1
    assert '"wrong": 4704' in wrong.stdout
    assert refused("verify", tmp_path / "none.v", "--top", "my_pe", *CONV, "--layer", "conv1").endswith(
        "none.v: cannot be read: No such file or directory"
    )
    assert (
        refused("verify", tmp_path / "my.v", "--top", "a b", *CONV, "--layer", "conv1")
        == "--top: 'a b' is no name of a module"
    )


def test_the_command_line_exports(tmp_path):
    network = ("lenet5-conv", "--data", "fashion-mnist-2000")
    done = call("export", *network, "--layer", "conv2", "--vectors", tmp_path / "words")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "words" / "testbench.v").is_file()
    assert (
        refused("export", *network, "--layer", "conv2")
        == "--layer and --vectors belong together: the layer, and the folder for its words"
    )
    assert refused("export", *network) == "one of --output (ONNX) and --vectors (words of a layer) is needed"
