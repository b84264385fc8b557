"""Every kernel of every instruction set that this machine runs, on one thread and two, is its slow twin bit for bit."""

from contextlib import contextmanager
from os import environ

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim import kernels
from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.arithmetic.fixed import OVERFLOWS
from addersim.errors import FormatError, NetworkError
from addersim.kernels import reference
from tests.properties.strategies import codes, constants, formats, outputs, registers, shapes

SETS = kernels.kernel_info().available


@contextmanager
def forced(name):
    """One instruction set for a while."""
    before = environ.get("ADDERSIM_KERNELS")
    environ["ADDERSIM_KERNELS"] = name
    try:
        yield
    finally:
        environ.pop("ADDERSIM_KERNELS")
        if before is not None:
            environ["ADDERSIM_KERNELS"] = before


def every_way(function):
    """What a function of threads gives: every set on one thread, and once on two, which no set knows of."""
    for name, threads in [(name, 1) for name in SETS] + [(SETS[0], 2)]:
        with forced(name):
            yield f"{name}, {threads} threads", function(threads)


def outcome(function, *arguments, **options):
    """A result, or the text of the error in its place."""
    try:
        return function(*arguments, **options)
    except (FormatError, NetworkError) as error:
        return f"{type(error).__name__}: {error}"


def assert_same(found, expected, way):
    """Equal in values, type and everything seen."""
    if isinstance(expected, str) or isinstance(found, str):
        assert found == expected, way
    elif isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype, way
        np.testing.assert_array_equal(found, expected, err_msg=way)
    else:
        assert_same(found.values, expected.values, way)
        for field in expected.__dataclass_fields__:
            if field != "values":
                assert getattr(found, field) == getattr(expected, field), f"{way}: {field}"


@settings(max_examples=450)
@given(data=st.data(), shape=shapes(), register=registers())
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_window(arithmetic, data, shape, register):
    x, weights = data.draw(codes(shape.x)), data.draw(codes(shape.weights))
    options = {"arithmetic": arithmetic, **shape.moves, **register}
    expected = reference.window(x, weights, **options)
    for way, found in every_way(lambda threads: kernels.window(x, weights, threads=threads, **options)):
        assert_same(found, expected, way)


@settings(max_examples=300)
@given(
    data=st.data(),
    shape=shapes(),
    register=registers(),
    output=outputs("output_overflow"),
    arithmetic=st.sampled_from(list(ARITHMETICS)),
)
def test_window_affine(data, shape, register, output, arithmetic):
    x, weights = data.draw(codes(shape.x)), data.draw(codes(shape.weights))
    by = data.draw(constants(len(weights)))
    arguments = (x, weights, by.multiplier, by.addend, by.shift)
    options = {"arithmetic": arithmetic, **shape.moves, **register, **output}
    expected = outcome(reference.window_affine, *arguments, **options)
    for way, found in every_way(lambda threads: outcome(kernels.window_affine, *arguments, threads=threads, **options)):
        assert_same(found, expected, way)


@settings(max_examples=300)
@given(
    data=st.data(),
    rows=st.integers(0, 40),
    channels=st.sampled_from((1, 2, 3, 10, 16, 33, 64, 1023, 1025, 2050)),
    type_and_bits=st.sampled_from((("int8", 7), ("uint16", 16), ("int32", 17), ("int32", 31), ("int64", 20), ("int64", 40))),
    output=outputs(),
)
def test_affine(data, rows, channels, type_and_bits, output):
    kind, bits = type_and_bits
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = random.integers(0 if kind == "uint16" else -(2**bits), 2**bits, (rows, channels)).astype(kind)
    by = data.draw(constants(channels))
    expected = outcome(reference.affine, x, by.multiplier, by.addend, by.shift, **output)
    for way, found in every_way(
        lambda threads: outcome(kernels.affine, x, by.multiplier, by.addend, by.shift, threads=threads, **output)
    ):
        assert_same(found, expected, way)


