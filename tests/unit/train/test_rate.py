"""The adder filters' rate in loops that users write: each way of losing it works, or is told in one line."""

import copy
import math
import warnings

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm  # noqa: E402

from addersim.errors import NetworkError  # noqa: E402
from addersim.train.nn import Adder2d, AdderLinear, Euclidean2d  # noqa: E402
from addersim.train.rate import AdderRate, adder_filters  # noqa: E402

ETA = 0.2


def net():
    torch.manual_seed(0)
    return nn.Sequential(Adder2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(36, 3))


def loss_of(network):
    return network(torch.randn(4, 2, 5, 5, generator=torch.Generator().manual_seed(1))).square().sum()


def is_scaled(filters):
    return float(filters.grad.norm()) == pytest.approx(ETA * math.sqrt(filters.numel()), rel=1e-4)


class OfficialLayer(nn.Module):
    """The layout of the released adder2d: filters `adder`, bias `b`."""

    def __init__(self):
        super().__init__()
        self.adder = nn.Parameter(torch.randn(4, 2, 3, 3))
        self.b = nn.Parameter(torch.zeros(4))

    def forward(self, x):
        columns = nn.functional.unfold(x, 3)[:, None]
        return -(columns - self.adder.flatten(1)[:, :, None]).abs().sum(2).reshape(len(x), 4, *(n - 2 for n in x.shape[2:]))


def test_filters_of_the_official_class_are_found_and_scaled():
    network = nn.Sequential(OfficialLayer(), nn.Flatten(), nn.Linear(36, 3))
    assert [name for name, _, _ in adder_filters(network)] == ["0"]
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    optimizer.register_step_pre_hook(AdderRate(network))
    loss_of(network).backward()
    bias = network[2].bias.grad.clone()
    optimizer.step()
    assert is_scaled(network[0].adder)
    assert torch.equal(network[2].bias.grad, bias)


@pytest.mark.parametrize("module", [nn.Identity(), nn.Conv2d(1, 1, 1), nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))])
def test_a_network_without_adder_layers_is_refused(module):
    with pytest.raises(NetworkError, match=rf"AdderRate: {type(module).__name__} holds no adder layer .*; give the network"):
        AdderRate(module)


def test_a_step_without_the_rate_warns_once_and_says_what_to_do():
    network = net()
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    loss_of(network).backward()
    with pytest.warns(UserWarning, match=r"SGD trains the filters of 1 adder layer without .*register_step_pre_hook") as told:
        optimizer.step()
    assert len(told) == 1
    optimizer.step()  # warnings are errors here
    assert told[0].filename == __file__


@pytest.mark.parametrize("attach", ["hook", "by hand", "fixed"])
def test_no_warning_where_the_rate_is_there(attach):
    network = net()
    optimizer, rate = torch.optim.Adam(network.parameters()), AdderRate(network, "fixed" if attach == "fixed" else "adaptive")
    if attach != "by hand":
        optimizer.register_step_pre_hook(rate)
    loss_of(network).backward()
    if attach == "by hand":
        rate()
    optimizer.step()  # warnings are errors here


def test_a_rate_that_was_made_and_never_attached_is_missed_also_in_a_second_optimizer_and_in_copies():
    network = net()
    AdderRate(network)
    first = torch.optim.SGD(network.parameters(), 0.1)
    first.register_step_pre_hook(AdderRate(network))
    loss_of(network).backward()
    first.step()
    twin = copy.deepcopy(network)
    for module in (network, twin):
        module.zero_grad()
        optimizer = torch.optim.SGD(module.parameters(), 0.1)
        loss_of(module).backward()
        with pytest.warns(UserWarning, match="trains the filters of 1 adder layer without"):
            optimizer.step()


