"""Pooling layers are torch's: sizes rounded down and up, divisors at the edges, adaptive sizes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim.errors import NetworkError
from addersim.layers import AveragePool, MaxPool

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))


@st.composite
def windows(draw, dilated):
    """As torch takes them: padding of at most half a kernel."""
    pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))
    kernel = draw(pairs)
    padding = tuple(draw(st.integers(0, size // 2)) for size in kernel)
    found = {"kernel": kernel, "stride": draw(pairs), "padding": padding, "ceil_mode": draw(st.booleans())}
    return found | ({"dilation": draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))} if dilated else {})


def compared(layer, expected, size, seed):
    """Torch's output; where a window meets no pixel, which torch calls minus infinity, the layer refuses."""
    x = np.random.default_rng(seed).normal(0, 1, (2, *size, 3)).astype(np.float32)
    try:
        wanted = expected(torch.from_numpy(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
    except RuntimeError as error:
        assert "Output size is too small" in str(error)
        with pytest.raises(NetworkError, match="pixels; the image has"):
            layer.shape((3, *size))
        return
    if not np.isfinite(wanted).all():
        with pytest.raises(NetworkError, match="lets a pooling window miss the image"):
            layer.shape((3, *size))
        return
    assert layer.shape((3, *size)) == (3, *wanted.shape[1:3])
    np.testing.assert_allclose(layer.run(x), wanted, rtol=1e-5, atol=1e-6)


@settings(max_examples=300)
@given(how=windows(dilated=True), size=SIZES, seed=st.integers(0, 2**32 - 1))
def test_maxima(how, size, seed):
    layer = MaxPool(name="p", inputs=("input",), **how)
    options = {name: how[name] for name in ("stride", "padding", "dilation", "ceil_mode")}
    compared(layer, lambda x: F.max_pool2d(x, how["kernel"], **options), size, seed)


@settings(max_examples=300)
@given(
    how=windows(dilated=False),
    size=SIZES,
    seed=st.integers(0, 2**32 - 1),
    count=st.booleans(),
    divisor=st.none() | st.integers(1, 5),
)
def test_averages(how, size, seed, count, divisor):
    layer = AveragePool(name="p", inputs=("input",), **how, count_padding=count, divisor=divisor)
    options = {name: how[name] for name in ("stride", "padding", "ceil_mode")}
    options |= {"count_include_pad": count, "divisor_override": divisor}
    compared(layer, lambda x: F.avg_pool2d(x, how["kernel"], **options), size, seed)


@settings(max_examples=200)
@given(output_size=SIZES, size=SIZES, seed=st.integers(0, 2**32 - 1))
def test_adaptive_sizes(output_size, size, seed):
    for kind, expected in ((MaxPool, F.adaptive_max_pool2d), (AveragePool, F.adaptive_avg_pool2d)):
        layer = kind(name="p", inputs=("input",), output_size=output_size)
        compared(layer, lambda x, pool=expected: pool(x, output_size), size, seed)
