"""Adder layers of every geometry, their operands, and what the portable kernels give: kernels for GPUs must give the same."""

import torch
from hypothesis import strategies as st

from addersim.train import kernels

# images, channels, height, width, outputs, kernel, stride, padding, dilation, groups
PROBLEMS = {
    "K = 25": (2, 1, 9, 8, 6, (5, 5), (1, 1), (2, 2), (1, 1), 1),
    "K = 27": (1, 3, 5, 5, 17, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "K = 75": (1, 3, 7, 7, 5, (5, 5), (2, 2), (2, 2), (1, 1), 1),
    "K = 144": (2, 16, 9, 8, 16, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "more than a tile": (3, 4, 10, 9, 132, (1, 3), (1, 1), (0, 1), (1, 1), 1),
    "linear": (5, 37, 1, 1, 11, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    "strides that skip inputs": (1, 4, 9, 8, 3, (1, 2), (3, 2), (0, 1), (1, 1), 1),
    "stride and dilation share a factor": (2, 4, 13, 11, 8, (3, 3), (4, 2), (3, 2), (2, 2), 1),
    "dilation": (1, 2, 8, 9, 5, (3, 2), (1, 2), (2, 1), (2, 3), 1),
    "padding beyond the kernel": (1, 4, 2, 3, 4, (2, 2), (1, 3), (4, 5), (1, 1), 1),
    "groups": (2, 6, 5, 6, 9, (3, 2), (2, 1), (1, 0), (1, 2), 3),
    "groups of four": (2, 8, 5, 6, 8, (3, 2), (2, 1), (1, 0), (1, 2), 2),
    "depthwise": (1, 7, 4, 5, 7, (3, 3), (1, 1), (1, 1), (1, 1), 7),
    "depthwise, stride": (2, 3, 9, 19, 6, (3, 2), (2, 3), (1, 1), (1, 1), 3),
    "depthwise, stride 2": (2, 5, 9, 21, 5, (3, 3), (2, 2), (1, 1), (1, 1), 5),
    "depthwise, stride 4, padding 3": (1, 3, 7, 19, 3, (2, 5), (3, 4), (2, 3), (2, 1), 3),
    "depthwise, dilation": (2, 3, 9, 7, 6, (3, 2), (2, 3), (1, 1), (1, 2), 3),
}
OPERATORS = ("l1_forward", "l1_input_gradient", "l1_sign_filter_gradient")
HALF = {torch.float16: 2**-10, torch.bfloat16: 2**-7}


def tensors(problem, dtype=torch.float32, *, steps=0):
    """Gradient, input, filters and geometry; with `steps` all are multiples of 1 / steps, so that many values are equal."""
    images, channels, height, width, outputs, kernel, *geometry, groups = problem
    random = torch.Generator().manual_seed(1)

    def draw(*shape):
        drawn = torch.randn(shape, generator=random)
        return torch.round(drawn * steps) / steps if steps else drawn

    x, adder = draw(images, channels, height, width).to(dtype), draw(outputs, channels // groups, *kernel)
    shape = kernels.l1_forward(x.float(), adder, *geometry, groups, False).shape
    return draw(*shape), x, adder, (*geometry, groups)


def operands(name, gradient, x, adder):
    return (x, adder) if name == "l1_forward" else (gradient, x, adder)


def expected(name, gradient, x, adder, geometry):
    more = (False,) if name == "l1_forward" else ()
    return getattr(kernels, name)(*(one.float() for one in operands(name, gradient, x, adder)), *geometry, *more)


def assert_near(found, wanted, precision=2e-6):
    assert found.shape == wanted.shape
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert not found.isnan().any()
    assert float((found.float() - wanted).abs().max()) <= precision * (1 + float(wanted.abs().max()))


@st.composite
def problems(draw):
    """Layers of any geometry that yields an output, in which groups are often deep as they are wide."""
    groups = draw(st.integers(1, 3))
    channels, outputs = draw(st.integers(1, 9)) * groups, draw(st.integers(1, 9)) * groups
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stride = draw(st.tuples(st.integers(1, 4), st.integers(1, 3)))
    padding = draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    dilation = draw(st.tuples(st.integers(1, 4), st.integers(1, 3)))
    least = [max(1, dilation[axis] * (kernel[axis] - 1) + 1 - 2 * padding[axis]) for axis in range(2)]
    size = [draw(st.integers(one, one + 9)) for one in least]
    return draw(st.integers(1, 3)), channels, *size, outputs, kernel, stride, padding, dilation, groups
