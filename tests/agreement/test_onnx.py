"""Networks from ONNX give what torch and the reference evaluator of ONNX give."""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from torch import nn

from addersim import count, estimate, lower_onnx, quantize, simulate
from addersim.frontends.torch.lower import lower
from addersim.train.models import ARCHITECTURES, build
from tests.agreement.test_lowering import settled
from tests.unit.frontends.onnx.models import node, saved, weights, whole

RANDOM = np.random.default_rng(3)


def exported(module, shape, path, opset=17, batch="batch", **options):
    """A torch network as torch's own exporter writes it."""
    axes = {"x": {0: batch}} if isinstance(batch, str) else None
    images = torch.rand(1 if batch == "batch" else batch, *shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further package is called old
        torch.onnx.export(
            module, (images,), path, dynamo=False, opset_version=opset, input_names=["x"], dynamic_axes=axes, **options
        )
    return path


def compared(module, path, shape, images=3):
    network = lower_onnx(path)
    x = RANDOM.random((images, *shape), np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    found = network.run(x)
    assert np.abs(found - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())
    return network, x, found


class Mobile(nn.Module):
    """Depthwise convolutions, ReLU6, a mean over the image, sizes asked for in forward, softmax at the end."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.depthwise = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.BatchNorm2d(8), nn.ReLU6())
        self.point = nn.Conv2d(8, 12, 1)
        self.out = nn.Linear(12, 5)

    def forward(self, x):
        x = (x - 0.5) * 2
        x = F.pad(self.depthwise(self.first(x) + 2), (1, 1, 1, 1))
        x = F.relu6(3 * F.avg_pool2d(self.point(x), 2))
        x = x.mean([2, 3])
        return self.out(x.view(x.size(0), -1))


@pytest.mark.parametrize(
    ("name", "opset", "batch"), [("lenet5-conv", 13, "batch"), ("resnet20-conv", 17, "batch"), ("resnet20-conv", 18, 2)]
)
def test_our_networks_come_back_through_onnx(name, opset, batch, tmp_path):
    shape = ARCHITECTURES[name].input_shape
    module = settled(build(name, seed=1), shape, rounds=2)
    path = exported(module, shape, tmp_path / "net.onnx", opset, batch)
    network, x, found = compared(module, path, shape, images=2)
    if opset > 13:  # the evaluator takes batch norm of opset 9 to 13 for training where it has a momentum
        (expected,) = ReferenceEvaluator(str(path)).run(None, {"x": x})
        assert np.abs(found - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())
    assert count(quantize(network, None)).taps == count(quantize(lower(module, shape), None)).taps


def test_batch_norm_that_was_not_folded_and_shapes_that_were_not_computed(tmp_path):
    module = settled(Mobile(), (3, 16, 16))
    options = {"do_constant_folding": False, "training": torch.onnx.TrainingMode.PRESERVE}
    path = exported(module, (3, 16, 16), tmp_path / "net.onnx", 15, **options)
    network, x, found = compared(module, path, (3, 16, 16))
    assert [layer.maximum for layer in network.layers if layer.kind() == "relu"] == [6.0, 6.0, 6.0]
    (expected,) = ReferenceEvaluator(str(path)).run(None, {"x": x})
    assert np.abs(found - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


def test_a_network_from_onnx_is_quantised_simulated_and_priced_like_any_other(tmp_path):
    module = settled(Mobile(), (3, 16, 16))
    network = lower_onnx(exported(module, (3, 16, 16), tmp_path / "net.onnx"))
    images = RANDOM.random((32, 3, 16, 16), np.float32)
    program = quantize(network, images)
    from addersim import kernels
    from addersim.kernels import reference

    result = simulate(program, images, None, network)
    assert result.agreement >= 0.9
    assert max(one.relative_error for one in result.errors) < 0.1
    for engine in (kernels, reference):
        assert np.array_equal(program.run(images, engine).argmax(1), result.predictions)
    assert estimate(result.trace, "systolic-16x16").energy_pj > 0
    assert result.trace.taps == 64 * 8 * 27 + 64 * 8 * 9 + 100 * 12 * 8 + 5 * 12


class Adder2d(OpRun):
    """The definition, for the reference evaluator: -sum |x - w| over zero-padded windows."""

    op_domain = "addersim"

    def _run(self, x, w, b=None, strides=None, pads=None, dilations=None, group=None):
        (top, left, bottom, right), (down, across) = pads or (0, 0, 0, 0), strides or (1, 1)
        padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[2:], axis=(2, 3))[:, :, ::down, ::across]
        found = -np.abs(windows[:, None] - w[None, :, :, None, None]).sum(axis=(2, -2, -1))
        return (found if b is None else found + b[None, :, None, None],)


def test_adder_layers_under_our_own_domain(tmp_path):
    made = whole(
        [node("Adder2d", "x", "w", "b", domain="addersim", strides=[2, 2], pads=[1, 1, 1, 1]), node("Relu", "adder2d_out")],
        {"w": weights(4, 3, 3, 3), "b": np.full(4, 25, np.float32)},
        shape=(4, 4, 4),
    )
    network = lower_onnx(saved(tmp_path, made))
    x = RANDOM.random((3, 3, 8, 8), np.float32)
    (expected,) = ReferenceEvaluator(made, new_ops=[Adder2d]).run(None, {"x": x})
    assert np.abs(network.run(x) - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())
    assert count(quantize(network, None)).taps_by_datapath().keys() == {"l1-2a", "mac"}
