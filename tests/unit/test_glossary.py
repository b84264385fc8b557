"""The glossary: every term says what it means, no name stands twice, and every column of a table or file is in it."""

import ast
import re
import sys
import tomllib
from contextlib import ExitStack
from pathlib import Path
from pkgutil import iter_modules
from unittest import mock

import numpy as np
import pytest

import addersim
from addersim import cli, count, estimate, load_network, quantize
from addersim.cli import output, tables
from addersim.cli.list_ import KINDS
from addersim.exploration.sweeps.results import RESULT_COLUMNS
from addersim.glossary import _plain, find_term
from addersim.report.design_frames import AccessRow, AreaRow, DesignRow, TableRow
from addersim.report.frames import LayerEnergyRow, LayerRow, OperationRow, PriceRow, RangeRow
from tests.command_line import call

GLOSSARY = tomllib.loads((Path(addersim.__file__).parent / "data" / "glossary.toml").read_text("utf-8"))
NAMES = [name for term, entry in GLOSSARY.items() for name in (term, *entry.get("also", ()))]
PAIR = ("lenet5-adder", "lenet5-conv")
COMMANDS = (
    ("count", PAIR[0]),
    ("estimate", PAIR[0]),
    ("estimate", PAIR[0], "--table", "all"),
    ("estimate", PAIR[0], "--accelerator", "eyeriss-65nm", "--table", "eyeriss-65nm"),
    ("simulate", PAIR[0], "--limit", "5"),
    ("prove", PAIR[0]),
    ("compare-rounding", PAIR[1], "tflite", "ort", "--limit", "5"),
    ("designs", PAIR[0], "--vary", "clock_mhz=250,500"),
)


SMALL = ("--images", "32", "--batch", "32", "--epochs", "1")
TRAINED = ("lenet5-fashion-mnist", "data=fashion-mnist-2000")
OTHERS = {
    "list": [("list", kind) for kind in KINDS] + [("list", "accelerators", "systolic-16x16"), ("list", "data", "mnist")],
    "estimate": [("estimate", PAIR[0], "--own-clock", "--table", "nangate45-gates"), ("estimate", PAIR[0], "--depth", "1")],
    "report": [("report", PAIR[0], "--limit", "5", "-o", "page"), ("report", PAIR[0], "--data", "none", "-o", "page")],
    "compare": [("compare", *PAIR)],
    "designs": [("designs", PAIR[0], "--vary", "clock_mhz=250,500", "--csv", "designs.csv")],
    "sweep": [("sweep", PAIR[0], "--bits", "8", "--images", "5", "--jobs", "1", "-o", "swept")],
    "search": [("search", PAIR[0], "--images", "40", "--trials", "1", "--bits", "4,8", "--out", "searched")],
    "check": [("new", "accelerator"), ("check", "accelerator.toml")],
    "lower": [("lower", "lenet5-conv", "-o", "lowered.npz")],
    "export": [("export", PAIR[1], "-o", "conv.onnx")],
    "multiplier": [("multiplier", "table.npy")],
    "train": [
        ("train", *TRAINED, "epochs=1", "batch=32", "limit=64", "-o", "run"),
        *(("train", *TRAINED, "--probe", one) for one in ("variance", "gradients")),
    ],
    "finetune": [("finetune", PAIR[1], *SMALL, "-o", "tuned.npz")],
    "explain": [("explain",)],
}
NEEDS = {"train": "torch", "finetune": "torch", "lower": "torch", "search": "optuna", "export": "onnx", "list": "onnx"}
"""Commands whose tables have columns, and names of facts, besides those above: what `explain` answers."""


def unexplained(columns):
    """Those that no term names."""
    return sorted(set(columns) - set(NAMES))


def test_every_term_says_what_it_means_and_where_it_stands():
    for term, entry in GLOSSARY.items():
        assert set(entry) <= {"group", "also", "meaning", "unit", "where"}, term
        assert entry["meaning"].endswith("."), term
        assert len(entry["meaning"]) > 30, term
        assert entry["where"], term


def test_no_name_stands_twice():
    assert sorted(set(NAMES)) == sorted(NAMES)
    of = {}
    for term, entry in GLOSSARY.items():
        for name in (term, *entry.get("also", ())):
            assert of.setdefault(_plain(name), term) == term, name


