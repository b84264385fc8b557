import numpy as np
import pytest
from msgspec.structs import replace

from addersim import load_images
from addersim.arithmetic.fixed import Accumulator
from addersim.errors import ConfigError, NetworkError
from addersim.model_zoo import load_network
from addersim.quantization.pipeline import quantize
from addersim.quantization.rules import Quantization
from tests.unit import networks

torch = pytest.importorskip("torch")

from addersim.train.qat import finetune  # noqa: E402
from addersim.train.qat.floats import FloatNetwork  # noqa: E402
from addersim.train.qat.module import QuantisedNetwork  # noqa: E402
from addersim.train.qat.steps import layer_of  # noqa: E402

NARROW = Quantization(weight_bits=2, activation_bits=2)


def task(network, number=64):
    """Images, and classes."""
    return networks.images(network, number), np.arange(number) % network.outputs


def balanced(arithmetic):
    """A network that tells classes apart, images, and its choices among them."""
    network = networks.residual(arithmetic=arithmetic)
    images = networks.images(network, 64)
    scores = network.run(images)
    *before, last = network.layers
    spread = scores.std(0)
    weights = (last.weights / spread[:, None, None, None]).astype(np.float32)
    bias = ((last.bias - scores.mean(0)) / spread).astype(np.float32)
    network = replace(network, layers=(*before, replace(last, weights=weights, bias=bias)))
    return network, images, network.run(images).argmax(1)


@pytest.mark.parametrize("arithmetic", ["l1", "mac"])
def test_training_lowers_the_loss_of_the_program(arithmetic):
    network, images, labels = balanced(arithmetic)
    epochs, steps = [], []
    told = {"each_epoch": epochs.append, "progress": lambda *one: steps.append(one)}
    _, program = finetune(network, images, labels, NARROW, 6, rate=0.02, batch=16, **told)
    before = (quantize(network, images, NARROW).run(images).argmax(1) == labels).mean()
    after = (program.run(images).argmax(1) == labels).mean()
    assert after > before + 0.1
    assert epochs[-1].loss < epochs[0].loss
    assert [one.number for one in epochs] == [1, 2, 3, 4, 5, 6]
    assert [one[:2] for one in steps] == [(place, 24) for place in range(1, 25)]
    assert epochs[-1].program is program
    assert program.metadata == network.metadata
    again = finetune(network, images, labels, NARROW, 6, rate=0.02, batch=16)[1]
    np.testing.assert_array_equal(again.run(images), program.run(images))


def _not_finite(module):
    next(one for name, one in module.named_parameters() if "first_norm.gain" in name).data.fill_(float("nan"))


def _steps_apart(module):
    for name, one in module.named_parameters():
        if name.endswith("octaves"):
            one.data.fill_({"input": 8.0, "shift": -8.0}.get(layer_of(name), 0.0))


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        (_not_finite, "step 6: training diverged: layer first_norm: trained values beyond float32; what the last epoch gave"),
        (_steps_apart, "step 6: training diverged: layer shift: a gain of"),
    ],
)
def test_a_run_that_diverges_says_where_and_what_it_gave_stays(breaks, message, monkeypatch):
    network = networks.residual()
    images, labels = task(network)
    epochs, modules = [], []
    make = QuantisedNetwork.__init__
    monkeypatch.setattr(QuantisedNetwork, "__init__", lambda self, *how: (make(self, *how), modules.append(self))[0])

    def stop(done, of, loss):
        if done == 5:  # the first step of the second epoch
            breaks(modules[0])

    with pytest.raises(NetworkError) as told:
        finetune(network, images, labels, NARROW, 2, batch=16, progress=stop, each_epoch=epochs.append)
    assert str(told.value).startswith(message)
    assert str(told.value).endswith("what the last epoch gave is kept; take a smaller rate")
    assert "\n" not in str(told.value)
    assert [one.number for one in epochs] == [1]
    assert epochs[0].program.run(images).shape == (64, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs: found 0, needs a whole number in 1..100,000"),
        ({"batch": 1}, "batch: found 1, needs a whole number in 2..1,000,000"),
        ({"batch": 65}, "64 images are fewer than one batch of 65"),
        ({"rate": 0.0}, "rate: found 0.0, needs a number above 0 and up to 1"),
        ({"rate": 1.5}, "rate: found 1.5"),
        ({"rate": float("nan")}, "rate: found nan"),
        ({"distill": -0.1}, "distill: found -0.1, needs a number in 0..1"),
        ({"distill": float("nan")}, "distill: found nan, needs a number in 0..1"),
        ({"optimizer": "lbfgs"}, "optimizer: found 'lbfgs', needs one of adam, sgd"),
        ({"augment": "mixup"}, "augment: found 'mixup', needs one of none, crop-flip"),
        ({"labels": np.zeros(63, int)}, r"64 images and labels of shape \(63,\); needs a label an image"),
        ({"labels": np.full(64, 5)}, r"labels 5..5; its 5 scores are of classes 0..4"),
        ({"labels": np.full(64, -1)}, r"labels -1..-1"),
        ({"labels": np.zeros(64)}, "labels are float64; needs whole numbers"),
    ],
)
def test_bad_arguments_are_told_before_training(change, message):
    network = networks.residual()
    images, labels = task(network)
    with pytest.raises(ConfigError, match=message):
        finetune(network, **{"images": images, "labels": labels, "how": NARROW, "batch": 16} | change)


