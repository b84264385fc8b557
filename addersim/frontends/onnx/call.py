"""What an operator's function is given: a node, the values that it reads, and the graph that is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.graph import Graph
from addersim.frontends.onnx.file import Array, Node, Unreadable

__all__ = ["Call", "Number"]

Sizes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Number:
    """One number an image, without an axis of its own; `flow` has an axis of size 1."""

    flow: Flow


@dataclass(frozen=True, slots=True)
class Call:
    """A node with the values that it reads, at least one of them a `Flow`, and where layers go.

    Attributes
    ----------
    opset
        Version of ONNX's own operators.
    batch
        The number of images that the file was written for, where it has one.
    """

    graph: Graph
    node: Node
    inputs: tuple[Flow | Number | Array | None, ...]
    opset: int
    batch: int | None

    @property
    def name(self) -> str:
        """What the node's layer is called."""
        return self.node.name.strip("/") or self.node.operator

    def fail(self, why: str) -> NoReturn:
        """Say why the node has no layer."""
        raise LoweringError(why)

    def input(self, place: int) -> Flow | Number | Array | None:
        """An input, None where it is not given."""
        return self.inputs[place] if place < len(self.inputs) else None

    def flow(self, place: int = 0) -> Flow:
        """An input that depends on the images."""
        found = self.input(place)
        if isinstance(found, Number):
            self.fail("reads one number an image that has no axis of its own; keep an axis of size 1")
        if not isinstance(found, Flow):
            self.fail(f"input {place} is {'missing' if found is None else 'a constant'}; expected what depends on the image")
        return found

    def anything(self) -> Flow:
        """The first input, or the one of `Number` with an axis of size 1."""
        found = self.input(0)
        return found.flow if isinstance(found, Number) else self.flow()

    def constant(self, place: int, what: str) -> Array:
        """An input that must be constant."""
        found = self.optional(place, what)
        return self.fail(f"{what} is missing") if found is None else found

    def optional(self, place: int, what: str) -> Array | None:
        """An input that is constant or not there."""
        found = self.input(place)
        if isinstance(found, (Flow, Number)):
            self.fail(f"{what} is computed from the image; only constants are supported")
        return found

    def number(self, place: int, attribute: str, default: float) -> float:
        """A number from an attribute (old opsets) or a constant input."""
        found = self.optional(place, attribute)
        if found is None:
            return float(self.attribute(attribute, default))
        return (
            float(found.reshape(())) if found.size == 1 else self.fail(f"{attribute} of shape {found.shape}; needs a number")
        )

    def whole_numbers(self, place: int, attribute: str) -> Sizes | None:
        """Whole numbers from an attribute (old opsets) or a constant input; None where neither is there."""
        if attribute in self.node.attributes:
            return tuple(self.attribute(attribute, ()))
        found = self.optional(place, attribute)
        if found is not None and found.dtype.kind != "i":
            self.fail(f"{attribute} is {found.dtype}; expected whole numbers")
        return None if found is None else tuple(int(one) for one in found.reshape(-1))

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute of the default's kind."""
        found = self.node.attributes.get(name, default)
        if isinstance(default, float) and isinstance(found, int):
            return float(found)
        if not isinstance(found, type(default)) and default is not None:
            shown = f"a {found.kind}" if isinstance(found, Unreadable) else repr(found)[:40]
            self.fail(f"attribute {name}: {shown} is not of the kind of {default!r}")
        return found

    def sizes(self, name: str, axes: int) -> Sizes:
        """A size for each spatial axis, 1 without the attribute."""
        found: Sizes = self.attribute(name, (1,) * axes)
        if len(found) != axes or min(found) < 1:
            self.fail(f"attribute {name}: {found}; expected {axes} whole numbers of at least 1")
        return found

    def only(self, *known: str, **fixed: Any) -> None:
        """Refuse attributes that are neither known nor of these fixed values."""
        for name, found in self.node.attributes.items():
            if name in fixed:
                if found != fixed[name]:
                    self.fail(f"attribute {name}: {found!r} is not supported; only {fixed[name]!r}")
            elif name not in known:
                self.fail(f"attribute {name} is not known; known: {', '.join(sorted([*fixed, *known])) or 'none'}")

    def axis(self, axis: int, rank: int | None = None) -> int:
        """An axis as a flow counts them, without images."""
        return self.axes((axis,), rank)[0]

    def axes(self, axes: Sizes | None, rank: int | None = None) -> Sizes:
        """Axes as a flow counts them; `rank` counts the images' axis."""
        rank = self.anything().rank + 1 if rank is None else rank
        if axes is None:
            self.fail("works over all axes, the images' among them")
        if any(not -rank <= axis < rank for axis in axes):
            self.fail(f"axes {axes} of a value of {rank} axes")
        places = [axis % rank for axis in axes]
        if 0 in places:
            self.fail("works along the images' axis: images would no longer be independent of each other")
        return tuple(place - 1 for place in places)
