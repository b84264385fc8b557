"""Layers whose moves cannot be, or are more than anything can compute: the error names the layer."""

import msgspec
import numpy as np
import pytest

from addersim import Quantization, load_network, quantize
from addersim.errors import NetworkError
from addersim.layers.integer_window import IntegerWindow
from tests.unit.networks import images, residual

BAD = [
    ("stem", {"stride": (0, 1)}, r"stride: \(0, 1\) is not a pair of whole numbers in 1..1048576"),
    ("stem", {"stride": (1, 10**30)}, "stride: .* is not a pair of whole numbers in 1..1048576"),
    ("stem", {"padding": (-1, 1)}, r"padding: \(-1, 1\) is not a pair of whole numbers in 0..1048576"),
    ("stem", {"dilation": (1 << 20, 1)}, "height: a window of 3 taps, dilation 1048576, spans 2097153 pixels; the image has"),
    (
        "first",
        {"dilation": (1, 64)},
        "width: a window of 3 taps, dilation 64, spans 129 pixels; the image has 12",
    ),
    ("grouped", {"groups": 4}, "weights expect 16 input channels, the input .* has 8"),
    (
        "pool",
        {"kernel": (1 << 20, 1 << 20), "padding": (1 << 19, 1 << 19)},
        "1,099,511,627,776 taps an output; at most 16,777,216 are allowed",
    ),
    ("pool", {"padding": (1, 3), "stride": (1, 1)}, r"padding: \(1, 3\) lets a pooling window miss the image along its width"),
    ("average", {"kernel": (1, 1), "stride": (1, 1), "padding": (1 << 21, 0)}, "padding: .* is not a pair of whole numbers"),
    (
        "average",
        {"kernel": (3, 3), "stride": (1, 1), "padding": (0, 4)},
        ".* window miss the image along its width",
    ),
]


def changed(record, name, changes):
    """A network or program with other fields of one layer."""
    layers = tuple(msgspec.structs.replace(one, **changes) if one.name == name else one for one in record.layers)
    return msgspec.structs.replace(record, layers=layers)


@pytest.mark.parametrize(("name", "changes", "message"), BAD)
def test_impossible_moves_are_refused_with_the_layer(name, changes, message):
    network = residual()
    for record in (network, quantize(network, images(network), Quantization())):
        with pytest.raises(NetworkError, match=f"layer {name}: ({message})"):
            changed(record, name, changes)


def test_more_work_than_anything_computes_is_refused_with_the_layer():
    network = residual()
    wide = np.zeros((1 << 12, 2, 3, 3), np.float32)
    with pytest.raises(NetworkError, match="layer stem: .* outputs of 18 taps each; at most"):
        changed(network, "stem", {"weights": wide, "bias": None, "padding": (1 << 20, 1 << 20)})


def test_arrays_of_integer_layers_are_read_only_so_that_what_was_found_of_them_stays_true():
    """A program's bills know how many weights are zero: who changes weights makes another layer, which has its own."""
    program = quantize(load_network("lenet5-conv"), None)
    layer = next(one for one in program.layers if isinstance(one, IntegerWindow))
    with pytest.raises(ValueError, match="read-only"):
        layer.weights[0] = 0
    for one in program.layers:
        fields = [getattr(one, field) for field in one.__struct_fields__]
        assert not any(value.flags.writeable for value in fields if isinstance(value, np.ndarray))
    mine = np.ones((2 * len(layer.weights), *layer.weights.shape[1:]), layer.weights.dtype)
    other = msgspec.structs.replace(layer, weights=mine[::2])
    mine[:] = 0  # of which the layer took a part, and so a copy
    assert other.weights.all()
