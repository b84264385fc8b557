"""Zeros among codes and channels brought last: every kernel is its slow twin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim import kernels
from addersim.kernels import reference
from tests.properties.strategies import limited
from tests.properties.test_kernels_twins import every_way

KINDS = ("int8", "uint8", "int16", "uint16", "int32", "int64")
examples_of = pytest.mark.parametrize("examples", [60, pytest.param(2000, marks=pytest.mark.slow)])


def drawn_codes(data, kind):
    """Codes of which some share is one of them, in runs that end anywhere."""
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shape = data.draw(st.tuples(st.integers(0, 3), st.sampled_from((1, 3, 16, 63, 64, 65, 200, 600))))
    ends, share = np.iinfo(kind), data.draw(st.sampled_from((0.0, 0.3, 0.9, 0.99, 1.0)))
    zero = data.draw(st.sampled_from((0, int(ends.min), int(ends.max), int(ends.max) + 1)))
    codes = random.integers(ends.min, ends.max, shape, kind, endpoint=True)
    if zero <= ends.max:
        codes[random.random(shape) < share] = zero
    return codes, zero


@examples_of
@pytest.mark.parametrize("kind", KINDS)
def test_zero_runs(kind, examples):
    @settings(max_examples=limited(examples), deadline=None)
    @given(data=st.data())
    def check(data):
        codes, zero = drawn_codes(data, kind)
        expected = reference.zero_runs(codes, zero)
        for way, found in every_way(lambda _: kernels.zero_runs(codes, zero)):
            assert found == expected, way

    check()


@pytest.mark.parametrize("kind", [*KINDS, "float32"])
@pytest.mark.parametrize(
    "shape", [(2, 3, 5, 7), (1, 1, 4, 4), (3, 4, 1, 33), (2, 3, 100), (2, 9), (0, 3, 2, 2), (1, 130, 2, 3)]
)
def test_channels_last(kind, shape):
    images = np.random.default_rng(1).integers(0, 100, shape).astype(kind)
    for given_images in (images, np.moveaxis(np.ascontiguousarray(np.moveaxis(images, 1, -1)), -1, 1), images[::-1]):
        expected = reference.channels_last(given_images)
        for way, found in every_way(lambda _, images=given_images: kernels.channels_last(images)):
            assert found.dtype == images.dtype, way
            assert found.flags.c_contiguous, way
            np.testing.assert_array_equal(found, expected)
