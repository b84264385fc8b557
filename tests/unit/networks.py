"""Small networks for tests, made from a seed; every layer kind stands in at least one of them."""

import numpy as np

from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.layers import (
    Add,
    Affine,
    AveragePool,
    Clip,
    Concat,
    Interpolate,
    MaxPool,
    Move,
    Normalise,
    Product,
    Relu,
    Softmax,
    Table,
    Taps,
    Window,
)
from addersim.network import Network


def norm(random, name, source, channels, gain, centre=0.0):
    """A batch norm that brings sums of a known spread back to about unit size."""
    multiplier = random.uniform(0.5, 1.5, channels) * gain
    return Affine(
        name=name, inputs=(source,), multiplier=multiplier, addend=random.normal(0.2, 0.3, channels) - multiplier * centre
    )


def values(codec, weights):
    """Weights as values of a codec, whose filters have scales of their own."""
    if codec.uniform:
        return weights
    bits = min(codec.most, 4)
    largest = codec.largest(bits)
    return codec.nearest(weights * largest / 2, bits) / largest * 2


def activation(arithmetic, name, source):
    """A ReLU, or where only signs are read what leaves some of them negative."""
    if arithmetic == "xnor":
        return Clip(name=name, inputs=(source,), low=-1.0, high=1.0)
    return Relu(name=name, inputs=(source,))


def residual(seed=0, arithmetic="l1", classes=5):
    """Image 2 x 10 x 12; a mac stem, a residual block, grouped and depthwise windows, all poolings, a linear end."""
    random = np.random.default_rng(seed)

    def weights(*shape):
        return random.normal(0, 1, shape).astype(np.float32)

    def window(name, source, *shape, arithmetic=arithmetic, **options):
        own_codec = ARITHMETICS[arithmetic].codec
        own = values(own_codec, weights(*shape))
        bits = None if own_codec.uniform else min(own_codec.most, 4)
        return Window(name=name, inputs=(source,), arithmetic=arithmetic, weights=own, weight_bits=bits, **options)

    gain, centre = {"l1": (0.06, -65.0), "l2": (0.03, -130.0)}.get(arithmetic, (0.12, 0.0))
    layers = (
        Affine(name="shift", inputs=("input",), multiplier=np.array([2.0]), addend=np.array([-1.0])),
        window("stem", "shift", 8, 2, 3, 3, arithmetic="mac", padding=(1, 1), bias=weights(8)),
        norm(random, "stem_norm", "stem", 8, 0.25),
        activation(arithmetic, "stem_relu", "stem_norm"),
        window("first", "stem_relu", 8, 8, 3, 3, padding=(1, 1)),
        norm(random, "first_norm", "first", 8, gain, centre),
        Add(name="add", inputs=("stem_relu", "first_norm")),
        activation(arithmetic, "add_relu", "add"),
        MaxPool(name="pool", inputs=("add_relu",), kernel=(3, 3), stride=(2, 2), padding=(1, 1)),
        window("grouped", "pool", 8, 4, 3, 3, padding=(2, 2), dilation=(2, 2), groups=2),
        norm(random, "grouped_norm", "grouped", 8, gain * 1.5, centre / 2),
        activation(arithmetic, "grouped_relu", "grouped_norm"),
        window("depthwise", "grouped_relu", 8, 1, 3, 3, padding=(1, 1), groups=8),
        norm(random, "depthwise_norm", "depthwise", 8, gain * 4, centre / 8),
        AveragePool(name="average", inputs=("depthwise_norm",), kernel=(2, 2), stride=(2, 2), padding=(1, 1)),
        AveragePool(name="global", inputs=("average",), kernel=None),
        Move(name="flatten", inputs=("global",)),
        window("scores", "flatten", classes, 8, 1, 1, arithmetic="mac", bias=weights(classes)),
    )
    return Network(name=f"residual-{arithmetic}", input_shape=(2, 10, 12), mean=(0.3, 0.4), std=(0.5, 0.6), layers=layers)


