"""On a machine with a GPU: its kernels against the portable ones, layers and training against the CPU's; else skipped."""

import copy
import itertools
import os

import numpy as np
import pytest

torch = pytest.importorskip("torch")

if not torch.cuda.is_available():
    pytest.skip("torch finds no GPU", allow_module_level=True)

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

import addersim.nn  # noqa: E402
from addersim.arithmetic.arithmetics import ARITHMETICS  # noqa: E402
from addersim.quantization.rules import Quantization  # noqa: E402
from addersim.train import kernels, powers  # noqa: E402
from addersim.train.coded import CodedLayer  # noqa: E402
from addersim.train.cuda import device, launches  # noqa: E402
from addersim.train.loop import train  # noqa: E402
from addersim.train.models import ARCHITECTURES, build  # noqa: E402
from addersim.train.qat import finetune  # noqa: E402
from addersim.train.qat.floats import FloatNetwork  # noqa: E402
from addersim.train.qat.integers import scores  # noqa: E402
from addersim.train.qat.module import QuantisedNetwork  # noqa: E402
from addersim.train.rate import AdderRate, adder_filters  # noqa: E402
from addersim.train.recipe import load_recipe  # noqa: E402
from addersim.train.replay import Replayed, is_replayable  # noqa: E402
from tests.adder_layers import HALF, OPERATORS, PROBLEMS, assert_near, expected, operands, problems, tensors  # noqa: E402
from tests.unit import networks  # noqa: E402

compiled = pytest.mark.skipif(not device.is_usable(torch.device("cuda", 0)), reason="these kernels cannot be compiled here")
FLOAT = 2e-6
"""What float32 sums may differ by, as a share of the largest."""


def on_gpu(*values):
    return [value.cuda() if isinstance(value, torch.Tensor) else value for value in values]


def every_tile(name, arguments):
    """What each of an operator's launches gives."""
    count = []
    getattr(launches, name)(*on_gpu(*arguments), run=lambda candidates: count.append(len(candidates)))
    for place in range(sum(count)):
        found = getattr(launches, name)(
            *on_gpu(*arguments), run=lambda candidates, place=place: device.run(candidates[place : place + 1])
        )
        yield found.cpu()


@compiled
@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_every_tile_equals_the_portable_kernels(problem, name):
    gradient, x, adder, geometry = tensors(problem)
    wanted = expected(name, gradient, x, adder, geometry)
    found = list(every_tile(name, (*operands(name, gradient, x, adder), *geometry)))
    assert found
    for one in found:
        assert_near(one, wanted)


@compiled
@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("key", ["K = 144", "groups", "depthwise"])
def test_equal_values_have_no_sign(key, name):
    gradient, x, adder, geometry = tensors(PROBLEMS[key], steps=1)
    for one in every_tile(name, (*operands(name, gradient, x, adder), *geometry)):
        assert torch.equal(one, expected(name, gradient, x, adder, geometry))  # small whole numbers: no sum is rounded


@compiled
@settings(max_examples=100, deadline=None)
@given(problem=problems(), name=st.sampled_from(OPERATORS))
def test_random_layers(problem, name):
    gradient, x, adder, geometry = tensors(problem)
    for found in every_tile(name, (*operands(name, gradient, x, adder), *geometry)):
        assert_near(found, expected(name, gradient, x, adder, geometry))


@compiled
@pytest.mark.parametrize("key", ["K = 144", "depthwise"])
@pytest.mark.parametrize(("dtype", "precision"), HALF.items(), ids=str)
def test_half_precision(key, dtype, precision, monkeypatch):
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_fp16_reduced_precision_reduction", False)
    gradient, x, adder, geometry = tensors(PROBLEMS[key], dtype)
    for name in OPERATORS:
        for found in every_tile(name, (*operands(name, gradient, x, adder), *geometry)):
            assert_near(found, expected(name, gradient, x, adder, geometry), precision if found.dtype == dtype else FLOAT)


@compiled
def test_packed_sums_keep_to_the_stated_error():
    problem = (2, 24, 7, 6, 19, (3, 3), (2, 1), (1, 1), (1, 1), 1)
    _, x, adder, geometry = tensors(problem, torch.float16)
    wanted = expected("l1_forward", None, x, adder.half(), geometry)
    found = list(every_tile("l1_forward", (x, adder.half(), *geometry)))
    assert len(found) == len(launches.PACKED_TILES)
    for one in found:
        error = (one.float() - wanted).abs() / wanted.abs()
        assert 0 < float(error.max()) <= 6 * 2**-11


