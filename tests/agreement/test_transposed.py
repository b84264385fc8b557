"""Transposed convolutions as windows on images with zeros between their pixels: what torch gives."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim.errors import NetworkError
from addersim.frontends.transposed import MAX_LINES, ZERO, transposed_window
from addersim.layers import Window

PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


def taken(x, lines, axis):
    """Lines of an image, those of zeros too."""
    found = x.take([max(line, 0) for line in lines], axis)
    found[(slice(None),) * axis + ([place for place, line in enumerate(lines) if line == ZERO],)] = 0
    return found


def run(weights, x, *, bias=None, dilation=(1, 1), groups=1, **moves):
    """x channels last."""
    found = transposed_window(weights, x.shape[1:3], dilation=dilation, groups=groups, **moves)
    layer = Window(
        name="w",
        inputs=("input",),
        arithmetic="mac",
        weights=found.weights,
        bias=bias,
        padding=found.padding,
        far_padding=found.far_padding,
        dilation=dilation,
        groups=groups,
    )
    return layer.run(taken(taken(x, found.rows, 1), found.columns, 2))


@settings(max_examples=500)
@given(
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    kernel=PAIRS,
    stride=PAIRS,
    dilation=PAIRS,
    padding=st.tuples(st.integers(0, 6), st.integers(0, 6)),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    groups=st.integers(1, 3),
    data=st.data(),
)
def test_any_setting(size, kernel, stride, dilation, padding, channels, groups, data):
    """Padding beyond the kernel takes pixels away; output padding is less than stride or dilation, as torch demands."""
    more = tuple(data.draw(st.integers(0, max(stride[axis], dilation[axis]) - 1)) for axis in range(2))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = random.normal(0, 1, (2, *size, groups * channels[0])).astype(np.float32)
    weights = random.normal(0, 1, (groups * channels[0], channels[1], *kernel)).astype(np.float32)
    bias = random.normal(0, 1, groups * channels[1]).astype(np.float32)
    moves = {"stride": stride, "padding": padding, "output_padding": more, "dilation": dilation, "groups": groups}
    outputs = [  # the formula of torch's documentation
        (size[axis] - 1) * stride[axis] - 2 * padding[axis] + dilation[axis] * (kernel[axis] - 1) + more[axis] + 1
        for axis in range(2)
    ]
    if min(outputs) < 1:
        with pytest.raises(NetworkError, match="needs 1 output"):
            run(weights, x, bias=bias, **moves)
        return
    image = torch.from_numpy(x).permute(0, 3, 1, 2)
    expected = F.conv_transpose2d(image, torch.from_numpy(weights), torch.from_numpy(bias), **moves)
    found = run(weights, x, bias=bias, **moves)
    np.testing.assert_allclose(found, expected.permute(0, 2, 3, 1).numpy(), rtol=1e-4, atol=1e-5)


@given(
    size=st.integers(1, 4),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    before=st.integers(0, 4),
    after=st.integers(0, 4),
)
def test_what_is_taken_away_at_the_two_ends(size, kernel, stride, before, after):
    """Other numbers before and after, as ONNX has them: those lines of the whole output are not there."""
    random = np.random.default_rng(0)
    x = random.normal(0, 1, (1, size, 1, 2)).astype(np.float32)
    weights = random.normal(0, 1, (2, 3, kernel, 1)).astype(np.float32)
    whole = run(weights, x, stride=(stride, 1))
    kept = whole[:, before : whole.shape[1] - after]
    moves = {"stride": (stride, 1), "padding": (before, 0), "far_padding": (after, 0)}
    if before + after >= whole.shape[1]:
        with pytest.raises(NetworkError, match=f"height: {size} pixels, .* needs 1 output and at most {MAX_LINES} pixels"):
            run(weights, x, **moves)
    else:
        np.testing.assert_allclose(run(weights, x, **moves), kept, rtol=1e-5, atol=1e-6)


def test_by_hand():
    """Two pixels two apart, three taps: 5 outputs; padding takes the first two of them away, and with them the first pixel."""
    found = transposed_window(
        np.arange(1.0, 4.0).reshape(1, 1, 3, 1), (2, 1), stride=(2, 1), padding=(3, 0), far_padding=(0, 0)
    )
    assert (found.rows, found.columns) == ((ZERO, 1), (0,))
    assert found.weights.ravel().tolist() == [3, 2, 1]
    assert (found.padding, found.far_padding) == ((0, 0), (2, 0))
    # one pixel, three apart, one tap: outputs 0 to 2 of which the first is taken away at both ends, two more at the end
    found = transposed_window(np.ones((1, 1, 1, 1)), (1, 1), stride=(3, 1), padding=(1, 0), output_padding=(2, 0))
    assert (found.rows, found.padding, found.far_padding) == ((ZERO,), (0, 0), (0, 0))


WEIGHTS = np.ones((4, 2, 3, 3), np.float32)
BAD = [
    (WEIGHTS[0], {}, "weights: shape (2, 3, 3) is not (inputs, outputs / groups, kernel_height, kernel_width)"),
    (WEIGHTS, {"groups": 3}, "groups: 3 does not divide 4 input channels"),
    (WEIGHTS, {"padding": (-1, 0)}, "padding: (-1, 0) is not a pair of whole numbers in 0..1048576, such as (1, 1)"),
    (WEIGHTS, {"output_padding": (0, 0.5)}, "output_padding: (0, 0.5) is not a pair of whole numbers"),
    (
        WEIGHTS,
        {"padding": (0, 4)},
        "width: 4 pixels, stride 1, padding 4 and 4, 0 more at the end: -2 outputs that see 0 pixels, zeros included; needs 1",
    ),
    (
        WEIGHTS,
        {"stride": (1 << 20, 1)},
        "height: 4 pixels, stride 1048576, padding 0 and 0, 0 more at the end: 3145731 outputs",
    ),
]


@pytest.mark.parametrize(("weights", "moves", "message"), BAD)
def test_what_cannot_be_is_told(weights, moves, message):
    with pytest.raises(NetworkError, match=re.escape(message)):
        transposed_window(weights, (4, 4), **moves)
