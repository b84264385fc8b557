"""Samples over several batches, and preparations that the rules switch on and off."""

import numpy as np
import pytest

from addersim import Quantization, quantize
from addersim.errors import FormatError
from addersim.layers import Affine, IntegerAffine, Window
from addersim.network import Network
from addersim.quantization.calibration import Member, Sample, choose_scale, sample_network
from addersim.quantization.pipeline import prepare
from tests.unit.networks import images, residual


def test_a_sample_is_of_all_batches():
    """Extremes lie in the first and in the second of three."""
    pixels = np.array([[7, 9], [1, 3], [2, 4]], np.uint8).reshape(3, 1, 1, 2)
    layer = Affine(name="a", inputs=("input",), multiplier=np.array([255.0]), addend=np.array([0.0]))
    network = Network(name="n", input_shape=(1, 1, 2), mean=(0.0,), std=(1.0,), layers=(layer,))
    found = sample_network(network, pixels, batch=1)["a"]
    assert (found.minimum, found.maximum) == pytest.approx((1.0, 9.0))
    assert sorted(found.values.round().tolist()) == [1, 2, 3, 4, 7, 9]
    assert found.mean == pytest.approx([26 / 6])
    assert found.std == pytest.approx([np.std([1, 2, 3, 4, 7, 9])], rel=1e-5)


@pytest.mark.parametrize(("channels", "side"), [(24, 64), (30, 60), (7, 182), (1, 448)])
def test_a_sample_is_of_all_channels_and_columns_alike(channels, side):
    """Values 2, 3, 7 and 6 apart, as many as are kept, would be those of some channels or columns alone."""
    layer = Affine(name="a", inputs=("input",), multiplier=np.full(channels, 255.0), addend=np.zeros(channels))
    shape = (channels, side, side)
    network = Network(name="n", input_shape=shape, mean=(0.0,) * channels, std=(1.0,) * channels, layers=(layer,))
    for ramp in (np.arange(channels)[:, None, None], np.arange(side) % 4):
        pixels = np.broadcast_to(ramp, (1, *shape)).astype(np.uint8)
        _, counts = np.unique(sample_network(network, pixels, batch=1)["a"].values.round(), return_counts=True)
        assert len(counts) == ramp.max() + 1
        assert counts.max() <= 1.1 * counts.min()


def test_the_least_error_is_that_of_all_values_that_share_a_scale():
    """Two bits without sign: all threes are exact at 1.5 and 1, all twos at 2 and 1."""
    threes, twos = (
        Member(Sample(0.0, 6.0, np.full(8, value, np.float32), np.zeros(1), np.ones(1)), 2, False) for value in (3.0, 2.0)
    )
    assert [choose_scale(members, "mse") for members in ([threes], [twos], [threes, twos], [twos, threes])] == [1.5, 2, 1, 1]


@pytest.mark.parametrize("folded", [True, False])
def test_batch_norm_is_folded_where_asked(folded):
    network = residual()
    prepared = prepare(network, None, folded).network
    norm = next(layer for layer in prepared.layers if layer.name == "stem_norm")
    stem = next(layer for layer in prepared.layers if isinstance(layer, Window))
    original = {layer.name: layer for layer in network.layers}
    gain = original["stem_norm"].multiplier
    assert np.array_equal(norm.multiplier, np.ones(8)) == folded
    assert np.allclose(stem.weights, original["stem"].weights * (gain[:, None, None, None] if folded else 1))
    first = next(layer for layer in prepared.layers if layer.name == "first_norm")
    assert np.array_equal(first.multiplier, original["first_norm"].multiplier), "adder layers cannot fold"


def test_without_correction_constants_stay_as_trained_whatever_rounds_the_weights():
    network = residual(arithmetic="mac")
    pixels = images(network)

    def constants(rounding):
        program = quantize(network, pixels, Quantization(weight_bits=4, correction="none", weight_rounding=rounding))
        return [
            one for layer in program.layers if isinstance(layer, IntegerAffine) for one in (layer.multiplier, layer.addend)
        ]

    for plain, adjusted in zip(constants("nearest"), constants("output"), strict=True):
        assert np.array_equal(plain, adjusted)


def test_percentiles_end_at_100_and_begin_above_50():
    assert Quantization(percentile=100.0).percentile == 100.0
    assert Quantization(percentile=50.1).percentile == 50.1
    for outside in (50.0, 100.1):
        with pytest.raises(FormatError, match=rf"percentile: {outside} is outside 50\.\.100"):
            Quantization(percentile=outside)
