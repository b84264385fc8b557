"""What people's torch modules do comes in as torch computes it, or is refused by name; the module stays what it was."""

import contextlib
import copy
import re
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torch.nn.utils.prune
from torch import nn

from addersim.errors import AddersimError, LoweringError
from addersim.frontends.proof import NOT_CHECKED, PROOF
from addersim.frontends.torch import walk
from addersim.frontends.torch.lower import lower
from addersim.train.coded import Xnor2d
from addersim.train.nn import Adder2d, AdderLinear
from tests.properties.torch_modules import OfficialAdder, shaken

SHAPE = (3, 10, 8)


def convolution(inputs=3, outputs=6, **options):
    return nn.Conv2d(inputs, outputs, 3, padding=1, **options)


def head(channels=6):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


class Net(nn.Module):
    """A convolution, what a function of the module and its values makes of them, and a classifier."""

    def __init__(self, act, channels=6, **parts):
        super().__init__()
        self.stem, self.act, self.head = convolution(), act, head(channels)
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.head(self.act(self, self.stem(x)))


def values(network, x):
    *_, (_, last) = network.values(x.numpy())
    return np.moveaxis(last, -1, 1)


def agrees(module, shape=SHAPE, **options):
    """The lowered network, which gives what the module gives."""
    module.eval()
    x = torch.randn(3, *shape)
    network = lower(module, shape, **options)
    with torch.no_grad():
        wanted = module(x.clone()).numpy()
    found = values(network, x)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()
    return network


def changed_in_place(self, y):
    kept = y
    y *= 0.5
    y.add_(1)
    F.relu_(y)
    return y + kept


def slices_in_place(self, y):
    y[:, 1:3] *= 2
    y[:, :, 0] = 0
    y[..., ::2].clamp_(-0.5, 0.5)
    return y


def branch_that_begins_in_place(self, y):
    return self.branch(y) + y


def lists_and_closures(self, y):
    for layer in self.loose:
        y = layer(y)
    return y


def with_constants(self, y):
    return (y - self.mean) / 0.25 * self.gate + torch.linspace(0, 1, 8)


