"""A module of one's own that computes a whole layer is judged by its words: right, wrong, silent, or with other ports."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from addersim.golden.files import write_vectors
from addersim.golden.verify_layer import verify_layer
from addersim.rtl.tools import RtlError
from tests.command_line import call
from tests.own_element import LAYER, with_yosys


@with_yosys
def test_a_whole_layer_is_run(conv1):
    right = verify_layer({"my.v": LAYER}, "my_layer", conv1)
    assert (right.sums, right.of_sums, right.taps, right.wrong, right.first) == (4704, 4704, 117_600, 0, "")


@with_yosys
def test_the_first_wrong_sum_of_a_layer_is_told_by_its_place(conv1, tmp_path):
    """Pixels of the last row are wrong: their kernel ends a row early."""
    (tmp_path / "my.v").write_text(LAYER.replace("down < 30", "down < 29"))
    write_vectors(conv1, tmp_path / "words")
    found = call("verify", tmp_path / "my.v", "--top", "my_layer", "--whole", "--vectors", tmp_path / "words")
    assert found.returncode == 1
    told = " ".join(found.stdout.split())
    assert re.search(r"first wrong +sum \d+, row 2[567], column \d+, filter \d: expected -?\d+, found -?\d", told)


@with_yosys
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "sum_valid <= busy && last;",
            "sum_valid <= 0;",
            r"^module my_layer: 0 of 4,704 sums were valid after 50,000 ",
        ),
        ("start", "begins", r"^module my_layer: ports clk, begins, weight_valid, .*; expected clk, start, weight_valid, "),
        ("sum <= before + term;", "sum <= before + ;", r"^yosys: my\.v:\d+: ERROR: syntax error"),
        ("module my_layer", "module other", r"^my\.v: no module 'my_layer'; found other"),
        (
            "wire last =",
            "wire a, b;\n  assign a = ~b, b = a & start;\n  wire last = a &&",
            r"^yosys: my\.v:\d+: found logic ",
        ),
    ],
)
def test_layers_that_cannot_be_judged_are_told_in_one_line(conv1, monkeypatch, old, new, told):
    monkeypatch.setattr("addersim.golden.verify_layer.MOST_TAPS", 50_000)
    assert old in LAYER
    with pytest.raises(RtlError, match=told):
        verify_layer({"my.v": LAYER.replace(old, new)}, "my_layer", conv1)


@with_yosys
@pytest.mark.skipif(shutil.which("iverilog") is None, reason="no Icarus Verilog")
def test_unknown_sums_of_a_layer_are_wrong(conv1):
    """Though nothing is wanted, which unknown bits are read as. Of the first row: Icarus takes its time."""
    row = replace(conv1, sums=np.zeros_like(conv1.sums[:28]))
    text = LAYER.replace("reg busy;", "reg busy, kept; always @(posedge clk) kept <= kept;").replace("+ term", "+ term + kept")
    found = verify_layer({"my.v": text}, "my_layer", row, simulator="icarus")
    assert found.first.startswith("sum 0, row 0, column 0, filter 0: expected 0, found ")
    assert (found.wrong, "neither 0 nor 1" in found.first) == (row.sums.size, True)
