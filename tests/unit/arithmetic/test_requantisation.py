"""Requantisation rules by hand: gemmlowp's rounding, published constants, what is held and billed, and what is refused."""

import numpy as np
import pytest

from addersim import kernels, quantize
from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.integer_softmax import softmax_bill, softmax_constants
from addersim.arithmetic.ops import OpCounts
from addersim.arithmetic.requantisation import FORMULAS, RULES, Constants, requantisation_rule
from addersim.arithmetic.rescaled_sums import addition_bill, addition_constants, mean_bill, mean_constants
from addersim.errors import FormatError, NetworkError
from addersim.kernels import core, reference
from addersim.kernels.reference_requantisation import (
    apply_scale,
    multiply_by_quantized_multiplier,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
)
from addersim.kernels.reference_softmax import exp_on_negative_values, one_over_one_plus_x
from addersim.kernels.requantisation import fits_registers
from addersim.layers.affine import fixed_multiplier
from tests.unit.networks import images, residual

BYTE = FixedFormat(8)
LEAST, MOST = -(2**31), 2**31 - 1


def requantized(values, scale, rule, output=BYTE, bias=0, **options):
    """What kernel and twin, which agree, make of some numbers."""
    arguments = np.array(values, np.int32)[:, None], [scale], np.array([bias]), rule
    found, expected = (engine.requantize(*arguments, output=output, **options) for engine in (kernels, reference))
    np.testing.assert_array_equal(found.values, expected.values)
    assert (found.minimum, found.maximum, found.overflowed) == (expected.minimum, expected.maximum, expected.overflowed)
    return found.values.ravel().tolist()


@pytest.mark.parametrize(
    ("a", "b", "high"),
    [
        (LEAST, LEAST, MOST),  # the one product that does not fit
        (LEAST, MOST, -MOST),
        (MOST, MOST, MOST - 1),
        (1, 2**30, 1),  # one half rounds up,
        (-1, 2**30, 0),  # minus one half too,
        (-3, 2**30, -1),  # and minus one and a half
        (3, 2**30, 2),
        (0, LEAST, 0),
    ],
)
def test_doubling_high_multiply_rounds_ties_upwards_and_saturates(a, b, high):
    assert saturating_rounding_doubling_high_mul(a, b) == saturating_rounding_doubling_high_mul(b, a) == high


@pytest.mark.parametrize(
    ("value", "places", "quotient"),
    [
        *(
            (5, 1, 3),
            (-5, 1, -3),
            (3, 1, 2),
            (-3, 1, -2),
            (1, 1, 1),
            (-1, 1, -1),
            (5, 2, 1),
            (-5, 2, -1),
            (6, 2, 2),
            (-6, 2, -2),
        ),
        *((MOST, 31, 1), (LEAST, 31, -1), (2**30, 31, 1), (2**30 - 1, 31, 0), (-(2**30), 31, -1), (7, 0, 7), (-7, 0, -7)),
    ],
)
def test_division_by_a_power_of_two_rounds_ties_away_from_zero(value, places, quotient):
    assert rounding_divide_by_pot(value, places) == quotient


def test_two_roundings_differ_from_one():
    assert multiply_by_quantized_multiplier(-1, 2**30, -1) == 0
    assert multiply_by_quantized_multiplier(-3, 2**30, -1) == -1  # -3/4: high word -1, then -1/2 away from zero
    assert apply_scale(-3, 2**30, 32, double_round=False) == -1
    assert multiply_by_quantized_multiplier(1, 2**30, -1) == 1  # 1/4: high word 1, then 1/2 away from zero
    assert apply_scale(1, 2**30, 32, double_round=False) == 0
    assert apply_scale(1, 2**30, 32, double_round=True) == 1
    assert apply_scale(-1, 2**30, 32, double_round=True) == 0


