"""What an operator's function is given: an operator, the tensors that it reads, and the layers that are built."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NoReturn

from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import LoweringError
from addersim.frontends.integer_layers import IntegerLayers
from addersim.frontends.tflite.formats import activation_ends, code_format, value_shape
from addersim.frontends.tflite.records import Array, Operator, Shape, Tensor
from addersim.layers import IntegerLayer, IntegerMove
from addersim.layers.move import Permute, Reshape, Step, moved_shape, simplified

__all__ = ["RULE", "Call"]

RULE = "tflite"
"""Rounding rule of what is read here."""


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
    number
        Which of the operator's outputs that tensor is, from 0.
    """

    layers: IntegerLayers
    operator: Operator
    inputs: tuple[Tensor | None, ...]
    sources: tuple[str | None, ...]
    output: Tensor
    batch: int
    number: int = 0

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
