"""Windows on codes with zero points: every kernel is its slow twin, and both are the plain formula, bit for bit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim import kernels
from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.arithmetic.requantisation import RULES
from addersim.kernels import reference
from tests.properties.strategies import constants, formats, outputs, registers, shapes
from tests.properties.test_kernels_twins import assert_same, every_way, outcome

TAKE_THEM = [name for name, record in ARITHMETICS.items() if record.takes_zero_points]
BYTES = ("int8", "uint8")


@st.composite
def operands(draw, shape):
    """Codes of one byte of both operands, their ends among them, with any zero points: none, of x, of weights, of both."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    found = []
    for sizes in (shape.x, shape.weights):
        kind = np.iinfo(draw(st.sampled_from(BYTES)))
        low, high = draw(st.sampled_from(((kind.min, kind.max), (0, 9), (kind.max - 9, kind.max))))
        found.append(random.integers(low, high, sizes, endpoint=True).astype(kind.dtype))
    x, weights = found
    ends, own = np.iinfo(x.dtype), np.iinfo(weights.dtype)
    zero = draw(st.one_of(st.sampled_from((0, int(ends.min), int(ends.max))), st.integers(int(ends.min), int(ends.max))))
    of_weights = draw(
        st.sampled_from(
            (
                None,
                np.zeros(len(weights)),
                np.full(len(weights), own.max // 2 + 1),
                random.integers(own.min, own.max, len(weights), endpoint=True),
            )
        )
    )
    return x, weights, {"zero_point": zero, "weight_zero_points": None if of_weights is None else of_weights.astype(np.int32)}


def by_formula(x, weights, arithmetic, zero_point, weight_zero_points, moves):
    """Sums from the definition: images padded with the zero point's code, one product of arrays an output pixel."""
    stride, dilation = moves.get("stride", (1, 1)), moves.get("dilation", (1, 1))
    padding, groups = moves.get("padding", (0, 0)), moves.get("groups", 1)
    far = moves.get("far_padding") or padding
    sides = [(0, 0), (padding[0], far[0]), (padding[1], far[1]), (0, 0)]
    codes = np.pad(x.astype(np.int64), sides, constant_values=zero_point) - zero_point
    zeros = np.zeros(len(weights)) if weight_zero_points is None else weight_zero_points
    plain = weights.astype(np.int64) - zeros.astype(np.int64)[:, None, None, None]
    kernel, per_group, channels = weights.shape[1:3], len(weights) // groups, weights.shape[3]
    reach = [(kernel[axis] - 1) * dilation[axis] + 1 for axis in range(2)]
    sizes = [(codes.shape[1 + axis] - reach[axis]) // stride[axis] + 1 for axis in range(2)]
    sums = np.zeros((len(x), *sizes, len(weights)), np.int64)
    for row, column in np.ndindex(*sizes):
        top, left = row * stride[0], column * stride[1]
        window = codes[:, top : top + reach[0] : dilation[0], left : left + reach[1] : dilation[1]]
        for output in range(len(weights)):
            first = output // per_group * channels
            met = window[..., first : first + channels]
            terms = ARITHMETICS[arithmetic].term(met, plain[output])
            sums[:, row, column, output] = terms.sum(axis=(1, 2, 3))
    return sums


@settings(max_examples=250)
@given(data=st.data(), shape=shapes(), register=registers())
@pytest.mark.parametrize("arithmetic", ["mac", "l1", "l2"])
def test_kernel_twin_and_formula_agree(arithmetic, data, shape, register):
    x, weights, zeros = data.draw(operands(shape))
    options = {"arithmetic": arithmetic, **zeros, **shape.moves, **register}
    expected = reference.window(x, weights, **options)
    exact = by_formula(x, weights, arithmetic, **zeros, moves=shape.moves)
    if exact.size:
        assert (expected.minimum, expected.maximum) == (exact.min(), exact.max())
    if not register:
        np.testing.assert_array_equal(expected.values, exact)
    for way, found in every_way(lambda threads: kernels.window(x, weights, threads=threads, **options)):
        assert_same(found, expected, way)


@settings(max_examples=200)
@given(
    data=st.data(),
    shape=shapes(),
    register=registers(),
    output=outputs("output_overflow"),
    arithmetic=st.sampled_from(TAKE_THEM),
)
def test_the_affine_that_follows_at_once_gives_the_same(data, shape, register, output, arithmetic):
    x, weights, zeros = data.draw(operands(shape))
    by = data.draw(constants(len(weights)))
    arguments = (x, weights, by.multiplier, by.addend, by.shift)
    options = {"arithmetic": arithmetic, **zeros, **shape.moves, **register, **output}
    expected = outcome(reference.window_affine, *arguments, **options)
    for way, found in every_way(lambda threads: outcome(kernels.window_affine, *arguments, threads=threads, **options)):
        assert_same(found, expected, way)


@settings(max_examples=300)
@given(
    data=st.data(),
    shape=shapes(),
    register=registers(),
    output=formats(),
    rule=st.sampled_from(list(RULES)),
    arithmetic=st.sampled_from(TAKE_THEM),
)
def test_the_rescaling_that_follows_at_once_gives_the_same(data, shape, register, output, rule, arithmetic):
    """Biases small and next to what leaves 32 bits; outputs with any zero point, activations that end inside the format."""
    x, weights, zeros = data.draw(operands(shape))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    bias = random.integers(-1000, 1000, len(weights), endpoint=True)
    if data.draw(st.sampled_from((False, False, True))):
        bias = random.choice([-(2**31 - 1), 0, 2**31 - 1], len(weights))
    scales = 2.0 ** random.uniform(*random.choice([(-20, 0), (-8, 3), (-1, 0)]), len(weights))
    scales *= random.choice([[1, 1], [1, -1], [1, 0]])[random.integers(0, 2, len(weights))]
    output = replace(output, zero_point=int(random.integers(output.minimum, output.maximum, endpoint=True)))
    low, high = np.sort(random.integers(output.minimum, output.maximum, 2, endpoint=True)).tolist()
    ends = data.draw(st.sampled_from(({}, {"low": low, "high": high})))
    options = {"arithmetic": arithmetic, **zeros, **shape.moves, **register}

    def both(engine, threads):
        window = engine.prepare_window(x.dtype, weights, **options)
        return engine.prepare_window_rescale(window, scales, bias, rule, output=output, **ends)(x, threads=threads)

    expected = outcome(both, reference, None)
    for way, found in every_way(lambda threads: outcome(both, kernels, threads)):
        assert_same(found, expected, way)
