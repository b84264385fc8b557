"""ATen operators that only move values, or hand them on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from addersim.errors import LoweringError
from addersim.frontends import rearranging
from addersim.frontends.flow import Flow
from addersim.frontends.torch.call import Array, Batch, Call, as_array
from addersim.layers.move import ZERO

__all__ = ["OPERATORS"]

LARGEST_MOVED = 1 << 24
"""Values of an image whose every place is looked up one by one."""


def _same(call: Call) -> Flow:
    if call.get("train"):
        raise LoweringError("dropout that stays active at inference is not supported")
    if not call.node.meta["val"].dtype.is_floating_point:
        raise LoweringError(f"turns values into {call.node.meta['val'].dtype}; only floats have layers")
    return call.operand


def _reshape(call: Call) -> Flow:
    return call.operand.reshape(call.shape)


def _permute(call: Call) -> Flow:
    """Any order of axes, found from strides of a tensor that has a different size along each."""
    flow = call.operand
    probe = torch.empty(*range(2, flow.rank + 3), device="meta")
    found = call.node.target(probe, *_rest(call))  # type: ignore[operator]
    order = [int(size) - 2 for size in found.shape]
    if order[0] != 0:
        raise LoweringError("moves the images' axis; it must stay the first")
    return flow.permute(tuple(axis - 1 for axis in order[1:]))


def _rest(call: Call) -> list[Any]:
    """Arguments behind the value, in the order of the operator."""
    return [call.arguments[name] for name in call.names[1:] if name in call.arguments]


def _slice(call: Call) -> Flow:
    flow = call.operand
    rank = flow.rank + 1
    start, stop, step = call["start"], call["end"], call["step"]
    if call["dim"] % rank == 0:
        if _all_images(call):
            return flow
        raise LoweringError("takes some of the images; every image goes through the whole network")
    axis = call.axis("dim")
    if isinstance(start, Batch) or isinstance(stop, Batch):
        raise LoweringError("cuts at a place that depends on the number of images")
    return flow.take(axis, rearranging.positions(flow.shape[axis], start, stop, step))


def _all_images(call: Call) -> bool:
    start, stop, step = call["start"], call["end"], call["step"]
    return start in (0, None) and step == 1 and (isinstance(stop, Batch) or stop is None or stop >= 1 << 62)


def _select(call: Call) -> Flow:
    flow, axis = call.operand, call.axis("dim")
    taken = flow.take(axis, np.arange(flow.shape[axis])[[call["index"]]])
    return taken.reshape(_without(taken.shape, axis))


def _without(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :]) or (1,)


def _narrow(call: Call) -> Flow:
    axis = call.axis("dim")
    return call.operand.take(axis, call["start"] + np.arange(call["length"]))


def _parts(call: Call) -> tuple[Flow, ...]:
    """Pieces along an axis, whose sizes torch has worked out."""
    flow, axis = call.operand, call.axis("dim")
    ends = np.cumsum([0, *(shape[axis] for shape in call.shapes)])
    return tuple(flow.take(axis, np.arange(one, two)) for one, two in itertools.pairwise(ends))


def _unbind(call: Call) -> tuple[Flow, ...]:
    flow, axis = call.operand, call.axis("dim")
    shape = _without(flow.shape, axis)
    return tuple(flow.take(axis, np.array([place])).reshape(shape) for place in range(flow.shape[axis]))


def _expand(call: Call) -> Flow:
    flow, shape = call.operand, call.shape
    if len(shape) != flow.rank:
        raise LoweringError(f"expands {flow.shape} to more axes; give it the axes first")
    return flow.expand(shape)


def _repeat(call: Call) -> Flow:
    flow, times = call.operand, call["repeats" if "repeats" in call.arguments else "dims"]
    times = [1] * (flow.rank + 1 - len(times)) + list(times)
    if len(times) != flow.rank + 1 or times[0] != 1:
        raise LoweringError("repeats images, or adds axes before them")
    return rearranging.repeat(flow, times[1:])


def _concatenate(call: Call) -> Flow:
    parts = call["tensors"]
    flow = next(part for part in parts if isinstance(part, Flow))
    axis = call.axes(call.get("dim", 0), flow.rank + 1)[0]
    parts = [part for part in parts if isinstance(part, Flow) or part.numel()]
    return rearranging.concatenate(call.graph, call.name, [_part(part, flow.rank) for part in parts], axis)


def _part(part: Any, rank: int) -> Flow | Array:
    if isinstance(part, Flow):
        return part
    values = as_array(part)
    if values.ndim != rank + 1 or values.shape[0] != 1:
        raise LoweringError(f"joins values and a constant of shape {values.shape}, which must have as many axes and one image")
    one: Array = values[0]
    return one


def _stack(call: Call) -> Flow:
    parts = call["tensors"]
    flow = next(part for part in parts if isinstance(part, Flow))
    axis = call.axes(call["dim"], flow.rank + 2)[0]
    shape = (*flow.shape[:axis], 1, *flow.shape[axis:])
    placed = [part.reshape(shape) if isinstance(part, Flow) else _part(part, flow.rank).reshape(shape) for part in parts]
    return rearranging.concatenate(call.graph, call.name, placed, axis)


def _pad(call: Call) -> Flow:
    flow, given = call.operand, call["pad" if "pad" in call.arguments else "padding"]
    kind = call.operator
    named = "reflect" if "reflection" in kind else "replicate" if "replication" in kind else "constant"
    mode: Any = call.get("mode") or named
    pairs = [(given[place], given[place + 1]) for place in range(0, len(given), 2)][::-1]
    pads = [(0, 0)] * (flow.rank + 1 - len(pairs)) + pairs
    if len(pads) != flow.rank + 1 or any(pads[0]):
        raise LoweringError("pads the images' axis")
    if mode != "constant":
        return rearranging.pad(flow, pads[1:], mode)
    return rearranging.pad_with(call.graph, call.name, flow, pads[1:], float(call.get("value") or 0.0))


def _slice_scatter(call: Call) -> Any:
    if call["dim"] == 0 and _all_images(call):
        return call["src"]
    flow, axis = call.flow("self"), call.axes([call["dim"]], len(call.shape) + 1)[0]
    places = rearranging.positions(call.shape[axis], call["start"], call["end"], call["step"])
    return rearranging.overwrite(call.graph, call.name, flow, _part(call["src"], flow.rank), axis, places)


def _select_scatter(call: Call) -> Flow:
    flow, axis = call.flow("self"), call.axes([call["dim"]], len(call.shape) + 1)[0]
    shape = (*call.shape[:axis], 1, *call.shape[axis + 1 :])
    source = call["src"]
    values = source.reshape(shape) if isinstance(source, Flow) else as_array(source).reshape(shape)
    return rearranging.overwrite(call.graph, call.name, flow, values, axis, np.array([call["index"] % call.shape[axis]]))


def _copy(call: Call) -> Any:
    source = call["src"]
    return source.expand(call.shape) if isinstance(source, Flow) else source


def _like_other(row: Callable[[Call], Any]) -> Callable[[Call], Any]:
    """A row of an operator that reads its second value for its shape or type alone, so that the first may be a constant."""

    def either(call: Call) -> Any:
        if isinstance(call["self"], Flow):
            return row(call)
        return call.node.target(call["self"], torch.empty((1, *call.flow("other").shape)))  # type: ignore[operator]

    return either


def _broadcast(call: Call) -> tuple[Any, ...]:
    """Values as they are expanded, and constants for one image."""
    shape = next(found for one, found in zip(call["tensors"], call.shapes, strict=True) if isinstance(one, Flow))
    return tuple(
        one.expand(shape) if isinstance(one, Flow) else torch.broadcast_to(one, (1, *shape)) for one in call["tensors"]
    )


def _filled(value: float | str) -> Callable[[Call], torch.Tensor]:
    """A constant in the shape of a value, for one image."""

    def row(call: Call) -> torch.Tensor:
        return torch.full((1, *call.shape), call.number(value) if isinstance(value, str) else value)

    return row


def _pixel_shuffle(call: Call) -> Flow:
    return rearranging.pixel_shuffle(call.operand, call["upscale_factor"])


def _pixel_unshuffle(call: Call) -> Flow:
    return rearranging.pixel_unshuffle(call.operand, call["downscale_factor"])


def _channel_shuffle(call: Call) -> Flow:
    flow, groups = call.operand, call["groups"]
    channels, *rest = flow.shape
    split = flow.reshape((groups, channels // groups, *rest))
    return split.permute((1, 0, *range(2, split.rank))).reshape(flow.shape)


def _nearest(call: Call) -> Flow:
    """Each axis by the positions that torch itself takes."""
    flow = call.operand
    for axis in range(1, flow.rank):
        probe = torch.arange(flow.shape[axis], dtype=torch.float64).reshape(1, 1, -1)
        factor = (call.get("scale_factors") or [None] * flow.rank)[axis - 1]
        wanted: dict[str, Any] = {"size": call.shape[axis]} if factor is None else {"scale_factor": factor}
        exact = "exact" in call.operator
        found = torch.nn.functional.interpolate(probe, mode="nearest-exact" if exact else "nearest", **wanted)
        flow = flow.take(axis, found.reshape(-1).numpy().astype(np.int64))
    return flow


def _looked_up(call: Call) -> Flow:
    """An operator that only moves values, run by torch on the places of two images' values: where each result comes from."""
    flow = call.operand
    words = math.prod(flow.shape)
    if words > LARGEST_MOVED or math.prod(call.shape) > LARGEST_MOVED:
        raise LoweringError(f"moves {words:,} values one by one; at most {LARGEST_MOVED:,} are supported")
    places = torch.arange(1, 2 * words + 1, dtype=torch.float64).reshape(2, *flow.shape)
    own = "self" if "self" in call.arguments else "input"
    given = {name: 2 if isinstance(one, Batch) else one for name, one in call.arguments.items()}
    if any(isinstance(one, Flow) for name, one in given.items() if name != own):
        raise LoweringError("moves values to places that depend on the image")
    given = {name: _for_two(one, flow.rank) for name, one in given.items()}
    found = call.node.target(**(given | {own: places})).numpy()  # type: ignore[operator]
    first, second = found[0], found[1]
    if not np.array_equal(second, np.where(first > 0, first + words, 0)):
        raise LoweringError("mixes images")
    indices = first.astype(np.int64).reshape(-1) - 1
    return flow.reshape((words,)).take(0, np.where(indices < 0, ZERO, indices)).reshape(call.shape)


