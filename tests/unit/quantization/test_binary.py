"""Binary networks: where only signs are read, one bit is held, whatever width is asked for."""

import numpy as np
import pytest

from addersim import Quantization, quantize, simulate
from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.layers import AveragePool, MaxPool, Move, Window
from addersim.network import Network
from addersim.quantization.calibration import Member, Sample, choose_scale
from tests.unit.networks import images, norm, values


@pytest.fixture(scope="module")
def network():
    """A multiplying stem and end; between them two binary layers, the first behind a pool that passes its codes on."""
    random = np.random.default_rng(3)

    def window(name, source, *shape, arithmetic, **options):
        weights = values(ARITHMETICS[arithmetic].codec, random.normal(0, 1, shape).astype(np.float32))
        return Window(name=name, inputs=(source,), arithmetic=arithmetic, weights=weights, **options)

    layers = (
        window("stem", "input", 6, 2, 3, 3, arithmetic="mac", padding=(1, 1)),
        norm(random, "stem_norm", "stem", 6, 0.25),
        MaxPool(name="pooled", inputs=("stem_norm",), kernel=(2, 2), stride=(2, 2)),
        window("first", "pooled", 6, 6, 3, 3, arithmetic="xnor", padding=(1, 1)),
        norm(random, "first_norm", "first", 6, 0.12),
        window("second", "first_norm", 6, 6, 3, 3, arithmetic="xnor"),
        norm(random, "second_norm", "second", 6, 0.12),
        AveragePool(name="mean", inputs=("second_norm",), kernel=None),
        Move(name="flat", inputs=("mean",)),
        window("scores", "flat", 5, 6, 1, 1, arithmetic="mac"),
    )
    return Network(name="binary", input_shape=(2, 10, 10), mean=(0.4, 0.5), std=(0.2, 0.3), layers=layers)


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_what_only_signs_are_read_of_is_one_bit(network, bits):
    program = quantize(network, images(network, 16), Quantization(weight_bits=bits, activation_bits=bits))
    held = {layer.inputs[0]: layer.input_format.bits for layer in program.layers if layer.kind() == "window"}
    assert held == {"input": bits, "pooled": 1, "first_norm": 1, "flat": bits}


def test_signs_are_not_compared_with_what_they_are_the_signs_of(network):
    pixels = images(network, 16)
    found = simulate(quantize(network, pixels), pixels, network=network)
    compared = {error.name for error in found.errors}
    assert not compared & {"stem_norm", "pooled", "first_norm"}
    assert {"input", "second_norm", "mean"} <= compared


def test_the_scale_of_signs_is_the_largest_magnitude():
    """A code of one bit is the sign, so that no error is to be made least."""
    spread = np.array([-0.5, 0.5, 0.5, 3.0], np.float32)
    member = Member(Sample(-0.5, 3.0, spread, np.zeros(1), np.ones(1)), 1, True)
    assert choose_scale([member], "mse") == 3.0
