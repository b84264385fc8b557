"""Random torch modules over what lowering knows, with in-place forms, hooks, branches, shared modules: as torch, or refused.

python -m tests.properties.torch_modules COUNT [SEED] prints how many were lowered, refused (by reason) and wrong; status 1 if
any was wrong or raised anything else than a LoweringError.
"""

from __future__ import annotations

import copy
import random
import re
import sys
import warnings

import numpy as np
import torch
import torch.nn.functional as F
import torch.nn.utils.prune
from torch import nn

from addersim.errors import LoweringError
from addersim.frontends.proof import IN_DOUBLE, TOLERANCE, compare, network_values
from addersim.frontends.torch.lower import lower
from addersim.train.nn import Adder2d
from tests.properties.random_search import search

MOST_VALUES = 20_000


class OfficialAdder(nn.Module):
    """An adder layer in the layout of the released code, which only its name and parameter tell."""

    def __init__(self, inputs, outputs, kernel):
        super().__init__()
        self.stride, self.padding, self.kernel_size = 1, 1, kernel
        self.adder = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))

    def forward(self, x):
        columns = F.unfold(x, self.kernel_size, padding=self.padding)
        y = -(columns[:, None] - self.adder.flatten(1)[None, :, :, None]).abs().sum(2)
        height, width = (size + 2 * self.padding - self.kernel_size + 1 for size in x.shape[2:])
        return y.view(x.size(0), -1, height, width)


class Statement(nn.Module):
    """One step: a module or None, and a function of it and the values so far, which gives a new value or changes one."""

    def __init__(self, text, act, module=None):
        super().__init__()
        self.text, self.act, self.module = text, act, module

    def forward(self, values):
        return self.act(self.module, values)


class RandomNet(nn.Module):
    """Statements in a row over a list of values; the sum of means of the last ones comes out, or the last as it is."""

    def __init__(self, ending):
        super().__init__()
        self.statements = nn.ModuleList()
        self.ending = ending

    def forward(self, x):
        values = [x]
        for statement in self.statements:
            y = statement(values)
            if y is not None:
                values.append(y)
        last = values[-1]
        return last.flatten(1) if self.ending else last

    def __repr__(self):
        return " ; ".join(one.text for one in self.statements)


