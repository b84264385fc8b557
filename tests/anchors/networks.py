"""Published networks as traces, written down layer by layer: shapes alone, without weights."""

from dataclasses import replace

from addersim.arithmetic.geometry import Geometry
from addersim.arithmetic.ops import OpCounts
from addersim.trace import LayerTrace, MatrixWork, Operand, Trace

__all__ = ["Layers", "mlperf_tiny", "resnet50", "vgg16_convolutions"]


class Layers:
    """Multiplying layers one after another, of operands of some bits, from an image of some height, width and channels.

    Convolutions pad as TFLite's and Keras' ``same`` does.
    """

    def __init__(self, height, width, channels, bits=8, accumulator_bits=32):
        self.shape, self.last, self.layers = (height, width, channels), -1, []
        self.bits, self.accumulator_bits = bits, accumulator_bits

    @property
    def words(self):
        height, width, channels = self.shape
        return height * width * channels

    def conv(self, kernel, filters, stride=1, depthwise=False):
        height, width, channels = self.shape
        groups = channels if depthwise else 1
        size = [-(-side // stride) for side in (height, width)]
        needed = [(out - 1) * stride + k - side for out, k, side in zip(size, kernel, (height, width), strict=True)]
        geometry = Geometry(kernel, (stride, stride), tuple(-(-max(0, one) // 2) for one in needed), groups=groups)
        size = geometry.output_size(height, width)
        window = kernel[0] * kernel[1] * channels // groups
        work = MatrixWork(size[0] * size[1], window, filters // groups, groups, geometry, (height, width))
        return self._window(work, (*size, filters))

    def dense(self, outputs):
        return self._window(MatrixWork(1, self.words, outputs), (1, 1, outputs))

    def pool(self, height=1, width=1):
        """Each pixel is read once."""
        shape = (height, width, self.shape[2])
        return self._append("pool", OpCounts({("add", 2 * self.bits): self.words}), (self.last,), shape)

    def add(self, *sources):
        return self._append("add", OpCounts({("add", self.bits + 1): self.words}), sources, self.shape)

    def _window(self, work, shape):
        operations = OpCounts({("mul", self.bits): work.taps, ("add", self.accumulator_bits): work.taps})
        how = {"datapath": "mac", "accumulator_bits": self.accumulator_bits, "operand_bits": self.bits}
        return self._append("window", operations, (self.last,), shape, Operand(work.weights, self.bits), work=work, **how)

    def _append(self, kind, operations, sources, shape, weights=Operand(0, 0), **more):  # noqa: B008  # frozen
        inputs = (Operand(self.words, self.bits),) * len(sources)
        self.shape = shape
        outputs = Operand(self.words, self.bits)
        name = f"{kind}{len(self.layers)}"
        self.layers.append(LayerTrace(name, kind, operations, inputs, outputs, weights, sources=sources, **more))
        self.last = len(self.layers) - 1
        return self

    def trace(self, name):
        return Trace(name, "hardware", tuple(self.layers))


def vgg16_convolutions():
    """The convolutions of VGG-16 (arXiv 1409.1556, D) of 16 bits, each from DRAM and to DRAM, running sums as wide."""
    layers, channels = [], 3
    for block, (number, filters, side) in enumerate(
        ((2, 64, 224), (2, 128, 112), (3, 256, 56), (3, 512, 28), (3, 512, 14)), 1
    ):
        for place in range(1, number + 1):
            (layer,) = Layers(side, side, channels, 16, 16).conv((3, 3), filters).layers
            layers.append(replace(layer, name=f"CONV{block}-{place}"))
            channels = filters
    return Trace("vgg16-convolutions", "hardware", tuple(layers))


def resnet50():
    """ResNet-50 (arXiv 1512.03385), stride in the 3 x 3 convolutions; batch norms and ReLUs are folded."""
    net = Layers(224, 224, 3).conv((7, 7), 64, 2).pool(56, 56)
    for blocks, filters, first_stride in ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2)):
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            before, shape = net.last, net.shape
            net.conv((1, 1), filters).conv((3, 3), filters, stride).conv((1, 1), 4 * filters)
            branch, after = net.last, net.shape
            if block == 0:
                net.shape, net.last = shape, before
                net.conv((1, 1), 4 * filters, stride)
                before = net.last
            net.shape = after
            net.add(branch, before)
    return net.pool().dense(1000).trace("resnet50")


def mlperf_tiny():
    """The four reference networks of MLPerf Tiny (mlcommons/tiny, benchmark/training), by name."""
    nets = (_keyword_spotting(), _visual_wake_words(), _image_classification(), _anomaly_detection())
    return {trace.name: trace for trace in nets}


def _keyword_spotting():
    """DS-CNN: a kernel of 10 x 4, then four pairs of depthwise and pointwise layers of 64 channels."""
    net = Layers(49, 10, 1).conv((10, 4), 64, 2)
    for _ in range(4):
        net.conv((3, 3), 64, depthwise=True).conv((1, 1), 64)
    return net.pool().dense(12).trace("kws")


def _visual_wake_words():
    """MobileNetV1 with a quarter of the channels on 96 x 96 pixels."""
    net = Layers(96, 96, 3).conv((3, 3), 8, 2)
    pairs = [(1, 16), (2, 32), (1, 32), (2, 64), (1, 64), (2, 128), *[(1, 128)] * 5, (2, 256), (1, 256)]
    for stride, filters in pairs:
        net.conv((3, 3), net.shape[2], stride, depthwise=True).conv((1, 1), filters)
    return net.pool().dense(2).trace("vww")


def _image_classification():
    """ResNet-8: three blocks, the second and third with a projection beside."""
    net = Layers(32, 32, 3).conv((3, 3), 16)
    first = net.last
    net.conv((3, 3), 16).conv((3, 3), 16)
    net.add(first, net.last)
    for filters in (32, 64):
        before, shape = net.last, net.shape
        net.conv((3, 3), filters, 2).conv((3, 3), filters)
        branch, after = net.last, net.shape
        net.shape, net.last = shape, before
        net.conv((1, 1), filters, 2)
        net.shape = after
        net.add(branch, net.last)
    return net.pool().dense(10).trace("ic")


def _anomaly_detection():
    """An autoencoder of ten dense layers."""
    net = Layers(1, 1, 640)
    for outputs in (128, 128, 128, 128, 8, 128, 128, 128, 128, 640):
        net.dense(outputs)
    return net.trace("ad")
