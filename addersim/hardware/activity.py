"""Activity: zeros and toggles of every bit of a layer's operands, in the order in which an array's elements take them.

Of the three dimensions of a window layer's product one passes in time (`dataflow.stationary`): an output stationary element
takes input and weight of one tap after another, a weight stationary one holds its weight while pixel after pixel passes, an
input stationary one holds its input while filter after filter passes. A row stationary one goes round its row of the kernel:
column, channel, filter, each filter on the same word, once for every output of a row; which channels and filters are its own
says the mapping of one image alone, with nothing kept on chip. A *step* is a word that follows another one in the same pass;
the first word of a pass, one of as many as the dimension has, is compared with none. What is held does not toggle.

Counts are exact (`operand_streams`). Sums are seen on a sample of outputs, whose error is told; in a row stationary array
those that elements take from their scratchpads, of one filter after another (`row_sums`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.errors import HardwareError
from addersim.hardware.accelerator import Accelerator
from addersim.hardware.dataflow.array_run import Placement
from addersim.hardware.dataflow.row_array import best_rows
from addersim.hardware.gates.element_operands import Element, layer_operands
from addersim.hardware.operand_activity import OperandActivity
from addersim.hardware.operand_streams import InputStream, weight_activity
from addersim.hardware.prices.csv_file import load_table
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.row_sums import sum_changes
from addersim.hardware.tap_order import tap_order
from addersim.images import Images, ManyImages
from addersim.layers import IntegerWindow
from addersim.program import Program
from addersim.tabular import Row
from addersim.toggles import Toggles
from addersim.trace import Trace

__all__ = ["LayerActivity", "SumActivity", "measure_activity", "with_activity"]

Array = npt.NDArray[Any]

BATCH = 100
SAMPLE_STEPS = 16384
ROW_TABLE = "eyeriss-65nm"
"""Unit energies by which mappings of a row stationary array are chosen: its own registers and network."""


class SumActivity(NamedTuple):
    """Changes of all bits of the sum so far a step, on a sample: the mean over outputs, and its standard error."""

    toggles_per_step: float
    error: float
    outputs: int


@dataclass(frozen=True, slots=True)
class LayerActivity:
    """What a window layer's operands and sums do; sums only where they stay in their elements.

    Attributes
    ----------
    name, order
        The layer, and the order of taps (`tap_order`).
    input, weight, sums
        Of both operands, and of the sum so far.
    pass_taps
        Taps of a pass, on average; where weights are held, of those of one image at a time.
    network
        The program's name.
    """

    name: str
    order: str
    input: OperandActivity
    weight: OperandActivity
    sums: SumActivity | None
    pass_taps: float
    network: str

    @property
    def toggles(self) -> Toggles:
        """The same as means over all taps, from one pass to the next too."""
        x, w, taps = self.input, self.weight, self.pass_taps
        changes = x.changes_per_tap(taps), w.changes_per_tap(taps)
        of_sums = None if self.sums is None else self.sums.toggles_per_step
        return Toggles(self.order, x.zero_share, *changes, x.ones_per_tap, w.ones_per_tap, of_sums)

    def to_dict(self) -> Row:
        """Plain values."""
        operands = {
            name: {
                "zeros": one.zero_share,
                "steps": one.steps,
                "toggles_per_step": list(one.per_step),
                "ones_per_tap": one.ones_per_tap,
                "held": not one.steps,
            }
            for name, one in (("input", self.input), ("weight", self.weight))
        }
        return {"layer": self.name, "order": self.order} | operands | {"sums": self.sums and self.sums._asdict()}


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
        Its dataflow says what is held.
    seed
        Of the sample of sums.

    Raises
    ------
    HardwareError
        A broadcast array, whose order is not told here, or a layer that a row stationary one cannot run.
    """
    order = tap_order(accelerator)
    layers = [layer for layer in program.layers if isinstance(layer, IntegerWindow)]
    streams = dict(zip((layer.name for layer in layers), _streams(program, layers, order, accelerator), strict=True))
    inputs = {layer.inputs[0] for layer in layers}
    prepared = program.prepared(stream=True)
    sums: dict[str, SumActivity] = {}
    for start in range(0, len(images), BATCH):
        for name, run in prepared.runs(images[start : start + BATCH]):
            if name in inputs and run.values is not None:
                for layer in layers:
                    if layer.inputs[0] == name:
                        streams[layer.name].add(run.values)
                        if order == "row" and not start:
                            sums |= _row_sums(streams[layer.name], run.values, seed)
    if order == "output":
        sums = dict(_sums(program, images[: min(len(images), 8)], seed))
    return tuple(
        LayerActivity(
            name, order, seen.found(), weight_activity(seen.layer, seen), sums.get(name), seen.pass_taps, program.name
        )
        for name, seen in streams.items()
    )


