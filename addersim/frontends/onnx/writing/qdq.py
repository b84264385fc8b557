"""What each kind of layer becomes between DequantizeLinear and QuantizeLinear, so that a runtime computes it in integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace as replace_field
from types import MappingProxyType
from typing import Any

import numpy as np
from msgspec.structs import replace

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import NetworkError
from addersim.frontends.onnx.writing.held import Array, Held, held_weights, weight_scales
from addersim.frontends.onnx.writing.nodes import FLOAT, INT32, MOST_BITS, Nodes
from addersim.frontends.onnx.writing.products import Products, products_of, signs_of
from addersim.frontends.onnx.writing.steps import step_of_affine, step_of_thresholds
from addersim.layers import (
    IntegerAdd,
    IntegerAffine,
    IntegerAveragePool,
    IntegerClip,
    IntegerConcat,
    IntegerLayer,
    IntegerMaxPool,
    IntegerMove,
    IntegerRelu,
    IntegerRescale,
    IntegerRescaledAdd,
    IntegerTable,
    IntegerThresholds,
    IntegerWindow,
)
from addersim.layers.move import Permute, Reshape, Step
from addersim.program import Program

__all__ = ["RULE", "Writer", "activation"]

RULE = "ort"
"""The rule by which ONNX Runtime brings sums to codes."""
_INT32 = np.iinfo(np.int32)


class Writer:
    """A program's layers as nodes, and the layers as they are in the file: gains are what float32 scales make of them.

    Attributes
    ----------
    style
        What the file is called in messages.
    """

    style, rule = "ONNX QDQ", RULE

    def __init__(self, program: Program, image: str, nodes: Nodes) -> None:
        self.nodes = nodes
        self.values = program.static_values()
        self._codes = {"input": image}
        self._windows: dict[str, Products] = {}

    def write(self, layer: IntegerLayer) -> IntegerLayer:
        """Append a layer; the layer as the file has it."""
        for name in layer.inputs:
            if name in self._windows and not isinstance(layer, READ_SUMS):
                raise NetworkError(f"layer {layer.name}: reads the sums of layer {name}; {self.style} has codes of sums only")
        row = ROWS.get(type(layer))
        if row is None:
            known = ", ".join(dict.fromkeys(kind.kind() for kind in ROWS))
            raise NetworkError(f"layer {layer.name}: {self.style} has no {layer.kind()} layer; it has {known}")
        return row(self, layer)

    def form(self, name: str) -> FixedFormat:
        """Format of a value that is no sum."""
        value = self.values[name]
        return FixedFormat(value.bits, value.signed, value.scale, value.zero_point)

    def held(self, name: str) -> Held:
        """How a layer's codes lie in the file."""
        return self.nodes.held(name, self.form(name))

    def reals(self, name: str) -> str:
        """What a layer's codes stand for."""
        return self.nodes.reals(self._codes[name], self.form(name))

    def codes(self, name: str) -> str:
        """The tensor of a layer's codes."""
        return self._codes[name]

    def give(self, name: str, reals: str, low: int | None = None, high: int | None = None) -> None:
        """The codes that a layer gives, of reals."""
        self._codes[name] = self.nodes.codes(reals, name, self.form(name), low, high)

    def pass_on(self, name: str, codes: str) -> None:
        """A layer's codes, which are there already."""
        self._codes[name] = codes

    def look_up(self, layer: IntegerTable, entries: Array) -> None:
        """A layer's codes as entries of a table of reals, of which a quantiser says the format."""
        name = layer.name
        first, places = self.places(layer)
        reals = np.concatenate([np.zeros(first, np.float32), self.form(name).decode(entries).astype(np.float32)])
        table = self.nodes.constant(f"{name}.table", reals)
        self.give(name, self.nodes.add("Gather", [table, places], self.nodes.unique(f"{name}.entries"), axis=0))

    def places(self, layer: IntegerTable) -> tuple[int, str]:
        """Where in a table the entry of the least code stands, and the whole numbers by which codes look theirs up."""
        source = layer.inputs[0]
        places = self.nodes.step("Cast", self.codes(source), f"{layer.name}.places", to=INT32)
        return layer.source.minimum + self.held(source).moved, places

    def keep_window(self, layer: IntegerWindow) -> IntegerLayer:
        """Note a window, which is written with what narrows its sums."""
        found = products_of(layer, self.style)
        if DATAPATHS[layer.datapath].arithmetic.kernel == "xnor" and self.values[found.source].bits > 1:
            found = replace_field(found, source=self._signs(layer))
        self._windows[layer.name] = found
        return layer

    def _signs(self, layer: IntegerWindow) -> str:
        """The signs of wider codes, for a window that compares signs."""
        name = self.nodes.unique(f"{layer.name}.signs")
        signs = signs_of(name, layer.inputs[0], self.rule)
        self.values[name] = signs.value(self.values[layer.inputs[0]])
        _rescale(self, signs)
        return name

    def window(self, name: str) -> Products | None:
        return self._windows.get(name)

    def sums(
        self, layer: IntegerRescale | IntegerAveragePool, weights: Array, bias: Array, gains: Array, **moves: Any
    ) -> Array:
        """A convolution of codes by whole weights; the gains that the file has of it. A negative gain turns weights round."""
        source, turned = moves.pop("source"), np.sign(gains).astype(np.int64)
        weights = (weights * turned[:, None, None, None]).transpose(0, 3, 1, 2)
        gains, bias = np.where(turned, np.abs(gains), 1.0), bias * turned
        if bias.min() < _INT32.min or bias.max() > _INT32.max:
            raise NetworkError(f"layer {layer.name}: biases {bias.min()}..{bias.max()}; {self.style} holds them in 32 bits")
        flat, place = len(self.values[source].shape) == 1, layer.name
        image = self.codes(source)
        if flat:
            image, place = self._reshaped(image, layer.name, (-1, 1, 1)), self.nodes.unique(f"{layer.name}.pixel")
        write = self._narrowed if self.form(layer.name).bits <= MOST_BITS else self._wide
        found, result = write(layer, place, image, source, (weights, bias.astype(np.int32)), gains, moves)
        self.pass_on(layer.name, self._reshaped(result, layer.name, (-1,), layer.name) if flat else result)
        return found.astype(np.float64) * turned

    def _narrowed(
        self, layer: Any, place: str, image: str, source: str, weighted: Any, gains: Array, moves: Any
    ) -> tuple[Array, str]:
        """Sums and their codes of at most 8 bits, between DequantizeLinear and QuantizeLinear."""
        (whole, bias), given, output = weighted, self.form(source), self.form(layer.name)
        weights, zero = held_weights(layer.name, whole)
        self.nodes.held(source, given)
        scales, found = weight_scales(gains, np.array(given.scale, np.float32), np.array(output.scale, np.float32))
        inputs = [self._constant(layer.name, "weights", weights, scales, np.broadcast_to(zero, scales.shape))]
        inputs.append(self._constant(layer.name, "bias", bias, np.float32(given.scale) * scales))
        reals = self.nodes.reals(image, given)
        result = self.nodes.add("Conv", [reals, *inputs], self.nodes.unique(f"{layer.name}.sums"), **moves)
        return found, self.nodes.codes(result, place, output, *activation(layer))

    def _wide(
        self, layer: Any, place: str, image: str, source: str, weighted: Any, gains: Array, moves: Any
    ) -> tuple[Array, str]:
        """Sums in integers and their wide codes by the rule's own steps, for which runtimes have no kernel."""
        (whole, bias), name, form = weighted, layer.name, self.form(layer.name)
        weights, zero = held_weights(name, whole)
        if form.zero_point:
            raise NetworkError(f"layer {name}: {form}; ONNX QDQ has zero points of codes of at most {MOST_BITS} bits")
        found, step = gains.astype(np.float32), self.nodes.step
        sums = step("ConvInteger", image, f"{name}.products", weights, self.held(source).zero_point, zero, **moves)
        sums = step("Add", sums, f"{name}.sums", bias[:, None, None])
        reals = step("Cast", sums, f"{name}.sums.real", to=FLOAT)
        steps = step("Mul", reals, f"{name}.steps", found[:, None, None])
        return found, self.nodes.rounded(steps, place, form, *activation(layer))

    def _constant(self, name: str, what: str, codes: Array, scales: Array, zero: Array | None = None) -> str:
        held = [("", codes), (".scale", scales), *([] if zero is None else [(".zero", np.ascontiguousarray(zero))])]
        names = [self.nodes.constant(f"{name}.{what}{part}", np.ascontiguousarray(one)) for part, one in held]
        return self.nodes.add("DequantizeLinear", names, self.nodes.unique(f"{name}.{what}.real"), axis=0)

    def _reshaped(self, codes: str, name: str, shape: tuple[int, ...], output: str | None = None) -> str:
        target = self.nodes.constant(f"{name}.shape", np.array([0, *shape], np.int64))
        return self.nodes.add("Reshape", [codes, target], output or self.nodes.unique(f"{codes}.shaped"))

    def moved(self, name: str, codes: str, step: Step, output: str) -> str:
        """Codes after one step of a rearrangement."""
        if isinstance(step, Reshape):
            return self._reshaped(codes, name, step.sizes, output)
        if isinstance(step, Permute):
            return self.nodes.add("Transpose", [codes], output, perm=[0, *(axis + 1 for axis in step.axes)])
        if step.indices.min() < 0:
            raise NetworkError(f"layer {name}: puts zeros between values; {self.style} pads within windows only")
        indices = self.nodes.constant(f"{name}.indices", step.indices.astype(np.int64))
        return self.nodes.add("Gather", [codes, indices], output, axis=step.axis + 1)


