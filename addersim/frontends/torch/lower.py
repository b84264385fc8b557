"""Lower: a torch network becomes a `Network` of plain arrays."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.fx
import torch.nn.functional as F
from torch import nn

from addersim.errors import AddersimError, LoweringError
from addersim.layers import FUNCTIONS, MODULES, AnyLayer
from addersim.layers.base import Built
from addersim.network import INPUT, Network, unread

__all__ = ["lower"]

DROPPED = frozenset({"Dropout", "Dropout1d", "Dropout2d", "Identity", "Softmax", "LogSoftmax"})
"""Modules without effect on the choice of a class at inference; the last two only at the end."""

ENDINGS = frozenset({"Softmax", "LogSoftmax", "softmax", "log_softmax"})
DROPPED_FUNCTIONS = frozenset({"dropout", "softmax", "log_softmax", "contiguous", "clone", "detach", "float"})

CALLED: Mapping[Any, str] = {
    F.relu: "relu",
    F.relu6: "relu6",
    torch.relu: "relu",
    torch.relu_: "relu",
    F.max_pool2d: "max_pool2d",
    torch.max_pool2d: "max_pool2d",
    F.avg_pool2d: "avg_pool2d",
    F.adaptive_avg_pool2d: "adaptive_avg_pool2d",
    torch.flatten: "flatten",
    torch.reshape: "reshape",
    torch.add: "add",
    torch.sub: "sub",
    torch.mul: "mul",
    torch.div: "div",
    torch.neg: "neg",
    operator.add: "add",
    operator.iadd: "add",
    operator.sub: "sub",
    operator.isub: "sub",
    operator.mul: "mul",
    operator.imul: "mul",
    operator.truediv: "div",
    operator.itruediv: "div",
    operator.neg: "neg",
    F.dropout: "dropout",
    F.softmax: "softmax",
    F.log_softmax: "log_softmax",
    torch.softmax: "softmax",
    torch.log_softmax: "log_softmax",
}
"""Names of the functions that `FUNCTIONS` knows; methods of a tensor go by their own name."""

METHODS = {"add_": "add", "sub_": "sub", "mul_": "mul", "div_": "div", "true_divide": "div"}
ARITHMETIC = frozenset({"add", "sub", "mul", "div"})


class _Tracer(torch.fx.Tracer):
    """Stops at every module that has a layer, so that an ``adder2d`` is one node whatever its forward does."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = type(m).__name__ in MODULES or type(m).__name__ in DROPPED
        return known or (super().is_leaf_module(m, module_qualified_name) and not isinstance(m, nn.Sequential))


