"""Operators that take places of a value along its axes: slices, parts, mirrored borders, copies; and that stack values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

import numpy as np

from addersim.frontends.tflite.call import Call
from addersim.frontends.tflite.moves import check_format, keeps_format
from addersim.frontends.tflite.records import Array
from addersim.inputs.limits import IMAGE_SIDE
from addersim.layers import IntegerConcat
from addersim.layers.move import Permute, Take

__all__ = ["OPERATORS", "SEVERAL"]


def _rank(call: Call, place: int = 0) -> int:
    """Number of axes of a tensor as the file has it, images included."""
    return len(call.shape(place)) + 1


def _size(call: Call, axis: int, place: int = 0) -> int:
    """Size along an axis of the file."""
    shape = call.shape(place)
    return shape[call.axis(axis, len(shape) + 1)]


def _taken(call: Call, taken: Mapping[int, Array], source: int = 0, part: str = "") -> str:
    """Places along axes of the file, in the order given."""
    rank, steps = _rank(call, source), []
    for axis, places in taken.items():
        if len(places) > IMAGE_SIDE.most:
            call.fail(f"gives {len(places):,} places along axis {axis}; at most {IMAGE_SIDE.most:,} are read")
        steps.append(Take(call.axis(axis, rank), np.asarray(places, np.int32)))
    return call.move(call.flow(source), tuple(steps), part)


def _numbers(call: Call, place: int, what: str, count: int) -> list[int]:
    """A constant of as many whole numbers as are expected."""
    found = call.constant(place, what).reshape(-1).tolist()
    return found if len(found) == count else call.fail(f"{what}: {found}; expected {count} whole numbers")


def _whole_batch(call: Call, places: range, size: int) -> None:
    """Refuse what leaves images out: each is on its own."""
    if places != range(size):
        call.fail("takes some of the images; each is computed alone")


def _sliced(call: Call) -> str:
    """From a place on, as many as are asked for; -1 asks for the rest."""
    keeps_format(call)
    rank = _rank(call)
    begin, sizes = (_numbers(call, place, what, rank) for place, what in ((1, "begin"), (2, "size")))
    taken = {}
    for axis in range(rank):
        whole = call.batch if axis == 0 else _size(call, axis)
        size = whole - begin[axis] if sizes[axis] == -1 else sizes[axis]
        if not 0 <= begin[axis] < begin[axis] + size <= whole:
            call.fail(f"takes {sizes[axis]} places from {begin[axis]} on along axis {axis}, of {whole}")
        if axis == 0:
            _whole_batch(call, range(begin[0], begin[0] + size), whole)
        else:
            taken[axis] = np.arange(begin[axis], begin[axis] + size)
    return _taken(call, taken)


def _strided(call: Call) -> str:
    """Places from begin to end in steps, an axis after the other; a bit of a mask leaves an end open, or an axis out."""
    keeps_format(call)
    given = call.constant(1, "begin").reshape(-1)
    if not 1 <= len(given) <= _rank(call):
        call.fail(f"begin of {len(given)} numbers; a value of {_rank(call)} axes has one for each at most")
    begin, end, stride = (
        _numbers(call, place, what, len(given)) for place, what in ((1, "begin"), (2, "end"), (3, "strides"))
    )
    for name in ("EllipsisMask", "NewAxisMask", "Offset"):
        if call.option(name, 0):
            call.fail(f"{name} is not supported; slice each axis")
    shrunk, taken = call.option("ShrinkAxisMask", 0), {}
    for axis in range(len(given)):
        size, bit = call.batch if axis == 0 else _size(call, axis), 1 << axis
        first = None if call.option("BeginMask", 0) & bit else begin[axis]
        last = None if call.option("EndMask", 0) & bit else end[axis]
        if shrunk & bit:
            if not -size <= begin[axis] < size:
                call.fail(f"takes place {begin[axis]} along axis {axis}, of {size}")
            first, last, stride[axis] = begin[axis] % size, begin[axis] % size + 1, 1
        if not stride[axis]:
            call.fail(f"a step of 0 along axis {axis}")
        places = range(*slice(first, last, stride[axis]).indices(size))
        if not places:
            call.fail(f"takes no place along axis {axis}, of {size}")
        if axis == 0:
            _whole_batch(call, places if not shrunk & 1 else range(0), size)
        else:
            taken[axis] = np.array(places)
    found = _taken(call, taken, part=".taken" if shrunk else "")
    return call.dropped(found, [axis for axis in range(len(given)) if shrunk & 1 << axis]) if shrunk else found


def _gathered(call: Call) -> str:
    """Places by a constant list."""
    keeps_format(call)
    places, axis = call.constant(1, "places"), call.option("Axis", 0)
    size = _size(call, axis)
    if places.ndim > 1 or call.option("BatchDims", 0) or not places.size or not 0 <= places.min() <= places.max() < size:
        call.fail(f"gathers {places.reshape(-1)[:4].tolist()} along axis {axis}, of {size}; expected a list of its places")
    found = _taken(call, {axis: places.reshape(-1)}, part="" if places.ndim else ".taken")
    return found if places.ndim else call.dropped(found, [axis % _rank(call)])


def _repeated(call: Call) -> str:
    """Copies side by side."""
    keeps_format(call)
    times = _numbers(call, 1, "multiples", _rank(call))
    if times[0] != 1 or min(times) < 1 or max(times) > IMAGE_SIDE.most:
        call.fail(f"multiples {times}; images are not repeated, and other axes at least once")
    return _taken(call, {axis: np.tile(np.arange(_size(call, axis)), times[axis]) for axis in range(1, len(times))})


def _mirrored(call: Call) -> str:
    """Borders that mirror a value, with its edge (mode 1) or without."""
    keeps_format(call)
    borders, rank, edge = call.constant(1, "borders"), _rank(call), call.option("Mode", 0)
    if borders.shape != (rank, 2) or borders.min() < 0 or edge not in (0, 1):
        call.fail(f"borders {borders.tolist()} of mode {edge}; expected two whole numbers for each of {rank} axes")
    taken = {}
    for axis in range(rank):
        before, after = borders[axis].tolist()
        if before or after:
            size = _size(call, axis)
            if max(before, after) > size - (not edge):
                call.fail(f"mirrors {max(before, after)} places along axis {axis}, of {size}")
            taken[axis] = np.pad(np.arange(size), (before, after), "symmetric" if edge else "reflect")
    return _taken(call, taken)


def _broadcast(call: Call) -> str:
    """Axes of size 1 repeated, to a shape that is given or worked out."""
    keeps_format(call)
    rank = _rank(call)
    wanted = _numbers(call, 1, "the shape", rank)
    given = [call.batch, *(_size(call, axis) for axis in range(1, rank))]
    if wanted[0] != call.batch or any(size not in (1, one) for size, one in zip(given, wanted, strict=True)):
        call.fail(f"cannot repeat {tuple(given)} to {tuple(wanted)}, images first; axes of size 1 but that of the images are")
    return _taken(call, {axis: _zeros(call, wanted[axis]) for axis in range(1, rank) if given[axis] != wanted[axis]})


def _zeros(call: Call, count: int) -> Array:
    if not 1 <= count <= IMAGE_SIDE.most:
        call.fail(f"repeats a place {count:,} times; 1 to {IMAGE_SIDE.most:,} are read")
    return np.zeros(count, np.int32)


def _turned(call: Call) -> str:
    """The last place first."""
    keeps_format(call)
    axes = call.constant(1, "axes").reshape(-1).tolist()
    return _taken(call, {axis: np.arange(_size(call, axis))[::-1] for axis in axes})


def _parts(call: Call, source: int, axis: int, sizes: Sequence[int]) -> tuple[str, ...]:
    """A value cut along an axis into parts of some sizes."""
    for place in range(len(call.outputs)):
        check_format(call, call.format(source), call.outputs[place])
    ends = np.cumsum([0, *sizes]).tolist()
    if len(sizes) != len(call.outputs) or min(sizes) < 1 or ends[-1] != _size(call, axis, source):
        call.fail(
            f"cuts {_size(call, axis, source)} places along axis {axis} into {list(sizes)} for {len(call.outputs)} outputs"
        )
    return tuple(
        _taken(call, {axis: np.arange(first, last)}, source, f".{number}")
        for number, (first, last) in enumerate(pairwise(ends))
    )


def _split(call: Call) -> tuple[str, ...]:
    (axis,), count = _numbers(call, 0, "the axis", 1), len(call.outputs)
    return _parts(call, 1, axis, [_size(call, axis, 1) // count] * count)


def _split_by(call: Call) -> tuple[str, ...]:
    """One of the sizes may be -1: the rest."""
    (axis,), sizes = _numbers(call, 2, "the axis", 1), _numbers(call, 1, "sizes", len(call.outputs))
    rest = _size(call, axis) - sum(size for size in sizes if size != -1)
    return _parts(call, 0, axis, [rest if size == -1 else size for size in sizes])


def _unpacked(call: Call) -> tuple[str, ...]:
    axis = call.option("Axis", 0)
    parts = _parts(call, 0, axis, [1] * _size(call, axis))
    return tuple(call.dropped(one, [axis % _rank(call)], ".shape") for one in parts)


def _packed(call: Call) -> str:
    """Side by side along a new axis."""
    output, rank = call.output_format, _rank(call)
    for place, tensor in enumerate(call.inputs):
        call.flow(place)
        assert tensor is not None
        check_format(call, output, tensor)
    axis = call.option("Axis", 0)
    axis = call.axis(axis, rank + 1) or rank  # of the file again, counted from the first
    sizes = [*call.shape()[1:], call.shape()[0]]
    sizes.insert(axis - 1, 1)
    stretched = [call.reshape(call.flow(place), (sizes[-1], *sizes[:-1]), ".input") for place in range(len(call.inputs))]
    if len(stretched) == 1:
        return stretched[0]
    place = call.axis(axis, rank + 1)
    turned = Permute(tuple({0: place, place: 0}.get(one, one) for one in range(rank)))
    joined = [call.move(one, (turned,), ".turned") for one in stretched]
    return call.move(call.layer(IntegerConcat, *joined, output=output, part=".joined"), (turned,))


OPERATORS: Mapping[str, Callable[[Call], str]] = MappingProxyType(
    {
        "BROADCAST_TO": _broadcast,
        "GATHER": _gathered,
        "MIRROR_PAD": _mirrored,
        "PACK": _packed,
        "REVERSE_V2": _turned,
        "SLICE": _sliced,
        "STRIDED_SLICE": _strided,
        "TILE": _repeated,
    }
)

SEVERAL: Mapping[str, Callable[[Call], tuple[str, ...]]] = MappingProxyType(
    {"SPLIT": _split, "SPLIT_V": _split_by, "UNPACK": _unpacked}
)