def sizes(self, y):
    images, channels, height, width = y.shape
    y = y.view(images, 2, channels // 2, height, width).transpose(1, 2).reshape(y.size(0), -1, height, width)
    return F.avg_pool2d(y, y.size()[2:])


def made_inside(self, y):
    return nn.ReLU()(nn.MaxPool2d(2)(y)) if isinstance(y, torch.Tensor) and y.dim() == 4 else y


def many_parts(self, y):
    first, second = y.chunk(2, 1)
    return torch.cat([second, first, torch.zeros_like(first)], 1)[:, :6]


def gated(self, y):
    return y * torch.sigmoid(y.mean((2, 3), keepdim=True))


def with_loose_layers():
    net = Net(lists_and_closures)
    net.loose = [convolution(6, 6), nn.ReLU(), convolution(6, 6)]
    return net


def with_buffers():
    net = Net(with_constants)
    net.register_buffer("mean", torch.randn(1, 6, 1, 1))
    net.gate = nn.Parameter(torch.rand(6, 1, 1))
    return net


IN_PLACE_BRANCH = nn.Sequential(nn.ReLU(inplace=True), convolution(6, 6), nn.ReLU(inplace=True), convolution(6, 6))


def hooked(place, hook):
    net = Net(lambda self, y: F.relu(y))
    getattr(net if place == "net" else net.stem, f"register_forward_{hook[0]}")(hook[1])
    return net


def reweighted(how):
    net = Net(lambda self, y: y)
    how(net.stem)
    return net


def old_weight_norm(module):
    """As code of before torch 2 has it: a hook that computes the weights anew each time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.weight_norm(module)


class Conv2d(nn.Conv2d):
    """Has torch's name and other weights."""

    def forward(self, x):
        weights = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return F.conv2d(x, weights / weights.std((1, 2, 3), keepdim=True), self.bias, self.stride, self.padding)


class ReLU(nn.Module):
    """Has torch's name and an upper end."""

    def forward(self, x):
        return torch.clamp(x, -0.1, 0.3)


class RPReLU(nn.Module):
    """A PReLU between two trained shifts (ReActNet), which forward expands to the shape of the values."""

    def __init__(self, channels):
        super().__init__()
        self.before, self.after = (nn.Parameter(torch.randn(1, channels, 1, 1)) for _ in range(2))
        self.prelu = nn.PReLU(channels)

    def forward(self, x):
        return self.prelu(x - self.before.expand_as(x)) + self.after.expand_as(x)


def three_operands(self, y):
    """Operators that are made of others, with constants in any place."""
    other = self.a(y)
    sums = torch.addcmul(self.b, y, other, value=0.5) + torch.addcdiv(y, self.b, other.exp(), value=-2.0)
    between = torch.lerp(sums, self.b.expand_as(y), 0.25) + torch.lerp(y, other, torch.linspace(0, 1, 8))
    return between + torch.rsub(y, self.b, alpha=2)


def like_the_values(self, y):
    """Constants that take the shape or type of a value, and of which a choice between two is made."""
    row = torch.linspace(-1, 1, 8).to(torch.float64).type_as(y)
    wide, same = torch.broadcast_tensors(row, y)
    places = torch.arange(480.0).reshape(6, 80).view_as(y[0]) if self.training else torch.ones(())
    return torch.where(torch.arange(8) > 3, same, wide.expand_as(y)) * places


class Optional(nn.Module):
    """Arguments that inference leaves at their defaults."""

    def __init__(self):
        super().__init__()
        self.stem, self.head = convolution(), head()

    def forward(self, x, skip=None, features=False, scale=2.0):
        y = self.stem(x) * scale
        if skip is not None:
            y = y + skip
        return y if features else self.head(y)


def hooked_adder():
    layer = OfficialAdder(3, 6, 3)
    layer.register_forward_hook(lambda m, i, o: o / 10)
    return nn.Sequential(layer, head())


MODULES = {
    "in place, then read": lambda: Net(changed_in_place),
    "slices in place": lambda: Net(slices_in_place),
    "branch in place": lambda: Net(branch_that_begins_in_place, branch=copy.deepcopy(IN_PLACE_BRANCH)),
    "lists": with_loose_layers,
    "buffers": with_buffers,
    "sizes": lambda: Net(sizes),
    "modules made in forward": lambda: Net(made_inside),
    "parts": lambda: Net(many_parts),
    "gate": lambda: Net(gated),
    "cut and padded before a window": lambda: Net(lambda self, y: self.more(F.pad(y, (1, -1, 2, 0))), more=convolution(6, 6)),
    "added to what was padded": lambda: Net(lambda self, y: F.pad(y, (1, 2)) + 1),
    "blocks without autocast": lambda: Net(in_a_block),
    "gathered by constants": lambda: Net(by_constant_places),
    "a sparse buffer": lambda: Net(lambda self, y: y @ torch.eye(8).to_sparse().to_dense()),
    "clamp with its ends exchanged": lambda: Net(lambda self, y: torch.clamp(y, 1.0, -1.0) + y),
    "forward hook": lambda: hooked("stem", ("hook", lambda m, i, o: o * 2 + 1)),
    "pre-hook of the network": lambda: hooked("net", ("pre_hook", lambda m, i: ((i[0] - 0.5) / 0.25,))),
    "weight norm": lambda: reweighted(nn.utils.parametrizations.weight_norm),
    "old weight norm": lambda: reweighted(old_weight_norm),
    "spectral norm": lambda: reweighted(nn.utils.parametrizations.spectral_norm),
    "pruned": lambda: reweighted(lambda one: torch.nn.utils.prune.l1_unstructured(one, "weight", 0.5)),
    "own Conv2d": lambda: nn.Sequential(Conv2d(3, 6, 3), head()),
    "own ReLU": lambda: nn.Sequential(convolution(), ReLU(), head()),
    "optional arguments": Optional,
    "trained shifts around an activation": lambda: nn.Sequential(convolution(), RPReLU(6), Xnor2d(6, 6, 3), RPReLU(6), head()),
    "constants in the shape of values": lambda: Net(like_the_values),
    "three operands": lambda: Net(three_operands, a=convolution(6, 6), b=nn.Parameter(torch.randn(1, 6, 1, 1))),
    "clamped between tensors": lambda: Net(
        lambda self, y: y.clamp(torch.full((6, 1, 1), -0.2), torch.linspace(0, 1, 8)) + y.clamp(max=y * 2)
    ),
    "data parallel": lambda: nn.DataParallel(Net(gated)),
    "adder layers": lambda: nn.Sequential(Adder2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), head(), nn.Flatten(), AdderLinear(10, 4)),
    "an adder layer with a hook": hooked_adder,
    "linear on maps": lambda: nn.Sequential(convolution(), nn.Linear(8, 5), head()),
    "padding modes": lambda: nn.Sequential(convolution(padding_mode="reflect"), nn.Conv2d(6, 6, 2, padding="same"), head()),
    "synchronised batch norm": lambda: nn.Sequential(convolution(), shaken(nn.SyncBatchNorm(6)), head()),
    "group, layer and instance norm": lambda: nn.Sequential(
        convolution(), shaken(nn.GroupNorm(2, 6)), shaken(nn.LayerNorm(8)), shaken(nn.InstanceNorm2d(6, affine=True)), head()
    ),
    "transposed": lambda: nn.Sequential(nn.ConvTranspose2d(3, 6, 3, 2, 1, 1), nn.Upsample(scale_factor=2), head()),
    "softmax": lambda: nn.Sequential(convolution(), nn.Softmax(1), head(), nn.Softmax(-1)),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_comes_in_as_torch_computes_it(name):
    torch.manual_seed(0)
    network = agrees(MODULES[name]())
    assert network.metadata[PROOF].startswith("largest difference")


def test_nothing_about_the_module_changes():
    torch.manual_seed(0)
    module = nn.Sequential(convolution(), nn.BatchNorm2d(6), OfficialAdder(6, 6, 3), nn.Dropout(0.5), head())
    old_weight_norm(module[0])
    module.train()
    module[1].eval()
    module[1].calls = 7
    module[1].register_forward_hook(lambda m, i, o: setattr(m, "calls", m.calls + 1))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    attributes = {name: dict(vars(one)) for name, one in module.named_modules()}
    state = torch.get_rng_state()
    lower(module, SHAPE)
    assert torch.equal(torch.get_rng_state(), state)
    assert [one.training for one in module.modules()] == [name not in ("1",) for name, _ in module.named_modules()]
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert {name: dict(vars(one)) for name, one in module.named_modules()} == attributes
    assert all(type(parameter) is nn.Parameter and parameter.requires_grad for parameter in module.parameters())


def cached(self, y):
    if 8 not in self.cache:
        self.cache[8] = torch.arange(8.0)
    self.seen.append(y)
    self.counter += 1
    return y + self.cache[8]


def test_what_forward_fills_and_counts_is_taken_back():
    torch.manual_seed(0)
    net = Net(cached)
    net.cache, net.seen = {}, []
    net.register_buffer("counter", torch.zeros(1))
    agrees(net)  # which runs it once itself
    assert all(type(one) is torch.Tensor for one in (*net.cache.values(), *net.seen))
    assert (len(net.seen), float(net.counter)) == (1, 1.0)
    lower(net, SHAPE)
    assert (len(net.cache), len(net.seen), float(net.counter)) == (1, 1, 1.0)


def rescaled(self, y):
    with torch.no_grad():
        self.stem.weight.copy_(self.stem.weight * 0.5)
    self.stem.weight.requires_grad_(False)
    return y


def test_parameters_that_forward_writes_to_are_taken_back():
    net = Net(rescaled).eval()
    before = net.stem.weight.detach().clone()
    with contextlib.suppress(LoweringError):
        lower(net, SHAPE)
    assert torch.equal(net.stem.weight, before)
    assert net.stem.weight.requires_grad


def test_what_forward_prints_stays_off_standard_output(capsys):
    lower(Net(lambda self, y: (print("hello"), y)[1]), SHAPE)
    assert capsys.readouterr().out == ""


def in_a_block(self, y):
    with torch.autocast("cpu", enabled=False), torch.enable_grad():
        return y * 2 + self.stem.bias[:, None, None]


def by_constant_places(self, y):
    places = torch.tensor([2, 0, 5]).view(1, 3, 1, 1).expand(y.size(0), -1, 10, 8)
    return torch.cat([y.gather(1, places), y[:, 3:]], 1)


def test_an_exported_program_comes_in_directly():
    torch.manual_seed(0)
    module = Net(gated).eval()
    program = torch.export.export(module, (torch.randn(2, *SHAPE),), dynamic_shapes=({0: torch.export.Dim("n")},))
    network = lower(program, SHAPE)
    x = torch.randn(2, *SHAPE)
    assert np.allclose(values(network, x), module(x).detach().numpy(), atol=1e-5)
    in_place = torch.export.export(Net(changed_in_place).eval(), (x,), dynamic_shapes=({0: torch.export.Dim("n")},))
    assert lower(in_place, SHAPE).metadata[PROOF].startswith("largest difference")
    with pytest.raises(LoweringError, match="exported for 2 images; export it for any number"):
        lower(torch.export.export(module, (x,)), SHAPE)


class Quantising(nn.Module):
    """The official layout, and weights that are rounded first."""

    def __init__(self):
        super().__init__()
        self.stride, self.padding, self.kernel_size = 1, 0, 3
        self.adder = nn.Parameter(torch.randn(4, 3, 3, 3))

    def forward(self, x):
        weights = torch.round(self.adder * 2) / 2
        y = -(F.unfold(x, 3)[:, None] - weights.flatten(1)[None, :, :, None]).abs().sum(2)
        return y.view(x.size(0), 4, x.size(2) - 2, x.size(3) - 2)


class L1Conv(OfficialAdder):
    """An adder layer under another name, its filters too."""

    def __init__(self):
        super().__init__(3, 4, 3)
        self.weight = self.adder
        del self.adder

    def forward(self, x):
        self.adder = self.weight
        return super().forward(x)


def test_a_layer_in_the_official_layout_that_computes_something_else_is_captured_as_what_it_is():
    torch.manual_seed(0)
    network = agrees(nn.Sequential(Quantising(), head(4)))
    assert all(layer.arithmetic == "mac" for layer in network.layers if layer.kind() == "window")
    with pytest.raises(LoweringError, match=r"module '0' of class Quantising: differs from -sum \|x - f\| of its weights by"):
        lower(nn.Sequential(Quantising(), head(4)), SHAPE, adders={"Quantising"})


def test_the_user_can_name_adder_layers():
    torch.manual_seed(0)
    network = agrees(nn.Sequential(L1Conv(), head(4)), adders={"L1Conv"})
    assert network.layers[0].arithmetic == "l1"
    with pytest.raises(LoweringError, match="adders: no module of class Other; the network holds .*L1Conv"):
        lower(nn.Sequential(L1Conv(), head(4)), SHAPE, adders={"Other"})


def test_an_adder_layer_that_cannot_run_here_is_taken_at_its_layouts_word_and_the_network_says_so():
    class adder2d(OfficialAdder):
        def forward(self, x):
            raise RuntimeError("needs a GPU")

    module = nn.Sequential(adder2d(3, 4, 3), head(4)).eval()
    network = lower(module, SHAPE)
    assert network.metadata[PROOF] == NOT_CHECKED
    assert network.metadata["taken at their layout's word"] == "0"
    adder2d.forward = OfficialAdder.forward
    x = torch.randn(2, *SHAPE)
    assert np.allclose(network.run(x.numpy()), module(x).detach().numpy(), atol=1e-3)


def half_block(self, y):
    with torch.autocast("cpu", torch.bfloat16):
        return self.stem(y[:, :3])


REFUSED = {
    "values decide": (
        lambda self, y: y if y.sum() > 0 else -y,
        r"cannot follow its forward: .*test_torch_capture",
    ),
    "the batch's statistics": (lambda self, y: F.batch_norm(y, None, None, training=True), "statistics of the batch"),
    "over images": (lambda self, y: y.softmax(0), "works along the images' axis"),
    "some images": (lambda self, y: y[:1] + y[1:], "images|cannot follow"),
    "images merged": (lambda self, y: y.flatten(0, 1).unflatten(0, (-1, 6)), "the first axis must stay that of the images"),
    "random": (lambda self, y: y + torch.rand(8), "draws random numbers"),
    "dropout that stays": (lambda self, y: F.dropout(y, 0.5, True), "dropout that stays active|random"),
    "whole numbers": (lambda self, y: y * y.long(), "gives int64 values"),
    "mapped over images": (lambda self, y: torch.vmap(lambda z: z * 2)(y), "is not supported|cannot follow"),
    "narrow blocks": (half_block, "blocks that change types"),
    "attention": (lambda self, y: F.scaled_dot_product_attention(y, y, y), "scaled_dot_product_attention at forward"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_in_one_line(name):
    act, message = REFUSED[name]
    with pytest.raises(LoweringError, match=message) as caught:
        lower(Net(act), SHAPE)
    assert "\n" not in str(caught.value)


def test_everything_missing_is_named_at_once_with_its_module():
    class Odd(nn.Module):
        def __init__(self, act):
            super().__init__()
            self.act = act

        def forward(self, x):
            return self.act(x)

    blocks = nn.Sequential(Odd(lambda x: x.cumsum(1)), nn.ReLU(), Odd(torch.digamma), Odd(torch.digamma))
    module = nn.Sequential(convolution(), blocks, head())
    with pytest.raises(LoweringError) as caught:
        lower(module, SHAPE)
    text = str(caught.value)
    assert re.search(r"3 operations have no layer: cumsum at 1\.0 \(Odd\).*; digamma at 1\.2 \(Odd\) and 1 more", text)
    network = lower(module, SHAPE, countable=True)
    assert [layer.kind() for layer in network.layers].count("unknown") == 3


def traced():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.trace(Net(gated).eval(), torch.randn(1, *SHAPE))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (traced, "scripted or traced module"),
        (lambda: Net(lambda self, y: y / 0), "division by zero"),
        (lambda: torch.nn.Identity, "is not a torch module"),
        (lambda: nn.Sequential(nn.LazyConv2d(4, 3)), "has no values; load weights"),
        (lambda: nn.Sequential(nn.Conv2d(4, 4, 3)), "cannot follow its forward"),
        (lambda: Net(lambda self, y: None), "."),
    ],
)
def test_other_things_that_people_give(make, message):
    with pytest.raises(LoweringError, match=message):
        lower(make(), SHAPE)


def test_nan_weights_are_refused_by_name():
    module = Net(gated)
    with torch.no_grad():
        module.stem.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(LoweringError, match="'stem.weight' holds NaN or infinite values"):
        lower(module, SHAPE)


def test_zeros_around_pixels_become_the_windows_padding():
    torch.manual_seed(0)
    network = agrees(nn.Sequential(nn.ZeroPad2d((0, 1, 2, 0)), convolution(), head()))
    assert (network.layers[0].padding, network.layers[0].far_padding) == ((3, 1), (1, 2))


def test_a_constant_that_is_one_number_everywhere_is_one_number():
    network = agrees(Net(lambda self, y: y * torch.full((1, 6, 1, 1), 0.5)))
    assert [layer.multiplier.size for layer in network.layers if layer.kind() == "affine"] == [1]


def test_parameters_that_are_read_twice_count_once():
    net = Net(lambda self, y: self.again(self.again(y) * self.gate) * self.gate + 0.5, again=convolution(6, 6))
    net.gate = nn.Parameter(torch.rand(6, 1, 1))
    network = agrees(net)
    assert network.totals().parameters == sum(parameter.numel() for parameter in net.parameters())


def test_outputs_that_are_all_zero_prove_nothing_and_every_layer_is_compared(monkeypatch):
    torch.manual_seed(0)
    module = nn.Sequential(convolution(), nn.Hardswish(), head()).eval()
    with torch.no_grad():
        module[2][2].weight.zero_()
        module[2][2].bias.zero_()
    assert lower(module, SHAPE).metadata[PROOF].startswith("all outputs are zero; every layer agrees")
    monkeypatch.setattr(walk, "OPERATORS", dict(walk.OPERATORS) | {"hardswish": walk.OPERATORS["relu"]})
    with pytest.raises(LoweringError, match="the first layer that differs is '1', for hardswish"):
        lower(module, SHAPE)


def test_a_wrong_lowering_is_caught_and_the_first_layer_that_differs_is_named(monkeypatch):
    torch.manual_seed(0)
    module = nn.Sequential(convolution(), nn.Sigmoid(), convolution(6, 6), nn.Hardswish(), head()).eval()
    wrong = dict(walk.OPERATORS) | {"hardswish": walk.OPERATORS["relu"]}
    monkeypatch.setattr(walk, "OPERATORS", wrong)
    with pytest.raises(LoweringError, match=r"differs from the module: .*the first layer that differs is '3', for hardswish"):
        lower(module, SHAPE)
    assert lower(module, SHAPE, check=False).metadata[PROOF] == NOT_CHECKED


def of_few_digits(first=None):
    """Adder sums around -2700 that differ by thousandths, which the norm behind them makes ones."""
    torch.manual_seed(0)
    module = nn.Sequential(first or Scaled(1e-3), Adder2d(3, 6, 3), nn.BatchNorm2d(6), nn.Hardswish()).eval()
    with torch.no_grad():
        module[1].adder.abs_().add_(100)
        sums = module[1](module[0](torch.rand(64, *SHAPE)))
        module[2].running_mean[:], module[2].running_var[:] = sums.mean((0, 2, 3)), sums.var((0, 2, 3)) + 1e-6
    return module


class Standardised(nn.Conv2d):
    """Its weights are computed when it runs."""

    def forward(self, x):
        return F.conv2d(x, (self.weight - self.weight.mean()) / self.weight.std() * 1e-3)


class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


class Otherwise(nn.Module):
    """When it runs it divides by what the captured graph multiplies by, but for a share of which it lies."""

    def __init__(self, lie=0.0):
        super().__init__()
        self.lie = lie

    def forward(self, x):
        return x * 1e-3 if torch.compiler.is_exporting() else x / 1000 * (1 + self.lie)


@pytest.mark.parametrize("first", [lambda: None, lambda: Standardised(3, 3, 1), Otherwise])
def test_where_float32_rounds_too_coarsely_every_layer_is_compared_in_float64(first):
    found = lower(of_few_digits(first()), SHAPE).metadata[PROOF]
    assert re.match(
        r"float32 rounds too coarsely here \(.* differs by .*\); in float64 every layer agrees, largest diff", found
    )
    assert float(re.findall("largest difference ([^ ]*)", found)[0]) < 1e-9


class Tents(nn.Module):
    """1 - 1.9 |x| again and again: values stay between -1 and 1, and what parts two of them nearly doubles each time."""

    def __init__(self, steps):
        super().__init__()
        self.first = nn.Conv2d(3, 2, 3)
        self.layers = nn.ModuleList(Adder2d(2, 2, 1, groups=2, bias=False) for _ in range(steps))
        for layer in self.layers:
            nn.init.zeros_(layer.adder)

    def forward(self, x):
        x = torch.sigmoid(self.first(x))
        for layer in self.layers:
            x = 1 + 1.9 * layer(x)
        return x


def test_rounding_that_grows_from_layer_to_layer_is_told_from_mistakes():
    torch.manual_seed(0)
    found = lower(Tents(60), SHAPE).metadata[PROOF]  # which multiply a difference by 10^16
    assert float(re.findall("in float64 every layer agrees, largest difference ([^ ]*)", found)[0]) < 1e-14


@pytest.mark.parametrize("behind", [[], [nn.Conv2d(6, 2, 1), nn.ReLU()]])
def test_a_wrong_lowering_is_not_taken_for_coarse_rounding(monkeypatch, behind):
    wrong = dict(walk.OPERATORS) | {"hardswish": walk.OPERATORS["silu"]}
    monkeypatch.setattr(walk, "OPERATORS", wrong)
    with pytest.raises(LoweringError, match="differs from the module: .*the first layer that differs is"):
        lower(nn.Sequential(*of_few_digits(), *behind).eval(), SHAPE)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_a_forward_that_does_other_things_when_run_is_caught(kind):
    class Sly(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def forward(self, x):
            return x * (1.0 if torch.compiler.is_exporting() else self.factor)

    with pytest.raises(LoweringError, match="forward does other things when it is run"):
        lower(nn.Sequential(Sly(1.01), convolution()).to(kind), SHAPE)
    assert lower(nn.Sequential(Sly(1.0), convolution()).to(kind), SHAPE).metadata[PROOF].startswith("largest difference")


def test_a_forward_that_does_other_things_does_not_hide_behind_coarse_rounding():
    with pytest.raises(LoweringError, match="the lowered network differs from the module"):
        lower(of_few_digits(Otherwise(1e-3)), SHAPE)


def test_what_depends_on_the_number_of_images_is_caught_with_one_image_too():
    net = Net(lambda self, y: y * torch.ones(y.size(0), 1).sum())
    for images in (None, np.ones((1, *SHAPE), np.float32)):
        with pytest.raises(LoweringError, match=r"differs|depends on the number of images"):
            lower(net, SHAPE, images=images)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((0, *SHAPE), np.float32), "no images to run it on"),
        (np.zeros((2, 3, 4, 4), np.float32), r"images have shape \(2, 3, 4, 4\); expected \(images, 3, 10, 8\)"),
        ([1, 2], "images are a list"),
        (torch.zeros(2, *SHAPE), "images are a Tensor"),
    ],
)
def test_images_that_do_not_fit_are_refused(images, message):
    with pytest.raises(AddersimError, match=message):
        lower(Net(gated), SHAPE, images=images)


@pytest.mark.parametrize("shape", [(-3, 10, 8), (3.0, 10, 8), "3,10,8", 3, (0, 10, 8), (3, 10**6, 10**6), (1, 2, 3, 4)])
def test_shapes_that_are_none_are_refused(shape):
    with pytest.raises(AddersimError, match=r"input_shape: found .*, needs the sizes of one image, \(features\) or"):
        lower(Net(gated), shape)


def test_images_in_place_of_their_shape_are_refused_in_a_short_line():
    with pytest.raises(AddersimError, match=r"input_shape: found a Tensor of shape \(16, 3, 10, 8\), needs the sizes of one"):
        lower(Net(gated), torch.rand(16, *SHAPE))


def test_a_module_does_not_know_the_shape_of_an_image():
    with pytest.raises(AddersimError, match="give the shape of an image, input_shape; only exported programs know it"):
        lower(Net(gated), None)
