"""ReLU with an upper bound: in float, on codes, and billed."""

import numpy as np
import pytest
import torch
from torch import nn

from addersim import Quantization, count, kernels, quantize
from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import NetworkError
from addersim.frontends.torch.lower import lower
from addersim.kernels import reference
from addersim.layers import IntegerRelu, Relu
from addersim.layers.base import Value

RANDOM = np.random.default_rng(2)


class Bounded(nn.Module):
    def __init__(self, functional):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(2, 4, 3)
        self.relu = nn.functional.relu6 if functional else nn.ReLU6()
        self.out = nn.Linear(16, 3)

    def forward(self, x):
        return self.out(torch.flatten(self.relu(9 * self.conv(x)), 1))


@pytest.mark.parametrize("functional", [False, True])
def test_relu6_of_torch(functional):
    module = Bounded(functional)
    x = 3 * RANDOM.random((8, 2, 4, 4), np.float32)
    network = lower(module, (2, 4, 4))
    values = dict(network.values(x))
    assert values["relu" if not functional else "relu6"].max() == 6
    with torch.no_grad():
        assert np.allclose(network.run(x), module(torch.from_numpy(x)).numpy(), atol=1e-5)


def test_codes_stop_at_the_bound_in_both_engines_and_in_pipelines():
    network = lower(Bounded(False), (2, 4, 4))
    x = 3 * RANDOM.random((8, 2, 4, 4), np.float32)
    program = quantize(network, x, Quantization(power_of_two=True))
    (bounded,) = (layer for layer in program.layers if isinstance(layer, IntegerRelu))
    assert bounded.output.scale == 2**-5
    assert bounded.maximum == 192  # 6 in steps of 1 / 32
    runs = [dict(program.runs(x, engine, stream=stream)) for engine in (kernels, reference) for stream in (False, True)]
    for run in runs:
        assert run["relu"].values.max() == 192
        assert np.array_equal(run["relu"].values, runs[0]["relu"].values)
        assert np.array_equal(run["out"].values, runs[0]["out"].values) if run["out"].values is not None else True


def test_a_bound_at_the_formats_end_or_beyond_costs_nothing():
    scale = 6 / 255
    given = Value((4, 2, 2), 9, True, scale)
    free = IntegerRelu(name="r", inputs=("x",), twin=None, output=FixedFormat(8, False, scale))
    paid = IntegerRelu(name="r", inputs=("x",), twin=None, output=FixedFormat(8, False, scale), maximum=200)
    assert free.bill(given, given).hardware.by_operation() == {"cmp": 16, "mux": 16}
    assert paid.bill(given, given).hardware.by_operation() == {"cmp": 32, "mux": 32}
    assert count(quantize(lower(Bounded(False), (2, 4, 4)), None)).operations.total("cmp") > 0


@pytest.mark.parametrize("maximum", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_bounds_are_refused(maximum):
    with pytest.raises(NetworkError, match="layer r: maximum .* is not a positive number"):
        Relu(name="r", inputs=("x",), maximum=maximum)
    with pytest.raises(NetworkError, match=r"layer r: maximum code 255 is not in 1\.\.254"):
        IntegerRelu(name="r", inputs=("x",), twin=None, output=FixedFormat(8, False, 1.0), maximum=255)
