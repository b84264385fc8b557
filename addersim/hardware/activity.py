"""Activity: zeros and toggles of every bit of a layer's operands, in the order in which an array's elements take them.

Of the three dimensions of a window layer's product one passes in time (`dataflow.stationary`): an output stationary element
takes input and weight of one tap after another, a weight stationary one holds its weight while pixel after pixel passes, an
input stationary one holds its input while filter after filter passes. A *step* is a word that follows another one in the same
pass; the first word of a pass, one of as many as the dimension has, is compared with none. What is held does not toggle.

Counts are exact, of all taps of all images, without going through them: a pair of neighbouring words counts as often as
windows meet it. Sums are seen on a sample of outputs, whose error is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.geometry import Geometry
from addersim.errors import HardwareError
from addersim.hardware.accelerator import Accelerator, Dataflow
from addersim.hardware.dataflow.stationary import systolic_dataflow
from addersim.hardware.gates.element_operands import Element, layer_operands
from addersim.images import Images, ManyImages
from addersim.kernels.toggles import weighed_bits
from addersim.layers import IntegerWindow
from addersim.program import Program
from addersim.tabular import Row

__all__ = ["LayerActivity", "OperandActivity", "SumActivity", "measure_activity"]

Array = npt.NDArray[Any]

BATCH = 100
SAMPLE_STEPS = 16384


class OperandActivity(NamedTuple):
    """What one operand does at the elements' registers.

    Attributes
    ----------
    taps, zeros
        Taps, padding included, and those on which it is zero.
    steps
        Words that follow another one in their pass; 0 where it is held.
    toggles
        Changes of each bit, the lowest first, over all steps.
    """

    taps: int
    zeros: int
    steps: int
    toggles: tuple[int, ...]

    @property
    def zero_share(self) -> float:
        """Of all taps those on which it is zero."""
        return self.zeros / self.taps if self.taps else 0.0

    @property
    def per_step(self) -> tuple[float, ...]:
        """Changes of each bit a step."""
        return tuple(count / self.steps if self.steps else 0.0 for count in self.toggles)


class SumActivity(NamedTuple):
    """Changes of all bits of the accumulator a step, on a sample: the mean over outputs, and its standard error."""

    toggles_per_step: float
    error: float
    outputs: int


@dataclass(frozen=True, slots=True)
class LayerActivity:
    """What a window layer's operands and sums do; sums only where they stay in their elements."""

    name: str
    input: OperandActivity
    weight: OperandActivity
    sums: SumActivity | None

    def to_dict(self) -> Row:
        """Plain values."""
        operands = {
            name: {"zeros": one.zero_share, "steps": one.steps, "toggles_per_step": list(one.per_step), "held": not one.steps}
            for name, one in (("input", self.input), ("weight", self.weight))
        }
        return {"layer": self.name} | operands | {"sums": self.sums and self.sums._asdict()}


def measure_activity(
    program: Program, images: ManyImages, accelerator: Accelerator, seed: int = 1
) -> tuple[LayerActivity, ...]:
    """Activity of all window layers of a program, in the order of a machine's elements.

    Parameters
    ----------
    program
        Calibrated.
    images
        As `simulate` takes them.
    accelerator
        A systolic array's; its dataflow says what is held.
    seed
        Of the sample of sums.

    Raises
    ------
    HardwareError
        A row stationary or broadcast array, whose order is not told here.
    """
    array = accelerator.array
    if array.row_stationary or array.broadcast:
        kind = "row stationary" if array.row_stationary else "a broadcast array"
        raise HardwareError(
            f"activity: accelerator {accelerator.name!r} is {kind}; only of systolic arrays the order is known here"
        )
    layers = [layer for layer in program.layers if isinstance(layer, IntegerWindow)]
    inputs = {layer.inputs[0] for layer in layers}
    streams = {layer.name: _Inputs(layer, array.systolic) for layer in layers}
    prepared = program.prepared(stream=True)
    for start in range(0, len(images), BATCH):
        for name, run in prepared.runs(images[start : start + BATCH]):
            if name in inputs and run.values is not None:
                for layer in layers:
                    if layer.inputs[0] == name:
                        streams[layer.name].add(run.values)
    held = systolic_dataflow(array.systolic).stationary
    sums = _sums(program, images[: min(len(images), 8)], seed) if held == "partial_sum" else {}
    return tuple(
        LayerActivity(
            layer.name, streams[layer.name].found(), _weights(layer, streams[layer.name], array.systolic), sums.get(layer.name)
        )
        for layer in layers
    )


