"""Random TFLite files: every tensor has the codes of LiteRT's reference kernels, or one line says why the file is refused.

``python -m tests.properties.tflite_graphs COUNT [FIRST]`` tries many and prints how they came out.
"""

import random
import sys
from pathlib import Path

import numpy as np

from addersim import lower_tflite
from addersim.errors import AddersimError
from addersim.frontends.tflite.file import read_graph
from addersim.frontends.tflite.walk import Walk
from tests.properties.onnx_graphs import reason
from tests.properties.random_search import search
from tests.properties.strategies import check_chained
from tests.unit.frontends.tflite.models import KINDS, Model

MOST_VALUES = 4000
FACTORS = (0.02, 0.5, 1.0, 2.0, 50.0)
"""Of a scale, beside the one that fits; in some of the draws."""
FIXED = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0), "SOFTMAX": (1 / 256, -128)}


class Maker:
    """Draws operators on tensors of codes; a tensor is known by its number, shape, scale and zero point."""

    def __init__(self, seed):
        self.dice, self.numbers, self.model = random.Random(f"tflite {seed}"), np.random.default_rng(seed), Model()
        self.kind = self.dice.choice(["INT8", "INT8", "INT8", "UINT8"])
        self.batch = self.dice.choice([1, 1, 1, 2, 3])
        features = self.dice.random() < 0.2
        shape = (self.dice.randint(4, 20),) if features else tuple(self.dice.randint(1, 8) for _ in range(3))
        self.values = []
        self.tensor(shape, 0.05)

    @property
    def centre(self):
        return 0 if self.kind == "INT8" else 128

    def zero(self):
        low, high = self.centre - 128, self.centre + 127
        return self.dice.choice([self.centre, low, high, self.dice.randint(low, high), self.dice.randint(low, high)])

    def tensor(self, shape, scale, zero=None):
        """The number of a new tensor that depends on the images."""
        scale = float(np.float32(scale * (self.dice.choice(FACTORS) if self.dice.random() < 0.1 else 1)))
        zero = self.zero() if zero is None else zero
        place = self.model.tensor(f"t{len(self.model.tensors)}", (self.batch, *shape), self.kind, scale, zero)
        self.values.append((place, tuple(shape), scale, zero))
        return place

    def pick(self, *ranks):
        fitting = [one for one in self.values if not ranks or len(one[1]) in ranks]
        return self.dice.choice(fitting[-3:] if self.dice.random() < 0.7 else fitting) if fitting else None

    def operator(self, name, inputs, shape, form, options=None, **values):
        """An operator whose output has a shape and a format."""
        if 0 < int(np.prod(shape)) <= MOST_VALUES and min(shape) > 0:
            self.model.operator(name, inputs, [self.tensor(shape, *form)], options, **values)

    def weights(self, shape, axis):
        """Codes of weights of one scale or one a filter, and their scales."""
        filters = shape[axis]
        each = self.kind == "INT8" and self.dice.random() < 0.6
        scale = self.numbers.uniform(0.001, 0.02, filters) if each else self.numbers.uniform(0.001, 0.02)
        if each and self.dice.random() < 0.2:
            scale[0] *= 1e-4
        low = -127 if self.kind == "INT8" else 0
        data = self.numbers.integers(low, low + 255, shape).astype(KINDS[self.kind])
        zero = 0 if self.kind == "INT8" else self.dice.choice([0, 128, 255, 93])
        return self.model.constant(f"w{len(self.model.tensors)}", data, self.kind, scale=scale, zero=zero, axis=axis), scale

    def bias(self, count, step, needed=False):
        if not needed and self.dice.random() < 0.2:
            return []
        data = self.numbers.integers(-3000, 3000, count)
        step = np.broadcast_to(step, count) if np.ndim(step) else step
        return [self.model.constant(f"b{len(self.model.tensors)}", data, "INT32", scale=step, zero=np.zeros_like(step, int))]

    def activation(self):
        return {"FusedActivationFunction": self.dice.choice([0, 0, 1, 2, 3])}

    def sizes(self, *numbers):
        return self.model.constant(f"s{len(self.model.tensors)}", np.array(numbers), "INT32")


