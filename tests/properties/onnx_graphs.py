"""Random ONNX graphs: what is lowered gives what onnx's evaluator gives, or one line says why it is refused.

``python -m tests.properties.onnx_graphs COUNT [FIRST]`` tries many and prints how they came out.
"""

import random
import re
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from addersim import lower_onnx
from addersim.errors import LoweringError
from addersim.frontends.onnx.evaluator import definitions
from tests.properties.random_search import search

MOST_VALUES = 20_000
IMAGES = 2
I64 = np.int64


class Maker:
    """Draws nodes that onnx's evaluator can run on the values at hand."""

    def __init__(self, seed):
        self.dice, self.numbers = random.Random(seed), np.random.default_rng(seed)
        self.opset = self.dice.choice([11, 13, 17, 20, 21])
        self.shape = tuple(self.dice.randint(1, 5) for _ in range(1)) + tuple(self.dice.randint(3, 8) for _ in range(2))
        self.images = self.numbers.standard_normal((IMAGES, *self.shape)).astype(np.float32)
        self.values = {"x": self.images}
        self.nodes, self.constants = [], {}

    def constant(self, values):
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(values)
        return name

    def floats(self, *shape):
        return self.constant(self.numbers.standard_normal(shape).astype(np.float32))

    def pick(self, *ranks):
        """A value, most often a late one."""
        fitting = [name for name, value in self.values.items() if value.ndim in (ranks or (2, 3, 4, 5))]
        return self.dice.choice(fitting[-3:] if self.dice.random() < 0.8 else fitting) if fitting else None

    def size(self, name, axis):
        return self.values[name].shape[axis]

    def extend(self):
        """Append a node that runs, gives finite values, keeps the images apart in size and stays small."""
        kept = dict(self.constants)
        made = self.dice.choice(DRAWS)(self)
        if made is None:
            return
        operator, inputs, attributes, *outputs = made
        names = [f"v{len(self.nodes)}_{place}" for place in range(outputs[0] if outputs else 1)]
        domain, _, operator = operator.rpartition(".")
        if operator in ("Div", "Reciprocal", "Pow") and self.near_zero(inputs):
            return
        node = helper.make_node(operator, inputs, names, name=f"n{len(self.nodes)}", domain=domain, **attributes)
        found = self.run([node], names, {name: self.values[name] for name in dict.fromkeys(inputs) if name in self.values})
        if found is None or not all(map(plain, found)):
            self.constants = kept
            return
        self.nodes.append(node)
        self.values.update(zip(names, found, strict=True))

    def near_zero(self, inputs):
        """Whether one over a value would make much of its rounding."""
        return any(np.abs(self.values.get(name, np.ones(1))).min() < 0.05 for name in inputs)

    def run(self, nodes, names, given):
        model = self.model(nodes, names, {name: value.shape for name, value in given.items()})
        try:
            with np.errstate(all="ignore"):
                return ReferenceEvaluator(model, new_ops=definitions(self.opset)).run(None, given)
        except Exception:
            return None

    def model(self, nodes, outputs, shapes):
        inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
        made = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        ends = [helper.make_empty_tensor_value_info(name) for name in outputs]
        graph = helper.make_graph(nodes, "random", inputs, ends, made)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("addersim", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def graph(self):
        """The model, with the number of images open or not, and what its last value must be."""
        for _ in range(self.dice.randint(1, 7)):
            self.extend()
        if not self.nodes:
            return None, None
        last = self.nodes[-1].output[0]
        batch = self.dice.choice(["images", IMAGES])
        return self.model(self.nodes, [last], {"x": [batch, *self.shape]}), self.values[last]


def plain(value):
    good = isinstance(value, np.ndarray) and value.dtype == np.float32 and value.ndim and value.shape[0] == IMAGES
    return bool(good and 0 < value.size < MOST_VALUES and np.isfinite(value).all() and np.abs(value).max() < 1e2)


def conv(maker):
    name = maker.pick(3, 4)
    if name is None:
        return None
    channels, *size = maker.values[name].shape[1:]
    group = maker.dice.choice([1, 1, channels])
    kernel = [maker.dice.randint(1, 3) for _ in size]
    attributes = {"group": group, "strides": [maker.dice.randint(1, 2) for _ in size]}
    attributes["dilations"] = [maker.dice.randint(1, 2) for _ in size]
    padding(maker, attributes, len(size))
    inputs = [name, maker.floats(group * maker.dice.randint(1, 3), channels // group, *kernel)]
    if maker.dice.random() < 0.5:
        inputs.append(maker.floats(maker.constants[inputs[1]].shape[0]))
    own = maker.dice.random() < 0.15 and len(size) == 2 and group == 1 and "auto_pad" not in attributes
    return "addersim.Adder2d" if own else "Conv", inputs, attributes


def padding(maker, attributes, axes):
    kind = maker.dice.choice(["pads", "pads", "auto", "none"])
    if kind == "pads":
        attributes["pads"] = [maker.dice.randint(0, 2) for _ in range(2 * axes)]
    elif kind == "auto":
        attributes["auto_pad"] = maker.dice.choice(["SAME_UPPER", "SAME_LOWER", "VALID"])
        attributes.pop("dilations", None)


def transposed(maker):
    name = maker.pick(3, 4)
    if name is None:
        return None
    channels, *size = maker.values[name].shape[1:]
    group = maker.dice.choice([1, 1, channels])
    stride = [maker.dice.randint(1, 3) for _ in size]
    attributes = {"group": group, "strides": stride, "dilations": [maker.dice.randint(1, 2) for _ in size]}
    attributes["output_padding"] = [maker.dice.randint(0, one - 1) for one in stride]
    if maker.dice.random() < 0.5:
        attributes["pads"] = [maker.dice.randint(0, 1) for _ in range(2 * len(size))]
    return "ConvTranspose", [name, maker.floats(channels, maker.dice.randint(1, 2), *[2 for _ in size])], attributes


def pool(maker):
    name = maker.pick(3, 4)
    if name is None:
        return None
    axes = maker.values[name].ndim - 2
    kind = maker.dice.choice(["MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"])
    if kind.startswith("Global"):
        return kind, [name], {}
    attributes = {"kernel_shape": [maker.dice.randint(1, 3) for _ in range(axes)]}
    attributes["strides"] = [maker.dice.randint(1, 2) for _ in range(axes)]
    if maker.dice.random() < 0.5:
        attributes["pads"] = [maker.dice.randint(0, one - 1) for one in attributes["kernel_shape"] * 2]
    if maker.dice.random() < 0.3:
        attributes["ceil_mode"] = 1
    if kind == "AveragePool" and maker.dice.random() < 0.5:
        attributes["count_include_pad"] = 1
    return kind, [name], attributes


def product(maker):
    name = maker.pick()
    size = maker.size(name, -1)
    if maker.values[name].ndim == 2 and maker.dice.random() < 0.6:
        attributes = {"transB": maker.dice.randint(0, 1), "alpha": maker.dice.choice([1.0, 0.5]), "beta": 2.0}
        shape = (3, size) if attributes["transB"] else (size, 3)
        return "Gemm", [name, maker.floats(*shape), maker.floats(*maker.dice.choice([(3,), (1, 3), ()]))], attributes
    if maker.values[name].ndim > 2 and maker.dice.random() < 0.4:
        return "MatMul", [maker.floats(maker.dice.randint(1, 4), maker.size(name, -2)), name], {}
    return "MatMul", [name, maker.floats(*maker.dice.choice([(size, 3), (1, size, 2), (size,)]))], {}


ALIKE = [
    "Abs",
    "Ceil",
    "Cos",
    "Erf",
    "Exp",
    "Floor",
    "Identity",
    "Neg",
    "Reciprocal",
    "Relu",
    "Round",
    "Sigmoid",
    "Sign",
    "Sin",
]
ALIKE += ["Softplus", "Softsign", "Tanh", "HardSwish", "Mish", "Sqrt", "Log", "Dropout", "LeakyRelu", "Elu", "Selu", "Celu"]
ALIKE += ["HardSigmoid", "ThresholdedRelu", "Shrink", "Gelu", "Atan", "Tan"]
NUMBERS = {"LeakyRelu": ["alpha"], "Elu": ["alpha"], "Celu": ["alpha"], "HardSigmoid": ["alpha", "beta"]}
NUMBERS |= {"ThresholdedRelu": ["alpha"], "Shrink": ["lambd", "bias"]}


def alike(maker):
    operator, name = maker.dice.choice(ALIKE), maker.pick()
    attributes = {one: maker.dice.choice([0.1, 0.5, 1.0]) for one in NUMBERS.get(operator, []) if maker.dice.random() < 0.6}
    if operator == "Gelu":
        attributes = {"approximate": maker.dice.choice(["none", "tanh"])}
    return operator, [name], attributes


def clip(maker):
    low, high = sorted(round(maker.dice.uniform(-2, 2), 1) for _ in range(2))
    inputs = [maker.pick(), maker.dice.choice(["", maker.constant(np.float32(low))])]
    return "Clip", [*inputs, maker.constant(np.float32(high))] if maker.dice.random() < 0.7 else inputs, {}


def beside(maker, name):
    """A constant that goes with a value, or another value."""
    shape = maker.values[name].shape
    if maker.dice.random() < 0.5:
        others = [one for one, value in maker.values.items() if value.ndim == len(shape)]
        return maker.dice.choice(others)
    rank = maker.dice.randint(0, len(shape))
    sizes = [1 if place == -len(shape) or maker.dice.random() < 0.4 else shape[place] for place in range(-rank, 0)]
    return maker.floats(*sizes)


def two(maker):
    operator, name = maker.dice.choice(["Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean"]), maker.pick()
    inputs = [name, beside(maker, name)]
    if operator in ("Max", "Min", "Sum", "Mean"):
        inputs += [beside(maker, name) for _ in range(maker.dice.randint(0, 2))]
    maker.dice.shuffle(inputs)
    return operator, inputs, {}


def power(maker):
    exponent = maker.dice.choice([2.0, 0.5, 1.0, 3.0, -1.0, -0.5])
    return "Pow", [maker.pick(), maker.constant(np.float32(exponent))], {}


def prelu(maker):
    name = maker.pick()
    rank = maker.values[name].ndim
    shape = [maker.size(name, 1), *[1] * (rank - 2)] if maker.dice.random() < 0.7 else list(maker.values[name].shape[1:])
    return "PRelu", [name, maker.floats(*shape)], {}


def where(maker):
    name = maker.pick()
    shape = maker.values[name].shape
    condition = maker.constant(maker.numbers.random((1, *shape[1:])) < 0.5)
    inputs = [name, beside(maker, name)]
    maker.dice.shuffle(inputs)
    return "Where", [condition, *inputs], {}


def softmax(maker):
    name = maker.pick()
    axis = maker.dice.randint(-maker.values[name].ndim, maker.values[name].ndim - 1)
    return maker.dice.choice(["Softmax", "LogSoftmax"]), [name], {"axis": axis} if maker.dice.random() < 0.8 else {}


def norm(maker):
    name = maker.pick()
    shape = maker.values[name].shape
    channels = shape[1]
    kinds = ["BatchNormalization", "InstanceNormalization", "LayerNormalization", "GroupNormalization", "LRN"]
    kind = maker.dice.choice([*kinds, "LpNormalization", "MeanVarianceNormalization"])
    if kind == "BatchNormalization":
        spread = maker.constant(maker.numbers.random(channels).astype(np.float32) + 0.5)
        inputs = [name, *(maker.floats(channels) for _ in range(3)), spread]
        return kind, inputs, maker.dice.choice([{}, {"epsilon": 0.01}])
    if kind == "InstanceNormalization":
        return kind, [name, maker.floats(channels), maker.floats(channels)], {"epsilon": 0.1}
    if kind == "LayerNormalization":
        axis = maker.dice.randint(1, len(shape) - 1)
        return kind, [name, maker.floats(*shape[axis:]), maker.floats(*shape[axis:])], {"axis": axis, "epsilon": 0.1}
    if kind == "GroupNormalization":
        groups = maker.dice.choice([one for one in range(1, channels + 1) if channels % one == 0])
        size = groups if maker.opset < 21 else channels
        return kind, [name, maker.floats(size), maker.floats(size)], {"num_groups": groups, "epsilon": 0.1}
    return plain_norm(maker, kind, name, shape)


def plain_norm(maker, kind, name, shape):
    if kind == "LRN":
        return kind, [name], {"size": maker.dice.randint(1, 5), "alpha": 0.5, "beta": 0.75, "bias": 2.0}
    if kind == "LpNormalization":
        axis = maker.dice.randint(-1, len(shape) - 1)
        flat = np.linalg.norm(maker.values[name], axis=axis).min() < 0.05
        return None if flat else (kind, [name], {"axis": axis, "p": maker.dice.choice([1, 2])})
    axes = maker.dice.choice([[2, 3], [1], [1, 2, 3]])
    flat = max(axes) >= len(shape) or maker.values[name].std(tuple(axes)).min() < 0.05
    return None if flat else (kind, [name], {"axes": axes})


def reduce(maker):
    name = maker.pick()
    rank = maker.values[name].ndim
    axes = sorted(maker.dice.sample(range(1, rank), maker.dice.randint(1, rank - 1)))
    axes = [axis - rank if maker.dice.random() < 0.3 else axis for axis in axes]
    kind = maker.dice.choice(["Mean", "Sum", "Max", "Min", "L1", "L2", "SumSquare", "LogSum"])
    inputs = maker.opset >= (13 if kind == "Sum" else 18)
    attributes = {} if inputs else {"axes": axes}
    attributes["keepdims"] = maker.dice.randint(0, 1)
    return f"Reduce{kind}", [name, maker.constant(np.array(axes, I64))] if inputs else [name], attributes


def concatenate(maker):
    name = maker.pick()
    shape = maker.values[name].shape
    axis = maker.dice.randint(1, len(shape) - 1)
    rest = (*shape[:axis], *shape[axis + 1 :])
    fitting = [
        one for one, v in maker.values.items() if v.ndim == len(shape) and (*v.shape[:axis], *v.shape[axis + 1 :]) == rest
    ]
    return "Concat", [maker.dice.choice(fitting) for _ in range(maker.dice.randint(1, 3))] + [name], {"axis": axis}


def split(maker):
    name = maker.pick()
    axis = maker.dice.randint(1, maker.values[name].ndim - 1)
    size = maker.size(name, axis)
    if size < 2:
        return None
    first = maker.dice.randint(1, size - 1)
    sizes = [first, size - first]
    if maker.opset < 13:
        return "Split", [name], {"axis": axis, "split": sizes}, 2
    return "Split", [name, maker.constant(np.array(sizes, I64))], {"axis": axis}, 2


def cut(maker):
    name = maker.pick()
    rank = maker.values[name].ndim
    axes = maker.dice.sample(range(1, rank), maker.dice.randint(1, rank - 1))
    steps = [maker.dice.choice([1, 1, 2, -1, -2]) for _ in axes]
    ends = [(maker.dice.choice([0, 1, -3]), maker.dice.choice([1 << 31, 3, -1])) for _ in axes]
    ends = [
        (stop if step < 0 else start, -(1 << 31) if step < 0 else stop)
        for step, (start, stop) in zip(steps, ends, strict=True)
    ]
    starts, stops = zip(*ends, strict=True)
    return "Slice", [name, *(maker.constant(np.array(one, I64)) for one in (starts, stops, axes, steps))], {}


def gather(maker):
    name = maker.pick()
    axis = maker.dice.randint(1, maker.values[name].ndim - 1)
    size = maker.size(name, axis)
    shape = maker.dice.choice([(), (2,), (3,), (2, 2)])
    places = maker.numbers.integers(-size, size, shape).astype(I64)
    return "Gather", [name, maker.constant(places)], {"axis": axis}


def order(maker):
    name = maker.pick()
    rest = list(range(1, maker.values[name].ndim))
    maker.dice.shuffle(rest)
    return "Transpose", [name], {"perm": [0, *rest]}


def rename(maker):
    name = maker.pick()
    shape = maker.values[name].shape
    kind = maker.dice.choice(["Flatten", "Reshape", "Unsqueeze", "Squeeze"])
    if kind == "Flatten":
        return kind, [name], maker.dice.choice([{}, {"axis": 1}, {"axis": 1 - len(shape)}])
    if kind == "Reshape":
        total = int(np.prod(shape[1:]))
        one = maker.dice.choice([size for size in range(1, total + 1) if total % size == 0])
        target = maker.dice.choice([[0, one, -1], [-1, one, total // one], [0, -1], [0, 0, -1], [-1, one, 1, total // one]])
        return kind, [name, maker.constant(np.array(target, I64))], {}
    axes = [maker.dice.randint(1, len(shape))] if kind == "Unsqueeze" else [a for a, s in enumerate(shape) if a and s == 1]
    if not axes or (kind == "Unsqueeze" and len(shape) > 3):
        return None
    if maker.opset < 13:
        return kind, [name], {"axes": axes}
    return kind, [name, maker.constant(np.array(axes, I64))], {}


def repeat(maker):
    name = maker.pick()
    shape = maker.values[name].shape
    if maker.dice.random() < 0.5:
        return "Tile", [name, maker.constant(np.array([1, *(maker.dice.randint(1, 2) for _ in shape[1:])], I64))], {}
    return "Expand", [name, maker.constant(np.array([1, *(3 if size == 1 else size for size in shape[1:])], I64))], {}


def pad(maker):
    name = maker.pick()
    mode = maker.dice.choice(["constant", "constant", "reflect", "edge", *["wrap"] * (maker.opset >= 19)])
    low = -1 if mode == "constant" else 0
    pads = [0 if not axis else maker.dice.randint(low, 2) for _ in range(2) for axis in range(maker.values[name].ndim)]
    inputs = [name, maker.constant(np.array(pads, I64))]
    if mode == "constant" and maker.dice.random() < 0.5:
        inputs.append(maker.constant(np.float32(maker.dice.choice([0, 1.5, -2]))))
    return "Pad", inputs, {"mode": mode}


def blocks(maker):
    name = maker.pick(4)
    if name is None:
        return None
    if maker.dice.random() < 0.5:
        return "SpaceToDepth", [name], {"blocksize": 2}
    return "DepthToSpace", [name], {"blocksize": 2, "mode": maker.dice.choice(["DCR", "CRD"])}


def resize(maker):
    name = maker.pick(3, 4)
    if name is None:
        return None
    size = maker.values[name].shape[2:]
    attributes = {"mode": maker.dice.choice(["nearest", "linear"])}
    # Not half_pixel_symmetric: its places are whole numbers but for rounding, which evaluators see differently.
    places = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]
    attributes["coordinate_transformation_mode"] = maker.dice.choice(places)
    if attributes["mode"] == "nearest":
        attributes["nearest_mode"] = maker.dice.choice(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
    if maker.dice.random() < 0.5:
        sizes = [IMAGES, maker.size(name, 1), *(maker.dice.randint(1, 2 * one) for one in size)]
        return "Resize", [name, "", "", maker.constant(np.array(sizes, I64))], attributes
    scales = [1.0, 1.0, *(maker.dice.choice([0.5, 1.0, 1.5, 2.0, 2.6]) for _ in size)]
    if 1 in (int(one * scale) for one, scale in zip(size, scales[2:], strict=True)):
        return None  # of one position evaluators have different opinions
    return "Resize", [name, "", maker.constant(np.array(scales, np.float32))], attributes


DRAWS = [conv] * 3 + [alike] * 4 + [two] * 4 + [pool] * 2 + [norm] * 2 + [reduce] * 2 + [rename] * 2 + [order] * 2
DRAWS += [transposed, product, product, clip, power, prelu, where, softmax, concatenate, split, cut, gather, repeat, pad]
DRAWS += [blocks, resize, resize]


def examine(seed, folder):
    """``lowered``, or why not: the words of a refusal; ``WRONG`` or ``RAW`` with what was found."""
    maker = Maker(seed)
    model, wanted = maker.graph()
    if model is None:
        return "empty"
    path = Path(folder) / "random.onnx"
    onnx.save(model, path)
    shown = f"seed {seed}: {' ; '.join(node.op_type for node in maker.nodes)}"
    try:
        network = lower_onnx(path, check=False)
        last = "layout" in network.metadata
        images = np.ascontiguousarray(np.moveaxis(maker.images, -1, 1)) if last else maker.images
        values = [value for _, value in network.values(images)][-1]
    except LoweringError as error:
        return reason(str(error))
    except Exception as error:  # that is what is looked for
        return f"RAW {shown}: {type(error).__name__}: {error}"
    found = np.moveaxis(values, -1, 1)
    wanted = wanted[:, None] if wanted.ndim == 1 else wanted
    largest = max(float(np.abs(wanted).max()), 1e-2)
    fine = found.shape == wanted.shape and float(np.abs(found - wanted).max()) <= 1e-4 * largest
    return "lowered" if fine else f"WRONG {shown}: {found.shape} {wanted.shape}"


def reason(text):
    """A refusal without what differs from one to the next."""
    what = text.partition("no layer: ")[2] or text.partition(": ")[2]
    return "refused: " + re.sub(r"node '[^']*'|[\d(\[].*", "", what)[:70]


if __name__ == "__main__":
    search(examine, sys.argv[1:])
