"""The bundled networks give, on the embedded images, the accuracies that their README states."""

import re
from pathlib import Path

import pytest

from addersim import datasets
from addersim.datasets import load
from addersim.library import bundled_networks, load_network

README = (Path(datasets.__file__).parent / "data" / "networks" / "README.md").read_text()


@pytest.mark.parametrize("name", bundled_networks())
def test_accuracy_size_and_origin(name):
    network, images = load_network(name), load("fashion-mnist-2000")
    full, embedded = re.search(rf"^\| {name} +\| ([\d.]+) % +\| ([\d.]+) %", README, re.M).groups()
    right = network.run(images.pixels).argmax(1) == images.labels
    assert right.mean() == pytest.approx(float(embedded) / 100, abs=6e-4)  # one image: rounding differs by machine
    assert network.about["float accuracy"] == f"{full}% of 10,000 test images after 50 epochs"
    assert "the 60,000 training images of Fashion-MNIST" in network.about["origin"]
    assert network.classes == images.classes


def test_both_twins_are_bundled():
    assert {"lenet5-adder", "lenet5-conv"} <= set(bundled_networks())
