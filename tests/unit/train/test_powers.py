"""Layers between Euclidean and adder ones, and training in which their power falls from 2 to 1."""

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from addersim import kernels  # noqa: E402
from addersim.errors import ConfigError, DataError, FormatError, LoweringError, NetworkError  # noqa: E402
from addersim.frontends.torch.lower import lower  # noqa: E402
from addersim.kernels import powers as in_c  # noqa: E402
from addersim.train import loop, powers  # noqa: E402
from addersim.train.annealing import set_power  # noqa: E402
from addersim.train.nn import Adder2d, AdderLinear, Euclidean2d, EuclideanLinear  # noqa: E402
from addersim.train.recipe import load_recipe  # noqa: E402
from tests.adder_layers import PROBLEMS, tensors  # noqa: E402

SETS = kernels.kernel_info().available
RECIPE = ("data=fashion-mnist-2000", "architecture=lenet5-adder", "limit=200", "batch=50")


def by_formula(x, adder, stride, padding, dilation, groups, power):
    """With torch's own gradients."""
    columns = functional.unfold(x, adder.shape[2:], dilation, padding, stride)
    columns = columns.reshape(len(x), groups, 1, -1, columns.shape[-1])
    return -(columns - adder.reshape(groups, -1, columns.shape[3], 1)).abs().pow(power).sum(3).flatten(1, 2)


def results(function, gradient, x, adder, *rest):
    """Output, and gradients of input and filters."""
    x, adder = x.detach().clone().requires_grad_(), adder.detach().clone().requires_grad_()
    y = function(x, adder, *rest)
    return y.detach().flatten(2), *torch.autograd.grad(y, (x, adder), gradient.reshape(y.shape))


def assert_close(found, wanted, share):
    for one, other in zip(found, wanted, strict=True):
        assert float((one - other).abs().max()) <= share * (1 + float(other.abs().max()))


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("power", [1.0, 1.05, 1.5, 2.0])
def test_the_kernels_equal_the_formula_on_every_instruction_set(name, power, monkeypatch):
    monkeypatch.setenv("ADDERSIM_KERNELS", name)
    for problem in PROBLEMS.values():
        gradient, x, adder, geometry = tensors(problem)
        wanted = results(by_formula, *(one.double() for one in (gradient, x, adder)), *geometry, power)
        assert_close(results(powers.power_sums, gradient, x, adder, *geometry, power), wanted, 3e-6)


@pytest.mark.parametrize("power", [1.2, 1.8])
def test_tensors_elsewhere_and_doubles_equal_the_formula(power):
    for problem in PROBLEMS.values():
        *given, geometry = (*(one.double() for one in tensors(problem)[:3]), tensors(problem)[3])
        assert_close(
            results(powers.power_sums, *given, *geometry, power), results(by_formula, *given, *geometry, power), 1e-12
        )


def test_pieces_are_the_whole(monkeypatch):
    given = (*tensors(PROBLEMS["more than a tile"])[:3], *tensors(PROBLEMS["more than a tile"])[3], 1.5)
    wanted = results(powers.power_sums, *given)
    monkeypatch.setattr(powers, "MOST", 1)
    assert_close(results(powers.power_sums, *given), wanted, 1e-6)


@pytest.mark.parametrize("exponent", [-130, -126, -60, -1, 0, 1, 30, 63])
@pytest.mark.parametrize("power", [1.0, 1.37, 2.0])
def test_powers_of_any_size(exponent, power):
    values = np.ldexp(np.linspace(1, 2, 97, dtype=np.float64), exponent).astype(np.float32)
    found = -in_c.power_forward(values.reshape(1, 1, -1), np.zeros((1, 1, 1), np.float32), power).ravel()
    wanted = values.astype(np.float64) ** power
    small, large = (values < np.finfo(np.float32).tiny) | (wanted < 2.0**-125), wanted > 2.0**127
    kept = ~(small | large)
    np.testing.assert_allclose(found[kept], wanted[kept], rtol=2e-6)
    assert (found[small] <= 2.0**-124).all()
    assert (found[large] > 2.0**126).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_stays_none(value):
    found = in_c.power_forward(np.full((1, 1, 40), value, np.float32), np.ones((1, 1, 1), np.float32), 1.5)
    assert not np.isfinite(found).any()


def test_at_the_ends_it_is_the_adder_and_the_euclidean_layer():
    torch.manual_seed(0)
    x, euclidean, plain = torch.randn(2, 4, 6, 6), Euclidean2d(4, 6, 3, padding=1), Adder2d(4, 6, 3, padding=1)
    layer = Adder2d(4, 6, 3, padding=1)
    for other, power in ((euclidean, 2.0), (plain, 1.0)):
        other.load_state_dict(layer.state_dict())
        layer.power = power
        gradient = torch.randn(2, 6, 6, 6)
        found, wanted = (torch.autograd.grad(one(x), [one.adder], gradient, retain_graph=True)[0] for one in (layer, other))
        assert torch.equal(layer(x), other(x))
        assert torch.equal(found, wanted)