@pytest.mark.parametrize(
    ("rule", "halves"),
    [
        ("addersim", [-2, -2, 0, 0, 2, 2]),
        ("tflite", [-3, -2, -1, 1, 2, 3]),  # a scale of 1/4: the high word is exact, the shift rounds away
        ("tosa", [-2, -1, 0, 1, 2, 3]),
        ("tosa-double", [-3, -2, -1, 1, 2, 3]),
        ("ort", [-2, -2, 0, 0, 2, 2]),
        ("onnx", [-2, -2, 0, 0, 2, 2]),
        ("qonnx", [-2, -2, 0, 0, 2, 2]),
        ("qonnx-ceil", [-2, -1, 0, 1, 2, 3]),
        ("qonnx-floor", [-3, -2, -1, 0, 1, 2]),
    ],
)
def test_ties_of_every_rule(rule, halves):
    assert requantized([-10, -6, -2, 2, 6, 10], 0.25, rule) == halves


def test_a_scale_of_one_half_has_no_second_rounding():
    assert requantized([-5, -3, -1, 1, 3, 5], 0.5, "tflite") == [-2, -1, 0, 1, 2, 3]


def test_quant_rounds_with_the_zero_point_and_others_before_it():
    odd = FixedFormat(8, zero_point=1)
    assert requantized([2, 6], 0.25, "ort", odd) == [1, 3]
    assert requantized([2, 6], 0.25, "onnx", odd) == [1, 3]
    assert requantized([2, 6], 0.25, "qonnx", odd) == [2, 2]


def test_bias_zero_point_and_activation():
    output = FixedFormat(8, zero_point=-128)
    assert requantized([-50, 0, 50, 1000], 0.5, "tflite", output, bias=10) == [-128, -123, -98, 127]
    assert requantized([-50, 0, 50, 1000], 0.5, "tflite", output, bias=10, low=-120, high=-100) == [-120, -120, -100, -100]


def test_overflows_are_what_leaves_the_format_and_no_activation():
    def overflowed(output, **options):
        return kernels.requantize(
            np.array([[-999], [999]], np.int32), [1], np.zeros(1, int), "ort", output=output, **options
        ).overflowed

    assert overflowed(BYTE) == 2
    assert overflowed(FixedFormat(8, zero_point=-128)) == 1  # its lower end is a ReLU's zero
    assert overflowed(BYTE, low=0) == 1
    assert overflowed(BYTE, high=100) == 1


def test_results_far_beyond_every_format_count_as_the_limit():
    for rule in RULES:
        found = kernels.requantize(np.array([[MOST, LEAST]], np.int32), [0.99, 0.99], np.zeros(2, int), rule, output=BYTE)
        assert (found.minimum, found.maximum) == (-(2**30), 2**30)
        assert found.values.tolist() == [[127, -128]]


def test_what_a_left_shift_pushes_out_is_lost_as_in_c():
    assert multiply_by_quantized_multiplier(2**30, 2**30, 3) == 0
    assert requantized([2**30, 3], 4.0, "tflite") == [0, 12]


@pytest.mark.parametrize(
    ("multiplier", "shift", "reach", "fits"),
    [
        (1 << 30, 0, 100, True),
        (0, 31, 1 << 30, True),  # zero whatever is shifted out
        (-(1 << 30), 0, 100, False),  # larger values give smaller results
        (1, 2, 1 << 30, False),  # the shift to the left leaves 32 bits, though its product is small
        ((1 << 31) - 1, 0, (1 << 30) + 1, False),  # the result would count as the limit
    ],
)
def test_sums_are_rescaled_in_registers_where_every_step_fits(multiplier, shift, reach, fits):
    constants = Constants.of_integers("doubling", np.array([1 << 30, multiplier]), np.array([0, shift]))
    assert fits_registers(constants, np.array([1, reach])) is fits