def _for_two(value: Any, rank: int) -> Any:
    """A constant that was computed for one image, for two."""
    if isinstance(value, torch.Tensor) and value.ndim == rank + 1 and len(value) == 1:
        return value.expand(2, *value.shape[1:])
    return value


OPERATORS: Mapping[str, Callable[[Call], Any]] = MappingProxyType(
    dict.fromkeys(
        (
            *("dropout", "feature_dropout", "alpha_dropout", "contiguous", "clone", "detach", "alias", "to", "_to_copy"),
            *("lift_fresh_copy", "lift_fresh", "positive", "float", "double", "bfloat16", "half", "_conj"),
        ),
        _same,
    )
    | dict.fromkeys(
        (
            *("view", "reshape", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze", "ravel"),
            "_reshape_alias",
        ),
        _reshape,
    )
    | dict.fromkeys(
        ("permute", "transpose", "movedim", "moveaxis", "swapaxes", "swapdims", "mT", "adjoint"),
        _permute,
    )
    | dict.fromkeys(("split", "split_with_sizes", "chunk", "tensor_split", "unsafe_chunk", "unsafe_split"), _parts)
    | dict.fromkeys(("hsplit", "vsplit", "dsplit"), _parts)
    | dict.fromkeys(("expand", "broadcast_to"), _expand)
    | {"expand_as": _like_other(_expand), "type_as": _like_other(_same), "broadcast_tensors": _broadcast}
    | dict.fromkeys(("view_as", "reshape_as"), _like_other(_reshape))
    | dict.fromkeys(("repeat", "tile"), _repeat)
    | dict.fromkeys(("cat", "concat", "concatenate"), _concatenate)
    | dict.fromkeys(
        ("pad", "constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d"), _pad
    )
    | dict.fromkeys(
        ("upsample_nearest1d", "upsample_nearest2d", "_upsample_nearest_exact1d", "_upsample_nearest_exact2d"), _nearest
    )
    | dict.fromkeys(
        (
            *("unfold", "im2col", "roll", "flip", "index", "index_select", "repeat_interleave", "gather", "rot90", "tril"),
            *("triu", "diagonal", "diag_embed", "take_along_dim", "fliplr", "flipud"),
        ),
        _looked_up,
    )
    | {
        "slice": _slice,
        "select": _select,
        "narrow": _narrow,
        "unbind": _unbind,
        "stack": _stack,
        "slice_scatter": _slice_scatter,
        "select_scatter": _select_scatter,
        "copy": _copy,
        "zeros_like": _filled(0.0),
        "new_zeros": _filled(0.0),
        "ones_like": _filled(1.0),
        "new_ones": _filled(1.0),
        "full_like": _filled("fill_value"),
        "new_full": _filled("fill_value"),
        "fill": _filled("value"),
        "zero": _filled(0.0),
        "pixel_shuffle": _pixel_shuffle,
        "pixel_unshuffle": _pixel_unshuffle,
        "channel_shuffle": _channel_shuffle,
    }
)
"""A row an operator, as in `addersim.frontends.torch.aten`."""
