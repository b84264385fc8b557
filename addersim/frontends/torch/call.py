"""What an ATen operator's function is given: a node with its arguments by name, and the graph that is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.fx
from torch import Tensor

from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.graph import Graph
from addersim.layers import Shape

__all__ = ["Batch", "Call", "as_array"]

Array = np.ndarray[Any, Any]
Sizes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """A size that depends on the number of images."""

    node: torch.fx.Node


@dataclass(frozen=True, slots=True)
class Call:
    """A node, the values that it reads by the name of the operator's argument, and where layers go.

    Attributes
    ----------
    arguments
        Flows, tensors that do not depend on the images, numbers, lists; defaults filled in.
    find_shapes
        Gives `shapes`; asked only where they matter, since not every result is one tensor an image.
    """

    graph: Graph
    node: torch.fx.Node
    name: str
    arguments: Mapping[str, Any]
    find_shapes: Callable[[], tuple[Shape, ...]]

    @property
    def operator(self) -> str:
        """The operator's name."""
        return str(self.node.target._schema.name)  # type: ignore[union-attr]

    @property
    def names(self) -> list[str]:
        """Names of the operator's arguments, in order."""
        return [one.name for one in self.node.target._schema.arguments]  # type: ignore[union-attr]

    @property
    def operand(self) -> Flow:
        """The value that operators of one value work on, which they call one of two names."""
        return self.flow("self" if "self" in self.arguments else "input")

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Shapes of what it gives, without images."""
        return self.find_shapes()

    @property
    def shape(self) -> Shape:
        """Shape of the one value that it gives."""
        return self.shapes[0]

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def get(self, name: str, default: Any = None) -> Any:
        """An argument that not every overload has."""
        return self.arguments.get(name, default)

    def flow(self, name: str) -> Flow:
        """An argument that depends on the images."""
        found = self.arguments[name]
        if not isinstance(found, Flow):
            raise LoweringError(f"its {name} does not depend on the images; that is not supported")
        return found

    def array(self, name: str) -> Array:
        """An argument that must not depend on the images."""
        found = self.optional(name)
        if found is None:
            raise LoweringError(f"its {name} is missing")
        return found

    def optional(self, name: str) -> Array | None:
        """The same, or None where it is not given."""
        found = self.arguments.get(name)
        if isinstance(found, Flow):
            raise LoweringError(f"its {name} depends on the images; only constants are supported there")
        return None if found is None else as_array(found)

    def number(self, name: str) -> float:
        """A number, or a tensor that holds one."""
        found = self.array(name)
        if found.size != 1:
            raise LoweringError(f"its {name} has shape {found.shape}; expected one number")
        return float(found.reshape(()))

    def sizes(self, name: str, count: int) -> Sizes:
        """As many whole numbers as there are spatial axes; one number serves all, none is None."""
        found = self.arguments[name]
        numbers = [found] if isinstance(found, int) else list(found)
        if any(not isinstance(one, int) for one in numbers):
            raise LoweringError(f"its {name} depends on the number of images")
        return tuple(numbers * count if len(numbers) == 1 else numbers)

    def axis(self, name: str) -> int:
        """An axis as the flow counts them, without images."""
        return self.axes([self.arguments[name]])[0]

    def axes(self, found: Any, rank: int | None = None) -> Sizes:
        """Axes as a flow counts them; none at all means all but the images."""
        rank = len(self._input().shape) + 1 if rank is None else rank
        if found is None or found == []:
            raise LoweringError("works over all axes, the images among them")
        numbers = [found] if isinstance(found, int) else list(found)
        places = [one % rank for one in numbers]
        if 0 in places:
            raise LoweringError("works along the images' axis: images would no longer be independent of each other")
        return tuple(place - 1 for place in places)

    def _input(self) -> Flow:
        return next(one for one in self.arguments.values() if isinstance(one, Flow))


def as_array(value: Any) -> Array:
    """A tensor or number as an array."""
    if isinstance(value, Batch):
        raise LoweringError("its result depends on the number of images")
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        value = value if value.layout is torch.strided else value.to_dense()
        return np.asarray(value.float().numpy() if value.dtype in (torch.bfloat16, torch.float16) else value.numpy())
    return np.asarray(value)
