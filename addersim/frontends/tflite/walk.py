"""The walk over a graph: each operator becomes integer layers, or something that has none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import AddersimError, LoweringError
from addersim.frontends.graph import Missing
from addersim.frontends.integer_layers import IntegerLayers
from addersim.frontends.tflite.call import Call
from addersim.frontends.tflite.dilated import with_dilation
from addersim.frontends.tflite.formats import CODES, code_format, known_shape, value_shape
from addersim.frontends.tflite.islands import FUNCTIONS, MOST_STEPS, with_tables
from addersim.frontends.tflite.operators import MERGED, OPERATORS, SEVERAL
from addersim.frontends.tflite.records import Array, Graph, Operator, Shape, Tensor
from addersim.frontends.tflite.sizes import SIZES, computed
from addersim.frontends.tflite.tails import tails
from addersim.layers import AnyIntegerLayer, Value
from addersim.layers.unknown import IntegerUnknown
from addersim.network import INPUT

__all__ = ["Walk"]

_SIZE_TYPES = ("INT32", "INT64")
MOST_SIZES = 4_096
"""Numbers of a constant that sizes are computed from."""


class Walk:
    """Visits the operators in order.

    Attributes
    ----------
    image
        Format of the images' codes.
    layers
        What is built.
    sources
        Name of the layer that gives each tensor that depends on the images.
    missing
        What has no layer, in order.
    tails
        Operators behind the scores that are left out, by their outputs.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.batch = _images(graph.tensors[graph.image])
        self.image, self._reals = _image_format(graph), graph.tensors[graph.image].type == "FLOAT32"
        self.layers = IntegerLayers(Value.of(value_shape(graph.tensors[graph.image], self.batch), self.image))
        self.sources = {graph.image: INPUT}
        self.missing: list[Missing] = []
        self._sizes: dict[int, Array] = {}
        self._lost: set[int] = set()
        self._merged: set[int] = set()
        self.tails = tails(graph)
        for operator in with_tables(graph, with_dilation(graph)):
            if not self.tails.keys() & {*operator.outputs}:
                self._visit(operator)

    def finished(self) -> tuple[AnyIntegerLayer, ...]:
        """The layers that the outputs need, in order."""
        ends, given = [], [self.tails[place].inputs[0] if place in self.tails else place for place in self.graph.outputs]
        for place in given:
            if place not in self.sources:
                raise LoweringError(f"output {self.graph.tensors[place].name!r} does not depend on the images")
            ends.append(self.sources[place])
        titles = [self.graph.tensors[place].name for place in given]
        return self.layers.finished(ends, titles)

    def _visit(self, operator: Operator) -> None:
        if self._computes_sizes(operator):
            return self._size(operator)
        if self._lost.intersection(operator.inputs):
            return self._go_on(operator)  # it reads what came of something missing and has no known codes
        tensors = [self.graph.tensors[place] for place in operator.outputs]
        try:
            self.sources.update(zip(operator.outputs, self._called(operator), strict=True))
        except AddersimError as error:
            where = f"tensor {tensors[0].name!r}" if tensors else "no tensor"
            self.missing.append(Missing(operator.name, where, str(error)))
            self._go_on(operator)

    def _computes_sizes(self, operator: Operator) -> bool:
        """Whether it computes a shape: whole numbers, of the shape of a value, constants and other such numbers."""
        outputs = [self.graph.tensors[place] for place in operator.outputs]
        if operator.name not in SIZES or len(outputs) != 1 or outputs[0].type not in _SIZE_TYPES or -1 in operator.inputs:
            return False
        if operator.name == "SHAPE" and len(operator.inputs) != 1:
            return False
        return operator.name == "SHAPE" or not any(place in self.sources for place in operator.inputs)

    def _size(self, operator: Operator) -> None:
        """Work out whole numbers; what cannot be is missing where something reads it."""
        if operator.name == "SHAPE":
            (place,) = operator.inputs
            given = self._file_shape(place) if place in self.sources else self.graph.tensors[place].shape
            self._sizes[operator.outputs[0]] = np.array(given, np.int64)
            return
        held = [one for place in operator.inputs if (one := self._tensor(place).data) is not None and one.size <= MOST_SIZES]
        if len(held) < len(operator.inputs):
            return
        try:
            self._sizes[operator.outputs[0]] = computed(operator, held)
        except LoweringError as error:
            name = self.graph.tensors[operator.outputs[0]].name
            self.missing.append(Missing(operator.name, f"tensor {name!r}", str(error)))

    def _file_shape(self, place: int) -> Shape:
        """Shape of a value as an interpreter has it: images first, channels last."""
        first, *others = self.layers.values[self.sources[place]].shape
        shape = (self.batch, *others, first)
        return (math.prod(shape[:-1]), first) if place in self._merged else shape

    def _tensor(self, place: int) -> Tensor:
        """A tensor, with its values where they were worked out."""
        found = self.graph.tensors[place]
        return replace(found, data=self._sizes[place], why_unread="") if place in self._sizes else found

    def _called(self, operator: Operator) -> tuple[str, ...]:
        """Name of the layer that gives each output."""
        if operator.name.startswith("CUSTOM"):
            raise LoweringError("is a custom operator, which only its author's code knows")
        if operator.name in FUNCTIONS and any(self.graph.tensors[place].type == "FLOAT32" for place in operator.outputs):
            raise LoweringError(f"computes floats; read are up to {MOST_STEPS} functions of one code that become codes again")
        if operator.name not in OPERATORS and operator.name not in SEVERAL:
            raise LoweringError("has no layer")
        if len(operator.outputs) != 1 and (operator.name not in SEVERAL or not operator.outputs):
            raise LoweringError(f"gives {len(operator.outputs)} tensors; expected one")
        inputs = tuple(None if place == -1 else self._tensor(place) for place in operator.inputs)
        sources = tuple(self.sources.get(place) for place in operator.inputs)
        if not any(sources):
            raise LoweringError("is computed from constants, which is not supported")
        merged = self._merged.intersection(operator.inputs)
        if merged and (
            operator.name not in MERGED or any(place not in merged for place in operator.inputs if place in self.sources)
        ):
            raise LoweringError("reads images whose positions are images of their own; only sums over channels are")
        outputs = tuple(self.graph.tensors[place] for place in operator.outputs)
        call = Call(self.layers, operator, inputs, sources, outputs, self.batch, bool(merged))
        try:
            with np.errstate(all="ignore"):  # what becomes infinite is refused
                found = SEVERAL[operator.name](call) if operator.name in SEVERAL else (OPERATORS[operator.name](call),)
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            if isinstance(error, AddersimError):
                raise
            raise LoweringError(f"options or constants that do not fit ({' '.join(str(error).split())[:120]})") from None
        self._check_types(operator)
        for name, place in zip(found, operator.outputs, strict=True):
            self._check_shape(operator, name, place)
        return found

    def _check_shape(self, operator: Operator, name: str, place: int) -> None:
        """Refuse another shape than the file has, where it says one; note where positions have become images."""
        given, tensor = self.layers.values[name].shape, self.graph.tensors[place]
        found, said = (self.batch, *given[1:], given[0]), known_shape(tensor)
        if operator.name in MERGED and len(found) == 3 and len(said) == 2:
            self._merged.add(place)
            found = (self.batch * given[1], given[0])
        if len(said) < 2 or said[0] not in (-1, found[0]):
            value_shape(tensor, self.batch)  # says what is wrong with it
        if len(found) != len(said) or any(size not in (-1, one) for size, one in zip(said, found, strict=True)):
            raise LoweringError(f"gives shape {found}, images first and channels last; the file says {said}")

    def _check_types(self, operator: Operator) -> None:
        """Refuse codes with a sign beside codes without one, other than where the operator makes ones of the others."""
        places = [place for place in operator.inputs if place in self.sources] + list(operator.outputs)
        types = sorted({self.graph.tensors[place].type for place in places})
        if len(types) > 1 and operator.name not in ("QUANTIZE", "DEQUANTIZE"):
            raise LoweringError(f"reads and gives {' and '.join(types)}; expected one type")

    def _go_on(self, operator: Operator) -> None:
        """Give the outputs of what has no layer as the file describes them, so that what lies behind is looked at too."""
        read = [self.sources[place] for place in operator.inputs if place in self.sources] or [INPUT]
        for place in operator.outputs:
            tensor = self.graph.tensors[place]
            try:
                shape, form = value_shape(tensor, self.batch), code_format(tensor)
            except AddersimError:
                self._lost.add(place)
                shape, form = (1,), FixedFormat(8)
            fields = {"operation": operator.name, "shape": shape, "output": form}
            self.sources[place] = self.layers.append(IntegerUnknown, tensor.name, *dict.fromkeys(read), **fields)


