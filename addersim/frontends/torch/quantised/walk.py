"""The walk over a quantised graph: each node becomes codes, what they stand for, or reals that wait."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import torch
import torch.fx
from torch.utils._pytree import tree_leaves

from addersim.errors import AddersimError, LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.graph import Missing
from addersim.frontends.quantised_building import QuantisedBuilding
from addersim.frontends.quantised_values import Coded, Codes, Images, Lost, Reals, Sums, Tail, Value
from addersim.frontends.torch.capture import Captured
from addersim.frontends.torch.quantised.building import scores
from addersim.frontends.torch.quantised.call import Call
from addersim.frontends.torch.quantised.fbgemm import FbgemmBuilding
from addersim.frontends.torch.quantised.operators import OPERATORS, coded
from addersim.frontends.torch.walk import Walk
from addersim.layers import AnyIntegerLayer, Shape
from addersim.network import INPUT

__all__ = ["QuantisedWalk", "makes_codes"]

DOMAIN = "quantized_decomposed::"
FUSED = frozenset({"relu", "relu_", "relu6", "hardtanh", "hardtanh_", "clamp", "clamp_"})
"""Functions that end where codes of their results end."""


def makes_codes(graph: torch.fx.Graph) -> bool:
    """Whether a graph makes codes of values."""
    return any(_kind(node).startswith(f"{DOMAIN}quantize") for node in graph.nodes)


def _kind(node: torch.fx.Node) -> str:
    return str(node.target._schema.name) if isinstance(node.target, torch._ops.OpOverload) else ""


class QuantisedWalk(Walk):
    """As `Walk`, of a network that is quantised already; `building` has the layers."""

    def __init__(self, captured: Captured, image: Shape) -> None:
        super().__init__(captured, image)
        self.left_out: tuple[str, ...] = ()
        self.building = FbgemmBuilding(image) if captured.eager else QuantisedBuilding(image)

    def _placeholder(self, node: torch.fx.Node) -> Any:
        found = super()._placeholder(node)
        return Images(Flow(INPUT, self.building.shape)) if node is self.captured.image else found

    def _called(self, node: torch.fx.Node) -> Any:
        arguments: Any = torch.fx.node.map_arg(node.args, self.values.get)
        options: Any = torch.fx.node.map_arg(dict(node.kwargs), self.values.get)
        leaves = tree_leaves((arguments, options), is_leaf=lambda one: isinstance(one, Value | Coded | Tail))
        kind = _kind(node)
        if any(isinstance(one, Lost) for one in leaves):
            return self._lost(node)
        if node.target is operator.getitem and not isinstance(arguments[0], Value):
            return arguments[0][arguments[1]] if isinstance(arguments[0], (tuple, list)) else None
        try:
            if not any(isinstance(one, Value | Tail) for one in leaves):
                is_code = kind.startswith(f"{DOMAIN}dequantize")
                return coded(self._named(node, arguments, options)) if is_code else super()._called(node)
            if node.meta.get("val") is None:
                return None
            return self._read(node, kind.removeprefix("aten::"), self._named(node, arguments, options))
        except AddersimError as error:
            why = str(error)
        except (TypeError, ValueError, IndexError, KeyError, RuntimeError, AttributeError) as error:
            why = f"arguments that are not supported ({type(error).__name__}: {' '.join(str(error).split())[:120]})"
        self.graph.missing.append(Missing(kind.removeprefix("aten::"), self.path(node), why))
        return self._lost(node)

    def _lost(self, node: torch.fx.Node) -> Any:
        given = node.meta.get("val")
        lost = Lost()
        return [lost for _ in given] if isinstance(given, (tuple, list)) else lost

    def _named(self, node: torch.fx.Node, arguments: Any, options: Any) -> Mapping[str, Any]:
        schema = node.target._schema.arguments  # type: ignore[union-attr]
        named = {one.name: one.default_value for one in schema if one.has_default_value()}
        return named | {**dict(zip((one.name for one in schema), arguments, strict=False)), **options}

    def _read(self, node: torch.fx.Node, kind: str, arguments: Mapping[str, Any]) -> Any:
        if kind in ("sym_size", "sym_numel"):
            return super()._layer(node, kind, list(arguments.values()), {})
        row = OPERATORS.get(kind) or OPERATORS.get(kind.removesuffix("_"))
        if row is None:
            raise LoweringError("has no layer of codes")
        name = self._title(node)
        found = row(Call(self.building, node, name, arguments, lambda: self._shapes(node)))
        if isinstance(found, Value) and found.flow.shape != (wanted := self._shapes(node)[0]):
            raise LoweringError(f"gives a value of shape {found.flow.shape}, torch one of {wanted}")
        return found

    def _title(self, node: torch.fx.Node) -> str:
        """The layer's name: that of the operation whose reals it makes codes of, before functions that are fused into it."""
        before = node.args[0] if _kind(node).removeprefix("aten::") in FUSED or _kind(node).startswith(DOMAIN) else None
        if not isinstance(before, torch.fx.Node) or not _kind(before):
            return self._name(node, _kind(node))
        if _kind(node).startswith(DOMAIN) or not _kind(before).startswith(DOMAIN):
            return self._title(before)
        return self._name(node, _kind(node))

    def finished(self) -> tuple[AnyIntegerLayer, ...]:
        """The layers that the outputs need, in order."""
        ends, titles = [], []
        for end in self.captured.outputs:
            node: Any = end
            while isinstance(tail := self.values[node], Tail):
                self.left_out, node = tail.left_out, node.args[0]
            value, title = self.values[node], self._title(node)
            if not isinstance(value, Value):
                continue
            if isinstance(value, Reals):
                value = self.building.plain(value, title)
            elif isinstance(value, Sums) and not value.functions:
                value = Value(scores(self.building, value, title))
            elif not isinstance(value, Codes):
                raise LoweringError(f"the output {title!r} is made codes nowhere; quantise it")
            ends.append(value.flow)
            titles.append(title)
        if not ends:
            raise LoweringError("forward returns nothing that depends on the images")
        return self.building.finished(ends, titles)
