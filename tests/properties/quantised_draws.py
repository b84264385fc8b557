"""Draws of quantised ONNX graphs: each appends an operator and the quantiser behind it, or does nothing."""

import numpy as np

from tests.properties.quantised_maker import GENERAL, MICROSOFT

F32, I64 = np.float32, np.int64
MOST_VALUES = 4000


def window_sizes(maker, size):
    """Attributes of a window over an image, uneven and beyond what is usual."""
    dice = maker.dice
    kernel = [dice.randint(1, 3) for _ in size]
    dilations = [dice.choice([1, 1, 1, 2]) for _ in size]
    if dice.random() < 0.2:
        how = {"auto_pad": dice.choice(["SAME_UPPER", "SAME_LOWER", "VALID"])}
    else:
        how = {"pads": [dice.randint(0, 2) for _ in range(4)]}
    return kernel, how | {"dilations": dilations, "strides": [dice.choice([1, 1, 2, 3]) for _ in size]}


def conv(maker):
    value = maker.pick(4)
    if value is None:
        return
    channels, size = value.reals.shape[1], value.reals.shape[2:]
    kernel, how = window_sizes(maker, size)
    groups = maker.dice.choice([1, 1, channels, *[one for one in (2, 3, 4) if channels % one == 0]])
    filters = groups * maker.dice.randint(1, max(1, 8 // groups))
    how |= {"group": groups, "kernel_shape": kernel}
    weighted(maker, "Conv", value, (filters, channels // groups, *kernel), 0, how, filters)


def transposed(maker):
    value = maker.pick(4)
    if value is None or maker.style == "qoperator":
        return
    channels = value.reals.shape[1]
    groups = maker.dice.choice([1, 1, *[one for one in (2, 3) if channels % one == 0]])
    kernel = [maker.dice.randint(1, 3) for _ in range(2)]
    strides = [maker.dice.randint(1, 2) for _ in range(2)]
    how = {"group": groups, "strides": strides, "pads": [maker.dice.randint(0, 1) for _ in range(4)], "kernel_shape": kernel}
    if maker.dice.random() < 0.3:
        how["output_padding"] = [maker.dice.randint(0, one - 1) for one in strides]
    each = maker.dice.randint(1, 3)
    weighted(maker, "ConvTranspose", value, (channels, each, *kernel), 1, how, each * groups)


def dense(maker):
    value = maker.pick(2)
    if value is None:
        return
    outputs, inputs = maker.dice.randint(1, 7), value.reals.shape[1]
    if maker.dice.random() < 0.5:
        across = maker.dice.random() < 0.5
        how = {"transB": int(across)}
        weighted(maker, "Gemm", value, (outputs, inputs) if across else (inputs, outputs), 1 - across, how, outputs)
    else:
        weighted(maker, "MatMul", value, (inputs, outputs), 1, {}, 0)


def product(maker):
    value = maker.pick(3, 4)
    if value is not None:
        weighted(maker, "MatMul", value, (value.reals.shape[-1], maker.dice.randint(1, 5)), 1, {}, 0)


def weighted(maker, operator, value, shape, axis, how, filters):
    """A window or product, perhaps with a bias and a bound behind it; `filters` is 0 where it takes no bias."""
    held = maker.weights(shape, axis)
    codes, scale, zero, reals, wide = held
    bias = maker.bias(value.scale, wide, filters) if filters and np.size(wide) in (1, filters) else None
    given = [value.reals, reals, *([] if bias is None else [bias[2]])]
    found = maker.run(operator, given, how)
    if not fits(found):
        return
    if maker.style == "qoperator" and maker.dice.random() < 0.8 and operator in ("Conv", "MatMul", "Gemm"):
        form = maker.step(np.abs(found).max()), maker.zero()
        ends = [maker.constant(one) for one in form]
        inputs = [value.name, maker.constant(value.scale), maker.constant(value.zero)]
        inputs += [maker.constant(codes), maker.constant(scale), maker.constant(zero)]
        sums = [] if bias is None else [maker.constant(bias[0])]
        if operator == "Conv":
            name = maker.node("QLinearConv", [*inputs, *ends, *sums], **how)
        elif operator == "MatMul":
            name = maker.node("QLinearMatMul", [*inputs, *ends])
        else:
            name = maker.node("QGemm", [*inputs, *(sums or [""]), *ends], domain=MICROSOFT, **how)
        maker.keep(name, found, *form)
        return
    inputs = [maker.real(value), maker.weight_reals(*held, axis), *maker.bias_reals(bias)]
    name = maker.node(operator, inputs, **how)
    bounded(maker, name, found)


def bounded(maker, name, found):
    """Codes of reals, perhaps behind a function."""
    kind, form = maker.dice.random(), None
    if kind < 0.3:
        name, found = maker.node("Relu", [name]), np.maximum(found, 0)
    elif kind < 0.45:
        ends = np.sort(maker.numbers.standard_normal(2).astype(F32) * np.abs(found).max() / 2)
        if maker.dice.random() < 0.5:
            ends[0] = 0
            ends = np.sort(ends)
        if ends[0] < ends[1]:
            name = maker.node("Clip", [name, *(maker.constant(one) for one in ends)])
            found = np.clip(found, *ends)
    elif kind < 0.55:
        plain = {"HardSigmoid", "LeakyRelu", "Neg"}  # where codes round up it counts what a runtime's own functions end in
        operator = maker.dice.choice(sorted(plain if maker.style == "qonnx" else FUNCTIONS))
        made = None if operator == "HardSwish" and maker.opset < 14 else maker.run(operator, [found], FUNCTIONS[operator])
        if (
            fits(made) and np.abs(made).max() > PLAIN
        ):  # at a scale that fits: far smaller ones show what a runtime's own functions end in, as ties do
            maker.approximate = True
            name, found = maker.node(operator, [name], **FUNCTIONS[operator]), made
            form = F32(2.0 ** np.ceil(np.log2(np.abs(found).max() / 127))), maker.zero()
    maker.coded(name, found, form)


def two(maker):
    first = maker.pick()
    if first is None:
        return
    others = [one for one in maker.values if one.reals.shape == first.reals.shape]
    second = maker.dice.choice(others[-4:])
    operator = maker.dice.choice(["Add", "Add", "Mul", "Sub", "Concat"])
    how = {"axis": maker.dice.randint(1, first.reals.ndim - 1)} if operator == "Concat" else {}
    found = maker.run(operator, [first.reals, second.reals], how)
    if not fits(found):
        return
    if maker.style == "qoperator" and operator in ("Add", "Mul", "Concat") and maker.dice.random() < 0.7:
        form = maker.step(np.abs(found).max()), first.zero if operator != "Concat" else maker.zero()
        ends = [maker.constant(one) for one in form]
        parts = [[one.name, maker.constant(one.scale), maker.constant(one.zero)] for one in (first, second)]
        inputs = [*parts[0], *parts[1], *ends] if operator != "Concat" else [*ends, *parts[0], *parts[1]]
        maker.keep(maker.node(f"QLinear{operator}", inputs, domain=MICROSOFT, **how), found, *form)
        return
    name = maker.node(operator, [maker.real(first), maker.real(second)], **how)
    bounded(maker, name, found)


def pool(maker):
    value = maker.pick(4)
    if value is None:
        return
    pools = ["MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"]
    operator = maker.dice.choice([*pools, "ReduceMean", "ReduceMax", "ReduceSum"])
    how = {}
    if operator in ("MaxPool", "AveragePool"):
        kernel, how = window_sizes(maker, value.reals.shape[2:])
        how = {key: one for key, one in how.items() if key != "dilations" or (operator == "MaxPool" or maker.opset >= 19)}
        how |= {"kernel_shape": kernel, "ceil_mode": int(maker.dice.random() < 0.3)}
        if "pads" in how:
            how["pads"] = [min(one, far - 1) for one, far in zip(how["pads"], [*kernel, *kernel], strict=True)]
        if operator == "AveragePool":
            how["count_include_pad"] = int(maker.dice.random() < 0.4)
    arrays, inputs = [value.reals], []
    if operator.startswith("Reduce"):
        how = {"keepdims": int(maker.dice.random() < 0.7)}
        axes = [2, 3] if maker.dice.random() < 0.5 else sorted(maker.dice.sample([1, 2, -1], maker.dice.randint(1, 3)))
        if maker.opset >= 18 or operator == "ReduceSum":
            arrays.append(np.array(axes, I64))
            inputs = [maker.constant(arrays[1])]
        else:
            how["axes"] = axes
    found = maker.run(operator, arrays, how)
    if not fits(found):
        return
    if operator in ("MaxPool", "GlobalMaxPool") and maker.dice.random() < 0.6:  # the same format, as exporters write it
        name = maker.node(operator, [maker.real(value), *inputs], **how)
        maker.coded(name, found, (value.scale, value.zero))
    elif maker.style == "qoperator" and operator in ("AveragePool", "GlobalAveragePool") and maker.dice.random() < 0.7:
        form = maker.step(np.abs(found).max()), value.zero
        names = [value.name, *map(maker.constant, (value.scale, value.zero, *form))]
        how = {key: one for key, one in how.items() if key != "dilations"}
        if operator == "AveragePool" and maker.run(operator, arrays, how) is None:
            return
        found = maker.run(operator, arrays, how)
        how |= {"channels_last": 0}
        maker.keep(maker.node(f"QLinear{operator}", names, domain=MICROSOFT, **how), found, *form)
    else:
        maker.coded(maker.node(operator, [maker.real(value), *inputs], **how), found)


FUNCTIONS = {
    "Sigmoid": {}, "Tanh": {}, "HardSwish": {}, "HardSigmoid": {"alpha": 0.3, "beta": 0.4}, "LeakyRelu": {"alpha": 0.2},
    "Abs": {}, "Neg": {}, "Relu": {}, "Elu": {"alpha": 0.5}, "Softplus": {}, "Erf": {}, "Exp": {}, "Softsign": {},
    "Selu": {}, "Floor": {}, "Sign": {}, "ThresholdedRelu": {"alpha": 0.5},
}  # fmt: skip


DIFFERENCES = ("Elu", "Selu")
"""Functions that take one off an exponential: of far smaller numbers than PLAIN their last bits are the framework's own."""
PLAIN = 1e-2


def function(maker):
    value = maker.pick()
    operator = maker.dice.choice(sorted(FUNCTIONS))
    if value is None or (operator == "HardSwish" and maker.opset < 14):
        return
    found = maker.run(operator, [value.reals], FUNCTIONS[operator])
    if fits(found) and (np.abs(found).max() > PLAIN or operator not in DIFFERENCES):
        maker.coded(maker.node(operator, [maker.real(value)], **FUNCTIONS[operator]), found)


def beside_constant(maker):
    value = maker.pick()
    operator = maker.dice.choice(["Add", "Mul", "Sub", "Div", "Min", "Max"])
    if value is None:
        return
    shape = maker.dice.choice([(), (1,), (value.reals.shape[1], *[1] * (value.reals.ndim - 2)), value.reals.shape[1:]])
    number = (maker.numbers.standard_normal(shape) * max(np.abs(value.reals).max(), F32(1e-6))).astype(F32)
    number = np.where(number == 0, F32(1), number).astype(F32)
    number = (np.sign(number) * F32(2.0) ** np.round(np.log2(np.abs(number)))).astype(F32) if maker.exact else number
    swap = maker.dice.random() < 0.3 and operator != "Div"
    arrays = [number, value.reals] if swap else [value.reals, number]
    found = maker.run(operator, arrays, {})
    if not fits(found):
        return
    name = maker.constant(number)
    if maker.style == "qonnx" or maker.dice.random() < 0.5:
        held = name
    else:
        scale = maker.step(np.abs(number).max())
        zero = maker.zero()
        places = [maker.constant(scale), maker.constant(zero)]
        held = maker.node("DequantizeLinear", [maker.node("QuantizeLinear", [name, *places]), *places])
        ends = np.iinfo(zero.dtype)
        number = ((np.clip(np.rint(number / scale) + F32(zero), ends.min, ends.max) - F32(zero)) * scale).astype(F32)
        found = maker.run(operator, [number, value.reals] if swap else [value.reals, number], {})
        if not fits(found):
            return
    real = maker.real(value)
    maker.coded(maker.node(operator, [held, real] if swap else [real, held]), found)


def transpose(maker, value, axis):
    order = [*range(1, value.reals.ndim)]
    maker.dice.shuffle(order)
    return "Transpose", [], {"perm": [0, *order]}


def flatten(maker, value, axis):
    return "Flatten", [], {}


def reshape(maker, value, axis):
    words = int(np.prod(value.reals.shape[1:]))
    first = maker.dice.choice([one for one in range(1, 9) if words % one == 0])
    return "Reshape", [np.array(maker.dice.choice([[-1, first, words // first], [0, -1]]), I64)], {}


def cut(maker, value, axis):
    begin, end, by = maker.dice.choice([(0, 1000, 2), (1, 1000, 1), (0, -1, 1), (-1, -1000, -1), (-2, -1000, -2)])
    return "Slice", [np.array([one], I64) for one in (begin, end, axis, by)], {}


def pad(maker, value, axis):
    mode, rank = maker.dice.choice(["constant", "constant", "edge", "reflect"]), value.reals.ndim
    least = 0 if mode != "constant" else -1
    pads = [0 if not place else max(least, maker.dice.choice([-1, 0, 0, 1, 2])) for _ in range(2) for place in range(rank)]
    return "Pad", [np.array(pads, I64)], {"mode": mode}


def resize(maker, value, axis):
    how = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    sizes = np.array([1, 1, maker.dice.choice([1, 2, 3]), 2], F32)
    return ("Resize", [None, sizes], how) if value.reals.ndim == 4 else None


def unsqueeze(maker, value, axis):
    return "Unsqueeze", [np.array([maker.dice.randint(1, value.reals.ndim)], I64)], {}


def gather(maker, value, axis):
    size = value.reals.shape[axis]
    places = [maker.dice.randrange(-size, size) for _ in range(maker.dice.randint(1, 4))]
    return "Gather", [np.array(places, I64)], {"axis": axis}


def split(maker, value, axis):
    how = {"axis": axis} | ({"num_outputs": 2} if maker.opset >= 18 else {})
    return None if value.reals.shape[axis] % 2 else ("Split", [], how)


MOVES = (transpose, flatten, reshape, cut, pad, resize, unsqueeze, gather, split)


def moves(maker):
    """What computes nothing: on reals between quantisers of one format or of two, or on codes themselves."""
    value = maker.pick()
    if value is None:
        return
    drawn = maker.dice.choice(MOVES)(maker, value, maker.dice.randrange(1, value.reals.ndim))
    if drawn is None:
        return
    kind, more, how = drawn
    found = maker.run(kind, [value.reals, *more], how)
    if not fits(found) or found.ndim > 4:
        return
    names = [maker.constant(one) if one is not None else "" for one in more]
    outputs = [maker.new(), maker.new()] if kind == "Split" else None
    codes = maker.style != "qonnx" and kind not in ("Pad", "Resize") and maker.dice.random() < 0.3
    made = maker.node(kind, [value.name if codes else maker.real(value), *names], outputs, **how)
    if codes:
        maker.keep(made, found, value.scale, value.zero)
    else:
        maker.coded(made, found, (value.scale, value.zero) if maker.dice.random() < 0.7 else None)


def again(maker):
    """Other codes of what codes stand for."""
    value = maker.pick()
    if value is not None:
        maker.coded(maker.real(value), value.reals)


def signs(maker):
    """Signs of a value, with a scale."""
    value = maker.pick()
    if value is None or maker.style != "qonnx":
        return
    scale = maker.step(np.abs(value.reals).max() * 50)
    made = maker.node("BipolarQuant", [value.name, maker.constant(scale)], domain=GENERAL)
    maker.keep(made, np.where(value.reals >= 0, scale, -scale).astype(F32), scale, np.int8(0))


def dropped(maker):
    """Codes without some of their low bits."""
    value = maker.pick()
    if value is None or maker.style != "qonnx":
        return
    kept, dice = maker.dice.randint(2, 8), maker.dice
    numbers = [value.scale, F32(0), F32(8), F32(kept)]
    how = {"rounding_mode": dice.choice(["FLOOR", "ROUND", "CEIL", "HALF_UP", "DOWN"])}
    scale = value.scale
    if maker.general == 2:
        scale = value.scale * F32(2.0 ** dice.randint(0, 4))
        numbers = [*numbers[:3], scale, numbers[3]]
        how |= {"signed": int(value.zero.dtype == np.int8), "narrow": dice.randint(0, 1)}
    made = maker.node("Trunc", [value.name, *map(maker.constant, numbers)], domain=GENERAL, **how)
    reals = value.reals if maker.general == 2 else value.reals / F32(2.0 ** (8 - kept))
    maker.keep(made, np.floor(reals / scale) * scale, scale, value.zero)


def thresholds(maker):
    """Levels that sums or codes reach, a row a channel or one for all; perhaps of sums of whole weights."""
    value, dice = maker.pick(2, 4), maker.dice
    if value is None or maker.style != "qonnx":
        return
    name, reals = value.name, value.reals
    if dice.random() < 0.6:
        weights = maker.numbers.integers(-1, 2, (4, reals.shape[1], *[1] * (reals.ndim - 2))).astype(F32)
        weights = weights if reals.ndim == 4 else weights.T
        operator = "Conv" if reals.ndim == 4 else "MatMul"
        found = maker.run(operator, [reals, weights], {})
        if not fits(found):
            return
        name, reals = maker.node(operator, [name, maker.constant(weights)]), found
    rows, levels = dice.choice([1, reals.shape[1]]), dice.choice([1, 3, 15])
    held = np.sort(maker.numbers.choice(reals.reshape(-1), (rows, levels)), axis=1).astype(F32)
    held = held if maker.exact else (held + F32(np.ptp(reals) * 0.00137)).astype(F32)  # not where a sum is
    scale, bias = dice.choice([(1.0, 0.0), (0.5, -1.0), (2.0, -1.0), (0.25, 1.0), (1.0, -float(levels // 2 + 1))])
    how = {"out_scale": scale, "out_bias": bias, "out_dtype": "INT8"}
    made = maker.node("MultiThreshold", [name, maker.constant(held)], domain=GENERAL, **how)
    wide = held.reshape(1, rows, *[1] * (reals.ndim - 2), levels)
    counted = (reals[..., None] >= wide).sum(-1).astype(F32)
    maker.keep(
        made,
        (counted * F32(scale) + F32(bias)).astype(F32),
        F32(scale if (bias / scale).is_integer() else scale / 2),
        np.int8(0),
    )


def fits(found):
    return (
        found is not None and found.ndim >= 2 and 0 < found.size <= MOST_VALUES and np.isfinite(found).all()
        and 1e-25 < np.abs(found).max(initial=0) < 1e25
    )  # fmt: skip


DRAWS = [conv] * 5 + [transposed, dense, dense, product] + [two] * 4 + [pool] * 3 + [function] * 2
DRAWS += [beside_constant] * 2 + [moves] * 4 + [again, signs, dropped, thresholds]
