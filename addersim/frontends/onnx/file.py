"""Reading an ONNX file: sizes are bounded before memory is taken, nothing in the file is executed."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from addersim.errors import LoweringError
from addersim.inputs.opening import MAX_FILE_BYTES, open_file, parsing, read_file, source
from addersim.inputs.text import printable

__all__ = ["Array", "Graph", "Node", "Unreadable", "read_graph"]

Array = npt.NDArray[Any]

MAX_NODES = 100_000
OLDEST_OPSET = 7
"""Older operators broadcast by other rules."""
OWN_DOMAIN = "addersim"
IMAGE_TYPES = frozenset({"FLOAT", "FLOAT16", "DOUBLE"})
TENSOR_TYPES = frozenset({*IMAGE_TYPES, "BFLOAT16", "INT64", "INT32", "BOOL"})


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An attribute of a kind that no supported operator has, such as a subgraph."""

    kind: str


@dataclass(frozen=True, slots=True)
class Node:
    """A node as plain values; `name` is how messages call it."""

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def fail(self, why: str) -> NoReturn:
        """Refuse the node."""
        raise LoweringError(f"node {self.name!r} ({self.operator}): {why}")


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph with one image input, its nodes in an order in which they can run.

    Attributes
    ----------
    image, sizes
        Name of the input, and its sizes, batch first; None where a size is dynamic.
    outputs
        Names of the outputs, at least one.
    constants
        Initialisers that the nodes read.
    nodes
        Those that the outputs depend on.
    """

    name: str
    image: str
    sizes: tuple[int | None, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, Array]
    nodes: tuple[Node, ...]


def read_graph(path: str | os.PathLike[str]) -> Graph:
    """Read a model.

    Raises
    ------
    LoweringError
        No package onnx; a file that is missing, too large or no model; a graph that is cyclic, reads what nothing gives, or
        has not one image input and one output; tensors of other types or sizes than they say, or outside the model's folder.
    """
    where = source(path)
    model = _parse(Path(path), where)
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx") and entry.version < OLDEST_OPSET:
            raise LoweringError(f"{where}: opset {entry.version}; at least {OLDEST_OPSET} is needed")
    graph = model.graph
    if len(graph.node) > MAX_NODES:
        raise LoweringError(f"{where}: {len(graph.node):,} nodes; at most {MAX_NODES:,} are read")
    if graph.sparse_initializer:
        raise LoweringError(f"{where}: sparse initialisers are not supported")
    if not graph.output:
        raise LoweringError(f"{where}: the graph has no output")
    stored = {tensor.name: tensor for tensor in graph.initializer}
    inputs = [one for one in graph.input if one.name not in stored]
    if len(inputs) != 1:
        names = ", ".join(one.name for one in inputs[:5]) or "none"
        raise LoweringError(f"{where}: the graph has {len(inputs)} inputs ({names}); a network takes one, the images")
    outputs = tuple(one.name for one in graph.output)
    order = _ordered(graph, {inputs[0].name, *stored}, outputs)
    used = {name for node in order for name in node.input} | {*outputs}
    folder = Path(path).resolve().parent
    return Graph(
        name=_printable(graph.name) or Path(where).stem,
        image=inputs[0].name,
        sizes=_image_sizes(inputs[0], where),
        outputs=outputs,
        constants={name: _array(tensor, folder, f"initialiser {name!r}") for name, tensor in stored.items() if name in used},
        nodes=tuple(_plain(node, folder) for node in order),
    )


def _parse(path: Path, where: str) -> Any:
    try:
        import onnx
    except ImportError:
        raise LoweringError(f"{where}: reading ONNX needs onnx; install it with: pip install 'addersim[onnx]'") from None
    content = read_file(path, MAX_FILE_BYTES, LoweringError)
    with parsing(where, "not an ONNX model, truncated or altered", LoweringError):
        model = onnx.ModelProto.FromString(content)
    if not model.HasField("graph") or not model.graph.node:
        raise LoweringError(f"{where}: holds no graph with nodes")
    return model


def _image_sizes(given: Any, where: str) -> tuple[int | None, ...]:
    import onnx

    tensor = given.type.tensor_type
    kind = onnx.TensorProto.DataType.Name(tensor.elem_type) if tensor.elem_type in onnx.TensorProto.DataType.values() else "?"
    if kind not in IMAGE_TYPES:
        raise LoweringError(f"{where}: input {given.name!r} is of type {kind}; expected {', '.join(sorted(IMAGE_TYPES))}")
    sizes = tuple(one.dim_value if one.HasField("dim_value") and one.dim_value > 0 else None for one in tensor.shape.dim)
    if len(sizes) != 4:
        shown = "x".join("?" if one is None else str(one) for one in sizes) or "unknown"
        raise LoweringError(f"{where}: input {given.name!r} has shape {shown}; expected batch x channels x height x width")
    return sizes


def _ordered(graph: Any, given: set[str], outputs: Sequence[str]) -> list[Any]:
    """Nodes that the outputs depend on, each after those that it reads; a file need not be sorted."""
    nodes, makers = graph.node, {}
    for place, node in enumerate(nodes):
        for name in filter(None, node.output):
            if name in makers or name in given:
                raise LoweringError(
                    f"node {_name(node)!r} ({_printable(node.op_type)}): writes {name!r}, which something else gives, too"
                )
            makers[name] = place
    for output in outputs:
        if output not in makers:
            raise LoweringError(f"output {output!r} of the graph: no node gives it")
    order: list[int] = []
    done: set[int] = set()
    walking: dict[int, Iterator[str]] = {}
    stack = [makers[output] for output in dict.fromkeys(reversed(outputs))]
    while stack:
        if stack[-1] in done:
            stack.pop()
            continue
        node = nodes[stack[-1]]
        unread = walking.setdefault(stack[-1], iter([name for name in node.input if name and name not in given]))
        for name in unread:
            if name not in makers:
                why = f"reads {name!r}, which no node, input or initialiser gives"
                raise LoweringError(f"node {_name(node)!r} ({_printable(node.op_type)}): {why}")
            if makers[name] in done:
                continue
            if makers[name] in walking:
                raise LoweringError(
                    f"node {_name(node)!r} ({_printable(node.op_type)}): the graph is cyclic, {name!r} depends on itself"
                )
            stack.append(makers[name])
            break
        else:
            order.append(stack.pop())
            done.add(order[-1])
    return [nodes[place] for place in order]


def _name(node: Any) -> str:
    return _printable(node.name or next(filter(None, node.output), "") or node.op_type)


def _printable(text: str | bytes) -> str:
    """A name as it may be printed: no control characters. Protobuf gives bytes where a name is not UTF-8."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    return printable(text)