def test_quantised_multipliers():
    """Mantissas in 31 bits; that which rounds up to one is one half of the next power of two."""
    held = RULES["tflite"].constants([0.5, 1.0, 0.3, 1 - 2.0**-40, 2.0**-33, 2.0**-32, -0.3], BYTE)
    assert held.multiplier.tolist() == [2**30, 2**30, 1288490189, 2**30, 0, 2**30, -1288490189]
    assert held.shift.tolist() == [0, 1, -1, 1, 0, -31, -1]


def test_constants_of_a_published_addition():
    """StableHLO, stablehlo/conversions/tosa/tests/legalize_quant_ops_to_tosa_rescale.mlir: 0.025 and 0.075 into 0.15."""
    a, b, y = (FixedFormat(8, scale=scale, zero_point=-1) for scale in (0.025, 0.075, 0.15))
    held = addition_constants(RULES["tosa"], a, b, y)
    assert held.multiplier.tolist() == [1431655765, 1073741824, 1073741824]
    assert held.shift.tolist() == [13, 11, 50]


def test_the_own_rule_holds_what_affine_layers_hold():
    reals = np.random.default_rng(0).uniform(-3, 3, 200) * 10.0 ** np.random.default_rng(1).integers(-12, 3, 200)
    held = RULES["addersim"].constants(reals, BYTE)
    multiplier, shift = fixed_multiplier(reals, 16, np.zeros(200), "layer")
    np.testing.assert_array_equal(np.ldexp(held.multiplier, -held.shift), np.ldexp(multiplier, -shift.astype(int)))


def test_the_own_rule_reaches_to_its_multiplier():
    held = RULES["addersim"].constants([32767, 2.0**-62], BYTE)
    assert (held.multiplier.tolist(), held.shift.tolist()) == ([32767, 1], [0, 62])
    with pytest.raises(FormatError, match=r"scales: 3.277e\+04; rule addersim holds scales below 2\*\*15"):
        RULES["addersim"].constants([2.0**15], BYTE)


def test_quant_divides_by_the_scale_of_its_output():
    held = RULES["qonnx"].constants([0.5], FixedFormat(8, scale=0.25))
    assert (held.factor.item(), held.divisor) == (0.125, 0.25)
    assert requantized([3, 5], 0.5, "qonnx", FixedFormat(8, scale=0.25)) == [2, 2]


def test_means_round_as_each_framework_does():
    x = np.array([-3, -2, 3, 2, 1, 2], np.int8).reshape(3, 1, 2, 1)
    assert kernels.rescaled_mean(x, BYTE, "tflite", (1, 2), output=BYTE).values.ravel().tolist() == [-3, 3, 2]
    assert kernels.rescaled_mean(x, BYTE, "tosa", (1, 2), output=BYTE).values.ravel().tolist() == [-3, 3, 2]
    assert kernels.rescaled_mean(x, BYTE, "ort", (1, 2), output=BYTE).values.ravel().tolist() == [-2, 2, 2]


