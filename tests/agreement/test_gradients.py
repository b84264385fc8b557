"""Raw gradients of the adder layer against its formulas: the normalised learning rate would hide a wrong scale."""

import itertools
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402
from torch.nn import functional  # noqa: E402

from addersim.arithmetic.geometry import Geometry  # noqa: E402
from addersim.errors import NetworkError  # noqa: E402
from addersim.train import kernels, reference  # noqa: E402
from addersim.train.nn import Adder2d, AdderLinear, Euclidean2d  # noqa: E402


@st.composite
def problems(draw):
    """A geometry with tails of every kind, an input, filters and an upstream gradient."""
    pair = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    kernel, stride, padding, dilation = pair(1, 5), pair(1, 3), pair(0, 2), pair(1, 2)
    groups = draw(st.integers(1, 3))
    channels, outputs = groups * draw(st.integers(1, 7)), groups * draw(st.integers(1, 19))
    size = [dilation[i] * (kernel[i] - 1) + 1 + draw(st.integers(0, 6)) for i in range(2)]
    geometry = Geometry(kernel, stride, padding, dilation, groups)
    random = torch.Generator().manual_seed(draw(st.integers(0, 1 << 30)))
    x = torch.randn((draw(st.integers(1, 3)), channels, *size), generator=random)
    adder = torch.randn((outputs, channels // groups, *kernel), generator=random)
    gradient = torch.randn((x.shape[0], outputs, *geometry.output_size(*size)), generator=random)
    return geometry, x, adder, gradient


def layer_of(geometry, adder, gradient="full"):
    outputs, channels = adder.shape[:2]
    steps = geometry.kernel, geometry.stride, geometry.padding, geometry.dilation, geometry.groups
    layer = Adder2d(channels * geometry.groups, outputs, *steps, bias=False, gradient=gradient)
    layer.adder.data = adder
    return layer


def assert_near(found, expected):
    assert found.shape == expected.shape
    assert float((found - expected).detach().abs().max()) <= 1e-5 * (1 + float(expected.detach().abs().max()))


@given(problems(), st.sampled_from(["full", "sign"]))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_forward_and_gradients_equal_the_formulas(problem, rule):
    geometry, x, adder, gradient = problem
    layer = layer_of(geometry, adder, rule)
    x.requires_grad_()
    y = layer(x)
    y.backward(gradient)
    wide = gradient.double(), x.detach().double(), adder.double()
    assert_near(y.detach(), reference.l1_forward(*wide[1:], geometry))
    assert_near(layer.adder.grad, reference.l1_filter_gradient(*wide, geometry, sign=rule == "sign"))
    assert_near(x.grad, reference.l1_input_gradient(*wide, geometry))


@given(problems())
@settings(max_examples=30, deadline=None, derandomize=True)
def test_formulas_are_derivatives(problem):
    """X - F is the derivative of -(X - F)^2 / 2 by F, HardTanh(F - X) that of -Huber(X - F) by X."""
    geometry, x, adder, gradient = (value.double() if torch.is_tensor(value) else value for value in problem)
    x.requires_grad_()
    adder.requires_grad_()
    difference = reference._columns(x, adder, geometry) - reference._filters(adder, geometry)
    square = -difference.square().sum(3).reshape(gradient.shape) / 2
    huber = -functional.huber_loss(difference, torch.zeros_like(difference), reduction="none").sum(3).reshape(gradient.shape)
    (by_filters,) = torch.autograd.grad(square, adder, gradient, retain_graph=True)
    (by_input,) = torch.autograd.grad(huber, x, gradient)
    arguments = gradient, x.detach(), adder.detach(), geometry
    torch.testing.assert_close(reference.l1_filter_gradient(*arguments), by_filters)
    torch.testing.assert_close(reference.l1_input_gradient(*arguments), by_input)


@given(problems(), st.data())
@settings(max_examples=30, deadline=None, derandomize=True)
def test_sign_gradient_is_the_numerical_derivative(problem, data):
    """Where no x meets an f within the step, the forward pass is linear in f, so that differences are exact."""
    geometry, x, adder, _ = problem
    x, adder = (x * 4).round() / 4, (adder * 4).round() / 4 + 1 / 8
    chosen = data.draw(st.integers(0, adder.numel() - 1))
    step = torch.zeros_like(adder).view(-1)
    step[chosen] = 1 / 16
    step = step.view(adder.shape)
    ahead, behind = (layer_of(geometry, adder + s)(x).detach().double().sum() for s in (step, -step))
    layer = layer_of(geometry, adder, "sign")
    layer(x).sum().backward()
    assert float(layer.adder.grad.view(-1)[chosen]) == float(ahead - behind) * 8


def test_linear_is_a_one_by_one_window():
    random = torch.Generator().manual_seed(1)
    x = torch.randn((5, 3, 11), generator=random, requires_grad=True)
    layer = AdderLinear(11, 7)
    layer.bias.data = torch.arange(7.0)
    y = layer(x)
    expected = -(x.detach()[:, :, None, :] - layer.adder.detach()).abs().sum(-1) + torch.arange(7.0)
    torch.testing.assert_close(y.detach(), expected)
    gradient = torch.randn(y.shape, generator=random)
    y.backward(gradient)
    difference = x.detach()[:, :, None, :] - layer.adder.detach()
    torch.testing.assert_close(layer.adder.grad, (difference * gradient[..., None]).sum((0, 1)))
    torch.testing.assert_close(x.grad, (-difference.clamp(-1, 1) * gradient[..., None]).sum(2))
    torch.testing.assert_close(layer.bias.grad, gradient.sum((0, 1)))


@pytest.mark.parametrize("sign", [False, True])
def test_operators_pass_opcheck(sign):
    random = torch.Generator().manual_seed(2)
    x = torch.randn((2, 4, 7, 6), generator=random, requires_grad=True)
    adder = torch.randn((6, 2, 3, 2), generator=random, requires_grad=True)
    geometry = [2, 1], [1, 0], [1, 2], 2
    torch.library.opcheck(kernels.l1_forward, (x, adder, *geometry, sign))
    gradient = torch.randn(kernels.l1_forward(x, adder, *geometry, sign).shape, generator=random)
    operator = kernels.l1_sign_filter_gradient if sign else kernels.l1_input_gradient
    torch.library.opcheck(operator, (gradient, x.detach(), adder.detach(), *geometry))


@pytest.mark.parametrize("layouts", list(itertools.product((torch.contiguous_format, torch.channels_last), repeat=3)))
@pytest.mark.parametrize("kernel", [1, 3])
def test_compilers_are_told_how_results_are_laid_out(layouts, kernel):
    shapes = (2, 5, 6, 6), (2, 4, 6, 6), (5, 4, kernel, kernel)
    operands = [torch.ones(shape).contiguous(memory_format=layout) for shape, layout in zip(shapes, layouts, strict=True)]
    geometry = (1, 1), (kernel // 2,) * 2, (1, 1), 1
    backward = kernels.l1_input_gradient, kernels.l1_sign_filter_gradient, kernels.l1_filter_gradient
    calls = [(kernels.l1_forward, (*operands[1:], *geometry, False)), *((one, (*operands, *geometry)) for one in backward)]
    for operator, arguments in calls:
        with FakeTensorMode() as mode:
            told = operator(*(mode.from_tensor(one) if isinstance(one, torch.Tensor) else one for one in arguments))
        found = operator(*arguments)
        wide = [axis for axis, size in enumerate(found.shape) if size > 1]  # steps along axes of one say nothing
        assert [told.stride(axis) for axis in wide] == [found.stride(axis) for axis in wide], operator


def test_outputs_can_be_changed_in_place_as_those_of_convolutions():
    torch.manual_seed(4)
    layer, x = Adder2d(2, 3, 3, bias=False), torch.randn(2, 2, 5, 5)
    gradients = []
    for inplace in (False, True):
        layer.adder.grad = None
        torch.nn.ReLU(inplace)(layer(x).add_(20) if inplace else layer(x) + 20).square().sum().backward()
        gradients.append(layer.adder.grad)
    assert torch.equal(*gradients)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what inductor imports
def test_networks_train_through_inductor():
    torch.manual_seed(3)
    network = torch.nn.Sequential(Adder2d(3, 5, 3, padding=1), torch.nn.ReLU(), Adder2d(5, 2, 1))
    x = torch.randn(4, 3, 8, 8)
    found = []
    for run in (network, torch.compile(network, fullgraph=True)):
        network.zero_grad()
        y = run(x)
        y.square().sum().backward()
        found.append([y.detach(), *(one.grad for one in network.parameters())])
    for one, other in zip(*found, strict=True):
        assert_near(one, other)


def test_compiled_and_eager_agree():
    torch.manual_seed(3)
    network = torch.nn.Sequential(Adder2d(3, 5, 3, padding=1), torch.nn.BatchNorm2d(5), torch.nn.ReLU(), Adder2d(5, 2, 1))
    x = torch.randn(4, 3, 8, 8)
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    results = []
    for run in (network, compiled):
        network.zero_grad()
        run(x).square().sum().backward()
        results.append([parameter.grad.clone() for parameter in network.parameters()])
    for eager, other in zip(*results, strict=True):
        torch.testing.assert_close(eager, other)


def test_no_gradient_is_computed_that_nobody_wants(monkeypatch):
    monkeypatch.setattr(kernels, "by_input", None)
    layer = Adder2d(1, 2, 3)
    layer(torch.randn(2, 1, 5, 5)).sum().backward()
    assert layer.adder.grad is not None


@pytest.mark.parametrize("rule", ["full", "sign"])
@pytest.mark.parametrize("by", ["input", "filters"])
def test_a_second_derivative_is_refused_and_a_first_by_create_graph_is_not(rule, by):
    layer = Adder2d(2, 3, 3, gradient=rule)
    x = torch.randn(2, 2, 6, 6, requires_grad=True)
    chosen = x if by == "input" else layer.adder
    (plain,) = torch.autograd.grad(layer(x).square().sum(), chosen)
    (found,) = torch.autograd.grad(layer(x).square().sum(), chosen, create_graph=True)
    assert torch.equal(found, plain)
    with pytest.raises(NetworkError, match=r"adder layer: has no second derivative, .*; leave out create_graph"):
        found.square().sum().backward()


def test_euclidean_layers_have_second_derivatives():
    layer, x = Euclidean2d(2, 3, 3).double(), torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x, f: torch.func.functional_call(layer, {"adder": f}, x), (x, layer.adder))


def jacobian(layer, x, inputs):
    """By plain autograd, an output at a time."""
    y = layer(x)
    rows = [torch.autograd.grad(one, inputs, retain_graph=True)[0] for one in y.flatten()]
    return torch.stack(rows).reshape(*y.shape, *inputs.shape).detach()


@pytest.mark.parametrize("rule", ["full", "sign"])
def test_transforms_of_torch_func_give_what_loops_give(rule):
    torch.manual_seed(0)
    layer = Adder2d(4, 6, (3, 2), stride=(2, 1), padding=1, groups=2, gradient=rule)
    x, weights = torch.randn(5, 4, 6, 5), {name: one.detach() for name, one in layer.named_parameters()}

    def run(weights, x):
        return torch.func.functional_call(layer, weights, (x,))

    def loss(weights, image):
        return run(weights, image[None]).square().sum()

    mapped = torch.func.vmap(lambda image: run(weights, image[None])[0])(x)
    assert torch.equal(mapped, layer(x))
    each = [torch.func.grad(loss)(weights, image) for image in x]
    together = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, x)
    for name, found in together.items():
        assert_near(found, torch.stack([one[name] for one in each]))
    layer.zero_grad()
    layer(x[:1]).square().sum().backward()
    assert_near(each[0]["adder"], layer.adder.grad)
    several = {name: torch.stack([one, 2 * one, -one], dim=-1) for name, one in weights.items()}
    ensemble = torch.func.vmap(run, in_dims=(-1, None))(several, x)
    norms = torch.func.vmap(lambda weights: functional.group_norm(run(weights, x), 2), in_dims=-1)(several)
    assert_near(norms[2], functional.group_norm(ensemble[2], 2))  # asks how its input is laid out, which vmap knows of one way
    assert_near(ensemble[1], run({name: 2 * one for name, one in weights.items()}, x))
    inputs = torch.func.vmap(torch.func.grad(lambda image, weights: loss(weights, image)), in_dims=(None, -1))(x[0], several)
    assert_near(inputs[2], torch.func.grad(lambda image: loss({k: -v for k, v in weights.items()}, image))(x[0]))
    two = x[:2].clone().requires_grad_()
    by_weights, by_input = torch.func.jacrev(run, argnums=(0, 1))(weights, two.detach())
    assert_near(by_input, jacobian(layer, two, two))
    assert_near(by_weights["adder"], jacobian(layer, two, layer.adder))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # torch's own use of it
@pytest.mark.parametrize("layer", [Adder2d(2, 3, 3), AdderLinear(6, 3)])
def test_forward_derivatives_are_refused_and_never_zero(layer):
    x = torch.randn(2, 2, 6, 6)
    for transform in (lambda: torch.func.jvp(layer, (x,), (x,)), lambda: torch.func.jacfwd(layer)(x)):
        with pytest.raises(
            NetworkError, match=r"adder layer: has no forward derivative \(jvp, jacfwd, forward_ad\); take the"
        ):
            transform()
    with torch.autograd.forward_ad.dual_level(), pytest.raises(NetworkError, match="has no forward derivative"):
        layer(torch.autograd.forward_ad.make_dual(x, x))
    with (
        torch.no_grad(),
        torch.autograd.forward_ad.dual_level(),
        pytest.raises(NetworkError, match="has no forward derivative"),
    ):
        layer(torch.autograd.forward_ad.make_dual(x, x))


MEMORY = """
import resource, torch
from addersim.train.nn import Adder2d
layer = Adder2d(16, 16, 3, padding=1)
def run(images):
    x = torch.randn(images, 16, 32, 32, requires_grad=True)
    layer(x).sum().backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(run(1), run(64))
"""


def test_memory_stays_within_a_few_times_input_and_output():
    """Outputs x window x pixels, which the broadcast form holds, would be 604 MB here; input and output are 8 MB."""
    printed = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True).stdout
    before, after = (int(kilobytes) for kilobytes in printed.split())
    assert after - before < 64 << 10
