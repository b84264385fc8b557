"""The bundled networks are what their README states; those whose images are embedded give its accuracies."""

import re
from pathlib import Path

import numpy as np
import pytest

import addersim
from addersim.datasets import DATASETS, load
from addersim.model_zoo import bundled_networks, load_network

FOLDER = Path(addersim.__file__).parent / "data" / "networks"
README = (FOLDER / "README.md").read_text()
ORIGINS = {
    "lenet5": ("fashion-mnist", "the 60,000 training images of Fashion-MNIST", 50),
    "resnet20": ("cifar10", "the 50,000 training images of CIFAR-10 (JPEG copy)", 20),
}


def stated(name):
    """Accuracies in the README, per cent: in float on the official test images, and the column after it."""
    return re.search(rf"^\| {name} +\| ([\d.]+) % +\| ([\d.]+) %", README, re.M).groups()


@pytest.mark.parametrize("name", bundled_networks())
def test_origin_and_size(name):
    network = load_network(name)
    data, origin, epochs = ORIGINS[name.partition("-")[0]]
    assert network.metadata["origin"].endswith(origin)
    assert network.metadata["float accuracy"] == f"{stated(name)[0]}% of 10,000 test images after {epochs} epochs"
    assert (network.input_shape, network.classes) == (DATASETS[data].shape, DATASETS[data].classes)
    assert (FOLDER / f"{name}.npz").stat().st_size < 1.5e6


@pytest.mark.parametrize("name", [name for name in bundled_networks() if name.startswith("lenet5")])
def test_accuracy_on_the_embedded_images(name):
    images = load("fashion-mnist-2000")
    right = load_network(name).run(images.pixels).argmax(1) == images.labels
    assert right.mean() == pytest.approx(float(stated(name)[1]) / 100, abs=6e-4)  # one image: rounding differs by machine


def test_each_comes_with_its_twin():
    assert set(bundled_networks()) == {f"{family}-{arithmetic}" for family in ORIGINS for arithmetic in ("adder", "conv")}


@pytest.mark.parametrize("bits", [8, 3])
@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=[pytest.mark.slow] * one.startswith("resnet20")) for one in bundled_networks()]
)
def test_every_register_that_is_proved_overflows_at_one_bit_less(name, bits):
    """On the kernels: the witness's sum is the proved extreme, which the narrower register cannot hold."""
    network = load_network(name)
    pixels = np.random.default_rng(0).integers(0, 256, (16, *network.input_shape)).astype(np.uint8)
    found = addersim.prove(
        addersim.quantize(network, pixels, addersim.Quantization(weight_bits=bits, activation_bits=bits))
    ).layers
    assert len(found) == {"lenet5": 5, "resnet20": 22}[name.partition("-")[0]]
    for layer in found:
        half = 1 << layer.bits - 2
        assert layer.confirmed, layer.name
        assert not -half <= layer.witness.sum < half, layer.name
        assert layer.bits <= layer.bits_bound