def test_who_trains_no_adder_filters_hears_nothing():
    network = net()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        head = torch.optim.SGD(network[3].parameters(), 0.1)
        loss_of(network).backward()
        head.step()
        network[0].adder.requires_grad_(False)
        network.zero_grad()
        whole = torch.optim.SGD(network.parameters(), 0.1)
        loss_of(network).backward()
        whole.step()
    network[0].adder.requires_grad_(True)
    loss_of(network).backward()
    with pytest.warns(UserWarning, match="without their rate"):  # from the step on that has a gradient
        whole.step()


@pytest.mark.parametrize("by_name", [False, True])
def test_gradients_that_a_closure_makes_are_scaled_after_it_made_them(by_name):
    plain, closed = net(), net()
    optimizers = [torch.optim.SGD(one.parameters(), 0.1, momentum=0.9) for one in (plain, closed)]
    for one, optimizer in zip((plain, closed), optimizers, strict=True):
        optimizer.register_step_pre_hook(AdderRate(one))

    def closure():
        optimizers[1].zero_grad()
        loss = loss_of(closed)
        loss.backward()
        return loss

    for _ in range(3):
        optimizers[0].zero_grad()
        expected = loss_of(plain)
        expected.backward()
        optimizers[0].step()
        found = optimizers[1].step(closure=closure) if by_name else optimizers[1].step(closure)
        assert torch.equal(found, expected)
    assert all(torch.equal(one, two) for one, two in zip(plain.parameters(), closed.parameters(), strict=True))


def test_an_optimizer_that_calls_its_closure_often_gets_scaled_gradients_each_time(monkeypatch):
    network = net()
    optimizer = torch.optim.LBFGS(network.parameters(), max_iter=3)
    rate, calls = AdderRate(network), []
    scale = rate._scale
    monkeypatch.setattr(rate, "_scale", lambda optimizer: (scale(optimizer), calls.append(is_scaled(network[0].adder))))
    optimizer.register_step_pre_hook(rate)

    def closure():
        optimizer.zero_grad()
        loss = loss_of(network)
        loss.backward()
        return loss

    optimizer.step(closure)
    assert len(calls) > 1
    assert all(calls)


class Halved(nn.Module):
    def forward(self, filters):
        return filters / 2


@pytest.mark.parametrize("derive", ["prune", "parametrize", "spectral norm"])
@pytest.mark.parametrize("attached_first", [True, False])
def test_filters_that_are_derived_from_one_tensor_train_with_the_rate(derive, attached_first):
    network = net()
    layer, filters = network[0], network[0].adder
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    if attached_first:
        optimizer.register_step_pre_hook(AdderRate(network))
    if derive == "prune":
        prune.l1_unstructured(layer, "adder", amount=0.5)
    elif derive == "parametrize":
        parametrize.register_parametrization(layer, "adder", Halved())
    else:
        spectral_norm(layer, "adder")
    if not attached_first:
        optimizer.register_step_pre_hook(AdderRate(network))
    before = filters.detach().clone()
    loss_of(network).backward()
    optimizer.step()
    assert is_scaled(filters)
    torch.testing.assert_close(filters.detach(), before - 0.1 * filters.grad)


@pytest.mark.parametrize("derive", [parametrizations.weight_norm, weight_norm])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_filters_that_are_derived_from_several_tensors_are_refused(derive):
    network = net()
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    optimizer.register_step_pre_hook(AdderRate(network))
    derive(network[0], "adder")
    loss_of(network).backward()
    with pytest.raises(NetworkError, match=r"AdderRate: the filters of '0' \(\w*Adder2d\) are derived from several tensors, "):
        optimizer.step()
    with pytest.raises(NetworkError, match=r"derived from several tensors, for which the rate is not defined; derive them"):
        AdderRate(network)
    alone = torch.optim.SGD(network.parameters(), 0.1)
    with pytest.warns(UserWarning, match="trains the filters of 1 adder layer without"):
        alone.step()