def activation(layer: Any) -> tuple[int | None, int | None]:
    """Codes at which a fused activation ends."""
    return getattr(layer, "low", None), getattr(layer, "high", None)


def _pads(layer: Any) -> list[int]:
    return [*layer.padding, *(layer.padding if layer.far_padding is None else layer.far_padding)]


def _rescale(writer: Writer, layer: IntegerRescale) -> IntegerLayer:
    products, source = writer.window(layer.inputs[0]), layer.inputs[0]
    if products is not None:
        window, weights = products.window, products.weights
        moves: dict[str, Any] = {"strides": window.stride, "pads": _pads(window), "dilations": window.dilation}
        moves |= {"group": window.groups, "source": products.source}
        bias = layer.bias + products.bias
    else:  # a window of one tap of weight 1 on each channel
        channels = writer.values[source].shape[0]
        weights, moves = np.ones((channels, 1, 1, 1), np.int64), {"group": channels, "source": source}
        bias = layer.bias + writer.values[source].zero_point
    bias, gains = (np.broadcast_to(one, len(weights)) for one in (bias, layer.scale))
    return replace(layer, scale=writer.sums(layer, weights, bias, gains, **moves))


def _affine(writer: Writer, layer: IntegerAffine) -> IntegerLayer:
    _rescale(writer, step_of_affine(layer, writer.values[layer.inputs[0]], writer.rule, writer.style))
    return layer


