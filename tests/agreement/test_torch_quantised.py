"""Programs that torch quantised, beside torch's own run of them: every layer on torch's codes of what it reads."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

import addersim  # noqa: E402
from addersim.errors import LoweringError  # noqa: E402
from tests.command_line import call  # noqa: E402
from tests.properties.torch_beside import beside  # noqa: E402
from tests.properties.torch_beside import exported as exported_for  # noqa: E402

pytest.importorskip("torch.ao.quantization.fx._decomposed")  # registers the operators
OPS = torch.ops.quantized_decomposed


def exported(module, shape):
    return exported_for(module, torch.randn(4, *shape))


class Quantised(nn.Module):
    """Helpers with which a forward says its quantisers by hand."""

    def __init__(self, seed=0):
        super().__init__()
        self.random = torch.Generator().manual_seed(seed)

    def weights(self, name, *shape, axis=0, kind=torch.int8, zero=0, places=None):
        low, high = (-127, 128) if kind == torch.int8 else (0, 256)
        self.register_buffer(name, torch.randint(low, high, shape, generator=self.random).to(kind))
        places = shape[axis] if places is None else places
        self.register_buffer(f"{name}_scale", torch.rand(places, generator=self.random) * 0.01 + 0.002)
        self.register_buffer(f"{name}_zero", torch.full((places,), zero))

    def held(self, name, axis=0, kind=torch.int8):
        low, high = (-127, 127) if kind == torch.int8 else (0, 255)
        scale, zero = getattr(self, f"{name}_scale"), getattr(self, f"{name}_zero")
        return OPS.dequantize_per_channel(getattr(self, name), scale, zero, axis, low, high, kind)


def through(x, scale, zero=0, kind=torch.int8):
    """Codes of a value, and what they stand for."""
    ends = (-128, 127) if kind == torch.int8 else (0, 255)
    codes = OPS.quantize_per_tensor(x, scale, zero, *ends, kind)
    return OPS.dequantize_per_tensor(codes, scale, zero, *ends, kind)


class Residual(Quantised):
    """Grouped, strided and pointwise convolutions, fused functions, a residual sum, pools, a join and a linear end."""

    def __init__(self, seed, kind=torch.int8):
        super().__init__(seed)
        self.kind, self.middle = kind, 0 if kind == torch.int8 else 128
        self.weights("first", 6, 3, 3, 3)
        self.weights("deep", 6, 1, 3, 3)
        self.weights("point", 6, 6, 1, 1)
        self.weights("last", 5, 12)
        self.bias = nn.Parameter(torch.randn(6, generator=self.random))
        self.end_bias = nn.Parameter(torch.randn(5, generator=self.random))

    def forward(self, x):
        low, kind = self.middle - 128, self.kind
        x = through(x, 0.021, self.middle + 9, kind)
        x = through(F.relu(F.conv2d(x, self.held("first"), self.bias, 2, 1)), 0.0173, low, kind)
        y = through(F.relu6(F.conv2d(x, self.held("deep"), self.bias, 1, 1, 1, 6)), 0.0311, low + 11, kind)
        y = through(F.conv2d(y, self.held("point")), 0.0271, self.middle - 5, kind)
        x = through(F.relu(x + y), 0.0193, low, kind)
        x = through(F.max_pool2d(x, 3, 2, 1), 0.0193, low, kind)
        y = through(F.hardtanh(x, 0.4, 2.0), 0.0193, low, kind)
        x = through(torch.cat([x, y], 1), 0.0231, self.middle - 100, kind)
        x = through(F.adaptive_avg_pool2d(x, 1), 0.01317, self.middle - 90, kind)
        x = through(x.flatten(1), 0.01317, self.middle - 90, kind)
        return through(F.linear(x, self.held("last"), self.end_bias), 0.0371, self.middle + 3, kind)


class Signals(Quantised):
    """One axis, linear layers over the last axis of several, weights with zero points, an average of windows, moves."""

    def __init__(self, seed):
        super().__init__(seed)
        self.weights("first", 4, 2, 3)
        self.weights("tokens", 6, 8, kind=torch.uint8, zero=119)

    def forward(self, x):
        x = through(x, 0.025, 3)
        x = through(F.conv1d(x, self.held("first"), None, 1, 1), 0.0217, -7)
        x = through(x.transpose(1, 2)[:, ::2].flip(1).transpose(1, 2), 0.0217, -7)
        x = through(F.avg_pool1d(x, 2, 2), 0.02011, -3)
        x = x.reshape(-1, 4, 8)
        x = through(F.linear(x, self.held("tokens", kind=torch.uint8)), 0.0531, 4)
        return x.flatten(1)


def compared(program, given, shape, images=64, seed=0):
    """How many codes are compared, differ, and are wrong; all layers that narrow are among them."""
    found = beside(program, given, torch.randn(images, *shape, generator=torch.Generator().manual_seed(seed)))
    narrowing = {
        layer.name for layer in program.layers if layer.kind() in ("affine", "rescale", "rescaled_add", "average_pool")
    }
    assert {name.removesuffix(".ends") for name in found.seen} >= narrowing
    return found.compared, found.differ, found.wrong


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", [torch.int8, torch.uint8], ids=str)
def test_images(seed, kind):
    given = exported(Residual(seed, kind), (3, 9, 9))
    program = addersim.lower(given)
    count, differ, wrong = compared(program, given, (3, 9, 9))
    assert (wrong, count > 50_000, differ <= 1e-4 * count) == (0, True, True), differ


@pytest.mark.parametrize("seed", range(3))
def test_signals(seed):
    given = exported(Signals(seed), (2, 32))
    program = addersim.lower(given, (2, 32))
    count, differ, wrong = compared(program, given, (2, 32))
    assert (wrong, count > 10_000, differ <= 1e-4 * count) == (0, True, True), differ


def test_what_torchao_makes():
    quantizer = pytest.importorskip("torchao.testing.pt2e._xnnpack_quantizer")
    flow = pytest.importorskip("torchao.quantization.pt2e.quantize_pt2e")
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, groups=6), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(54, 4)
    )  # fmt: skip
    how = quantizer.get_symmetric_quantization_config(is_per_channel=True)
    plain = exported(module, (3, 8, 8)).module()
    with pytest.warns(UserWarning, match="deprecated"):
        chosen = quantizer.XNNPACKQuantizer().set_global(how)
    prepared = flow.prepare_pt2e(plain, chosen)
    prepared(torch.randn(8, 3, 8, 8))
    converted = flow.convert_pt2e(prepared)
    with pytest.raises(LoweringError, match="is quantised already; give what torch.export.export makes of it"):
        addersim.lower(converted, (3, 8, 8))
    x = torch.randn(4, 3, 8, 8)
    given = torch.export.export(converted, (x,), dynamic_shapes=({0: torch.export.Dim("b", min=2, max=4096)},))
    program = addersim.lower(given, mean=[0.5], std=[0.2])
    assert not program.takes_codes
    assert [layer.kind() for layer in program.layers].count("window") == 3
    count, differ, wrong = compared(program, given, (3, 8, 8))
    assert (wrong, differ <= 1e-4 * count) == (0, True)


class Bias(Quantised):
    """A bias in whole steps of the sums, as hardware adds it."""

    def __init__(self):
        super().__init__()
        self.weights("first", 4, 3, 1, 1)
        self.register_buffer("bias", torch.tensor([500, -300, 0, 70], dtype=torch.int32))
        self.register_buffer("bias_scale", 0.02 * self.first_scale)
        self.register_buffer("bias_zero", torch.zeros(4, dtype=torch.int64))

    def forward(self, x):
        ends = -(2**31), 2**31 - 1
        bias = OPS.dequantize_per_channel(self.bias, self.bias_scale, self.bias_zero, 0, *ends, torch.int32)
        return F.conv2d(through(x, 0.02), self.held("first"), bias)


def test_whole_biases_and_scores_without_a_quantiser():
    given = exported(Bias(), (3, 2, 2))
    program = addersim.lower(given)
    assert program.layers[-1].output.bits == 16
    x = torch.randn(32, 3, 2, 2)
    found = program.layers[-1].output.decode(program.run(x.numpy()))
    with torch.no_grad():
        expected = given.module()(x).numpy()
    np.testing.assert_allclose(np.moveaxis(found, -1, 1), expected, atol=program.layers[-1].output.scale)

    class Ended(Bias):
        def forward(self, x):
            return through(super().forward(x), 0.04, 1)

    program = addersim.lower(exported(Ended(), (3, 2, 2)))
    assert (program.layers[-1].kind(), program.layers[-1].rule) == ("rescale", "ort")
    np.testing.assert_array_equal(program.layers[-1].bias, [500, -300, 0, 70])


class Scored(Quantised):
    """A function, numbers beside values, a product, and a softmax at the end."""

    def __init__(self):
        super().__init__()
        self.weights("first", 4, 3, 1, 1)
        self.weights("last", 5, 16)

    def forward(self, x):
        x = through(F.hardswish(through(F.conv2d(through(x, 0.02), self.held("first")), 0.03, 4)), 0.02, -100)
        x = through(x * through(torch.sigmoid(x * 2 + 0.25), 1 / 256, -128), 0.01, -90)
        return F.softmax(through(F.linear(through(x.flatten(1), 0.01, -90), self.held("last")), 0.05, 3), -1)


def test_functions_products_and_a_softmax_at_the_end():
    given = exported(Scored(), (3, 2, 2))
    program = addersim.lower(given)
    assert {"table", "rescaled_product"} <= {layer.kind() for layer in program.layers}
    assert program.metadata["left out"] == "behind the scores, whose order it keeps: softmax"
    count, differ, _ = compared(program, given, (3, 2, 2))
    assert (count > 1000, differ <= 4) == (True, True), differ  # next to ties, and what reads those
    x = torch.randn(64, 3, 2, 2)
    with torch.no_grad():
        expected = given.module()(x).numpy().argmax(1)
    assert (program.run(x.numpy()).argmax(1) == expected).mean() > 0.96


class Beside(Quantised):
    """Differences, slopes and constants a channel on either side, a batch norm of codes, and other functions of one number."""

    def __init__(self):
        super().__init__()
        self.weights("first", 4, 3, 1, 1)
        for name, shape in (("slopes", (4,)), ("gain", (4, 1, 1)), ("mean", (4,)), ("variance", (4,)), ("bias", (4,))):
            self.register_buffer(name, torch.rand(shape) + 0.2)

    def forward(self, x):
        x = through(F.conv2d(through(x, 0.02), self.held("first")), 0.03, 4)
        x = through(x - through(F.prelu(x, self.slopes), 0.025, 7), 0.031, 2)
        x = through(self.gain - through(1.5 - x, 0.03, -9), 0.027, 30)
        x = through(F.batch_norm(x, self.mean, self.variance, self.slopes, self.bias), 0.045, 3)
        x = through(F.celu(x, 0.7), 0.04, -60)
        x = through(F.selu(x), 0.043, -60)
        x = through(F.softplus(x, beta=2.0, threshold=1.5), 0.03, -100)
        return through(through(x**2, 0.06, -128) / self.gain, 0.2, -128)


def test_constants_on_either_side_a_batch_norm_and_other_functions():
    given = exported(Beside(), (3, 4, 4))
    program = addersim.lower(given)
    assert [layer.subtract for layer in program.layers if layer.kind() == "rescaled_add"] == [True]
    count, differ, _ = compared(program, given, (3, 4, 4))
    assert (count > 10_000, differ) == (True, 0)


class Halves(Quantised):
    """Powers of two as scales, odd zero points and biases of quarter steps: half of all sums lie between two codes."""

    def __init__(self, function=None):
        super().__init__()
        self.weights("first", 4, 3, 1, 1)
        self.first_scale.fill_(0.25)
        self.bias = nn.Parameter(torch.tensor([0.0625, -0.25, 3.125, 0.0]))
        self.function = function

    def forward(self, x):
        x = through(x, 0.25, 3)
        y = F.conv2d(x, self.held("first"), self.bias)
        y = through(y if self.function is None else self.function(y), 0.5, -7)
        return through(y + through(y * y, 4.0, 5), 8.0, -3)


def whole_run(given, images):
    """Codes of all the network that differ from torch's."""
    program = addersim.lower(given)
    with torch.no_grad():
        expected = given.module()(images).numpy() / program.layers[-1].output.scale + program.layers[-1].output.zero_point
    return np.count_nonzero(np.moveaxis(dict_of(program, images)[program.layers[-1].name], -1, 1) != expected)


