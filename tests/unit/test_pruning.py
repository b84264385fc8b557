"""Channels that are taken out of a network change no score."""

import numpy as np
import pytest
from msgspec.structs import replace

from addersim import Quantization, count, estimate, load_accelerator, quantize
from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.errors import NetworkError
from addersim.layers import Add, Affine, AveragePool, Clip, Concat, MaxPool, Move, Product, Relu, Softmax, Table, Window
from addersim.network import MISSING, WEIGHTS, Network
from addersim.pruning import prunable, remove_channels, with_zero_channels
from tests.unit.hardware.traces import fetching_weights
from tests.unit.networks import activation, images, norm, residual, values

RULES = Quantization(
    multiplier_bits=24, correction="none", power_of_two=True, per_channel=False, calibration="min-max", output_bits=12
)


def network(arithmetic="l1", seed=0):
    """Image 2 x 8 x 6: a stem, a residual block of three layers, one of them depthwise, a join, and two layers of features."""
    random = np.random.default_rng(seed)

    def window(name, source, *shape, **options):
        codec = ARITHMETICS[arithmetic].codec
        weights = values(codec, (random.normal(0, 2, shape).round() / 2).astype(np.float32))
        bits = None if codec.uniform else min(codec.most, 4)
        return Window(name=name, inputs=(source,), arithmetic=arithmetic, weights=weights, weight_bits=bits, **options)

    def after(name, channels):
        return norm(random, f"{name}_norm", name, channels, 1.0), activation(arithmetic, f"{name}_relu", f"{name}_norm")

    layers = (
        window("stem", "input", 6, 2, 3, 3, padding=(1, 1)),
        *after("stem", 6),
        window("inner", "stem_relu", 8, 6, 3, 3, padding=(1, 1)),
        *after("inner", 8),
        window("deep", "inner_relu", 8, 1, 3, 3, padding=(1, 1), groups=8),
        *after("deep", 8),
        window("outer", "deep_relu", 6, 8, 1, 1),
        norm(random, "outer_norm", "outer", 6, 1.0),
        Add(name="sum", inputs=("stem_relu", "outer_norm")),
        activation(arithmetic, "sum_relu", "sum"),
        window("side", "sum_relu", 4, 6, 3, 3, padding=(1, 1)),
        *after("side", 4),
        Concat(name="join", inputs=("sum_relu", "side_relu")),
        MaxPool(name="pool", inputs=("join",), kernel=(2, 2), stride=(2, 2)),
        Move(name="flatten", inputs=("pool",)),
        window("hidden", "flatten", 12, 10 * 4 * 3, 1, 1),
        *after("hidden", 12),
        window("scores", "hidden_relu", 5, 12, 1, 1),
        norm(random, "scores_norm", "scores", 5, 1.0),
    )
    return trained(Network(name="small", input_shape=(2, 8, 6), mean=(0.3, 0.4), std=(0.5, 0.6), layers=layers))


def trained(net):
    """Affine layers as batch norm has them after training: each channel about 0.3 in mean and 1 in spread."""
    for place, layer in enumerate(net.layers):
        if isinstance(layer, Affine):
            given = dict(net.values(images(net)))[layer.inputs[0]]
            flat = given.reshape(-1, given.shape[-1]).astype(np.float64)
            gain = layer.multiplier / (flat.std(0) + 1e-3)
            changed = replace(layer, multiplier=gain, addend=0.3 - gain * flat.mean(0))
            net = replace(net, layers=(*net.layers[:place], changed, *net.layers[place + 1 :]))
    return net


def half(channels):
    """Every other channel of some layers, from the second one on."""
    return {name: np.arange(number) % 2 == 1 for name, number in channels.items()}


