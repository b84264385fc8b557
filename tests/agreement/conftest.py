"""Programs and words that several files look at; nobody changes them."""

import pytest

from addersim import load_images, load_network, quantize
from addersim.golden.vectors import layer_vectors


@pytest.fixture(scope="session")
def programs():
    images = load_images("fashion-mnist-2000", limit=50).pixels
    return {name: (quantize(load_network(name), images), images) for name in ("lenet5-adder", "lenet5-conv")}


@pytest.fixture(scope="session")
def conv1(programs):
    """Signed inputs, padding."""
    program, images = programs["lenet5-conv"]
    return layer_vectors(program, "conv1", images)
