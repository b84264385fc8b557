"""The graph that a front end builds: layers in order, and what the source holds that has no layer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from msgspec.structs import replace

from addersim.errors import AddersimError, LoweringError
from addersim.format_quantity import how_many
from addersim.frontends.flow import Flow
from addersim.inputs.opening import MAX_FILE_BYTES
from addersim.layers import Affine, AnyLayer, Layer, Move, Shape, Unknown, Window
from addersim.layers.move import Permute, Step
from addersim.network import INPUT
from addersim.storage import stands_in

__all__ = ["ONE_INPUT", "Border", "Graph", "Missing", "products_of", "refuse_missing"]

ONE_INPUT = "a network takes one, the images; join several along an axis, and split them inside"
"""What is said of a graph with more inputs, or none."""

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Missing:
    """Something of the source that has no layer.

    Attributes
    ----------
    operation
        How the source calls it.
    where
        Module path, node or line.
    why
        What about it is not supported, and what would help.
    """

    operation: str
    where: str
    why: str


@dataclass(frozen=True, slots=True)
class Border:
    """A number around values that lies below all of them, which the padding of a maximum stands for.

    Attributes
    ----------
    inside
        The values.
    pads
        Positions before and after each axis.
    """

    inside: Flow
    pads: tuple[tuple[int, int], ...]


class Graph:
    """Layers in the making.

    Attributes
    ----------
    missing
        What has no layer, in order. Its values go on as those of `Unknown` layers: everything missing is found at once.
    borders
        By the value that has it around itself.
    """

    def __init__(self, image: Shape) -> None:
        self.image = Flow(INPUT, image)
        self.missing: list[Missing] = []
        self.borders: dict[Flow, Border] = {}
        self._infinite: dict[str, Border] = {}
        self._built: dict[str, Layer] = {}
        self._moved: dict[tuple[Any, ...], Flow] = {}
        self._arrays: dict[tuple[Any, ...], tuple[Array, Array]] = {}  # the given one is kept, so that its place stays its own
        self._numbers: dict[str, int] = {}
        self._taken_bytes = 0

    def layer(self, kind: type[Layer], name: str, *flows: Flow, **fields: Any) -> Flow:
        """Append a layer that reads values as they are, each rearranged by a layer of its own where that is due."""
        placed = [self.placed(flow, name) for flow in flows]
        unique = self._unique(name)
        kept = {key: self._kept(one) if isinstance(one, np.ndarray) else one for key, one in fields.items()}
        return self._append(kind, unique, placed, kept)

    def beneath(self, kind: type[Layer], name: str, *flows: Flow, **fields: Any) -> Flow:
        """Append a layer that reads values before the rearrangements that wait, which all of them share; these follow it."""
        found = self.layer(kind, name, *(Flow(flow.layer, flow.given) for flow in flows), **fields)
        return Flow(found.layer, found.given, flows[0].steps)

    def surrounded(self, name: str, border: Border) -> Flow:
        """A value with minus infinity around it: no layer gives it, and a maximum alone may read it."""
        sizes = zip(border.inside.shape, border.pads, strict=True)
        found = Flow(self._unique(name), tuple(before + size + after for size, (before, after) in sizes))
        self.borders[found] = self._infinite[found.layer] = border
        return found

    def border_of(self, flow: Flow) -> Border | None:
        """The border around a value, its axes in another order, too; None where it has none."""
        for known, border in self.borders.items():
            steps = flow.steps[len(known.steps) :]
            if known == Flow(flow.layer, flow.given, flow.steps[: len(known.steps)]) and all(
                isinstance(step, Permute) for step in steps
            ):
                return _reordered(border, steps)
        return None

    def _kept(self, given: Array) -> Array:
        """An array of the network's own; one for all layers that are given the same memory, as shared modules are."""
        place = (given.__array_interface__["data"][0], given.dtype.str, given.shape, given.strides)
        if place not in self._arrays:
            self.take(0 if stands_in(given) else given.nbytes)
            self._arrays[place] = given, given if stands_in(given) else given.copy(order="C")
        return self._arrays[place][1]

    def trained(self, start: int, values: int) -> None:
        """Note how many trained values are behind the affine layers appended since there were `start` layers."""
        new = list(itertools.islice(reversed(self._built), len(self._built) - start))
        for name in reversed(new):
            layer = self._built[name]
            if isinstance(layer, Affine):
                self._built[name], values = replace(layer, trained=values), 0

    def __len__(self) -> int:
        return len(self._built)

    def _append(self, kind: type[Layer], name: str, flows: Sequence[Flow], fields: dict[str, Any]) -> Flow:
        try:
            layer = kind(name=name, inputs=tuple(flow.layer for flow in flows), **fields)
            shape = layer.shape(*(flow.given for flow in flows))
        except AddersimError as error:
            raise LoweringError(str(error).removeprefix(f"layer {name}: ")) from None
        if math.prod(shape) > MAX_FILE_BYTES:
            raise LoweringError(f"gives {math.prod(shape):,} values an image; at most {MAX_FILE_BYTES:,} are allowed")
        self._built[name] = layer
        return Flow(name, shape)

    def unknown(self, missing: Missing, name: str, shape: Shape, *flows: Flow, products: int = 0) -> Flow:
        """Note that something has no layer, and go on with its value."""
        self.missing.append(missing)
        real = [self._infinite[flow.layer].inside if flow.layer in self._infinite else flow for flow in flows]
        read = {flow.layer: Flow(flow.layer, flow.given) for flow in real}
        placed = list(read.values()) or [self.image]
        fields = {"operation": missing.operation, "output": shape, "products": products}
        return self._append(Unknown, self._unique(name), placed, fields)

    def placed(self, flow: Flow, name: str) -> Flow:
        """The value as a layer gives it: its steps become a layer, unless they only rename axes that nothing tells apart."""
        if flow.layer in self._infinite:
            raise LoweringError(
                f"reads {flow.layer!r}, values with minus infinity around them, which has no code; only a max pool may, "
                "each of whose windows meets a value"
            )
        if not flow.steps:
            return flow
        key = (flow.layer, flow.steps)
        if key not in self._moved:
            steps, target = (() if flow.renames() else flow.steps), flow.shape
            fields = {"target": (-1,) if not steps and len(target) == 1 else target, "steps": steps}
            self._moved[key] = self._append(Move, self._unique(f"{name}.input"), [Flow(flow.layer, flow.given)], fields)
        return self._moved[key]

    def _with_owners(self, layers: Sequence[Layer]) -> list[Layer]:
        """Layers whose weights another one holds, pointed to the first of those that are left."""
        owners: dict[int, str] = {}
        found = []
        for layer in layers:
            owner = owners.setdefault(id(layer.weights), layer.name) if isinstance(layer, Window) else layer.name
            found.append(layer if owner == layer.name else replace(layer, shared=owner))
        return found

    def take(self, size_bytes: int) -> None:
        """Note that weights or computed constants take memory."""
        self._taken_bytes += size_bytes
        if self._taken_bytes > MAX_FILE_BYTES:
            raise LoweringError(f"weights and computed constants take more than {MAX_FILE_BYTES:,} bytes")

    def _unique(self, name: str) -> str:
        base = name or "layer"
        if base not in self._built and base not in self._infinite and base != INPUT:
            return base
        number = self._numbers.get(base, 1) + 1
        while f"{base}.{number}" in self._built or f"{base}.{number}" in self._infinite:
            number += 1
        self._numbers[base] = number
        return f"{base}.{number}"

    def finished(self, outputs: Sequence[Flow]) -> tuple[tuple[AnyLayer, ...], tuple[str, ...]]:
        """The layers that the outputs need, in order, and the one that gives each output."""
        ends = [self.placed(flow, "output") for flow in outputs]
        needed = {flow.layer for flow in ends}
        for layer in reversed(self._built.values()):
            needed.update(layer.inputs if layer.name in needed else ())
        found = self._with_owners([layer for layer in self._built.values() if layer.name in needed])
        read = {name for layer in found for name in layer.inputs}
        for flow in ends:
            if flow.layer in read or flow.layer == INPUT:
                raise LoweringError(
                    f"the output {flow.layer!r} is read by other layers too, or given by none; return only what nothing else "
                    "reads, such as the scores alone"
                )
        return cast("tuple[AnyLayer, ...]", tuple(found)), tuple(flow.layer for flow in ends)