def of(net, name):
    return next(layer for layer in net.layers if layer.name == name)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_scores_are_those_of_the_masked_network_and_the_network_is_smaller(arithmetic):
    whole = network(arithmetic)
    found = prunable(whole)
    assert found == {"inner_norm": 8, "deep_norm": 8, "side_norm": 4, "hidden_norm": 12}
    zeros = half({name: number for name, number in found.items() if name != "deep_norm"})
    masked = with_zero_channels(whole, zeros)
    small = remove_channels(masked)
    pictures = images(whole)
    assert not np.allclose(masked.run(pictures), whole.run(pictures), rtol=1e-3)
    assert np.allclose(small.run(pictures), masked.run(pictures), rtol=1e-5, atol=1e-5 * np.abs(masked.run(pictures)).max())
    assert {
        name: of(small, name).weights.shape for name in ("stem", "inner", "deep", "outer", "side", "hidden", "scores")
    } == {
        "stem": (6, 2, 3, 3),
        "inner": (4, 6, 3, 3),
        "deep": (4, 1, 3, 3),
        "outer": (6, 4, 1, 1),
        "side": (2, 6, 3, 3),
        "hidden": (6, 8 * 4 * 3, 1, 1),
        "scores": (5, 6, 1, 1),
    }


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_counts_and_energy_fall_by_what_is_gone(arithmetic):
    whole = network(arithmetic)
    small = remove_channels(with_zero_channels(whole, half({"inner_norm": 8, "side_norm": 4, "hidden_norm": 12})))
    taps = {layer.name: layer.work.taps for layer in count(quantize(small, None)).layers if layer.work}
    assert taps == {
        "stem": 48 * 6 * 2 * 9,
        "inner": 48 * 4 * 6 * 9,
        "deep": 48 * 4 * 9,
        "outer": 48 * 6 * 4,
        "side": 48 * 2 * 6 * 9,
        "hidden": 6 * 96,
        "scores": 5 * 6,
    }
    machine = fetching_weights(load_accelerator("systolic-16x16"))
    before, after = (estimate(count(quantize(one, None)), machine) for one in (whole, small))
    assert after.energy_pj < 0.8 * before.energy_pj
    assert after.cycles < before.cycles


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_codes_of_the_scores_are_those_of_the_masked_network(arithmetic):
    """Weights lie on the grid of powers of two, and scales do not mind the zeros: quantising changes no weight or constant."""
    masked = with_zero_channels(
        network(arithmetic), half({"inner_norm": 8, "deep_norm": 8, "side_norm": 4, "hidden_norm": 12})
    )
    small = remove_channels(masked)
    pictures = images(masked)
    one, other = (quantize(net, pictures, RULES).run(pictures) for net in (masked, small))
    assert len(np.unique(one)) > 20
    assert np.array_equal(one, other)


def linear(name, source, outputs, inputs, size=1, **options):
    weights = np.random.default_rng(len(name) + outputs).normal(0, 1, (outputs, inputs, size, size)).astype(np.float32)
    return Window(name=name, inputs=(source,), **{"arithmetic": "l1", "weights": weights, **options})


def norms(name, source, zeros, addend=0.0):
    """Batch norm whose factor is zero in some channels."""
    kept = ~np.array(zeros, bool)
    return Affine(name=name, inputs=(source,), multiplier=kept * 0.25, addend=np.where(kept, 1.5, addend))


def net(*layers, shape=(2, 5, 5)):
    return Network(name="net", input_shape=shape, mean=(0.5,) * shape[0], std=(0.5,) * shape[0], layers=layers)


def equal(one, other):
    pictures = np.random.default_rng(0).integers(0, 256, (6, *one.input_shape), dtype=np.uint8)
    assert np.allclose(one.run(pictures), other.run(pictures), rtol=1e-5, atol=1e-5)


def ends(source, channels):
    return (
        AveragePool(name="mean", inputs=(source,), kernel=None),
        Move(name="flat", inputs=("mean",)),
        linear("scores", "flat", 3, channels),
    )


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("constant", [0.0, 0.75])
def test_a_constant_goes_where_every_place_of_the_sum_sees_it(padding, constant):
    whole = net(
        linear("first", "input", 4, 2),
        norms("norm", "first", [0, 1, 0, 1], constant),
        linear("second", "norm", 3, 4, 3, padding=(padding, padding)),
        *ends("second", 3),
    )
    small = remove_channels(whole)
    equal(whole, small)
    gone = not (padding and constant)  # a padded place is a zero, which is no 0.75
    assert of(small, "first").weights.shape[0] == (2 if gone else 4)


