"""Quantisation: rewrites change nothing, formats keep their promises, more bits come closer, bad rules are refused."""

import numpy as np
import pytest

from addersim import Accumulator, LayerBits, Quantization, quantize, simulate
from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.errors import FormatError, NetworkError, QuantizationError
from addersim.layers import Affine, IntegerWindow, Window
from addersim.quantization.rewrites import clip_weights, fold_batch_norm, pair_windows, scale_channels
from tests.unit.networks import images, residual


@pytest.fixture(scope="module", params=ARITHMETICS)
def network(request):
    return residual(arithmetic=request.param)


@pytest.fixture(scope="module")
def pixels(network):
    return images(network, 64)


def bills(program, windows):
    known = program.static_values()
    return {name: one.bill(known[name], known[one.inputs[0]]) for name, one in windows.items()}


def close(first, second):
    return np.allclose(first, second, rtol=1e-4, atol=1e-4 * np.abs(second).max())


def test_pairing_changes_no_score_and_gives_each_window_its_affine(network, pixels):
    paired, twins = pair_windows(network)
    assert close(paired.run(pixels), network.run(pixels))
    readers = {layer.inputs[0]: layer for layer in paired.layers}
    for layer in paired.layers:
        if isinstance(layer, Window):
            assert layer.bias is None
            assert isinstance(readers[layer.name], Affine)
    assert twins["scores.requantize"] == "scores"
    assert set(twins.values()) <= {layer.name for layer in network.layers}


def test_affine_layers_that_follow_each_other_become_one():
    one = residual()
    double = [Affine(name="again", inputs=("stem_norm",), multiplier=np.array([0.5]), addend=np.array([0.25]))]
    place = next(i for i, layer in enumerate(one.layers) if layer.name == "stem_norm") + 1
    layers = [*one.layers[:place], *double, *one.layers[place:]]
    layers[place + 1] = type(layers[place + 1])(name="stem_relu", inputs=("again",))
    chained = type(one)(name="chained", input_shape=one.input_shape, mean=one.mean, std=one.std, layers=tuple(layers))
    paired, _ = pair_windows(chained)
    assert "stem_norm" not in {layer.name for layer in paired.layers}
    assert close(paired.run(images(one)), chained.run(images(one)))


def test_folding_and_scaling_change_no_score(network, pixels):
    paired, _ = pair_windows(network)
    folded = fold_batch_norm(paired)
    assert close(folded.run(pixels), network.run(pixels))
    random = np.random.default_rng(0)
    scales = {one.name: random.uniform(0.1, 10, len(one.weights)) for one in folded.layers if isinstance(one, Window)}
    assert close(scale_channels(folded, scales).run(pixels), network.run(pixels))
    for layer in folded.layers:
        if isinstance(layer, Affine) and any(
            layer.inputs[0] == one.name and one.arithmetic == "mac" for one in windows(folded)
        ):
            assert (layer.multiplier == 1).all()


def windows(network):
    return [layer for layer in network.layers if isinstance(layer, Window)]


def test_clipping_weights_to_the_input_range_is_exact(pixels):
    network = residual(arithmetic="l1")
    paired, _ = pair_windows(network)
    ranges = {}
    values = dict(paired.values(pixels))
    for layer in windows(paired):
        ranges[layer.name] = (min(0.0, float(values[layer.inputs[0]].min())), float(values[layer.inputs[0]].max()))
    clipped = clip_weights(paired, ranges)
    assert close(clipped.run(pixels), network.run(pixels))
    adders = [layer for layer in windows(clipped) if layer.arithmetic == "l1"]
    assert all(ranges[one.name][0] <= one.weights.min() and one.weights.max() <= ranges[one.name][1] + 1e-6 for one in adders)
    assert any(not np.array_equal(a.weights, b.weights) for a, b in zip(adders, windows(paired)[1:], strict=False))


