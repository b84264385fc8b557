"""Choices by the error at a layer's output: never worse than rounding to nearest, and right against slow twins."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from addersim import Accumulator, FixedFormat, Quantization, quantize
from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.layers import IntegerWindow, Window
from addersim.quantization.output_errors import (
    _window_inputs,
    find_readers,
    input_covariance,
    refine_scale,
    round_codes,
    round_to_output,
)
from addersim.quantization.rewrites import pair_windows
from tests.unit.networks import images, residual, uneven

FINE = Quantization(weight_bits=3, activation_bits=3, calibration="output", weight_rounding="output")


def errors(codes, weights, covariance):
    """Error of each filter's sums, from the definition."""
    wrong = codes - weights
    return np.array([sum(a * b * covariance[i, j] for i, a in enumerate(d) for j, b in enumerate(d)) for d in wrong])


def problem(seed, filters=3, taps=6):
    random = np.random.default_rng(seed)
    inputs = random.integers(0, 8, (40, 2)) @ random.uniform(0, 1, (2, taps)) + random.normal(0, 0.3, (40, taps))
    return random.uniform(-4.4, 3.9, (filters, taps)), input_covariance(inputs)


@given(st.integers(0, 10_000))
def test_chosen_codes_never_leave_a_larger_error_than_nearest_and_no_single_change_helps(seed):
    weights, covariance = problem(seed)
    nearest = np.clip(np.rint(weights), -4, 3)
    chosen = round_codes(weights, nearest, covariance, (-4, 3))
    found = errors(chosen, weights, covariance)
    assert (found <= errors(nearest, weights, covariance) + 1e-9).all()
    assert chosen.min() >= -4
    assert chosen.max() <= 3
    for tap in range(weights.shape[1]):
        for neighbour in (np.floor(weights[:, tap]), np.ceil(weights[:, tap])):
            other = chosen.copy()
            other[:, tap] = np.clip(neighbour, -4, 3)
            assert (errors(other, weights, covariance) >= found - 1e-9).all()


def test_chosen_codes_are_close_to_the_best_of_all():
    chosen_total = nearest_total = best_total = 0.0
    for seed in range(8):
        weights, covariance = problem(seed, filters=1)
        nearest = np.clip(np.rint(weights), -4, 3)
        below = np.floor(weights[0])
        every = [np.clip([below + up], -4, 3) for up in product((0, 1), repeat=weights.shape[1])]
        best_total += min(errors(one, weights, covariance)[0] for one in every)
        chosen_total += errors(round_codes(weights, nearest, covariance, (-4, 3)), weights, covariance)[0]
        nearest_total += errors(nearest, weights, covariance)[0]
    assert best_total <= chosen_total < (best_total + nearest_total) / 2


def test_covariance_ignores_the_mean_and_keeps_the_variances():
    random = np.random.default_rng(0)
    inputs = random.normal(0, 1, (50, 4))
    found = input_covariance(inputs + 100)
    assert np.allclose(found, input_covariance(inputs))
    assert np.allclose(np.diag(found), inputs.var(axis=0))
    assert np.allclose(found[0, 1], 0.5 * np.cov(inputs.T, bias=True)[0, 1])


@pytest.mark.parametrize("most", [255, 65535])
def test_no_order_of_adding_changes_the_covariance_of_codes(most):
    random = np.random.default_rng(most)
    inputs = random.integers(0, most + 1, (4096, 40)).astype(np.float64)
    found = input_covariance(inputs)
    assert np.array_equal(found, input_covariance(inputs[random.permutation(4096)]))
    assert np.array_equal(found[7:9, 7:9], input_covariance(inputs[:, 7:9]))


@pytest.fixture(scope="module")
def calibrated():
    network = residual(arithmetic="mac")
    pixels = images(network, 32)
    return network, pixels, quantize(network, pixels, Quantization(weight_bits=3, activation_bits=3))


@pytest.mark.parametrize("make", [residual, uneven])
def test_inputs_of_a_window_give_its_sums(make):
    """Operands gathered with stride, padding, dilation and groups, times the weights, are what the kernel computes."""
    network = make(arithmetic="mac")
    pixels = images(network, 32)
    program = quantize(network, pixels, Quantization(weight_bits=3, activation_bits=3))
    values = {name: run.values for name, run in program.runs(pixels[:3])}
    seen = 0
    for layer in program.layers:
        if isinstance(layer, IntegerWindow):
            codes = values[layer.inputs[0]]
            size, filters = layer.weights.shape[-1], len(layer.weights) // layer.groups
            sums = [
                _window_inputs(layer, codes[..., group * size : (group + 1) * size])
                @ layer.weights[group * filters : (group + 1) * filters].reshape(filters, -1).T
                for group in range(layer.groups)
            ]
            assert np.array_equal(np.concatenate(sums, axis=1), values[layer.name].reshape(-1, len(layer.weights)))
            seen += 1
    assert seen == 5


