"""Golden vectors: their words are the simulator's, their test bench passes, and a module of one's own is judged by them."""

import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from addersim import load_images, load_network, quantize
from addersim.arithmetic.datapaths import datapath
from addersim.errors import ConfigError, NetworkError
from addersim.golden.files import WORD_FILES, write_vectors
from addersim.golden.reading import read_vectors
from addersim.golden.vectors import layer_vectors
from addersim.golden.verify import verify_element
from addersim.kernels import reference
from addersim.rtl.elements import signed
from addersim.rtl.probe import find_module, read_verilog
from addersim.rtl.simulators import check_simulator
from addersim.rtl.sources import sources_text, verilog_files
from addersim.rtl.tools import RtlError, yosys_candidates
from tests.command_line import call, refused
from tests.unit.multipliers import multiplier

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
    from addersim.arithmetic.geometry import Geometry
    from addersim.rtl.elements import Element
    from addersim.rtl.shapes import LayerShape

    random = np.random.default_rng(2)
    geometry = Geometry((3, 2), (2, 1), (1, 0), (2, 3), groups=2)
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


@pytest.mark.parametrize(("layer", "bits"), [("conv1", 8), ("fc3", 16)])
def test_codes_are_as_wide_as_their_format(programs, layer, bits, tmp_path):
    """Of a ReLU, and signed ones."""
    program, images = programs["lenet5-conv"]
    vectors = layer_vectors(program, layer, images)
    write_vectors(vectors, tmp_path)
    assert (vectors.codes.min() < 0) == (layer == "fc3")
    assert f"WIDTH = {bits};" in (tmp_path / "outputs.mif").read_text()
    words = [int(line, 16) for line in (tmp_path / "outputs.hex").read_text().split()]
    assert words == (vectors.codes.reshape(-1) & ((1 << bits) - 1)).tolist()


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


@with_yosys
def test_layers_of_an_approximate_multiplier_have_its_table(programs, tmp_path):
    """A file that the package's element reads; and which it needs where the package's files are given without it."""
    program, images = programs["lenet5-conv"]
    approximate = layer_vectors(program.with_multiplier(multiplier(cut=6)), "fc3", images)
    write_vectors(approximate, tmp_path)
    found = read_vectors(tmp_path)
    assert np.array_equal(found.sums, approximate.sums)
    exact = layer_vectors(program, "fc3", images)
    assert not np.array_equal(found.sums, exact.sums)
    verilog = read_verilog([*verilog_files(), tmp_path / "products.hex"])
    assert verify_element(verilog, "pe_table_magnitude", found).wrong == 0
    assert "products.hex" not in read_verilog(verilog_files())
    assert "`define PRODUCTS\n" in (tmp_path / "testbench.v").read_text()
    write_vectors(exact, tmp_path / "exact")
    assert "PRODUCTS" not in (tmp_path / "exact" / "testbench.v").read_text()
    assert not (tmp_path / "exact" / "products.hex").exists()


OTHER_PORTS = GOOD.replace("clear,", "reset,").replace("<= clear", "<= reset")
LOOP = GOOD.replace("reg first;", "reg first;\n  wire a, b;\n  assign a = ~b;\n  assign b = a & clear;")
LOOP = LOOP.replace("x * w;", "x * w + a;")


LOOPING = "reg first;\n  function integer f(input a); begin f = 0; while (a == a) f = f + 1; end endfunction\n"
OSCILLATING = GOOD.replace("reg first;", "reg first;\n  reg a;\n  always @* if (x[0]) a = ~a;").replace("x * w;", "x * w + a;")
TWO_DRIVERS = GOOD.replace("endmodule", "  always @(posedge clk) sum <= 1;\nendmodule")


@with_yosys
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD.replace("x * w;", "x * ;"), r"^yosys: my\.v:10: ERROR: syntax error, unexpected ';'$"),
        (GOOD.replace("module my_pe", "module another"), r"^my\.v: no module 'my_pe'; found another$"),
        (
            GOOD.replace("input clear,", "input clear, input more,"),
            r"^module my_pe: ports clk, clear, more, ",
        ),
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
        (
            OSCILLATING,
            r"^(yosys: .*found logic loop|module plain_module: wires go round without an end after clock edge \d+$)",
        ),
        (TWO_DRIVERS, r"^yosys: multiple conflicting drivers for my_pe\.\\sum "),
        (
            GOOD.replace("x * w;", "x * w + z;").replace("reg first;", "reg first, z;"),
            r"^yosys: Wire my_pe\.\\z is used but has no",
        ),
        (
            GOOD.replace("reg first;", "reg first;\n  initial $system(1);"),
            r"^yosys: my\.v:\d+: ERROR: ?Can't resolve task name",
        ),
    ],
)
def test_what_cannot_be_run_is_told_in_one_line(conv1, text, told):
    with pytest.raises(RtlError, match=told):
        verify_element({"my.v": text}, "my_pe", conv1)


