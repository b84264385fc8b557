"""Lower: a torch network becomes a `Network` of plain arrays."""

from __future__ import annotations

import operator
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.fx
from torch import Tensor, nn

from addersim.errors import AddersimError, LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.graph import Graph, Missing, refuse_missing
from addersim.frontends.proof import NOT_CHECKED, PROOF
from addersim.frontends.torch.aten import OPERATORS
from addersim.frontends.torch.call import Batch, Call
from addersim.frontends.torch.capture import Captured, capture, unwrapped
from addersim.frontends.torch.proof import proved
from addersim.layers import AnyLayer, Shape
from addersim.network import Network

__all__ = ["lower"]

LARGEST_CONSTANT = 1 << 28
"""Values of a constant that is computed while lowering."""


def lower(
    module: nn.Module | torch.export.ExportedProgram,
    input_shape: Sequence[int],
    *,
    name: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    classes: Sequence[str] = (),
    about: Mapping[str, str] | None = None,
    adders: Collection[str] = (),
    images: np.ndarray | None = None,
    check: bool = True,
    countable: bool = False,
) -> Network:
    """Lower a torch network, and prove that the result gives what the module gives.

    Parameters
    ----------
    module
        Network, or what torch.export has made of one. It is captured by torch.export in evaluation mode and is afterwards
        what it was. DataParallel, DistributedDataParallel and compiled modules give what is inside them. Adder layers are our
        own, any module that computes ``-sum |x - f|`` of a parameter ``adder``, and those of `adders`.
    input_shape
        ``(channels, height, width)`` of an image, ``(channels, length)`` of a signal or ``(features,)``.
    name
        Name of the network; the module's class otherwise.
    mean, std
        Per channel, the normalisation ``(pixel / 255 - mean) / std`` that training used; 0 and 1 otherwise.
    classes, about
        Names of the scores, and free text by key, kept in the network.
    adders
        Classes of yours that are adder layers: each is run beside the formula of its own parameter ``adder`` or ``weight``.
    images
        Images for the proof, as `Network.values` takes them; otherwise some are made up.
    check
        Whether module and network run on the same images and must agree to 1e-4 of the largest value; a network that was not
        checked says so.
    countable
        Whether operations that have no layer may stay, as layers that can be counted around and not run.

    Raises
    ------
    LoweringError
        For what has no layer, all of it in one message with the path of each; for a module that torch.export cannot follow;
        and for a network that differs from its module, with the first layer that does.
    """
    inside = unwrapped(module)
    captured = capture(inside, input_shape, adders)
    walk = Walk(captured, tuple(int(size) for size in input_shape))
    title = name or (type(inside).__name__ if isinstance(inside, nn.Module) else "exported")
    layers, ends = walk.layers()
    if not countable:
        refuse_missing(title, walk.graph.missing)
    notes = dict(about or {})
    if captured.unproved:
        notes["taken at their layout's word"] = ", ".join(layer.path for layer in captured.unproved)
    network = Network.lowered(title, input_shape, layers, mean, std, classes, notes | {PROOF: NOT_CHECKED})
    if not check or walk.graph.missing or captured.unproved:
        return network
    return proved(network, inside, walk, ends, images)


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

    def layers(self) -> tuple[tuple[AnyLayer, ...], tuple[str, ...]]:
        """Layers in order, and the one that gives each output."""
        for node in self.captured.graph.nodes:
            if node.op == "placeholder":
                self.values[node] = self._placeholder(node)
            elif node.op == "call_function":
                self.values[node] = self._called(node)
        flows = [self.values[node] for node in self.returned()]
        if not flows:
            raise LoweringError("forward returns nothing that depends on the images")
        return self.graph.finished(flows)

    def returned(self) -> list[torch.fx.Node]:
        """Nodes that forward returns and that depend on the images."""
        return [node for node in self.captured.outputs if isinstance(self.values[node], Flow)]

    def _placeholder(self, node: torch.fx.Node) -> Any:
        return self.graph.image if node is self.captured.image else self.captured.constants.get(node.name)

    def _called(self, node: torch.fx.Node) -> Any:
        arguments, options = (torch.fx.node.map_arg(given, self.values.get) for given in (node.args, dict(node.kwargs)))
        read = [self.values.get(one) for one in node.all_input_nodes]
        if node.target is operator.getitem:
            return arguments[0][arguments[1]]
        if not any(_has_flow(one) for one in read):
            return self._constant(node, arguments, options)
        if node.meta.get("val") is None:  # a check of types or sizes, which gives nothing
            return None
        if not isinstance(node.target, torch._ops.OpOverload):
            return Batch(node) if isinstance(node.meta.get("val"), (torch.SymInt, int)) else None
        kind = node.target._schema.name.removeprefix("aten::")
        try:
            return self._layer(node, kind, arguments, options)
        except AddersimError as error:
            return self._missing(node, kind, str(error), read)

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
        named |= dict(zip((one.name for one in schema), arguments, strict=False)) | options
        return row(Call(self.graph, node, self._name(node, kind), named, lambda: self._shapes(node)))

    def _constant(self, node: torch.fx.Node, arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
        """What does not depend on the images, computed by torch itself, for one image where their number matters."""
        found = node.meta.get("val")
        if isinstance(found, (torch.SymInt, torch.SymFloat, torch.SymBool)):
            return Batch(node)
        tags = getattr(node.target, "tags", ())
        if torch.Tag.nondeterministic_seeded in tags:
            raise LoweringError(f"{self.path(node)}: {node.target} draws random numbers; a network at inference has none")
        if isinstance(found, Tensor) and sum(0 if isinstance(size, torch.SymInt) else int(size) for size in found.shape) > LARGEST_CONSTANT:
            raise LoweringError(f"{self.path(node)}: computes a constant of shape {tuple(found.shape)}")
        one_image = lambda value: torch.utils._pytree.tree_map(lambda one: 1 if isinstance(one, Batch) else one, value)  # noqa: E731
        with torch.no_grad():
            return node.target(*one_image(arguments), **one_image(options))  # type: ignore[operator]

    def _missing(self, node: torch.fx.Node, kind: str, why: str, read: Sequence[Any]) -> Any:
        """Go on behind an operation without a layer, if its shapes are known."""
        missing = Missing(kind.removesuffix("_"), self.path(node), why)
        try:
            shapes = self._shapes(node)
        except LoweringError as error:
            self.graph.missing.append(missing)
            raise LoweringError(str(error)) from None
        flows = [one for value in read for one in _flows(value)]
        found = [self.graph.unknown(missing, self._name(node, kind), shape, *flows) for shape in shapes]
        return found if isinstance(node.meta["val"], (tuple, list)) else found[0]

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
            raise LoweringError(f"gives a value of shape {_shown(sizes)}: a size that depends on the number of images or on values")
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
    return " x ".join("images" if place == 0 and isinstance(size, torch.SymInt) else str(size) for place, size in enumerate(sizes))


def _has_flow(value: Any) -> bool:
    return next(iter(_flows(value)), None) is not None


def _flows(value: Any) -> list[Flow]:
    if isinstance(value, Flow):
        return [value]
    return [one for part in value for one in _flows(part)] if isinstance(value, (tuple, list)) else []
