"""The walk over a graph: each node becomes a value, or something that has no layer."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from addersim.errors import AddersimError, LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.graph import Graph as Layers
from addersim.frontends.graph import Missing, products_of, refuse_missing
from addersim.frontends.onnx.call import Call, Number
from addersim.frontends.onnx.file import Array, Graph, Node
from addersim.frontends.onnx.folding import FOLDED, fold
from addersim.frontends.onnx.image import image_value
from addersim.frontends.onnx.operators import OPERATORS
from addersim.layers import AnyLayer, Shape

__all__ = ["Walk"]

Value = Array | Flow | Number | None


class Walk:
    """Visits the nodes in order.

    Attributes
    ----------
    layers
        What is built.
    values
        A constant, a `Flow` or a `Number` for each name of the file.
    """

    def __init__(self, graph: Graph, image: Shape, last: bool, where: str):
        self.graph, self.where, self.layers = graph, where, Layers(image)
        self.last, self._shape = last, image
        self.values: dict[str, Value] = {**graph.constants, graph.image: image_value(self.layers.image, last), "": None}
        self._counted: set[str] = set()
        self._read = {name for node in graph.nodes for name in node.inputs} | {*graph.outputs}

    def finished(self) -> tuple[tuple[AnyLayer, ...], tuple[str, ...]]:
        """Layers in order, and the one that gives each output."""
        for node in self.graph.nodes:
            self._visit(node)
        flows = []
        for name in self.graph.outputs:
            value = self.values[name]
            flow = value.flow if isinstance(value, Number) else value
            if not isinstance(flow, Flow):
                raise LoweringError(f"{self.where}: output {name!r} does not depend on the images")
            flows.append(flow)
        try:
            return self.layers.finished(flows)
        except LoweringError as error:
            raise LoweringError(f"{self.where}: {error}") from None

    def _visit(self, node: Node) -> None:
        inputs = [self.values[one] for one in node.inputs]
        constants = [one for one in inputs if not isinstance(one, (Flow, Number))]
        if len(constants) == len(inputs) and node.operator in FOLDED:
            found: Any = fold(node, constants)
            self._take(node, found)
        else:
            found = self._layer(node, tuple(inputs))
        outputs = found if isinstance(found, tuple) else (found,)
        self.values.update(zip(node.outputs, outputs, strict=False))

    def _take(self, node: Node, found: Any) -> None:
        """Count the memory of computed constants; those that are views of others take none."""
        try:
            self.layers.take(sum(one.nbytes for one in (found if isinstance(found, tuple) else [found]) if one.base is None))
        except LoweringError as error:
            node.fail(str(error))

    def _layer(self, node: Node, inputs: tuple[Any, ...]) -> Any:
        try:
            found = self._called(node, inputs)
            given = len(found) if isinstance(found, tuple) else 1
            unknown = [name for name in node.outputs[given:] if name and name in self._read]
            if unknown:
                raise LoweringError(f"its output {unknown[0]!r} is not supported")
            return found
        except AddersimError as error:
            return self._missing(node, str(error), inputs)

    def _called(self, node: Node, inputs: tuple[Any, ...]) -> Any:
        if node.operator not in OPERATORS:
            raise LoweringError("has no layer")
        if not any(isinstance(one, (Flow, Number)) for one in inputs):
            raise LoweringError("is computed from constants, which is not supported")
        try:
            with np.errstate(all="ignore"):
                start = len(self.layers)
                found = OPERATORS[node.operator](Call(self.layers, node, inputs, self.graph.opset, self.graph.sizes[0]))
                self._note_trained(node, start)
                return found
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            if isinstance(error, AddersimError):
                raise
            raise LoweringError(f"attributes or constants that do not fit ({' '.join(str(error).split())[:120]})") from None

    def _note_trained(self, node: Node, start: int) -> None:
        """Initialisers that a node is the first to read are trained, but for single numbers and the statistics of a norm."""
        read = node.inputs[:3] if node.operator == "BatchNormalization" else node.inputs
        sizes = {name: self.graph.constants[name].size for name in read if name in self.graph.constants}
        new = {name: size for name, size in sizes.items() if size > 1 and name not in self._counted}
        self._counted.update(new)
        self.layers.trained(start, sum(new.values()))

    def _missing(self, node: Node, why: str, inputs: tuple[Any, ...]) -> Any:
        """Go on behind an operator without a layer, if the shapes that it gives are known."""
        missing = Missing(node.operator, f"node {node.name!r}", why)
        wanted = [name for name in node.outputs if name in self._read and name]
        if any(name not in self._shapes for name in wanted):
            behind = "; what is behind it was not looked at, for the shape that it gives is not known"
            refuse_missing(self.where, [*self.layers.missing, Missing(node.operator, f"node {node.name!r}", why + behind)])
        flows = [one.flow if isinstance(one, Number) else one for one in inputs if isinstance(one, (Flow, Number))]
        name = node.name.strip("/") or node.operator
        found = {}
        for one in wanted:
            shape = self._shapes[one]
            products = products_of(node.operator, flows, shape)
            found[one] = self.layers.unknown(missing, name, shape, *flows, products=products)
        del self.layers.missing[len(self.layers.missing) - len(wanted) + 1 :]  # one node is missing once
        return tuple(found.get(one) for one in node.outputs)

    @functools.cached_property
    def _shapes(self) -> Mapping[str, Shape]:
        """Shapes without images of the file's values, as far as onnx can tell; of integers and constants, too."""
        import onnx

        batch = self.graph.sizes[0] or 1
        model = onnx.ModelProto()
        model.CopyFrom(self.graph.model)
        sizes = (*self._shape[1:], self._shape[0]) if self.last else self._shape
        for one in model.graph.input:
            if one.name == self.graph.image:
                one.CopyFrom(onnx.helper.make_tensor_value_info(one.name, one.type.tensor_type.elem_type, [batch, *sizes]))
        try:
            found = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        except Exception:  # whatever onnx says of a graph that it cannot follow: then no shape is known
            return {}
        shapes = {}
        for one in (*found.value_info, *found.output):
            dimensions = [size.dim_value for size in one.type.tensor_type.shape.dim]
            if dimensions and dimensions[0] == batch and min(dimensions) > 0:
                shapes[one.name] = tuple(dimensions[1:]) or (1,)
        return shapes
