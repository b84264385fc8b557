"""Adder and Euclidean layers take what Conv2d and Linear take: paddings, types, single images; and what traces networks."""

import copy
import inspect

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from addersim.errors import DataError, NetworkError  # noqa: E402
from addersim.frontends.torch.lower import lower  # noqa: E402
from addersim.train.nn import LAYERS, Adder2d, AdderLinear, Euclidean2d, EuclideanLinear  # noqa: E402
from tests.unit.networks import images  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")  # of Conv2d, which stands beside ours
TERMS = {Adder2d: torch.abs, Euclidean2d: torch.square, AdderLinear: torch.abs, EuclideanLinear: torch.square}
WINDOWS, LINEAR = (Adder2d, Euclidean2d), (AdderLinear, EuclideanLinear)
PADDINGS = [
    {"kernel_size": 3, "padding": "same"},
    {"kernel_size": (4, 2), "padding": "same", "dilation": (1, 3)},
    {"kernel_size": 3, "padding": "valid", "stride": 2},
    {"kernel_size": (3, 2), "padding": (2, 1), "stride": (2, 1)},
]
MODES = ("zeros", "reflect", "replicate", "circular")


def by_formula(layer, x):
    """Tap by tap on what the twin Conv2d would see, in double."""
    twin = nn.Conv2d(
        layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups
    )
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    around = twin._reversed_padding_repeated_twice
    columns = functional.unfold(functional.pad(x.double(), around, mode), layer.kernel_size, layer.dilation, 0, layer.stride)
    columns = columns.reshape(len(x), layer.groups, 1, -1, columns.shape[-1])
    filters = layer.adder.detach().double().reshape(layer.groups, -1, columns.shape[3], 1)
    sums = -TERMS[type(layer)](columns - filters).sum(3)
    return sums.reshape(twin(x.float()).shape) + layer.bias.detach().double()[:, None, None]