@with_yosys
def test_verilog_that_never_ends_is_stopped(monkeypatch):
    """A loop that yosys itself would run."""
    monkeypatch.setattr("addersim.rtl.probe.LIMIT_S", 0.5)
    with pytest.raises(RtlError, match=r"^yosys: no end after 0\.5 s; does a loop of the Verilog never end\?$"):
        find_module({"my.v": GOOD.replace("x * w;", "x * w + f(1);").replace("reg first;", LOOPING)}, "my_pe")


def written(folder, **texts):
    for name, text in texts.items():
        (folder / name.replace("_", ".")).write_text(text)
    return [folder / name.replace("_", ".") for name in texts]


ROM = GOOD.replace("x * w;", "x * w + table_of[w[0]];").replace(
    "reg first;", "reg first;\n  reg signed [7:0] table_of[0:1];\n  LOAD"
)


@with_yosys
def test_files_that_were_given_are_read(conv1, tmp_path):
    """A header, a memory's words, and SystemVerilog."""
    text = ROM.replace("LOAD", 'initial $readmemh("words.hex", table_of);').replace("x * w", "`PRODUCT")
    files = written(tmp_path, my_v='`include "my.vh"\n' + text, my_vh="`define PRODUCT x * w\n", words_hex="00\n00\n")
    assert verify_element(read_verilog(files), "my_pe", conv1).wrong == 0
    (tmp_path / "words.hex").write_text("01\n00\n")
    assert verify_element(read_verilog(files), "my_pe", conv1).wrong > 0
    (system,) = written(tmp_path, my_sv=GOOD.replace("reg first", "logic first"))
    assert verify_element(read_verilog([system]), "my_pe", conv1).wrong == 0


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('initial $readmemh("/etc/hostname", table_of);', r"\$readmemh asks for '/etc/hostname'; give it too"),
        ('initial $readmemb("../words.hex", table_of);', r"\$readmemb asks for '\.\./words\.hex'; give it too"),
        ("initial $readmemh(NAME, table_of);", r"\$readmemh asks for a file whose name is not written there; give it too"),
        ('`include "/etc/hostname"', r"`include asks for '/etc/hostname'; give it too"),
        ("`include <hostname>", r"`include asks for a file whose name is not written there; give it too"),
        ('/* // */ `include "other.v"', r"`include asks for 'other\.v'; give it too"),
        ('"a // " `include "other.v"', r"`include asks for 'other\.v'; give it too"),
        ("`define LOAD(x) $read``x", r"\$read`` asks for a file whose name is not written there; give it too"),
    ],
)
def test_files_that_were_not_given_are_not_read(line, told, tmp_path):
    with pytest.raises(ConfigError, match=rf"^my\.v:\d: {told}, and name it without folders$"):
        read_verilog(written(tmp_path, my_v=ROM.replace("LOAD", line)))


def test_what_is_commented_out_asks_for_nothing(tmp_path):
    assert read_verilog(written(tmp_path, my_v=ROM.replace("LOAD", '// `include "other.v"')))
    with pytest.raises(ConfigError, match=r"words\.hex: no Verilog among them; its files end in \.v or \.sv$"):
        read_verilog(written(tmp_path, words_hex="00\n"))


@with_yosys
def test_nothing_of_a_module_but_its_logic_is_compiled(conv1):
    """Attributes would stand in C++ as they are, prints would stand in the report."""
    prints = '  always @(posedge clk) $display("%d", x);'
    injected = '(* note = "a\\nstatic int ran = system(\\"exit 3\\") + nothing;" *) reg first;\n' + prints
    (plain,) = find_module({"my.v": GOOD.replace("reg first;", injected)}, "my_pe").plain.values()
    assert not {"note", "system", "display"} & set(re.findall(r"\w+", plain))
    assert verify_element({"my.v": GOOD.replace("reg first;", injected)}, "my_pe", conv1).wrong == 0


with_icarus = pytest.mark.skipif(shutil.which("iverilog") is None, reason="no Icarus Verilog")
SIMULATED = [
    pytest.param("icarus", marks=with_icarus),
    pytest.param(
        "verilator", marks=[pytest.mark.slow, pytest.mark.skipif(shutil.which("verilator") is None, reason="no verilator")]
    ),
]


@pytest.mark.skipif(not yosys_candidates(), reason="no yosys")
@pytest.mark.parametrize("simulator", SIMULATED)
def test_simulators_agree(conv1, simulator):
    right = verify_element({"my.v": GOOD}, "my_pe", conv1, most=5000, simulator=simulator)
    assert (right.sums, right.wrong) == (200, 0)
    wrong = verify_element({"my.v": GOOD.replace("x * w;", "x * w + 1;")}, "my_pe", conv1, most=5000, simulator=simulator)
    expected = conv1.sums.reshape(-1)[conv1.places(5000)[0]]
    assert wrong.wrong == 200
    assert wrong.first.endswith(f": expected {expected}, found {expected + 25}")


