"""What an operator's function is given: a node, the values that it reads, and the program in the making."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np

from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.onnx import moves
from addersim.frontends.onnx.call import Call
from addersim.frontends.onnx.file import Node
from addersim.frontends.onnx.tensors import Array
from addersim.frontends.quantised_building import QuantisedBuilding
from addersim.frontends.quantised_values import Coded, Codes, Images, Reals, Sums, Tail, Value

__all__ = ["MOVES", "QuantisedCall", "flow_of", "moved"]


def flow_of(value: Any) -> Flow | None:
    """Where a value comes from, None for constants."""
    if isinstance(value, Tail):
        return flow_of(value.value)
    return getattr(value, "flow", None)


@dataclass(frozen=True, slots=True)
class QuantisedCall:
    """A node with the values that it reads.

    Attributes
    ----------
    inputs
        Values of `addersim.frontends.onnx.quantised.values`, arrays, or None.
    signs_only
        Whether all that reads the output are windows whose weights are signs, none of them padded.
    exact
        Whether reals are those of float32 (QONNX): a bias is added to them, not to sums.
    """

    building: QuantisedBuilding
    node: Node
    inputs: tuple[Any, ...]
    opset: int
    batch: int | None
    signs_only: bool = False
    exact: bool = False

    @property
    def title(self) -> str:
        """What the layer that gives the output is called: as the file calls that."""
        return self.node.outputs[0] or self.node.name

    @property
    def plain(self) -> Call:
        """The call as the tables for networks in float take it: flows and arrays. They read attributes and move values."""
        inputs = tuple(map(_plainly, self.inputs))
        return Call(None, self.node, inputs, self.opset, self.batch)  # type: ignore[arg-type]  # no layer is built with it

    def fail(self, why: str) -> NoReturn:
        """Say why the node has no layer."""
        raise LoweringError(why)

    def input(self, place: int) -> Any:
        """An input, None where it is not given."""
        return self.inputs[place] if place < len(self.inputs) else None

    def name_of(self, place: int) -> str:
        """What the file calls an input."""
        return self.node.inputs[place] if place < len(self.node.inputs) else "nothing"

    def reals(self, place: int = 0) -> Reals:
        """An input that is what codes stand for."""
        found = self.input(place)
        if isinstance(found, Reals):
            return found if found.signs else self.building.plain(found, self.title)
        return self.fail(f"reads {self.name_of(place)!r}, {_in_words(found)}; expected what codes stand for")

    def codes(self, place: int = 0) -> Codes:
        """An input that is codes."""
        found = self.input(place)
        return (
            found if isinstance(found, Codes) else self.fail(f"reads {self.name_of(place)!r}, {_in_words(found)}; not codes")
        )

    def constant(self, place: int) -> Array:
        """An input that must be a constant of the file."""
        found = self.input(place)
        found = found.reals if isinstance(found, Coded) else found
        if not isinstance(found, np.ndarray):
            self.fail(f"{self.name_of(place)!r}, {_in_words(found)}; only constants are supported there")
        return found

    def optional(self, place: int) -> Array | None:
        """A constant, or None where it is not given."""
        return None if self.input(place) is None else self.constant(place)


def moved(row: Callable[[Any], Any]) -> Callable[[QuantisedCall], Any]:
    """A row that moves values, whatever they are, from one of networks in float."""

    def move(call: QuantisedCall) -> Any:
        value = call.input(0)
        if not isinstance(value, Value):
            call.fail(f"moves {call.name_of(0)!r}, which is not read there")
        found = row(call.plain)
        if isinstance(found, tuple):
            return tuple(replace(value, flow=one) for one in found)
        return replace(value, flow=found) if isinstance(found, Flow) else found

    return move


def _plainly(value: Any) -> Any:
    """A constant as an array, anything else as its flow."""
    if isinstance(value, Coded):
        return value.reals
    return value if isinstance(value, np.ndarray) else flow_of(value)


_WORDS: Mapping[type, str] = MappingProxyType(
    {
        type(None): "missing",
        Images: "images that are no codes yet",
        Codes: "codes",
        Reals: "what codes stand for",
        Sums: "sums that were not made codes again",
        Coded: "a constant",
        np.ndarray: "a constant",
        Tail: "scores that only their order is kept of",
    }
)


def _in_words(value: Any) -> str:
    kind = type(value)
    return f"which is {_WORDS.get(kind, f'a {kind.__name__.lower()} that was not made codes again')}"


_MOVES = ("DepthToSpace", "Expand", "Flatten", "Gather", "Pad", "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze")
_MORE_MOVES = ("Tile", "Transpose", "Unsqueeze")
MOVES: Mapping[str, Callable[[QuantisedCall], Any]] = MappingProxyType(
    {name: moved(moves.OPERATORS[name]) for name in (*_MOVES, *_MORE_MOVES)}
)
"""Operators that move values and compute nothing."""