@settings(max_examples=300)
@given(
    data=st.data(),
    shape=st.tuples(st.integers(0, 3), st.integers(1, 5), st.integers(1, 300)),
    output=formats(),
    overflow=st.sampled_from(OVERFLOWS),
    then=st.one_of(st.none(), formats()),
)
def test_subtract_and_multiply(data, shape, output, overflow, then):
    a, b = data.draw(codes(shape)), data.draw(codes(shape))
    options = {"output": output, "overflow": overflow, "then": then, "subtract": True}
    for name, fixed in (("add", options), ("multiply", {})):
        expected = getattr(reference, name)(a, b, **fixed)
        for way, found in every_way(
            lambda threads, name=name, fixed=fixed: getattr(kernels, name)(a, b, threads=threads, **fixed)
        ):
            assert_same(found, expected, way)


@settings(max_examples=300)
@given(
    data=st.data(),
    shape=st.tuples(st.integers(0, 3), st.integers(1, 5), st.integers(1, 300)),
    output=formats(),
    overflow=st.sampled_from(OVERFLOWS),
    then=st.one_of(st.none(), formats()),
)
def test_add_and_clamp(data, shape, output, overflow, then):
    a, b = data.draw(codes(shape)), data.draw(codes(shape))
    wide = a.astype(np.int64) * data.draw(st.sampled_from((1, 1000, 2**40)))
    options = {"output": output, "overflow": overflow, "then": then}
    expected = reference.add(a, b, **options), reference.clamp(a, output=output), reference.clamp(wide, output=output)
    for way, found in every_way(
        lambda threads: (
            kernels.add(a, b, threads=threads, **options),
            kernels.clamp(a, output=output, threads=threads),
            kernels.clamp(wide, output=output, threads=threads),
        )
    ):
        for one, wanted in zip(found, expected, strict=True):
            assert_same(one, wanted, way)


@settings(max_examples=400)
@given(data=st.data(), shape=shapes(), ceil_mode=st.booleans())
def test_pooling(data, shape, ceil_mode):
    x, kernel = data.draw(codes(shape.x)), shape.weights[1:3]
    moves = {name: shape.moves[name] for name in ("padding", "far_padding", "dilation") if name in shape.moves}
    moves |= {"stride": shape.moves.get("stride", (1, 1)), "ceil_mode": ceil_mode}
    for name in ("max_pool", "sum_pool"):
        expected = outcome(getattr(reference, name), x, kernel, **moves)
        for way, found in every_way(
            lambda threads, name=name: outcome(getattr(kernels, name), x, kernel, threads=threads, **moves)
        ):
            assert_same(found, expected, f"{name} {way}")


@settings(max_examples=200)
@given(
    data=st.data(),
    shape=st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 5)),
    output_size=st.tuples(st.integers(1, 11), st.integers(1, 11)),
)
def test_adaptive_pooling(data, shape, output_size):
    """To sizes that divide the image, that do not, and that are larger."""
    x = data.draw(codes(shape))
    for name in ("adaptive_max_pool", "adaptive_sum_pool"):
        expected = getattr(reference, name)(x, output_size)
        for way, found in every_way(lambda threads, name=name: getattr(kernels, name)(x, output_size, threads=threads)):
            assert_same(found, expected, f"{name} {way}")


def test_sums_of_adaptive_pooling_that_32_bits_do_not_hold():
    """Of 2 ** 15 + 1 codes of 65,535 in the larger part."""
    x = np.full((1, 1, (1 << 16) + 1, 1), 65535, np.uint16)
    for engine in (kernels, reference):
        found = engine.adaptive_sum_pool(x, (1, 2))
        assert (found.dtype, found.ravel().tolist()) == (np.int64, [65535 * ((1 << 15) + 1)] * 2)
        assert engine.adaptive_sum_pool(x[:, :, : 1 << 15], (1, 1)).dtype == np.int32


@settings(max_examples=100)
@given(data=st.data(), shape=shapes(), kind=st.sampled_from(("int8", "uint8", "int16", "uint16", "float32")))
def test_look_up(data, shape, kind):
    images, height, width, channels = shape.x
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    pixels = random.integers(0, 256, (images, channels, height, width), np.uint8)
    levels = random.integers(-100, 100, (256, channels)).astype(kind)
    expected = reference.look_up(pixels, levels)
    for way, found in every_way(lambda threads: kernels.look_up(pixels, levels, threads=threads)):
        assert found.dtype == expected.dtype, way
        assert np.array_equal(found, expected), way