class Maker:
    """Draws statements that torch itself can run on the values at hand."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        torch.manual_seed(seed)
        self.shared = []

    def net(self):
        dice = self.dice
        shape = (dice.randint(1, 5), dice.randint(4, 9), dice.randint(4, 9))
        net = RandomNet(dice.random() < 0.5).eval()
        for _ in range(dice.randint(1, 7)):
            self.extend(net, shape)
        self.hook(net)
        return net, shape

    def extend(self, net, shape):
        """Append a statement that runs and gives finite values, not large, and not so small that they are rounding alone."""
        draw = self.dice.choice(DRAWS)
        values = run(net, torch.randn(2, *shape))
        made = draw(self, values)
        if made is None:
            return
        try:
            net.statements.append(made.eval())
            found = run(net, torch.randn(2, *shape))
            fine = all(map(is_plain, found)) and 1e-4 < float(found[-1].abs().max()) < 1e3
        except (RuntimeError, ValueError, IndexError, TypeError, AssertionError):
            fine = False
        if not fine:
            del net.statements[-1]

    def hook(self, net):
        modules = [one for one in net.modules() if not isinstance(one, (RandomNet, Statement, nn.ModuleList))]
        if not modules or self.dice.random() > 0.25:
            return
        one, kind = self.dice.choice(modules), self.dice.randint(0, 3)
        if kind == 0:
            one.register_forward_hook(lambda m, i, o: o * 0.5)
        elif kind == 1:
            one.register_forward_pre_hook(lambda m, i: (i[0] + 0.25,))
        elif kind == 2 and isinstance(one, nn.Conv2d):
            nn.utils.parametrizations.weight_norm(one)
        elif isinstance(one, nn.Conv2d):
            torch.nn.utils.prune.l1_unstructured(one, "weight", 0.3)

    def pick(self, values):
        """Place of a value, most often the last."""
        return len(values) - 1 if self.dice.random() < 0.75 else self.dice.randrange(len(values))

    def image(self, values):
        """Place of a value of four axes, or None."""
        fitting = [place for place, one in enumerate(values) if one.ndim == 4]
        return self.dice.choice(fitting[-2:]) if fitting else None


def is_plain(value):
    """Whether a value is small, finite, float, and one for each of two images."""
    small = value.numel() <= MOST_VALUES and value.ndim > 1 and len(value) == 2
    return small and value.dtype == torch.float32 and bool(torch.isfinite(value).all())


def run(net, x):
    values = [x]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for statement in net.statements:
            y = statement(values)
            if y is not None:
                values.append(y)
    return values


def shaken(norm):
    """A norm with statistics and parameters that are not the identity."""
    with torch.no_grad():
        for name in ("weight", "bias", "running_mean"):
            if getattr(norm, name, None) is not None:
                getattr(norm, name).copy_(torch.randn_like(getattr(norm, name)) * 0.5 + 0.3)
        if getattr(norm, "running_var", None) is not None:
            norm.running_var.uniform_(0.5, 2)
    return norm


def convolution(maker, values):
    dice, place = maker.dice, maker.image(values)
    if place is None:
        return None
    channels = values[place].shape[1]
    groups = dice.choice([one for one in (1, 1, 2, channels) if channels % one == 0])
    kernel, dilation = (dice.randint(1, 3), dice.randint(1, 3)), dice.randint(1, 2)
    same = dice.random() < 0.2
    options = {
        "stride": 1 if same else (dice.randint(1, 2), dice.randint(1, 2)),
        "padding": "same" if same else (dice.randint(0, 2), dice.randint(0, 2)),
        "dilation": dilation,
        "groups": groups,
        "bias": dice.random() < 0.5,
        "padding_mode": dice.choice(["zeros"] * 4 + ["reflect", "replicate", "circular"]),
    }
    module = nn.Conv2d(channels, groups * dice.randint(1, 3), kernel, **options)
    return Statement(f"conv({place}, {kernel}, {options})", lambda m, v: m(v[place]), module)


def again(maker, values):
    """A module that was used before, on another value."""
    place = maker.pick(values)
    if not maker.shared or maker.dice.random() < 0.4:
        channels = values[place].shape[1] if values[place].ndim == 4 else 3
        maker.shared.append(nn.Conv2d(channels, channels, 3, padding=1))
    module = maker.dice.choice(maker.shared)
    return Statement(f"shared({place})", lambda m, v: m(v[place]), module)


def transposed(maker, values):
    dice, place = maker.dice, maker.image(values)
    if place is None:
        return None
    channels, stride = values[place].shape[1], dice.randint(1, 3)
    groups = dice.choice([1, channels])
    options = {
        "stride": stride,
        "padding": dice.randint(0, 2),
        "output_padding": dice.randint(0, stride - 1),
        "dilation": dice.randint(1, 2),
        "groups": groups,
        "bias": dice.random() < 0.5,
    }
    module = nn.ConvTranspose2d(channels, groups * dice.randint(1, 2), dice.randint(1, 3), **options)
    return Statement(f"transposed({place}, {options})", lambda m, v: m(v[place]), module)


def adder(maker, values):
    place = maker.image(values)
    if place is None:
        return None
    channels, outputs = values[place].shape[1], maker.dice.randint(1, 4)
    module = maker.dice.choice([lambda: OfficialAdder(channels, outputs, 3), lambda: Adder2d(channels, outputs, 3, 2, 1)])()
    with torch.no_grad():
        module.adder.mul_(0.3)
    return Statement(f"adder({place})", lambda m, v: m(v[place]), module)


def linear(maker, values):
    place = maker.pick(values)
    module = nn.Linear(values[place].shape[-1], maker.dice.randint(1, 6), bias=maker.dice.random() < 0.5)
    return Statement(f"linear({place})", lambda m, v: m(v[place]), module)


def norm(maker, values):
    dice, place = maker.dice, maker.pick(values)
    shape = values[place].shape
    channels = shape[1]
    kinds = [
        lambda: {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}[len(shape)](channels, affine=dice.random() < 0.7),
        lambda: nn.GroupNorm(dice.choice([one for one in (1, 2, channels) if channels % one == 0]), channels),
        lambda: nn.InstanceNorm2d(channels, affine=dice.random() < 0.5),
        lambda: nn.LayerNorm(shape[-dice.randint(1, len(shape) - 1) :]),
    ]
    try:
        module = shaken(dice.choice(kinds)())
    except KeyError:
        return None
    return Statement(f"{module}({place})", lambda m, v: m(v[place]), module)


def activation(maker, values):
    dice, place = maker.dice, maker.pick(values)
    channels = values[place].shape[1]
    inplace = dice.random() < 0.3
    module = dice.choice(
        [
            nn.ReLU(inplace),
            nn.ReLU6(inplace),
            nn.Hardswish(inplace),
            nn.Hardsigmoid(inplace),
            nn.Hardtanh(-0.5, 1.5, inplace),
            nn.SiLU(inplace),
            nn.GELU(),
            nn.GELU("tanh"),
            nn.LeakyReLU(0.1, inplace),
            nn.PReLU(channels),
            nn.PReLU(),
            nn.ELU(0.7, inplace),
            nn.SELU(inplace),
            nn.CELU(1.3),
            nn.Sigmoid(),
            nn.Tanh(),
            nn.Mish(),
            nn.Softplus(2.0),
            nn.Softsign(),
            nn.LogSigmoid(),
            nn.Softmax(1),
            nn.Identity(),
            nn.Dropout(0.5),
        ]
    )
    return Statement(f"{module}({place})", lambda m, v: m(v[place]), module)


def pool(maker, values):
    dice, place = maker.dice, maker.image(values)
    if place is None:
        return None
    kernel, padding = (dice.randint(1, 3), dice.randint(1, 3)), dice.randint(0, 1)
    stride, ceil = dice.randint(1, 3), dice.random() < 0.3
    module = dice.choice(
        [
            nn.MaxPool2d(kernel, stride, min(padding, min(kernel) // 2), dice.randint(1, 2), ceil_mode=ceil),
            nn.AvgPool2d(
                kernel, stride, min(padding, min(kernel) // 2), ceil, dice.random() < 0.5, dice.choice([None, None, 3])
            ),
            nn.AdaptiveAvgPool2d((dice.randint(1, 4), dice.randint(1, 4))),
            nn.AdaptiveMaxPool2d(dice.randint(1, 3)),
            nn.Upsample(scale_factor=dice.choice([2, 1.5, 0.5]), mode="nearest"),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=dice.random() < 0.5),
            nn.Upsample(size=(5, 7), mode="bilinear"),
            nn.ZeroPad2d((dice.randint(0, 2), 1, 0, dice.randint(0, 2))),
            nn.ReflectionPad2d((1, 0, 0, 1)),
            nn.ReplicationPad2d(1),
            nn.ConstantPad2d((1, 0, 0, 1), 0.7),
        ]
    )
    return Statement(f"{module}({place})", lambda m, v: m(v[place]), module)


def in_place(maker, values):
    dice, place = maker.dice, maker.pick(values)
    if place == 0:
        return None
    factor = dice.choice([0.5, -1.5, 2.0])
    acts = {
        "mul_": lambda m, v: void(v[place].mul_(factor)),
        "add_": lambda m, v: void(v[place].add_(factor)),
        "relu_": lambda m, v: void(F.relu_(v[place])),
        "slice mul_": lambda m, v: void(v[place][:, :1].mul_(factor)),
        "clamp_": lambda m, v: void(v[place].clamp_(-1, 1)),
        "fill": lambda m, v: void(0 in v[place].stride() or v[place][..., 0].zero_()),  # none into one place under many
    }
    name = dice.choice(list(acts))
    return Statement(f"{name}({place}, {factor})", acts[name])


def void(_):
    return None


def two(maker, values):
    dice = maker.dice
    first = maker.pick(values)
    fitting = [place for place, one in enumerate(values) if one.ndim == values[first].ndim]
    second = dice.choice(fitting)
    acts = {
        "add": lambda m, v: v[first] + v[second],
        "sub": lambda m, v: v[first] - v[second],
        "mul": lambda m, v: v[first] * v[second],
        "maximum": lambda m, v: torch.maximum(v[first], v[second]),
        "alpha": lambda m, v: torch.add(v[first], v[second], alpha=0.5),
        "addcmul": lambda m, v: torch.addcmul(v[first], v[second], v[first], value=-0.5),
        "lerp": lambda m, v: torch.lerp(v[first], v[second], 0.25),
        "cat": lambda m, v: torch.cat([v[first], v[second]], 1),
        "cat last": lambda m, v: torch.cat([v[first], v[second], v[first]], -1),
        "stack": lambda m, v: torch.stack([v[first], v[second]], 2).flatten(1, 2),
        "gate": lambda m, v: v[first] * torch.sigmoid(v[second].mean((2, 3), keepdim=True)),
    }
    name = dice.choice(list(acts))
    return Statement(f"{name}({first}, {second})", acts[name])


def scalar(maker, values):
    place, number = maker.pick(values), maker.dice.choice([0.5, -2.0, 3])
    vector = torch.randn(values[place].shape[1], *[1] * (values[place].ndim - 2))
    full = torch.randn(values[place].shape[1:])
    acts = {
        "x * c": lambda m, v: v[place] * number,
        "c - x": lambda m, v: number - v[place],
        "x / c": lambda m, v: v[place] / number,
        "x * vector": lambda m, v: v[place] * vector,
        "x + full": lambda m, v: v[place] + full,
        "x + row": lambda m, v: v[place] + full[..., :1, :] if full.ndim > 1 else v[place] + full,
        "where": lambda m, v: torch.where(full > 0, v[place], torch.zeros(())),
        "square": lambda m, v: v[place] ** 2,
        "abs": lambda m, v: torch.abs(v[place]),
        "neg": lambda m, v: -v[place],
        "exp": lambda m, v: torch.exp(-v[place].abs()),
        "clamp min": lambda m, v: v[place].clamp(min=-0.3),
        "clamp max": lambda m, v: v[place].clamp(max=0.3),
        "clamp by tensors": lambda m, v: v[place].clamp(-vector.abs(), full.abs()),
        "vector like x": lambda m, v: vector.expand_as(v[place]) - v[place],
    }
    name = maker.dice.choice(list(acts))
    return Statement(f"{name}({place}, {number})", acts[name])


def move(maker, values):
    place = maker.pick(values)
    x = values[place]
    half = max(1, x.shape[1] // 2)
    acts = {
        "flatten": lambda m, v: v[place].flatten(1),
        "flatten 2": lambda m, v: v[place].flatten(2),
        "view": lambda m, v: v[place].reshape(v[place].size(0), -1, v[place].size(-1)),
        "permute": lambda m, v: v[place].permute(0, 2, 3, 1),
        "transpose": lambda m, v: v[place].transpose(1, 2),
        "slice": lambda m, v: v[place][:, :half],
        "stride": lambda m, v: v[place][..., ::2],
        "chunk": lambda m, v: v[place].chunk(2, 1)[-1],
        "split": lambda m, v: torch.split(v[place], half, 1)[0],
        "select": lambda m, v: v[place][:, 0],
        "unsqueeze": lambda m, v: v[place].unsqueeze(1),
        "squeeze": lambda m, v: v[place].squeeze(1),
        "flip": lambda m, v: v[place].flip(-1),
        "roll": lambda m, v: v[place].roll(1, -1),
        "shuffle": lambda m, v: F.channel_shuffle(v[place], 2),
        "pixel": lambda m, v: F.pixel_shuffle(v[place], 2),
        "unpixel": lambda m, v: F.pixel_unshuffle(v[place], 2),
        "index": lambda m, v: v[place][:, [0, -1, 0]],
        "repeat": lambda m, v: v[place].repeat(1, 2, *[1] * (v[place].ndim - 2)),
        "expand": lambda m, v: v[place][:, :1].expand_as(v[place]),
        "unfold": lambda m, v: F.unfold(v[place], 2),
        "pad": lambda m, v: F.pad(v[place], (1, 2)),
        "crop": lambda m, v: F.pad(v[place], (-1, 1)),
        "contiguous": lambda m, v: v[place].contiguous(),
    }
    name = maker.dice.choice(list(acts))
    return Statement(f"{name}({place})", acts[name])


def reduction(maker, values):
    place = maker.pick(values)
    rank = values[place].ndim
    axes = maker.dice.sample(range(1, rank), maker.dice.randint(1, rank - 1))
    keep = maker.dice.random() < 0.6
    acts = {
        "mean": lambda m, v: v[place].mean(axes, keepdim=keep),
        "sum": lambda m, v: v[place].sum(axes, keepdim=keep),
        "amax": lambda m, v: v[place].amax(axes, keepdim=keep),
        "amin": lambda m, v: v[place].amin(axes, keepdim=keep),
        "max": lambda m, v: v[place].max(axes[0], keepdim=keep)[0],
        "var": lambda m, v: v[place].var(axes, keepdim=keep, unbiased=False),
        "softmax": lambda m, v: v[place].softmax(axes[0]),
    }
    name = maker.dice.choice(list(acts))
    return Statement(f"{name}({place}, {axes}, {keep})", acts[name])


DRAWS = [convolution] * 4 + [again, transposed, adder, linear, norm, norm] + [activation] * 3 + [pool] * 2
DRAWS += [in_place, in_place, two, two, two, scalar, scalar, move, move, reduction]


def examine(seed):
    """``lowered``, or why not: the words of a refusal; ``WRONG`` or ``RAW`` with what was found."""
    net, shape = Maker(seed).net()
    if not len(net.statements):
        return "empty"
    x = torch.randn(3, *shape)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = net(x.clone()).numpy()
    except (RuntimeError, ValueError):  # what ran on two images need not on three
        return "empty"
    try:
        network = lower(net, shape)
    except LoweringError as error:
        return f"WRONG seed {seed}: {net}: {error}" if "differs from the module" in str(error) else reason(str(error))
    except Exception as error:  # that is what is looked for
        return f"RAW seed {seed}: {net}: {type(error).__name__}: {error}"
    values = [value for _, value in network.values(x.numpy())][-1]
    found = np.moveaxis(values, -1, 1)
    fine = found.shape == wanted.shape and (compare(wanted, found) <= TOLERANCE or agrees_in_double(net, network, x))
    return "lowered" if fine else f"WRONG seed {seed}: {net}: {found.shape} {wanted.shape}"


def agrees_in_double(net, network, x):
    """Whether only float32 rounds so much, as it does in a norm of what is hardly spread."""
    with torch.no_grad():
        wanted = copy.deepcopy(net).double()(x.double()).numpy()
    return compare(wanted, list(network_values(network, x.double().numpy()).values())[-1]) <= IN_DOUBLE


def reason(text):
    """A refusal without what differs from one to the next."""
    what = text.partition("no layer: ")[2].partition(":")[2] or text.partition(":")[2]
    return "refused: " + re.sub(r"[\d(].*", "", what)[:60]


if __name__ == "__main__":
    search(lambda seed, folder: examine(seed), sys.argv[1:])