@pytest.mark.skipif(not yosys_candidates(), reason="no yosys")
@with_icarus
def test_unknown_bits_are_wrong(conv1):
    """A register that nothing sets first: compiled it would be 0. Nor is it where 0 is expected."""
    conv1 = replace(conv1, sums=0 * conv1.sums)
    text = GOOD.replace("reg first;", "reg first;\n  reg kept;\n  always @(posedge clk) kept <= kept;")
    found = verify_element({"my.v": text.replace("x * w;", "x * w + kept;")}, "my_pe", conv1, most=5000, simulator="icarus")
    assert found.wrong == 200
    assert found.first.endswith(", found bits that are neither 0 nor 1")


def test_simulators_that_are_not_there_are_told(monkeypatch):
    with pytest.raises(ConfigError, match=r"^simulator 'modelsim' is none of icarus, verilator$"):
        check_simulator("modelsim")
    monkeypatch.setattr("addersim.rtl.simulators.find_tool", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"^simulator icarus: iverilog and vvp not found; install it, or take another simulator"
    ):
        check_simulator("icarus")


def test_words_are_read_back(conv1, tmp_path):
    write_vectors(conv1, tmp_path)
    found = read_vectors(tmp_path)
    for name in ("network", "layer", "element", "shape"):
        assert getattr(found, name) == getattr(conv1, name)
    for name in ("inputs", "weights", "sums"):
        assert np.array_equal(getattr(found, name), getattr(conv1, name))


def changed(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("layer.json", '"pixels": 784', '"pixels": 785', r"shape\.pixels: 785 is not 784, which the other sizes make it"),
        ("layer.json", '"taps": 25', '"taps": 24', r"shape\.taps: 24 is not 20, which the other sizes make it"),
        ("layer.json", '"channels": 1', '"channels": 2', r"shape\.channels: 2 is not 1, which the other sizes make it"),
        ("layer.json", '"stride_y": 1', '"stride_y": 0', r"shape\.stride_y: 0 is not between 1 and 2147483648"),
        ("layer.json", '"input_bits": 8', '"input_bits": 65', r"element\.input_bits: 65 is not between 1 and 64"),
        ("layer.json", '"circuit": "mac"', '"circuit": "mad"', r"element\.circuit: 'mad' is none of l1_2a, "),
        ("layer.json", '"shape"', '"shapes"', r"is no description of a layer's words: .*missing required field `shape`"),
        ("layer.json", "{", "[", r"is no description of a layer's words: Expected `object`, got `array`"),
        ("inputs.hex", "\n", "\nzz\n", r"785 words; layer\.json beside it makes it 784"),
        ("sums.hex", "0", "g", r"word 1: 'g\w+' is no hexadecimal number of 20 bits"),
        ("weights.hex", "\n", "0\n", r"word 1: '\w{3}' is no hexadecimal number of 8 bits"),
    ],
)
def test_damaged_words_are_told_in_one_line(conv1, file, old, new, told, tmp_path):
    write_vectors(conv1, tmp_path)
    changed(tmp_path / file, old, new)
    with pytest.raises(ConfigError, match=rf"{re.escape(file)}: {told}"):
        read_vectors(tmp_path)


@with_yosys
def test_the_command_line_verifies_a_folder(conv1, tmp_path):
    """Without the network; the first wrong word is named by its place."""
    write_vectors(conv1, tmp_path / "words")
    (tmp_path / "my.v").write_text(GOOD)
    arguments = ("verify", tmp_path / "my.v", "--top", "my_pe")
    right = call(*arguments, "--vectors", tmp_path / "words")
    assert (right.returncode, right.stderr) == (0, "")
    lines = (tmp_path / "words" / "sums.hex").read_text().splitlines()
    lines[6 * 28 + 7] = f"{int(lines[6 * 28 + 7], 16) ^ 1:05x}"
    (tmp_path / "words" / "sums.hex").write_text("\n".join(lines) + "\n")
    wrong = call(*arguments, "--vectors", tmp_path / "words")
    assert wrong.returncode == 1
    found = conv1.sums.reshape(-1)[175]
    assert f"sum 175, row 1, column 1, filter 1: expected {found ^ 1}, found {found}" in " ".join(wrong.stdout.split())
    for more, told in (
        ((), "--vectors DIR, or --network and --layer, say whose sums are to be right"),
        (("--vectors", tmp_path / "words", "--bits", "8"), "--vectors has the layer's words; leave out --bits"),
        (("--vectors", tmp_path / "words", "--simulator", "vcs"), "--simulator: 'vcs' is none of compiled, icarus, verilator"),
    ):
        assert refused(*arguments, *more) == told
    assert re.search(r": no layer\.json there; addersim export ", refused(*arguments, "--vectors", tmp_path))


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