def lower(
    module: nn.Module,
    input_shape: Sequence[int],
    *,
    name: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    classes: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
) -> Network:
    """Lower a torch network.

    Parameters
    ----------
    module
        Network in evaluation form; it is traced with torch.fx and not changed. Convolution, linear, batch norm, ReLU, pooling,
        flatten and reshape, ``+``, arithmetic with numbers, our `Adder2d` and `AdderLinear`, and any module of a class named
        ``adder2d`` in the layout of the official AdderNet code.
    input_shape
        ``(channels, height, width)`` of an image.
    name
        Name of the network; the module's class otherwise.
    mean, std
        Per channel, the normalisation ``(pixel / 255 - mean) / std`` that training used; 0 and 1 otherwise.
    classes, metadata
        Names of the scores, and free text by key, kept in the network.

    Raises
    ------
    LoweringError
        For a module or function that has no layer: its name, its class and the known ones.
    """
    was_training = module.training
    module.eval()
    try:
        graph = _Tracer().trace(module)
    except (torch.fx.proxy.TraceError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise LoweringError(f"{type(module).__name__}: torch.fx cannot trace its forward ({reason})") from None
    finally:
        module.train(was_training)
    layers = _Builder(module, graph).layers()
    return Network.lowered(name or type(module).__name__, input_shape, layers, mean, std, classes, metadata or {})


class _Builder:
    """Walks a traced graph; `sources` maps each node to the name of the layer that gives its value."""

    def __init__(self, module: nn.Module, graph: torch.fx.Graph):
        self.modules = dict(module.named_modules())
        self.graph = graph
        self.sources: dict[torch.fx.Node, str] = {}
        self.built: dict[str, AnyLayer] = {}
        self.returned: list[str] = []
        self.ended: str | None = None

    def layers(self) -> tuple[AnyLayer, ...]:
        for node in self.graph.nodes:
            self._visit(node)
        needed = set(self.returned)
        for layer in reversed(self.built.values()):
            needed.update(layer.inputs if layer.name in needed else ())
        found = tuple(layer for layer in self.built.values() if layer.name in needed)
        ends = unread(found)
        for name in self.returned:
            if name not in ends:
                raise LoweringError(
                    f"forward returns {name!r}, which other layers read or no layer gives; return only what nothing else reads"
                )
        return found

    def _visit(self, node: torch.fx.Node) -> None:
        if node.op == "placeholder":
            if self.sources and not node.args:
                raise LoweringError(f"forward takes a second argument {node.name!r}; a network takes images only")
            self.sources[node] = INPUT
        elif node.op == "call_module":
            target = str(node.target)
            module = self.modules[target]
            self._place(node, target, type(module).__name__, lambda: self._from_module(target, module), node.args)
        elif node.op in {"call_function", "call_method"} and not self._is_size(node):
            self._call(node)
        elif node.op == "output":
            self.returned = [self.sources[one] for one in node.all_input_nodes if one in self.sources]
        elif node.op == "get_attr":
            raise LoweringError(f"forward reads the tensor {node.target!r}; only numbers and values of layers may be combined")

    def _is_size(self, node: torch.fx.Node) -> bool:
        """Whether a node only asks for sizes, such as ``x.size(0)``, ``x.shape[0]``."""
        if node.op == "call_method":
            return node.target in {"size", "dim"}
        if node.target is getattr:
            return node.args[1] == "shape"
        return node.target is operator.getitem and isinstance(node.args[0], torch.fx.Node) and self._is_size(node.args[0])

    def _from_module(self, target: str, module: nn.Module) -> Built:
        kind = type(module).__name__
        if kind in DROPPED:
            return None
        if kind not in MODULES:
            known = ", ".join(sorted([*MODULES, *DROPPED]))
            raise LoweringError(f"module {target!r} of class {kind} has no layer; known classes: {known}")
        return MODULES[kind](module)

    def _call(self, node: torch.fx.Node) -> None:
        if node.op == "call_method":
            name = METHODS.get(str(node.target), str(node.target))
        else:
            name = CALLED.get(node.target, getattr(node.target, "__name__", str(node.target)))
        values = [one for one in node.args if isinstance(one, torch.fx.Node) and not self._is_size(one)]
        rest: list[Any] = list(node.args[1:])
        if name in ARITHMETIC and len(values) < 2:
            number = next((one for one in node.args if not isinstance(one, torch.fx.Node)), None)
            backwards = not isinstance(node.args[0], torch.fx.Node) and name in {"sub", "div"}
            name, rest = f"{'r' if backwards else ''}{name} scalar", [number]
        elif name == "add":
            rest = []
        options = {key: value for key, value in node.kwargs.items() if key != "input"}
        values = values or [node.kwargs["input"]]  # type: ignore[list-item]
        self._place(node, str(node.name), name, lambda: self._from_function(name, rest, options), values)

    def _from_function(self, name: str, arguments: list[Any], options: Mapping[str, Any]) -> Built:
        if name in DROPPED_FUNCTIONS:
            return None
        if name not in FUNCTIONS:
            known = ", ".join(sorted([*FUNCTIONS, *DROPPED_FUNCTIONS]))
            raise LoweringError(f"function {name!r} has no layer; known functions: {known}")
        plain = [_without_nodes(one) for one in arguments]
        return FUNCTIONS[name](*plain, **options)

    def _place(self, node: torch.fx.Node, name: str, kind: str, build: Callable[[], Built], values: Sequence[Any]) -> None:
        """Append the layer of a node, or let its value pass where it has none."""
        inputs = tuple(self.sources[one] for one in values if isinstance(one, torch.fx.Node) and one in self.sources)
        if self.ended and kind not in DROPPED_FUNCTIONS:
            raise LoweringError(f"{self.ended} stands before {name!r}; softmax is dropped and may only stand at the end")
        try:
            built = build()
            if built is None:
                self.sources[node] = inputs[0]
                self.ended = kind if kind in ENDINGS else self.ended
                return
            layer, fields = built
            unique = name if name not in self.built and name != INPUT else f"{name}.{len(self.built)}"
            self.built[unique] = layer(name=unique, inputs=inputs, **fields)  # type: ignore[assignment]
            self.sources[node] = unique
        except AddersimError as error:
            where = f"{name!r} ({kind})"
            raise LoweringError(str(error) if repr(name) in str(error) else f"{where}: {error}") from None
        except TypeError as error:
            raise LoweringError(f"{name!r} ({kind}): arguments that are not supported ({error})") from None


def _without_nodes(value: Any) -> Any:
    """Sizes that the graph computes (``x.size(0)``) as -2: the batch, whatever it is."""
    if isinstance(value, torch.fx.Node):
        return -2
    if isinstance(value, (tuple, list)):
        return tuple(_without_nodes(one) for one in value)
    return value
