"""Small networks of operators that take places along axes, compute over axes, or make images of positions.

Where the number of images is open, converters write shapes that the file computes, and tensors whose sizes it leaves open: the
shapes that such a file says hold 1 in their place.
"""

from itertools import product

import numpy as np

from tests.unit.frontends.tflite.models import Model, bias, codes, weights

CENTRE = {"INT8": 0, "UINT8": 128}
IMAGE = (1, 6, 4, 3)


def _random(*words):
    return np.random.default_rng(list("-".join(map(str, words)).encode()))


def _moved(name, kind, output, constants=(), options=None, shape=IMAGE, **values):
    """An operator that passes codes on; `constants` stand behind the image."""
    form, model = (kind, 0.05, CENTRE[kind] - 9), Model()
    places = [model.tensor("image", **codes(shape, *form))]
    places += [model.constant(f"constant{number}", one, "INT32") for number, one in enumerate(constants)]
    model.operator(name, places, [model.tensor("out", **codes(output, *form))], options, **values)
    return model


def _strided(kind, begin, end, step, output, **masks):
    return _moved("STRIDED_SLICE", kind, output, (begin, end, step), "StridedSliceOptions", **masks)


def taken(kind):
    """Operators that take places of an image."""
    zeros, ones = [0, 0, 0, 0], [1, 1, 1, 1]
    shrunk = {"BeginMask": 13, "EndMask": 13, "ShrinkAxisMask": 2}
    borders = [[0, 0], [2, 1], [0, 3], [1, 0]]
    return {
        "slice": _moved("SLICE", kind, (1, 2, 4, 1), ([0, 3, 0, 1], [-1, 2, -1, 1]), "SliceOptions"),
        "strided": _strided(kind, [0, 1, -1, 0], [1, 6, -5, 3], [1, 2, -1, 1], (1, 3, 4, 3)),
        "strided open": _strided(kind, zeros, [0, -2, 0, 2], ones, (1, 4, 4, 2), BeginMask=15, EndMask=5),
        "strided short": _strided(kind, [0, 2], [1, 5], [1, 1], (1, 3, 4, 3)),
        "one row": _strided(kind, [0, 3, 0, 0], [0, 4, 0, 0], ones, (1, 4, 3), **shrunk),
        "last row": _strided(kind, [0, -1, 0, 0], [0, 0, 0, 0], ones, (1, 4, 3), **shrunk),
        "one channel": _strided(kind, [0, 0, 0, 1], [0, 0, 0, 2], ones, (1, 6, 4), BeginMask=7, EndMask=7, ShrinkAxisMask=8),
        "gather": _moved("GATHER", kind, (1, 6, 4, 4), ([2, 0, 1, 2],), "GatherOptions", Axis=3),
        "gather rows": _moved("GATHER", kind, (1, 2, 4, 3), ([5, 0],), "GatherOptions", Axis=1),
        "gather one": _moved("GATHER", kind, (1, 6, 3), (2,), "GatherOptions", Axis=-2),
        "tile": _moved("TILE", kind, (1, 12, 4, 9), ([1, 2, 1, 3],), "TileOptions"),
        "mirror": _moved("MIRROR_PAD", kind, (1, 9, 7, 4), (borders,), "MirrorPadOptions", Mode=0),
        "mirror edge": _moved("MIRROR_PAD", kind, (1, 9, 7, 4), (borders,), "MirrorPadOptions", Mode=1),
        "turned": _moved("REVERSE_V2", kind, IMAGE, ([1],), "ReverseV2Options"),
        "to space": _moved("DEPTH_TO_SPACE", kind, (1, 6, 4, 2), (), "DepthToSpaceOptions", (1, 3, 2, 8), BlockSize=2),
        "to channels": _moved("SPACE_TO_DEPTH", kind, (1, 3, 2, 12), (), "SpaceToDepthOptions", BlockSize=2),
        "to channels 3": _moved("SPACE_TO_DEPTH", kind, (1, 2, 1, 18), (), "SpaceToDepthOptions", (1, 6, 3, 2), BlockSize=3),
        "expanded": _moved("EXPAND_DIMS", kind, (1, 6, 1, 4, 3), (-3,), "ExpandDimsOptions"),
        "expanded last": _moved("EXPAND_DIMS", kind, (1, 6, 4, 3, 1), ([4],), "ExpandDimsOptions"),
        "largest": _moved("REDUCE_MAX", kind, (1, 3), ([1, 2],), "ReducerOptions"),
        "largest channel": _moved("REDUCE_MAX", kind, (1, 6, 4, 1), (-1,), "ReducerOptions", KeepDims=True),
        "smallest": _moved("REDUCE_MIN", kind, (1, 3), ([1, 2],), "ReducerOptions"),
        "smallest channel": _moved("REDUCE_MIN", kind, (1, 6, 4, 1), (-1,), "ReducerOptions", KeepDims=True),
        "repeated": _moved("BROADCAST_TO", kind, (1, 6, 4, 3), ([1, 6, 4, 3],), "BroadcastToOptions", (1, 1, 4, 1)),
        "largest column": _moved("REDUCE_MAX", kind, (1, 4, 3), ([1],), "ReducerOptions"),
    }  # fmt: skip


