"""Reading an ONNX file: sizes are bounded before memory is taken, nothing in the file is executed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from addersim.errors import LoweringError
from addersim.frontends.graph import ONE_INPUT
from addersim.frontends.onnx.tensors import IMAGE_TYPES, Array, as_text, is_absent, read_array
from addersim.inputs.opening import MAX_FILE_BYTES, parsing, read_file, source

__all__ = ["Array", "Graph", "Node", "Unreadable", "read_graph"]

MAX_NODES = 100_000
OLDEST_OPSET = 7
"""Older operators broadcast by other rules."""
OWN_DOMAIN = "addersim"
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
    quantised
        Whether it is a network of codes.
    signed_image, integer_image
        Whether images are whole numbers with a sign, or any whole numbers.
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
    quantised: bool = False
    signed_image: bool = False
    integer_image: bool = False


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
    quantised = _is_quantised(graph, where)
    stored = {tensor.name: tensor for tensor in graph.initializer}
    inputs = [one for one in graph.input if one.name not in stored]
    if len(inputs) != 1:
        names = ", ".join(as_text(one.name) for one in inputs[:5]) or "none"
        raise LoweringError(f"{where}: the graph has {len(inputs)} inputs ({names}); {ONE_INPUT}")
    outputs = tuple(one.name for one in graph.output)
    order = _ordered(graph, {inputs[0].name, *stored}, outputs)
    used = {name for node in order for name in node.input} | {*outputs}
    folder = Path(path).resolve().parent
    read = {name: tensor for name, tensor in stored.items() if name in used}
    return Graph(
        name=as_text(graph.name) or Path(where).stem,
        image=inputs[0].name,
        sizes=_image_sizes(inputs[0], where, quantised),
        outputs=outputs,
        constants={name: read_array(tensor, folder, f"initialiser {name!r}") for name, tensor in read.items()},
        nodes=tuple(_plain(node, folder) for node in order),
        opset=opset,
        absent=tuple(name for name, tensor in read.items() if is_absent(tensor, folder)),
        model=model,
        quantised=quantised,
        signed_image=inputs[0].type.tensor_type.elem_type == 3,
        integer_image=inputs[0].type.tensor_type.elem_type in (2, 3),
    )


def _is_quantised(graph: Any, where: str) -> bool:
    """Whether a network is one of codes; codes without an operator that says what they stand for are refused."""
    import onnx

    words = ("quantize", "qlinear", "integer", "bipolarquant", "multithreshold", "qgemm")
    for node in graph.node:
        operator = as_text(node.op_type).lower()
        if any(word in operator for word in words) or node.domain.startswith(QUANTISED_DOMAINS):
            return True
    types = onnx.TensorProto.DataType
    for tensor in graph.initializer:
        if tensor.data_type in types.values() and types.Name(tensor.data_type) in CODE_TYPES:
            raise LoweringError(
                f"{where}: initialiser {as_text(tensor.name)!r} of type {types.Name(tensor.data_type)}, and no operator that "
                "says what its codes stand for; give the float model that it was made from"
            )
    return False


def _parse(path: Path, where: str) -> Any:
    try:
        import onnx
    except ImportError:
        raise LoweringError(f"{where}: reading ONNX needs onnx; install it with: pip install 'addersim[onnx]'") from None
    content = read_file(path, MAX_FILE_BYTES, LoweringError)
    if not content:
        raise LoweringError(f"{where}: the file is empty (0 bytes); write or copy it once more")
    with parsing(where, "not an ONNX model, truncated or altered", LoweringError):
        model = onnx.ModelProto.FromString(content)
    if not model.HasField("graph") or not model.graph.node:
        raise LoweringError(f"{where}: holds no graph with nodes")
    return model


def _image_sizes(given: Any, where: str, quantised: bool) -> tuple[int | None, ...]:
    import onnx

    tensor = given.type.tensor_type
    kind = onnx.TensorProto.DataType.Name(tensor.elem_type) if tensor.elem_type in onnx.TensorProto.DataType.values() else "?"
    allowed = IMAGE_TYPES | ({"INT8", "UINT8"} if quantised else set())
    if kind not in allowed:
        raise LoweringError(f"{where}: input {given.name!r} is of type {kind}; expected {', '.join(sorted(allowed))}")
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
                    f"node {_name(node)!r} ({as_text(node.op_type)}): writes {name!r}, which something else gives, too"
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
                raise LoweringError(f"node {_name(node)!r} ({as_text(node.op_type)}): {why}")
            if makers[name] in done:
                continue
            if makers[name] in walking:
                raise LoweringError(
                    f"node {_name(node)!r} ({as_text(node.op_type)}): the graph is cyclic, {name!r} depends on itself"
                )
            stack.append(makers[name])
            break
        else:
            order.append(stack.pop())
            done.add(order[-1])
    return [nodes[place] for place in order]


def _name(node: Any) -> str:
    return as_text(node.name or next(filter(None, node.output), "") or node.op_type)


def _plain(node: Any, folder: Path) -> Node:
    own = node.domain == OWN_DOMAIN
    operator = f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") and not own else node.op_type
    operator = as_text(f"{OWN_DOMAIN}.{operator}" if own else operator)
    attributes = {as_text(one.name): _attribute(one, folder, _name(node)) for one in node.attribute}
    return Node(_name(node), operator, tuple(node.input), tuple(node.output), attributes)


def _attribute(attribute: Any, folder: Path, node: str) -> Any:
    import onnx

    kinds = onnx.AttributeProto
    if attribute.type == kinds.TENSOR:
        return read_array(attribute.t, folder, f"node {node!r}: attribute {attribute.name!r}")
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