@pytest.mark.parametrize(("number", "height", "width"), [(256, 16, 16), (32, 32, 32), (256, 15, 8), (33, 16, 16)])
def test_inputs_of_a_window_are_those_of_all_rows_and_columns_alike(number, height, width):
    """Outputs at even distances, as many as are kept, would be those of a few columns alone."""
    numbers = FixedFormat(8, signed=False)
    weights = np.ones((1, 1, 1, 1), numbers.dtype)
    layer = IntegerWindow(
        name="w", inputs=("input",), twin=None, datapath="mac", weights=weights, input_format=numbers, weight_format=numbers,
        accumulator=Accumulator(),
    )  # fmt: skip
    for places in (np.arange(height)[:, None], np.arange(width)):
        codes = np.broadcast_to(places, (number, height, width))[..., None]
        found, counts = np.unique(_window_inputs(layer, codes), return_counts=True)
        assert len(found) == places.size
        assert counts.max() <= 1.1 * counts.min()
        assert 1500 <= counts.sum() <= 4096


def test_a_window_keeps_its_grid_and_moves_codes_by_one_at_most(calibrated):
    _, pixels, program = calibrated
    values = {name: run.values for name, run in program.runs(pixels)}
    random = np.random.default_rng(0)
    for layer in program.layers:
        if isinstance(layer, IntegerWindow):
            real = layer.weights + random.uniform(-0.5, 0.5, layer.weights.shape)
            chosen = round_to_output(layer, real, values[layer.inputs[0]])
            assert chosen.weights.dtype == layer.weights.dtype
            assert np.abs(chosen.weights - real).max() <= 1.5
            assert (chosen.weights != layer.weights).any()


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_the_refined_scale_leaves_no_larger_error_and_the_given_one_stays_where_nothing_is_gained(arithmetic):
    network, _ = pair_windows(residual(arithmetic=arithmetic))
    pixels = images(network, 16)
    readers = find_readers(network, pixels, set())
    source = network.layers[4].inputs[0] if isinstance(network.layers[4], Window) else "stem_relu"
    form = {source: FixedFormat(3, False)}

    def error(scale):
        return sum(one.error(replace_scale(form[source], scale), FINE) for one in readers[source])

    for start in (0.05, 0.3, 2.0):
        found = refine_scale(start, form, readers, FINE)
        assert 0.5 <= found / start <= 2
        assert found == start or error(found) < 0.98 * error(start)
    settled = refine_scale(refine_scale(0.3, form, readers, FINE), form, readers, FINE)
    assert settled == refine_scale(settled, form, readers, FINE)
    assert refine_scale(0.3, {"nobody": FixedFormat(3)}, readers, FINE) == 0.3


def replace_scale(form, scale):
    return FixedFormat(form.bits, form.signed, scale)


@pytest.mark.parametrize("correction", ["none", "mean", "mean-variance"])
def test_finer_rules_bring_the_scores_closer_to_float(correction):
    network = residual(arithmetic="mac")
    pixels, other = images(network, 128), images(network, 64, seed=5)
    expected = network.run(other)

    def distance(rules):
        program = quantize(network, pixels, rules)
        scores = program.run(other) * program.static_values()[program.layers[-1].name].scale
        return np.square(scores - expected).mean()

    plain = replace(FINE, calibration="mse", weight_rounding="nearest", correction=correction)
    assert distance(replace(FINE, correction=correction)) < distance(plain)


def test_adder_windows_keep_the_nearest_codes():
    """Their errors do not cancel along a covariance; measured, no gain."""
    network = residual(arithmetic="l1")
    pixels = images(network, 16)
    plain, fine = (quantize(network, pixels, Quantization(weight_rounding=one)) for one in ("nearest", "output"))
    for first, second in zip(plain.layers, fine.layers, strict=True):
        if isinstance(first, IntegerWindow) and first.datapath.startswith("l1"):
            assert np.array_equal(first.weights, second.weights)
