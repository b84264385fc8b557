"""Golden vectors: the words of a layer are the simulator's."""

from dataclasses import replace

import numpy as np
import pytest

from addersim.arithmetic.datapaths import datapath
from addersim.errors import NetworkError
from addersim.golden.vectors import layer_vectors
from addersim.kernels import reference
from addersim.rtl.elements import signed
from tests.command_line import call, refused


def numbers(words, bits, is_signed):
    return signed(words.astype(np.uint64), bits) if is_signed else words


@pytest.mark.parametrize("name", ["lenet5-adder", "lenet5-conv"])
@pytest.mark.parametrize("layer", ["conv1", "conv2", "fc2"])
def test_words_are_those_of_the_simulator(programs, name, layer):
    """The taps of each sum, read as their widths and signs say, add up to it, and the codes are the next layer's."""
    program, images = programs[name]
    vectors = layer_vectors(program, layer, images)
    element = vectors.element
    x, w = vectors.taps(np.arange(vectors.sums.size))
    x, w = numbers(x, element.input_bits, element.input_signed), numbers(w, element.weight_bits, element.weight_signed)
    term = datapath(vectors.facts["datapath"]).arithmetic.term
    assert np.array_equal(term(x, w).sum(axis=1), vectors.sums.reshape(-1))
    values = {name: run.values for name, run in program.runs(images[:1], reference)}
    assert np.array_equal(vectors.codes.reshape(-1), values[f"{layer}_bn"].reshape(-1))


def test_taps_in_groups_read_their_own_channels():
    """Of a sum in the second group."""
    from addersim.arithmetic.geometry import Geometry
    from addersim.rtl.elements import Element
    from addersim.rtl.shapes import LayerShape

    random = np.random.default_rng(2)
    geometry = Geometry((3, 2), (2, 1), (1, 0), (2, 3), groups=2)
    x, w = random.integers(-128, 128, (1, 9, 8, 4)), random.integers(-128, 128, (6, 3, 2, 2))
    moves = {name: getattr(geometry, name) for name in ("stride", "padding", "dilation", "groups")}
    sums = reference.window(x.astype(np.int8), w.astype(np.int8), arithmetic="mac", **moves).values.reshape(-1, 6)
    from addersim.golden.vectors import LayerVectors

    shape = LayerShape.of(x.shape, w.shape, geometry)
    vectors = LayerVectors("net", "layer", Element("mac", 8, 8), shape, x.reshape(-1), w.reshape(6, -1), sums, None, {})
    operands = vectors.taps(np.arange(sums.size))
    assert np.array_equal((operands[0] * operands[1]).sum(axis=1), sums.reshape(-1))
    assert replace(vectors).places(12 * 5).size == 5
    assert vectors.places(10**6).size == sums.size


def test_layers_without_words_are_refused(programs):
    program, images = programs["lenet5-conv"]
    with pytest.raises(NetworkError, match=r"^layer 'conv9' is no window layer; known: conv1, conv2, fc1, fc2, fc3"):
        layer_vectors(program, "conv9", images)


def test_the_command_line_exports(tmp_path):
    network = ("lenet5-conv", "--data", "fashion-mnist-2000")
    done = call("export", *network, "--layer", "conv2", "--vectors", tmp_path / "words")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "words" / "testbench.v").is_file()
    assert (
        refused("export", *network, "--layer", "conv2")
        == "--layer and --vectors belong together: the layer, and the folder for its words"
    )
    assert refused("export", *network) == "one of --output (ONNX) and --vectors (words of a layer) is needed"
