import math

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from addersim.errors import DataError, NetworkError  # noqa: E402
from addersim.train.nn import Adder2d, AdderLinear, AdderRate, adder_layers  # noqa: E402


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 3},
        {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0), "dilation": 2, "groups": 2},
        {"kernel_size": 1, "bias": False},
    ],
)
def test_signature_shapes_and_attributes_are_those_of_conv2d(arguments):
    adder, conv = Adder2d(4, 6, **arguments), nn.Conv2d(4, 6, **arguments)
    x = torch.randn(2, 4, 9, 8)
    assert adder(x).shape == conv(x).shape
    assert adder.adder.shape == conv.weight.shape
    for name in ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups"):
        assert getattr(adder, name) == getattr(conv, name)
    assert (adder.bias is None) == (conv.bias is None)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Adder2d(3, 4, 3, groups=2), "3 -> 4 channels cannot be divided into 2 groups"),
        (lambda: Adder2d(0, 4, 3), "0 -> 4 channels"),
        (lambda: Adder2d(4, 4, 0), r"kernel: \(0, 0\)"),
        (lambda: Adder2d(4, 4, 3, stride=0), r"stride: \(0, 0\)"),
        (lambda: Adder2d(4, 4, 3, padding=-1), r"padding: \(-1, -1\)"),
        (lambda: Adder2d(4, 4, 3, padding="full"), "padding 'full' is not one of same, valid, or whole"),
        (lambda: Adder2d(4, 4, 3, gradient="half"), "gradient 'half' is not one of full, sign"),
        (lambda: AdderLinear(0, 3), "0 -> 3 features"),
        (lambda: AdderRate(nn.Identity(), "slow"), "mode 'slow'"),
        (lambda: AdderRate(nn.Identity(), eta=0), "eta 0"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(NetworkError, match=message):
        make()


def test_other_types_and_shapes_of_input():
    with pytest.raises(DataError, match=r"input is torch.float64 and filters torch.float32; give both one type, as by x.to"):
        Adder2d(1, 1, 1)(torch.zeros(1, 1, 2, 2, dtype=torch.float64))
    with pytest.raises(NetworkError, match="3 input channels; x has 2"):
        Adder2d(3, 1, 1)(torch.zeros(1, 2, 2, 2))
    with pytest.raises(NetworkError, match="the image has 2"):
        Adder2d(1, 1, 3)(torch.zeros(1, 1, 2, 2))


def test_autocast_keeps_adder_layers_in_float32():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), Adder2d(4, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), AdderLinear(48, 2))
    x = torch.randn(2, 1, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        half = network[0](x)
        y = network(x)
    assert (half.dtype, y.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(y, network[1:](half.float()))
    y.sum().backward()
    assert network[1].adder.grad.dtype == network[0].weight.grad.dtype == torch.float32


def test_memory_format_does_not_change_the_result():
    layer, x = Adder2d(3, 5, 3, padding=1), torch.randn(2, 3, 6, 7)
    last = layer(x.contiguous(memory_format=torch.channels_last))
    assert torch.equal(layer(x), last)
    assert last.is_contiguous(memory_format=torch.channels_last)


def test_filters_are_drawn_from_a_standard_normal():
    torch.manual_seed(0)
    adder = Adder2d(64, 64, 5).adder
    assert float(adder.mean().detach()) == pytest.approx(0, abs=0.02)
    assert float(adder.std().detach()) == pytest.approx(1, abs=0.02)


def test_bias_of_official_state_dicts():
    layer = Adder2d(2, 3, 1)
    layer.load_state_dict({"adder": torch.ones(3, 2, 1, 1), "b": torch.arange(3.0)})
    assert layer.bias.tolist() == [0, 1, 2]


def _stepped(mode, **options):
    torch.manual_seed(1)
    network = nn.Sequential(Adder2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Flatten(), AdderLinear(36, 3, bias=False))
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
    optimizer.register_step_pre_hook(AdderRate(network, mode, **options))
    network(torch.randn(4, 2, 5, 5)).square().sum().backward()
    raw = {name: parameter.grad.clone() for name, parameter in network.named_parameters()}
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    optimizer.step()
    return {name: (raw[name], before[name], after.detach()) for name, after in network.named_parameters()}


@pytest.mark.parametrize("eta", [0.2, 0.1])
def test_adaptive_rate_scales_each_layer_of_adders_and_nothing_else(eta):
    for name, (raw, before, after) in _stepped("adaptive", eta=eta).items():
        rate = eta * math.sqrt(raw.numel()) / float(raw.norm()) if name.endswith("adder") else 1.0
        torch.testing.assert_close(after, before - 0.1 * (rate * raw + 5e-4 * before))


def test_fixed_rate_scales_by_its_factor():
    for name, (raw, before, after) in _stepped("fixed", factor=100.0).items():
        rate = 100.0 if name.endswith("adder") else 1.0
        torch.testing.assert_close(after, before - 0.1 * (rate * raw + 5e-4 * before))


def test_adaptive_rate_of_a_zero_or_absent_gradient():
    layer = Adder2d(1, 1, 1)
    rate = AdderRate(layer)
    rate()
    layer.adder.grad = torch.zeros_like(layer.adder)
    rate()
    assert layer.adder.grad.tolist() == [[[[0.0]]]]


def test_adder_layers_are_found_by_name():
    network = nn.Sequential(nn.Sequential(Adder2d(1, 1, 1)), nn.ReLU(), AdderLinear(2, 2))
    assert [name for name, _ in adder_layers(network)] == ["0.0", "2"]
