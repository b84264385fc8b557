"""One call of an operator in a quantised graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch.fx

from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.quantised_building import QuantisedBuilding
from addersim.frontends.quantised_values import Reals, Value
from addersim.frontends.torch import moves
from addersim.frontends.torch.call import Call as FloatCall
from addersim.layers import Shape

__all__ = ["Call"]

Sizes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A node, the values that it reads by the name of the operator's argument, and where layers go."""

    building: QuantisedBuilding
    node: torch.fx.Node
    name: str
    arguments: Mapping[str, Any]
    find_shapes: Callable[[], tuple[Shape, ...]]

    @property
    def kind(self) -> str:
        """The operator's name, of ATen's without their domain."""
        return str(self.node.target._schema.name).removeprefix("aten::")  # type: ignore[union-attr]

    @property
    def value(self) -> Any:
        """The value that operators of one value work on."""
        return self.arguments.get("self", self.arguments.get("input", self.arguments.get("x")))

    def reals(self, value: Any) -> Reals:
        """What codes stand for, by their format alone."""
        if not isinstance(value, Value):
            raise LoweringError("one of its values does not depend on the images; that is not supported")
        return self.building.plain(value, self.name)

    def sizes(self, name: str, count: int) -> Sizes:
        """As many whole numbers as there are spatial axes."""
        found = self.arguments[name]
        numbers = [found] if isinstance(found, int) else list(found)
        return tuple(numbers * count if len(numbers) == 1 else numbers)

    def rearranged(self, value: Value) -> Any:
        """The value after one of torch's operators that only move values."""
        flows = {name: one.flow if isinstance(one, Value) else one for name, one in self.arguments.items()}
        row = moves.OPERATORS[self.kind.removesuffix("_") if self.kind not in moves.OPERATORS else self.kind]
        found = row(FloatCall(None, self.node, self.name, flows, self.find_shapes))  # type: ignore[arg-type]
        if isinstance(found, Flow):
            return replace(value, flow=found)
        return [replace(value, flow=one) for one in found]