def assert_floats_as_the_twin(x_shape, weights_shape, moves, seed):
    """Within rounding of float64; and no bit depends on the number of threads."""
    random = np.random.default_rng(seed)
    x, weights = (random.normal(size=size).astype(np.float32) for size in (x_shape, weights_shape))
    twin = reference.l1_forward(x, weights, **moves)
    gradient = random.normal(size=twin.shape).astype(np.float32)
    calls = {
        "l1_forward": (x, weights),
        "mac_forward": (x, weights),
        "l1_input_gradient": (gradient, x, weights),
        "l1_sign_filter_gradient": (gradient, x, weights),
    }
    for name, arguments in calls.items():
        expected = getattr(reference, name)(*arguments, **moves)
        for chosen in SETS:
            with forced(chosen):
                one, two = (getattr(kernels, name)(*arguments, threads=threads, **moves) for threads in (1, 2))
            np.testing.assert_array_equal(one, two, err_msg=f"{name} {chosen}")
            np.testing.assert_allclose(one, expected, rtol=1e-4, atol=1e-4, err_msg=f"{name} {chosen}")


@settings(max_examples=100)
@given(shape=shapes(), seed=st.integers(0, 2**32 - 1))
def test_floats(shape, seed):
    assert_floats_as_the_twin(shape.x, shape.weights, shape.moves, seed)


@settings(max_examples=60)
@given(shape=shapes(), low=st.sampled_from((-128, 0)), scale=st.sampled_from((1.0, 2.0**-7)), seed=st.integers(0, 2**32 - 1))
def test_floats_that_are_codes_give_exact_sums(shape, low, scale, seed):
    """However taps are brought together: sums and differences of codes are codes, too."""
    random = np.random.default_rng(seed)
    codes = [random.integers(low, low + 256, size) for size in (shape.x, shape.weights)]
    x, weights = (scale * code.astype(np.float32) for code in codes)
    expected = scale * reference.window(*(code.astype(np.int16) for code in codes), arithmetic="l1", **shape.moves).values
    for way, found in every_way(lambda threads: kernels.l1_forward(x, weights, threads=threads, **shape.moves)):
        np.testing.assert_array_equal(found, expected, err_msg=way)


@pytest.mark.parametrize("channels", [3, 6, 32])
def test_floats_far_from_zero_lose_what_one_rounding_of_two_of_them_loses(channels):
    """Neighbouring taps may be added before they are subtracted; a window that equals a filter is at no distance from it."""
    random = np.random.default_rng(1)
    x, weights = ((1e4 + random.normal(size=size)).astype(np.float32) for size in ((2, 7, 9, channels), (20, 3, 3, channels)))
    weights[5] = x[1, 2:5, 3:6]
    expected = reference.l1_forward(x, weights)
    for way, found in every_way(lambda threads: kernels.l1_forward(x, weights, threads=threads)):
        assert found[1, 2, 3, 5] == 0, way
        assert np.abs(found - expected).max() <= 9 * channels * 4 * np.spacing(np.float32(1e4)), way


SIDES = st.tuples(st.integers(0, 2), st.integers(0, 2))


@settings(max_examples=60)
@given(
    padding=SIDES,
    far_padding=SIDES,
    size=st.tuples(st.integers(1, 3), st.integers(1, 9)),
    channels=st.sampled_from(((1, 1, 1), (5, 3, 1), (17, 20, 1), (2, 2, 2))),
    stride=st.sampled_from(((1, 1), (1, 2))),
    seed=st.integers(0, 2**32 - 1),
)
def test_pointwise_windows_with_padding_on_any_side(padding, far_padding, size, channels, stride, seed):
    """A 1x1 kernel has paths of its own for pixels in one row: padding anywhere ends them."""
    inputs, outputs, groups = channels
    moves = {"padding": padding, "far_padding": far_padding, "stride": stride, "groups": groups}
    x, weights = (2, *size, inputs * groups), (outputs * groups, 1, 1, inputs)
    assert_floats_as_the_twin(x, weights, moves, seed)
    random = np.random.default_rng(seed)
    codes_x, codes_weights = (random.integers(-128, 128, shape).astype(np.int8) for shape in (x, weights))
    for arithmetic in ARITHMETICS:
        expected = reference.window(codes_x, codes_weights, arithmetic=arithmetic, **moves)
        for way, found in every_way(
            lambda threads, name=arithmetic: kernels.window(codes_x, codes_weights, arithmetic=name, threads=threads, **moves)
        ):
            assert_same(found, expected, way)
