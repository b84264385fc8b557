"""Functions of one number: near torch's everywhere, without a warning, and never negative where they say so."""

import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as f

from addersim.arithmetic.functions import FUNCTIONS, erf

CASES = {
    "sigmoid": [((), torch.sigmoid)],
    "tanh": [((), torch.tanh)],
    "silu": [((1.0,), f.silu), ((1.702,), lambda x: x * torch.sigmoid(1.702 * x))],
    "gelu": [((), f.gelu)],
    "gelu_tanh": [((), lambda x: f.gelu(x, approximate="tanh"))],
    "hard_sigmoid": [((1 / 6, 0.5), f.hardsigmoid), ((0.2, 0.5), lambda x: (0.2 * x + 0.5).clamp(0, 1))],
    "hard_swish": [((), f.hardswish)],
    "leaky_relu": [((0.01,), f.leaky_relu), ((-0.3,), lambda x: f.leaky_relu(x, -0.3))],
    "prelu": [((0.25,), lambda x: f.prelu(x, torch.tensor([0.25], dtype=x.dtype)))],
    "elu": [((1.0,), f.elu), ((0.3,), lambda x: f.elu(x, 0.3))],
    "selu": [((1.6732632423543772, 1.0507009873554805), f.selu)],
    "celu": [((1.0,), f.celu), ((2.5,), lambda x: f.celu(x, 2.5))],
    "softplus": [((1.0, 20.0), f.softplus), ((3.0, 5.0), lambda x: f.softplus(x, 3.0, 5.0))],
    "softsign": [((), f.softsign)],
    "mish": [((), f.mish)],
    "logsigmoid": [((), f.logsigmoid)],
    "hard_shrink": [((0.5,), f.hardshrink), ((2.0,), lambda x: f.hardshrink(x, 2.0))],
    "soft_shrink": [((0.5,), f.softshrink), ((2.0,), lambda x: f.softshrink(x, 2.0))],
    "tanhshrink": [((), f.tanhshrink)],
    "threshold": [((0.1, 20.0), nn.Threshold(0.1, 20.0)), ((-1.0, 0.0), nn.Threshold(-1.0, 0.0))],
    "power": [((number,), lambda x, number=number: torch.pow(x, number)) for number in (0.5, 2.0, 3.0, -1.0, -0.5, 1.7, 0.0)],
    "asin": [((), torch.asin)],
    "sign": [((), torch.sign)],
}
CASES |= {name: [((), getattr(torch, name))] for name in FUNCTIONS if name not in CASES}
ROWS = [(name, constants, source) for name, cases in CASES.items() for constants, source in cases]
POINTS = np.unique(
    np.concatenate([np.linspace(-12, 12, 4801), np.logspace(-20, 30, 301), -np.logspace(-20, 30, 301), [0.0, 0.5, -0.5, 2.5]])
)


def named(one):
    return str(one) if isinstance(one, (str, tuple)) else ""


def test_every_function_stands_beside_torchs():
    assert set(CASES) == set(FUNCTIONS)


@pytest.mark.parametrize(("name", "constants", "source"), ROWS, ids=named)
def test_values_are_torchs(name, constants, source):
    x = POINTS.astype(np.float32)
    expected = source(torch.from_numpy(x.astype(np.float64))).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = FUNCTIONS[name](x, *constants)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(found.astype(np.float32), expected.astype(np.float32), rtol=3e-7, atol=1e-12)


@pytest.mark.parametrize(("name", "constants", "source"), ROWS, ids=named)
def test_what_is_never_negative_is_not(name, constants, source):
    record = FUNCTIONS[name]
    for positive in (False, True):
        x = POINTS[POINTS >= 0] if positive else POINTS
        found = record.nearest(x, *constants)
        assert not np.isnan(found).any(), "the nearest number of the domain has a value"
        if record.never_negative(positive, *constants):
            assert found.min() >= 0
        elif name not in ("tan", "sin", "cos") and not positive:
            assert found.min() < 0, "it could be held without sign"


def test_erf_is_that_of_the_library():
    x = np.concatenate([np.linspace(-8, 8, 3001), [1e-300, -1e-9, 1e300]])
    expected = np.array([math.erf(one) for one in x])
    np.testing.assert_allclose(erf(x), expected, rtol=1e-13)


def test_the_usual_constants_are_torchs():
    x = POINTS.astype(np.float32)
    torchs = (f.elu, f.selu, f.celu, f.softplus, f.leaky_relu)
    for name, source in zip(("elu", "selu", "celu", "softplus", "leaky_relu"), torchs, strict=True):
        usual = tuple(FUNCTIONS[name].constants.values())
        expected = source(torch.from_numpy(x.astype(np.float64))).numpy()
        np.testing.assert_allclose(FUNCTIONS[name](x, *usual), expected, rtol=1e-12)
