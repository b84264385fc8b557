"""What is trained is what is simulated: codes of each step are those of the program that comes of it."""

import numpy as np
import pytest
from msgspec.structs import replace

from addersim import kernels
from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.arithmetic.fixed import Accumulator
from addersim.kernels import reference
from addersim.layers import Add, AveragePool, Clip, Move, Window
from addersim.network import Network
from addersim.program import Program
from addersim.quantization.rules import LayerBits, Quantization
from tests.unit import networks

torch = pytest.importorskip("torch")

from addersim.train.qat import integers  # noqa: E402
from addersim.train.qat.module import QuantisedNetwork  # noqa: E402

NETWORKS = {f"{make.__name__}-{name}": (make, name) for name in ARITHMETICS for make in (networks.residual, networks.uneven)}


def trained(network, images, how, steps=3, rate=0.05):
    """A network after some steps that move its weights by codes, not by shares of them."""
    module = QuantisedNetwork(network, images, how)
    optimizer = torch.optim.Adam(module.parameters(), rate)
    labels = torch.arange(len(images)) % network.outputs
    for _ in range(steps):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(images), labels).backward()
        optimizer.step()
        module.project()
    return module


def check_same(module, images, folder, engine=kernels):
    """Layer by layer, the codes of the module and of its program, saved and loaded; their number."""
    _, program = module.trained(images)
    program.save(folder / "program.npz")
    saved = Program.load(folder / "program.npz")
    seen = dict(module.signals(images))
    compared = 0
    for name, run in saved.runs(images, engine):
        np.testing.assert_array_equal(seen[name].codes, run.values, err_msg=name)
        compared += 1
    np.testing.assert_array_equal(saved.run(images), seen[saved.layers[-1].name].codes)
    assert compared == len(saved.layers) + 1
    return program


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("name", NETWORKS)
def test_codes_are_the_simulators(name, bits, tmp_path):
    make, arithmetic = NETWORKS[name]
    network = make(arithmetic=arithmetic)
    images = networks.images(network, 12)
    wide = max(bits, ARITHMETICS[arithmetic].codec.fewest)
    module = trained(network, images, Quantization(weight_bits=wide, activation_bits=bits))
    check_same(module, images, tmp_path)


@pytest.mark.parametrize("network", [*(networks.residual(arithmetic=one) for one in ARITHMETICS), networks.branches()])
def test_codes_that_tensors_compute_as_on_a_gpu_are_the_simulators(network, tmp_path, monkeypatch):
    monkeypatch.setattr(integers, "is_simulated", lambda codes: False)
    images = networks.images(network, 12)
    wide = max(3, *(ARITHMETICS[one.arithmetic].codec.fewest for one in network.layers if isinstance(one, Window)))
    program = check_same(trained(network, images, Quantization(weight_bits=wide, activation_bits=3)), images, tmp_path)
    np.testing.assert_array_equal(integers.scores(program, images, "cpu").numpy(), program.run(images))


@pytest.mark.parametrize("name", ["residual-l1", "residual-mac", "uneven-xnor"])
def test_codes_are_those_of_the_slow_kernels(name, tmp_path):
    make, arithmetic = NETWORKS[name]
    network = make(arithmetic=arithmetic)
    images = networks.images(network, 4)
    check_same(trained(network, images, Quantization(weight_bits=3, activation_bits=3), steps=1), images, tmp_path, reference)


@pytest.mark.parametrize(
    "how",
    [
        Quantization(weight_bits=6, activation_bits=4),
        Quantization(accumulator=Accumulator(8, "saturate")),
        Quantization(accumulator=Accumulator(9, "wrap")),
        Quantization(overflow="wrap", rounding="truncate"),
        Quantization(power_of_two=True, multiplier_bits=8, output_bits=8),
        Quantization(fold_batch_norm=False, per_channel=False, clip_weights=False),
        Quantization(calibration="output", weight_rounding="output", correction="none"),
        Quantization(layers={"stem": LayerBits(weight_bits=8, activation_bits=8)}, weight_bits=2, activation_bits=2),
    ],
)
@pytest.mark.parametrize("arithmetic", ["l1", "mac"])
def test_codes_under_all_rules(how, arithmetic, tmp_path):
    network = networks.residual(arithmetic=arithmetic)
    images = networks.images(network, 12)
    check_same(trained(network, images, how), images, tmp_path)


@pytest.mark.parametrize("network", [networks.branches(), networks.deep(30, "residual")], ids=lambda one: one.name)
def test_codes_of_every_layer_kind(network, tmp_path):
    images = networks.images(network, 12)
    check_same(trained(network, images, Quantization(weight_bits=4, activation_bits=6)), images, tmp_path)


@pytest.mark.parametrize("arithmetic", ["l1", "mac"])
def test_weights_move_and_shared_ones_stay_shared(arithmetic, tmp_path):
    random = np.random.default_rng(0)
    weights = random.normal(0, 1, (2, 2, 3, 3)).astype(np.float32)
    window = Window(name="one", inputs=("input",), arithmetic=arithmetic, weights=weights, padding=(1, 1))
    layers = (
        window,
        Clip(name="between", inputs=("one",), low=-100.0, high=100.0),
        replace(window, name="two", inputs=("input",), shared="one"),
        Add(name="add", inputs=("between", "two")),
        AveragePool(name="global", inputs=("add",)),
        Move(name="flatten", inputs=("global",)),
        Window(name="scores", inputs=("flatten",), arithmetic="mac", weights=weights[..., :1, :1]),
    )
    network = Network(name="shared", input_shape=(2, 5, 5), mean=(0.4, 0.4), std=(0.3, 0.3), layers=layers)
    images, how = networks.images(network, 12), Quantization(weight_bits=4, activation_bits=8)
    before = QuantisedNetwork(network, images, how).trained(images)[1]
    after = check_same(trained(network, images, how, rate=0.2), images, tmp_path)
    old, new = ({layer.name: layer for layer in one.layers} for one in (before, after))
    assert new["two"].shared == "one"
    np.testing.assert_array_equal(new["two"].weights, new["one"].weights)
    assert (old["one"].weights != new["one"].weights).any()


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_the_float_network_has_the_programs_numbers(arithmetic):
    network = networks.residual(arithmetic=arithmetic)
    images = networks.images(network, 12)
    module = trained(network, images, Quantization(weight_bits=8, activation_bits=12), rate=0.02)
    floats, program = module.trained(images)
    by_name = {layer.name: layer for layer in floats.layers}
    for layer in program.layers:
        if layer.kind() == "window":
            held = layer.weights.transpose(0, 3, 1, 2) * layer.weight_format.scale
            np.testing.assert_allclose(by_name[layer.name].weights, held, rtol=1e-6)
    if ARITHMETICS[arithmetic].activation_bits is None:  # signs of rounded values are others where these are near zero
        scores = program.run(images) * program.static_values()[program.layers[-1].name].scale
        assert np.abs(floats.run(images) - scores).mean() < 0.05 * scores.std()  # single values saturate
