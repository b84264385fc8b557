"""Random modules that torch.ao (by FX) or torchao (PyTorch 2 export) quantised: torch's codes, or refused in one line.

``python -m tests.properties.torch_modules_quantised ao|pt2e COUNT [FIRST]`` tries many and prints how they came out. What
torch.ao makes has all codes of its backend fbgemm, or the program says in which layers a code may be another one. In what
torchao makes every layer is given torch's codes of what it reads, and a code may be another one only next to a tie.
"""

import copy
import random
import sys
import warnings
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.ao import quantization as ao
from torch.ao.quantization import quantize_fx
from torch.nn import functional as F

import addersim
from tests.properties.random_search import ends_of, search
from tests.properties.torch_beside import beside, exported, told
from tests.properties.torch_modules import RandomNet, Statement, run

MOST_VALUES = 6000
FEW = 1 / 50
"""Of codes that may be more than one apart in programs that say so."""
NO_CODES = "reals alone: the quantiser left the network as it was"
NOTED = "codes next to those of fbgemm"


class Maker:
    """Draws layers of a float network that its quantiser knows, most of them."""

    def __init__(self, style, seed):
        self.style, self.dice = style, random.Random(f"{style} {seed}")
        torch.manual_seed(seed)
        flat = self.dice.random() < 0.15
        self.shape = (self.dice.randint(2, 20),) if flat else (self.dice.randint(1, 5), *[self.dice.randint(5, 10)] * 2)
        self.images = torch.randn(32, *self.shape)
        self.net = RandomNet(False).eval()

    def grown(self):
        for _ in range(self.dice.randint(1, 8)):
            values = run(self.net, self.images)
            made = self.dice.choice(DRAWS)(self, values)
            if made is not None:
                self.append(*made)
        return self.net

    def append(self, text, act, module=None):
        try:
            statement = Statement(text, act, None if module is None else module.eval())
            self.net.statements.append(statement)
            found = run(self.net, self.images)[-1]
            fine = found.ndim > 1 and found[0].numel() <= MOST_VALUES and 1e-3 < float(found.abs().max()) < 1e4
        except (RuntimeError, ValueError, IndexError, TypeError):
            fine = False
        if not fine:
            del self.net.statements[-1]

    def pick(self, values, *ranks):
        fitting = [place for place, one in enumerate(values) if not ranks or one.ndim in ranks]
        return self.dice.choice(fitting[-2:] if self.dice.random() < 0.8 else fitting) if fitting else None


def conv(maker, values):
    place, dice = maker.pick(values, 4), maker.dice
    if place is None:
        return None
    channels = values[place].shape[1]
    groups = dice.choice([one for one in (1, 1, 1, 2, channels) if channels % one == 0])
    how = {
        "stride": (dice.randint(1, 2), dice.randint(1, 2)),
        "padding": (dice.randint(0, 2), dice.randint(0, 2)),
        "dilation": dice.choice([1, 1, 2]),
        "groups": groups,
        "bias": dice.random() < 0.7,
    }
    filters = groups * dice.choice([1, 2, 3, 4, 8, 16] if groups == 1 else [1, 1, 2])
    kernel = dice.choice([1, 2, 3, 3, (3, 1)])
    parts = [nn.Conv2d(channels, filters, kernel, **how)]
    if dice.random() < 0.15:
        parts = [nn.ConvTranspose2d(channels, filters, kernel, dice.randint(1, 2), groups=groups)]
        if groups > 1 and maker.style == "ao":  # torch.ao cannot pack its weights
            return None
    if dice.random() < 0.4:
        norm = nn.BatchNorm2d(filters)
        for one, (low, high) in {"weight": (0.5, 1.5), "bias": (-0.5, 0.5), "running_var": (0.5, 1.5)}.items():
            nn.init.uniform_(getattr(norm, one), low, high)
        parts.append(norm)
    parts += dice.choice([[], [], [nn.ReLU()], [nn.ReLU6()], [nn.Hardtanh(-0.5, 0.7)]])
    text = f"{' '.join(type(one).__name__ for one in parts)}({place}, {channels}, {filters}, {kernel}, {how})"
    return text, lambda m, v: m(v[place]), nn.Sequential(*parts)


