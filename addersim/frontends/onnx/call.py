"""What an operator's function is given: a node, the values that it reads, and a way to append layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from addersim.frontends.onnx.file import Array, Node, Unreadable
from addersim.layers import Layer, Shape

__all__ = ["NO_PADS", "Call", "Flow", "padding"]

Pair = tuple[int, int]
Emit = Callable[[type[Layer], tuple["Flow", ...], dict[str, Any]], "Flow"]

NO_PADS = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Flow:
    """A value that depends on the images: the layer that gives it, and its shape without the batch.

    Attributes
    ----------
    pads
        Zeros (top, left, bottom, right) that a ``Pad`` put around it, and that its reader has to take.
    ended
        The softmax that was dropped before it, if any.
    """

    layer: str
    shape: Shape
    pads: tuple[int, ...] = NO_PADS
    ended: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A node with the values that it reads, at least one of them a `Flow`, and a way to append layers."""

    node: Node
    inputs: tuple[Flow | Array | None, ...]
    emit: Emit
    batch: int | None  # the number of images that the file was written for, where it has one

    def fail(self, why: str) -> NoReturn:
        """Refuse the node."""
        self.node.fail(why)

    def flow(self, place: int = 0, padded: bool = False) -> Flow:
        """The input that depends on the images."""
        found = self.inputs[place] if place < len(self.inputs) else None
        if not isinstance(found, Flow):
            self.fail(f"input {place} is {'missing' if found is None else 'a constant'}; expected what depends on the image")
        if found.ended:
            self.fail(f"reads what {found.ended!r} gives; softmax is dropped and may only stand at the end")
        if found.pads != NO_PADS and not padded:
            self.fail("reads a padded value; only convolutions and average pooling can take the padding of a Pad")
        return found

    def constant(self, place: int, what: str) -> Array:
        """An input that must be constant."""
        found = self.optional(place, what)
        return self.fail(f"{what} is missing") if found is None else found

    def optional(self, place: int, what: str) -> Array | None:
        """An input that is constant or not there."""
        found = self.inputs[place] if place < len(self.inputs) else None
        if isinstance(found, Flow):
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

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute of the default's kind."""
        found = self.node.attributes.get(name, default)
        if isinstance(default, float) and isinstance(found, int):
            return float(found)
        if not isinstance(found, type(default)) and default is not None:
            shown = f"a {found.kind}" if isinstance(found, Unreadable) else repr(found)[:40]
            self.fail(f"attribute {name}: {shown} is not of the kind of {default!r}")
        return found

    def pair(self, name: str) -> Pair:
        """A vertical and a horizontal size, 1 without the attribute."""
        found = self.attribute(name, (1, 1))
        if len(found) != 2 or min(found) < 1:
            self.fail(f"attribute {name}: {found}; expected two whole numbers of at least 1")
        return found[0], found[1]

    def only(self, **allowed: Any) -> None:
        """Refuse attributes that are neither these, whose values are fixed, nor in `known`."""
        known = allowed.pop("known", ())
        for name, found in self.node.attributes.items():
            if name in allowed:
                if found != allowed[name]:
                    self.fail(f"attribute {name}: {found!r} is not supported; only {allowed[name]!r}")
            elif name not in known:
                self.fail(f"attribute {name} is not known; known: {', '.join(sorted([*allowed, *known]))}")

    def one_output(self) -> None:
        """Refuse a node whose second output is used."""
        if any(self.node.outputs[1:]):
            self.fail(f"its second output {self.node.outputs[1]!r} is not supported")

    def layer(self, kind: type[Layer], *flows: Flow, **fields: Any) -> Flow:
        """Append a layer."""
        return self.emit(kind, flows, fields)


def padding(call: Call, flow: Flow, kernel: Pair, stride: Pair, dilation: Pair, own: bool = True) -> Pair:
    """Padding of a window, the same on both sides.

    Where the far side has another one, the near side's is taken if it gives as many outputs: then the windows are the same.
    """
    if len(flow.shape) != 3:
        call.fail(f"input of shape {flow.shape}; expected channels x height x width")
    sizes, found = flow.shape[1:], []
    ends = _pads(call, sizes, kernel, stride, dilation) if own else NO_PADS
    for axis in range(2):
        begin, end = (ends[axis + 2 * far] + flow.pads[axis + 2 * far] for far in range(2))
        room = sizes[axis] + begin - dilation[axis] * (kernel[axis] - 1) - 1
        outputs = (room + end) // stride[axis] + 1
        if call.attribute("ceil_mode", 0) and (room + end) % stride[axis] and outputs * stride[axis] < sizes[axis] + begin:
            outputs += 1
        if outputs != (room + begin) // stride[axis] + 1:
            call.fail(
                f"padding {begin} before and {end} after gives {outputs} outputs along axis {axis + 2}, and {begin} on both "
                "sides another number; only equal padding, rounded down, is supported"
            )
        found.append(begin)
    return found[0], found[1]


def _pads(call: Call, sizes: Shape, kernel: Pair, stride: Pair, dilation: Pair) -> tuple[int, ...]:
    """(top, left, bottom, right) from ``pads`` or ``auto_pad``."""
    mode = call.attribute("auto_pad", "NOTSET")
    given: tuple[int, ...] = call.attribute("pads", NO_PADS)
    if mode in ("NOTSET", "VALID"):
        if len(given) != 4 or min(given) < 0:
            call.fail(f"attribute pads: {given}; expected four whole numbers of at least 0")
        return given if mode == "NOTSET" else NO_PADS
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        call.fail(f"attribute auto_pad: {mode!r} is not one of NOTSET, VALID, SAME_UPPER, SAME_LOWER")
    begins, ends = [], []
    for axis in range(2):
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        total = max(0, (-(-sizes[axis] // stride[axis]) - 1) * stride[axis] + reach - sizes[axis])
        begins.append(total // 2 if mode == "SAME_UPPER" else total - total // 2)
        ends.append(total - begins[axis])
    return (*begins, *ends)
