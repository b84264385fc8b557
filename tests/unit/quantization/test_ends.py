"""First and last window layer in a width of their own, in one word."""

import json

import pytest
from typer.testing import CliRunner

from addersim.cli import app
from addersim.cli.sweep import make_study
from addersim.config import load_toml
from addersim.datasets import load
from addersim.errors import ConfigError, FormatError
from addersim.exploration.bit_search import to_toml
from addersim.exploration.sensitivity import Judge
from addersim.frontends.scalesim.topology import load_topology, topology_trace
from addersim.layers import IntegerWindow
from addersim.model_zoo import load_network
from addersim.quantization.pipeline import quantize
from addersim.quantization.rules import LayerBits, Quantization
from tests.unit import networks

ENDS = Quantization(weight_bits=4, activation_bits=3, ends_bits=8)


def widths(program):
    windows = [layer for layer in program.layers if isinstance(layer, IntegerWindow)]
    return [(layer.name, layer.weight_format.bits, layer.input_format.bits) for layer in windows]


@pytest.mark.parametrize("images", [24, None])
def test_the_first_and_the_last_window_have_the_width_of_ends(images):
    network = networks.residual()
    program = quantize(network, images and networks.images(network, images), ENDS)
    first, *between, last = widths(program)
    assert first == ("stem", 8, 8)
    assert last == ("scores", 8, 8)
    assert {weights for _, weights, _ in between} == {4}


def test_ends_are_the_same_rules_as_two_layers_by_name():
    network = networks.residual(arithmetic="mac")
    images = networks.images(network)
    by_name = Quantization(
        weight_bits=4, activation_bits=3, layers=dict.fromkeys(("stem", "scores"), LayerBits(weight_bits=8, activation_bits=8))
    )
    assert (quantize(network, images, ENDS).run(images) == quantize(network, images, by_name).run(images)).all()


def test_a_layers_own_width_comes_first():
    network = networks.residual()
    own = Quantization(weight_bits=4, activation_bits=3, ends_bits=8, layers={"scores": LayerBits(weight_bits=6)})
    assert widths(quantize(network, None, own))[-1] == ("scores", 6, 8)
    assert Quantization(ends_bits=8).for_windows(["only"]).layers == {"only": LayerBits(weight_bits=8, activation_bits=8)}


def test_a_width_out_of_range_is_refused():
    with pytest.raises(FormatError, match=r"ends_bits: found 1, needs a whole number in 2\.\.16"):
        Quantization(ends_bits=1)


def test_rules_in_a_file_keep_it(tmp_path):
    for how in (ENDS, Quantization()):
        (tmp_path / "rules.toml").write_text(to_toml(how))
        assert load_toml(tmp_path / "rules.toml", Quantization) == how


def test_a_study_takes_it():
    for base in (["lenet5-adder"], ["bit-widths"]):
        assert {one.ends_bits for one in make_study(base, {"bits": "2,4"}, {"ends": 8}).rules()} == {8}


def test_a_search_leaves_ends_as_they_are():
    network = load_network("lenet5-conv")
    judge = Judge(network, load("fashion-mnist-2000", None, "train", 8), ENDS, "systolic-16x16", "horowitz-45nm")
    assert judge.layers == ("conv2", "fc1", "fc2")
    short = networks.deep(4)
    with pytest.raises(ConfigError, match="ends_bits 8: network deep-chain has no window between its ends"):
        _ = Judge.layers.fget(type("Short", (), {"network": short, "rules": ENDS}))


@pytest.mark.parametrize("verb", ["simulate", "count", "estimate", "report", "compare"])
def test_verbs_take_it(verb, tmp_path):
    output = ["--output", str(tmp_path)] if verb == "report" else []
    limit = ["--limit", "20"] if verb in ("simulate", "report") else []

    def said(*ends):
        result = CliRunner().invoke(app, [verb, "lenet5-conv", "--bits", "4", *ends, *limit, *output, "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    assert said("--ends", "8") != said()


def test_a_topology_takes_it(tmp_path):
    header = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
    rows = "\n".join(f"{name},8,8,3,3,4,4,1," for name in ("one", "two", "three"))
    (tmp_path / "net.csv").write_text(f"{header}{rows}\n")
    trace = topology_trace(
        load_topology(tmp_path / "net.csv"), "mac", Quantization(weight_bits=4, activation_bits=4, ends_bits=8)
    )
    assert [layer.operand_bits for layer in trace.layers] == [8, 4, 8]
