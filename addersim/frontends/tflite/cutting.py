"""Operators that pass on parts of a value: slices, and several parts of one axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from addersim.frontends.tflite.call import Call
from addersim.frontends.tflite.moves import keeps_format
from addersim.layers.move import Take, moved_shape

__all__ = ["OPERATORS", "SEVERAL"]


def _kept(call: Call, positions: Sequence[range]) -> str:
    """The positions of each axis in the file's order, that of the images first, in the output's shape."""
    whole = range(call.batch)
    if positions[0] != whole:
        call.fail(
            f"keeps images {list(positions[0])[:3]} of {call.batch}: images would no longer be independent of each other"
        )
    steps = []
    for axis, kept in enumerate(positions[1:], 1):
        place = call.axis(axis, len(positions))
        if kept != range(call.shape(_value(call))[place]):
            steps.append(Take(place, np.array(kept, np.int32)))
    source, target = call.flow(_value(call)), call.output_shape()
    if moved_shape(tuple(steps), call.shape(_value(call))) == target:
        return call.move(source, tuple(steps))
    return call.reshape(call.move(source, tuple(steps), ".kept"), target)


def _value(call: Call) -> int:
    """Which input is cut: SPLIT has the axis before it."""
    return 1 if call.operator.name == "SPLIT" else 0


def _sizes(call: Call) -> tuple[int, ...]:
    """Of all axes, in the file's order."""
    first, *others = call.shape(_value(call))
    return call.batch, *others, first


def _checked_format(call: Call) -> None:
    keeps_format(call, _value(call))


def _numbers(call: Call, place: int, what: str) -> list[int]:
    """One number an axis."""
    found = [int(one) for one in call.constant(place, what).reshape(-1)]
    if len(found) != len(_sizes(call)):
        call.fail(f"{what} {found}; expected {len(_sizes(call))} numbers, one an axis")
    return found


def _part(call: Call) -> str:
    """From where on, and how many positions; -1 is all that are left."""
    _checked_format(call)
    sizes, starts, counts = _sizes(call), _numbers(call, 1, "where the slice begins"), _numbers(call, 2, "the slice's sizes")
    positions = []
    for size, start, count in zip(sizes, starts, counts, strict=True):
        end = size if count == -1 else start + count
        if not 0 <= start < end <= size:
            call.fail(f"positions {start}..{end - 1} of an axis of {size}")
        positions.append(range(start, end))
    return _kept(call, positions)


def _strided(call: Call) -> str:
    """Begin, end and stride of each axis, negative ones from its end on; masks open ends, or take one position alone."""
    _checked_format(call)
    for refused in ("EllipsisMask", "NewAxisMask", "Offset"):
        if call.option(refused, 0):
            call.fail(
                f"{refused} {call.option(refused, 0)} is not supported; slices with a begin and an end for every axis are"
            )
    sizes = _sizes(call)
    begins, ends, strides = (_numbers(call, place, what) for place, what in ((1, "begins"), (2, "ends"), (3, "strides")))
    return _kept(
        call, [_regular(call, axis, size, begins[axis], ends[axis], strides[axis]) for axis, size in enumerate(sizes)]
    )


def _regular(call: Call, axis: int, size: int, begin: int, end: int, stride: int) -> range:
    """Positions of one axis, by its bit in the masks."""
    single, begins, ends = (call.option(f"{name}Mask", 0) >> axis & 1 for name in ("ShrinkAxis", "Begin", "End"))
    if single:
        place = range(size)[begin]
        return range(place, place + 1)
    found = range(size)[slice(None if begins else begin, None if ends else end, stride)]
    if not found:
        call.fail(f"positions {begin} to {end} in steps of {stride} of an axis of {size}: none is left")
    return found


def _along(call: Call, axis: int, kept: range) -> str:
    """Some positions of one axis, all of the others."""
    sizes = _sizes(call)
    positions = [range(size) for size in sizes]
    if not -len(sizes) <= axis < len(sizes):
        call.fail(f"axis {axis} of a value of {len(sizes)} axes")
    if not (0 <= kept.start < kept.stop <= sizes[axis]):
        call.fail(f"positions {kept.start}..{kept.stop - 1} of an axis of {sizes[axis]}")
    positions[axis] = kept
    return _kept(call, positions)


def _axis(call: Call, place: int) -> int:
    found = call.constant(place, "axis").reshape(-1)
    return int(found[0]) if found.size == 1 else call.fail(f"axes {found.tolist()}; expected one")


def _equal_parts(call: Call) -> str:
    """Parts of one size along an axis."""
    _checked_format(call)
    axis, parts = _axis(call, 0), len(call.operator.outputs)
    size = _sizes(call)[axis] if -len(_sizes(call)) <= axis < len(_sizes(call)) else 0
    if not size or size % parts:
        call.fail(f"axis {axis} has {size} positions, which are not {parts} equal parts")
    return _along(call, axis, range(call.number * size // parts, (call.number + 1) * size // parts))


def _parts(call: Call) -> str:
    """Parts of sizes that a constant holds; one may be -1, what is left."""
    _checked_format(call)
    counts, axis = [int(one) for one in call.constant(1, "sizes of the parts").reshape(-1)], _axis(call, 2)
    if len(counts) != len(call.operator.outputs) or counts.count(-1) > 1:
        call.fail(f"sizes {counts} of {len(call.operator.outputs)} parts; one of them may be -1")
    sizes = _sizes(call)
    whole = sizes[axis] if -len(sizes) <= axis < len(sizes) else 0
    counts = [whole - sum(counts) - 1 if count == -1 else count for count in counts]
    if min(counts) < 1 or sum(counts) != whole:
        call.fail(f"parts of {counts} positions along axis {axis}, which has {whole}")
    start = sum(counts[: call.number])
    return _along(call, axis, range(start, start + counts[call.number]))


def _unstacked(call: Call) -> str:
    """Single positions along an axis, without it."""
    _checked_format(call)
    axis, parts = call.option("Axis", 0), len(call.operator.outputs)
    if not -len(_sizes(call)) <= axis < len(_sizes(call)) or _sizes(call)[axis] != parts:
        call.fail(f"axis {axis} of a value of {_sizes(call)}, images first, into {parts} tensors")
    return _along(call, axis, range(call.number, call.number + 1))


OPERATORS: Mapping[str, Callable[[Call], str]] = MappingProxyType(
    {"SLICE": _part, "SPLIT": _equal_parts, "SPLIT_V": _parts, "STRIDED_SLICE": _strided, "UNPACK": _unstacked}
)
SEVERAL = frozenset({"SPLIT", "SPLIT_V", "UNPACK"})
"""Those that give several tensors."""