def _thresholds(writer: Writer, layer: IntegerThresholds) -> IntegerLayer:
    _rescale(writer, step_of_thresholds(layer, writer.values[layer.inputs[0]], writer.rule, writer.style))
    return layer


def _average(writer: Writer, layer: IntegerAveragePool) -> IntegerLayer:
    (source,) = layer.inputs
    shape = writer.values[source].shape
    kernel = layer.kernel or shape[1:]
    if layer.output_size is not None:
        raise NetworkError(f"layer {layer.name}: averages to {layer.output_size}; {writer.style} has windows of one size")
    moves: dict[str, Any] = {"strides": layer.stride or kernel, "pads": _pads(layer)}
    if layer.source is None:
        gains = layer.gains(shape)
        if layer.ceil_mode or len(gains) > 1:
            raise NetworkError(f"layer {layer.name}: divides by other numbers at edges; {writer.style} has whole windows only")
        weights = np.ones((shape[0], *kernel, 1), np.int64)
        moves |= {"dilations": layer.dilation, "group": shape[0], "source": source}
        found = writer.sums(layer, weights, np.zeros(shape[0], np.int64), np.broadcast_to(gains, shape[0]), **moves)
        return replace(layer, gain=float(found[0] * layer.gain / gains[0]))
    real, place = writer.reals(source), writer.nodes.unique(f"{layer.name}.mean")
    if layer.operator == "reduction":
        writer.nodes.add("GlobalAveragePool", [real], place)
    else:
        how = {"ceil_mode": int(layer.ceil_mode), "count_include_pad": int(layer.count_padding)}
        writer.nodes.add("AveragePool", [real], place, kernel_shape=kernel, **moves, **how)
    writer.give(layer.name, place, layer.low, layer.high)
    return layer


