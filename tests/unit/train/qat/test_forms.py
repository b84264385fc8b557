"""Layers as torch functions: the numbers of the float layers, and gradients that are their slopes."""

from typing import get_args

import numpy as np
import pytest

from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.layers import AnyLayer, Unknown, Window
from addersim.network import walk
from tests.unit import networks

torch = pytest.importorskip("torch")

from addersim.train.kernels import l1_filter_gradient, l1_input_gradient  # noqa: E402
from addersim.train.qat.forms import FORMS, SUMS, array, form, tensor, window_sums  # noqa: E402

ALL = [networks.residual(), networks.uneven(), networks.branches()]
LAYERS = {(net.name, layer.name): (net, layer) for net in ALL for layer in net.layers}


def given(network, wanted):
    """Inputs of a layer on some images."""
    images = networks.images(network, 3)
    found = []

    def run(layer, inputs):
        if layer.name == wanted.name:
            found.extend(inputs)
        return layer.run(*inputs)

    start = next(value for _, value in network.values(images))
    for _ in walk(network.layers, start, run):
        pass
    return found


def test_every_layer_kind_and_kernel_has_a_form():
    assert {*FORMS, Window, Unknown} == set(get_args(AnyLayer))
    assert set(SUMS) == {record.kernel for record in ARITHMETICS.values()}


@pytest.mark.parametrize("key", LAYERS, ids="/".join)
def test_numbers_are_the_float_layers(key):
    network, layer = LAYERS[key]
    inputs = given(network, layer)
    wanted = layer.run(*inputs)
    tensors = [tensor(one) for one in inputs]
    if isinstance(layer, Window):
        found = window_sums(layer, *tensors, torch.from_numpy(layer.weights))
        wanted = wanted if layer.bias is None else wanted - layer.bias
    else:
        found = form(layer, *tensors)
    np.testing.assert_allclose(array(found), wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_sums_of_every_arithmetic(arithmetic):
    for network in (networks.residual(arithmetic=arithmetic), networks.uneven(arithmetic=arithmetic)):
        for layer in (one for one in network.layers if isinstance(one, Window) and one.bias is None):
            (x,) = given(network, layer)
            wanted = layer.run(x)
            found = array(window_sums(layer, tensor(x), torch.from_numpy(layer.weights)))
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("key", [key for key, (_, layer) in LAYERS.items() if not isinstance(layer, Window)], ids="/".join)
def test_gradients_are_slopes(key):
    """Along a random direction, small enough to cross few corners, the output changes as the gradient says."""
    network, layer = LAYERS[key]
    random = np.random.default_rng(0)
    inputs = [one + random.normal(0, 0.5, one.shape).astype(np.float32) for one in given(network, layer)]
    directions = [random.normal(0, 1, one.shape) for one in inputs]
    tensors = [tensor(one).requires_grad_() for one in inputs]
    out = form(layer, *tensors)
    weights = torch.from_numpy(random.normal(0, 1, tuple(out.shape))).float()
    slopes = torch.autograd.grad((out * weights).sum(), tensors)
    said = sum(float((slope * tensor(one)).sum()) for slope, one in zip(slopes, directions, strict=True))
    step = 2e-4
    ends = [form(layer, *[tensor(x + sign * step * d) for x, d in zip(inputs, directions, strict=True)]) for sign in (1, -1)]
    seen = float(((ends[0].double() - ends[1].double()) * weights).sum()) / (2 * step)
    size = sum(float(slope.square().sum()) for slope in slopes) ** 0.5
    assert seen == pytest.approx(said, abs=0.05 * size + 1e-2)


def test_adder_windows_have_the_methods_gradients():
    network = networks.residual()
    layer = next(one for one in network.layers if one.name == "grouped")
    (x,) = (tensor(one).requires_grad_() for one in given(network, layer))
    weights = torch.from_numpy(layer.weights).requires_grad_()
    out = window_sums(layer, x, weights)
    gradient = torch.randn(out.shape, generator=torch.Generator().manual_seed(0))
    found = torch.autograd.grad(out, (x, weights), gradient)
    moves = layer.stride, layer.padding, layer.dilation, layer.groups
    torch.testing.assert_close(found[0], l1_input_gradient(gradient, x.detach(), weights.detach(), *moves))
    torch.testing.assert_close(found[1], l1_filter_gradient(gradient, x.detach(), weights.detach(), *moves))
