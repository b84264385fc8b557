"""The walk over a graph: each operator becomes integer layers, or something that has none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import AddersimError, LoweringError
from addersim.frontends.graph import Missing
from addersim.frontends.integer_layers import IntegerLayers
from addersim.frontends.tflite.call import Call
from addersim.frontends.tflite.formats import CODES, code_format, value_shape
from addersim.frontends.tflite.operators import OPERATORS, SEVERAL
from addersim.frontends.tflite.records import Graph, Operator, Tensor
from addersim.layers import AnyIntegerLayer, Value
from addersim.layers.unknown import IntegerUnknown
from addersim.network import INPUT

__all__ = ["Walk"]

SIZES = frozenset({"SHAPE", "STRIDED_SLICE", "PACK", "GATHER", "SLICE", "CAST"})
"""What files compute shapes with, from shapes: the file has worked them out, and says them of what is reshaped."""
_SIZE_TYPES = ("INT32", "INT64")


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
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.batch = _images(graph.tensors[graph.image])
        self.image, self._reals = _image_format(graph), graph.tensors[graph.image].type == "FLOAT32"
        self.layers = IntegerLayers(Value.of(value_shape(graph.tensors[graph.image], self.batch), self.image))
        self.sources = {graph.image: INPUT}
        self.missing: list[Missing] = []
        self._sizes: set[int] = set()
        for operator in graph.operators:
            self._visit(operator)

    def finished(self) -> tuple[AnyIntegerLayer, ...]:
        """The layers that the outputs need, in order."""
        ends = []
        for place in self.graph.outputs:
            if place not in self.sources:
                raise LoweringError(f"output {self.graph.tensors[place].name!r} does not depend on the images")
            ends.append(self.sources[place])
        titles = [self.graph.tensors[place].name for place in self.graph.outputs]
        return self.layers.finished(ends, titles)

    def _visit(self, operator: Operator) -> None:
        if self._computes_sizes(operator):
            self._sizes.update(operator.outputs)
            return
        tensors = [self.graph.tensors[place] for place in operator.outputs]
        try:
            self.sources |= self._called(operator)
        except AddersimError as error:
            where = f"tensor {tensors[0].name!r}" if tensors else "no tensor"
            self.missing.append(Missing(operator.name, where, str(error)))
            self._go_on(operator)

    def _computes_sizes(self, operator: Operator) -> bool:
        """Whether it computes a shape: whole numbers, of the shape of a value, constants and other such numbers."""
        outputs = [self.graph.tensors[place] for place in operator.outputs]
        if operator.name not in SIZES or any(one.type not in _SIZE_TYPES for one in outputs):
            return False
        return operator.name == "SHAPE" or not any(place in self.sources for place in operator.inputs)

    def _called(self, operator: Operator) -> dict[int, str]:
        """The layer that gives each output."""
        if operator.name.startswith("CUSTOM"):
            raise LoweringError("is a custom operator, which only its author's code knows")
        if operator.name not in OPERATORS:
            raise LoweringError("has no layer")
        if len(operator.outputs) != 1 and operator.name not in SEVERAL:
            raise LoweringError(f"gives {len(operator.outputs)} tensors; expected one")
        if not any(place in self.sources for place in operator.inputs):
            raise LoweringError("is computed from constants, which is not supported")
        return {place: self._output(operator, number) for number, place in enumerate(operator.outputs)}

    def _output(self, operator: Operator, number: int) -> str:
        """The layer that gives one output."""
        inputs = tuple(None if place == -1 else self.graph.tensors[place] for place in operator.inputs)
        sources = tuple(self.sources.get(place) for place in operator.inputs)
        output = self.graph.tensors[operator.outputs[number]]
        call = Call(self.layers, operator, inputs, sources, output, self.batch, number)
        try:
            with np.errstate(all="ignore"):  # what becomes infinite is refused
                found = OPERATORS[operator.name](call)
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            if isinstance(error, AddersimError):
                raise
            raise LoweringError(f"options or constants that do not fit ({' '.join(str(error).split())[:120]})") from None
        self._check_types(operator)
        given, said = self.layers.values[found], call.output_shape()
        if given.shape != said:
            raise LoweringError(f"gives {given.shape} an image, the file says {said}; the channels are the first")
        return found

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