@pytest.mark.parametrize(
    "row", [LayerRow, OperationRow, LayerEnergyRow, RangeRow, PriceRow, DesignRow, AccessRow, TableRow, AreaRow]
)
def test_columns_of_a_reports_files(row):
    assert unexplained(row._fields) == []


def test_columns_of_a_sweeps_results():
    assert unexplained(RESULT_COLUMNS) == []


def test_columns_of_a_cost():
    network = load_network(PAIR[0])
    trace = count(quantize(network, addersim.load_images("fashion-mnist-2000", split="train")))
    assert unexplained(estimate(trace, "systolic-16x16", "horowitz-45nm").to_rows()[0]) == []


def words_of(command):
    """Heads of the tables that a command prints, and names of its facts; without names of networks and lines of marks."""
    heads, of, told = [], tables.Column.of, output.say_fact

    def noted(head, cells):
        heads.append(head)
        return of(head, cells)

    def noted_fact(name, value):
        heads.append(name)
        told(name, value)

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(tables.Column, "of", noted))
        for verb in filter(None, (sys.modules.get(f"addersim.cli.{one.name}") for one in iter_modules(cli.__path__))):
            if hasattr(verb, "say_fact"):
                stack.enter_context(mock.patch.object(verb, "say_fact", noted_fact))
        found = call(*command)
    assert found.returncode == 0, found.stderr
    return [head for head in heads if head.strip() and head not in PAIR]


def columns_written(folder):
    """Heads of all tables of pages, but those of networks and of rows' numbers, and of all .csv files of a folder."""
    pages = [path.read_text("utf-8") for path in folder.glob("*/index.html")]
    heads = {re.sub("<.*?>", "", one) for page in pages for one in re.findall(r'<th scope="col"[^>]*>(.*?)</th>', page)}
    files = {one for path in folder.rglob("*.csv") for one in path.read_text("utf-8").partition("\n")[0].strip().split(",")}
    return [one.rpartition(".")[2] for one in heads | files if one and not one.startswith(PAIR)]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_heads_of_printed_tables(command):
    heads = words_of(command)
    assert len(heads) > 3
    assert unexplained(heads) == []


@pytest.mark.parametrize("verb", OTHERS)
def test_every_word_over_a_printed_number_is_explained(verb, tmp_path, monkeypatch):
    pytest.importorskip(NEEDS.get(verb, "numpy"))
    monkeypatch.chdir(tmp_path)
    np.save("table.npy", np.multiply.outer(np.arange(256), np.arange(256)))
    heads = {head for command in OTHERS[verb] for head in words_of(command)}
    assert heads
    assert unexplained(heads) == []
    for head in (*heads, *columns_written(tmp_path)):
        find_term(head)


def test_words_of_verbs_that_need_tools_are_explained():
    """Those of characterise and verify, which yosys and a compiler make; and the names of all facts."""
    sources = {path.stem: ast.parse(path.read_text("utf-8")) for path in Path(cli.__path__[0]).glob("*.py")}
    calls = [node for tree in sources.values() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    facts = {
        call.args[0].value
        for call in calls
        if getattr(call.func, "id", "") == "say_fact" and isinstance(call.args[0], ast.Constant)
    }
    keys = {key.value for node in ast.walk(sources["characterise"]) if isinstance(node, ast.Dict) for key in node.keys if key}
    found = facts - {"also", "where"} | keys - {"library", "sha256", "rows", "kept", "target", "elements"}  # of its JSON
    assert {"first wrong", "LUTs", "pJ a tap", "calibration"} < found
    assert unexplained(found) == []


def test_every_verb_that_prints_a_table_is_walked():
    verbs = {one.name or one.callback.__module__.rpartition(".")[2].rstrip("_") for one in cli.app.registered_commands}
    silent = {"new", "verify", "characterise", "demo"}  # say where a file is, or which of its words is wrong; demo is a report
    assert verbs - {command[0] for command in COMMANDS} - set(OTHERS) == silent


def test_a_column_that_no_term_names_is_found():
    assert unexplained(["layer", "mystery"]) == ["mystery"]
