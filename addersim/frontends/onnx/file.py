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
FLOAT_TYPES = frozenset({*IMAGE_TYPES, "BFLOAT16"})
TENSOR_TYPES = frozenset({*FLOAT_TYPES, "INT64", "INT32", "BOOL"})
CODE_TYPES = frozenset({"INT8", "UINT8", "INT4", "UINT4", "INT2", "UINT2", "INT16", "UINT16"})
QUANTISED_DOMAINS = ("qonnx.", "onnx.brevitas", "finn.")


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
    opset
        Version of ONNX's own operators.
    absent
        Constants whose values lie in a file that is not there: zeros of their sizes that take no memory stand for them.
    model
        What was read, for onnx's own tools.
    """

    name: str
    image: str
    sizes: tuple[int | None, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, Array]
    nodes: tuple[Node, ...]
    opset: int
    absent: tuple[str, ...]
    model: Any


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
    opset = max([entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")], default=OLDEST_OPSET)
    if opset < OLDEST_OPSET:
        raise LoweringError(f"{where}: opset {opset}; at least {OLDEST_OPSET} is needed")
    graph = model.graph
    if len(graph.node) > MAX_NODES:
        raise LoweringError(f"{where}: {len(graph.node):,} nodes; at most {MAX_NODES:,} are read")
    if graph.sparse_initializer:
        raise LoweringError(f"{where}: sparse initialisers are not supported")
    if not graph.output:
        raise LoweringError(f"{where}: the graph has no output")
    _refuse_quantised(graph, where)
    stored = {tensor.name: tensor for tensor in graph.initializer}
    inputs = [one for one in graph.input if one.name not in stored]
    if len(inputs) != 1:
        names = ", ".join(_printable(one.name) for one in inputs[:5]) or "none"
        raise LoweringError(f"{where}: the graph has {len(inputs)} inputs ({names}); a network takes one, the images")
    outputs = tuple(one.name for one in graph.output)
    order = _ordered(graph, {inputs[0].name, *stored}, outputs)
    used = {name for node in order for name in node.input} | {*outputs}
    folder = Path(path).resolve().parent
    read = {name: tensor for name, tensor in stored.items() if name in used}
    return Graph(
        name=_printable(graph.name) or Path(where).stem,
        image=inputs[0].name,
        sizes=_image_sizes(inputs[0], where),
        outputs=outputs,
        constants={name: _array(tensor, folder, f"initialiser {name!r}") for name, tensor in read.items()},
        nodes=tuple(_plain(node, folder) for node in order),
        opset=opset,
        absent=tuple(name for name, tensor in read.items() if _is_absent(tensor, folder)),
        model=model,
    )


def _refuse_quantised(graph: Any, where: str) -> None:
    """Refuse a network of codes, naming what says so."""
    import onnx

    found: dict[str, list[str]] = {}
    for node in graph.node:
        operator = _printable(node.op_type)
        words = ("quantize", "qlinear", "integer", "bipolarquant", "multithreshold")
        if any(word in operator.lower() for word in words) or node.domain.startswith(QUANTISED_DOMAINS):
            found.setdefault(operator, []).append(f"node {_name(node)!r} ({operator})")
    shown = [f"{one[0]}{f' and {len(one) - 1} more' if len(one) > 1 else ''}" for one in found.values()]
    types = onnx.TensorProto.DataType
    for tensor in graph.initializer:
        if not shown and tensor.data_type in types.values() and types.Name(tensor.data_type) in CODE_TYPES:
            shown.append(f"initialiser {_printable(tensor.name)!r} of type {types.Name(tensor.data_type)}")
    if shown:
        raise LoweringError(
            f"{where}: a quantised network: {', '.join(shown)}; give the float model that it was made from, which addersim "
            "quantises itself: networks that are quantised already are not read yet"
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
    if not 2 <= len(sizes) <= 4:
        shown = " x ".join("?" if one is None else str(one) for one in sizes) or "unknown"
        raise LoweringError(
            f"{where}: input {given.name!r} has shape {shown}; expected batch x channels x height x width, "
            "batch x channels x length or batch x features"
        )
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
    if _is_absent(tensor, folder):
        return np.broadcast_to(np.zeros(1, np.float32), sizes)
    content = _external(tensor, folder, math.prod(sizes) * stored.itemsize, where) if outside else b""
    try:
        found: Array = np.frombuffer(content, stored.newbyteorder("<")) if outside else onnx.numpy_helper.to_array(tensor)
        found = found.reshape(sizes)
    except (ValueError, TypeError):
        raise LoweringError(f"{where}: holds another number of values than its sizes {sizes} say") from None
    if kind in ("FLOAT16", "BFLOAT16"):
        return found.astype(np.float32)
    return found.astype({"i": np.int64, "b": np.bool_}.get(found.dtype.kind, found.dtype.newbyteorder("=")), copy=False)


def _is_absent(tensor: Any, folder: Path) -> bool:
    """Whether weights lie in a file of the model's folder that is not there, as in workloads that carry shapes only."""
    import onnx

    types = onnx.TensorProto.DataType
    if tensor.data_location != onnx.TensorProto.EXTERNAL or types.Name(tensor.data_type) not in FLOAT_TYPES:
        return False
    path = _external_path(tensor, folder)
    return path is not None and not path.exists()


def _external_path(tensor: Any, folder: Path) -> Path | None:
    """Where the bytes of a tensor lie, or None outside the model's folder."""
    location = next((_printable(one.value) for one in tensor.external_data if one.key == "location"), "")
    path = (folder / location).resolve()
    return path if location and path.is_relative_to(folder) else None


def _external(tensor: Any, folder: Path, size: int, where: str) -> bytes:
    """Bytes of a tensor that lie in a file of their own, which must be in the model's folder or below it."""
    entries = {_printable(one.key): _printable(one.value) for one in tensor.external_data}
    location = entries.get("location", "")
    path = _external_path(tensor, folder)
    if path is None:
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