def signed(seed=0, arithmetic="xnor"):
    """Image 2 x 10 x 12; windows with padding that compare signs of what a norm makes of sums, some of its gains negative."""
    random = np.random.default_rng(seed)

    def weights(*shape):
        return random.normal(0, 1, shape).astype(np.float32)

    def window(name, source, *shape, **options):
        return Window(
            name=name, inputs=(source,), arithmetic=arithmetic, weights=np.sign(weights(*shape)), weight_bits=1, **options
        )

    def turning(name, source, channels):
        gains = random.normal(0, 0.3, channels)
        return Affine(name=name, inputs=(source,), multiplier=gains, addend=random.normal(0, 0.5, channels))

    layers = (
        Window(name="stem", inputs=("input",), arithmetic="mac", weights=weights(8, 2, 3, 3), padding=(1, 1), bias=weights(8)),
        turning("stem_norm", "stem", 8),
        window("first", "stem_norm", 8, 8, 3, 3, padding=(1, 1)),
        turning("first_norm", "first", 8),
        MaxPool(name="pool", inputs=("first_norm",), kernel=(2, 2), stride=(2, 2)),
        window("grouped", "pool", 8, 4, 3, 3, padding=(2, 2), dilation=(2, 2), groups=2),
        turning("grouped_norm", "grouped", 8),
        window("depthwise", "grouped_norm", 8, 1, 3, 3, groups=8),
        norm(random, "depthwise_norm", "depthwise", 8, 0.5),
        Move(name="flatten", inputs=("depthwise_norm",)),
        Window(name="scores", inputs=("flatten",), arithmetic="mac", weights=weights(5, 96, 1, 1), bias=weights(5)),
    )
    return Network(name=f"signed-{arithmetic}", input_shape=(2, 10, 12), mean=(0.3, 0.4), std=(0.5, 0.6), layers=layers)


def uneven(seed=0, arithmetic="l1"):
    """Image 2 x 9 x 10; windows whose padding differs from side to side and axis to axis, and all that pooling can do."""
    random = np.random.default_rng(seed)

    def window(name, source, *shape, arithmetic=arithmetic, **options):
        weights = values(ARITHMETICS[arithmetic].codec, random.normal(0, 1, shape).astype(np.float32))
        return Window(name=name, inputs=(source,), arithmetic=arithmetic, weights=weights, **options)

    layers = (
        window("stem", "input", 4, 2, 2, 2, arithmetic="mac", far_padding=(1, 1)),
        norm(random, "stem_norm", "stem", 4, 0.25),
        Relu(name="stem_relu", inputs=("stem_norm",)),
        window("stride", "stem_relu", 6, 4, 3, 4, stride=(2, 2), padding=(0, 1), far_padding=(1, 2)),
        norm(random, "stride_norm", "stride", 6, 0.06, -40.0 if arithmetic == "l1" else 0.0),
        Relu(name="stride_relu", inputs=("stride_norm",)),
        window("depthwise", "stride_relu", 6, 1, 2, 3, padding=(2, 0), far_padding=(0, 2), dilation=(2, 1), groups=6),
        norm(random, "depthwise_norm", "depthwise", 6, 0.2, -6.0 if arithmetic == "l1" else 0.0),
        window("point", "depthwise_norm", 5, 6, 1, 1, arithmetic="mac", padding=(0, 0), far_padding=(0, 1)),
        norm(random, "point_norm", "point", 5, 0.3),
        MaxPool(name="max", inputs=("point_norm",), kernel=(2, 2), stride=(1, 1), far_padding=(1, 0), ceil_mode=True),
        AveragePool(name="edges", inputs=("max",), kernel=(2, 3), stride=(1, 2), padding=(1, 1), count_padding=False),
        AveragePool(name="ceil", inputs=("edges",), kernel=(2, 2), stride=(2, 2), padding=(0, 1), ceil_mode=True),
        Relu(name="ceil_relu", inputs=("ceil",)),
        MaxPool(name="shared", inputs=("ceil_relu",), output_size=(2, 2)),
        AveragePool(name="parts", inputs=("shared",), output_size=(3, 2)),
        AveragePool(name="sum", inputs=("parts",), kernel=(3, 2), divisor=2),
        Move(name="flatten", inputs=("sum",)),
        window("scores", "flatten", 3, 5, 1, 1, arithmetic="mac"),
    )
    return Network(name=f"uneven-{arithmetic}", input_shape=(2, 9, 10), mean=(0.3, 0.4), std=(0.5, 0.6), layers=layers)


def taps(given, wanted):
    """Linear resizing of an axis, its ends on the ends, as torch's with ``align_corners``."""
    at = np.linspace(0, given - 1, wanted)
    first = np.minimum(at.astype(int), given - 2)
    return Taps(first=tuple(first.tolist()), second=tuple((first + 1).tolist()), share=tuple((at - first).tolist()))