@pytest.mark.parametrize("kind", WINDOWS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("moves", PADDINGS, ids=str)
def test_paddings_are_those_of_conv2d_and_all_their_pixels_are_operands(kind, mode, moves):
    torch.manual_seed(0)
    layer, x = kind(4, 6, groups=2, padding_mode=mode, **moves), torch.randn(3, 4, 8, 9)
    layer.bias.data.normal_()
    torch.testing.assert_close(layer(x).double(), by_formula(layer, x), rtol=1e-4, atol=1e-4)
    conv = nn.Conv2d(4, 6, groups=2, padding_mode=mode, **moves)
    for name in ("padding", "padding_mode", "kernel_size", "stride", "dilation"):
        assert getattr(layer, name) == getattr(conv, name)
    torch.testing.assert_close(layer(x[1]), layer(x)[1])  # one image without the axis of images
    x.requires_grad_()
    layer(x).sum().backward()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", WINDOWS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("moves", PADDINGS, ids=str)
def test_paddings_are_lowered(kind, mode, moves):
    torch.manual_seed(1)
    layer = kind(4, 6, groups=2, padding_mode=mode, **moves)
    network = lower(nn.Sequential(nn.ReLU(), layer, nn.ReLU(), nn.Flatten()), (4, 8, 9), mean=[0.5] * 4, std=[0.25] * 4)
    pixels = images(network, 4)
    expected = by_formula(layer, ((torch.from_numpy(pixels) / 255 - 0.5) / 0.25).relu()).relu()
    found = torch.from_numpy(network.run(pixels)).double()
    torch.testing.assert_close(found, expected.flatten(1), rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_signatures_begin_as_torchs_do():
    for ours, theirs in zip(LAYERS["adder"], (nn.Conv2d, nn.Linear), strict=True):
        names = list(inspect.signature(theirs).parameters)
        assert list(inspect.signature(ours).parameters)[: len(names)] == names


@pytest.mark.parametrize("kind", WINDOWS + LINEAR)
@pytest.mark.parametrize("type_", [torch.float64, torch.bfloat16, torch.float16])
def test_types_are_kept_and_doubles_are_computed_as_such(kind, type_):
    torch.manual_seed(2)
    shape = (4, 6, 3) if kind in WINDOWS else (4, 6)
    layer = kind(*shape, dtype=type_)
    x = (torch.randn(2, 4, 7, 7) if kind in WINDOWS else torch.randn(5, 3, 4)).to(type_).requires_grad_()
    y = layer(x)
    y.sum().backward()
    assert {y.dtype, layer.adder.dtype, layer.bias.dtype, layer.adder.grad.dtype, x.grad.dtype} == {type_}
    wide, z = copy.deepcopy(layer).double(), x.detach().double().requires_grad_()
    if kind in WINDOWS:
        expected = by_formula(wide, z.detach())
    else:
        expected = -TERMS[kind](z.detach()[..., None, :] - wide.adder.detach()).sum(-1)
    # a half is the exact sum rounded once: half a unit in the last place, and what float32 sums lose
    tolerance = 1e-13 if type_ == torch.float64 else 0.51 * torch.finfo(type_).eps + 1e-6
    torch.testing.assert_close(y.detach().double(), expected, rtol=tolerance, atol=1e-5 if type_ != torch.float64 else 1e-12)
    wide.zero_grad()
    wide(z).sum().backward()
    tolerance = 1e-12 if type_ == torch.float64 else 0.02
    torch.testing.assert_close(layer.adder.grad.double(), wide.adder.grad, rtol=tolerance, atol=10 * tolerance)
    torch.testing.assert_close(x.grad.double(), z.grad, rtol=tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("rule", ["full", "sign"])
def test_double_gradients_equal_those_of_the_kernels(rule):
    torch.manual_seed(3)
    layer = Adder2d(4, 6, (3, 2), (2, 1), 1, groups=2, gradient=rule)
    results = []
    for one in (layer, copy.deepcopy(layer).double()):
        x = torch.randn(3, 4, 7, 6, generator=torch.Generator().manual_seed(1)).to(one.adder).requires_grad_()
        one.zero_grad()
        one(x).square().sum().backward()
        results.append((one.adder.grad.double(), x.grad.double()))
    for narrow, double in zip(*results, strict=True):
        torch.testing.assert_close(narrow, double, rtol=1e-4, atol=1e-4 * float(double.abs().max()))


def test_doubles_are_computed_in_pieces(monkeypatch):
    from addersim.train import doubles

    layer, x = Adder2d(3, 7, 3, dtype=torch.float64), torch.randn(2, 3, 6, 6, dtype=torch.float64, requires_grad=True)
    results = []
    for most in (doubles.MOST, 1):
        monkeypatch.setattr(doubles, "MOST", most)
        layer.zero_grad()
        x.grad = None
        layer.gradient = "sign"
        layer(x).sum().backward()
        results.append((layer(x).detach(), layer.adder.grad, x.grad))
    for whole, pieces in zip(*results, strict=True):
        torch.testing.assert_close(whole, pieces, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("kind", WINDOWS + LINEAR)
def test_autocast_leaves_all_their_digits(kind):
    torch.manual_seed(4)
    shape = (4, 6, 3) if kind in WINDOWS else (4, 6)
    layer, x = kind(*shape), 10 + (torch.randn(2, 4, 7, 7) if kind in WINDOWS else torch.randn(5, 4))
    expected = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x)
        assert layer(x.bfloat16()).dtype == torch.float32
    assert torch.equal(found, expected)


def test_device_is_taken():
    for layer in (Adder2d(2, 3, 3, device="meta"), AdderLinear(2, 3, device="meta", dtype=torch.float16)):
        assert layer.adder.is_meta
        assert layer.bias.is_meta
    assert Euclidean2d(2, 3, 3, device="meta")(torch.zeros(1, 2, 5, 5, device="meta")).shape == (1, 3, 3, 3)
    assert torch.nn.utils.skip_init(Adder2d, 2, 3, 3).adder.shape == (3, 2, 3, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Adder2d(2, 3, 3, stride=2, padding="same"),
            r"Adder2d: padding 'same' keeps the size at stride 1 alone; .*2, 2",
        ),
        (lambda: Adder2d(2, 3, 3, padding="full"), "Adder2d: padding 'full' is not one of same, valid, or whole numbers"),
        (
            lambda: Adder2d(2, 3, 3, padding_mode="mirror"),
            "padding_mode 'mirror' is not one of zeros, reflect, replicate, circu",
        ),
        (lambda: Adder2d(2, 3, 3, dtype=torch.int8), r"Adder2d: dtype torch.int8 is no floating type"),
        (lambda: EuclideanLinear(2, 3, dtype=torch.complex64), r"EuclideanLinear: dtype torch.complex64 is no floating type"),
        (
            lambda: Adder2d(2, 3, 3)(torch.zeros(5, 5)),
            r"input has shape \(5, 5\); needs images of \(channels, height, width\)",
        ),
        (lambda: Euclidean2d(2, 3, 3)(torch.zeros(1, 1, 2, 5, 5)), r"input has shape \(1, 1, 2, 5, 5\); needs images of"),
        (lambda: AdderLinear(3, 2)(torch.zeros(4, 6)), r"input has shape \(4, 6\); its last axis needs 3 features"),
        (lambda: EuclideanLinear(3, 2)(torch.zeros(())), r"input has shape \(\); its last axis needs 3 features"),
        (
            lambda: Adder2d(1, 1, 3, padding=3, padding_mode="reflect")(torch.zeros(1, 1, 5, 3)),
            r"padding_mode 'reflect' has 2 pixels at most for a width of 3; padding is 3",
        ),
        (
            lambda: Adder2d(1, 1, 3, padding=6, padding_mode="circular")(torch.zeros(1, 1, 5, 9)),
            r"padding_mode 'circular' has 5 pixels at most for a height of 5; padding is 6",
        ),
        (lambda: Adder2d(3, 1, 1, dtype=torch.float64)(torch.zeros(1, 2, 2, 2).double()), "3 input channels; x has 2"),
        (lambda: Adder2d(1, 1, 3, dtype=torch.float64)(torch.zeros(1, 1, 2, 2).double()), "the image has 2"),
    ],
)
def test_what_does_not_fit_is_told(make, message):
    with pytest.raises(NetworkError, match=message):
        make()


@pytest.mark.parametrize("type_", [torch.int64, torch.complex64, torch.bool])
def test_other_types_are_refused(type_):
    with pytest.raises(
        DataError, match=rf"adder layer: input is {type_}; needs one of torch.float32, torch.float64, torch.bf"
    ):
        Adder2d(1, 1, 1)(torch.zeros(1, 1, 2, 2, dtype=type_))


def network():
    torch.manual_seed(5)
    return nn.Sequential(Adder2d(2, 3, 3, padding="same"), nn.Flatten(), AdderLinear(75, 4), EuclideanLinear(4, 4))


@pytest.mark.parametrize(
    "trace",
    [torch.fx.symbolic_trace, lambda one: torch.compile(one, backend="aot_eager", fullgraph=True)],
    ids=["fx", "compile"],
)
def test_networks_can_be_traced(trace):
    x = torch.randn(2, 2, 5, 5)
    torch.testing.assert_close(trace(network())(x), network()(x))


def test_exported_networks_hold_operators_that_are_known():
    x = torch.randn(2, 2, 5, 5)
    exported = torch.export.export(network(), (x,))
    torch.testing.assert_close(exported.module()(x), network()(x))
    names = {str(node.target) for node in exported.graph.nodes if node.op == "call_function"}
    assert "addersim.l1_forward.default" in names
    assert {name.split(".")[0] for name in names} == {"aten", "addersim"}


class Halved(Adder2d):
    def forward(self, x):
        return super().forward(x).mul_(0.5)


@pytest.mark.parametrize(
    "make",
    [
        lambda one, x: one,
        lambda one, x: torch.fx.symbolic_trace(one),
        lambda one, x: torch.export.export(one, (x,), dynamic_shapes=({0: torch.export.Dim("images")},)),
    ],
    ids=["module", "fx", "exported"],
)
def test_subclasses_and_traced_and_exported_networks_are_lowered_to_adder_layers(make):
    torch.manual_seed(6)
    net = nn.Sequential(Halved(2, 4, (2, 3), stride=2, groups=2, padding=1, padding_mode="reflect"), nn.Flatten()).eval()
    net.append(AdderLinear(net(torch.zeros(1, 2, 5, 5)).shape[1], 3))
    x = torch.randn(2, 2, 5, 5)
    lowered = lower(make(net, x), (2, 5, 5))
    assert [one.arithmetic for one in lowered.layers if hasattr(one, "arithmetic")] == ["l1", "l1"]
    torch.testing.assert_close(torch.from_numpy(lowered.run(x.numpy())), net(x).detach())
