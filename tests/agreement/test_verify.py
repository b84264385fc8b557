"""A module of one's own is judged by a layer's words, compiled and in simulators."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from addersim.errors import ConfigError
from addersim.golden.files import write_vectors
from addersim.golden.reading import read_vectors
from addersim.golden.vectors import layer_vectors
from addersim.golden.verify import verify_element
from addersim.rtl.probe import read_verilog
from addersim.rtl.simulators import check_simulator
from addersim.rtl.sources import sources_text, verilog_files
from addersim.rtl.tools import yosys_candidates
from tests.command_line import call, refused
from tests.own_element import GOOD, with_yosys
from tests.unit.multipliers import multiplier

CONV = ("--network", "lenet5-conv", "--data", "fashion-mnist-2000")


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
