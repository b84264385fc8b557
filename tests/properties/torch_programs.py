"""Random programs of quantisers and operators between them, as torch.export gives them: torch's codes, or refused in one line.

``python -m tests.properties.torch_programs COUNT [FIRST]`` tries many and prints how they came out. Scales are powers of two
in half of the programs: whatever order torch adds in, its sums are exact then, and so must ours be from images to outputs. In
the others every layer is given torch's codes of what it reads, and a code may be another one only where float32 is next to a
tie.
"""

import random
import sys
from functools import partial

import numpy as np
import torch
import torch.ao.quantization.fx._decomposed  # registers the operators
from torch import nn
from torch.nn import functional as F

import addersim
from tests.properties.random_search import ends_of, search
from tests.properties.strategies import check_chained
from tests.properties.torch_beside import beside, exported, told
from tests.properties.torch_modules import RandomNet, Statement, run

OPS = torch.ops.quantized_decomposed
MOST_VALUES = 4000
KINDS = {torch.int8: (-128, 127), torch.uint8: (0, 255), torch.int16: (-32768, 32767)}
WIDE = (-(2**31), 2**31 - 1, torch.int32)


def through(x, scale, zero, ends, kind):
    """Codes of a value, and what they stand for."""
    codes = OPS.quantize_per_tensor(x, scale, zero, *ends, kind)
    return OPS.dequantize_per_tensor(codes, scale, zero, *ends, kind)


class Weighted(nn.Module):
    """Weights and a bias as codes, and the reals that a forward makes of them."""

    def __init__(self, maker, shape, axis, filters, step):
        super().__init__()
        dice, draw = maker.dice, torch.Generator().manual_seed(maker.dice.randrange(2**31))
        self.kind = torch.uint8 if dice.random() < 0.2 else torch.int8
        self.ends = dice.choice([KINDS[self.kind], (-127, 127) if self.kind == torch.int8 else (0, 200)])
        self.axis, self.each = axis, dice.random() < 0.6
        self.register_buffer("codes", torch.randint(self.ends[0], self.ends[1] + 1, shape, generator=draw).to(self.kind))
        places = shape[axis] if self.each else 1
        scale = torch.rand(places, generator=draw) * 0.05 + 0.002
        self.register_buffer("scale", 2.0 ** torch.log2(scale).round() if maker.exact else scale)
        zeros = [0] if self.kind == torch.int8 and dice.random() < 0.8 else [0, self.ends[0], self.ends[1], 7]
        self.register_buffer("zero", torch.tensor([dice.choice(zeros) for _ in range(places)]))
        wide = self.scale.repeat(filters)[:filters] if places == 1 else self.scale
        self.register_buffer("step", step * (wide if wide.numel() == filters else wide.repeat(filters)[:filters]))
        self.whole = dice.random() < 0.3
        kept = torch.randint(-3000, 3000, (filters,), generator=draw)
        self.register_buffer("kept", kept.to(torch.int32))
        self.register_buffer("none", torch.zeros(filters, dtype=torch.int64))
        self.register_buffer("reals", (kept / 4 + (0 if maker.exact else 0.3)) * self.step)
        self.biased = dice.random() < 0.7

    def weight(self):
        if self.each:
            return OPS.dequantize_per_channel(self.codes, self.scale, self.zero, self.axis, *self.ends, self.kind)
        return OPS.dequantize_per_tensor(self.codes, float(self.scale_once), int(self.zero_once), *self.ends, self.kind)

    def bias(self):
        if not self.biased:
            return None
        return OPS.dequantize_per_channel(self.kept, self.step, self.none, 0, *WIDE) if self.whole else self.reals

    def frozen(self):
        self.scale_once, self.zero_once = float(self.scale[0]), int(self.zero[0])
        return self