def test_an_accumulator_that_is_too_narrow_is_told_before_training():
    network = networks.residual()
    images, labels = task(network)
    how = Quantization(accumulator=Accumulator(8, "exact"), weight_bits=4, activation_bits=4)
    with pytest.raises(NetworkError, match=r"layer \w+: the accumulator has 8 bits and its worst case needs \d+; widen it"):
        finetune(network, images, labels, how, batch=16)


@pytest.mark.parametrize("arithmetic", ["l1", "mac"])
def test_gradient_descent_with_the_adder_rate_lowers_the_loss(arithmetic):
    network, images, labels = balanced(arithmetic)
    epochs = []
    finetune(network, images, labels, NARROW, 6, rate=0.1, batch=16, optimizer="sgd", each_epoch=epochs.append)
    assert epochs[-1].loss < epochs[0].loss - 0.1
    assert epochs[-1].accuracy > epochs[0].accuracy


def test_distillation_learns_the_float_networks_scores_whatever_the_labels():
    network, images, labels = balanced("mac")
    wrong = np.roll(labels, 7)

    def agreement(share):
        _, program = finetune(network, images, wrong, NARROW, 10, rate=0.02, batch=16, distill=share)
        return (program.run(images).argmax(1) == labels).mean()

    assert agreement(1.0) > agreement(0.0) + 0.1
    alone, again = (finetune(network, images, one, NARROW, 1, batch=16, distill=1.0)[1].run(images) for one in (labels, wrong))
    np.testing.assert_array_equal(alone, again)


def test_augmented_images_are_what_is_learned_and_what_the_teacher_sees(monkeypatch):
    """Crops of the padded image, some of them mirrored, others in each epoch; the float network scores the same."""
    found, network = load_images("fashion-mnist-2000", split="train", limit=32), load_network("lenet5-conv")
    seen, taught, typical = [], [], []
    run, call, trained = FloatNetwork.forward, QuantisedNetwork.forward, QuantisedNetwork.trained
    monkeypatch.setattr(FloatNetwork, "forward", lambda self, images: taught.append(images) or run(self, images))
    monkeypatch.setattr(QuantisedNetwork, "forward", lambda self, images: seen.append(images) or call(self, images))
    monkeypatch.setattr(QuantisedNetwork, "trained", lambda self, images: typical.append(images) or trained(self, images))
    finetune(network, found.pixels, found.labels, NARROW, 2, batch=32, augment="crop-flip", distill=0.5)
    first, second = seen[0], seen[1]
    assert first.dtype == np.uint8
    assert not np.array_equal(first, second)
    assert np.array_equal(taught[-1], second)
    padded = np.pad(found.pixels, ((0, 0), (0, 0), (4, 4), (4, 4)))
    crops = {
        bytes(turned)
        for one in padded
        for y in range(9)
        for x in range(9)
        for cut in [one[:, y : y + 28, x : x + 28]]
        for turned in (np.ascontiguousarray(cut), np.ascontiguousarray(cut[..., ::-1]))
    }
    assert all(bytes(np.ascontiguousarray(one)) in crops for one in first)
    assert len(typical) == 2  # constants follow from images that are moved as those of the training
    assert np.array_equal(*typical)
    assert all(bytes(one) in crops for one in typical[0])
    assert not np.array_equal(typical[0], found.pixels)
    again = finetune(network, found.pixels, found.labels, NARROW, 1, batch=32, augment="crop-flip")[1].run(found.pixels)
    plain = finetune(network, found.pixels, found.labels, NARROW, 1, batch=32)[1].run(found.pixels)
    assert not np.array_equal(again, plain)


def test_values_are_not_augmented_for_nobody_knows_their_black():
    network = networks.residual()
    images, labels = task(network)
    with pytest.raises(ConfigError, match="augment crop-flip: images are float32; needs pixels, which are uint8"):
        finetune(network, images.astype(np.float32), labels, NARROW, batch=16, augment="crop-flip")


def test_layers_may_have_any_name():
    """Names of torch modules' own attributes, and names with dots and spaces."""
    network = networks.residual()
    ours = {"first": "keys", "first_norm": "start", "second": "a.b", "third": "100% 2e", "scores": "values"}
    layers = tuple(
        replace(one, name=ours.get(one.name, one.name), inputs=tuple(ours.get(name, name) for name in one.inputs))
        for one in network.layers
    )
    named = replace(network, layers=layers)
    assert {layer.name for layer in layers} >= {"keys", "start", "values"}
    images, labels = task(network)
    _, program = finetune(named, images, labels, NARROW, 1, batch=32)
    np.testing.assert_array_equal(program.run(images), finetune(network, images, labels, NARROW, 1, batch=32)[1].run(images))
    names = [layer_of(name) for name, _ in QuantisedNetwork(named, images, NARROW).named_parameters()]
    assert {"input", "keys", "start"} <= set(names) <= {"input", *(layer.name for layer in program.layers)}


@pytest.mark.parametrize(
    "network",
    [networks.residual(), networks.residual(arithmetic="mac"), networks.uneven(arithmetic="xnor"), networks.branches()],
    ids=lambda one: one.name,
)
def test_a_teacher_has_the_float_networks_scores(network):
    images = networks.images(network, 6)
    with torch.no_grad():
        found = FloatNetwork(network)(images).numpy()
    np.testing.assert_allclose(found, network.run(images), rtol=1e-4, atol=1e-4)
