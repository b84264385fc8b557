"""Text from data to people: on terminals, in errors and in CSV files; and standard streams that fail."""

import csv
import json
import os
import subprocess
import sys
import unicodedata

import msgspec
import pytest
from msgspec.structs import replace

from addersim import count, estimate, quantize
from addersim.cli.output import print_json, print_table, say
from addersim.errors import NetworkError, SweepError
from addersim.exploration.sweeps.results import RESULT_COLUMNS, write_results
from addersim.inputs.text import cell, did_you_mean, one_line, plain_json, printable
from addersim.report import write_report
from addersim.results.result import evaluate
from addersim.storage import write_rows
from tests.unit.networks import residual

HOSTILE = "=x\x1b[31m\x07\x9b\u202e\u2066\u200f\ufeff\u2028\r\n\t\udcff"


def obeyed(text):
    """Characters that a terminal or a reader of text would obey."""
    return [one for one in text if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp") and one != "\n"]


def test_a_name_with_a_part_too_many_is_near_to_the_one_without():
    assert did_you_mean("batch_size", ["batch", "norm_batches", "data"]) == "; did you mean batch?"
    assert did_you_mean("batch_size_of_all", ["batch", "batch_size", "data"]) == "; did you mean batch_size?"
    assert did_you_mean("to_size_of_all", ["to", "data"]) == ""


@pytest.mark.parametrize("code", [0, 7, 9, 10, 13, 27, 127, 0x85, 0x9B, 0xAD, *range(0x200B, 0x2010), *range(0x2028, 0x202F)])
def test_characters_that_control_are_shown(code):
    assert not obeyed(printable(chr(code)).replace("\n", "\x00"))
    assert printable(f"a{chr(code)}b") == f"a{chr(code).encode('unicode_escape').decode()}b"


def test_characters_that_people_write_stay():
    for text in ("conv1", "caf\u00e9 \u00d7 \u5c64", "a\u00a0b", "\u3000", "\U0001f600", ""):
        assert printable(text) == text == plain_json(text)


def test_messages_are_one_line():
    assert str(NetworkError("a\n  b\x1b[0m")) == "a b\\x1b[0m"
    assert one_line(" a \r\n b\u2028c") == r"a b\u2028c"
    with pytest.raises(SweepError, match=r"^\\u202e$"):
        raise SweepError("\u202e")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\uff1d"])
def test_a_cell_of_text_never_begins_a_formula(tmp_path, start):
    assert cell(f"{start}1") == "'" + printable(f"{start}1")
    write_rows(tmp_path / "a.csv", [{"name": f"{start}cmd", "gain": -1.5, "rate": -2, "none": None, f"{start}n": True}])
    with (tmp_path / "a.csv").open() as stream:
        names, values = list(csv.reader(stream))
    assert names[-1].startswith("'")
    assert values == [f"'{printable(start)}cmd", "-1.5", "-2", "", "True"]


def test_json_is_the_same_document_without_such_characters():
    text = msgspec.json.encode({"name": HOSTILE.replace("\udcff", "\U000e0001\x7f")}).decode()
    assert not obeyed(plain_json(text))
    assert json.loads(plain_json(text)) == json.loads(text)


def hostile():
    network = residual()
    first, *others = network.layers
    name = HOSTILE.replace("\udcff", "")
    layers = (
        replace(first, name=name),
        *(replace(one, inputs=tuple(name if i == first.name else i for i in one.inputs)) for one in others),
    )
    return replace(network, name=name, layers=layers)


def test_whatever_is_printed_or_written_is_plain(capsys, tmp_path):
    network = hostile()
    trace = count(quantize(network, None))
    say(HOSTILE)
    print_table(HOSTILE, [{HOSTILE: HOSTILE, "n": 1}])
    print_json({"name": network.name})
    print(network)
    found = capsys.readouterr().out
    assert not obeyed(found)
    cost = estimate(trace, "systolic-16x16", "horowitz-45nm")
    write_report([evaluate(trace, "systolic-16x16", "horowitz-45nm", name=network.name)], tmp_path, title="t", about={})
    write_results(tmp_path, [dict.fromkeys(RESULT_COLUMNS) | {"network": network.name, "error": "-1"}])
    assert cost.network == network.name
    files = list(tmp_path.glob("*.csv"))
    assert len(files) > 3
    for path in files:
        text = path.read_text()
        assert not obeyed(text), path
        for row in csv.reader(text.splitlines()):
            assert not [one for one in row if one[:1] in ("=", "+", "@") or one == network.name], path
    assert ",'-1," in (tmp_path / "results.csv").read_text()


def ended(redirection, *arguments):
    """Status and standard error of a command line whose standard streams a shell redirects."""
    command = ["bash", "-c", f'"$@" {redirection}', "bash", sys.executable, "-m", "addersim", *arguments]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return found.returncode, found.stdout, found.stderr


@pytest.mark.parametrize(
    "verb", [("--help",), ("list", "networks"), ("list", "networks", "--json"), ("count", "resnet20-adder", "--json")]
)
def test_a_full_or_closed_standard_output_is_one_line(verb):
    assert ended(">/dev/full", *verb) == (2, "", "addersim: standard output: No space left on device\n")
    assert ended(">&-", *verb) == (2, "", "addersim: standard output: is closed\n")


def test_a_standard_error_that_is_gone_leaves_the_status():
    for gone in ("2>&-", "2>/dev/full"):
        assert ended(gone, "check", "nothing.npz") == (2, "", "")
    status, found, _ = ended("2>&-", "list", "networks")
    assert status == 0
    assert "lenet5-adder" in found


def test_a_reader_that_left_is_no_error_of_ours():
    status, found, told = ended("| head -c 1; exit ${PIPESTATUS[0]}", "count", "lenet5-adder", "--json")
    assert (len(found), told) == (1, "")
    assert status in (0, 1)


def test_output_that_cannot_show_a_character_escapes_it(tmp_path):
    network = replace(residual(), name="caf\u00e9")
    network.save(tmp_path / "a.npz")
    command = [sys.executable, "-m", "addersim", "count", str(tmp_path / "a.npz")]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert r"caf\xe9" in found.stdout
