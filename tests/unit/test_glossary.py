"""The glossary: every term says what it means, no name stands twice, and every column of a table or file is in it."""

import tomllib
from pathlib import Path
from unittest import mock

import pytest

import addersim
from addersim import count, estimate, load_network, quantize
from addersim.cli import tables
from addersim.exploration.sweeps.results import RESULT_COLUMNS
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


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_heads_of_printed_tables(command):
    heads, of = [], tables.Column.of

    def noted(head, cells):
        heads.append(head)
        return of(head, cells)

    with mock.patch.object(tables.Column, "of", noted):
        assert call(*command).returncode == 0
    assert len(heads) > 3
    assert unexplained(heads) == []


def test_a_column_that_no_term_names_is_found():
    assert unexplained(["layer", "mystery"]) == ["mystery"]
