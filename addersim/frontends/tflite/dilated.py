"""Dilated convolutions as converters write them for frameworks that have none.

``SPACE_TO_BATCH_ND`` deals the pixels of an image, with a border of zeros, to as many smaller images as a block has pixels, a
convolution without dilation goes over each, and ``BATCH_TO_SPACE_ND`` puts the pixels back and crops. Each tap then lies a
block's side from the next one: it is one convolution with that dilation. Images between the two would not be those of the
input; read as one operator they stay so.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from addersim.frontends.tflite.formats import same_codes
from addersim.frontends.tflite.records import Graph, Operator, Shape, Tensor

__all__ = ["with_dilation"]

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
RESHAPES = ("EXPAND_DIMS", "RESHAPE", "SQUEEZE")
DEALT, PUT_BACK = "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"


def with_dilation(graph: Graph) -> tuple[Operator, ...]:
    """The operators, each such group of them as one convolution; those that are no such group stay as they are."""
    readers: dict[int, list[Operator]] = {}
    for operator in graph.operators:
        for place in operator.inputs:
            readers.setdefault(place, []).append(operator)
    joined: dict[int, Operator] = {}
    left_out: set[int] = set()
    for operator in graph.operators:
        group = _group(graph, operator, readers) if operator.name == DEALT else ()
        found = _convolution(graph, group) if group else None
        if found:
            left_out.update(map(id, group[:-1]))
            joined[id(group[-1])] = found
    return tuple(joined.get(id(one), one) for one in graph.operators if id(one) not in left_out)


def _group(graph: Graph, first: Operator, readers: dict[int, list[Operator]]) -> tuple[Operator, ...]:
    """The operators from dealing pixels out to putting them back, each of which alone reads the one before it."""
    found = [first]
    while found[-1].name != PUT_BACK:
        after = _only_reader(graph, found[-1], readers)
        if after is None or after.name not in (*RESHAPES, *CONVOLUTIONS, PUT_BACK):
            return ()
        found.append(after)
    return tuple(found) if sum(one.name in CONVOLUTIONS for one in found) == 1 else ()


def _only_reader(graph: Graph, operator: Operator, readers: dict[int, list[Operator]]) -> Operator | None:
    place = operator.outputs[0] if len(operator.outputs) == 1 else -1
    after = readers.get(place, [])
    return after[0] if len(after) == 1 and place not in graph.outputs and after[0].inputs[0] == place else None


def _convolution(graph: Graph, group: Sequence[Operator]) -> Operator | None:
    """One convolution for a group: over height and width, or over a row of one height."""
    first, last = group[0], group[-1]
    at = next(place for place, one in enumerate(group) if one.name in CONVOLUTIONS)
    window = group[at]
    dealt, back = (_dealing(graph, one) for one in (first, last))
    if dealt is None or back is None or dealt[0] != back[0] or not _passes_on(graph, group, at):
        return None
    axes, options = len(dealt[0]), dict(window.options)
    pairs = (first.outputs, window.inputs), (last.inputs, window.outputs)
    if not all(_as_image(graph.tensors[one[0]], axes) == graph.tensors[other[0]].shape[1:] for one, other in pairs):
        return None
    blocks, (borders, crops) = (1,) * (2 - axes) + dealt[0], (((0, 0),) * (2 - axes) + one[1] for one in (dealt, back))
    if (options.get("StrideH"), options.get("StrideW")) != (1, 1) or options.get("Padding") != "VALID":
        return None
    options["DilationHFactor"] = options.get("DilationHFactor", 1) * blocks[0]
    options["DilationWFactor"] = options.get("DilationWFactor", 1) * blocks[1]
    options["Borders"] = tuple((b[0] - c[0], b[1] - c[1]) for b, c in zip(borders, crops, strict=True))
    return Operator(window.name, (first.inputs[0], *window.inputs[1:]), last.outputs, MappingProxyType(options))


def _as_image(tensor: Tensor, axes: int) -> Shape | None:
    """Shape as height, width and channels, a row of pixels being of one height."""
    return (1,) * (2 - axes) + tensor.shape[1:] if len(tensor.shape) == axes + 2 else None


def _dealing(graph: Graph, operator: Operator) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]] | None:
    """Sides of the block, and what is added or cropped before and behind each axis; None where they are no such constants."""
    if len(operator.inputs) != 3 or min(operator.inputs) < 0:
        return None
    block, ends = (graph.tensors[place].data for place in operator.inputs[1:])
    if block is None or ends is None or block.ndim != 1 or len(block) not in (1, 2) or ends.shape != (len(block), 2):
        return None
    if block.dtype.kind != "i" or ends.dtype.kind != "i" or block.min() < 1 or ends.min() < 0:
        return None
    return tuple(map(int, block)), tuple((int(near), int(far)) for near, far in ends)


def _passes_on(graph: Graph, group: Sequence[Operator], at: int) -> bool:
    """Whether codes stay what they are on the way to the convolution, and from it on."""
    return all(
        same_codes(graph.tensors[one.inputs[0]], graph.tensors[one.outputs[0]])
        for place, one in enumerate(group)
        if place != at
    )
