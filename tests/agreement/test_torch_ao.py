"""Modules that torch.ao quantised, in eager mode and by FX, beside torch's run of them on its backend fbgemm, by layer."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

import addersim  # noqa: E402
from addersim.arithmetic.fixed import FixedFormat  # noqa: E402
from addersim.errors import LoweringError  # noqa: E402
from addersim.frontends.flow import Flow  # noqa: E402
from addersim.frontends.quantised_values import Sums  # noqa: E402
from addersim.frontends.quantisers import Quantiser  # noqa: E402
from addersim.frontends.torch.quantised.fbgemm import _multiplied  # noqa: E402

ao = pytest.importorskip("torch.ao.quantization")
quantize_fx = pytest.importorskip("torch.ao.quantization.quantize_fx")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def _on_fbgemm():
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        pytest.skip("torch has no backend fbgemm here")
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = "fbgemm"
    torch.manual_seed(3)
    yield
    torch.backends.quantized.engine = before


class Eager(nn.Module):
    """Fused convolutions, sums, products and joins of FloatFunctional, pools, functions, a dense end."""

    def __init__(self):
        super().__init__()
        self.quant, self.dequant = ao.QuantStub(), ao.DeQuantStub()
        self.first, self.norm, self.relu = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU()
        self.deep, self.point = nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.Conv2d(8, 8, 1, bias=False)
        self.six, self.most, self.mean = nn.ReLU6(), nn.MaxPool2d(2), nn.AvgPool2d(2, ceil_mode=False)
        self.swish, self.leaky, self.sigmoid = nn.Hardswish(), nn.LeakyReLU(0.1), nn.Sigmoid()
        self.whole, self.end = nn.AdaptiveAvgPool2d(1), nn.Linear(16, 10)
        self.sum, self.sum_relu, self.side, self.gate = (nn.quantized.FloatFunctional() for _ in range(4))

    def forward(self, x):
        x = self.relu(self.norm(self.first(self.quant(x))))
        x = self.sum.add(x, self.point(self.deep(x)))
        y = self.leaky(self.swish(x))
        x = self.sum_relu.add_relu(x, y)
        x = self.gate.mul(x, self.sigmoid(y))
        x = self.side.cat([self.most(x), self.mean(self.six(x))], 1)
        x = self.whole(x)
        return self.dequant(self.end(x.flatten(1)))


class Functional(nn.Module):
    """What FX finds in a forward: functions, a squeeze and excitation, channels that are shuffled and split."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3, 1, 1), nn.BatchNorm2d(8)
        self.low, self.high = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
        self.second, self.weight = nn.Conv2d(8, 6, 3), nn.Parameter(torch.randn(5, 6) * 0.3)

    def forward(self, x):
        x = F.hardswish(self.norm(self.first(x)))
        s = F.hardsigmoid(self.high(F.relu(self.low(F.adaptive_avg_pool2d(x, 1)))))
        x = x * s + x
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        a, b = x.chunk(2, dim=1)
        x = torch.cat([b, F.relu(a)], 1)
        x = F.max_pool2d(F.elu(self.second(x)), 2)
        x = x.mean([2, 3])
        return F.linear(torch.tanh(x), self.weight)


def ranged(module):
    """Batch norms that have seen values."""
    for one in module.modules():
        if isinstance(one, nn.BatchNorm2d):
            nn.init.uniform_(one.weight, 0.5, 1.5)
            nn.init.uniform_(one.running_mean, -0.3, 0.3)
            nn.init.uniform_(one.running_var, 0.5, 1.5)
    return module.eval()


def eager(module=None, how=None):
    made = ranged(Eager() if module is None else module)
    made.qconfig = how or ao.get_default_qconfig("fbgemm")
    if module is None:
        made = ao.fuse_modules(made, [["first", "norm", "relu"]])
    prepared = ao.prepare(made)
    prepared(torch.randn(64, 3, 16, 16))
    return ao.convert(prepared)


def by_fx(module=None):
    mapping = ao.get_default_qconfig_mapping("fbgemm")
    prepared = quantize_fx.prepare_fx(
        ranged(Functional() if module is None else module), mapping, (torch.randn(2, 3, 12, 12),)
    )
    prepared(torch.randn(64, 3, 12, 12))
    return quantize_fx.convert_fx(prepared)


