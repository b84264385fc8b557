"""What the file says of its images: sizes, and whether channels come first or last."""

from __future__ import annotations

from collections.abc import Sequence

from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.onnx.file import Graph
from addersim.layers import Shape

__all__ = ["channels_last", "image_shape", "image_value"]

EACH = frozenset({"Identity", "Cast", "Add", "Sub", "Mul", "Div", "Clip"})
"""Operators that exporters put between images with channels last and the Transpose that brings channels to the front."""


def channels_last(graph: Graph) -> bool:
    """Whether images are height x width x channels: all that reads them brings the channels to the front."""
    if len(graph.sizes) != 4:
        return False
    names, found = {graph.image}, False
    for node in graph.nodes:
        if names.isdisjoint(node.inputs):
            continue
        if node.operator in EACH:
            names.update(node.outputs)
        elif node.operator != "Transpose" or node.attributes.get("perm") != (0, 3, 1, 2):
            return False
        else:
            found = True
    return found and names.isdisjoint(graph.outputs)


def image_shape(graph: Graph, last: bool, wanted: Sequence[int] | None, where: str) -> Shape:
    """Shape of an image, channels first, from the file or, where that leaves sizes open, from what is wanted."""
    stored = graph.sizes[1:]
    stored = (stored[2], *stored[:2]) if last else stored
    names = {1: "(features,)", 2: "(channels, length)", 3: "(channels, height, width)"}[len(stored)]
    if wanted is None:
        if None in stored:
            shown = " x ".join("?" if one is None else str(one) for one in stored)
            raise LoweringError(f"{where}: input {graph.image!r} is batch x {shown}; give input_shape {names}")
        return tuple(one for one in stored if one is not None)
    shape = tuple(int(one) for one in wanted)
    if len(shape) != len(stored) or any(one not in (None, given) for one, given in zip(stored, shape, strict=True)):
        raise LoweringError(
            f"{where}: input_shape {shape}; the file says batch x {' x '.join(str(one or '?') for one in stored)}, {names}"
        )
    return shape


def image_value(image: Flow, last: bool) -> Flow:
    """The file's own input, from images with channels first."""
    return image.permute((1, 2, 0)) if last else image