@compiled
def test_a_tensor_of_nearly_the_most_values_is_addressed_rightly():
    images, channels, size = 60, 64, 740  # 2.1 of the 2.147 thousand millions that 32 bits count
    x = torch.zeros(images, channels, size, size, device="cuda", dtype=torch.float16).to(memory_format=torch.channels_last)
    x[-1] = torch.randn(channels, size, size, device="cuda")
    adder = torch.randn(4, channels, 1, 1, device="cuda")
    found = kernels.l1_forward(x, adder, (1, 1), (0, 0), (1, 1), 1, False)
    wanted = -(x[-1].float()[None] - adder).abs().sum(1)
    assert float((found[-1] - wanted).abs().max()) < 1e-3
    assert torch.allclose(found[0, :, 0, 0], -adder.abs().sum((1, 2, 3)))


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="TRITON_INTERPRET=1: nothing would be compiled")
@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_triton_kernels_equal_the_portable_kernels(problem):
    triton_kernels = pytest.importorskip("addersim.train.triton_kernels")
    gradient, x, adder, geometry = tensors(problem)
    for config, name in itertools.product((triton_kernels.CONFIGS[0], triton_kernels.CONFIGS[-1]), OPERATORS):
        tuned = getattr(triton_kernels, f"_{name[3:].upper()}")
        tile = {"num_warps": config.num_warps, **config.kwargs}
        one = {"kernel": _Launched(tuned.fn, tile)}
        found = getattr(triton_kernels, name)(*on_gpu(*operands(name, gradient, x, adder)), *geometry, **one)
        assert_near(found.cpu(), expected(name, gradient, x, adder, geometry))


class _Launched:
    """A kernel with one tile, in the place of the autotuned one."""

    def __init__(self, kernel, tile):
        self.kernel, self.tile = kernel, tile

    def __getitem__(self, grid):
        return lambda *arguments: self.kernel[grid(self.tile)](*arguments, **self.tile)


def smallest(name):
    return next(shape for shape in ((1, 28, 28), (3, 32, 32), (3, 64, 64), (3, 224, 224)) if ARCHITECTURES[name].takes(shape))


def network_of(name):
    """A network on the GPU in training mode, and a batch."""
    shape = smallest(name)
    images = torch.randn((8, *shape), generator=torch.Generator().manual_seed(3))
    network = build(name, classes=10, input_shape=shape, seed=1).to(device="cuda", memory_format=torch.channels_last)
    return network.train(), images.cuda().contiguous(memory_format=torch.channels_last)


def steps_of(layer, x):
    """A layer's output, and gradients of its input and parameters, of a fixed gradient of the output."""
    x = x.detach().requires_grad_()
    y = layer(x)
    y.backward(torch.randn(y.shape, generator=torch.Generator().manual_seed(5)).to(y))
    parameters = layer.named_parameters() if isinstance(layer, torch.nn.Module) else ()
    return {"output": y.detach(), "input": x.grad} | {name: one.grad for name, one in parameters}


def differing(layer, other):
    """Share of rounded weights that differ by more than rounding of what they are scaled by."""
    with torch.no_grad():
        ours, theirs = layer.parts().weights.cpu(), other.parts().weights
    return float(((ours - theirs).abs() > 1e-4 * theirs.abs().max()).double().mean())


FAMILIES = ("lenet5", "resnet20", "mobilenetv2-x0.35-cifar", "shufflenetv2-x0.5-cifar")
SMALL = [one for one in ARCHITECTURES if one.rpartition("-")[0] in FAMILIES]


@pytest.fixture
def without_tf32():
    """Convolutions in float32, as on a CPU."""
    convolutions = torch.backends.cudnn.conv
    before, convolutions.fp32_precision = convolutions.fp32_precision, "ieee"
    yield
    convolutions.fp32_precision = before


@pytest.mark.usefixtures("without_tf32")
@pytest.mark.parametrize("name", SMALL)
def test_each_layer_gives_on_a_gpu_what_it_gives_on_the_cpu(name):
    """Each on what it is given in the network: a chain of batch norms makes much of the last bit of the first."""
    network, images = network_of(name)
    given_ = {}
    for path, layer in network.named_modules():
        if not [*layer.children()] and [*layer.parameters()]:
            layer.register_forward_hook(lambda layer, inputs, _, path=path: given_.update({path: (layer, inputs[0])}))
    network(images)
    layers = {path: (copy.deepcopy(layer), x.detach()) for path, (layer, x) in given_.items()}
    for path, (layer, x) in layers.items():
        layer._forward_hooks.clear()
        layer.zero_grad()
        other = copy.deepcopy(layer).cpu()
        if isinstance(layer, CodedLayer) and (share := differing(layer, other)):
            assert share <= 1e-3, f"{path}: weights"  # a few lie between two values, and a last bit decides
            continue
        found, wanted = steps_of(layer, x), steps_of(other, x.cpu())
        assert found.keys() == wanted.keys()
        for what, one in wanted.items():
            away = float((found[what].cpu() - one).norm())
            assert away <= 1e-4 * float(one.norm()) + 1e-5, f"{path}: {what}"


