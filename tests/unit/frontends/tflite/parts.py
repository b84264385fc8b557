"""Small networks that cut values, put them side by side, compare and subtract them, and slope them a channel."""

import numpy as np

from tests.unit.frontends.tflite.models import Model, codes, one, weights

SHAPE = (1, 4, 5, 6)
SLICES = (
    ((0, 1, 0, 2), (1, 3, 5, 4)),
    ((0, 2, 3, 0), (-1, -1, 2, -1)),
)
"""Where parts begin, and their sizes."""
STRIDED = (
    ((0, 1, 0, 0), (1, 4, 5, 6), (1, 2, 1, 1), {}),
    ((0, -1, 0, 5), (1, -5, 5, -7), (1, -1, 1, -2), {}),
    ((0, 9, 2, 1), (9, 9, 9, 9), (1, 1, 2, 3), {"BeginMask": 2, "EndMask": 6}),
    ((0, 1, 0, 0), (1, 2, 5, 6), (1, 1, 1, 1), {"ShrinkAxisMask": 2}),
    ((0, 0, -1, -2), (1, 4, 5, 6), (1, 1, 1, 1), {"ShrinkAxisMask": 12}),
)
"""Begins, ends, strides and masks."""


def _image(kind, zero=4):
    return (kind, 0.05, (128 if kind == "UINT8" else 0) + zero)


def sliced(kind, starts, counts):
    """A part of an image."""
    shape = [size - start if count == -1 else count for size, start, count in zip(SHAPE, starts, counts, strict=True)]
    held = [{"shape": (4,), "kind": "INT32", "data": np.int32(given)} for given in (starts, counts)]
    return one("SLICE", [codes(SHAPE, *_image(kind)), *held], codes(shape, *_image(kind)), "SliceOptions")


def strided(kind, starts, ends, strides, masks):
    """Every so manieth position of a part."""
    cut, shape = np.zeros(SHAPE), []
    for axis, size in enumerate(SHAPE):
        begin, end, single = (masks.get(f"{mask}Mask", 0) >> axis & 1 for mask in ("Begin", "End", "ShrinkAxis"))
        kept = range(size)[slice(None if begin else starts[axis], None if end else ends[axis], strides[axis])]
        shape += [] if single else [len(kept)]
    assert cut.ndim >= len(shape) > 1
    held = [{"shape": (4,), "kind": "INT32", "data": np.int32(given)} for given in (starts, ends, strides)]
    output = codes(shape, *_image(kind))
    return one("STRIDED_SLICE", [codes(SHAPE, *_image(kind)), *held], output, "StridedSliceOptions", **masks)


