"""Totals by hand: taps, parameters and bytes; what layers share is counted once, and constants that nobody trained not."""

import json

import numpy as np
import pytest

from addersim import Network, Program, Quantization, count, quantize
from addersim.errors import NetworkError
from addersim.layers import Affine, Move, Window
from addersim.quantization import LayerBits
from addersim.totals import Totals, largest_live
from tests.command_line import call

RNG = np.random.default_rng(5)
WEIGHTS = RNG.normal(0, 1, (2, 2, 1, 1)).astype(np.float32)
BIAS = np.array([0.5, -0.5], np.float32)


def network(shared="one", bias=BIAS, trained=0, arithmetic="mac", weights=WEIGHTS):
    layers = (
        Window(name="one", inputs=("input",), arithmetic=arithmetic, weights=WEIGHTS, bias=BIAS),
        Window(name="two", inputs=("input",), arithmetic=arithmetic, weights=weights, bias=bias, shared=shared),
        Affine(name="half", inputs=("two",), multiplier=np.array([0.5]), addend=np.zeros(1), trained=trained),
        Move(name="flat", inputs=("half",), target=(-1,)),
        Window(name="fc", inputs=("flat",), arithmetic="mac", weights=np.ones((3, 18, 1, 1), np.float32)),
    )
    return Network(name="n", input_shape=(2, 3, 3), mean=(0.0,), std=(1.0,), layers=layers)


def test_of_a_float_network_by_hand():
    found = network().totals()
    assert found.parameters == (4 + 2) + 0 + 0 + 54
    assert found.macs == {"mac": 2 * 9 * 2 * 2 + 54}
    assert found.weight_bytes == 4 * found.parameters
    assert found.activation_bytes == 4 * (5 * 18 + 3)
    assert network(arithmetic="l1").totals().macs == {"l1": 72, "mac": 54}
    assert network(shared=None).totals().parameters == 66
    assert network(bias=BIAS + 1).totals().parameters == 62  # weights shared, a bias of its own
    assert network(trained=None).totals().parameters == 62  # as files of before count
    assert network(trained=4).totals().parameters == 64
    assert sum(row["parameters"] for row in network().table()) == 60


def test_the_most_at_a_time_by_hand():
    assert largest_live([4, 10, 10, 1], [[0], [1], [1, 2]]) == 21
    assert largest_live([4, 2, 1], [[0], [0, 1]]) == 7
    assert largest_live([4, 2, 2], [[0], [1]]) == 6


@pytest.mark.parametrize("arithmetic", ["mac", "l1"])
def test_shared_codes_are_stored_once_and_run_each_time(arithmetic):
    images = RNG.integers(0, 256, (8, 2, 3, 3), dtype=np.uint8)
    how = Quantization(fold_batch_norm=False)
    for calibration in (None, images):
        together, apart = (quantize(network(one, arithmetic=arithmetic), calibration, how) for one in ("one", None))
        first, second = count(together), count(apart)
        assert first.operations == second.operations
        assert second.totals().weight_bytes - first.totals().weight_bytes == 4
        assert first.totals().macs == second.totals().macs
    assert [layer.shared for layer in together.layers if layer.kind() == "window"] == [None, "one", None]


def test_weights_of_two_widths_are_stored_twice_and_a_folded_factor_leaves_the_codes_shared():
    images = RNG.integers(0, 256, (8, 2, 3, 3), dtype=np.uint8)
    for how, shared in ((Quantization(), True), (Quantization(layers={"two": LayerBits(weight_bits=4)}), False)):
        assert any(layer.weights_shared for layer in count(quantize(network(), images, how)).layers) is shared


def test_a_layer_shares_what_is_there(tmp_path):
    told = "network n: layer two shares the weights of 'none', which no layer before it has"
    with pytest.raises(NetworkError, match=told):
        network("none")
    with pytest.raises(NetworkError, match="shares the weights of 'one'"):
        network(weights=WEIGHTS + 1)
    net = network()
    net.save(tmp_path / "n.npz")
    assert Network.load(tmp_path / "n.npz").totals() == net.totals()
    program = quantize(net, None, Quantization(fold_batch_norm=False))
    program.save(tmp_path / "p.npz")
    assert count(Program.load(tmp_path / "p.npz")).totals() == count(program).totals()
    with pytest.raises(NetworkError, match="-1 trained values"):
        network(trained=-1)


def test_a_line_and_a_document_say_the_same():
    found = Totals({"l1": 1000, "mac": 54}, 60, 240, 360, 216)
    told = "total of one image: taps 1,000 l1, 54 mac; parameters 60; weights 240 bytes; activations 360 bytes, at most 216"
    assert str(found).startswith(told)
    assert found.to_dict()["macs"] == {"l1": 1000, "mac": 54}


def test_count_prints_the_totals_and_their_parts_add_up():
    def run(*more):
        return call("count", "lenet5-adder", *more).stdout

    document = json.loads(run("--json"))
    totals = document["totals"]
    assert sum(totals["macs"].values()) == document["taps"]
    bits = sum(layer["weight_words"] * layer["weight_bits"] for layer in document["layers"])
    assert totals["weight_bytes"] == -(-bits // 8)
    printed = " ".join(run().split())
    assert f"total of one image: taps {totals['macs']['l1']:,} l1; parameters {totals['parameters']:,}; " in printed
    assert f"weights {totals['weight_bytes']:,} bytes; activations {totals['activation_bytes']:,} bytes" in printed