def linear(maker, values):
    place = maker.pick(values)
    parts = [nn.Linear(values[place].shape[-1], maker.dice.randint(1, 20), bias=maker.dice.random() < 0.7)]
    parts += maker.dice.choice([[], [nn.ReLU()]])
    return f"linear({place}, {len(parts)})", lambda m, v: m(v[place]), nn.Sequential(*parts)


def two(maker, values):
    first = maker.pick(values)
    fitting = [place for place, one in enumerate(values) if one.shape == values[first].shape]
    second, axis = maker.dice.choice(fitting), maker.dice.randrange(1, values[first].ndim)
    acts = {
        "add": lambda m, v: v[first] + v[second],
        "add relu": lambda m, v: F.relu(v[first] + v[second]),
        "mul": lambda m, v: v[first] * v[second],
        "gate": lambda m, v: v[first] * torch.sigmoid(v[second]),
        "cat": lambda m, v: torch.cat([v[first], v[second]], axis),
    }
    name = maker.dice.choice(["add", "add", "add relu", "mul", "gate", "cat", "cat"])
    return f"{name}({first}, {second})", acts[name]


def pool(maker, values):
    place, dice = maker.pick(values, 4), maker.dice
    if place is None:
        return None
    kernel, stride, ceil = dice.randint(1, 3), dice.randint(1, 3), dice.random() < 0.3
    padding = dice.randint(0, kernel // 2)
    made = dice.choice(
        [
            nn.MaxPool2d(kernel, stride, padding, dice.randint(1, 2), ceil_mode=ceil),
            nn.AvgPool2d(kernel, stride, padding, ceil, dice.random() < 0.5),
            nn.AdaptiveAvgPool2d(dice.choice([1, 1, 2])),
        ]
    )
    if dice.random() < 0.2:
        return f"mean({place})", lambda m, v: v[place].mean((2, 3))
    return f"{made}({place})", lambda m, v: m(v[place]), made


def function(maker, values):
    place = maker.pick(values)
    made = maker.dice.choice(
        [nn.ReLU(), nn.ReLU6(), nn.Hardtanh(-0.7, 1.2), nn.Hardswish(), nn.Hardsigmoid(), nn.Sigmoid(), nn.Tanh(),
         nn.LeakyReLU(0.1), nn.ELU(), nn.Dropout(), nn.Identity(), nn.GELU(), nn.SiLU(), nn.Softmax(1), nn.PReLU()]
    )  # fmt: skip
    return f"{made}({place})", lambda m, v: m(v[place]), made


def moves(maker, values):
    place, dice = maker.pick(values), maker.dice
    shape = values[place].shape
    axis = dice.randrange(1, len(shape))
    order = [0, *dice.sample(range(1, len(shape)), len(shape) - 1)]
    start = dice.randrange(shape[axis])
    acts = {
        "permute": lambda m, v: v[place].permute(order),
        "flatten": lambda m, v: v[place].flatten(1),
        "slice": lambda m, v: v[place].narrow(axis, start, shape[axis] - start),
        "chunk": lambda m, v: v[place].chunk(2, axis)[-1],
        "upsample": lambda m, v: F.interpolate(v[place], scale_factor=2.0, mode="nearest"),
        "clamp": lambda m, v: torch.clamp(v[place], -0.5, 0.8),
        "plus": lambda m, v: v[place] + 1.5,
    }
    name = dice.choice(sorted(acts))
    return f"{name}({place}, {axis})", acts[name]


DRAWS = [conv] * 6 + [linear] * 2 + [two] * 4 + [pool] * 3 + [function] * 3 + [moves] * 2


def observers(dice):
    """How torch.ao observes values and weights: by histograms or ends, affine or symmetric, by filter or all at once."""
    activations = dice.choice(
        [
            ao.HistogramObserver.with_args(reduce_range=True),
            ao.MinMaxObserver.with_args(dtype=torch.quint8, reduce_range=True),
            ao.MinMaxObserver.with_args(dtype=torch.quint8, qscheme=torch.per_tensor_symmetric, quant_min=0, quant_max=127),
            ao.MinMaxObserver.with_args(dtype=torch.quint8, quant_min=0, quant_max=99),
        ]
    )
    return ao.QConfig(activations, dice.choice([ao.default_per_channel_weight_observer, ao.default_weight_observer]))


def by_torch_ao(maker):
    """The module that torch.ao makes of a network, on its backend fbgemm."""
    given = (maker.images[:2],)
    mapping = ao.get_default_qconfig_mapping("fbgemm")
    if maker.dice.random() < 0.7:
        how = observers(maker.dice)
        mapping = mapping.set_global(how)
    prepared = quantize_fx.prepare_fx(copy.deepcopy(maker.net), mapping, given)
    prepared(maker.images)
    return quantize_fx.convert_fx(prepared)


def by_torchao(maker):
    """What torch.export makes of the program that torchao makes of a network, by one of its quantisers."""
    from torchao.quantization.pt2e import quantize_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as inductor
    from torchao.testing.pt2e import _xnnpack_quantizer as xnnpack

    plain = exported(maker.net, maker.images).module()
    if maker.dice.random() < 0.5:
        how = xnnpack.get_symmetric_quantization_config(is_per_channel=maker.dice.random() < 0.7)
        chosen = xnnpack.XNNPACKQuantizer().set_global(how)
    else:
        how = inductor.get_default_x86_inductor_quantization_config(reduce_range=maker.dice.random() < 0.5)
        chosen = inductor.X86InductorQuantizer().set_global(how)
        for one in (torch.ops.aten.add.Tensor, torch.ops.aten.mul.Tensor) if maker.dice.random() < 0.5 else ():
            chosen.set_function_type_qconfig(one, how) if hasattr(chosen, "set_function_type_qconfig") else None
    prepared = quantize_pt2e.prepare_pt2e(plain, chosen)
    prepared(maker.images)
    return exported(_Plain(quantize_pt2e.convert_pt2e(prepared)), maker.images)


class _Plain(nn.Module):
    """A graph module as one that evaluation mode may be asked of."""

    def __init__(self, inside):
        super().__init__()
        self.inside = [inside]

    def forward(self, x):
        return self.inside[0](x)


def examine(style, seed, folder=None):
    """``equal``, a refusal's reason, or WRONG and RAW with what was found."""
    maker = Maker(style, seed)
    net = maker.grown()
    if not net.statements:
        return "empty"
    shown = f"{style} {seed} {maker.shape}: {net}"
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = "fbgemm"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = by_torch_ao(maker) if style == "ao" else by_torchao(maker)
            images = torch.randn(16, *maker.shape)
            with torch.no_grad():
                wanted = made(images) if style == "ao" else made.module()(images)
    except Exception as error:
        return f"not made: {type(error).__name__} {' '.join(str(error).split())[:60]}"
    else:
        check = partial(beside_torch_ao if style == "ao" else beside_torchao, made, maker.shape, images, wanted)
        return told(check, shown)
    finally:
        torch.backends.quantized.engine = before


def beside_torchao(made, shape, images, wanted):
    program = addersim.lower(made, shape)
    if isinstance(program, addersim.Network):
        return NO_CODES
    found = beside(program, made, images)
    return f"WRONG {found}" if found.wrong else "equal, but next to ties" if found.differ else "equal"


def beside_torch_ao(made, shape, images, wanted):
    program, names = ends_of(lambda: addersim.lower(made, shape))
    if isinstance(program, addersim.Network):
        return NO_CODES
    (name,) = names
    form = program.input
    kind = torch.qint8 if form.signed else torch.quint8
    given = torch.quantize_per_tensor(images, form.scale, form.zero_point, kind).int_repr().numpy()
    found = {one: run.values for one, run in program.runs(given)}[name]
    end = next(layer for layer in program.layers if layer.name == name).output
    codes = np.rint(wanted.numpy() / np.float32(end.scale)).astype(np.int64) + end.zero_point
    if end.bits > 8:  # scores that nothing makes codes of
        return "equal, but scores of reals"
    apart = np.abs(np.moveaxis(found, -1, 1).reshape(codes.shape) - codes)
    differ = int((apart != 0).sum())
    if differ and NOTED in program.metadata and (apart.max() == 1 or differ <= max(2, FEW * apart.size)):
        return "equal, but where the program says so"
    return f"WRONG {differ} of {apart.size}, up to {int(apart.max())} {program.metadata}" if differ else "equal"


if __name__ == "__main__":
    search(partial(examine, sys.argv[1]), sys.argv[2:])