def means(kind):
    """Means over some axes, into another format and the same one."""
    found = {}
    for axes, keep, scale in product(((1,), (2,), (3,), (2, 3), (1, 2, 3)), (True, False), (0.05, 0.031)):
        if keep or len(axes) < 3:
            left = tuple(1 if axis in axes else size for axis, size in enumerate(IMAGE) if keep or axis not in axes)
            model = _moved("MEAN", kind, left, (axes,), "ReducerOptions", KeepDims=keep)
            model.tensors[-1]["scale"] = scale
            found[f"mean over {axes} {keep} {scale}"] = model
    return found


def cut(name, kind, axis, sizes=()):
    """An image cut into parts, and those joined the other way round."""
    model, form = Model(), (kind, 0.05, CENTRE[kind] - 9)
    image, at = model.tensor("image", **codes(IMAGE, *form)), axis % 4
    places = {"SPLIT": [model.constant("axis", axis, "INT32"), image], "UNPACK": [image]}.get(name, [image])
    if name == "SPLIT_V":
        places += [model.constant("sizes", sizes, "INT32"), model.constant("axis", axis, "INT32")]
    rest = IMAGE[at] - sum(size for size in sizes if size > 0)
    widths = [rest if size == -1 else size for size in sizes] or [1] * IMAGE[at]
    shapes = [(*IMAGE[:at], *(() if name == "UNPACK" else (width,)), *IMAGE[at + 1 :]) for width in widths]
    parts = [model.tensor(f"part{number}", **codes(shape, *form)) for number, shape in enumerate(shapes)]
    options = {"SPLIT": "SplitOptions", "SPLIT_V": "SplitVOptions", "UNPACK": "UnpackOptions"}[name]
    values = {"Axis": axis, "Num": len(parts)} if name == "UNPACK" else {"NumSplits": len(parts)}
    model.operator(name, places, parts, options, **values)
    output = model.tensor("out", **codes(IMAGE, *form))
    if name == "UNPACK":
        model.operator("PACK", parts[::-1], [output], "PackOptions", ValuesCount=len(parts), Axis=axis)
    else:
        model.operator("CONCATENATION", parts[::-1], [output], "ConcatenationOptions", Axis=axis)
    return model