def spread(size, kernel, stride, dilation, same):
    """Sizes that a window leaves."""
    reach = [1 if same else (taps - 1) * step + 1 for taps, step in zip(kernel, dilation, strict=True)]
    return [-(-(one - far + 1) // step) for one, far, step in zip(size, reach, stride, strict=True)]


def moving(maker, dilates=True):
    kernel, stride = ([maker.dice.randint(1, 3) for _ in range(2)] for _ in range(2))
    dilation = [maker.dice.choice([1, 1, 2]) if dilates else 1 for _ in range(2)]
    return kernel, stride, dilation, maker.dice.random() < 0.5


def conv(maker):
    found = maker.pick(3)
    if found is None:
        return
    place, (high, wide, channels), scale, _ = found
    kernel, stride, dilation, same = moving(maker)
    size = spread((high, wide), kernel, stride, dilation, same)
    how = {"Padding": 1 - same, "StrideH": stride[0], "StrideW": stride[1]} | maker.activation()
    how |= {"DilationHFactor": dilation[0], "DilationWFactor": dilation[1]}
    if maker.dice.random() < 0.4:
        times = maker.dice.randint(1, 2)
        held, scales = maker.weights((1, *kernel, channels * times), 3)
        filters, name, options, how = (
            channels * times,
            "DEPTHWISE_CONV_2D",
            "DepthwiseConv2DOptions",
            how | {"DepthMultiplier": times},
        )
    else:
        groups = maker.dice.choice([one for one in (1, 1, 1, 2, 3) if channels % one == 0])
        filters = groups * maker.dice.randint(1, 4)
        held, scales = maker.weights((filters, *kernel, channels // groups), 0)
        name, options = "CONV_2D", "Conv2DOptions"
    step = np.float32(scale) * np.float32(scales)
    out = float(np.max(step)) * 60 * np.sqrt(np.prod(kernel) * (1 if name != "CONV_2D" else channels))
    maker.operator(name, [place, held, *maker.bias(filters, step, True)], (*size, filters), (out,), options, **how)


def dense(maker):
    found = maker.pick()
    place, shape, scale, _ = found
    outputs, keep = maker.dice.randint(1, 6), len(shape) > 1
    held, scales = maker.weights((outputs, shape[-1]), 0)
    step = np.float32(scale) * np.float32(scales)
    form = (float(np.max(step)) * 60 * np.sqrt(shape[-1]),)
    how = {"KeepNumDims": keep} | maker.activation()
    maker.operator("FULLY_CONNECTED", [place, held, *maker.bias(outputs, step)], (*shape[:-1], outputs), form,
                   "FullyConnectedOptions", **how)  # fmt: skip


def two(maker):
    place, shape, scale, zero = maker.pick()
    other = maker.dice.choice([one for one in maker.values if one[1] == shape][-4:])
    name = maker.dice.choice(["ADD", "ADD", "SUB", "MUL", "MUL", "CONCATENATION", "MAXIMUM", "MINIMUM"])
    if name == "CONCATENATION":
        axis = maker.dice.randrange(len(shape))
        wide = tuple(size * 2 if place_ == axis else size for place_, size in enumerate(shape))
        same = other[2:] == (scale, zero)
        form = (scale, zero) if same or (maker.kind == "INT8" and maker.dice.random() < 0.8) else (max(scale, other[2]),)
        maker.operator(name, [place, other[0]], wide, form, "ConcatenationOptions", Axis=axis + 1, FusedActivationFunction=0)
    elif name in ("MAXIMUM", "MINIMUM"):
        maker.operator(name, [place, other[0]], shape, (scale, zero), "MaximumMinimumOptions")
    else:
        form = (scale * other[2] * 100,) if name == "MUL" else (max(scale, other[2]) * maker.dice.choice([1, 2, 1.7]),)
        maker.operator(name, [place, other[0]], shape, form, f"{name.title()}Options", **maker.activation())


def beside_constant(maker):
    place, shape, scale, _ = maker.pick()
    name = maker.dice.choice(["ADD", "SUB", "MUL"])
    sizes = maker.dice.choice([(), (1,), (shape[-1],), (1, *shape)])
    held = maker.model.constant(f"c{len(maker.model.tensors)}", maker.numbers.integers(0, 128, sizes), maker.kind,
                                scale=float(maker.numbers.uniform(0.01, 0.1)), zero=maker.zero())  # fmt: skip
    inputs = [place, held] if maker.dice.random() < 0.6 else [held, place]
    form = (scale * 5,) if name == "MUL" else (scale * 2,)
    maker.operator(name, inputs, shape, form, f"{name.title()}Options", **maker.activation())


def pool(maker):
    found = maker.pick(3)
    if found is None:
        return
    place, (high, wide, channels), scale, zero = found
    kernel, stride, dilation, same = moving(maker, False)
    size = spread((high, wide), kernel, stride, dilation, same)
    how = {
        "Padding": 1 - same,
        "StrideH": stride[0],
        "StrideW": stride[1],
        "FilterHeight": kernel[0],
        "FilterWidth": kernel[1],
    }
    name = maker.dice.choice(["AVERAGE_POOL_2D", "MAX_POOL_2D"])
    maker.operator(name, [place], (*size, channels), (scale, zero), "Pool2DOptions", **how, **maker.activation())


def mean(maker):
    place, shape, scale, zero = maker.pick()
    axes = sorted(maker.dice.sample(range(len(shape)), maker.dice.randint(1, len(shape))))
    keep = maker.dice.random() < 0.5 or len(axes) == len(shape)
    left = tuple(1 if axis in axes else size for axis, size in enumerate(shape) if keep or axis not in axes)
    name = maker.dice.choice(["MEAN", "MEAN", "REDUCE_MAX", "REDUCE_MIN"])
    form = (scale * maker.dice.choice([1, 0.5, 0.77]),) if name == "MEAN" and maker.dice.random() < 0.6 else (scale, zero)
    maker.operator(name, [place, maker.sizes(*(axis + 1 for axis in axes))], left, form, "ReducerOptions", KeepDims=keep)


def function(maker):
    place, shape, scale, _ = maker.pick()
    name = maker.dice.choice(["LOGISTIC", "TANH", "RELU", "RELU6", "LEAKY_RELU", "HARD_SWISH", "QUANTIZE", "SOFTMAX", "ABS"])
    form = (scale * maker.dice.choice([1, 0.8]),)
    if name in FIXED:
        form = (FIXED[name][0], FIXED[name][1] + maker.centre)
    how = {"LEAKY_RELU": {"options": "LeakyReluOptions", "Alpha": 0.2}, "SOFTMAX": {"options": "SoftmaxOptions", "Beta": 1.0}}
    maker.operator(name, [place], shape, form, **how.get(name, {}))


def moves(maker):
    place, shape, scale, zero = maker.pick()
    rank, form = len(shape), (scale, zero)
    kind = maker.dice.choice(["RESHAPE", "PAD", "TRANSPOSE", "STRIDED_SLICE", "RESIZE_NEAREST_NEIGHBOR", "GATHER"])
    if kind == "RESHAPE":
        wide = maker.dice.choice([(int(np.prod(shape)),), (int(np.prod(shape[:-1])), shape[-1]), (1, *shape)[:3]])
        if int(np.prod(wide)) == int(np.prod(shape)):
            maker.operator(
                kind, [place, maker.sizes(maker.batch, *wide)], wide, form, "ReshapeOptions", NewShape=(maker.batch, *wide)
            )
    elif kind == "PAD":
        around = [(0, 0), *((maker.dice.randint(0, 2), maker.dice.randint(0, 2)) for _ in shape)]
        wide = tuple(size + sum(one) for size, one in zip(shape, around[1:], strict=True))
        held = maker.model.constant(f"p{len(maker.model.tensors)}", np.array(around), "INT32")
        maker.operator(kind, [place, held], wide, form, "PadOptions")
    elif kind == "TRANSPOSE":
        order = maker.dice.sample(range(rank), rank)
        held = maker.sizes(0, *(axis + 1 for axis in order))
        maker.operator(kind, [place, held], tuple(shape[axis] for axis in order), form, "TransposeOptions")
    elif kind == "STRIDED_SLICE":
        begin = [maker.dice.randrange(size) for size in shape]
        end = [maker.dice.randint(first + 1, size) for first, size in zip(begin, shape, strict=True)]
        step = [maker.dice.choice([1, 1, 2]) for _ in shape]
        wide = tuple(-(-(last - first) // one) for first, last, one in zip(begin, end, step, strict=True))
        held = [maker.sizes(first, *one) for first, one in ((0, begin), (maker.batch, end), (1, step))]
        maker.operator(kind, [place, *held], wide, form, "StridedSliceOptions")
    elif kind == "GATHER":
        axis = maker.dice.randrange(rank)
        places = [maker.dice.randrange(shape[axis]) for _ in range(maker.dice.randint(1, 4))]
        wide = (*shape[:axis], len(places), *shape[axis + 1 :])
        maker.operator(kind, [place, maker.sizes(*places)], wide, form, "GatherOptions", Axis=axis + 1)
    elif rank == 3:
        size = [maker.dice.randint(1, 9) for _ in range(2)]
        how = maker.dice.choice([{}, {"AlignCorners": True}, {"HalfPixelCenters": True}])
        maker.operator(kind, [place, maker.sizes(*size)], (*size, shape[2]), form, "ResizeNearestNeighborOptions", **how)


DRAWS = [conv] * 5 + [dense] * 2 + [two] * 4 + [beside_constant] * 2 + [pool] * 2 + [mean] * 2 + [function] * 3 + [moves] * 4


def grown(seed):
    """A maker of some operators, and the numbers of the tensors that the model gives."""
    maker = Maker(seed)
    for _ in range(maker.dice.randint(1, 7)):
        maker.dice.choice(DRAWS)(maker)
    read = {place for one in maker.model.operators for place in one[1]}
    ends = [one[0] for one in maker.values[1:] if one[0] not in read]
    return maker, ends[-3:]


def theirs(path, images, places):
    """Codes of some tensors as LiteRT's reference kernels have them."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(model_path=str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
                              experimental_preserve_all_tensors=True, num_threads=1)  # fmt: skip
    interpreter.allocate_tensors()
    found = {place: [] for place in places}
    batch = interpreter.get_input_details()[0]["shape"][0]
    for start in range(0, len(images), batch):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images[start : start + batch])
        interpreter.invoke()
        for place, values in found.items():
            values.append(interpreter.get_tensor(place).copy())
    return {place: np.concatenate(values) for place, values in found.items()}


def examine(seed, folder):
    """``equal``, ``not run``, a refusal's reason, or WRONG and RAW with what was found."""
    maker, ends = grown(seed)
    if not ends:
        return "empty"
    path = Path(folder) / "random.tflite"
    path.write_bytes(maker.model.content(outputs=ends))
    shown = f"{seed} {maker.kind} x {maker.batch}: {' ; '.join(one[0] for one in maker.model.operators)}"
    info = np.iinfo(KINDS[maker.kind])
    images = maker.numbers.integers(info.min, info.max + 1, (6, *maker.values[0][1])).astype(info.dtype)
    try:
        program, graph = lower_tflite(path), read_graph(path)
        walk = Walk(graph)
        runs = {name: run.values for name, run in program.runs(np.moveaxis(images, -1, 1))}
        check_chained(program, np.moveaxis(images, -1, 1), runs)
    except AddersimError as error:
        return reason(str(error)) if str(error).isprintable() else f"RAW {shown}: {error!r}"
    except Exception as error:  # that is what is looked for
        return f"RAW {shown}: {type(error).__name__}: {error}"
    places = [place for place, name in walk.sources.items() if name in runs]
    try:
        wanted = theirs(path, images, places)
    except Exception as error:
        return f"not run: {' '.join(str(error).split())[-90:]}"
    for place, codes in wanted.items():
        ours = runs[walk.sources[place]]
        if ours.size != codes.size or (apart := np.abs(ours.reshape(codes.shape).astype(int) - codes)).any():
            what = f"{(apart != 0).sum()} of {codes.size}, up to {apart.max()}" if ours.size == codes.size else "sizes"
            return f"WRONG tensor {place}: {what} {shown}"
    return "equal"


if __name__ == "__main__":
    search(examine, sys.argv[1:])
