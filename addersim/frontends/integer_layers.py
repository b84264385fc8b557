"""Layers of a program in the making, for readers of files that were quantised elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from msgspec.structs import replace

from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import AddersimError, LoweringError
from addersim.frontends.flow import Flow
from addersim.inputs.opening import MAX_FILE_BYTES
from addersim.layers import AnyIntegerLayer, IntegerLayer, IntegerMove, IntegerWindow, Shape, Value
from addersim.layers.move import Reshape, Step
from addersim.network import INPUT

__all__ = ["FlowLayers", "IntegerLayers"]

Array = np.ndarray[Any, Any]


class IntegerLayers:
    """Integer layers in the making, and the value that each gives, ``input`` included."""

    def __init__(self, image: Value) -> None:
        self.values = {INPUT: image}
        self.built: dict[str, IntegerLayer] = {}
        self._arrays: dict[tuple[Any, ...], tuple[Array, Array]] = {}  # the given one is kept, so that its place stays its own
        self._taken_bytes = 0

    def kept(self, given: Array) -> Array:
        """Weights as an array of the program's own; one for all layers that read the same ones of the file."""
        place = (given.__array_interface__["data"][0], given.dtype.str, given.shape, given.strides)
        if place not in self._arrays:
            self._arrays[place] = given, np.array(given, order="C")
        return self._arrays[place][1]

    def take(self, size_bytes: int) -> None:
        """Note what an operator's constants take; a file may give one constant to many operators, but not without end."""
        self._taken_bytes += size_bytes
        if self._taken_bytes > MAX_FILE_BYTES:
            raise LoweringError(f"constants of all operators take more than {MAX_FILE_BYTES:,} bytes")

    def append(self, kind: type[IntegerLayer], name: str, *inputs: str, **fields: Any) -> str:
        """Append a layer; the name that it got."""
        unique = self._unique(name)
        self.take(sum(one.nbytes for one in fields.values() if isinstance(one, np.ndarray)))
        try:
            layer = kind(name=unique, inputs=inputs, twin=None, **fields)
            value = layer.checked_value(*(self.values[one] for one in inputs))
        except AddersimError as error:
            raise LoweringError(str(error).removeprefix(f"layer {unique}: ")) from None
        if value.words > MAX_FILE_BYTES:
            raise LoweringError(f"gives {value.words:,} codes an image; at most {MAX_FILE_BYTES:,} are allowed")
        self.built[unique], self.values[unique] = layer, value
        return unique

    def _unique(self, name: str) -> str:
        found, number = name, 1
        while found in self.values:
            number += 1
            found = f"{name}.{number}"
        return found

    def finished(self, ends: Sequence[str], titles: Sequence[str]) -> tuple[AnyIntegerLayer, ...]:
        """The layers that the outputs need, in order; `ends` give them, and `titles` is how the file calls them."""
        needed = set(ends)
        for layer in reversed(self.built.values()):
            needed.update(layer.inputs if layer.name in needed else ())
        found = self._with_copies(_with_owners([layer for layer in self.built.values() if layer.name in needed]), ends)
        for title, end in zip(titles, ends, strict=True):
            if end == INPUT:
                raise LoweringError(f"the output {title!r} is the images as they are; an output is what layers make of them")
        return cast("tuple[AnyIntegerLayer, ...]", tuple(found))

    def _with_copies(self, layers: Sequence[IntegerLayer], ends: Sequence[str]) -> list[IntegerLayer]:
        """The layers, with a copy behind each output that others read, too: a program gives what no layer of it reads."""
        read = {name for layer in layers for name in layer.inputs}
        found = []
        for layer in layers:
            found.append(layer)
            if layer.name in read and layer.name in ends:
                given = self.values[layer.name]
                form = FixedFormat(given.bits, given.signed, given.scale, given.zero_point)
                name = self._unique(f"{layer.name}.output")
                copied = IntegerMove(name=name, inputs=(layer.name,), twin=None, output=form, target=given.shape, steps=())
                self.values[name] = copied.checked_value(given)
                found.append(copied)
        return found


class FlowLayers:
    """Integer layers that read flows, once the images have become codes."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._layers: IntegerLayers | None = None
        self._placed: dict[tuple[str, tuple[Step, ...]], str] = {}

    @property
    def layers(self) -> IntegerLayers:
        """What is built; nothing can be before images are codes."""
        if self._layers is None:
            raise LoweringError("reads images that are no codes yet; quantise them first")
        return self._layers

    def layer(self, kind: type[IntegerLayer], name: str, *flows: Flow, **fields: Any) -> Flow:
        """Append a layer that reads values, each rearranged by a layer of its own where that is due."""
        found = self.layers.append(kind, _plain(name), *(self.placed(flow, name) for flow in flows), **fields)
        return Flow(found, self.layers.values[found].shape)

    def placed(self, flow: Flow, name: str) -> str:
        """Name of the layer that gives a value as it is."""
        if not flow.steps:
            return flow.layer
        key = flow.layer, flow.steps
        if key not in self._placed:
            given = self.layers.values[flow.layer]
            steps = flow.steps[:-1] if isinstance(flow.steps[-1], Reshape) else flow.steps
            form = FixedFormat(given.bits, given.signed, given.scale, given.zero_point)
            fields = {"output": form, "target": flow.shape, "steps": () if flow.renames() else steps}
            self._placed[key] = self.layers.append(IntegerMove, f"{name.strip('/')}.input", flow.layer, **fields)
        return self._placed[key]


def _plain(name: str) -> str:
    """A name without the slashes that files begin theirs with."""
    return name.strip("/") or "layer"


def _with_owners(layers: Sequence[IntegerLayer]) -> list[IntegerLayer]:
    """Layers whose weights another one holds, pointed to the first of those."""
    owners: dict[int, str] = {}
    found: list[IntegerLayer] = []
    for layer in layers:
        owner = owners.setdefault(id(layer.weights), layer.name) if isinstance(layer, IntegerWindow) else layer.name
        found.append(layer if owner == layer.name else replace(layer, shared=owner))
    return found