def branches(seed=0):
    """Image 2 x 6 x 8; the layer kinds that `residual` has not, on branches that part and join."""
    random = np.random.default_rng(seed)

    def window(name, source, outputs, inputs, size=1):
        weights = random.normal(0, 0.5, (outputs, inputs, size, size)).astype(np.float32)
        return Window(name=name, inputs=(source,), arithmetic="mac", weights=weights, padding=(size // 2, size // 2))

    layers = (
        window("left", "input", 4, 2, 3),
        window("right", "input", 3, 2, 3),
        Relu(name="right_relu", inputs=("right",)),
        Concat(name="join", inputs=("left", "right_relu", "input")),
        Clip(name="clip", inputs=("join",), low=-1.5, high=2.0),
        AveragePool(name="gate", inputs=("clip",), kernel=None),
        Product(name="gated", inputs=("gate", "clip")),
        Add(name="less", inputs=("clip", "gate"), subtract=True),
        Product(name="square", inputs=("less", "less")),
        Add(name="twice", inputs=("square", "square")),
        Add(name="all", inputs=("gated", "twice")),
        Table(name="gelu", inputs=("all",), function="gelu"),
        Table(name="prelu", inputs=("gelu",), function="prelu", slopes=random.normal(0, 1, 9).astype(np.float32)),
        Interpolate(name="resize", inputs=("prelu",), axes=(taps(6, 9), taps(8, 4))),
        Normalise(name="instance", inputs=("resize",), kept=1),
        Add(name="shifted", inputs=("instance", "resize")),
        Normalise(name="root mean square", inputs=("shifted",), kept=0, centre=False),
        Softmax(name="attention", inputs=("root mean square",), axis=2),
        Product(name="attended", inputs=("attention", "root mean square")),
        AveragePool(name="global", inputs=("attended",), kernel=None),
        Move(name="flatten", inputs=("global",)),
        Table(name="sigmoid", inputs=("flatten",), function="sigmoid"),
        window("scores", "sigmoid", 4, 9),
    )
    return Network(name="branches", input_shape=(2, 6, 8), mean=(0.4, 0.5), std=(0.3, 0.4), layers=layers)


def deep(number, wiring="chain", seed=0):
    """About `number` small layers on a tiny image.

    `wiring` says what the additions read besides the layer before them: nothing (``chain``: there are none), the stream
    (``residual``), the first value (``fan``), or, in the second half, what the first half gave, backwards (``nested``).
    """
    random = np.random.default_rng(seed)
    layers, streams = [], []
    source, size = "input", 3 if wiring == "chain" else 4
    for place in range((number - 3) // size):
        weights = random.normal(0, 1, (2, 2, 1, 1)).astype(np.float32)
        layers.append(Window(name=f"window{place}", inputs=(source,), arithmetic="l1", weights=weights))
        layers.append(norm(random, f"norm{place}", f"window{place}", 2, 0.5, -2.0))
        before = source
        source = f"norm{place}"
        if wiring != "chain" and streams:
            half = (number - 3) // size // 2
            other = {"residual": before, "fan": streams[0], "nested": streams[max(0, min(len(streams) - 1, 2 * half - place))]}
            layers.append(Add(name=f"add{place}", inputs=(other[wiring], source)))
            source = f"add{place}"
        layers.append(Relu(name=f"relu{place}", inputs=(source,)))
        source = f"relu{place}"
        streams.append(source)
    weights = random.normal(0, 1, (3, 2, 1, 1)).astype(np.float32)
    layers.append(AveragePool(name="global", inputs=(source,), kernel=None))
    layers.append(Move(name="flatten", inputs=("global",)))
    layers.append(Window(name="scores", inputs=("flatten",), arithmetic="mac", weights=weights))
    return Network(name=f"deep-{wiring}", input_shape=(2, 4, 4), mean=(0, 0), std=(1, 1), layers=tuple(layers))


def images(network, number=24, seed=1):
    """Smooth random uint8 images: pixels vary and neighbours resemble each other."""
    random = np.random.default_rng(seed)
    channels, height, width = network.input_shape
    coarse = random.uniform(0, 255, (number, channels, 3, 3))
    rows, columns = np.linspace(0, 2, height).round().astype(int), np.linspace(0, 2, width).round().astype(int)
    return np.clip(
        coarse[:, :, rows][:, :, :, columns] + random.normal(0, 20, (number, channels, height, width)), 0, 255
    ).astype(np.uint8)