def _plain(node: Any, folder: Path) -> Node:
    own = node.domain == OWN_DOMAIN
    operator = f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") and not own else node.op_type
    operator = _printable(f"{OWN_DOMAIN}.{operator}" if own else operator)
    attributes = {_printable(one.name): _attribute(one, folder, _name(node)) for one in node.attribute}
    return Node(_name(node), operator, tuple(node.input), tuple(node.output), attributes)


def _attribute(attribute: Any, folder: Path, node: str) -> Any:
    import onnx

    kinds = onnx.AttributeProto
    if attribute.type == kinds.TENSOR:
        return _array(attribute.t, folder, f"node {node!r}: attribute {attribute.name!r}")
    plain: dict[int, Callable[[], Any]] = {
        kinds.INT: lambda: int(attribute.i),
        kinds.FLOAT: lambda: float(attribute.f),
        kinds.STRING: lambda: attribute.s.decode("utf-8", "replace"),
        kinds.INTS: lambda: tuple(int(one) for one in attribute.ints),
        kinds.FLOATS: lambda: tuple(float(one) for one in attribute.floats),
    }
    if attribute.type in plain:
        return plain[attribute.type]()
    return Unreadable(kinds.AttributeType.Name(attribute.type))


def _array(tensor: Any, folder: Path, where: str) -> Array:
    """A tensor as float32 or float64, int64 or bool; its bytes must be as many as its sizes say."""
    import onnx

    types = onnx.TensorProto.DataType
    kind = types.Name(tensor.data_type) if tensor.data_type in types.values() else str(tensor.data_type)
    if kind not in TENSOR_TYPES:
        raise LoweringError(f"{where}: is of type {kind}; known: {', '.join(sorted(TENSOR_TYPES))}")
    sizes = tuple(int(one) for one in tensor.dims)
    stored = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    if min(sizes, default=0) < 0 or math.prod(sizes) * stored.itemsize > MAX_FILE_BYTES:
        raise LoweringError(f"{where}: sizes {sizes}; at most {MAX_FILE_BYTES:,} bytes are read")
    outside = tensor.data_location == onnx.TensorProto.EXTERNAL
    content = _external(tensor, folder, math.prod(sizes) * stored.itemsize, where) if outside else b""
    try:
        found: Array = np.frombuffer(content, stored.newbyteorder("<")) if outside else onnx.numpy_helper.to_array(tensor)
        found = found.reshape(sizes)
    except (ValueError, TypeError):
        raise LoweringError(f"{where}: holds another number of values than its sizes {sizes} say") from None
    if kind in ("FLOAT16", "BFLOAT16"):
        return found.astype(np.float32)
    return found.astype({"i": np.int64, "b": np.bool_}.get(found.dtype.kind, found.dtype.newbyteorder("=")), copy=False)


def _external(tensor: Any, folder: Path, size: int, where: str) -> bytes:
    """Bytes of a tensor that lie in a file of their own, which must be in the model's folder or below it."""
    entries = {_printable(one.key): _printable(one.value) for one in tensor.external_data}
    location = entries.get("location", "")
    path = (folder / location).resolve()
    if not location or not path.is_relative_to(folder):
        raise LoweringError(f"{where}: external data {location!r} lie outside the model's folder, and are not read")
    if not path.exists():
        raise LoweringError(f"{where}: external data {location!r}: no such file in the model's folder")
    start, length = (entries.get(key, default) for key, default in (("offset", "0"), ("length", str(size))))
    if not (start.isascii() and start.isdigit() and len(start) < 16) or length != str(size):
        raise LoweringError(f"{where}: external data {location!r} at {start[:20]}, {length[:20]} bytes; its sizes say {size}")
    with open_file(path, None, LoweringError) as file:
        file.seek(int(start))
        content = file.read(size)
    if len(content) != size:
        raise LoweringError(f"{where}: external data {location!r} end after {len(content)} of {size} bytes")
    return content
