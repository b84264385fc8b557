"""Windows with other padding before the image than after it: as windows on images that were padded beforehand."""

import msgspec
import numpy as np
import pytest

from addersim import Quantization, quantize, simulate
from addersim.errors import NetworkError
from addersim.kernels import reference
from addersim.layers import IntegerWindow, Window
from addersim.layers.base import Value
from addersim.network import Network
from addersim.program import Program
from tests.unit.networks import images, uneven


def padded(layer, values):
    """The same window without padding, and values that have it."""
    far = layer.far_padding or layer.padding
    edges = ((0, 0), (layer.padding[0], far[0]), (layer.padding[1], far[1]), (0, 0))
    return msgspec.structs.replace(layer, padding=(0, 0), far_padding=None), np.pad(values, edges)


@pytest.fixture(scope="module", params=["l1", "mac", "l2"])
def calibrated(request):
    network = uneven(arithmetic=request.param)
    return network, quantize(network, images(network), Quantization())


def test_floats_are_those_of_padded_images(calibrated):
    network, _ = calibrated
    seen = 0
    for layer in network.layers:
        if isinstance(layer, Window) and layer.far_padding:
            shape = (3, 7, 8, layer.weights.shape[1] * layer.groups)
            values = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
            plain, more = padded(layer, values)
            found = layer.run(values)
            np.testing.assert_allclose(found, plain.run(more), rtol=1e-5, atol=1e-5)
            assert layer.shape((shape[3], 7, 8)) == (found.shape[3], *found.shape[1:3])
            seen += 1
    assert seen == 4


def test_codes_and_bills_are_those_of_padded_images(calibrated):
    """Padded taps cost as taps do, wherever they lie."""
    network, program = calibrated
    values = {name: run.values for name, run in program.runs(images(network)[:3])}
    seen = 0
    for layer in program.layers:
        if isinstance(layer, IntegerWindow) and layer.far_padding:
            codes = values[layer.inputs[0]]
            plain, more = padded(layer, codes)
            assert np.array_equal(values[layer.name], plain.run(reference, more).values)
            given, wide = (Value.of((x.shape[3], *x.shape[1:3]), layer.input_format) for x in (codes, more))
            assert layer.value(given) == plain.value(wide)
            bill, expected = layer.bill(layer.value(given), given), plain.bill(plain.value(wide), wide)
            assert (bill.hardware, bill.paper) == (expected.hardware, expected.paper)
            assert bill.work.geometry.output_size(*bill.work.image) == layer.value(given).shape[1:]
            seen += 1
    assert seen == 4


def test_no_result_depends_on_batches_or_threads(calibrated):
    network, program = calibrated
    pixels = images(network, 9)
    scores = program.run(pixels, threads=1)
    assert np.array_equal(scores, program.run(pixels, threads=2))
    assert np.array_equal(scores, np.concatenate([program.run(pixels[:2]), program.run(pixels[2:])]))
    assert simulate(program, pixels, None, network).agreement > 0.5


def test_a_network_and_a_program_are_saved_with_their_padding(calibrated, tmp_path):
    network, program = calibrated
    pixels = images(network, 3)
    network.save(tmp_path / "network.npz")
    program.save(tmp_path / "program.npz")
    assert np.array_equal(Network.load(tmp_path / "network.npz").run(pixels), network.run(pixels))
    assert np.array_equal(Program.load(tmp_path / "program.npz").run(pixels), program.run(pixels))


def window(**moves):
    return Window(name="w", inputs=("input",), arithmetic="mac", weights=np.ones((1, 1, 2, 3), np.float32), **moves)


@pytest.mark.parametrize(
    ("moves", "words"),
    [
        ({}, "mac 2x3"),
        ({"padding": (1, 1)}, "mac 2x3 pad 1"),
        ({"far_padding": (1, 1)}, "mac 2x3 pad 0,1"),
        ({"padding": (0, 1), "stride": (2, 2)}, "mac 2x3 stride 2 pad 0x1"),
        ({"padding": (1, 1), "far_padding": (1, 2), "stride": (2, 1)}, "mac 2x3 stride 2x1 pad 1x1,2"),
        ({"dilation": (2, 2)}, "mac 2x3 dilation 2"),
    ],
)
def test_padding_in_words(moves, words):
    assert window(**moves).details() == words


def test_negative_padding_is_refused_with_the_layer():
    with pytest.raises(NetworkError, match=r"layer w: far_padding: \(0, -1\) is not a pair of whole numbers in 0..1048576"):
        window(far_padding=(0, -1)).shape((1, 4, 4))