def _reordered(border: Border, steps: Sequence[Step]) -> Border:
    inside, pads = border.inside.then(*steps), border.pads
    for step in steps:
        pads = tuple(pads[axis] for axis in step.axes) if isinstance(step, Permute) else pads
    return Border(inside, pads)


def refuse_missing(title: str, missing: Sequence[Missing], *, countable: bool = True) -> None:
    """Refuse a network that holds what has no layer: every kind of it, how often, where first, and why.

    `countable` says whether such networks can be counted around it.
    """
    kinds: dict[tuple[str, str], list[str]] = {}
    for one in missing:
        kinds.setdefault((one.operation, one.why), []).append(one.where)
    if kinds:
        shown = [
            f"{operation} at {where[0]}{f' and {len(where) - 1} more' if len(where) > 1 else ''}: {why}"
            for (operation, why), where in kinds.items()
        ]
        number = f"{how_many(len(missing), 'operations')} {'has' if len(missing) == 1 else 'have'} no layer"
        way = ". With countable=True (lower --countable) the network can be counted, with what has none left out"
        raise LoweringError(f"{title}: {number}: {'; '.join(shown)}{way if countable else ''}")


def products_of(kind: str, flows: Sequence[Flow], shape: Shape) -> int:
    """Multiply-accumulates of a product of two values, or of attention, for one image; 0 where none are known."""
    if kind in ("matmul", "bmm", "MatMul") and len(flows) == 2:
        return math.prod(shape) * flows[0].shape[-1]
    if kind == "scaled_dot_product_attention" and len(flows) >= 3:
        return math.prod(flows[0].shape[:-1]) * flows[1].shape[-2] * (flows[0].shape[-1] + flows[2].shape[-1])
    return 0
