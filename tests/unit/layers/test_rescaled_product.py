"""Products of codes with scales and zero points: by hand, on both engines, and their bill."""

import numpy as np
import pytest

from addersim import kernels
from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.ops import OpCounts
from addersim.arithmetic.requantisation import RULES
from addersim.errors import NetworkError
from addersim.kernels import reference
from addersim.layers import IntegerRescaledProduct, Value

HALVES = FixedFormat(8, scale=0.5, zero_point=-3)
TENTHS = FixedFormat(8, False, 0.1, 100)
OUT = FixedFormat(8, scale=0.25, zero_point=-128)


def product(first=HALVES, second=TENTHS, scale=0.2, rule="tflite", output=OUT, **fields):
    return IntegerRescaledProduct(
        name="p", inputs=("a", "b"), twin=None, first=first, second=second, scale=scale, rule=rule, output=output, **fields
    )


@pytest.mark.parametrize("engine", [kernels, reference])
def test_products_by_hand(engine):
    """(code + 3) (code - 100) / 5: 10 * 15 / 5 is 30 above -128; a ReLU ends at zero; 131 * 155 / 5 is beyond the codes."""
    a, b = np.array([[7, 7, 127]], np.int8), np.array([[115, 85, 255]], np.uint8)
    found = product(low=-128).run(engine, a, b)
    assert found.values.tolist() == [[-98, -128, 127]]
    assert (found.observed.overflowed, found.observed.outputs) == (1, 3)
    assert product(high=-100).run(engine, a, b).values.tolist() == [[-100, -128, -100]]


@pytest.mark.parametrize("rule", RULES)
def test_engines_agree_and_are_within_a_code_of_the_real_product(rule):
    random = np.random.default_rng(1)
    a = random.integers(-128, 128, (4, 3, 5, 2)).astype(np.int8)
    b = random.integers(0, 256, (4, 1, 1, 2)).astype(np.uint8)
    layer = product(rule=rule, output=FixedFormat(8, scale=13.0, zero_point=5), scale=0.5 * 0.1 / 13.0)
    found, twin = (layer.run(engine, a, b).values for engine in (kernels, reference))
    assert np.array_equal(found, twin)
    real = HALVES.decode(a) * TENTHS.decode(b) / 13.0 + 5
    assert np.abs(found - np.clip(real, -128, 127)).max() <= 1


def test_a_rule_takes_the_place_of_another():
    assert product().with_rounding("ort").rule == "ort"
    assert product().details() == "tflite"


def test_a_bill_by_hand():
    """Two zero points off, one product of nine bits, and what the rule's scaling of 16 bits and the zero point cost."""
    given = [Value.of((3, 4, 4), HALVES), Value.of((3, 1, 1), TENTHS)]
    layer = product()
    output = layer.checked_value(*given)
    assert (output.shape, output.scale, output.zero_point) == ((3, 4, 4), 0.25, -128)
    scaled = RULES["tflite"].bill(48, 16, 8, zero_point=True)
    assert layer.bill(output, *given).hardware == OpCounts({("sub", 9): 96, ("mul", 9): 48}) + scaled


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rule": "other"}, "layer p: rounding: 'other' is not one of addersim, tflite"),
        ({"low": 3, "high": 2}, r"layer p: activation 3..2 does not lie in -128..127, the lower first"),
        ({"scale": float("nan")}, r"layer p: scales: found nan; expected one finite number a channel"),
        (
            {"first": FixedFormat(16, False), "second": FixedFormat(16, False)},
            r"layer p: products of ufx16.0 and ufx16.0 leave 32 bits",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(fields, message):
    with pytest.raises(NetworkError, match=f"^{message}"):
        product(**fields)


def test_operands_have_their_formats():
    with pytest.raises(NetworkError, match=r"^layer p: expects fx8.1 zero -3 of layer a, which gives fx8.2 zero -128$"):
        product().checked_value(Value.of((3,), OUT), Value.of((3,), TENTHS))