def dealt(kind, depthwise, blocks, borders, crops, row=False):
    """A dilated convolution: pixels dealt out to smaller images, a convolution of 3 x 3 or of 3, and pixels put back."""
    random, model, form = _random(kind, depthwise, blocks, borders), Model(), (kind, 0.05, CENTRE[kind] - 9)
    sides, taps = ((11,), (1, 3)) if row else ((6, 7), (3, 3))
    image = model.tensor("image", **codes((1, *sides, 4), *form), signature=(-1, *sides, 4))
    held = [model.constant("block", blocks, "INT32"), model.constant("borders", borders, "INT32")]
    deals = zip(sides, borders, blocks, strict=True)
    dealt_sides = [-(-(size + sum(ends)) // block) for size, ends, block in deals]
    small = model.tensor("small", **codes((1, *dealt_sides, 4), *form))
    model.operator("SPACE_TO_BATCH_ND", [image, *held], [small], "SpaceToBatchNDOptions")
    if row:
        wide, axis = model.tensor("wide", **codes((1, 1, *dealt_sides, 4), *form)), model.constant("axis", 1, "INT32")
        model.operator("EXPAND_DIMS", [small, axis], [wide], "ExpandDimsOptions")
        small = wide
    fields, filters, after = _held(model, random, kind, depthwise, taps)
    sums_sides = [size - 2 for size in dealt_sides]
    sums = model.tensor("sums", **codes((1, *((1,) if row else ()), *sums_sides, filters), *after))
    _convolved(model, [small, *fields], sums, depthwise, (1, 1))
    if row:
        flat, size = (
            model.tensor("flat", **codes((1, *sums_sides, filters), *after)),
            model.constant("flat size", [-1, *sums_sides, filters], "INT32"),
        )
        model.operator("RESHAPE", [sums, size], [flat], "ReshapeOptions")
        sums = flat
    back = zip(sums_sides, blocks, crops, strict=True)
    output = model.tensor("out", **codes((1, *(size * block - sum(ends) for size, block, ends in back), filters), *after))
    cropped = [model.constant("block back", blocks, "INT32"), model.constant("crops", crops, "INT32")]
    model.operator("BATCH_TO_SPACE_ND", [sums, *cropped], [output], "BatchToSpaceNDOptions")
    return model


def dilated(kind, depthwise, blocks, borders, crops):
    """The same, written as it is meant: a border, a convolution whose taps lie a block's side apart, and a cut."""
    random, model, form = _random(kind, depthwise, blocks, borders), Model(), (kind, 0.05, CENTRE[kind] - 9)
    image = model.tensor("image", **codes((1, 6, 7, 4), *form), signature=(-1, 6, 7, 4))
    wide_sides = [size + sum(ends) for size, ends in zip((6, 7), borders, strict=True)]
    wide = model.tensor("wide", **codes((1, *wide_sides, 4), *form))
    model.operator("PAD", [image, model.constant("borders", [(0, 0), *borders, (0, 0)], "INT32")], [wide], "PadOptions")
    fields, filters, after = _held(model, random, kind, depthwise, (3, 3))
    sums_sides = [size - 2 * block for size, block in zip(wide_sides, blocks, strict=True)]
    sums = model.tensor("sums", **codes((1, *sums_sides, filters), *after))
    _convolved(model, [wide, *fields], sums, depthwise, blocks)
    left = [size - sum(ends) for size, ends in zip(sums_sides, crops, strict=True)]
    begun = [0, *(near for near, _ in crops), 0]
    cut_to = [model.constant(name, one, "INT32") for name, one in (("begun", begun), ("left", [-1, *left, filters]))]
    model.operator("SLICE", [sums, *cut_to], [model.tensor("out", **codes((1, *left, filters), *after))], "SliceOptions")
    return model


def _held(model, random, kind, depthwise, taps):
    """Weights and bias of a convolution of 4 channels, how many filters it has, and the form of its sums."""
    filters, zero = (4 if depthwise else 5), (0 if kind == "INT8" else 117)
    shape, per = ((1, *taps, 4) if depthwise else (filters, *taps, 4)), (filters if kind == "INT8" else None)
    held = model.tensor(**weights(shape, random, kind, 3 if depthwise else 0, per, zero))
    return [held, model.tensor(**bias(filters, random))], filters, (kind, 0.2, CENTRE[kind] + 4)


def _convolved(model, inputs, output, depthwise, dilation):
    name, options = (("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions"), ("CONV_2D", "Conv2DOptions"))[not depthwise]
    how = {"Padding": 1, "StrideH": 1, "StrideW": 1, "DilationHFactor": dilation[0], "DilationWFactor": dilation[1]}
    model.operator(name, inputs, [output], options, **how | ({"DepthMultiplier": 1} if depthwise else {}))


def positions(kind, opened):
    """A fully connected layer at each position of a signal, which are images to it; where `opened`, the file computes shapes.

    As Keras writes a dense layer behind a signal: to positions x features, the products, and back.
    """
    random, model, form = _random(kind, "positions"), Model(), (kind, 0.05, CENTRE[kind] - 9)
    image = model.tensor("image", **codes((1, 5, 6), *form), signature=(-1, 5, 6) if opened else None)
    flat_size, back_size = (
        _sizes_of(model, image) if opened else [model.constant(*one, "INT32") for one in (("to", [5, 6]), ("from", [1, 5, 4]))]
    )
    known = ((1, 1), (-1, -1)) if opened else ((5, 6), None)
    flat = model.tensor("flat", **codes(known[0], *form), signature=known[1])
    model.operator("RESHAPE", [image, flat_size], [flat], "ReshapeOptions")
    after = (kind, 0.2, CENTRE[kind] + 4)
    sums = model.tensor("sums", **codes((1 if opened else 5, 4), *after), signature=(-1, 4) if opened else None)
    held = model.tensor(**weights((4, 6), random, kind, zero=0 if kind == "INT8" else 117))
    model.operator("FULLY_CONNECTED", [flat, held, -1], [sums], "FullyConnectedOptions")
    least = model.tensor("bounded", **codes((1 if opened else 5, 4), *after), signature=(-1, 4) if opened else None)
    model.operator("RELU", [sums], [least])
    output = model.tensor("out", **codes((1, 5, 4), *after), signature=(-1, 5, 4) if opened else None)
    model.operator("RESHAPE", [least, back_size], [output], "ReshapeOptions")
    return model


def _sizes_of(model, image):
    """Positions x features of an open number of images, and images x positions x 4, computed as converters compute them."""
    number = lambda name, value: model.constant(name, value, "INT32")  # noqa: E731
    sizes = {name: model.tensor(name, shape, "INT32") for name, shape in (
        ("shape", (3,)), ("ahead", (2,)), ("count", ()), ("all", (3,)), ("last", (1,)), ("features", ()), ("flat size", (2,))
    )}  # fmt: skip
    model.operator("SHAPE", [image], [sizes["shape"]], "ShapeOptions", OutType=2)
    model.operator("GATHER", [sizes["shape"], number("first two", [0, 1])], [sizes["ahead"]], "GatherOptions")
    model.operator("REDUCE_PROD", [sizes["ahead"], number("axis", [0])], [sizes["count"]], "ReducerOptions")
    model.operator("CONCATENATION", [sizes["ahead"], number("four", [4])], [sizes["all"]], "ConcatenationOptions")
    model.operator("GATHER", [sizes["shape"], number("third", [2])], [sizes["last"]], "GatherOptions")
    model.operator("REDUCE_PROD", [sizes["last"], number("axis too", [0])], [sizes["features"]], "ReducerOptions")
    model.operator("PACK", [sizes["count"], sizes["features"]], [sizes["flat size"]], "PackOptions", ValuesCount=2)
    return sizes["flat size"], sizes["all"]


def doubled(kind):
    """An image of twice the width by copies, to a size that the file computes, and a convolution behind it, of open sizes."""
    random, model, form = _random(kind, "doubled"), Model(), (kind, 0.05, CENTRE[kind] - 9)
    image = model.tensor("image", **codes(IMAGE, *form), signature=(-1, *IMAGE[1:]))
    wide, two = model.tensor("wide", **codes((1, 6, 4, 1, 3), *form)), model.tensor("two", **codes((1, 6, 4, 2, 3), *form))
    model.operator("EXPAND_DIMS", [image, model.constant("axis", 3, "INT32")], [wide], "ExpandDimsOptions")
    model.operator("TILE", [wide, model.constant("times", [1, 1, 1, 2, 1], "INT32")], [two], "TileOptions")
    shape, ahead, size = (model.tensor(name, (count,), "INT32") for name, count in (("shape", 4), ("ahead", 2), ("size", 4)))
    model.operator("SHAPE", [image], [shape], "ShapeOptions", OutType=2)
    ends = [model.constant(f"end{number}", [one], "INT32") for number, one in enumerate((0, 2, 1))]
    model.operator("STRIDED_SLICE", [shape, *ends], [ahead], "StridedSliceOptions", BeginMask=1)
    rest = [model.constant("eight", [8], "INT32"), model.constant("three", [3], "INT32")]
    model.operator("CONCATENATION", [ahead, *rest], [size], "ConcatenationOptions")
    larger = model.tensor("larger", **codes((1, 1, 8, 3), *form), signature=(-1, -1, 8, 3))
    model.operator("RESHAPE", [two, size], [larger], "ReshapeOptions")
    held = model.tensor(**weights((4, 3, 3, 3), random, kind, zero=0 if kind == "INT8" else 117))
    output = model.tensor("out", **codes((1, 1, 8, 4), kind, 0.3, CENTRE[kind]), signature=(-1, -1, 8, 4))
    how = {"Padding": 0, "StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1}
    model.operator("CONV_2D", [larger, held, model.tensor(**bias(4, random))], [output], "Conv2DOptions", **how)
    return model


BLOCKS = (
    ((2, 2), ((2, 2), (2, 3)), ((0, 0), (0, 1))),
    ((2, 3), ((2, 2), (3, 5)), ((0, 0), (0, 2))),
    ((2, 2), ((1, 3), (4, 3)), ((0, 0), (3, 1))),
    ((2, 2), ((0, 0), (0, 1)), ((1, 0), (2, 0))),
)
"""Sides of a block, borders and crops of height and width; in the last ones more is cropped than was added."""


def networks_of_shapes():
    """All of them, by name."""
    found = {}
    for kind in ("INT8", "UINT8"):
        named = taken(kind) | means(kind)
        for axis in (1, -2, 3):
            named[f"split {axis}"] = cut("SPLIT", kind, axis)
            named[f"unpacked and packed {axis}"] = cut("UNPACK", kind, axis)
        named["split by sizes"] = cut("SPLIT_V", kind, 1, (1, -1, 2))
        named["split by sizes of channels"] = cut("SPLIT_V", kind, -1, (2, 1))
        for depthwise, block in product((False, True), BLOCKS):
            named[f"dealt out {depthwise} {block}"] = dealt(kind, depthwise, *block)
        named["dealt out row"] = dealt(kind, False, (2,), ((4, 1),), ((0, 0),), row=True)
        named["dealt out row, cropped"] = dealt(kind, True, (3,), ((0, 1),), ((1, 2),), row=True)
        named["positions"], named["positions of open images"] = positions(kind, False), positions(kind, True)
        named["doubled"] = doubled(kind)
        found |= {f"{name} {kind}": model for name, model in named.items()}
    return found
