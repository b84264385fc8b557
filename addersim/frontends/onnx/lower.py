"""lower_onnx: an ONNX file becomes a `Network` of plain arrays."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from addersim.errors import AddersimError, LoweringError
from addersim.frontends.onnx.call import NO_PADS, Call, Flow
from addersim.frontends.onnx.file import Array, Graph, Node, read_graph
from addersim.frontends.onnx.folding import FOLDED, fold
from addersim.frontends.onnx.operators import OPERATORS
from addersim.inputs.opening import MAX_FILE_BYTES, source
from addersim.layers import AnyLayer, Layer, Shape
from addersim.network import INPUT, Network

__all__ = ["lower_onnx"]


def lower_onnx(
    path: str | os.PathLike[str],
    input_shape: Sequence[int] | None = None,
    *,
    name: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    classes: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
) -> Network:
    """Lower an ONNX file (needs the extra ``onnx``). Nothing in the file is executed.

    Parameters
    ----------
    path
        The model; one image input of batch x channels x height x width, and an output of scores. A backbone's outputs may have
        any shape, where no other node reads them. The batch may be dynamic.
    input_shape
        ``(channels, height, width)``, needed only where the file leaves them open.
    name
        Name of the network; the file's otherwise.
    mean, std
        Per channel, the normalisation ``(pixel / 255 - mean) / std`` that training used; 0 and 1 otherwise.
    classes, metadata
        Names of the scores, and free text by key, kept in the network.

    Raises
    ------
    LoweringError
        For what `read_graph` refuses, and for an operator, attribute or shape that has no layer, with the node's name.
    """
    graph = read_graph(path)
    shape = _image_shape(graph, input_shape, source(path))
    layers = _GraphWalk(graph, shape, source(path)).layers()
    origin = {"origin": f"ONNX graph {graph.name}"}
    return Network.lowered(name or Path(source(path)).stem, shape, layers, mean, std, classes, origin | dict(metadata or {}))


def _image_shape(graph: Graph, wanted: Sequence[int] | None, where: str) -> Shape:
    stored = graph.sizes[1:]
    if wanted is None:
        if None in stored:
            shown = " x ".join("?" if one is None else str(one) for one in stored)
            raise LoweringError(
                f"{where}: input {graph.image!r} is batch x {shown}; give input_shape (channels, height, width)"
            )
        return tuple(one for one in stored if one is not None)
    shape = tuple(int(one) for one in wanted)
    if len(shape) != 3 or any(one not in (None, given) for one, given in zip(stored, shape, strict=False)):
        raise LoweringError(
            f"{where}: input_shape {shape}; the file says batch x {' x '.join(str(one or '?') for one in stored)}"
        )
    return shape


class _GraphWalk:
    """Visits the nodes in order; `values` holds a constant or a `Flow` for each name."""

    def __init__(self, graph: Graph, image: Shape, where: str):
        self.graph, self.where = graph, where
        self.values: dict[str, Array | Flow] = {**graph.constants, graph.image: Flow(INPUT, image)}
        self.built: dict[str, Layer] = {}
        self.taken_bytes = 0

    def layers(self) -> tuple[AnyLayer, ...]:
        for node in self.graph.nodes:
            self._visit(node)
        read = {name for layer in self.built.values() for name in layer.inputs}
        for name in self.graph.outputs:
            output = self.values[name]
            if not isinstance(output, Flow) or not self.built:
                raise LoweringError(f"{self.where}: output {name!r} does not depend on the images")
            if output.layer in read:
                raise LoweringError(
                    f"{self.where}: output {name!r}: other layers read it too; only outputs that nothing reads are supported"
                )
            if output.pads != NO_PADS or output.layer == INPUT:
                raise LoweringError(f"{self.where}: output {name!r} is not what a layer gives")
        return cast("tuple[AnyLayer, ...]", tuple(self.built.values()))

    def _visit(self, node: Node) -> None:
        inputs = [self.values[one] if one else None for one in node.inputs]
        constants = [one for one in inputs if not isinstance(one, Flow)]
        if len(constants) == len(inputs) and node.operator in FOLDED:
            found: Array | Flow = fold(node, constants)
            self._take(node, 0 if not isinstance(found, np.ndarray) or found.base is not None else found.nbytes)
        elif node.operator in OPERATORS:
            found = self._call(node, tuple(inputs))
        else:
            raise LoweringError(f"node {node.name!r}: operator {node.operator} has no layer; known: {', '.join(OPERATORS)}")
        self.values[node.outputs[0]] = found

    def _call(self, node: Node, inputs: tuple[Any, ...]) -> Array | Flow:
        def emit(kind: type[Layer], flows: tuple[Flow, ...], fields: dict[str, Any]) -> Flow:
            return self._emit(node, kind, flows, fields)

        try:
            with np.errstate(all="ignore"):
                return OPERATORS[node.operator](Call(node, inputs, emit, self.graph.sizes[0]))
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            if isinstance(error, AddersimError):
                raise
            return node.fail(f"attributes or constants that do not fit ({' '.join(str(error).split())[:120]})")

    def _emit(self, node: Node, kind: type[Layer], flows: tuple[Flow, ...], fields: dict[str, Any]) -> Flow:
        self._take(node, sum(one.nbytes for one in fields.values() if isinstance(one, np.ndarray)))
        base = node.name.strip("/") or node.operator
        name = base if base not in self.built and base != INPUT else f"{base}.{len(self.built)}"
        try:
            layer = kind(name=name, inputs=tuple(flow.layer for flow in flows), **fields)
            shape = layer.shape(*(flow.shape for flow in flows))
        except AddersimError as error:
            node.fail(str(error).removeprefix(f"layer {name}: "))
        if math.prod(shape) > MAX_FILE_BYTES:
            node.fail(f"gives {math.prod(shape):,} values an image; at most {MAX_FILE_BYTES:,} are allowed")
        self.built[name] = layer
        return Flow(name, shape)

    def _take(self, node: Node, size_bytes: int) -> None:
        self.taken_bytes += size_bytes
        if self.taken_bytes > MAX_FILE_BYTES:
            node.fail(f"weights and computed constants take more than {MAX_FILE_BYTES:,} bytes")
