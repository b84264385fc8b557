"""Words of a layer's operands as an array's elements take them, one after another, and how often each bit of them changes.

Counts are exact, of all taps of all images, without going through them: a pair of neighbouring words counts as often as
windows meet it. Operands are those of the elements, less their zero points, weights in their stored codes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.geometry import Geometry
from addersim.hardware.dataflow.row_stationary import RowMapping, taken_in_turn
from addersim.hardware.operand_activity import OperandActivity
from addersim.kernels.toggles import weighed_bits, weighed_changes, weighed_zeros
from addersim.layers import IntegerWindow

__all__ = ["InputStream", "channel_blocks", "filter_blocks", "input_codes", "weight_activity"]

Array = npt.NDArray[Any]


def input_codes(codes: Array, held: FixedFormat) -> tuple[Array, int]:
    """Inputs less their zero point as an element's register has them, in two's complement, and their bits.

    Examples
    --------
    >>> input_codes(np.array([-128, 127], np.int8), FixedFormat(8, zero_point=-128))
    (array([  0, 255], dtype=uint8), 8)
    """
    if not held.zero_point:
        return codes, held.bits
    bits, _ = held.centred
    kind = np.uint8 if bits <= 8 else np.uint16  # zero points are of codes of a byte
    return (codes.astype(np.int16) - held.zero_point & (1 << bits) - 1).astype(kind), bits


def _weight_codes(layer: IntegerWindow) -> tuple[Array, int]:
    """Weights less their zero points, in the codes that an element's register has, a filter a row, and their bits."""
    codec, apart = DATAPATHS[layer.datapath].arithmetic.codec, layer.weight_zero_points is not None
    bits = codec.stored_bits(layer.weight_format) + apart
    codes = codec.stored(layer.operand_weights(np.arange(len(layer.weights))), bits)
    return codes.astype(np.uint8 if bits <= 8 else np.uint16).reshape(len(codes), -1), bits


