"""The walk over a captured graph: each node becomes a value, or something that has no layer."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.fx
from torch import Tensor
from torch.utils._pytree import tree_map

from addersim.errors import AddersimError, LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.graph import Graph, Missing, products_of
from addersim.frontends.torch.aten import OPERATORS
from addersim.frontends.torch.call import Batch, Call
from addersim.frontends.torch.capture import Captured
from addersim.layers import AnyLayer, Shape

__all__ = ["Walk"]

PLAIN = frozenset({"_operator", "math", "builtins"})
"""Modules of functions on numbers, which constants may be computed with beside torch's own operators."""
LARGEST_CONSTANT = 1 << 28
"""Values of a constant that is computed while lowering."""


class Walk:
    """Visits the nodes of a captured graph in order.

    Attributes
    ----------
    values
        What each node gives: a flow, a tensor that does not depend on the images, numbers, or lists of these.
    """

    def __init__(self, captured: Captured, image: Shape):
        self.captured, self.graph = captured, Graph(image)
        self.values: dict[torch.fx.Node, Any] = {}
        self.batch = captured.image.meta["val"].shape[0]
        self.behind: dict[torch.fx.Node, frozenset[str]] = {}
        self.counted: set[str] = set()

    def run(self) -> Walk:
        """Visit all nodes; what has no layer is then known."""
        for node in self.captured.graph.nodes:
            if node.op == "placeholder":
                self.values[node] = self._placeholder(node)
            else:
                self._visit(node)
        return self

    def layers(self) -> tuple[tuple[AnyLayer, ...], tuple[str, ...]]:
        """Layers in order, and the one that gives each output."""
        flows = [self.values[node] for node in self.returned()]
        if not flows:
            raise LoweringError("forward returns nothing that depends on the images")
        return self.graph.finished(flows)

    def returned(self) -> list[torch.fx.Node]:
        """Nodes that forward returns and that depend on the images."""
        return [node for node in self.captured.outputs if isinstance(self.values[node], Flow)]

    def _visit(self, node: torch.fx.Node) -> None:
        if node.op == "get_attr":
            self.values[node] = getattr(node.graph.owning_module, str(node.target), None)
        elif node.op == "call_function":
            self.values[node] = self._called(node)

    def _inlined(self, inside: torch.fx.GraphModule, given: Sequence[Any]) -> Any:
        """What a part of the graph gives that stands in a block of its own, such as ``with torch.no_grad()``."""
        waiting = iter(given)
        for node in inside.graph.nodes:
            if node.op == "placeholder":
                self.values[node] = next(waiting)
            elif node.op == "output":
                return torch.fx.node.map_arg(node.args[0], self.values.get)
            else:
                self._visit(node)
        return None

    def _placeholder(self, node: torch.fx.Node) -> Any:
        self.behind[node] = frozenset({node.name})
        return self.graph.image if node is self.captured.image else self.captured.constants.get(node.name)

    def _called(self, node: torch.fx.Node) -> Any:
        arguments: Any = torch.fx.node.map_arg(node.args, self.values.get)
        options: Any = torch.fx.node.map_arg(dict(node.kwargs), self.values.get)
        read = [self.values.get(one) for one in node.all_input_nodes]
        if node.target is operator.getitem:
            return arguments[0][arguments[1]] if isinstance(arguments[0], (tuple, list)) else None
        inside = next((one for one in arguments if isinstance(one, torch.fx.GraphModule)), None)
        if inside is not None:
            return self._block(node, inside, arguments)
        if not any(_has_flow(one) for one in read):
            self.behind[node] = frozenset().union(*(self.behind.get(one, ()) for one in node.all_input_nodes))
            return self._constant(node, arguments, options)
        if node.meta.get("val") is None:  # a check of types or sizes, which gives nothing
            return None
        if not isinstance(node.target, torch._ops.OpOverload):
            return Batch(node) if isinstance(node.meta.get("val"), (torch.SymInt, int)) else None
        return self._operation(node, arguments, options, read)

    def _block(self, node: torch.fx.Node, inside: torch.fx.GraphModule, arguments: Sequence[Any]) -> Any:
        kind, place = str(node.target), list(arguments).index(inside)
        settings = arguments[:place]
        plain = "set_grad_enabled" in kind or ("autocast" in kind and False in settings[2:3])
        if not plain:
            read = [self.values.get(one) for one in node.all_input_nodes]
            return self._missing(node, kind, "blocks that change types, or that values decide on, have no layer", read)
        return self._inlined(inside, arguments[place + 1 :])

    def _operation(self, node: torch.fx.Node, arguments: Any, options: Any, read: Sequence[Any]) -> Any:
        """What an ATen operator gives, or an unknown value in its place."""
        kind = str(node.target._schema.name).removeprefix("aten::")  # type: ignore[union-attr]
        try:
            found = self._layer(node, kind, arguments, options)
            self._check(node, found)
        except AddersimError as error:
            return self._missing(node, kind, str(error), read)
        except (TypeError, ValueError, IndexError, KeyError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:120]
            return self._missing(node, kind, f"arguments that are not supported ({type(error).__name__}: {reason})", read)
        return found

    def _layer(self, node: torch.fx.Node, kind: str, arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
        if kind in ("sym_size", "sym_numel"):
            found = node.meta["val"]
            return found if isinstance(found, int) else Batch(node)
        row = OPERATORS.get(kind.removesuffix("_") if kind not in OPERATORS else kind)
        if row is None:
            raise LoweringError("has no layer")
        given = node.meta.get("val")
        if isinstance(given, Tensor) and not given.is_floating_point():
            raise LoweringError(f"gives {str(given.dtype).removeprefix('torch.')} values; only floats have layers")
        schema = node.target._schema.arguments  # type: ignore[union-attr]
        named = {one.name: one.default_value for one in schema if one.has_default_value()}
        named |= {**dict(zip((one.name for one in schema), arguments, strict=False)), **options}
        start = len(self.graph)
        found = row(Call(self.graph, node, self._name(node, kind), named, lambda: self._shapes(node)))
        self._note_trained(node, start)
        return found

    def _note_trained(self, node: torch.fx.Node, start: int) -> None:
        """Parameters that a node is the first to read are those of the layers that it became."""
        read: set[str] = set().union(*(self.behind.get(one, ()) for one in node.all_input_nodes))
        new = (read & self.captured.trained) - self.counted
        self.counted |= new
        self.graph.trained(start, sum(self.captured.constants[name].numel() for name in new))

    def _constant(self, node: torch.fx.Node, arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
        """What does not depend on the images, computed by torch itself, for one image where their number matters."""
        found = node.meta.get("val")
        if isinstance(found, (torch.SymInt, torch.SymFloat, torch.SymBool)):
            return Batch(node)
        if not isinstance(node.target, torch._ops.OpOverload) and getattr(node.target, "__module__", "") not in PLAIN:
            raise LoweringError(f"{self.path(node)}: {getattr(node.target, '__name__', node.target)} is not supported")
        tags = getattr(node.target, "tags", ())
        if torch.Tag.nondeterministic_seeded in tags:
            raise LoweringError(f"{self.path(node)}: {node.target} draws random numbers; a network at inference has none")
        if isinstance(found, Tensor) and _words(found) > LARGEST_CONSTANT:
            raise LoweringError(f"{self.path(node)}: computes a constant of shape {_shown(found.shape)}")
        with torch.no_grad():
            return node.target(*_for_one_image(arguments), **_for_one_image(options))  # type: ignore[operator]

    def _missing(self, node: torch.fx.Node, kind: str, why: str, read: Sequence[Any]) -> Any:
        """Go on behind an operation without a layer, if its shapes are known."""
        missing = Missing(kind.removesuffix("_"), self.path(node), why)
        flows = [one for value in read for one in _flows(value)]
        given = node.meta["val"]
        values = given if isinstance(given, (tuple, list)) else [given]
        shapes = [shape for one in values if (shape := _shape_of_one(one)) is not None]
        if len(shapes) < len(values):
            self.graph.missing.append(missing)
            return None
        products = products_of(kind, flows, shapes[0])
        found = [self.graph.unknown(missing, self._name(node, kind), shape, *flows, products=products) for shape in shapes]
        return found if isinstance(node.meta["val"], (tuple, list)) else found[0]

    def _check(self, node: torch.fx.Node, found: Any) -> None:
        """Refuse a value of another shape than torch's: it would be another value."""
        if isinstance(found, Flow) and not self.graph.missing and found.shape != (wanted := self._shapes(node)[0]):
            raise LoweringError(f"gives a value of shape {found.shape}, torch one of {wanted}")

    def _shapes(self, node: torch.fx.Node) -> tuple[Shape, ...]:
        """Shapes of a node's tensors without images; refused is what is not one tensor an image."""
        found = node.meta.get("val")
        return tuple(self._shape(one) for one in (found if isinstance(found, (tuple, list)) else [found]))

    def _shape(self, tensor: Any) -> Shape:
        if not isinstance(tensor, Tensor):
            raise LoweringError("gives numbers that depend on the images")
        sizes = tuple(tensor.shape)
        if not sizes or str(sizes[0]) != str(self.batch):
            raise LoweringError(f"gives a value of shape {_shown(sizes)}; the first axis must stay that of the images")
        if any(isinstance(size, torch.SymInt) for size in sizes[1:]):
            raise LoweringError(
                f"gives a value of shape {_shown(sizes)}: a size that depends on the number of images or on values"
            )
        return tuple(int(size) for size in sizes[1:]) or (1,)

    def path(self, node: torch.fx.Node) -> str:
        """Path and class of the module that a node belongs to, or the line of code."""
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        if stack and _inside(stack[-1][0]):
            kind = stack[-1][1]
            return f"{_inside(stack[-1][0])} ({(kind if isinstance(kind, str) else kind.__name__).rpartition('.')[2]})"
        lines = [line.strip() for line in (node.meta.get("stack_trace") or "").splitlines() if line.strip().startswith("File")]
        user = [line for line in lines if "/torch/" not in line and "/addersim/frontends/" not in line]
        if not user:
            return "forward"
        file, line = user[-1].split(", ")[:2]
        return f"forward, {file.removeprefix('File ').strip(chr(34)).rpartition('/')[2]} {line}"

    def _name(self, node: torch.fx.Node, kind: str) -> str:
        """The module's path for what a torch or adder module does by itself, else with the operation behind it."""
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        path = _inside(stack[-1][0]) if stack else ""
        kind = kind.removesuffix("_").rpartition("::")[2]
        classname = str(stack[-1][1]) if stack else ""
        single = "torch.nn.modules" in classname or kind == "window"
        return path if path and single else f"{path}.{kind}" if path else kind


def _inside(path: str) -> str:
    """A module's path in the user's network, without what capturing put around it."""
    path = path.removeprefix("L['self'].")
    return "" if path in ("", "inside", "L['self']") else path.removeprefix("inside.")


def _shown(sizes: Sequence[Any]) -> str:
    return " x ".join(str(size) if isinstance(size, int) else _images(size) for size in sizes)


def _images(size: torch.SymInt) -> str:
    """A size that depends on the number of images, in words."""
    times = _coefficient(size)
    return "images" if times == 1 else f"{times} x images"


def _coefficient(size: Any) -> int:
    """How many times the number of images a size is."""
    return max(1, int(size.node.expr.as_coeff_Mul()[0]))


def _shape_of_one(tensor: Any) -> Shape | None:
    """Shape of what stands for one image, wherever its axis is; None where it is no tensor of known sizes."""
    if not isinstance(tensor, Tensor):
        return None
    sizes = [size for size in tensor.shape if isinstance(size, int)]
    mixed = [_coefficient(size) for size in tensor.shape if not isinstance(size, int)]
    return (*(one for one in mixed if one != 1), *sizes) or (1,)


def _words(tensor: Tensor) -> int:
    """Values of a tensor for one image."""
    return math.prod(1 if isinstance(size, torch.SymInt) else int(size) for size in tensor.shape)


def _for_one_image(value: Any) -> Any:
    """Arguments with one for every size that depends on the number of images."""
    return tree_map(lambda one: 1 if isinstance(one, Batch) else one, value)


def _has_flow(value: Any) -> bool:
    return next(iter(_flows(value)), None) is not None


def _flows(value: Any) -> list[Flow]:
    if isinstance(value, Flow):
        return [value]
    return [one for part in value for one in _flows(part)] if isinstance(value, (tuple, list)) else []
