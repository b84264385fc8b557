"""--multiplier and the verb `multiplier`: what is told of a table, what it does to a network, and what is refused."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from addersim.cli import app
from addersim.errors import AddersimError
from tests.command_line import refused
from tests.unit.multipliers import multiplier


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("multipliers")
    np.save(made / "cut.npy", multiplier(6).products)
    multiplier(6).products.astype("<u2").tofile(made / "cut.bin")
    np.save(made / "signed.npy", multiplier(6, signed=True).products)
    (made / "cut.toml").write_text('products = "cut.bin"\nname = "cut 6"\nrelative_energy = 0.5\nsource = "a book"\n')
    (made / "other.toml").write_text('products = "cut.bin"\nrelative_energy = 0.25\n')
    return made


def run(*arguments):
    found = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert found.exit_code == 0
    return found.stdout


def document(*arguments):
    return json.loads(run(*arguments, "--json"))


def refusal(*arguments):
    with pytest.raises(AddersimError) as caught:
        CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    return str(caught.value)


def test_the_verb_tells_the_errors(folder):
    text = " ".join(run("multiplier", folder / "cut.toml").split())
    assert "multiplier cut 6: operands 0..255, all 65,536 pairs as likely" in text
    for line in ("MAE, mean absolute error 80.25", "WCE, worst-case error 321", "MRE, mean relative error 2.64 %"):
        assert line in text
    assert "relative energy 0.5 source a book" in text
    found = document("multiplier", folder / "signed.npy")
    assert (found["signed"], found["name"], found["errors"]["worst_case_error"]) == (True, "signed", 321)
    assert document("multiplier", folder / "signed.npy", "--operands", "unsigned")["errors"]["mean_error"] < -10_000


@pytest.mark.parametrize("verb", ["count", "estimate", "simulate", "report", "compare"])
def test_every_verb_that_takes_networks_takes_a_table(folder, tmp_path, verb):
    more = {"simulate": ("--limit", 4), "report": ("--limit", 4, "-o", tmp_path)}.get(verb, ())
    found = document(verb, "lenet5-conv", "--multiplier", folder / "cut.toml", *more)
    for result in found.get("results", [found]):
        layers = result.get("layers") or result["count"]["layers"]
        assert {layer["datapath"] for layer in layers} == {None, "table-magnitude"}


def test_simulate_tells_which_table_multiplies_where(folder):
    given = ("--multiplier", folder / "cut.toml", "--multiplier", f"fc1={folder / 'other.toml'}", "--limit", 4)
    found = document("simulate", "lenet5-conv", *given)
    assert found["multipliers"] == {"cut 6": ["conv1", "conv2", "fc2", "fc3"], "other": ["fc1"]}
    assert "cut 6 in conv1, conv2, fc2, fc3; other in fc1" in " ".join(run("simulate", "lenet5-conv", *given).split())
    only = document("count", "lenet5-conv", "--multiplier", f"conv2={folder / 'cut.npy'}")
    assert only["operations"]["amul"] == 240_000
    assert only["taps_by_datapath"].keys() == {"mac", "table-magnitude"}


def test_the_price_is_a_marked_fraction(folder):
    found = document("estimate", "lenet5-conv", "--multiplier", folder / "cut.toml")
    (price,) = [one for one in found["prices"] if one["what"] == "amul 8 bit"]
    assert (price["energy_pj"], price["rule"]) == (0.1, "fraction 0.5 of mul: exact")


def test_refusals_are_one_line(folder):
    conv, table = "lenet5-conv", folder / "cut.bin"
    told = refused("estimate", conv, "--multiplier", table)
    assert told.startswith("multiplier cut: energy of a product is not known; state relative_energy")
    assert refusal("simulate", conv, "--multiplier", folder / "signed.npy", "--limit", 4) == (
        "layer conv2: input: codes 0..255; multiplier signed takes -128..127: give 7 bits or fewer"
    )
    assert refusal("count", conv, "--bits", 12, "--multiplier", table).startswith(
        "layer conv1: input: codes -2048..2047; multi"
    )
    assert refusal("count", conv, "--multiplier", f"pool={table}").startswith("layer pool: no multiplying layer has this name")
    assert refusal("count", conv, "--multiplier", table, "--multiplier", table) == (
        "--multiplier: given twice for all layers; give one table"
    )
    assert "no layer multiplies" in refusal("count", "lenet5-adder", "--multiplier", table)
    assert "missing.npy: cannot be read" in refusal("count", conv, "--multiplier", "missing.npy")
    assert refusal("count", conv, "--datapath", "table").startswith("--datapath: found table, which no layer computes")


def test_a_topology_has_no_codes(folder, tmp_path):
    columns = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,"
    (tmp_path / "one.csv").write_text(f"{columns}\nconv,8,8,3,3,4,8,1,\n")
    told = refusal("count", tmp_path / "one.csv", "--multiplier", folder / "cut.bin")
    assert told == "--multiplier: a SCALE-Sim topology has no weights and codes to multiply; name a network"
