"""Every arithmetic with layers of its own: a network of it goes through torch and ONNX, the simulation and the costs."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from addersim import Quantization, count, estimate, lower_onnx, quantize, simulate  # noqa: E402
from addersim.arithmetic.arithmetics import ARITHMETICS  # noqa: E402
from addersim.arithmetic.datapaths import DATAPATHS  # noqa: E402
from addersim.frontends.torch.lower import lower  # noqa: E402
from addersim.layers import IntegerWindow, Window  # noqa: E402
from addersim.train import coded  # noqa: E402
from addersim.train import nn as layers  # noqa: E402
from tests.unit.frontends.onnx.models import node, saved, whole  # noqa: E402
from tests.unit.networks import images  # noqa: E402

OWN = [record for record in ARITHMETICS.values() if record.has_own_operator]


def module(record, place, *arguments, **options):
    """A module of a record: 0 for its window, -1 for its fully connected layer."""
    name = record.layers[place]
    return getattr(layers if hasattr(layers, name) else coded, name)(*arguments, **options)


def parts(layer):
    """Weights, and what stands before and behind the window."""
    return layer.parts() if isinstance(layer, coded.CodedLayer) else coded.Parts(layer.adder)


def by_formula(record, x, filters, stride, padding):
    """Sums of the record's own term, tap by tap."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    rows = (x.shape[2] - filters.shape[2]) // stride + 1
    sums = np.zeros((len(x), len(filters), rows, rows))
    for row, column in np.ndindex(*filters.shape[2:]):
        met = x[:, :, row : row + rows * stride : stride, column : column + rows * stride : stride][:, :, :rows, :rows]
        terms = record.term(met[:, None], filters[None, :, :, row, column, None, None])
        sums += terms.sum(axis=2)
    return sums


@pytest.mark.parametrize("record", OWN, ids=lambda record: record.name)
def test_a_module_computes_the_records_term_and_its_gradient(record):
    torch.manual_seed(0)
    layer = module(record, 0, 3, 5, 3, stride=2, padding=1, bias=False)
    if record.name == "xnor":
        torch.nn.init.normal_(layer.threshold)
    x = torch.randn(2, 3, 9, 9, requires_grad=True)
    y = layer(x)
    weights, threshold, scale = (None if one is None else one.detach().double().numpy() for one in parts(layer))
    before = x.detach().double().numpy() - (0 if threshold is None else threshold[:, None, None])
    expected = by_formula(record, before, weights, 2, 1) * (1 if scale is None else scale[:, None, None])
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-4, atol=1e-4)
    y.sum().backward()
    assert all(one.grad.isfinite().all() and one.grad.abs().sum() > 0 for one in (x, *layer.parameters()))
    if isinstance(layer, coded.CodedLayer):
        return
    # one step against the gradient of the filters lowers the sum
    with torch.no_grad():
        layer.adder -= 1e-3 * layer.adder.grad / layer.adder.grad.norm()
        assert layer(x).sum() < y.sum()


@pytest.mark.parametrize("record", OWN, ids=lambda record: record.name)
def test_a_network_goes_all_the_way(record, tmp_path):
    torch.manual_seed(1)
    activation = nn.Identity if record.name == "xnor" else nn.ReLU
    net = nn.Sequential(
        module(record, 0, 2, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), activation(),
        module(record, 0, 6, 8, 3, stride=2, groups=2, bias=False), nn.BatchNorm2d(8), activation(), nn.Flatten(),
        module(record, -1, 8 * 4 * 4, 5), nn.BatchNorm1d(5),
    )  # fmt: skip
    net.train()
    for _ in range(20):  # settle the statistics
        net(torch.rand(32, 2, 10, 10) - 0.3)
    net.eval()
    network = lower(net, (2, 10, 10), mean=(0.3, 0.3), std=(1.0, 1.0))
    pixels = images(network, 48)
    assert {one.arithmetic for one in network.layers if isinstance(one, Window)} == {record.name}
    with torch.no_grad():
        floats = net(torch.from_numpy(pixels / 255 - 0.3).float()).numpy()
    np.testing.assert_allclose(network.run(pixels), floats, rtol=1e-3, atol=1e-3 * np.abs(floats).max())
    errors = []
    for bits in (6, 8, 12):
        program = quantize(network, pixels, Quantization(weight_bits=bits, activation_bits=bits))
        found = simulate(program, pixels, None, network)
        errors.append(found.errors[-1].relative_error)
    if record.name != "xnor":  # its inputs are signs at any width
        assert errors == sorted(errors, reverse=True)
    assert found.agreement > 0.9
    own = {layer.name: layer for layer in network.layers if isinstance(layer, Window)}
    if not record.codec.uniform:  # what was trained is what is simulated: the same weights, but for one scale a filter
        for layer in (one for one in program.layers if isinstance(one, IntegerWindow)):
            codes, trained = (
                one.reshape(len(one), -1) for one in (layer.weights, own[layer.name].weights.transpose(0, 2, 3, 1))
            )
            scales = np.abs(trained).max(axis=1) / np.abs(codes).max(axis=1)
            np.testing.assert_allclose(codes * scales[:, None], trained, rtol=1e-5, atol=1e-6)
    cost = estimate(count(program), "systolic-16x16", "horowitz-45nm")
    assert cost.energy_pj > 0
    circuits = {one.name for one in DATAPATHS.values() if one.arithmetic is record}
    assert {layer.datapath for layer in cost.layers if layer.taps} <= circuits


@pytest.mark.parametrize("record", OWN, ids=lambda record: record.name)
def test_an_operator_of_our_domain_is_read(record, tmp_path):
    random = np.random.default_rng(2)
    filters = random.normal(size=(4, 3, 3, 3)).astype(np.float32)
    made = whole(
        [node(record.layers[0], "x", "w", name="own", domain="addersim", strides=[2, 2], pads=[1, 1, 1, 1])],
        {"w": filters},
        shape=(4, 4, 4),
    )
    network = lower_onnx(saved(tmp_path, made))
    assert [layer.arithmetic for layer in network.layers if isinstance(layer, Window)] == [record.name, "mac"]
    x = random.normal(size=(3, 3, 8, 8)).astype(np.float32)
    found = dict(network.values(x))["own"].transpose(0, 3, 1, 2)
    np.testing.assert_allclose(found, by_formula(record, x.astype(float), filters, 2, 1), rtol=1e-4, atol=1e-4)