class InputStream:
    """Inputs of one layer, batch after batch, in one of the orders of `tap_order`.

    Attributes
    ----------
    bits
        Of a word.
    taps, zeros, ones
        Taps, padding included, those on which the input is zero, and on which each of its bits is one.
    toggles
        Changes of each bit, over all words that follow another one in their pass.
    passes
        Runs of taps in which words are compared; the first word of each is compared with none.
    pixels, columns
        Outputs of all images, of one filter, and of a row.
    """

    def __init__(self, layer: IntegerWindow, order: str, mapping: RowMapping | None = None) -> None:
        self.layer, self.order, self.mapping = layer, order, mapping
        self.filters = len(layer.weights) // layer.groups
        self.bits = input_codes(np.zeros(1, layer.input_format.dtype), layer.input_format)[1]
        self.zeros = self.taps = self.images = self.pixels = self.passes = self.columns = 0
        self.toggles, self.ones = np.zeros(self.bits, np.int64), np.zeros(self.bits, np.int64)
        self.last: Array | None = None

    def add(self, codes: Array) -> None:
        """One batch more, of the images that follow."""
        layer, geometry, held = self.layer, self.layer.geometry, self.layer.input_format
        pixels = codes if codes.ndim == 4 else codes[:, None, None, :]
        images, height, width, channels = pixels.shape
        outputs = geometry.output_size(height, width)
        rows, columns = moves = [
            _Axis(geometry, axis, size, out) for axis, (size, out) in enumerate(zip((height, width), outputs, strict=True))
        ]
        self.images += images
        self.pixels += images * outputs[0] * outputs[1]
        self.columns = outputs[1]
        self.taps = self.pixels * layer.weights[0].size * len(layer.weights)
        codes, _ = input_codes(pixels, held)
        padded = np.zeros((rows.size, columns.size, images, channels), codes.dtype)
        padded[rows.start : rows.start + height, columns.start : columns.start + width] = codes.transpose(1, 2, 0, 3)
        flat, met = padded.reshape(rows.size * columns.size, -1), _cross(rows.met(), columns.met())
        self.zeros += weighed_zeros(flat, met) * self.filters
        self.ones += weighed_bits(flat, met, self.bits) * self.filters
        {"output": self._along_taps, "weight": self._along_pixels, "input": self._held, "row": self._along_rows}[self.order](
            padded, moves
        )

    @property
    def pass_taps(self) -> float:
        """Taps of a pass, on average; where weights are held, of those of one image at a time."""
        return self.pixels / self.images if self.order == "weight" else self.taps / self.passes

    def found(self) -> OperandActivity:
        """What was seen."""
        steps = 0 if self.order == "input" else self.taps - self.passes
        return OperandActivity(self.taps, self.zeros, steps, tuple(self.toggles.tolist()), tuple(self.ones.tolist()))

    def _count(self, one: Array, other: Array, weights: Array, times: int) -> None:
        """Words of pixels that follow each other, ``(height, width, images, ...)``, as often as weights say, so many times."""
        if one.size:
            changed = (one ^ other).reshape(weights.size, -1)
            self.toggles += times * weighed_bits(changed, weights.reshape(-1), self.bits)

    def _count_channels(self, padded: Array, ends: list[int], moves: list[_Axis], times: int) -> None:
        """From each channel of a pixel to the next one, but for those at which something ends."""
        rows, columns = moves
        counted = np.ones(padded.shape[2:], np.bool_)
        counted[..., [end - 1 for end in ends]] = False
        flat = padded.reshape(rows.size * columns.size, -1)
        self.toggles += times * weighed_changes(flat, counted, _cross(rows.met(), columns.met()), self.bits)

    def _held(self, padded: Array, moves: list[_Axis]) -> None:
        """An input stays while filters pass."""
        self.passes = self.taps // self.filters

    def _along_taps(self, padded: Array, moves: list[_Axis]) -> None:
        """From each tap of a window to the next one: channel, kernel column, kernel row."""
        rows, columns = moves
        blocks = self._blocks(padded, [(0, padded.shape[3] // self.layer.groups)])
        first, last = self._ends_of(padded, blocks)
        self.passes = self.pixels * len(self.layer.weights)
        self._count_channels(padded, [end for _, end in blocks], moves, self.filters)
        self._to_next_column(first, last, moves, self.filters)
        if rows.kernel > 1:
            down, wide = rows.dilation, (columns.kernel - 1) * columns.dilation
            weights = _cross(
                rows.met(offsets=range(rows.kernel - 1))[: rows.size - down],
                columns.met(offsets=range(columns.kernel - 1, columns.kernel))[wide:],
            )
            self._count(last[: rows.size - down, wide:], first[down:, : columns.size - wide], weights, self.filters)

    def _blocks(self, padded: Array, inside: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """First and last place, less one, of blocks of the channels of every group."""
        each = padded.shape[3] // self.layer.groups
        return [(first + begin, first + end) for first in range(0, padded.shape[3], each) for begin, end in inside]

    def _ends_of(self, padded: Array, blocks: list[tuple[int, int]]) -> tuple[Array, Array]:
        """The first channel of each block, and the last one."""
        begins, ends = ([one[0] for one in blocks], [one[1] - 1 for one in blocks])
        return _channels_at(padded, begins), _channels_at(padded, ends)

    def _to_next_column(self, first: Array, last: Array, moves: list[_Axis], times: int) -> None:
        """From the last channel under a kernel's column to the first one under the next."""
        rows, columns = moves
        if columns.kernel > 1:
            step = columns.dilation
            weights = _cross(rows.met(), columns.met(offsets=range(columns.kernel - 1))[: columns.size - step])
            self._count(last[:, : columns.size - step], first[:, step:], weights, times)

    def _along_pixels(self, padded: Array, moves: list[_Axis]) -> None:
        """From each output to the next one, tap by tap: in a row, to the next row, to the next image."""
        rows, columns = moves
        step, down = columns.stride, rows.stride
        self.passes = self.taps // self.pixels
        if columns.outputs > 1:
            weights = _cross(rows.met(), columns.met(outputs=range(columns.outputs - 1))[: columns.size - step])
            self._count(padded[:, : columns.size - step], padded[:, step:], weights, self.filters)
        ends = (columns.outputs - 1) * step
        begin = np.arange(columns.kernel) * columns.dilation
        if rows.outputs > 1:
            weights = np.repeat(rows.met(outputs=range(rows.outputs - 1))[: rows.size - down, None], len(begin), axis=1)
            self._count(padded[: rows.size - down][:, begin + ends], padded[down:][:, begin], weights, self.filters)
        top = np.arange(rows.kernel) * rows.dilation
        ended = padded[np.ix_(top + (rows.outputs - 1) * down, begin + ends)]
        before = ended[:, :, :-1] if self.last is None else np.concatenate([self.last, ended[:, :, :-1]], axis=2)
        following = padded[np.ix_(top, begin)]
        following = following[:, :, 1:] if self.last is None else following
        self._count(before, following, np.ones(before.shape[:2], np.int64), self.filters)
        self.last = ended[:, :, -1:]

    def _along_rows(self, padded: Array, moves: list[_Axis]) -> None:
        """Under one row of a kernel from output to output: for each its columns, for each of these an element's channels, for
        each of which its filters take the word in turn."""
        assert self.mapping is not None
        channels = padded.shape[3] // self.layer.groups
        blocks = self._blocks(padded, list(channel_blocks(self.mapping, channels)))
        times = len(list(filter_blocks(self.mapping, self.filters)))
        first, last = self._ends_of(padded, blocks)
        self._count_channels(padded, [end for _, end in blocks], moves, times)
        self._to_next_column(first, last, moves, times)
        self._to_next_output(first, last, moves, times)
        self.passes += int(moves[0].met().sum()) * padded.shape[2] * len(blocks) * times

    def _to_next_output(self, first: Array, last: Array, moves: list[_Axis], times: int) -> None:
        """From the last word under an output to the first one under the next output of the row."""
        rows, columns = moves
        last = last[:, (columns.kernel - 1) * columns.dilation :: columns.stride][:, : columns.outputs - 1]
        first = first[:, columns.stride :: columns.stride][:, : columns.outputs - 1]
        weights = np.repeat(rows.met()[:, None], columns.outputs - 1, axis=1)
        self._count(last, first, weights, times)


class _Axis:
    """How windows lie along one axis of a padded image."""

    def __init__(self, geometry: Geometry, axis: int, size: int, outputs: int) -> None:
        self.kernel, self.stride = geometry.kernel[axis], geometry.stride[axis]
        self.dilation, self.start, self.outputs = geometry.dilation[axis], geometry.padding[axis], outputs
        self.size = max(self.start + size, (outputs - 1) * self.stride + (self.kernel - 1) * self.dilation + 1)

    def met(self, offsets: range | None = None, outputs: range | None = None) -> Array:
        """For each place of the axis how often some offsets of some outputs' windows lie on it; read-only."""
        at = range(self.outputs) if outputs is None else outputs
        return _met(at, range(self.kernel) if offsets is None else offsets, self.stride, self.dilation, self.size)


@lru_cache(maxsize=256)
def _met(outputs: range, offsets: range, stride: int, dilation: int, size: int) -> Array:
    """Kept: batches are many, and their images of one size."""
    places = np.asarray(outputs)[:, None] * stride + np.asarray(offsets)[None, :] * dilation
    met = np.bincount(places.reshape(-1).astype(np.int64), minlength=size)
    met.flags.writeable = False
    return met


def _channels_at(padded: Array, places: list[int]) -> Array:
    """Some channels; no copy where they lie at equal distances, as blocks mostly do."""
    step = places[1] - places[0] if len(places) > 1 else 1
    evenly = slice(places[0], places[-1] + 1, step)
    return padded[..., evenly] if places == list(range(padded.shape[-1])[evenly]) else np.take(padded, places, axis=-1)


def _cross(rows: Array, columns: Array) -> Array:
    return rows[:, None] * columns


def channel_blocks(mapping: RowMapping, channels: int) -> Iterator[tuple[int, int]]:
    """First and last place, less one, of the channels that an element takes in turn, block by block."""
    return _ends(taken_in_turn(channels, int(mapping.channels), int(mapping.channel_sets)))


def filter_blocks(mapping: RowMapping, filters: int) -> Iterator[tuple[int, int]]:
    """The same of filters, of which those of a group whose sums are on chip together follow each other."""
    held = int(mapping.held)
    groups = [min(held, filters - first) for first in range(0, filters, held)]
    return _ends([size for some in groups for size in taken_in_turn(some, int(mapping.filters), int(mapping.filter_sets))])


def _ends(sizes: list[int]) -> Iterator[tuple[int, int]]:
    first = 0
    for size in sizes:
        yield first, first + size
        first += size


def weight_activity(layer: IntegerWindow, inputs: InputStream) -> OperandActivity:
    """What the weights do beside inputs that were seen: each pass repeats for every pixel, or row of pixels."""
    codes, bits = _weight_codes(layer)
    plain = layer.operand_weights(np.arange(len(layer.weights)))
    zeros = int(np.count_nonzero(plain == 0)) * inputs.pixels
    ones = weighed_bits(codes.reshape(1, -1), np.array([inputs.pixels]), bits)
    toggles = np.zeros(bits, np.int64)
    for changed, times in _weight_changes(codes, inputs):
        toggles += weighed_bits(changed.reshape(1, -1), np.array([times]), bits)
    steps = 0 if inputs.order == "weight" else inputs.taps - inputs.passes
    return OperandActivity(inputs.taps, zeros, steps, tuple(toggles.tolist()), tuple(ones.tolist()))


def _weight_changes(codes: Array, inputs: InputStream) -> Iterator[tuple[Array, int]]:
    """Bits that differ between weights that follow each other, and how often they do."""
    layer, pixels = inputs.layer, inputs.pixels
    if inputs.order == "output":
        yield codes[:, :-1] ^ codes[:, 1:], pixels
    elif inputs.order == "input":
        grouped = codes.reshape(layer.groups, inputs.filters, -1)
        yield grouped[:, :-1] ^ grouped[:, 1:], pixels
    elif inputs.order == "row":
        yield from _row_weight_changes(codes, inputs)


def _row_weight_changes(codes: Array, inputs: InputStream) -> Iterator[tuple[Array, int]]:
    """An element goes round the columns, channels and filters of its row of the kernel, once for each output of a row."""
    layer, mapping = inputs.layer, inputs.mapping
    assert mapping is not None
    height, width, channels = layer.weights.shape[1:]
    apart = codes.reshape(layer.groups, inputs.filters, height, width, channels)
    lines = inputs.pixels // inputs.columns
    for some, few in product(_alike(filter_blocks(mapping, inputs.filters)), _alike(channel_blocks(mapping, channels))):
        blocks = np.take(np.take(apart, some, axis=1), few, axis=-1).transpose(0, 3, 1, 5, 4, 6, 2)
        turns = blocks.reshape(-1, width * few.shape[1] * some.shape[1])
        yield turns[:, :-1] ^ turns[:, 1:], inputs.pixels
        yield turns[:, -1] ^ turns[:, 0], lines * (inputs.columns - 1)


def _alike(blocks: Iterator[tuple[int, int]]) -> list[Array]:
    """Places of the blocks of each size, ``(blocks, places)``: blocks are many and small, their sizes few."""
    begins: dict[int, list[int]] = {}
    for first, last in blocks:
        begins.setdefault(last - first, []).append(first)
    return [np.array(firsts)[:, None] + np.arange(size) for size, firsts in begins.items()]