class _Inputs:
    """Inputs of one layer, batch after batch."""

    def __init__(self, layer: IntegerWindow, dataflow: Dataflow) -> None:
        self.layer, self.dataflow = layer, dataflow
        self.filters = len(layer.weights) // layer.groups
        self.bits = layer.input_format.bits
        self.zeros = self.steps = self.taps = self.pixels = 0
        self.toggles = np.zeros(self.bits, np.int64)
        self.last: Array | None = None

    def add(self, codes: Array) -> None:
        """One batch more, of the images that follow."""
        layer, geometry = self.layer, self.layer.geometry
        pixels = codes if codes.ndim == 4 else codes[:, None, None, :]
        images, height, width, channels = pixels.shape
        outputs = geometry.output_size(height, width)
        moves = [
            _Axis(geometry, axis, size, out) for axis, (size, out) in enumerate(zip((height, width), outputs, strict=True))
        ]
        self.pixels += images * outputs[0] * outputs[1]
        self.taps = self.pixels * layer.weights[0].size * len(layer.weights)
        padded = np.full((moves[0].size, moves[1].size, images, channels), layer.input_format.zero_point, pixels.dtype)
        padded[moves[0].start : moves[0].start + height, moves[1].start : moves[1].start + width] = pixels.transpose(
            1, 2, 0, 3
        )
        zero = padded == layer.input_format.zero_point
        counted = weighed_bits(
            zero.view(np.uint8).reshape(moves[0].size * moves[1].size, -1), _cross(*(one.met() for one in moves)), 1
        )
        self.zeros += int(counted[0]) * self.filters
        if self.dataflow == "output":
            self._along_taps(padded, moves)
        elif self.dataflow == "weight":
            self._along_pixels(padded, moves)

    def found(self) -> OperandActivity:
        """What was seen."""
        return OperandActivity(self.taps, self.zeros, self.steps, tuple(self.toggles.tolist()))

    def _count(self, one: Array, other: Array, weights: Array) -> None:
        """Words of pixels that follow each other, ``(height, width, images, channels)``, as often as weights say."""
        if one.size:
            changed = (one ^ other).reshape(weights.size, -1)
            self.toggles += self.filters * weighed_bits(changed, weights.reshape(-1), self.bits)
            self.steps += self.filters * int(weights.sum()) * changed.shape[1]

    def _along_taps(self, padded: Array, moves: list[_Axis]) -> None:
        """From each tap of a window to the next one: channel, kernel column, kernel row."""
        rows, columns = moves
        apart = padded.reshape(*padded.shape[:3], self.layer.groups, -1)
        first, last = apart[..., 0], apart[..., -1]
        self._count(apart[..., :-1], apart[..., 1:], _cross(rows.met(), columns.met()))
        step, wide = columns.dilation, (columns.kernel - 1) * columns.dilation
        if columns.kernel > 1:
            weights = _cross(rows.met(), columns.met(offsets=range(columns.kernel - 1))[: columns.size - step])
            self._count(last[:, : columns.size - step], first[:, step:], weights)
        if rows.kernel > 1:
            down = rows.dilation
            weights = _cross(
                rows.met(offsets=range(rows.kernel - 1))[: rows.size - down], columns.met(offsets=[columns.kernel - 1])[wide:]
            )
            self._count(last[: rows.size - down, wide:], first[down:, : columns.size - wide], weights)

    def _along_pixels(self, padded: Array, moves: list[_Axis]) -> None:
        """From each output to the next one, tap by tap: in a row, to the next row, to the next image."""
        rows, columns = moves
        step, down = columns.stride, rows.stride
        if columns.outputs > 1:
            weights = _cross(rows.met(), columns.met(outputs=range(columns.outputs - 1))[: columns.size - step])
            self._count(padded[:, : columns.size - step], padded[:, step:], weights)
        ends = (columns.outputs - 1) * step
        across = [(offset * columns.dilation, 1) for offset in range(columns.kernel)]
        begin = np.array([place for place, _ in across])
        if rows.outputs > 1:
            weights = np.repeat(rows.met(outputs=range(rows.outputs - 1))[: rows.size - down, None], len(begin), axis=1)
            self._count(padded[: rows.size - down][:, begin + ends], padded[down:][:, begin], weights)
        top = np.arange(rows.kernel) * rows.dilation
        corner = np.ix_(top, begin)
        ended = padded[np.ix_(top + (rows.outputs - 1) * down, begin + ends)]
        before = ended[:, :, :-1] if self.last is None else np.concatenate([self.last, ended[:, :, :-1]], axis=2)
        following = padded[corner][:, :, 1:] if self.last is None else padded[corner]
        self._count(before, following, np.ones(before.shape[:2], np.int64))
        self.last = ended[:, :, -1:]