@pytest.mark.parametrize("replaced", ["layer", "weight"])
def test_filters_that_the_optimizer_does_not_hold_are_refused_until_it_does(replaced):
    network = net()
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    optimizer.register_step_pre_hook(AdderRate(network))
    if replaced == "layer":
        network[0] = Euclidean2d(2, 4, 3, bias=False)
    else:
        network[0].adder = nn.Parameter(torch.randn(4, 2, 3, 3))
    loss_of(network).backward()
    with pytest.raises(
        NetworkError, match=r"the filters of '0' took the place of others .* SGD does not hold them, .*anew, or"
    ):
        optimizer.step()
    optimizer.add_param_group({"params": [network[0].adder]})
    optimizer.step()
    assert is_scaled(network[0].adder)


def test_values_that_are_replaced_and_layers_that_go_away_are_followed():
    network = net()
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    optimizer.register_step_pre_hook(AdderRate(network))
    network[0].adder.data = torch.randn(4, 2, 3, 3)
    network.double().float()
    loss_of(network).backward()
    optimizer.step()
    assert is_scaled(network[0].adder)
    network[0] = nn.Conv2d(2, 4, 3)
    loss_of(network).backward()
    optimizer.step()


def test_two_optimizers_share_a_rate_and_shared_filters_are_scaled_once():
    network = nn.Sequential(AdderLinear(3, 3), AdderLinear(3, 3))
    network[1].adder = network[0].adder
    filters = network[0].adder
    others = [one for one in network.parameters() if one is not filters]
    optimizers = [torch.optim.SGD([filters], 0.1), torch.optim.SGD(others, 0.1)]
    rate = AdderRate(network, "fixed", factor=10.0)
    for optimizer in optimizers:
        optimizer.register_step_pre_hook(rate)
    network(torch.randn(4, 3)).sum().backward()
    raw = filters.grad.clone()
    for optimizer in optimizers:
        optimizer.step()
    torch.testing.assert_close(filters.grad, 10 * raw)


@pytest.mark.parametrize(("hooks", "steps"), [(2, 1), (1, 2)])
@pytest.mark.parametrize("to_none", [False, True])
def test_a_gradient_is_multiplied_once_however_often_the_rate_sees_it(hooks, steps, to_none):
    network = net()
    optimizer = torch.optim.SGD(network.parameters(), 0.0)
    for _ in range(hooks):
        optimizer.register_step_pre_hook(AdderRate(network, "fixed", factor=10.0))
    for _ in range(2):  # the second gradient may be made in the first one's place
        optimizer.zero_grad(set_to_none=to_none)
        loss_of(network).backward()
        raw = network[0].adder.grad.clone()
        for _ in range(steps):
            optimizer.step()
        torch.testing.assert_close(network[0].adder.grad, 10 * raw)


@pytest.mark.parametrize("fused", [False, True])
def test_gradients_that_a_scaler_has_enlarged_take_steps_of_the_same_size(fused):
    steps = []
    for enabled in (False, True):
        network = net()
        optimizer = torch.optim.SGD(network.parameters(), 0.1, fused=fused)
        optimizer.register_step_pre_hook(AdderRate(network))
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=enabled)
        before = network[0].adder.detach().clone()
        scaler.scale(loss_of(network)).backward()
        scaler.step(optimizer)
        steps.append(network[0].adder.detach() - before)
    torch.testing.assert_close(*steps)
    assert float(steps[0].norm()) == pytest.approx(0.1 * ETA * math.sqrt(72), rel=1e-4)


def test_half_gradients_whose_norm_half_cannot_hold():
    layer = AdderLinear(64, 64).half()
    layer.adder.grad = torch.full_like(layer.adder, 6e4)
    AdderRate(layer)()
    torch.testing.assert_close(layer.adder.grad, torch.full_like(layer.adder, ETA))
    layer.adder.grad = torch.zeros_like(layer.adder)
    AdderRate(layer)()
    assert not layer.adder.grad.any()