def torch_codes(module, images):
    """Codes of every leaf of a module that gives some, by path, and what it returns."""
    seen = {}
    handles = [
        one.register_forward_hook(
            lambda _, __, out, path=path: seen.update({path: out.int_repr().numpy()}) if out.is_quantized else None
        )
        for path, one in module.named_modules()
        if path and not list(one.children())
    ]
    with torch.no_grad():
        found = module(images).numpy()
    for handle in handles:
        handle.remove()
    return seen, found


def check_beside_torch(module, shape, count=100):
    """The program, all of whose codes are torch's: of images as torch makes codes of them, and how many were compared."""
    program = addersim.lower(module, shape)
    images = torch.randn(count, *shape, generator=torch.Generator().manual_seed(8))
    seen, expected = torch_codes(module, images)
    given = torch.quantize_per_tensor(images, program.input.scale, program.input.zero_point, torch.quint8).int_repr().numpy()
    runs = {name: np.moveaxis(run.values, -1, 1) for name, run in program.runs(given)}
    compared = 0
    for path, codes in seen.items():
        name = next((one for one in reversed(runs) if one == path or one.startswith(f"{path}.")), None)
        if name is not None and runs[name].shape == codes.shape:
            assert not np.count_nonzero(runs[name] != codes), (path, name)
            compared += codes.size
    form = program.layers[-1].output
    codes = np.rint(expected / form.scale) + form.zero_point
    np.testing.assert_array_equal(program.run(given), codes)
    assert len(np.unique(codes)) > 20
    return program, compared + codes.size


def kinds(program):
    return {layer.kind() for layer in program.layers}


COUNTS = pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])


@COUNTS
@pytest.mark.parametrize("scales", ["a scale a channel", "a scale for all"])
def test_eager_mode(scales, count):
    how = ao.get_default_qconfig("fbgemm") if scales == "a scale a channel" else ao.default_qconfig
    program, compared = check_beside_torch(eager(how=how), (3, 16, 16), count)
    assert kinds(program) >= {
        "window",
        "affine",
        "rescaled_add",
        "rescaled_product",
        "concat",
        "max_pool",
        "average_pool",
        "table",
    }
    print([(one.kind(), one.name) for one in program.layers])
    assert compared > 2000 * count


@COUNTS
def test_fx(count):
    program, compared = check_beside_torch(by_fx(), (3, 12, 12), count)
    assert kinds(program) >= {"window", "affine", "rescaled_add", "rescaled_product", "average_pool", "table"}
    assert compared > 1000 * count


class Averaged(nn.Module):
    """Means of windows over fewer channels than torch averages at once."""

    def __init__(self):
        super().__init__()
        self.quant, self.dequant = ao.QuantStub(), ao.DeQuantStub()
        self.first, self.means, self.end = nn.Conv2d(3, 3, 3, padding=1), nn.AvgPool2d(2, 2), nn.Conv2d(3, 4, 1)

    def forward(self, x):
        return self.dequant(self.end(self.means(self.first(self.quant(x)))).flatten(1))


def test_means_of_few_channels_round_raw_codes():
    torch.manual_seed(3)
    check_beside_torch(eager(Averaged()), (3, 8, 8))


@pytest.mark.parametrize(("channels", "counted"), [(20, True), (20, False), (3, False)])
def test_means_of_windows_that_stick_out(channels, counted):
    """Where padding does not count, windows at an edge have another number of codes; what no rule gives has a note."""
    module = nn.Sequential(nn.Conv2d(3, channels, 1), nn.AvgPool2d(3, 3, 1, count_include_pad=counted))
    made = converted(module, (3, 10, 11))
    program = addersim.lower(made, (3, 10, 11))
    images = torch.randn(50, 3, 10, 11)
    given = torch.quantize_per_tensor(images, program.input.scale, program.input.zero_point, torch.quint8).int_repr().numpy()
    found = np.moveaxis([run.values for _, run in program.runs(given)][-1], -1, 1)
    end = program.layers[-1].output
    with torch.no_grad():
        expected = np.rint(made(images).numpy() / np.float32(end.scale)) + end.zero_point
    differ = np.abs(found - expected)
    noted = "codes next to those of fbgemm" in program.metadata
    assert (noted, differ.max() <= noted) == (not counted, True)
    assert (differ != 0).mean() < 0.05


