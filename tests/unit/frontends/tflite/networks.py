"""Small networks of every operator that is read: windows, paddings, strides, activations, signed and unsigned codes.

Scales are such that many results lie halfway between two codes: how ties are rounded, and in which type scales are computed,
shows.
"""

from itertools import pairwise, product

import numpy as np

from tests.unit.frontends.tflite.models import KINDS as KINDS_OF
from tests.unit.frontends.tflite.models import Model, bias, codes, one, weights
from tests.unit.frontends.tflite.parts import of_parts
from tests.unit.frontends.tflite.shapes import networks_of_shapes

ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
NUMBERS = {"SAME": 0, "VALID": 1, "NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}
CENTRE = {"INT8": 0, "UINT8": 128}


def _moving(padding, stride, dilation=None):
    found = {"Padding": NUMBERS[padding], "StrideH": stride[0], "StrideW": stride[1]}
    return found if dilation is None else found | {"DilationHFactor": dilation[0], "DilationWFactor": dilation[1]}


def _random(*words):
    return np.random.default_rng(list("-".join(map(str, words)).encode()))


def convolution(kind, padding, stride, dilation, activation, groups=1, channels=True, kernel=(3, 2)):
    """A convolution; per channel where its codes are signed and `channels` says so."""
    random, (high, wide) = _random(kind, padding, stride, activation), kernel
    scaled = 6 if channels and kind == "INT8" else None
    zero = 0 if kind == "INT8" else 117
    given = codes((1, 9, 8, 4), kind, 0.04, CENTRE[kind] - 17)
    held = weights((6, high, wide, 4 // groups), random, kind, 0, scaled, zero)
    output = codes(_size((9, 8), kernel, padding, stride, dilation, 6), kind, 0.2, CENTRE[kind] - 20)
    how = _moving(padding, stride, dilation) | {"FusedActivationFunction": NUMBERS[activation]}
    return one("CONV_2D", [given, held, bias(6, random)], output, "Conv2DOptions", **how)


def convolution_transposed(kind, padding, stride, kernel, size, biased=True, zero=117):
    """A transposed convolution of an image of 4 x 5 pixels to some size; per channel where codes are signed."""
    random, model = _random(kind, padding, stride, kernel), Model()
    scaled, zero = (6, 0) if kind == "INT8" else (None, zero)
    image = model.tensor("image", **codes((1, 4, 5, 3), kind, 0.04, CENTRE[kind] - 17))
    held = [
        model.constant("size", [1, *size, 6], "INT32"),
        model.tensor(**weights((6, *kernel, 3), random, kind, 0, scaled, zero)),
        image,
    ]
    held += [model.tensor(**bias(6, random))] * biased
    output = model.tensor("out", **codes((1, *size, 6), kind, 0.2, CENTRE[kind] - 20))
    model.operator("TRANSPOSE_CONV", held, [output], "TransposeConvOptions", **_moving(padding, stride))
    return model


def depthwise(kind, padding, stride, activation, multiplier=1):
    """A depthwise convolution of three channels."""
    random, filters = _random(kind, padding, stride, activation), 3 * multiplier
    zero, scaled = (0, filters) if kind == "INT8" else (93, None)
    held = weights((1, 3, 3, filters), random, kind, 3, scaled, zero)
    output = codes(_size((7, 10), (3, 3), padding, stride, (1, 1), filters), kind, 0.1, CENTRE[kind] + 5)
    how = _moving(padding, stride, (1, 1)) | {"FusedActivationFunction": NUMBERS[activation], "DepthMultiplier": multiplier}
    given = codes((1, 7, 10, 3), kind, 0.05, CENTRE[kind] + 9)
    return one("DEPTHWISE_CONV_2D", [given, held, bias(filters, random)], output, "DepthwiseConv2DOptions", **how)


def _size(image, kernel, padding, stride, dilation, filters):
    reach = [(taps - 1) * spread + 1 for taps, spread in zip(kernel, dilation, strict=True)]
    if padding == "SAME":
        reach = [1, 1]
    return (1, *(-(-(size - one + 1) // step) for size, one, step in zip(image, reach, stride, strict=True)), filters)


def dense(kind, activation, shape=(1, 24), keep=False, biased=True, channels=None, zero=0):
    """A fully connected layer of 24 features, or of six at each position where the axes are kept."""
    random, features = _random(kind, activation, shape), 6 if keep else 24
    held = weights((5, features), random, kind, channels=channels, zero=zero if kind == "INT8" else 130)
    output = codes((*shape[:-1], 5) if keep else (1, 5), kind, 0.2, CENTRE[kind] - 8)
    given = [codes(shape, kind, 0.05, CENTRE[kind] - 30), held, *([bias(5, random)] if biased else [])]
    how = {"FusedActivationFunction": NUMBERS[activation], "KeepNumDims": keep}
    return one("FULLY_CONNECTED", given, output, "FullyConnectedOptions", **how)


def added(kind, activation):
    """Two clips of one image, of different scales, added."""
    return _of_two(kind, "ADD", "AddOptions", activation, 0.06)


def subtracted(kind, activation):
    """The second of two clips of one image, of different scales, taken off the first."""
    return _of_two(kind, "SUB", "SubOptions", activation, 0.06)


def multiplied(kind, activation):
    """Two clips of one image, of different scales, multiplied."""
    return _of_two(kind, "MUL", "MulOptions", activation, 0.02)


def of_constant(name, kind, shape, order, activation="NONE"):
    """A value beside a constant: added, multiplied, or the larger of both."""
    random, centre = _random(name, kind, shape), CENTRE[kind]
    held = weights(shape, random, kind, zero=centre + 3) | {"scale": 0.02}
    given, output = codes((1, 4, 5, 3), kind, 0.05, centre - 4), codes((1, 4, 5, 3), kind, 0.04, centre + 8)
    model = Model()
    places = [model.tensor("image", **given), model.tensor(**held)][::order]
    if name in ("MAXIMUM", "MINIMUM"):  # which compare codes of one format
        model.tensors[places[1]] |= {"scale": 0.05, "zero": centre - 4}
        model.operator(name, places, [model.tensor("out", **given)], "MaximumMinimumOptions")
        return model
    how = {"FusedActivationFunction": NUMBERS[activation]}
    model.operator(name, places, [model.tensor("out", **output)], f"{name.title()}Options", **how)
    return model


def slopes(kind, scale):
    """A slope a channel below zero."""
    centre, output = CENTRE[kind], codes((1, 4, 5, 3), kind, scale, CENTRE[kind] + 8)
    held = weights((1, 1, 3), _random("slopes", kind), kind, zero=centre + 3)
    return one("PRELU", [codes((1, 4, 5, 3), kind, 0.05, centre - 4), held], output)


def logarithm():
    """Of codes that stand for zero and more."""
    return one("LOG", [codes((1, 6, 40), "INT8", 0.05, -128)], codes((1, 6, 40), "INT8", 0.03, 20))


def function(name, kind, scale, alpha=None):
    """A function of one code."""
    ends = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0), "EXP": (scale, -128)}
    after, zero = ends.get(name, (scale * 0.7, -40))
    how = {"options": "LeakyReluOptions", "Alpha": alpha} if alpha else {}
    output = codes((1, 6, 40), kind, after, CENTRE[kind] + zero)
    return one(name, [codes((1, 6, 40), kind, scale, CENTRE[kind] + 7)], output, **how)


def root(name, scale, zero):
    """Of codes that stand for zero and more."""
    return one(name, [codes((1, 6, 40), "INT8", scale, -128)], codes((1, 6, 40), "INT8", 0.02, zero))


NUMBER = ("ADD", "DIV", "MAXIMUM", "MINIMUM", "MUL", "SUB")
"""Functions of floats that take a second one, here a constant."""


def island(kind, names, scales=(0.01, 0.1)):
    """Functions of floats between codes and codes: each of what the one before gives."""
    model, shape, centre = Model(), (1, 256), CENTRE[kind]
    image, real = model.tensor("image", **codes(shape, kind, scales[0], centre - 7)), model.tensor("real", shape, "FLOAT32")
    model.operator("DEQUANTIZE", [image], [real], "DequantizeOptions")
    for name in names:
        after, held = model.tensor(f"{name} of {real}", shape, "FLOAT32"), [real]
        options = {"MAXIMUM": "MaximumMinimumOptions", "MINIMUM": "MaximumMinimumOptions"}.get(name, f"{name.title()}Options")
        how = {"FusedActivationFunction": NUMBERS["RELU6"]} if name in ("ADD", "DIV", "MUL", "SUB") else {}
        if name in NUMBER:
            held.append(model.constant(f"number of {real}", np.float32(0.7), "FLOAT32"))
        model.operator(name, held, [after], options if name in NUMBER else None, **how)
        real = after
    output = model.tensor("out", **codes(shape, kind, scales[1], centre + 8))
    model.operator("QUANTIZE", [real], [output], "QuantizeOptions")
    return model


ISLANDS = (
    *((name,) for name in ("NEG", "SQUARE", "SIN", "COS", "ABS", "EXP", "FLOOR", "RELU", "SIGN", "ADD", "SUB", "MUL", "DIV")),
    ("ABS", "SQRT"),
    ("MAXIMUM", "LOG"),
    ("MAXIMUM", "RSQRT"),
    ("SQUARE", "NEG", "MINIMUM"),
)


def softmax(kind, shape, scale, beta=1.0):
    """Softmax over the last axis."""
    output = codes(shape, kind, 1 / 256, np.iinfo(KINDS_OF[kind]).min)
    return one("SOFTMAX", [codes(shape, kind, scale, CENTRE[kind] + 20)], output, "SoftmaxOptions", Beta=beta)


def _of_two(kind, name, options, activation, scale):
    model, centre = Model(), CENTRE[kind]
    image = model.tensor("image", **codes((1, 4, 5, 3), kind, 0.05, centre - 3))
    first = model.tensor("first", **codes((1, 4, 5, 3), kind, 0.03, centre + 11))
    second = model.tensor("second", **codes((1, 4, 5, 3), kind, 0.071, centre - 40))
    model.operator("QUANTIZE", [image], [first], "QuantizeOptions")
    model.operator("QUANTIZE", [image], [second], "QuantizeOptions")
    output = model.tensor("out", **codes((1, 4, 5, 3), kind, scale, centre + 2))
    model.operator(name, [first, second], [output], options, FusedActivationFunction=NUMBERS[activation])
    return model


def pooled(name, kind, padding, stride, activation, kernel=(3, 2)):
    """A pool that keeps its format."""
    form = (kind, 0.04, CENTRE[kind] - 11)
    how = _moving(padding, stride) | {"FilterHeight": kernel[0], "FilterWidth": kernel[1]}
    output = codes(_size((7, 6), kernel, padding, stride, (1, 1), 5), *form)
    return one(name, [codes((1, 7, 6, 5), *form)], output, "Pool2DOptions", **how, FusedActivationFunction=NUMBERS[activation])


def mean(kind, keep, axes=(1, 2), scale=0.03):
    """The mean over an image."""
    given = [codes((1, 5, 7, 6), kind, 0.04, CENTRE[kind] - 7), {"shape": (2,), "kind": "INT32", "data": np.int32(axes)}]
    output = codes((1, 1, 1, 6) if keep else (1, 6), kind, scale, CENTRE[kind] + 4)
    return one("MEAN", given, output, "ReducerOptions", KeepDims=keep)


def clipped(name, kind, scale):
    """An activation that stands alone, from a scale of 0.05."""
    output = codes((1, 4, 4, 3), kind, scale, CENTRE[kind] + (3 if scale == 0.05 else -50))
    return one(name, [codes((1, 4, 4, 3), kind, 0.05, CENTRE[kind] + 3)], output)


def requantized(before, after, scale, zero):
    """Codes to codes of another format."""
    given = [codes((1, 30), before, 0.05, CENTRE[before] + 6)]
    return one("QUANTIZE", given, codes((1, 30), after, scale, zero), "QuantizeOptions")


def padded(kind, borders):
    """Borders of zeros."""
    shape = tuple(size + sum(two) for size, two in zip((1, 4, 5, 3), borders, strict=True))
    form = (kind, 0.05, CENTRE[kind] + 21)
    sizes = {"shape": (4, 2), "kind": "INT32", "data": np.int32(borders)}
    return one("PAD", [codes((1, 4, 5, 3), *form), sizes], codes(shape, *form), "PadOptions")


def reshaped(name, before, after, **options):
    """A reshape or a squeeze."""
    form = ("INT8", 0.05, 21)
    given = [codes(before, *form)]
    if name == "RESHAPE":
        given.append({"shape": (len(after),), "kind": "INT32", "data": np.int32(after)})
    return one(name, given, codes(after, *form), f"{name.title()}Options", **options)


def transposed(order):
    """Axes in another order."""
    form, shape = ("INT8", 0.05, 21), (1, 4, 5, 3)
    given = [codes(shape, *form), {"shape": (4,), "kind": "INT32", "data": np.int32(order)}]
    return one("TRANSPOSE", given, codes([shape[axis] for axis in order], *form), "TransposeOptions")


def joined(kind, axis, scale=0.05):
    """An image, and its maxima, side by side, in their format or another one."""
    form, model = (kind, 0.05, CENTRE[kind] - 5), Model()
    image = model.tensor("image", **codes((1, 4, 5, 3), *form))
    maxima = model.tensor("maxima", **codes((1, 4, 5, 3), *form))
    how = _moving("SAME", (1, 1)) | {"FilterHeight": 2, "FilterWidth": 3}
    model.operator("MAX_POOL_2D", [image], [maxima], "Pool2DOptions", **how)
    shape = [1, 4, 5, 3]
    shape[axis] *= 2
    output = model.tensor("out", **codes(shape, kind, scale, CENTRE[kind] - 5 if scale == form[1] else 83))
    model.operator("CONCATENATION", [image, maxima], [output], "ConcatenationOptions", Axis=axis)
    return model


def resized(name, kind, size, corners=False, half=False):
    """An image of 4 x 5 pixels in another size."""
    model, form = Model(), (kind, 0.05, CENTRE[kind] - 9)
    image = model.tensor("image", **codes((1, 4, 5, 3), *form))
    places = [image, model.constant("size", size, "INT32")]
    output = model.tensor("out", **codes((1, *size, 3), *form))
    options = "ResizeBilinearOptions" if name == "RESIZE_BILINEAR" else "ResizeNearestNeighborOptions"
    model.operator(name, places, [output], options, AlignCorners=corners, HalfPixelCenters=half)
    return model


def ends(kind):
    """Reals that become codes, a layer, and codes that become reals."""
    random, model = _random(kind), Model()
    reals = model.tensor("reals", (1, 24), "FLOAT32")
    first = model.tensor("first", **codes((1, 24), kind, 0.05, CENTRE[kind] - 10))
    held = model.tensor(**weights((5, 24), random, kind, zero=CENTRE[kind]))
    scores = model.tensor("scores", **codes((1, 5), kind, 0.2, CENTRE[kind]))
    out = model.tensor("out", (1, 5), "FLOAT32")
    model.operator("QUANTIZE", [reals], [first], "QuantizeOptions")
    model.operator("FULLY_CONNECTED", [first, held, -1], [scores], "FullyConnectedOptions")
    model.operator("DEQUANTIZE", [scores], [out], "DequantizeOptions")
    return model


def shared():
    """Two layers that have one tensor of weights."""
    random, model = _random("shared"), Model()
    form = ("INT8", 0.05, 4)
    places = [model.tensor(f"value{number}", **codes((1, 6), *form)) for number in range(3)]
    held = model.tensor(**weights((6, 6), random))
    for before, after in pairwise(places):
        model.operator("FULLY_CONNECTED", [before, held, -1], [after], "FullyConnectedOptions")
    return model


def gated(kind, name):
    """An image and its mean, added or multiplied."""
    model, centre = Model(), CENTRE[kind]
    image = model.tensor("image", **codes((1, 4, 5, 3), kind, 0.05, centre - 30))
    axes = model.constant("axes", [1, 2], "INT32")
    mean = model.tensor("mean", **codes((1, 1, 1, 3), kind, 0.02, centre + 8))
    model.operator("MEAN", [image, axes], [mean], "ReducerOptions", KeepDims=True)
    output = model.tensor("out", **codes((1, 4, 5, 3), kind, 0.06, centre))
    model.operator(name, [image, mean], [output], f"{name.title()}Options")
    return model


def sized():
    """A reshape to a shape that the file computes, as converters do for an open number of images."""
    model, form = Model(), ("INT8", 0.05, 21)
    image = model.tensor("image", **codes((1, 2, 3, 4), *form), signature=(-1, 2, 3, 4))
    shape, images, new = (model.tensor(name, size, "INT32") for name, size in (("shape", (4,)), ("images", ()), ("new", (2,))))
    steps = [model.constant(f"step{number}", [number], "INT32") for number in (0, 1)]
    model.operator("SHAPE", [image], [shape], "ShapeOptions", OutType=2)
    ends = [steps[0], steps[1], steps[1]]
    model.operator("STRIDED_SLICE", [shape, *ends], [images], "StridedSliceOptions", ShrinkAxisMask=1)
    size = model.constant("size", 24, "INT32")
    model.operator("PACK", [images, size], [new], "PackOptions", ValuesCount=2)
    model.operator("RESHAPE", [image, new], [model.tensor("out", **codes((1, 24), *form))], "ReshapeOptions")
    return model


KINDS = ("INT8", "UINT8")
PADDINGS = ("SAME", "VALID")
STRIDES = ((1, 1), (2, 2), (2, 3))
TRANSPOSED = (
    ("SAME", (1, 1), (3, 2), (4, 5)),
    ("SAME", (2, 2), (3, 3), (8, 10)),
    ("SAME", (2, 2), (3, 3), (7, 9)),
    ("SAME", (2, 3), (2, 2), (8, 15)),
    ("VALID", (1, 1), (3, 2), (6, 6)),
    ("VALID", (2, 2), (3, 4), (9, 12)),
    ("VALID", (3, 2), (2, 2), (11, 10)),
    ("VALID", (2, 2), (3, 3), (10, 12)),
)
"""Padding, stride, kernel and size of what comes of 4 x 5 pixels; in the last ones the kernel reaches less far than that."""
SIZES, WAYS = ((8, 10), (7, 13), (3, 2), (4, 6), (1, 9)), ((False, False), (True, False), (False, True))
"""Sizes to which 4 x 5 pixels are brought, and whether corners are aligned, or halves of pixels taken."""


def _of_windows(kind):
    found = {}
    for padding, stride, activation in product(PADDINGS, STRIDES, ACTIVATIONS):
        words = f"{kind} {padding} {stride} {activation}"
        found[f"conv {words}"] = convolution(kind, padding, stride, (1, 1), activation)
        found[f"depthwise {words}"] = depthwise(kind, padding, stride, activation, 1 + (stride == (2, 2)))
        found[f"average {words}"] = pooled("AVERAGE_POOL_2D", kind, padding, stride, activation)
        found[f"maximum {words}"] = pooled("MAX_POOL_2D", kind, padding, stride, activation)
    found[f"conv {kind} dilated"] = convolution(kind, "SAME", (1, 1), (2, 3), "RELU")
    found[f"conv {kind} dilated valid"] = convolution(kind, "VALID", (1, 1), (2, 3), "NONE")
    found[f"conv {kind} large kernel"] = convolution(kind, "SAME", (1, 1), (1, 1), "NONE", kernel=(11, 13))
    for padding, stride, kernel, size in TRANSPOSED:
        found[f"transposed conv {kind} {padding} {stride} {kernel} {size}"] = convolution_transposed(
            kind, padding, stride, kernel, size
        )
    found[f"transposed conv {kind} without bias"] = convolution_transposed(kind, "SAME", (2, 2), (3, 3), (8, 10), biased=False)
    found[f"average {kind} large"] = pooled("AVERAGE_POOL_2D", kind, "SAME", (1, 1), "NONE", (9, 8))
    found[f"average {kind} whole"] = pooled("AVERAGE_POOL_2D", kind, "VALID", (7, 6), "NONE", (7, 6))
    found[f"mean {kind} keeps"], found[f"mean {kind}"] = mean(kind, True), mean(kind, False, (2, 1))
    found[f"mean {kind} one scale"] = mean(kind, True, (-2, -3), 0.04)
    found[f"mean {kind} half"] = mean(kind, True, (1, 2), 0.02)
    return found


def _of_values(kind):
    found = {}
    for axis in (1, 2, 3, -1):
        found[f"joined {kind} {axis}"] = joined(kind, axis)
        if kind == "UINT8":
            found[f"joined {kind} {axis} rescaled"] = joined(kind, axis, 0.1)
    for activation in ACTIVATIONS:
        found[f"added {kind} {activation}"] = added(kind, activation)
        found[f"subtracted {kind} {activation}"] = subtracted(kind, activation)
        found[f"multiplied {kind} {activation}"] = multiplied(kind, activation)
        found[f"dense {kind} {activation}"] = dense(kind, activation)
    for name, scale in product(("RELU", "RELU6", "RELU_N1_TO_1"), (0.05, 0.031, 0.1)):
        found[f"{name} {kind} {scale}"] = clipped(name, kind, scale)
    for name, order, shape in product(
        ("ADD", "SUB", "MUL"), (1, -1), ((), (3,), (1, 1, 1, 3), (5, 3), (4, 1, 3), (1, 4, 5, 1))
    ):
        found[f"{name} {kind} of a constant {shape} {order}"] = of_constant(name, kind, shape, order)
    found[f"ADD {kind} of a constant, clipped"] = of_constant("ADD", kind, (3,), 1, "RELU6")
    found |= _of_tables(kind)
    for name, scale in product(("LOGISTIC", "TANH", "HARD_SWISH"), (0.01, 0.05, 0.1, 0.3)):
        found[f"{name} {kind} {scale}"] = function(name, kind, scale)
    for name, size, (corners, half) in product(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), SIZES, WAYS):
        if name == "RESIZE_NEAREST_NEIGHBOR" or kind == "INT8":
            found[f"{name} {kind} {size} {corners} {half}"] = resized(name, kind, size, corners, half)
    for alpha in (0.1, 0.25):
        found[f"LEAKY_RELU {kind} {alpha}"] = function("LEAKY_RELU", kind, 0.05, alpha)
    for scale, beta in ((0.1, 1.0), (0.02, 1.0), (0.5, 0.3)):
        found[f"softmax {kind} {scale} {beta}"] = softmax(kind, (1, 12), scale, beta)
    found[f"softmax {kind} of an image"] = softmax(kind, (1, 3, 4, 5), 0.07)
    found[f"padded {kind}"] = padded(kind, ((0, 0), (1, 2), (0, 3), (2, 0)))
    found[f"dense {kind} of an image"] = dense(kind, "NONE", (1, 2, 3, 4))
    found[f"dense {kind} kept"] = dense(kind, "RELU", (1, 3, 6), keep=True)
    found[f"dense {kind} kept of an image"] = dense(kind, "RELU", (1, 2, 4, 6), keep=True)
    found[f"dense {kind} without bias"] = dense(kind, "NONE", biased=False)
    for name in ("ADD", "MUL"):
        found[f"{name} {kind} of a mean"] = gated(kind, name)
    return found


def _of_tables(kind):
    found = {f"floats {kind} {' '.join(names)}": island(kind, names) for names in ISLANDS}
    for name, shape in product(("MAXIMUM", "MINIMUM"), ((), (3,))):
        found[f"{name} {kind} {shape}"] = of_constant(name, kind, shape, 1)
    found[f"PRELU {kind}"], found[f"PRELU {kind} one scale"] = slopes(kind, 0.08), slopes(kind, 0.05)
    if kind == "INT8":  # that are of signed codes alone
        for name, scale in product(("EXP", "GELU", "ABS"), (0.01, 0.05)):
            found[f"{name} {scale}"] = function(name, kind, scale)
        found["LOG"] = logarithm()
        for name, scale in product(("SQRT", "RSQRT"), (0.01, 0.3)):
            found[f"{name} {scale}"] = root(name, scale, -100)
    return found


def _of_moves():
    found = {"reshaped to a computed shape": sized(), "shared weights": shared()}
    found["dense of channels"] = dense("INT8", "NONE", channels=5)
    found["dense of asymmetric INT8"] = dense("INT8", "NONE", zero=9)
    found["conv grouped"] = convolution("INT8", "SAME", (1, 1), (1, 1), "NONE", groups=2)
    found["conv of one scale"] = convolution("INT8", "SAME", (1, 1), (1, 1), "NONE", channels=False)
    for before, after in product(KINDS, KINDS):
        if before != after:
            found[f"{before} to {after}"] = requantized(before, after, 0.05, CENTRE[after] + 6)
        found[f"{before} to {after}, half"] = requantized(before, after, 0.1, CENTRE[after] - 20)
        found[f"{before} to {after}, other scale"] = requantized(before, after, 0.043, CENTRE[after] - 20)
    found["reshaped"] = reshaped("RESHAPE", (1, 2, 3, 4), (1, 24))
    found["reshaped to an image"] = reshaped("RESHAPE", (1, 24), (1, 4, 3, 2))
    found["reshaped to another image"] = reshaped("RESHAPE", (1, 2, 3, 4), (1, 6, 2, 2))
    found["squeezed"] = reshaped("SQUEEZE", (1, 1, 6, 4), (1, 6, 4), SqueezeDims=(1,))
    for order in ((0, 2, 1, 3), (0, 3, 1, 2), (0, 2, 3, 1)):
        found[f"transposed {order}"] = transposed(order)
    return found


def networks():
    """All of them, by name."""
    found = _of_moves() | networks_of_shapes()
    for kind in KINDS:
        found |= _of_windows(kind) | _of_values(kind) | of_parts(kind)
    return found
