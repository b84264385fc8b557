"""Quantisation to asymmetric activations: which values get a zero point, which scale, and what their programs compute."""

import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from addersim import Quantization, kernels, quantize, simulate
from addersim.arithmetic.fixed import FixedFormat
from addersim.cli import app
from addersim.errors import QuantizationError
from addersim.kernels import reference
from addersim.layers import Affine, Move, Table, Window
from addersim.network import Network
from addersim.quantization.asymmetric import asymmetric_scale, zero_point_of
from addersim.quantization.calibration import Member, Sample
from tests.unit.networks import images, residual

ASYMMETRIC = Quantization(zero_points=True, correction="none")


def member(low, high, bits=8):
    values = np.linspace(low, high, 101, dtype=np.float32)
    return Member(Sample(low, high, values, np.zeros(1), np.ones(1)), bits, True)


def swish(arithmetic="mac", seed=0):
    """A window, batch norm and a function that gives little below zero; then another window of an arithmetic."""
    random = np.random.default_rng(seed)
    first, second = (random.normal(0, 1, shape).astype(np.float32) for shape in ((6, 2, 3, 3), (5, 216, 1, 1)))
    layers = (
        Window(name="first", inputs=("input",), arithmetic="mac", weights=first, padding=(1, 1)),
        Affine(name="norm", inputs=("first",), multiplier=np.full(6, 0.4), addend=np.linspace(-1, 1, 6)),
        Table(name="swish", inputs=("norm",), function="hard_swish"),
        Move(name="flatten", inputs=("swish",)),
        Window(name="second", inputs=("flatten",), arithmetic=arithmetic, weights=second),
        Affine(name="scores", inputs=("second",), multiplier=np.full(5, 0.1), addend=np.zeros(5)),
    )
    return Network(name="swish", input_shape=(2, 6, 6), mean=(0.6, 0.7), std=(0.2, 0.3), layers=layers)


def test_scale_and_zero_point_by_hand():
    """-1..3 in 256 codes: steps of 4/255; -1 is 63.75 steps below zero, so that 0 is code -128 + 64."""
    scale, low = asymmetric_scale([member(-1.0, 3.0)], ASYMMETRIC)
    assert (scale, low) == (4 / 255, -1.0)
    assert zero_point_of(FixedFormat(8, scale=scale), low) == -64
    assert asymmetric_scale([member(0.5, 3.0), member(1.0, 5.1)], ASYMMETRIC) == (5.1 / 255, 0.0)
    assert asymmetric_scale([member(0.0, 0.0)], ASYMMETRIC) == (1.0, 0.0)
    assert zero_point_of(FixedFormat(4, scale=0.1), -9.0) == 7
    kept = Quantization(zero_points=True, calibration="percentile", percentile=90.0)
    assert asymmetric_scale([member(-1.0, 3.0)], kept) == (pytest.approx(3.2 / 255), pytest.approx(-0.6))


def test_signed_activations_get_one_and_unsigned_ones_and_scores_do_not():
    network = swish()
    values = quantize(network, images(network), ASYMMETRIC).static_values()
    assert {name for name, one in values.items() if one.zero_point} == {"input", "norm", "swish", "flatten"}
    assert values["scores"].bits == 16
    low, high = network.preprocessing.range
    assert values["input"].scale <= (high - low) / 255
    symmetric = quantize(network, images(network), Quantization(calibration="min-max")).static_values()
    assert not any(one.zero_point for one in symmetric.values())
    assert values["swish"].scale < 0.6 * symmetric["swish"].scale


def test_values_around_layers_that_take_code_0_for_zero_have_none():
    network = residual()
    values = quantize(network, images(network), ASYMMETRIC).static_values()
    assert {name for name, one in values.items() if one.zero_point} <= {"input", "shift"}
    assert values["add"].zero_point == values["depthwise_norm"].zero_point == 0


@pytest.mark.parametrize("arithmetic", ["mac", "l1", "l2", "ternary", "xnor"])
@pytest.mark.parametrize("rounding", ["nearest", "output"])
def test_programs_are_near_float_and_alike_by_both_engines(arithmetic, rounding):
    network = swish(arithmetic)
    how = Quantization(zero_points=True, weight_rounding=rounding, clip_weights=True)
    program = quantize(network, images(network), how)
    found = simulate(program, images(network), None, network)
    errors = {one.name: one.relative_error for one in found.errors}
    assert errors["input"] < 0.01
    assert errors["swish" if arithmetic != "xnor" else "norm"] < 0.03
    if arithmetic in ("mac", "l1", "l2"):
        assert errors["scores"] < 0.05
    expected = dict(program.runs(images(network), reference))
    for name, run in program.runs(images(network), kernels):
        np.testing.assert_array_equal(run.values, expected[name].values, err_msg=name)


def test_adder_weights_share_scale_and_zero_point_of_their_input():
    network = swish("l1")
    program = quantize(network, images(network), ASYMMETRIC)
    layer = next(one for one in program.layers if one.name == "second")
    held = layer.input_format
    assert held.zero_point != 0
    assert layer.weight_zero_points.tolist() == [held.zero_point] * 5
    assert layer.operand_bits() == 8
    real = network.layers[4].weights.transpose(0, 2, 3, 1).clip(held.low, held.high)
    assert np.abs(held.decode(layer.weights) - real).max() <= held.scale * 0.5001


def test_adder_weights_of_another_width_or_unclipped_leave_the_input_symmetric():
    for how in (Quantization(zero_points=True, weight_bits=6), Quantization(zero_points=True, clip_weights=False)):
        network = swish("l1")
        values = quantize(network, images(network), how).static_values()
        assert values["swish"].zero_point == 0
        assert values["input"].zero_point != 0


def test_activations_wider_than_a_byte_have_none():
    network = swish()
    values = quantize(network, images(network), Quantization(zero_points=True, activation_bits=9)).static_values()
    assert not any(one.zero_point for one in values.values())


def test_a_program_without_images_is_counted():
    assert quantize(swish(), None, ASYMMETRIC).trace().taps == 6 * 6 * 6 * 18 + 5 * 216


def test_what_is_trained_takes_code_0_for_zero():
    pytest.importorskip("torch")
    from addersim.train.qat import finetune

    network = swish()
    with pytest.raises(
        QuantizationError, match=re.escape("network swish: zero_points: what is trained takes code 0 for zero")
    ):
        finetune(network, images(network), np.zeros(24, np.int64), ASYMMETRIC, 1)


def test_the_command_line_gives_zero_points():
    arguments = ["simulate", "lenet5-adder", "--limit", "20", "--zero-points", "--json"]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert json.loads(done.stdout)["input"].startswith("s8*")
    assert " zero -" in json.loads(done.stdout)["input"]