def dict_of(program, images):
    return {name: run.values for name, run in program.runs(images.numpy())}


def test_sums_between_two_codes_become_the_one_of_torch():
    images = torch.randint(-40, 40, (256, 3, 4, 4)) * 0.25
    assert whole_run(exported(Halves(), (3, 4, 4)), images) == 0


@pytest.mark.parametrize("function", [F.hardsigmoid, torch.neg, lambda x: F.elu(F.relu6(x), 0.5)])
def test_functions_of_sums_that_never_fall_or_never_rise(function):
    images = torch.randint(-40, 40, (64, 3, 4, 4)) * 0.25
    given = exported(Halves(function), (3, 4, 4))
    assert "thresholds" in {layer.kind() for layer in addersim.lower(given).layers}
    assert whole_run(given, images) == 0


class Wide(Quantised):
    """Transposed convolutions in groups, over one axis and two, and the largest pixel."""

    def __init__(self):
        super().__init__()
        self.weights("first", 4, 3, 2, 3, axis=1)
        self.weights("last", 6, 4, 3, axis=1)

    def forward(self, x):
        x = through(F.conv_transpose2d(through(x, 0.02, 5), self.held("first", 1), None, 2, (0, 1), (1, 0), 2), 0.03, 9)
        return through(F.conv_transpose1d(through(x.amax((2, 3)).unsqueeze(2), 0.03, 9), self.held("last", 1), None, 2), 0.07)


