"""Normalisation: torch's in float; on codes as near as is stated, for any group and spread."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim import Quantization, kernels
from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import FormatError, NetworkError
from addersim.kernels import reference
from addersim.layers import Normalise, Plan
from addersim.layers.base import Value
from addersim.layers.falling import ERROR, reciprocal, reciprocal_root

ENGINES = (kernels, reference)


def stored(logical):
    return np.ascontiguousarray(np.moveaxis(logical, 1, -1))


def logical(values):
    return np.moveaxis(values, -1, 1)


def layer(**fields):
    return Normalise(name="n", inputs=("x",), **fields)


def test_values_are_torchs():
    x = np.random.default_rng(0).standard_normal((2, 6, 4, 5)).astype(np.float32)
    t = torch.from_numpy(x)
    f = torch.nn.functional
    grouped = t.reshape(2, 3, -1).numpy()
    for values, fields, expected in (
        (x, {"kept": 2}, f.layer_norm(t, (5,))),
        (x, {"kept": 0}, f.layer_norm(t, (6, 4, 5))),
        (x, {"kept": 1, "epsilon": 1e-3}, f.instance_norm(t, eps=1e-3)),
        (grouped, {"kept": 1}, f.group_norm(t, 3).reshape(2, 3, -1)),
        (x, {"kept": 2, "centre": False}, t / torch.sqrt(t.square().mean(-1, keepdim=True) + 1e-5)),
        (x[:, :, 0, 0], {"kept": 0}, f.layer_norm(t[:, :, 0, 0], (6,))),
    ):
        found = layer(**fields)
        assert found.shape(values.shape[1:]) == values.shape[1:]
        np.testing.assert_allclose(logical(found.run(stored(values))), expected.numpy(), atol=2e-6)
    assert not layer(epsilon=0.0).run(np.ones((1, 4, 2), np.float32)).any(), "equal values have no spread"


@settings(max_examples=150)
@given(
    numbers=st.lists(st.integers(1, 2**62), max_size=8),
    constant=st.floats(1e-6, 1e6),
    make=st.sampled_from((reciprocal, reciprocal_root)),
)
def test_tables_are_as_near_as_they_say_and_both_engines_agree(numbers, constant, make):
    numbers += [1, 2**62, 2**53 - 1, 2**54 - 1, 2**61 - 1]
    numbers += [2**30, 2**30 + 2**21, 2**30 + 2**22 - 1]  # both ends and the middle of the steepest piece
    x, table = np.array(numbers, np.int64), make(constant)
    table.check("layer t", 1 if make is reciprocal else 2)
    found, expected = (engine.mantissas(x, table.base, table.slope) for engine in ENGINES)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype == np.int64
        np.testing.assert_array_equal(one, other)
    mantissa, exponent = found
    real = constant / (x.astype(float) if make is reciprocal else np.sqrt(x.astype(float)))
    np.testing.assert_allclose(mantissa * 2.0 ** -(table.shift + exponent), real, rtol=ERROR)


def test_a_product_that_is_shifted_beyond_64_bits_is_zero():
    table, values = reciprocal(2.0**-20), np.array([(1 << 37), -(1 << 37)])
    for engine in ENGINES:
        assert table.times(engine, np.array([1 << 62, 1 << 40]), values, FixedFormat(8)).tolist() == [0, 0]


def test_numbers_below_one_have_no_mantissa():
    table = reciprocal(1.0)
    for engine in ENGINES:
        with pytest.raises(FormatError, match="^mantissas: x holds 0; expected numbers from 1 on$"):
            engine.mantissas(np.array([0, 3]), table.base, table.slope)


FORMATS = [FixedFormat(8, True, 0.05), FixedFormat(8, False, 3.0), FixedFormat(16, True, 1e-4), FixedFormat(2, True, 1.0)]


@settings(max_examples=80)
@given(
    seed=st.integers(0, 2**32 - 1),
    source=st.sampled_from(FORMATS),
    output=st.sampled_from([FixedFormat(8, True, 0.03), FixedFormat(16, True, 2.0**-13), FixedFormat(5, False, 0.25)]),
    shape=st.sampled_from([(3, 4), (2, 5, 7), (1, 200), (2, 3, 2, 2), (6,)]),
    centre=st.booleans(),
    epsilon=st.sampled_from([0.0, 1e-5, 0.1, 1e3]),
    narrow=st.booleans(),
)
def test_codes_are_as_near_as_is_stated(seed, source, output, shape, centre, epsilon, narrow):
    random = np.random.default_rng(seed)
    ends = (source.maximum - 1, source.maximum) if narrow else (source.minimum, source.maximum)
    codes = random.integers(*ends, (2, *shape[1:], shape[0]), endpoint=True).astype(source.dtype)
    kept = int(random.integers(0, len(shape)))
    plan = Plan({"x": source, "n": output}, {}, Quantization(), {})
    norm = layer(kept=kept, centre=centre, epsilon=epsilon)
    made = norm.integer(plan)
    assert made.value(Value.of(shape, source)) == Value.of(shape, output)
    found, twin = (made.run(engine, codes).values for engine in ENGINES)
    assert found.dtype == output.dtype
    np.testing.assert_array_equal(found, twin)
    np.testing.assert_array_equal(found[1:], made.run(kernels, codes[1:]).values)
    x = codes.astype(np.float64) * source.scale
    axes = tuple(range(1, x.ndim)) if kept == 0 else tuple(range(kept, x.ndim - 1))
    x = x - x.mean(axis=axes, keepdims=True) if centre else x
    spread = np.sqrt(np.square(x).mean(axis=axes, keepdims=True) + epsilon)
    real = np.divide(x, spread, out=np.zeros_like(x), where=spread > 1e-9) / output.scale
    bound = 0.5 + np.abs(real) * (2.0**-18 + 2.0**-17) + 1e-6
    wrong = np.abs(found - np.clip(real, output.minimum, output.maximum))
    assert (wrong <= bound).all(), wrong.max()


def test_what_cannot_be_is_refused():
    with pytest.raises(
        NetworkError, match=re.escape("layer n: keeps 2 axes; the input (3, 4) needs one more to normalise over")
    ):
        layer(kept=2).shape((3, 4))
    with pytest.raises(NetworkError, match="^layer n: keeps -1 axes; expected 0 or more$"):
        layer(kept=-1)
    with pytest.raises(NetworkError, match="^layer n: epsilon nan; expected a finite number from 0 on$"):
        layer(epsilon=float("nan"))
    wide = FixedFormat(16, True, 0.001)
    plan = Plan({"x": wide, "n": FixedFormat(8, True, 0.05)}, {}, Quantization(), {})
    made = layer().integer(plan)
    message = "layer n: 65,536 codes of 16 bits a group do not fit sums of 64 bits; use narrower activations"
    with pytest.raises(NetworkError, match=f"^{re.escape(message)}$"):
        made.value(Value.of((2, 256, 256), wide))
    assert made.value(Value.of((2, 255, 256), wide)).shape == (2, 255, 256)
    with pytest.raises(NetworkError, match=r"^layer n: epsilon is 1e\+20 squared input steps; at most 2\*\*61 / 8\*\*2$"):
        layer(epsilon=1e14).integer(plan).value(Value.of((2, 8), wide))
    with pytest.raises(NetworkError, match=r"^layer n: epsilon is 1e\+306 squared input steps; at most"):
        layer(epsilon=1e300).integer(plan).value(Value.of((2, 8), wide))
    fine = Plan({"x": wide, "n": FixedFormat(8, True, 2.0**-20)}, {}, Quantization(), {})
    with pytest.raises(NetworkError, match="^layer n: output scale 9.54e-07 is too fine for mantissas of 24 bits"):
        layer(epsilon=0.0).integer(fine).value(Value.of((2, 8), wide))


def test_the_largest_sums_stay_within_64_bits():
    source, output = FixedFormat(16, True, 1.0), FixedFormat(16, True, 2.0**-13)
    codes = np.full((1, 65_535, 1), -(1 << 15), np.int16)
    codes[0, : 65_535 // 2] = (1 << 15) - 1
    for centre in (False, True):
        made = layer(centre=centre).integer(Plan({"x": source, "n": output}, {}, Quantization(), {}))
        assert made.value(Value.of((1, 65_535), source)).words == 65_535
        found = made.run(kernels, codes).values
        assert set(np.abs(found.astype(int)).reshape(-1).tolist()) <= {8191, 8192, 8193}
