"""--datapath: one option for networks, topologies and sweeps; --circuit is its hidden former name."""

import json

import pytest
from typer.testing import CliRunner

from addersim.cli import app
from addersim.cli.sweep import make_study
from addersim.errors import AddersimError, ConfigError
from addersim.exploration.sweeps.plan import make_plan
from addersim.exploration.sweeps.results import read_study, write_study
from addersim.exploration.sweeps.study import Study


def document(*arguments):
    found = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert found.exit_code == 0
    return json.loads(found.stdout)


def refusal(*arguments):
    with pytest.raises(AddersimError) as caught:
        CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    return str(caught.value)


@pytest.mark.parametrize("given", [("--datapath", "xor"), ("--datapath", "l1-xor"), ("--circuit", "xor")], ids=str)
@pytest.mark.parametrize("verb", [("count",), ("estimate",), ("simulate", "--limit", "4")], ids=str)
def test_a_networks_adder_layers_run_on_the_datapath(verb, given):
    layers = document(verb[0], "lenet5-adder", *verb[1:], *given)["layers"]
    assert {layer["datapath"] for layer in layers} == {"l1-xor", None}


@pytest.mark.parametrize("given", [("--datapath", "mac,1c1a"), ("--datapath", "mac", "--datapath", "l1-1c1a")], ids=str)
def test_several_arithmetics_take_one_each(given):
    found = document("compare", "lenet5-adder", "lenet5-conv", *given)["results"]
    used = [set(result["count"]["taps_by_datapath"]) for result in found]
    assert used == [{"l1-1c1a"}, {"mac"}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("count", "lenet5-adder", "--datapath", "3a"),
            "--datapath: unknown datapath '3a'; known: l1-2a, l1-1c1a, l1-xor, mac",
        ),
        (
            ("simulate", "lenet5-adder", "--datapath", "2a,xor"),
            "--datapath: found l1-2a and l1-xor, which both compute l1; give one",
        ),
        (
            ("estimate", "lenet5-adder", "--datapath", "mac"),
            "--datapath: found mac, which no layer computes; the layers run on l1-2a",
        ),
        (
            ("compare", "lenet5-conv", "lenet5-conv@systolic-32x32", "--datapath", "xor"),
            "--datapath: found l1-xor, which no layer computes; the layers run on mac",
        ),
        (
            ("simulate", "lenet5-conv", "--limit", "4", "--datapath", "xor"),
            "--datapath: found l1-xor, which no layer computes; the layers run on mac",
        ),
        (
            ("simulate", "lenet5-adder", "--limit", "4", "--datapath", "2a,mac"),
            "--datapath: found mac, which no layer computes; the layers run on l1-2a",
        ),
        (
            ("report", "lenet5-conv", "--limit", "4", "--datapath", "xor"),
            "--datapath: found l1-xor, which no layer computes; the layers run on mac",
        ),
        (
            ("search", "lenet5-adder", "--datapath", "mac", "--out", "never-made"),
            "--datapath: found mac, which no layer computes; the layers run on l1-2a",
        ),
    ],
    ids=str,
)
def test_what_no_layer_can_run_on_is_refused_in_one_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = refusal(*arguments)
    assert found.startswith(message)
    assert "\n" not in found


def test_every_verb_that_prices_has_the_option_and_hides_the_former_name():
    for verb in ("simulate", "count", "estimate", "compare", "report", "sweep", "search"):
        text = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"}).invoke(app, [verb, "--help"]).stdout
        assert "--datapath" in text
        assert "--circuit" not in text


@pytest.mark.parametrize("datapath", ["2a,xor,mac", "l1-2a,l1-xor"])
def test_the_axis_of_a_study_is_called_datapath_and_circuit_is_read_as_before(datapath, tmp_path):
    named = make_study(["lenet5-adder"], {"datapath": datapath}, {})
    assert [rules.circuit for rules in named.rules()] == ["2a", "xor"]
    assert [*named.rules()] == [*Study(networks="lenet5-adder", circuit=("2a", "xor")).rules()]
    write_study(tmp_path, named)
    assert read_study(tmp_path) == named


def test_a_study_that_names_both_or_an_unknown_datapath_is_refused():
    with pytest.raises(ConfigError, match="datapath: circuit is its former name; give one of them"):
        Study(networks="lenet5-adder", datapath="xor", circuit="xor")
    with pytest.raises(ConfigError, match="datapath: unknown datapath '3a'; known: l1-2a"):
        Study(networks="lenet5-adder", datapath="3a")


def test_an_option_replaces_a_studys_axis_under_its_former_name():
    found = make_study(["adder-vs-mac"], {"datapath": "xor"}, {})
    assert {rules.circuit for rules in found.rules()} == {"xor"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("simulate", "lenet5-conv", "--limit", "4"),
        ("report", "lenet5-conv"),
        ("search", "lenet5-conv", "--out", "never-made"),
        ("count", "lenet5-conv"),
        ("estimate", "lenet5-conv"),
        ("compare", "lenet5-conv"),
    ],
    ids=lambda one: one[0],
)
def test_the_former_name_is_checked_as_the_new_one(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = "--datapath: found l1-xor, which no layer computes; the layers run on mac"
    assert refusal(*arguments, "--circuit", "xor") == refusal(*arguments, "--datapath", "xor") == told


@pytest.mark.parametrize("option", ["--datapath", "--circuit"])
@pytest.mark.parametrize(
    ("network", "given", "told"),
    [
        ("lenet5-conv", "2a,xor", "found l1-2a, which no layer of the networks computes; they compute mac"),
        ("lenet5-adder", "xor,mac", "found mac, which no layer of the networks computes; they compute l1"),
    ],
)
def test_a_sweep_refuses_datapaths_that_no_network_computes(option, network, given, told, tmp_path):
    assert refusal("sweep", network, "--bits", "8", option, given, "--out", str(tmp_path / "s")) == f"datapath: {told}"
    assert not (tmp_path / "s").exists()


def test_a_sweep_takes_datapaths_of_some_of_its_networks():
    plan = make_plan(Study(networks=("lenet5-adder", "lenet5-conv"), bits=8, datapath=("2a", "xor", "mac"), images=2))
    assert [(point.network, point.circuit) for point in plan.points] == [
        ("lenet5-adder", "2a"),
        ("lenet5-adder", "xor"),
        ("lenet5-conv", None),
    ]