class _Axis:
    """How windows lie along one axis of a padded image."""

    def __init__(self, geometry: Geometry, axis: int, size: int, outputs: int) -> None:
        self.kernel, self.stride = geometry.kernel[axis], geometry.stride[axis]
        self.dilation, self.start, self.outputs = geometry.dilation[axis], geometry.padding[axis], outputs
        self.size = max(self.start + size, (outputs - 1) * self.stride + (self.kernel - 1) * self.dilation + 1)

    def met(self, offsets: Any = None, outputs: Any = None) -> Array:
        """For each place of the axis how often some offsets of some outputs' windows lie on it."""
        at = np.asarray(range(self.outputs) if outputs is None else outputs)[:, None] * self.stride
        places = at + np.asarray(range(self.kernel) if offsets is None else offsets)[None, :] * self.dilation
        return np.bincount(places.reshape(-1).astype(np.int64), minlength=self.size)


def _cross(rows: Array, columns: Array) -> Array:
    return rows[:, None] * columns


def _weights(layer: IntegerWindow, inputs: _Inputs, dataflow: Dataflow) -> OperandActivity:
    """The weights beside the same pixels: each pass repeats for every one of them."""
    weights, filters = layer.weights.reshape(len(layer.weights), -1), inputs.filters
    zeros = int(np.count_nonzero(weights == 0)) * inputs.pixels
    if dataflow == "weight":
        return OperandActivity(inputs.taps, zeros, 0, (0,) * layer.weight_format.bits)
    grouped = weights.reshape(layer.groups, filters, -1)
    one, other = (weights[:, :-1], weights[:, 1:]) if dataflow == "output" else (grouped[:, :-1], grouped[:, 1:])
    changed = (one ^ other).reshape(1, -1)
    toggles = weighed_bits(changed, np.array([inputs.pixels]), layer.weight_format.bits)
    return OperandActivity(inputs.taps, zeros, changed.size * inputs.pixels, tuple(toggles.tolist()))


def _sums(program: Program, images: Images, seed: int) -> dict[str, SumActivity]:
    """Changes of accumulators on outputs that are drawn at random."""
    return dict(_of_sample(program, images, seed))


def _of_sample(program: Program, images: Images, seed: int) -> Iterator[tuple[str, SumActivity]]:
    """By layer; none where zero points or a multiplier's table are in the way."""
    if any(layer.input_format.zero_point or layer.multiplier for layer in program.layers if isinstance(layer, IntegerWindow)):
        return
    for layer, operands in layer_operands(program, images, SAMPLE_STEPS, seed):
        sums = operands.sums(Element.of_layer(layer))
        changes = np.bitwise_count(sums[1:] ^ sums[:-1])
        inside = ~operands.starts[1:]
        output = np.cumsum(operands.starts)[1:][inside] - 1
        steps = np.bincount(output)
        means = np.bincount(output, changes[inside])[steps > 0] / steps[steps > 0]
        if len(means) > 1:
            yield layer.name, SumActivity(float(means.mean()), float(means.std(ddof=1) / np.sqrt(len(means))), len(means))
