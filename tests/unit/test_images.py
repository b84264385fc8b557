"""The contract of images: what a network is given is what it takes, or one line says what to do; nothing is cut in silence."""

import numpy as np
import pytest

from addersim import Network, Program, quantize, simulate
from addersim.errors import DataError, NetworkError
from addersim.images import Preprocessing, look_up
from addersim.kernels import reference
from addersim.layers import Move, Window

RNG = np.random.default_rng(3)


def network(shape=(1, 4, 4), mean=(0.0,), std=(1.0,), known=True, arithmetic="mac"):
    weights = RNG.normal(0, 1, (3, int(np.prod(shape)), 1, 1)).astype(np.float32)
    flat = () if len(shape) == 1 else (Move(name="flat", inputs=("input",), target=(-1,)),)
    source = "input" if len(shape) == 1 else "flat"
    layers = (*flat, Window(name="fc", inputs=(source,), arithmetic=arithmetic, weights=weights))
    return Network(name="n", input_shape=shape, mean=mean, std=std, layers=layers, preprocessing_known=known)


@pytest.mark.parametrize(
    ("shape", "given", "advice"),
    [
        ((3, 5, 5), (2, 1, 5, 5), r"channels stand second: images\.repeat\(3, axis=1\)$"),
        ((1, 5, 5), (2, 3, 5, 5), "the network takes grey images: convert them as in training"),
        ((3, 5, 4), (2, 5, 4, 3), r"images\.transpose\(0, 3, 1, 2\)"),
        ((3, 5, 5), (2, 5, 5), r"images\[:, None\]\.repeat\(3, axis=1\)"),
        ((1, 5, 5), (2, 5, 5), r"images\[:, None\]$"),
        ((3, 5, 5), (2, 5, 5, 1), r"images\.transpose\(0, 3, 1, 2\)\.repeat\(3, axis=1\)"),
        ((1, 5, 5), (2, 5, 5, 3), r"images\.transpose\(0, 3, 1, 2\), then the network takes grey images"),
        ((3, 5, 5), (3, 5, 5), r"for one image, give images\[None\]"),
        ((25,), (2, 1, 5, 5), r"reshape them to \(-1, 25\)"),
        ((1, 5, 5), (2, 25), r"reshape them to \(-1, 1, 5, 5\)"),
        ((9, 12), (2, 12, 9), r"images\.transpose\(0, 2, 1\)"),
        ((3, 5, 5), (2, 3, 6, 6), r"expected \(images, 3, 5, 5\)$"),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_images_of_another_shape_are_refused_with_what_to_do(shape, given, advice, dtype):
    with pytest.raises(DataError, match=advice):
        list(network(shape).values(np.zeros(given, dtype)))


@pytest.mark.parametrize(
    ("net", "images"),
    [
        (network(), RNG.uniform(0, 255, (4, 1, 4, 4))),
        (network(mean=(0.5,), std=(0.25,)), RNG.uniform(0, 255, (4, 1, 4, 4))),
        (network(mean=(0.5,), std=(0.25,)), RNG.uniform(-127, 128, (4, 1, 4, 4))),
        (network(known=False), RNG.uniform(0, 255, (4, 1, 4, 4))),
        (network((16,), known=False), RNG.integers(0, 256, (4, 16))),
    ],
)
def test_float_images_of_0_to_255_are_refused_by_all_who_take_images(net, images):
    images = images.astype(np.float32)
    told = "give uint8 pixels, or divide by 255 and normalise as in training"
    program = quantize(net, np.ones_like(images))
    for call in (lambda: quantize(net, images), lambda: net.run(images), lambda: simulate(program, images)):
        with pytest.raises(DataError, match=told):
            call()


def test_wide_images_are_taken_where_the_network_says_or_may_mean_so():
    wide = RNG.uniform(0, 255, (4, 1, 4, 4)).astype(np.float32)
    assert network(std=(1 / 255,)).run(wide).shape == (4, 3)
    assert network(known=False).run(wide - 120).shape == (4, 3)  # less the mean, as some networks were trained
    assert network((16,), known=False).run(wide.reshape(4, 16)).shape == (4, 3)  # features of any unit


@pytest.mark.parametrize("arithmetic", ["mac", "l1"])
def test_negative_float_images_make_the_input_signed_and_are_not_cut(arithmetic):
    net = network(arithmetic=arithmetic)
    images = RNG.normal(0, 1, (64, 1, 4, 4)).astype(np.float32)
    program = quantize(net, images)
    assert program.input.signed
    assert "signed: the calibration images hold negative values" in str(program)
    found = simulate(program, images, network=net)
    assert found.input_clipped < 0.01
    assert found.errors[0].relative_error < 0.02
    assert not quantize(net, np.abs(images)).input.signed
    assert not quantize(net, None).input.signed


def test_values_beyond_the_calibrated_range_are_counted_and_warned_of():
    net = network()
    program = quantize(net, (np.arange(64, dtype=np.uint8).reshape(4, 1, 4, 4)))
    bright = np.full((5, 1, 4, 4), 255, np.uint8)
    bright[:, :, :2] = 10
    for images in (bright, bright.astype(np.float32) / 255):
        found = simulate(program, images)
        assert found.input_clipped == found.to_dict()["input_clipped"] == 0.5
        assert found.warnings[0].startswith("50.0 % of the input values lie beyond the input's format u8*")
    dim = simulate(program, np.full((5, 1, 4, 4), 10, np.uint8))
    assert (dim.input_clipped, dim.warnings) == (0.0, ())


def test_accuracy_of_an_unknown_preprocessing_carries_one_warning():
    images = RNG.integers(0, 256, (8, 1, 4, 4), dtype=np.uint8)
    unknown, known = (quantize(network(known=one), images) for one in (False, True))
    found = simulate(unknown, images)
    assert len(found.warnings) == 1
    assert "lower with --mean and --std as in training (pixels / 255 alone: --mean 0 --std 1)" in str(found)
    assert found.to_dict()["warnings"] == found.warnings
    assert simulate(known, images).warnings == ()
    assert simulate(unknown, images.astype(np.float32) / 255).warnings == ()


def test_what_is_known_of_the_preprocessing_is_saved_and_files_without_it_are_known(tmp_path):
    for known in (True, False):
        net = network(known=known)
        net.save(tmp_path / "n.npz")
        quantize(net, None).save(tmp_path / "p.npz")
        assert Network.load(tmp_path / "n.npz").preprocessing.known == known
        assert Program.load(tmp_path / "p.npz").preprocessing.known == known
    layers = net.layers
    assert Network.lowered("n", (1, 4, 4), layers, None, None, (), {}).preprocessing_known is False
    assert Network.lowered("n", (1, 4, 4), layers, [0], [1], (), {}).preprocessing_known is True
    given = Preprocessing(mean=(0.5,), std=(0.5,))
    assert Network.lowered("n", (1, 4, 4), layers, None, None, (), {}, preprocessing=given).preprocessing == given


@pytest.mark.parametrize("shape", [(6,), (3, 8), (3, 4, 5)])
@pytest.mark.parametrize("one_for_all", [True, False])
def test_pixels_of_any_rank_are_normalised_by_channel_or_by_one_number(shape, one_for_all):
    channels = 1 if one_for_all else shape[0]
    mean, std = RNG.uniform(0.1, 0.9, (2, channels))
    pixels = RNG.integers(0, 256, (7, *shape), dtype=np.uint8)
    axes = (channels, *[1] * (len(shape) - 1))
    expected = np.moveaxis((pixels / 255 - mean.reshape(axes)) / std.reshape(axes), 1, -1).astype(np.float32)
    levels = Preprocessing(mean=tuple(mean), std=tuple(std)).levels(shape)
    assert np.array_equal(look_up(pixels, levels), expected)
    assert np.array_equal(look_up(pixels, levels, kernel=reference.look_up), expected)
    assert look_up(pixels[:0], levels).shape == (0, *expected.shape[1:])
    net = network(shape, tuple(mean), tuple(std))
    program = quantize(net, pixels)
    assert simulate(program, pixels, network=net).agreement == 1.0
    floats = np.moveaxis(expected, -1, 1)
    assert np.array_equal(program.run(pixels), program.run(floats))


@pytest.mark.parametrize("shape", [(), (1, 2, 3, 4), (0, 3)])
def test_impossible_inputs_are_refused(shape):
    with pytest.raises(NetworkError, match=r"is not \(features\) or \(channels, length\) or \(channels, height, width\)"):
        Preprocessing(mean=(0.0,), std=(1.0,)).check(shape)
    with pytest.raises(NetworkError, match="2 and 1 values for 3 channels; give one a channel, or one for all"):
        Preprocessing(mean=(0.0, 0.1), std=(1.0,)).check((3, 2))