class Maker:
    """Draws operators, and quantisers that fit what they give."""

    def __init__(self, seed):
        self.dice = random.Random(f"torch {seed}")
        torch.manual_seed(seed)
        self.exact, self.wide = self.dice.random() < 0.5, self.dice.random() < 0.1
        size = self.dice.choice([(), (self.dice.randint(4, 9),), *[(self.dice.randint(3, 8), self.dice.randint(3, 8))] * 4])
        self.shape = (self.dice.randint(2, 6), *size)
        self.images = torch.randn(6, *self.shape)
        self.forms = []
        self.net = RandomNet(False).eval()

    def grown(self):
        self.append("images", lambda m, v: v[0], None)
        for _ in range(self.dice.randint(1, 7)):
            values = run(self.net, self.images)
            made = self.dice.choice(DRAWS)(self, values)
            if made is not None:
                self.append(*made)
        return self.net

    def append(self, text, act, module):
        """Append an operator and the quantiser behind it, unless torch refuses it or its values are no plain ones."""
        given = run(self.net, self.images)
        try:
            with torch.no_grad():
                found = act(module, given)
        except (RuntimeError, ValueError, IndexError, TypeError):
            return
        if found.numel() > MOST_VALUES * 6 or not torch.isfinite(found).all() or not found.abs().max() > 1e-6:
            return
        form = self.form(found)
        ending = through
        if self.dice.random() < 0.3 and len(self.net.statements):
            ending = self.fused(ending, float(found.abs().max()))
            text += f" {ending.__name__}"
        shown = f"{text} -> {form[0]:.4g} {form[1]} {form[2]} {form[3]}"
        self.net.statements.append(Statement(shown, lambda m, v: ending(act(m, v), *form), module))

    def fused(self, ending, most):
        """A function that ends where codes of its results end, before the quantiser."""
        low, high = sorted(self.dice.choice([-1, -0.5, 0, 0, 0.25, 0.6, 1]) * most for _ in range(2))
        kinds = {"relu": F.relu, "relu6": F.relu6, "sigmoid": torch.sigmoid, "elu": F.elu, "hardswish": F.hardswish}
        if low < high:
            kinds |= {"hardtanh": lambda x: F.hardtanh(x, low, high), "clamp": lambda x: torch.clamp(x, low, high)}
        name = self.dice.choice(sorted(kinds))

        def run_both(x, *form):
            return ending(kinds[name](x), *form)

        run_both.__name__ = name
        return run_both

    def form(self, values):
        """Scale, zero point, ends and type of codes for reals; the scale fits them, or is too small or large."""
        kind = self.dice.choice([torch.int8, torch.int8, torch.uint8, *([torch.int16] if self.wide else [])])
        ends = KINDS[kind]
        if self.dice.random() < 0.3:  # fewer codes than the type has
            ends = self.dice.choice([(ends[0] + 1, ends[1]), (ends[0] // 2, ends[1] // 2), (ends[0] + 100, ends[1] - 30)])
        scale = float(values.abs().max()) / (ends[1] - ends[0]) * self.dice.choice([2, 2, 1.9, 0.5, 6])
        scale = 2.0 ** round(np.log2(scale)) if self.exact else scale
        zero = self.dice.choice([*ends, (ends[0] + ends[1] + 1) // 2, self.dice.randint(*ends)])
        self.forms.append((scale, zero, ends, kind))
        return self.forms[-1]

    def pick(self, values, *ranks):
        fitting = [place for place, one in enumerate(values) if place and (not ranks or one.ndim in ranks)]
        return self.dice.choice(fitting[-3:] if self.dice.random() < 0.7 else fitting) if fitting else None

    def scale_of(self, place):
        """Of the codes of a value; the first statement made those of the images."""
        return self.forms[place - 1][0]


def conv(maker, values):
    place, dice = maker.pick(values, 3, 4), maker.dice
    if place is None:
        return None
    channels, axes = values[place].shape[1], values[place].ndim - 2
    groups = dice.choice([one for one in (1, 1, 2, 3, channels) if channels % one == 0])
    filters = groups * dice.randint(1, max(1, 8 // groups))
    shape = (filters, channels // groups, *(dice.randint(1, 3) for _ in range(axes)))
    module = Weighted(maker, shape, 0, filters, maker.scale_of(place)).frozen()
    moves = [[dice.randint(1, 2) for _ in range(axes)], [dice.randint(0, 2) for _ in range(axes)], dice.randint(1, 2), groups]
    function = F.conv1d if axes == 1 else F.conv2d
    return f"conv({place}, {moves})", lambda m, v: function(v[place], m.weight(), m.bias(), *moves), module


def transposed(maker, values):
    place, dice = maker.pick(values, 4), maker.dice
    if place is None:
        return None
    channels = values[place].shape[1]
    groups = dice.choice([one for one in (1, 1, 2) if channels % one == 0])
    each, stride = dice.randint(1, 3), dice.randint(1, 3)
    module = Weighted(maker, (channels, each, 2, 3), 1, groups * each, maker.scale_of(place)).frozen()
    moves = [stride, dice.randint(0, 1), dice.randint(0, stride - 1), groups, dice.choice([1, 1, 2])]
    return (
        f"transposed({place}, {moves})",
        lambda m, v: F.conv_transpose2d(v[place], m.weight(), m.bias(), *moves),
        module,
    )


def linear(maker, values):
    place = maker.pick(values)
    outputs = maker.dice.randint(1, 6)
    module = Weighted(maker, (outputs, values[place].shape[-1]), 0, outputs, maker.scale_of(place)).frozen()
    if maker.dice.random() < 0.2:
        return f"matmul({place})", lambda m, v: torch.matmul(v[place], m.weight().t()), module
    return f"linear({place})", lambda m, v: F.linear(v[place], m.weight(), m.bias()), module


def two(maker, values):
    first = maker.pick(values)
    second = maker.dice.choice([place for place, one in enumerate(values) if place and one.ndim == values[first].ndim][-4:])
    axis = maker.dice.randrange(1, values[first].ndim)
    acts = {
        "add": lambda m, v: v[first] + v[second],
        "sub": lambda m, v: v[first] - v[second],
        "mul": lambda m, v: v[first] * v[second],
        "cat": lambda m, v: torch.cat([v[first], v[second]], axis),
        "stack": lambda m, v: torch.stack([v[first], v[second]], 1).flatten(1, 2),
        "maximum": lambda m, v: torch.maximum(v[first], v[second]),
    }
    name = maker.dice.choice(["add", "add", "add", "mul", "mul", "cat", "cat", "sub", "stack", "maximum"])
    return f"{name}({first}, {second})", acts[name], None


def pool(maker, values):
    place, dice = maker.pick(values, 3, 4), maker.dice
    if place is None:
        return None
    axes = values[place].ndim - 2
    kernel, stride = dice.randint(1, 3), dice.randint(1, 3)
    padding, ceil = dice.randint(0, kernel // 2), dice.random() < 0.3
    if axes == 1:
        kinds = [lambda m, v: F.max_pool1d(v[place], kernel, stride, padding, ceil_mode=ceil),
                 lambda m, v: F.avg_pool1d(v[place], kernel, stride, padding, ceil)]  # fmt: skip
    else:
        counted, size = dice.random() < 0.5, dice.randint(1, 3)
        kinds = [
            lambda m, v: F.max_pool2d(v[place], kernel, stride, padding, dice_dilation, ceil_mode=ceil),
            lambda m, v: F.avg_pool2d(v[place], kernel, stride, padding, ceil, counted),
            lambda m, v: F.adaptive_avg_pool2d(v[place], size),
            lambda m, v: v[place].mean((2, 3), keepdim=counted),
            lambda m, v: v[place].mean(3),
            lambda m, v: v[place].amax((2, 3)),
        ]
    dice_dilation = dice.randint(1, 2)
    which = dice.randrange(len(kinds))
    return f"pool{which}({place}, {kernel}, {stride}, {padding}, {ceil})", kinds[which], None


FUNCTIONS = (
    F.hardswish, F.hardsigmoid, torch.sigmoid, torch.tanh, F.gelu, F.silu, F.elu, torch.abs, torch.neg, F.softplus, F.mish,
    F.relu, F.relu6, partial(F.leaky_relu, negative_slope=0.2), partial(F.gelu, approximate="tanh"), torch.square, torch.exp,
    torch.erf, partial(F.softmax, dim=1), F.logsigmoid, F.softsign, torch.floor, torch.sign,
)  # fmt: skip


def function(maker, values):
    place, which = maker.pick(values), maker.dice.choice(FUNCTIONS)
    name = getattr(which, "__name__", None) or f"{which.func.__name__} {which.keywords}"
    return f"{name}({place})", lambda m, v: which(v[place]), None


class Held(nn.Module):
    """A constant of reals."""

    def __init__(self, values):
        super().__init__()
        self.register_buffer("values", values)


def beside_constant(maker, values):
    place, dice = maker.pick(values), maker.dice
    shape = dice.choice([(1,), (values[place].shape[1], *[1] * (values[place].ndim - 2)), values[place].shape[1:]])
    number = torch.randn(shape) * values[place].abs().max()
    number = torch.sign(number) * 2.0 ** torch.log2(number.abs()).round() if maker.exact else number
    acts = {
        "add": lambda m, v: v[place] + m.values,
        "mul": lambda m, v: v[place] * m.values,
        "rsub": lambda m, v: m.values - v[place],
        "sub": lambda m, v: v[place] - m.values,
        "div": lambda m, v: v[place] / m.values,
        "min": lambda m, v: torch.minimum(v[place], m.values),
        "times": lambda m, v: v[place] * 1.5,
        "plus": lambda m, v: v[place] + 1,
    }
    name = dice.choice(sorted(acts))
    return f"{name}({place}, constant {tuple(shape)})", acts[name], Held(number)


def norm(maker, values):
    place = maker.pick(values)
    channels = values[place].shape[1]
    kinds = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}
    module = nn.LayerNorm(values[place].shape[-1])
    if values[place].ndim in kinds and maker.dice.random() < 0.7:
        module = kinds[values[place].ndim](channels)
    with torch.no_grad():
        module.weight.uniform_(-1, 1)
    return f"{type(module).__name__}({place})", lambda m, v: m(v[place]), module.eval()


def moves(maker, values):
    place, dice = maker.pick(values), maker.dice
    shape = values[place].shape
    axis = dice.randrange(1, len(shape))
    order = [0, *dice.sample(range(1, len(shape)), len(shape) - 1)]
    count, start = shape[1:].numel(), dice.randrange(shape[axis])
    first = dice.choice([one for one in range(1, 9) if count % one == 0])
    places = torch.tensor([dice.randrange(shape[axis]) for _ in range(3)])
    acts = {
        "permute": lambda m, v: v[place].permute(order),
        "flatten": lambda m, v: v[place].flatten(1),
        "reshape": lambda m, v: v[place].reshape(-1, first, count // first),
        "slice": lambda m, v: v[place].narrow(axis, start, shape[axis] - start),
        "flip": lambda m, v: v[place].flip(axis),
        "pad": lambda m, v: F.pad(v[place], (1, 0, 2, 1) if len(shape) > 2 else (1, 2)),
        "unsqueeze": lambda m, v: v[place].unsqueeze(axis),
        "roll": lambda m, v: v[place].roll(1, axis),
        "upsample": lambda m, v: F.interpolate(v[place], scale_factor=2, mode=mode),
        "select": lambda m, v: v[place].index_select(axis, m.values),
        "chunk": lambda m, v: v[place].chunk(2, axis)[-1],
        "shuffle": lambda m, v: F.pixel_shuffle(v[place], 2),
    }
    mode = dice.choice(["nearest", "bilinear"]) if len(shape) == 4 else "nearest"
    name = dice.choice(sorted(acts))
    return f"{name}({place}, {axis})", acts[name], Held(places)


def again(maker, values):
    place = maker.pick(values)
    return f"again({place})", lambda m, v: v[place], None


DRAWS = [conv] * 5 + [transposed, linear, linear] + [two] * 4 + [pool] * 3 + [function] * 2 + [beside_constant] * 2
DRAWS += [norm] + [moves] * 3 + [again]


class Ended(nn.Module):
    """The network that gives its last values, or also one in the middle."""

    def __init__(self, net, places):
        super().__init__()
        self.net, self.places = net, places

    def forward(self, x):
        values = [x]
        for statement in self.net.statements:
            values.append(statement(values))
        return tuple(values[place] for place in self.places)


def examine(seed, folder=None):
    """``equal``, a refusal's reason, or WRONG and RAW with what was found."""
    maker = Maker(seed)
    net = maker.grown()
    count = len(net.statements)
    if count < 2:
        return "empty"
    ends = sorted({count, *([maker.dice.randint(2, count)] if maker.dice.random() < 0.2 else [])})
    module = Ended(net, ends).eval()
    shown = f"{seed}{' exact' if maker.exact else ''} {maker.shape}: {net}"
    try:
        program = exported(module, maker.images)
    except Exception as error:
        return f"not exported: {type(error).__name__} {' '.join(str(error).split())[:60]}"
    return told(lambda: compared(maker, module, program, ends), shown)


def compared(maker, module, program, ends):
    """How a program's codes are beside torch's."""
    lowered, names = ends_of(lambda: addersim.lower(program, maker.shape))
    if not maker.exact:
        found = beside(lowered, program, maker.images)
        return f"WRONG {found}" if found.wrong else "equal, but next to ties" if found.differ else "equal"
    runs = {name: run.values for name, run in lowered.runs(maker.images.numpy())}
    check_chained(lowered, maker.images.numpy(), runs)
    with torch.no_grad():
        wanted = module(maker.images)
    for place, name, reals in zip(ends, names, wanted, strict=True):
        scale, zero = maker.forms[place - 1][:2]
        codes = np.rint(reals.numpy() / np.float32(scale)).astype(np.int64) + zero
        found = np.moveaxis(runs[name], -1, 1).reshape(codes.shape)
        if apart := int((found != codes).sum()):
            return f"WRONG value {place}: {apart} of {codes.size}, up to {int(np.abs(found - codes).max())}"
    return "equal"


if __name__ == "__main__":
    search(examine, sys.argv[1:])
