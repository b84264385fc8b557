"""Somebody's Verilog: what cannot be run is told in one line, and nothing but what was given is read or compiled."""

import re

import pytest

from addersim.errors import ConfigError
from addersim.golden.verify import verify_element
from addersim.rtl.probe import find_module, read_verilog
from addersim.rtl.tools import RtlError
from tests.own_element import GOOD, with_yosys

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


def test_a_file_named_as_one_of_the_packages_is_looked_at_all_the_same(tmp_path):
    (tmp_path / "kernel_table.v").write_text('`include "other.v"\n')
    with pytest.raises(ConfigError, match=r"^kernel_table\.v:1: `include asks for 'other\.v'; give it too"):
        read_verilog([tmp_path / "kernel_table.v"])


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
