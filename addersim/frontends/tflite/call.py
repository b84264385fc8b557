"""What an operator's function is given: an operator, the tensors that it reads, and the layers that are built."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import AddersimError, LoweringError
from addersim.frontends.tflite.formats import activation_ends, code_format, value_shape
from addersim.frontends.tflite.records import Array, Operator, Shape, Tensor
from addersim.inputs.opening import MAX_FILE_BYTES
from addersim.layers import IntegerLayer, IntegerMove, Value
from addersim.layers.move import Permute, Reshape, Step, moved_shape, simplified
from addersim.network import INPUT

__all__ = ["RULE", "Call", "Layers"]

RULE = "tflite"
"""Rounding rule of what is read here."""


class Layers:
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


@dataclass(frozen=True, slots=True)
class Call:
    """An operator with its tensors, at least one of which depends on the images.

    Attributes
    ----------
    layers
        What is built.
    inputs
        Tensors, None where one is left out.
    sources
        Name of the layer that gives each input; None for constants.
    output
        The tensor that the operator gives.
    batch
        Number of images that the file was written for.
    """

    layers: Layers
    operator: Operator
    inputs: tuple[Tensor | None, ...]
    sources: tuple[str | None, ...]
    output: Tensor
    batch: int

    @property
    def name(self) -> str:
        """What the operator's last layer is called: the first of the names that its output has from fused operators."""
        return self.output.name.split(";")[0].strip() or self.operator.name

    def fail(self, why: str) -> NoReturn:
        """Say why the operator has no layer."""
        raise LoweringError(why)

    def flow(self, place: int = 0) -> str:
        """The layer that gives an input that depends on the images."""
        found = self.sources[place] if place < len(self.sources) else None
        if found is None:
            given = place < len(self.inputs) and self.inputs[place] is not None
            self.fail(f"input {place} is {'a constant' if given else 'missing'}; expected what depends on the images")
        return found

    def tensor(self, place: int, what: str) -> Tensor:
        """An input that must be there."""
        found = self.inputs[place] if place < len(self.inputs) else None
        return self.fail(f"{what} is missing") if found is None else found

    def shape(self, place: int = 0) -> Shape:
        """Shape of an input that depends on the images, without them, channels first."""
        return self.layers.values[self.flow(place)].shape

    def format(self, place: int = 0) -> FixedFormat:
        """Format of an input that depends on the images."""
        self.flow(place)
        return code_format(self.tensor(place, f"input {place}"))

    @property
    def output_format(self) -> FixedFormat:
        """Format of the output."""
        return code_format(self.output)

    def constant(self, place: int, what: str, kinds: tuple[str, ...] = ("INT32", "INT64")) -> Array:
        """An input that must be constant, of one of some types."""
        tensor = self.tensor(place, what)
        if place < len(self.sources) and self.sources[place] is not None:
            self.fail(f"{what} is computed from the images; only constants are supported")
        if tensor.data is None:
            tensor.fail(tensor.why_unread or "has no values; only constants are supported here")
        if tensor.type not in kinds:
            tensor.fail(f"{what} is of type {tensor.type}; expected {' or '.join(kinds)}")
        return tensor.data

    def option(self, name: str, default: Any) -> Any:
        """An option, of the default's kind."""
        return self.operator.options.get(name, default)

    @property
    def ends(self) -> dict[str, Any]:
        """Codes at which the fused activation ends, as layers take them."""
        low, high = activation_ends(self.option("FusedActivationFunction", "NONE"), self.output_format)
        return {"low": low, "high": high}

    def axis(self, axis: int, rank: int) -> int:
        """An axis of a tensor as layers count them, without images and with the last one first."""
        if not -rank <= axis < rank:
            self.fail(f"axis {axis} of a value of {rank} axes")
        if axis % rank == 0:
            self.fail("works along the images' axis: images would no longer be independent of each other")
        return 0 if axis % rank == rank - 1 else axis % rank

    def layer(self, kind: type[IntegerLayer], *inputs: str, part: str = "", **fields: Any) -> str:
        """Append a layer of this operator; `part` tells apart those that are not its last."""
        return self.layers.append(kind, f"{self.name}{part}", *inputs, **fields)

    def move(self, source: str, steps: tuple[Step, ...], part: str = "") -> str:
        """Append a layer that rearranges a value, where there is something to rearrange."""
        given = self.layers.values[source]
        kept = simplified(steps, given.shape)
        if not kept:
            return source
        target = moved_shape(kept, given.shape)
        if isinstance(kept[-1], Reshape):
            kept = kept[:-1]
        form = FixedFormat(given.bits, given.signed, given.scale, given.zero_point)
        return self.layer(IntegerMove, source, part=part, output=form, target=target, steps=kept)

    def reshape(self, source: str, shape: Shape, part: str = "") -> str:
        """The same values in the file's order, channels last, in another shape, channels first."""
        given = self.layers.values[source].shape
        if math.prod(given) != math.prod(shape):
            self.fail(f"cannot give {given} the shape {shape}")
        steps: tuple[Step, ...] = (Reshape(shape),)
        if not _in_one_order(given, shape):
            last, first = (*range(1, len(given)), 0), (len(shape) - 1, *range(len(shape) - 1))
            steps = Permute(last), Reshape((*shape[1:], shape[0])), Permute(first)
        return self.move(source, steps, part)

    def output_shape(self) -> Shape:
        """Shape that the file gives the output, without images, channels first."""
        return value_shape(self.output, self.batch)


def _in_one_order(*shapes: Shape) -> bool:
    """Whether channels first and channels last are the same order of values in all shapes."""
    return all(shape[0] == 1 or math.prod(shape[1:]) == 1 for shape in shapes)