def test_clipping_is_exact_in_integers_too(pixels):
    """The same formats with and without clipping: codes of the sums differ by the constant that moved, and by nothing else."""
    random = np.random.default_rng(3)
    x = random.integers(0, 16, (4, 6, 6, 3)).astype(np.uint8)
    wide = random.integers(-40, 60, (5, 3, 3, 3)).astype(np.int8)
    from addersim import kernels

    options = {"arithmetic": "l1", "stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    whole = kernels.window(x, wide, **options).values
    clipped = kernels.window(x, np.clip(wide, 0, 15), **options).values
    lost = np.abs(wide.astype(int) - np.clip(wide, 0, 15)).sum(axis=(1, 2, 3))
    assert np.array_equal(whole, clipped - lost)


@pytest.mark.parametrize("calibration", ["mse", "percentile", "min-max"])
@pytest.mark.parametrize("correction", ["none", "mean", "mean-variance"])
def test_twelve_bits_agree_with_float(network, pixels, calibration, correction):
    rules = Quantization(weight_bits=12, activation_bits=12, calibration=calibration, correction=correction)
    found = simulate(quantize(network, pixels, rules), images(network, 40, seed=9), network=network)
    assert found.agreement == 1.0
    assert max(error.relative_error for error in found.errors) < 0.05


def test_errors_shrink_with_bits(network, pixels):
    worst = []
    for bits in (4, 6, 8, 12):
        program = quantize(network, pixels, Quantization(weight_bits=bits, activation_bits=bits))
        worst.append(simulate(program, pixels, network=network).errors[-1].relative_error)
    assert worst == sorted(worst, reverse=True)
    assert worst[-1] < worst[0] / 10


def test_layers_get_their_own_widths(network, pixels):
    rules = Quantization(layers={"first": LayerBits(weight_bits=3, activation_bits=5)})
    program = quantize(network, pixels, rules)
    found = {layer.name: layer for layer in program.layers if isinstance(layer, IntegerWindow)}
    window = next(layer for layer in network.layers if layer.name == "first")
    codec, trained = ARITHMETICS[window.arithmetic].codec, window.weight_bits or 8
    stored = {name: bill.weights.bits for name, bill in bills(program, found).items()}
    assert stored["first"] == min(3, codec.most)
    assert found["first"].input_format.bits >= 5
    assert stored["grouped"] == min(trained, codec.most)


@pytest.mark.parametrize(("weights", "activations"), [(4, 8), (8, 4), (3, 12), (16, 8)])
def test_adder_operands_of_other_widths_share_one_grid(pixels, weights, activations):
    network = residual(arithmetic="l1")
    program = quantize(network, pixels, Quantization(weight_bits=weights, activation_bits=activations))
    for layer in program.layers:
        if isinstance(layer, IntegerWindow) and layer.datapath.startswith("l1"):
            ratio = layer.weight_format.scale / layer.input_format.scale
            assert np.log2(ratio).is_integer()
            assert layer.scale == min(layer.weight_format.scale, layer.input_format.scale)
    assert simulate(program, pixels, network=network).agreement > 0.5


def test_power_of_two_scales(network, pixels):
    program = quantize(network, pixels, Quantization(power_of_two=True))
    assert all(value.scale == 2.0 ** round(np.log2(value.scale)) for value in program.static_values().values())


def test_without_images_a_program_counts_but_does_not_run(network, pixels):
    counted, real = quantize(network, None), quantize(network, pixels)
    assert counted.trace().taps == real.trace().taps
    assert [layer.operations.total("mux") for layer in counted.trace().layers] == [
        layer.operations.total("mux") for layer in real.trace().layers
    ]
    with pytest.raises(QuantizationError, match="was made without calibration images: it can be counted, not run"):
        counted.run(pixels)


@pytest.mark.parametrize("circuit", ["2a", "1c1a", "xor"])
def test_circuits_change_the_bill_and_no_number(pixels, circuit):
    network = residual(arithmetic="l1")
    program = quantize(network, pixels, Quantization(circuit=circuit))
    assert np.array_equal(program.run(pixels), quantize(network, pixels).run(pixels))
    assert set(program.trace().taps_by_datapath()) == {"mac", f"l1-{circuit}"}


def test_correction_brings_the_float_means_back(network, pixels):
    def offset(correction):
        program = quantize(network, pixels, Quantization(weight_bits=4, activation_bits=4, correction=correction))
        values = {name: run.values for name, run in program.runs(pixels)}
        scale = program.static_values()["first_norm"].scale
        expected = dict(network.values(pixels))["first_norm"]
        return np.abs((values["first_norm"] * scale).mean(axis=(0, 1, 2)) - expected.mean(axis=(0, 1, 2))).mean()

    assert offset("mean") < offset("none")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Quantization(weight_bits=1), FormatError, r"weight_bits: found 1, needs a whole number in 2\.\.16"),
        (lambda: Quantization(activation_bits=17), FormatError, r"activation_bits: found 17, needs a whole number in 2\.\.16"),
        (
            lambda: Quantization(layers={"first": LayerBits(weight_bits=99)}),
            FormatError,
            r"layers\.first\.weight_bits: found 99, needs a whole number in 2\.\.16",
        ),
        (lambda: Quantization(multiplier_bits=64), FormatError, r"multiplier_bits: found 64, needs a whole number in 2\.\.32"),
        (lambda: Quantization(percentile=20), FormatError, r"percentile: 20 is outside 50\.\.100"),
        (
            lambda: quantize(residual(), None, Quantization(layers={"thirst": LayerBits(weight_bits=4)})),
            QuantizationError,
            r"layers\.thirst: no window layer has this name; known: stem, first, grouped, depthwise, scores",
        ),
        (
            lambda: quantize(residual(), images(residual(), 0)),
            QuantizationError,
            "no calibration images; give at least one",
        ),
        (
            lambda: quantize(residual(), None, Quantization(accumulator=Accumulator(12))),
            NetworkError,
            r"layer stem: the accumulator has 12 bits and its worst case needs 20; widen it, or .* 12:saturate or 12:wrap",
        ),
    ],
)
def test_impossible_rules_are_refused_in_one_line(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_prepared_network_serves_any_rules():
    from addersim.quantization.pipeline import prepare, quantize_prepared

    network = residual()
    pixels = images(network, 8)
    prepared = prepare(network, pixels)
    for bits in (3, 8):
        how = Quantization(weight_bits=bits, activation_bits=bits)
        ours, twin = quantize_prepared(prepared, how, threads=1), quantize(network, pixels, how)
        assert ours.table() == twin.table()
        assert np.array_equal(ours.run(pixels), twin.run(pixels))
    with pytest.raises(QuantizationError, match="prepared with another fold_batch_norm"):
        quantize_prepared(prepared, Quantization(fold_batch_norm=False))
    with pytest.raises(QuantizationError, match="layers.nowhere: no window layer has this name"):
        quantize_prepared(prepared, Quantization(layers={"nowhere": LayerBits(weight_bits=4)}))