def test_reciprocals_of_a_published_pool():
    """TOSA reference model, its test of AVG_POOL2D over four elements: 2**30 + 1 and 32; nine by the formula."""
    for count, multiplier, shift in ((4, 2**30 + 1, 32), (9, ((2**30 + 1) << 4) // 9, 34)):
        held, bias = mean_constants(RULES["tosa"], "pool", BYTE, BYTE, np.array([count]), np.array([count]))
        assert (held.multiplier.item(), held.shift.item(), bias.item()) == (multiplier, shift, 0)


def test_pools_of_tosa_are_of_raw_codes():
    """As the legalisation of TensorFlow Lite's pools has them: 1.5 of raw codes is 2, where less its zero point -3.5 is -4."""
    form, x = FixedFormat(8, zero_point=5), np.array([1, 2], np.int8).reshape(1, 1, 2, 1)
    for engine in (kernels, reference):
        for rule in ("tosa", "tosa-double"):
            assert engine.rescaled_mean(x, form, rule, (1, 2), output=form).values.item() == 2


def test_padding_of_a_mean_stands_for_zero():
    given = FixedFormat(8, zero_point=4)
    x = np.full((1, 1, 1, 1), 8, np.int8)
    options = {"output": given, "padding": (0, 1), "stride": (1, 1)}
    for rule in RULES:
        found = kernels.rescaled_mean(x, given, rule, (1, 2), count_padding=True, **options)
        assert found.values.ravel().tolist() == [6, 6]
        assert kernels.rescaled_mean(x, given, rule, (1, 2), **options).values.ravel().tolist() == [8, 8]


@pytest.mark.parametrize("raw", [0, -1, -(2**24), -(2**26), -(2**26) * 3 - 12345, -(2**30), -(2**31)])
def test_exponentials_are_near_the_real_ones(raw):
    assert exp_on_negative_values(raw) / 2**31 == pytest.approx(np.exp(raw / 2**26), abs=1e-6)


def test_reciprocals_are_near_the_real_ones():
    for x in np.linspace(0, 1, 9):
        assert one_over_one_plus_x(int(x * MOST)) / 2**31 == pytest.approx(1 / (1 + x), abs=2**-24)


def test_shares_of_softmax():
    given, output = FixedFormat(8, scale=1.0), FixedFormat(8, scale=2**-8, zero_point=-128)
    x = np.array([[0, 0], [127, -128], [0, 1]], np.int8)
    assert kernels.softmax(x, given, "tflite", output=output).tolist() == [[0, 0], [127, -128], [-59, 59]]
    assert (softmax_constants(given).multiplier, softmax_constants(given).left, softmax_constants(given).most) == (
        2**30,
        27,
        15,
    )


def test_bills():
    """Worked out by hand: ten words of 20 bits to codes of 8."""
    assert RULES["addersim"].bill(10, 20, 8) == OpCounts({("mul", 20): 10, ("shift", 36): 10})
    whole = RULES["tflite"].bill(10, 20, 8, bias=True, zero_point=True)
    assert whole == OpCounts({("add", 20): 10, ("mul", 32): 10, ("add", 64): 10, ("shift", 32): 10, ("add", 9): 10})
    assert RULES["tosa"].bill(10, 20, 8) == OpCounts({("mul", 32): 10, ("shift", 64): 10})
    assert RULES["tosa-double"].bill(10, 20, 8) == OpCounts({("mul", 32): 10, ("add", 64): 10, ("shift", 64): 10})
    assert RULES["ort"].bill(10, 20, 8) == OpCounts({("shift", 32): 20, ("mul", 24): 10, ("add", 8): 10})
    assert RULES["qonnx"].bill(10, 20, 8) == OpCounts({("shift", 32): 20, ("mul", 24): 20, ("add", 8): 20})
    assert [RULES[name].channel_bits for name in ("addersim", "tflite", "ort")] == [22, 38, 32]
    half = addition_bill(RULES["addersim"], 10, 8, BYTE)
    assert half == OpCounts({("mul", 16): 20, ("add", 25): 10, ("shift", 25): 10, ("sub", 9): 20})
    assert (
        addition_bill(RULES["tosa"], 10, 8, BYTE).total("mul")
        == addition_bill(RULES["tflite"], 10, 8, BYTE).total("mul")
        == 30
    )
    assert mean_bill(RULES["tflite"], "pool", 10, 14, BYTE, BYTE) == OpCounts(
        {("add", 14): 10, ("mul", 32): 10, ("shift", 64): 10}
    )
    assert mean_bill(RULES["tosa-double"], "pool", 10, 14, BYTE, BYTE) == RULES["tosa"].bill(10, 14, 8, bias=True)
    assert mean_bill(RULES["tosa-double"], "reduction", 10, 14, BYTE, BYTE) == RULES["tosa-double"].bill(10, 14, 8, bias=True)
    assert mean_bill(RULES["ort"], "pool", 10, 14, BYTE, BYTE).total("mul") == 20
    assert softmax_bill(20, 10).total("mul") == 2 * 20 * 14 + 20 + 2 * 7


def test_numbers_of_formulas_are_those_of_c():
    assert core.core.numbers()["formula"] == {name: number for number, name in enumerate(FORMULAS)}


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: requantisation_rule("nearest"), "rounding: 'nearest' is not one of addersim, tflite, tosa, tosa-double, ort"),
        (lambda: RULES["ort"].constants([np.nan], BYTE), "scales: found nan; expected one finite number a channel"),
        (lambda: RULES["ort"].constants([1e300], BYTE), "scales: 1e+300 is beyond the numbers of float32"),
        (lambda: RULES["tflite"].constants([2.0**30], BYTE), "rule tflite holds scales below 2**30"),
        (lambda: RULES["tosa"].constants([2.0**29], BYTE), "rule tosa holds scales below 2**29"),
        (
            lambda: requantized([MOST], 0.5, "tflite", bias=1),
            "values: with their bias 2147483648..2147483648, beyond the 32 bits",
        ),
        (lambda: requantized([1], 0.5, "tflite", low=5, high=4), "activation: codes 5..4; fx8.0 holds -128..127"),
        (
            lambda: kernels.rescaled_mean(
                np.zeros((1, 1, 1, 1), np.int8), BYTE, "tflite", (1, 1), output=FixedFormat(8, scale=2)
            ),
            "a pool of rule tflite keeps scale and zero point",
        ),
        (
            lambda: kernels.softmax(np.zeros((1, 2), np.int8), BYTE, "ort", output=BYTE),
            "softmax: rule 'ort' has none of whole numbers; tflite has",
        ),
    ],
)
def test_what_no_rule_takes_is_refused_in_one_line(call, text):
    with pytest.raises((FormatError, NetworkError)) as error:
        call()
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def test_values_of_64_bits_must_fit_32():
    wide = np.array([[2**31]])
    for engine in (kernels, reference):
        with pytest.raises(FormatError, match="values: 2147483648..2147483648 leave the 32 bits"):
            engine.requantize(wide, [0.5], np.zeros(1, int), "tosa", output=BYTE)