@pytest.mark.parametrize("both", [False, True])
def test_a_channel_that_a_shortcut_adds_goes_only_where_both_sides_are_constant(both):
    whole = net(
        linear("stem", "input", 4, 2),
        norms("stem_norm", "stem", [0, both, 0, both]),
        Relu(name="relu", inputs=("stem_norm",)),
        linear("inner", "relu", 6, 4, 3, padding=(1, 1)),
        norms("inner_norm", "inner", [1, 0, 0, 1, 1, 0]),
        Relu(name="inner_relu", inputs=("inner_norm",)),
        linear("outer", "inner_relu", 4, 6, 3, padding=(1, 1)),
        norms("outer_norm", "outer", [0, 1, 0, 1]),
        Add(name="sum", inputs=("relu", "outer_norm")),
        *ends("sum", 4),
    )
    small = remove_channels(whole)
    equal(whole, small)
    assert [of(small, name).weights.shape[0] for name in ("stem", "inner", "outer")] == [2 if both else 4, 3, 2 if both else 4]
    assert prunable(whole) == {"inner_norm": 6}


def test_a_gate_takes_the_layer_that_makes_it_along():
    whole = net(
        linear("first", "input", 4, 2, arithmetic="mac"),
        norms("norm", "first", [0, 0, 1, 1]),
        AveragePool(name="global", inputs=("norm",), kernel=None),
        linear("gate", "global", 4, 4, arithmetic="mac", bias=np.ones(4, np.float32)),
        Table(name="sigmoid", inputs=("gate",), function="sigmoid"),
        Product(name="gated", inputs=("norm", "sigmoid")),
        linear("last", "gated", 3, 4, 3, padding=(1, 1)),
        *ends("last", 3),
    )
    small = remove_channels(whole)
    equal(whole, small)
    assert of(small, "gate").weights.shape == (2, 2, 1, 1)
    read = replace(whole, layers=(*whole.layers, Softmax(name="more", inputs=("gated",), axis=0)))
    assert of(remove_channels(read), "first").weights.shape[0] == 4


def test_what_is_one_number_a_channel_follows():
    whole = net(
        linear("first", "input", 4, 2),
        norms("norm", "first", [0, 1, 0, 1]),
        Table(name="prelu", inputs=("norm",), function="prelu", slopes=np.array([0.1, 0.2, 0.3, 0.4], np.float32)),
        Clip(name="clip", inputs=("prelu",), low=-3.0, high=3.0),
        linear("deep", "clip", 8, 1, groups=4),
        Concat(name="join", inputs=("clip", "input", "deep")),
        *ends("join", 14),
    )
    small = remove_channels(whole)
    equal(whole, small)
    assert np.array_equal(of(small, "prelu").slopes, np.array([0.1, 0.3], np.float32))
    assert of(small, "deep").weights.shape == (4, 1, 1, 1)
    assert of(small, "deep").groups == 2
    assert of(small, "scores").weights.shape[1] == 2 + 2 + 4


def test_empty_filters_of_linear_layers_go_and_those_of_adder_layers_stay():
    weights = np.ones((4, 2, 1, 1), np.float32)
    weights[1:3] = 0
    for arithmetic, left in (("mac", 2), ("l1", 4), ("l2", 4)):
        whole = net(linear("first", "input", 4, 2, arithmetic=arithmetic, weights=weights), *ends("first", 4))
        small = remove_channels(whole)
        equal(whole, small)
        assert of(small, "first").weights.shape[0] == left


def test_groups_and_shared_weights_keep_their_channels():
    grouped = residual()
    zeros = half({"grouped_norm": 8, "first_norm": 8})
    assert prunable(grouped) == {}
    masked = with_zero_channels(grouped, zeros)
    assert np.allclose(remove_channels(masked).run(images(grouped)), masked.run(images(grouped)), atol=1e-5)
    first = linear("first", "input", 4, 2)
    twice = net(
        first,
        norms("norm", "first", [1, 0, 0, 1]),
        replace(first, name="again", inputs=("input",), shared="first"),
        Concat(name="join", inputs=("norm", "again")),
        *ends("join", 8),
    )
    equal(twice, remove_channels(twice))
    assert of(remove_channels(twice), "first").weights.shape[0] == 4


def test_a_layer_of_which_nothing_would_be_left_and_missing_weights_are_refused():
    layers = linear("first", "input", 4, 2), norms("norm", "first", [1, 1, 1, 1]), *ends("norm", 4)
    with pytest.raises(NetworkError, match="layer first: all its 4 outputs are constant or unused; nothing would be left"):
        remove_channels(net(*layers))
    with pytest.raises(NetworkError, match="network net: its weights are missing; there is nothing to prune by"):
        remove_channels(replace(net(*layers), metadata={WEIGHTS: MISSING}))