def test_transposed_convolutions_and_the_largest_pixel():
    given = exported(Wide(), (4, 5, 6))
    count, differ, wrong = compared(addersim.lower(given), given, (4, 5, 6))
    assert (wrong, count > 10_000, differ <= 1e-4 * count) == (0, True, True), differ


def test_command(tmp_path):
    torch.export.save(exported(Bias(), (3, 2, 2)), tmp_path / "made.pt2")
    code = "import torch\nimport torch.ao.quantization.fx._decomposed\nfrom pathlib import Path\n"
    code += "def make():\n    return torch.export.load(Path(__file__).with_name('made.pt2'))\n"
    (tmp_path / "own.py").write_text(code)
    made = tmp_path / "made.npz"
    found = call("lower", f"{tmp_path / 'own.py'}:make", "--input-shape", "3,2,2", "-o", made, "--json")
    assert found.returncode == 0, found.stderr
    assert [layer["kind"] for layer in json.loads(found.stdout)["layers"]] == ["window", "affine"]
    assert addersim.Program.load(made).takes_codes


def refusal(function, **buffers):
    class Made(Quantised):
        def __init__(self):
            super().__init__()
            self.weights("w", 3, 3, 1, 1)
            for name, value in buffers.items():
                self.register_buffer(name, value)

        def forward(self, x):
            return function(self, x)

    with pytest.raises(LoweringError) as found:
        addersim.lower(exported(Made(), (3, 4, 4)))
    assert "\n" not in str(found.value)
    return str(found.value)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda m, x: through(F.conv2d(x, m.held("w")), 0.1), "reads reals that were not made codes; quantise what it reads"),
        (lambda m, x: through(F.conv2d(through(x, 0.1), m.w.float()), 0.1), "its weights are no codes"),
        (lambda m, x: through(F.conv2d(through(x, 0.1), m.held("w", 1)), 0.1), "has scales along axis 1 of its weights"),
        (lambda m, x: through(torch.sub(through(x, 0.1), through(x, 0.1), alpha=2), 0.1), "sub at forward"),
        (lambda m, x: through(through(x, 0.1) / through(x, 0.1), 0.1), "of two values that both depend on the images"),
        (lambda m, x: through(torch.div(through(x, 0.1), 0.3, rounding_mode="floor"), 0.1), "rounds its quotients (floor)"),
        (lambda m, x: through(through(x, 0.1) ** m.several, 0.1), "has several exponents; read is one number"),
        (lambda m, x: through(through(x, 0.1) * m.pixels, 0.1), "expected one number or one a channel"),
        (lambda m, x: F.relu(through(x, 0.1) + through(x, 0.1)), "the output 'add' is made codes nowhere; quantise it"),
        (lambda m, x: through(torch.cat([through(x, 0.1)] * 2, 0)[:2], 0.1), "images"),
        (lambda m, x: through(x, 0.1, 300), "zero point"),
        (lambda m, x: through(x, float("nan")), "scale"),
        (lambda m, x: through(x, 0.0), "scale"),
        (lambda m, x: through(through(x, 0.1), 0.1) + through(x, 0.3), "makes codes in"),
    ],
)
def test_what_is_refused(function, told):
    assert told in refusal(function, several=torch.tensor([[[1.0]], [[2.0]], [[3.0]]]), pixels=torch.rand(1, 4, 4))