def _images(image: Tensor) -> int:
    """Number of images that the file was written for."""
    if not image.shape or min(image.shape) < 1 or any(size < 0 for size in image.signature[1:]):
        image.fail(f"the input has shape {image.signature or image.shape}; convert the network with a fixed size")
    return image.shape[0]


def _image_format(graph: Graph) -> FixedFormat:
    """Format of the images: the input's, or, where it takes reals, that of the codes which they become."""
    image = graph.tensors[graph.image]
    if image.type != "FLOAT32":
        return code_format(image)
    readers = [one for one in graph.operators if graph.image in one.inputs]
    if not readers or any(one.name != "QUANTIZE" or len(one.outputs) != 1 for one in readers):
        image.fail(_why_reals(graph, readers))
    forms = [code_format(graph.tensors[one.outputs[0]]) for one in readers]
    if any(form != forms[0] for form in forms):
        image.fail(f"becomes codes in {forms[0]} and in others; images have one format")
    return forms[0]


def _why_reals(graph: Graph, readers: Sequence[Operator]) -> str:
    """Why real images are not read: no codes, or codes of weights alone."""
    first = next((one.name for one in readers if one.name != "QUANTIZE"), "nothing")
    held = [graph.tensors[place] for one in graph.operators for place in one.inputs if place != -1]
    coded = any(one.data is not None and one.type in CODES for one in held)
    what = "its weights alone are quantised (dynamic range)" if coded else "a network in float"
    return f"is FLOAT32 and read by {first}: {what}; convert it with full integer quantisation"