class Signals(nn.Module):
    """One axis, and a linear layer over the last axis of several."""

    def __init__(self):
        super().__init__()
        self.first, self.end = nn.Conv1d(3, 6, 3, 2, 1), nn.Linear(6, 4)

    def forward(self, x):
        return self.end(F.relu(self.first(x)).transpose(1, 2)).flatten(1)


def converted(module, shape):
    prepared = quantize_fx.prepare_fx(module.eval(), ao.get_default_qconfig_mapping("fbgemm"), (torch.randn(2, *shape),))
    prepared(torch.randn(64, *shape))
    return quantize_fx.convert_fx(prepared)


def test_signals():
    check_beside_torch(converted(Signals(), (3, 20)), (3, 20))


def test_the_module_is_what_it_was():
    module = eager()
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        before = module(images)
        program = addersim.lower(module, (3, 16, 16), mean=[0.5], std=[0.25])
        torch.testing.assert_close(module(images), before, rtol=0, atol=0)
    assert "first.weight" in module.state_dict()
    assert not program.takes_codes
    assert program.metadata["origin"] == "module that torch.ao quantised; its codes are those of torch's backend fbgemm"


def test_multipliers_give_the_codes_of_float32_of_all_sums_or_say_of_how_many_not():
    """Formulas beside each other on every sum that there can be, of 400 channels."""
    random, channels, most = np.random.default_rng(0), 400, 3000
    steps, form = random.uniform(1e-5, 4e-4, channels), FixedFormat(8, False, 0.0173, 61)
    value = Sums(
        flow=Flow("x", (channels, 1, 1)), step=steps, bias=np.zeros(channels, np.int64),
        addend=random.normal(size=channels) * 0.3, ends=(np.full(channels, -most), np.full(channels, most)),
    )  # fmt: skip
    fields, apart = _multiplied(value, Quantiser(form, 0, 255, "torch"), "x")
    sums, places = np.arange(-most, most + 1)[:, None], fields["shift"].astype(np.int64)
    wide = sums * fields["multiplier"].astype(np.int64) + fields["addend"]
    below, rest, half = wide >> places, wide & ((1 << places) - 1), 1 << (places - 1)
    found = np.clip(below + ((rest > half) | ((rest == half) & (below % 2 == 1))), 0, 255)
    step = steps.astype(np.float32)
    bias, factor = value.addend.astype(np.float32) / step, step / np.float32(form.scale)
    expected = np.clip(np.rint((sums.astype(np.float32) + bias) * factor) + 61, 0, 255)
    differ = int((found != expected).sum())
    assert differ == apart <= 8, (differ, apart)
    assert len(np.unique(expected)) > 100


def dynamic():
    return ao.quantize_dynamic(nn.Sequential(nn.Flatten(), nn.Linear(432, 5)), {nn.Linear})


def prepared():
    made = nn.Sequential(ao.QuantStub(), nn.Conv2d(3, 4, 3), ao.DeQuantStub()).eval()
    made.qconfig = ao.get_default_qconfig("fbgemm")
    return ao.prepare(made)


class Moved(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.first(x) + 1.5


INSTEAD = r"; quantise by PyTorch 2 export \(torchao.quantization.pt2e\), which is read in full$"


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (dynamic, r"^1: torch.ao's Linear, quantised dynamically: codes of each image have scales of their own" + INSTEAD),
        (prepared, r"^0.activation_post_process: HistogramObserver of torch.ao; convert the module, or lower the one before$"),
        (
            lambda: converted(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 4, 2)), (3, 12, 12)),
            r"^1._packed_params: weights of kind Conv2dPackedParamsBase have no layer" + INSTEAD,
        ),
        (
            lambda: converted(nn.Sequential(nn.Conv2d(3, 4, 3), nn.LayerNorm([4, 10, 10])), (3, 12, 12)),
            r"^GraphModule: operator quantized.layer_norm has no layer" + INSTEAD,
        ),
        (
            lambda: converted(Moved(), (3, 12, 12)),
            r"^GraphModule: a number beside codes changes what they stand for, which is not read" + INSTEAD,
        ),
    ],
)
def test_what_is_refused(made, told):
    with pytest.raises(LoweringError, match=told):
        addersim.lower(made(), (3, 12, 12))