def _max_pool(writer: Writer, layer: IntegerMaxPool) -> IntegerLayer:
    (source,) = layer.inputs
    if layer.output_size is not None:
        raise NetworkError(f"layer {layer.name}: takes maxima to {layer.output_size}; {writer.style} has windows of one size")
    kernel = layer.kernel or writer.values[source].shape[1:]
    how = {"strides": layer.stride or kernel, "pads": _pads(layer), "ceil_mode": int(layer.ceil_mode)}
    how |= {"kernel_shape": kernel, "dilations": layer.dilation}
    writer.held(layer.name)  # refuses wide codes, of which runtimes take no maxima
    writer.pass_on(layer.name, writer.nodes.add("MaxPool", [writer.codes(source)], layer.name, **how))
    return layer


def _sum(writer: Writer, layer: IntegerAdd | IntegerRescaledAdd) -> IntegerLayer:
    if len({len(writer.values[name].shape) for name in layer.inputs}) > 1:
        raise NetworkError(f"layer {layer.name}: adds values of different axes; {writer.style} is written for the same ones")
    if isinstance(layer, IntegerAdd) and layer.overflow == "wrap":
        raise NetworkError(f"layer {layer.name}: wraps what leaves {layer.output}; {writer.style} saturates")
    operator = "Sub" if layer.subtract else "Add"
    reals = [writer.reals(name) for name in layer.inputs]
    result = writer.nodes.add(operator, reals, writer.nodes.unique(f"{layer.name}.sum"))
    writer.give(layer.name, result, *activation(layer))
    if isinstance(layer, IntegerRescaledAdd) and writer.nodes.takes_codes:
        signed = [form for form in (layer.first, layer.second, layer.output) if form.signed]
        return replace(layer, as_unsigned=bool(signed) and all(form.bits == MOST_BITS for form in signed))
    return layer


def _ends(writer: Writer, layer: IntegerRelu | IntegerClip) -> IntegerLayer:
    """Bounds between two codes of one scale: a change of formats, which is exact, and its ends."""
    low = getattr(layer, "low", None)
    high = layer.maximum if isinstance(layer, IntegerRelu) else layer.high
    writer.give(layer.name, writer.reals(layer.inputs[0]), low, high)
    return layer


def _move(writer: Writer, layer: IntegerMove) -> IntegerLayer:
    codes = writer.codes(layer.inputs[0])
    steps = (*layer.steps, Reshape(writer.values[layer.name].shape))
    for number, step in enumerate(steps, 1):
        last = number == len(steps)
        codes = writer.moved(layer.name, codes, step, layer.name if last else writer.nodes.unique(f"{layer.name}.moved"))
    writer.pass_on(layer.name, codes)
    return layer


def _concat(writer: Writer, layer: IntegerConcat) -> IntegerLayer:
    parts = []
    for name in layer.inputs:
        if writer.form(name) == layer.output:
            parts.append(writer.codes(name))
        else:
            parts.append(writer.nodes.codes(writer.reals(name), writer.nodes.unique(f"{layer.name}.part"), layer.output))
    writer.pass_on(layer.name, writer.nodes.add("Concat", parts, layer.name, axis=1))
    return layer


def _table(writer: Writer, layer: IntegerTable) -> IntegerLayer:
    """An entry for each code of the file, looked up."""
    if layer.codes is None or layer.codes.shape[1] != 1:
        raise NetworkError(f"layer {layer.name}: a table a channel, or straight pieces; {writer.style} has one table of codes")
    writer.look_up(layer, layer.codes[:, 0].astype(np.int64))
    return layer


ROWS: Mapping[type[IntegerLayer], Callable[[Writer, Any], IntegerLayer]] = MappingProxyType(
    {
        IntegerWindow: Writer.keep_window,
        IntegerRescale: _rescale,
        IntegerAffine: _affine,
        IntegerThresholds: _thresholds,
        IntegerAveragePool: _average,
        IntegerMaxPool: _max_pool,
        IntegerAdd: _sum,
        IntegerRescaledAdd: _sum,
        IntegerRelu: _ends,
        IntegerClip: _ends,
        IntegerMove: _move,
        IntegerConcat: _concat,
        IntegerTable: _table,
    }
)
"""What writes each kind of layer."""
READ_SUMS = IntegerRescale, IntegerAffine, IntegerThresholds
"""Layers behind windows."""
