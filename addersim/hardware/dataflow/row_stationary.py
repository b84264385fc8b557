"""Row stationary: how the rows of a window layer lie on an array, its cycles, and the words that move at every level.

The dataflow of Eyeriss (Chen et al., ISCA 2016 and JSSC 2017). One processing element slides one row of a kernel along one row
of the image and keeps the kernel row, a window of pixels and the running sums in its scratchpads. A set of kernel height x
`strip` elements makes a strip of output rows: kernel rows are shared along its rows, image rows along its diagonals, and sums
run up its columns. A set wider than the array is cut into parts that stand on top of each other; where the array has space,
several sets run side by side, on other channels or other filters. The papers' letters are

======  ==================  ================================================================
letter  field               meaning
======  ==================  ================================================================
e       `strip`             output rows of a set
n       `images`            images of one pass
m       `held`              filters whose sums are on chip together
p, q    `filters`,          filters and channels that one element takes in turn
        `channels`
t, r    `filter_sets`,      sets side by side, on other filters and on other channels
        `channel_sets`
======  ==================  ================================================================

A pass runs p x t filters on q x r channels of n images, one tap a cycle in every element; a partly filled set costs as much as
its fullest element. Passes follow each other over filters within `held`, then channels, images, strips and groups of `held`
filters; or, where a strip's input stays in the buffer, over filters inside strips. Sums leave the array after each pass and
come back for the next channels. Groups of a convolution run one after another, a depthwise one channel by channel. The fill
of the scratchpads before a pass is not counted as cycles: no public figure says how fast it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from addersim.arithmetic.geometry import Geometry, Pair
from addersim.hardware.arrays import AnyArray, IntOrArray

__all__ = ["RowCounts", "RowMapping", "RowShape", "count_rows", "fetched", "footprints", "reach", "taken_in_turn"]


InputKept = Literal["pass", "strip", "all"]
WeightKept = Literal["pass", "held", "all"]


@dataclass(frozen=True, slots=True)
class RowShape:
    """A window layer, as a row stationary array sees it.

    Attributes
    ----------
    images
        Of the batch.
    channels, filters
        Of one group.
    geometry, image
        How the window moves, and the rows and columns of the stored input.
    """

    images: int
    channels: int
    filters: int
    geometry: Geometry
    image: Pair

    @property
    def outputs(self) -> Pair:
        """Output rows and columns."""
        return self.geometry.output_size(*self.image)

    @property
    def taps(self) -> int:
        """Terms of the whole batch, padded ones included."""
        return self.sums * self.channels * self.geometry.kernel[0] * self.geometry.kernel[1]

    @property
    def sums(self) -> int:
        """Outputs of the whole batch."""
        rows, columns = self.outputs
        return self.images * self.geometry.groups * self.filters * rows * columns

    @property
    def weights(self) -> int:
        """Weights of one group."""
        return self.filters * self.channels * self.geometry.kernel[0] * self.geometry.kernel[1]

    def reach(self, axis: int, strip: IntOrArray) -> Reach:
        """Rows (axis 0) or columns (axis 1) under strips of `strip` outputs, arrays for arrays of mappings."""
        if isinstance(strip, int):
            return reach(self.geometry, self.image, axis, strip)
        found = np.zeros((3, int(np.max(strip)) + 1), np.int64)
        for one in np.flatnonzero(np.bincount(strip)).tolist():
            known = reach(self.geometry, self.image, axis, one)
            found[:, one] = known.padded, known.stored, known.largest
        return Reach(*found[:, strip])


@dataclass(frozen=True, slots=True)
class Reach:
    """Rows or columns that all strips need: padded ones included, stored ones alone, and those of the largest strip."""

    padded: AnyArray
    stored: AnyArray
    largest: AnyArray


@lru_cache(maxsize=4096)  # the mapper asks for the same few strips again and again
def reach(geometry: Geometry, image: Pair, axis: int, strip: int) -> Reach:
    """Rows (axis 0) or columns (axis 1) of an image under strips of `strip` outputs."""
    starts = np.arange(geometry.output_size(*image)[axis])[:, None]
    places = starts * geometry.stride[axis] + np.arange(geometry.kernel[axis]) * geometry.dilation[axis]
    strips = np.broadcast_to(starts // strip, places.shape)
    length = int(places.max()) + 1
    strip_of, place = np.divmod(np.unique(strips * length + places), length)
    stored = (place >= geometry.padding[axis]) & (place < geometry.padding[axis] + image[axis])
    return Reach(place.size, int(stored.sum()), int((strip_of == 0).sum()))


@dataclass(frozen=True, slots=True)
class RowMapping:
    """One way to run a layer; the numbers are explained at the head of the module.

    `input_kept` and `weight_kept` say what of the two operands stays in the buffer: the words of a ``pass``; those of a
    ``strip`` and image block over all channels, or of the ``held`` filters over all channels; or ``all`` of a group's. Where
    strips are kept, filters run inside strips; else strips run inside groups of held filters.
    """

    strip: IntOrArray
    images: IntOrArray
    held: IntOrArray
    filters: IntOrArray
    channels: IntOrArray
    filter_sets: IntOrArray
    channel_sets: IntOrArray
    input_kept: InputKept = "pass"
    weight_kept: WeightKept = "pass"


@dataclass(frozen=True, slots=True)
class RowCounts:
    """What a mapping costs on chip, for the batch and all groups: cycles, and words at every level.

    Attributes
    ----------
    cycles
        Of the array.
    input_reads, weight_reads
        Words that the buffer delivers; one delivery may feed many elements.
    partial_sums
        Sums that go to the buffer and come back.
    network_inputs, network_weights
        Words that elements receive, each element counted.
    network_sums
        Sums that go from element to element (one step less than elements that add to them, a pass), leave the array, or come
        back to it.
    """

    cycles: IntOrArray
    input_reads: IntOrArray
    weight_reads: IntOrArray
    partial_sums: IntOrArray
    network_inputs: IntOrArray
    network_weights: IntOrArray
    network_sums: IntOrArray


def count_rows(shape: RowShape, mapping: RowMapping) -> RowCounts:
    """Cycles and words of a mapping on chip, in closed form.

    Examples
    --------
    The second layer of AlexNet, four images, with the parameters that the chip used (JSSC 2017, Table III). It reports 77.6 MB
    of buffer accesses of 16-bit words: inputs read, and sums written and read once a pass.

    >>> shape = RowShape(4, 48, 128, Geometry((5, 5), padding=(2, 2), groups=2), (27, 27))
    >>> found = count_rows(shape, RowMapping(27, 1, 64, 16, 2, 1, 1))
    >>> 2 * (found.input_reads + 2 * (found.partial_sums + shape.sums))
    77568000
    """
    geometry, groups = shape.geometry, shape.geometry.groups
    (kernel_rows, kernel_columns), (rows, columns) = geometry.kernel, shape.outputs
    strip_rows, width = shape.reach(0, mapping.strip), shape.reach(1, columns)
    strips, image_blocks = -(-rows // mapping.strip), -(-shape.images // mapping.images)
    channel_blocks, channel_turns, channel_sets = _blocks(shape.channels, mapping.channels, mapping.channel_sets)
    per_held = _blocks(mapping.held, mapping.filters, mapping.filter_sets)
    last_held = _blocks(shape.filters % mapping.held, mapping.filters, mapping.filter_sets)
    filter_blocks, filter_turns, filter_sets = (
        shape.filters // mapping.held * full + rest for full, rest in zip(per_held, last_held, strict=True)
    )
    planes = groups * shape.images * shape.channels
    return RowCounts(
        cycles=groups * shape.images * columns * kernel_columns * strips * filter_turns * channel_turns,
        input_reads=planes * strip_rows.padded * width.padded * filter_blocks,
        weight_reads=groups * shape.weights * strips * image_blocks,
        partial_sums=shape.sums * (channel_blocks - 1),
        network_inputs=planes * kernel_rows * rows * width.padded * filter_sets,
        network_weights=groups * shape.weights * rows * image_blocks,
        network_sums=shape.sums * (kernel_rows * channel_sets + channel_blocks - 1),
    )


def fetched(shape: RowShape, mapping: RowMapping) -> tuple[IntOrArray, IntOrArray]:
    """Words of input and of weights that come from DRAM, where the input is not on chip already. Padding is made on chip."""
    geometry, (rows, columns) = shape.geometry, shape.outputs
    lines = geometry.groups * shape.images * shape.channels * shape.reach(1, columns).stored
    swept = lines * shape.reach(0, mapping.strip).stored
    inputs = {
        "pass": swept * -(-shape.filters // mapping.held),
        "strip": swept,
        "all": lines * shape.reach(0, rows).stored,
    }
    visits = -(-rows // mapping.strip) * -(-shape.images // mapping.images) if mapping.weight_kept == "pass" else 1
    return inputs[mapping.input_kept], geometry.groups * shape.weights * visits


def footprints(shape: RowShape, mapping: RowMapping) -> tuple[IntOrArray, IntOrArray, IntOrArray]:
    """Words of input, weights and sums that the buffers hold at a time.

    Sums of one pass are enough where a single pass takes all channels.
    """
    (kernel_rows, kernel_columns), columns = shape.geometry.kernel, shape.outputs[1]
    pass_filters = np.minimum(mapping.filters * mapping.filter_sets, mapping.held)
    pass_channels = np.minimum(mapping.channels * mapping.channel_sets, shape.channels)
    pixels = mapping.images * shape.reach(0, mapping.strip).largest * shape.reach(1, columns).padded
    stored = shape.images * shape.reach(0, shape.outputs[0]).stored * shape.reach(1, columns).stored
    inputs: dict[InputKept, AnyArray] = {
        "pass": pixels * pass_channels,
        "strip": pixels * shape.channels,
        "all": stored * shape.channels,
    }
    taps = kernel_rows * kernel_columns
    weights: dict[WeightKept, AnyArray] = {
        "pass": pass_filters * pass_channels * taps,
        "held": mapping.held * shape.channels * taps,
        "all": shape.weights,
    }
    summed = np.where(pass_channels < shape.channels, mapping.held, pass_filters)
    sums: AnyArray = mapping.images * summed * mapping.strip * columns
    return inputs[mapping.input_kept], weights[mapping.weight_kept], sums


def _blocks(total: IntOrArray, each: IntOrArray, sets: IntOrArray) -> tuple[IntOrArray, IntOrArray, IntOrArray]:
    """Cut filters or channels into passes of `each` on `sets`: passes, longest turns, sets in use, all summed."""
    full, rest = total // (each * sets), total % (each * sets)
    turns = -(-rest // sets)
    return full + (rest > 0), full * each + turns, full * sets + -(-rest // np.maximum(turns, 1))


def taken_in_turn(total: int, each: int, sets: int) -> list[int]:
    """Filters or channels that an element takes in turn, block by block: as `_blocks` cuts them.

    Examples
    --------
    Ten channels, three an element, two sets of elements side by side: the last pass gives both two.

    >>> taken_in_turn(10, 3, 2)
    [3, 3, 2, 2]
    """
    full, rest = divmod(total, each * sets)
    last = -(-rest // sets)
    return [each] * (full * sets) + [min(last, rest - first) for first in range(0, rest, max(last, 1))]