# Compact networks are left out: on the CPU, too, four steps of eight images make 0.01 to 1 of one part in ten million.
@pytest.mark.filterwarnings("default::UserWarning")  # torch's words at the first recording of a process
@pytest.mark.usefixtures("without_tf32")
@pytest.mark.parametrize("name", [one for one in SMALL if one.startswith(("lenet5", "resnet20"))])
def test_a_recorded_network_takes_the_same_steps(name):
    def trained(record):
        network, images = network_of(name)
        replayed = Replayed(network) if record else None
        optimizer = torch.optim.SGD(network.parameters(), 0.01, 0.9)
        if any(adder_filters(network)):
            optimizer.register_step_pre_hook(AdderRate(network, eta=0.01))
        losses = []
        for count in (8, 8, 5, 8):
            optimizer.zero_grad(set_to_none=True)
            loss = (replayed or network)(images[:count]).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        network.eval()
        return losses, [buffer.clone() for buffer in network.buffers()], network(images).detach()

    recorded, buffers, scores = trained(True)
    plain, others, wanted = trained(False)
    assert recorded == pytest.approx(plain, rel=2e-3)
    for found, one in zip(buffers, others, strict=True):
        assert float((found.double() - one.double()).norm()) <= 0.02 * float(one.double().norm()) + 1e-3
    assert scores.isfinite().all() == wanted.isfinite().all()


def test_euclidean_sums_keep_their_digits():
    """Two large sums are subtracted: TF32's eleven bits, which torch lets convolutions use, would leave none."""
    layer = addersim.nn.Euclidean2d(64, 8, 3, padding=1)
    x = torch.randn(2, 64, 9, 9) + 3
    with torch.no_grad():
        wanted, found = layer(x), layer.cuda()(x.cuda()).cpu()
    assert float((found - wanted).abs().max()) <= 2e-5 * float(wanted.abs().max())


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_powers_between_are_the_cpus(problem):
    _, x, adder, geometry = tensors(problem)
    found, wanted = (
        steps_of(lambda one: powers.power_sums(one, adder.to(one.device), *geometry, 1.5), place) for place in (x.cuda(), x)
    )
    for what, one in wanted.items():
        assert float((found[what].cpu() - one).abs().max()) <= 1e-5 * (1 + float(one.abs().max()))


def test_annealing_on_a_gpu_goes_as_on_the_cpu(tmp_path):
    changes = ["data=fashion-mnist-2000", "architecture=lenet5-adder", "epochs=3", "anneal=2", "limit=400", "batch=100"]
    recipe = load_recipe("lenet5-fashion-mnist", changes)
    here, there = (train(recipe, tmp_path / place, device=place).history for place in ("cpu", "cuda"))
    for row, other in zip(there, here, strict=True):
        assert row["train_loss"] == pytest.approx(other["train_loss"], rel=0.05)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_autocast(dtype):
    layer = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), addersim.nn.Adder2d(16, 8, 3, padding=1))
    x = torch.randn(2, 3, 12, 12)
    wanted = layer(x).detach()
    layer.cuda()
    with torch.autocast("cuda", dtype):
        found = layer(x.cuda())
    assert found.dtype == torch.float32
    assert float((found.detach().cpu() - wanted).abs().max()) <= 0.02 * float(wanted.abs().max())


def test_networks_with_hooks_and_on_the_cpu_are_not_recorded():
    layer = addersim.nn.Adder2d(3, 4, 3)
    assert not is_replayable(layer, torch.device("cpu"))
    assert is_replayable(torch.nn.Sequential(layer), torch.device("cuda", 0))
    layer.register_forward_hook(lambda *_: None)
    assert not is_replayable(torch.nn.Sequential(layer), torch.device("cuda", 0))


def test_a_captured_graph_gives_the_same():
    layer = addersim.nn.Adder2d(16, 8, 3, padding=1).cuda()
    x = torch.randn(2, 16, 12, 12, device="cuda")
    with torch.no_grad():
        wanted, graph = layer(x), torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = layer(x)
        found.zero_()
        graph.replay()
    assert torch.equal(found, wanted)