def test_images_become_codes_in_the_floats_of_a_rule():
    """A quotient that float32 rounds to a tie, and an odd zero point beside ties, which QONNX adds before it rounds."""
    random = np.random.default_rng(3)
    output = FixedFormat(8, True, float(np.float32(0.0173)), 3)
    steps = random.integers(-100, 100, 200_000) + 0.5
    reals = (steps * output.scale).astype(np.float32)
    divided = reals / np.float32(output.scale)
    for name, expected in (
        ("ort", np.rint(divided) + np.float32(3)),
        ("onnx", np.rint(divided) + np.float32(3)),
        ("qonnx", np.rint(divided + np.float32(3))),
        ("qonnx-ceil", np.rint(divided + np.float32(3))),
        ("qonnx-floor", np.rint(divided + np.float32(3))),
    ):
        np.testing.assert_array_equal(RULES[name].encode(reals, output), expected.clip(-128, 127))
    doubles = output.encode(reals)
    assert (RULES["ort"].encode(reals, output) != doubles).sum() > 1000
    np.testing.assert_array_equal(RULES["tflite"].encode(reals, output), doubles)


def test_a_program_encodes_its_images_by_its_rule():
    network = residual(arithmetic="mac")
    program = quantize(network, images(network))
    scale = np.float32(program.input.scale)
    reals = np.full((1, *program.input_shape), np.float32(20.5) * scale, np.float32)
    reals += np.linspace(-1e-6, 1e-6, reals.size, dtype=np.float32).reshape(reals.shape) * scale
    for rule in ("addersim", "tflite", "ort", "onnx", "qonnx"):
        expected = RULES[rule].encode(reals, program.input) if RULES[rule].is_float else program.input.encode(reals)
        found = np.moveaxis(program.with_rounding(rule).encode(reals), -1, 1)
        np.testing.assert_array_equal(found, expected, rule)
