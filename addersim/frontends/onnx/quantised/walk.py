"""The walk over a quantised graph: each node becomes codes, or reals that wait for them, or is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.errors import AddersimError, LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.graph import Missing
from addersim.frontends.onnx.call import Number
from addersim.frontends.onnx.file import Graph, Node
from addersim.frontends.onnx.folding import FOLDED, fold
from addersim.frontends.onnx.image import image_value
from addersim.frontends.onnx.moves import OPERATORS as MOVES
from addersim.frontends.onnx.quantised import multithreshold, qdq, qonnx, qoperator, reals, steps
from addersim.frontends.onnx.quantised.call import QuantisedCall, flow_of
from addersim.frontends.onnx.quantised.scores import rounded_scores, stacked_ends
from addersim.frontends.quantised_building import QuantisedBuilding
from addersim.frontends.quantised_values import Coded, Codes, Images, Lost, Reals, Sums, Tail
from addersim.layers import Shape
from addersim.network import INPUT

__all__ = ["OPERATORS", "Walk"]

OPERATORS: Mapping[str, Callable[[QuantisedCall], Any]] = MappingProxyType(
    {**reals.OPERATORS, **qdq.OPERATORS, **qoperator.OPERATORS, **qonnx.OPERATORS, **multithreshold.OPERATORS}
)
"""How an operator becomes codes, or reals that wait for them."""
CONTROL = frozenset({"If", "Loop", "Scan", "SequenceMap"})
_UNKNOWN = ("has no layer", "is a custom operator, which only its author's code knows")
_SIZES = frozenset({"Shape", "Size"})
_RENAMES = frozenset({"Transpose", "Reshape", "Flatten", "Identity"})


class Walk:
    """Visits the nodes in order.

    Attributes
    ----------
    building
        The program in the making.
    missing
        What cannot be read, in order.
    left_out
        Operators behind the scores that keep their order.
    rounded
        Outputs of reals that became codes, and which.
    """

    def __init__(self, graph: Graph, image: Shape, last: bool) -> None:
        self.graph, self.missing, self.left_out, self.rounded = graph, list[Missing](), list[str](), list[str]()
        self.building = QuantisedBuilding(image, graph.signed_image, graph.integer_image)
        self.exact = any(node.operator.startswith(qonnx.DOMAINS) for node in graph.nodes)
        value = Images(image_value(Flow(INPUT, image), last))
        self.values: dict[str, Any] = {**graph.constants, graph.image: value, "": None}
        self._readers: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for name in node.inputs:
                self._readers.setdefault(name, []).append(node)
        for node in graph.nodes:
            self._visit(node)

    def ends(self) -> list[Flow]:
        """What the outputs are, as layers give it."""
        return [self._end(name) for name in self.graph.outputs]

    def _end(self, name: str) -> Flow:
        value = self.values[name]
        if isinstance(value, Tail):
            self.left_out += value.left_out
            value = value.value
        if isinstance(value, Reals) and value.table is not None and not value.signs:
            value = self._ordered(name, value, value.held)
        if isinstance(value, Sums) and not self._alike(value) and (scores := rounded_scores(value)):
            sums, how = scores
            self.rounded.append(f"{name}: codes of 16 bits of scale {how.form.scale:g}")
            value = self.building.quantised(sums, how, name)
        elif isinstance(value, Sums):
            value = self._ordered(name, value, value.real(stacked_ends(value)))
        if not isinstance(value, (Codes, Reals, Sums)):
            raise LoweringError(f"output {name!r} is neither codes nor sums of codes")
        return value.flow

    def _ordered(self, name: str, value: Reals | Sums, found: Any) -> Reals | Sums:
        """Codes or sums in place of one rising function of them all, which keeps the order of scores."""
        alike = (np.ptp(found, axis=1) == 0).all() or (isinstance(value, Sums) and self._alike(value))
        if not alike or not (np.diff(found[:, :1], axis=0) >= 0).all() or found[0, 0] == found[-1, 0]:
            raise LoweringError(
                f"output {name!r} is a function of codes, another for each score, that the file makes no codes of; quantise it"
            )
        if isinstance(value, Reals) or value.functions or value.bias.any():
            self.left_out.append("arithmetic on the scores")
        return value

    def _alike(self, value: Sums) -> bool:
        """Whether all channels have one function: tried on the sums that all of them reach."""
        low, high = int(np.max(value.ends[0])), int(np.min(value.ends[1]))
        tried = np.linspace(low, high, 64).astype(np.int64)[:, None]
        return low < high and bool((np.ptp(value.real(np.broadcast_to(tried, (64, len(value.bias)))), axis=1) == 0).all())

    def _visit(self, node: Node) -> None:
        inputs = tuple(self.values.get(name) for name in node.inputs)
        try:
            found = self._called(node, inputs)
        except AddersimError as error:
            self.missing.append(Missing(node.operator, f"tensor {(node.outputs or ('',))[0]!r}", str(error)))
            found = (Lost(),) * len(node.outputs)
        outputs = found if isinstance(found, tuple) else (found,)
        self.values.update(zip(node.outputs, outputs, strict=False))
        self.values.update({name: Lost() for name in node.outputs[len(outputs) :] if name})

    def _called(self, node: Node, inputs: tuple[Any, ...]) -> Any:
        if node.operator in CONTROL:
            raise LoweringError("is control flow, which is not read")
        if node.operator not in OPERATORS and node.operator not in FOLDED and node.operator not in _SIZES:
            raise LoweringError(_UNKNOWN["." in node.operator])
        if any(isinstance(one, Lost) for one in inputs):
            return (Lost(),) * len(node.outputs)
        signs_only = all(self._meets_signs(name) for name in node.outputs[:1])
        call = QuantisedCall(self.building, node, inputs, self.graph.opset, self.graph.sizes[0], signs_only, self.exact)
        depends = any(flow_of(one) is not None for one in inputs)
        try:
            with np.errstate(all="ignore"):
                if node.operator in _SIZES and depends:
                    return MOVES[node.operator](call.plain)
                if depends or node.operator in qdq.OPERATORS or node.operator in qonnx.OPERATORS:
                    return self._row(node, inputs)(call)
                return self._folded(node, inputs)
        except (TypeError, ValueError, IndexError, OverflowError, AttributeError) as error:
            if isinstance(error, AddersimError):
                raise
            raise LoweringError(f"attributes or constants that do not fit ({' '.join(str(error).split())[:120]})") from None

    def _row(self, node: Node, inputs: tuple[Any, ...]) -> Callable[[QuantisedCall], Any]:
        whole = any(isinstance(one, steps.Steps) for one in inputs)
        rows, what = (steps.OPERATORS, "whole numbers") if whole else (OPERATORS, "what depends on the images")
        if node.operator not in rows:
            raise LoweringError(f"of {what} has no layer")
        return rows[node.operator]

    def _folded(self, node: Node, inputs: tuple[Any, ...]) -> Any:
        """Constants of constants; codes stay codes where they are only moved."""
        first = inputs[0] if inputs else None
        if isinstance(first, Coded) and node.operator in ("Transpose", "Identity"):
            moved = {name: getattr(first, name) for name in ("codes", "scale", "zero_point")}
            turned: dict[str, Any] = {
                name: fold(node, [one]) if one.ndim == first.codes.ndim else one for name, one in moved.items()
            }
            return replace(first, **turned)
        if isinstance(first, Coded) and node.operator in ("Reshape", "Flatten") and first.scale.size == 1:
            return replace(first, codes=np.asarray(fold(node, [first.codes, *inputs[1:]])))
        found = fold(node, [one.reals if isinstance(one, Coded) else one for one in inputs])
        if any(isinstance(one, Number) for one in inputs):
            raise LoweringError("computes with one number an image")
        return found

    def _meets_signs(self, name: str, depth: int = 0) -> bool:
        """Whether all that reads a value is windows whose weights are signs, without padding."""
        readers = self._readers.get(name, [])
        if not readers or depth > 8 or name in self.graph.outputs:
            return False
        return all(self._is_sign_window(node, name, depth) for node in readers)

    def _is_sign_window(self, node: Node, name: str, depth: int) -> bool:
        if node.operator in _RENAMES:
            return self._meets_signs(node.outputs[0], depth + 1)
        reads = node.operator in ("MatMul", "Gemm", "Conv") and len(node.inputs) > 1 and node.inputs[0] == name
        if not reads or any(node.attributes.get("pads", ())):
            return False
        return self._is_sign_constant(node.inputs[1])

    def _is_sign_constant(self, name: str) -> bool:
        maker = next((one for one in self.graph.nodes if name in one.outputs), None)
        if maker is None or (maker.operator not in _RENAMES and not maker.operator.endswith(".BipolarQuant")):
            return False
        return maker.operator.endswith(".BipolarQuant") or self._is_sign_constant(maker.inputs[0])