def with_activity(trace: Trace, activity: Sequence[LayerActivity]) -> Trace:
    """A trace that knows the toggles of its layers' operands: tables of processing elements price taps by them.

    Raises
    ------
    HardwareError
        The activity is of another network, or of other layers.

    Examples
    --------
    >>> import addersim
    >>> images = addersim.load_images("fashion-mnist-2000", limit=4).pixels
    >>> program = addersim.quantize(addersim.load_network("lenet5-adder"), images)
    >>> machine = addersim.load_accelerator("systolic-16x16")
    >>> trace = with_activity(addersim.simulate(program, images).trace, measure_activity(program, images, machine))
    >>> list(addersim.estimate(trace, machine, "sg13g2-gates").array_prices[0].energy_pj)
    ['constant', 'zero share', 'toggles']
    """
    found = {one.name: one.toggles for one in activity}
    if other := sorted({one.network for one in activity} - {trace.name}):
        raise HardwareError(f"activity: of network {other[0]!r}, the trace is of {trace.name!r}; measure its own")
    windows = {layer.name for layer in trace.layers if layer.work is not None}
    if unlike := sorted(windows ^ set(found)):
        which = "the trace has" if unlike[0] in windows else "it has"
        raise HardwareError(f"activity: layer {unlike[0]!r}, which {which} alone; measure the program that the trace is of")
    return replace(trace, layers=tuple(replace(layer, toggles=found.get(layer.name)) for layer in trace.layers))


def _streams(program: Program, layers: Sequence[IntegerWindow], order: str, accelerator: Accelerator) -> Iterator[InputStream]:
    """A stream of inputs for each layer; on a row stationary array with its mapping."""
    traced = {layer.name: layer for layer in program.trace().layers} if order == "row" else {}
    for layer in layers:
        mapping = None
        if order == "row":
            energies = MovementEnergy(accelerator, load_table(ROW_TABLE))
            _, mapping = best_rows(traced[layer.name], accelerator, 1, Placement(False, False), energies)
        yield InputStream(layer, order, mapping)


def _row_sums(stream: InputStream, codes: Array, seed: int) -> dict[str, SumActivity]:
    """Changes of the sums that an element takes from its scratchpad, on outputs that are drawn at random, by the layer's name.

    Nothing of a layer whose elements take several taps at once.
    """
    layer, mapping = stream.layer, stream.mapping
    assert mapping is not None
    if DATAPATHS[layer.datapath].together > 1:
        return {}
    changes, taps = sum_changes(layer, codes, mapping, SAMPLE_STEPS, seed)
    mean = changes.sum() / taps.sum()
    error = (changes - mean * taps).std(ddof=1) * math.sqrt(len(taps)) / taps.sum()
    return {layer.name: SumActivity(float(mean), float(error), len(taps))}


def _sums(program: Program, images: Images, seed: int) -> Iterator[tuple[str, SumActivity]]:
    """Changes of accumulators on outputs that are drawn at random, by layer.

    None where a multiplier's table is in the way.
    """
    if any(layer.multiplier for layer in program.layers if isinstance(layer, IntegerWindow)):
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