@pytest.mark.parametrize("layer", [Adder2d(4, 6, 3, padding="same", padding_mode="reflect", groups=2), AdderLinear(7, 5)])
def test_layers_between(layer):
    layer.power = 1.5
    x = torch.randn(3, 4, 6, 6) if isinstance(layer, Adder2d) else torch.randn(3, 2, 7)
    copied = copy.deepcopy(layer).double()
    assert copied.power == 1.5
    torch.testing.assert_close(layer(x).double(), copied(x.double()), rtol=1e-5, atol=1e-5)
    assert layer(x[0]).shape == layer(x)[0].shape
    assert copy.deepcopy(layer).bfloat16()(x.bfloat16()).dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(layer(x.bfloat16()), layer(x), rtol=0.02, atol=0.2)
    slope = torch.func.grad(lambda one: layer(one).sum())(x)
    x.requires_grad_()
    torch.testing.assert_close(torch.autograd.grad(layer(x).sum(), x)[0], slope)
    mapped = torch.func.vmap(lambda one: layer(one[None])[0])(x)
    torch.testing.assert_close(mapped, layer(x))


def test_doubles_have_the_gradient_of_the_power():
    x, adder = torch.randn(1, 2, 4, 4).double().requires_grad_(), torch.randn(3, 2, 3, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda *both: powers.power_sums(*both, (1, 1), (1, 1), (1, 1), 1, 1.4), (x, adder))


def test_refusals():
    x, w = np.zeros((1, 2, 3), np.float32), np.zeros((1, 4, 2), np.float32)
    with pytest.raises(FormatError, match=r"power: found 2.5, needs a number in 1..2"):
        in_c.power_forward(x, w, 2.5)
    with pytest.raises(NetworkError, match=r"x has shape \(1, 2, 3\) and weights \(1, 4, 3\); needs \(groups, taps, count\)"):
        in_c.power_forward(x, np.zeros((1, 4, 3), np.float32), 1.5)
    with pytest.raises(NetworkError, match=r"gradient: shape \(1, 4, 2\); the layer's output has \(1, 4, 3\)"):
        in_c.power_filter_gradient(np.zeros((1, 4, 2), np.float32), x, w, 1.5)


@pytest.mark.parametrize("power", [0.5, 2.5, float("nan"), "2", None])
def test_a_layer_takes_no_other_power(power):
    layer = Adder2d(1, 2, 3)
    with pytest.raises(NetworkError, match=f"Adder2d: power {power!r}; needs a number from 1, adder layers, to 2"):
        layer.power = power
    assert layer.power == 1


def test_a_layer_of_another_power_is_not_lowered_as_an_adder_layer():
    network = torch.nn.Sequential(Adder2d(1, 2, 3), torch.nn.Flatten())
    network[0].power = 1.25
    with pytest.raises(
        LoweringError, match=r"module '0' of class Adder2d: computes -sum \|x - f\|\^1.25, as in annealing; set its"
    ):
        lower(network, (1, 6, 6))
    network[0].power = 1
    assert lower(network, (1, 6, 6)).layers[0].arithmetic == "l1"


def test_operands_of_two_types_are_refused_at_any_power():
    layer = Adder2d(1, 2, 3)
    layer.power = 1.5
    with pytest.raises(DataError, match="input is torch.float64 and filters torch.float32; give both one type"):
        layer(torch.zeros(1, 1, 4, 4).double())


def test_only_adder_layers_are_annealed():
    layers = torch.nn.Sequential(Adder2d(1, 2, 3), AdderLinear(2, 2), Euclidean2d(1, 2, 3), EuclideanLinear(2, 2))
    assert set_power(layers, 1.5)
    assert not set_power(layers, 1.5)
    assert [layer.power for layer in layers] == [1.5, 1.5, 1.0, 1.0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("anneal=4", "epochs=4"), "anneal: 4 of 4 epochs; needs fewer, for the last ones train at p = 1"),
        (("anneal=1", "architecture=lenet5-conv"), "anneal: is for architectures in -adder; found lenet5-conv"),
        (("anneal=-1",), "anneal"),
    ],
)
def test_a_recipe_that_cannot_anneal(changes, message):
    with pytest.raises(ConfigError, match=message):
        load_recipe("lenet5-fashion-mnist", [*RECIPE, *changes])


def test_power_falls_while_a_network_is_trained_and_a_run_that_was_stopped_goes_on_with_it(tmp_path, monkeypatch):
    recipe = load_recipe("lenet5-fashion-mnist", [*RECIPE, "epochs=4", "anneal=2"])
    whole = loop.train(recipe, tmp_path / "whole")
    assert [row["power"] for row in whole.history] == [2.0, 1.5, 1.0, 1.0]
    assert {layer.power for layer in whole.network.modules() if isinstance(layer, Adder2d)} == {1.0}
    seen, save = [], loop.save_checkpoint

    def stop(*arguments):
        save(*arguments)
        seen.append(arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(loop, "save_checkpoint", stop)
        with pytest.raises(KeyboardInterrupt):
            loop.train(recipe, tmp_path / "parts")
    again = loop.train(recipe, tmp_path / "parts")
    for name, values in whole.network.state_dict().items():
        assert torch.equal(values, again.network.state_dict()[name]), name
    plain = loop.train(load_recipe("lenet5-fashion-mnist", [*RECIPE, "epochs=4"]), tmp_path / "plain")
    assert "power" not in plain.history[0]
    assert plain.history[0]["train_loss"] != whole.history[0]["train_loss"]
