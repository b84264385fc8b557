"""Residual blocks that add their input times a learned power of two."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from addersim.errors import ConfigError, NetworkError  # noqa: E402
from addersim.frontends.torch.lower import lower  # noqa: E402
from addersim.quantization.pipeline import quantize  # noqa: E402
from addersim.train.architectures.layers import LearnedShift  # noqa: E402
from addersim.train.models import ARCHITECTURES, WITH_SHORTCUTS, build  # noqa: E402
from addersim.train.recipe import load_recipe  # noqa: E402

SMALL = ("resnet20-adder", "mobilenetv2-x0.35-cifar-adder", "mobilenetv3-small-x0.5-cifar-conv")


def shifts(network):
    return [layer for layer in network.modules() if isinstance(layer, LearnedShift)]


@pytest.mark.parametrize("name", SMALL)
def test_it_begins_as_the_plain_network_and_learns_shifts(name):
    plain, network = build(name, seed=1), build(name, seed=1, shortcut="shift")
    assert len(shifts(network)) > 2
    assert not shifts(plain)
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(2)  # of dropout
    wanted = plain(x)
    torch.manual_seed(2)
    assert torch.equal(network(x), wanted)
    network(x).square().mean().backward()
    assert any(float(one.places.grad.abs()) > 0 for one in shifts(network))


def test_the_gradient_is_that_of_the_power_of_two():
    layer, x = LearnedShift(), torch.randn(5)
    torch.nn.init.constant_(layer.places, 1.4)
    layer(x).sum().backward()
    assert layer.places.grad.item() == pytest.approx(2 * np.log(2) * float(x.sum()), rel=1e-5)


def test_a_shift_is_lowered_and_simulated():
    network = build("resnet20-adder", seed=1, shortcut="shift").eval()
    for place, one in enumerate(shifts(network)):
        torch.nn.init.constant_(one.places, place % 3 - 1.3)
    lowered, x = lower(network, (3, 32, 32)), torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        wanted = network(x).numpy()
    np.testing.assert_allclose(lowered.run(x.numpy()), wanted, rtol=1e-3, atol=1e-3 * float(np.abs(wanted).max()))
    factors = {float(one.multiplier.ravel()[0]) for one in lowered.layers if one.name.endswith("shift.mul")}
    assert factors == {0.5, 2.0}  # a factor of one is no layer
    assert quantize(lowered, x.numpy()).run(x.numpy()).shape == wanted.shape


@pytest.mark.parametrize("name", sorted({name.rpartition("-")[0] for name in ARCHITECTURES}))
def test_who_has_shortcuts_is_what_the_registry_says(name):
    if not name.startswith(WITH_SHORTCUTS):
        with pytest.raises(NetworkError, match=f"{name}-conv: shortcut shift is for residual blocks: resnet"):
            build(f"{name}-conv", shortcut="shift")


def test_refusals():
    with pytest.raises(NetworkError, match="resnet20-conv: shortcut 'shifts' is not one of plain, shift; did you mean shift"):
        build("resnet20-conv", shortcut="shifts")
    with pytest.raises(ConfigError, match="options: lenet5-adder: shortcut shift is for residual blocks"):
        load_recipe("lenet5-fashion-mnist", ["architecture=lenet5-adder", "shortcut=shift"])