def split(kind, axis, parts, sizes=None):
    """Parts along an axis, side by side again, the last one first."""
    model, form = Model(), _image(kind)
    image = model.tensor("image", **codes(SHAPE, *form))
    counts = sizes or [SHAPE[axis] // parts] * parts
    rest = SHAPE[axis] - sum(count for count in counts if count != -1)
    shapes = [
        [(rest if count == -1 else count) if at == axis % 4 else size for at, size in enumerate(SHAPE)] for count in counts
    ]
    places = [model.tensor(f"part{number}", **codes(shape, *form)) for number, shape in enumerate(shapes)]
    along = model.constant("axis", [axis] if sizes else axis, "INT32")
    if sizes:
        held = model.constant("sizes", sizes, "INT32")
        model.operator("SPLIT_V", [image, held, along], places, "SplitVOptions", NumSplits=len(sizes))
    else:
        model.operator("SPLIT", [along, image], places, "SplitOptions", NumSplits=parts)
    output = model.tensor("out", **codes(SHAPE, *form))
    model.operator("CONCATENATION", places[::-1], [output], "ConcatenationOptions", Axis=axis)
    return model


def stacked(kind, axis, new):
    """Single positions of an axis, put together along a new one in the opposite order."""
    model, form = Model(), _image(kind)
    image = model.tensor("image", **codes(SHAPE, *form))
    thin = [size for at, size in enumerate(SHAPE) if at != axis % 4]
    places = [model.tensor(f"part{number}", **codes(thin, *form)) for number in range(SHAPE[axis])]
    model.operator("UNPACK", [image], places, "UnpackOptions", Num=len(places), Axis=axis)
    shape = thin[:]
    shape.insert(new % 4, len(places))
    output = model.tensor("out", **codes(shape, *form))
    model.operator("PACK", places[::-1], [output], "PackOptions", ValuesCount=len(places), Axis=new)
    return model


def compared(kind, name):
    """An image beside its codes in the opposite order, of which each position has the larger or the smaller."""
    model, form = Model(), _image(kind)
    image = model.tensor("image", **codes(SHAPE, *form))
    turned = model.tensor("turned", **codes(SHAPE, *form))
    held = [
        model.constant(name_, given, "INT32")
        for name_, given in (("b", (0, 3, 4, 5)), ("e", (1, -9, -9, -9)), ("s", (1, -1, -1, -1)))
    ]
    model.operator("STRIDED_SLICE", [image, *held], [turned], "StridedSliceOptions")
    model.operator(name, [image, turned], [model.tensor("out", **codes(SHAPE, *form))], "MaximumMinimumOptions")
    return model


def compared_with(kind, name, shape):
    """An image beside a constant of its format."""
    form = _image(kind)
    held = weights(shape, np.random.default_rng(3), kind, zero=form[2]) | {"scale": form[1]}
    return one(name, [codes(SHAPE, *form), held], codes(SHAPE, *form), "MaximumMinimumOptions")


def subtracted(kind, scales, activation=0):
    """A part of an image less another part, of other scales."""
    model, centre = Model(), 128 if kind == "UINT8" else 0
    image = model.tensor("image", **codes(SHAPE, kind, 0.05, centre - 3))
    first = model.tensor("first", **codes(SHAPE, kind, scales[0], centre + 11))
    second = model.tensor("second", **codes(SHAPE, kind, scales[1], centre - 40))
    model.operator("QUANTIZE", [image], [first], "QuantizeOptions")
    model.operator("QUANTIZE", [image], [second], "QuantizeOptions")
    output = model.tensor("out", **codes(SHAPE, kind, scales[2], centre + 2))
    model.operator("SUB", [first, second], [output], "SubOptions", FusedActivationFunction=activation)
    return model


def sloped(kind, shape, scale):
    """A rectifier whose slopes below zero are those of channels."""
    centre = 128 if kind == "UINT8" else 0
    held = weights(shape, np.random.default_rng(9), kind, zero=centre + 5) | {"scale": 0.01}
    return one("PRELU", [codes(SHAPE, *_image(kind)), held], codes(SHAPE, kind, scale, centre - 20))


def of_parts(kind):
    """All of them, by name."""
    found = {f"sliced {kind} {starts}": sliced(kind, starts, counts) for starts, counts in SLICES}
    found |= {f"strided {kind} {given[:3]}": strided(kind, *given) for given in STRIDED}
    found |= {f"split {kind} {axis} {parts}": split(kind, axis, parts) for axis, parts in ((1, 2), (-1, 3), (2, 5))}
    found |= {f"split {kind} {axis} {sizes}": split(kind, axis, 0, sizes) for axis, sizes in ((1, (1, 3)), (3, (2, -1, 1)))}
    found |= {f"stacked {kind} {axis} {new}": stacked(kind, axis, new) for axis, new in ((1, 3), (3, 1), (-2, -1))}
    for name in ("MAXIMUM", "MINIMUM"):
        found[f"{name} {kind}"] = compared(kind, name)
        found |= {f"{name} {kind} of a constant {shape}": compared_with(kind, name, shape) for shape in ((), (6,))}
    for scales in ((0.03, 0.071, 0.06), (0.05, 0.1, 0.05), (0.05, 0.05, 0.1)):
        found[f"subtracted {kind} {scales}"] = subtracted(kind, scales)
    found[f"subtracted {kind} RELU"] = subtracted(kind, (0.03, 0.071, 0.06), 1)
    found |= {
        f"sloped {kind} {shape} {scale}": sloped(kind, shape, scale) for shape in ((1,), (1, 1, 6)) for scale in (0.05, 0.03)
    }
    return found