def test_another_stream_waits_for_nothing_it_should_not():
    layer, stream = addersim.nn.Adder2d(16, 8, 3, padding=1).cuda(), torch.cuda.Stream()
    x = torch.randn(2, 16, 12, 12, device="cuda", requires_grad=True)
    wanted = torch.autograd.grad(layer(x).sum(), x)[0]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        found = torch.autograd.grad(layer(x).sum(), x)[0]
    stream.synchronize()
    assert torch.equal(found, wanted)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, about itself
def test_a_compiled_layer_gives_the_same():
    layer = torch.nn.Sequential(addersim.nn.Adder2d(16, 8, 3, padding=1), torch.nn.BatchNorm2d(8), torch.nn.ReLU()).cuda()
    x = torch.randn(2, 16, 12, 12, device="cuda")
    torch.testing.assert_close(torch.compile(layer)(x), layer(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", ["lenet5-adder", "lenet5-conv"])
def test_training_on_a_gpu_goes_as_on_the_cpu(architecture, tmp_path):
    recipe = load_recipe(
        "lenet5-fashion-mnist",
        ["data=fashion-mnist-2000", f"architecture={architecture}", "epochs=2", "limit=1000", "batch=100"],
    )
    here = train(recipe, tmp_path / "cpu").history[-1]
    there = train(recipe, tmp_path / "gpu", device="cuda").history[-1]
    assert there["train_loss"] == pytest.approx(here["train_loss"], rel=0.05)


def quantised(arithmetic, bits):
    """A network that learns on its codes, once on the CPU and once on the GPU, and images."""
    network = networks.residual(arithmetic=arithmetic)
    images = networks.images(network, 12)
    how = Quantization(weight_bits=max(bits, ARITHMETICS[arithmetic].codec.fewest), activation_bits=bits)
    here = QuantisedNetwork(network, images, how)
    return here, copy.deepcopy(here).cuda(), images


def gradients_of(module, images):
    """Loss and gradients of a step on codes."""
    scores = module(images)
    labels = (torch.arange(len(images)) % scores.shape[1]).to(scores.device)
    loss = torch.nn.functional.cross_entropy(scores, labels)
    loss.backward()
    return loss.item(), {name: one.grad.cpu() for name, one in module.named_parameters() if one.grad is not None}


@pytest.mark.usefixtures("without_tf32")
@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_a_step_on_codes_is_the_cpus(arithmetic, bits):
    here, there, images = quantised(arithmetic, bits)
    wanted, found = gradients_of(here, images), gradients_of(there, images)
    assert found[0] == pytest.approx(wanted[0], rel=1e-5)
    assert found[1].keys() == wanted[1].keys()
    for name, one in wanted[1].items():
        assert float((found[1][name] - one).norm()) <= 1e-3 * float(one.norm()) + 1e-6, name


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_codes_that_a_gpu_trains_are_the_simulators(arithmetic, bits):
    _, module, images = quantised(arithmetic, bits)
    optimizer = torch.optim.Adam(module.parameters(), 0.05)
    for _ in range(3):
        optimizer.zero_grad()
        gradients_of(module, images)
        optimizer.step()
        module.project()
    _, program = module.trained(images)
    seen = {name: signal.codes.cpu().numpy() for name, signal in module.signals(images)}
    for name, one in program.runs(images):
        np.testing.assert_array_equal(seen[name], one.values, err_msg=name)
    np.testing.assert_array_equal(scores(program, images, "cuda").cpu().numpy(), program.run(images))


@pytest.mark.usefixtures("without_tf32")
@pytest.mark.parametrize("arithmetic", ["l1", "mac"])
def test_a_float_teacher_scores_as_on_the_cpu(arithmetic):
    network = networks.residual(arithmetic=arithmetic)
    images = networks.images(network, 12)
    wanted = network.run(images)
    found = FloatNetwork(network).cuda()(images).cpu().numpy()
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()


def test_finetuning_on_a_gpu_goes_as_on_the_cpu():
    network = networks.residual(arithmetic="l1")
    images = networks.images(network, 64)
    labels = network.run(images).argmax(1)
    how, epochs = Quantization(weight_bits=4, activation_bits=4), {"cpu": [], "cuda": []}
    for place, told in epochs.items():
        options = {"rate": 0.002, "batch": 16, "distill": 0.5, "device": place}
        _, program = finetune(network, images, labels, how, 2, each_epoch=told.append, **options)
        assert program.run(images).shape == (64, network.outputs)
    here, there = ([one.loss for one in told] for told in epochs.values())
    assert there == pytest.approx(here, rel=0.05)
