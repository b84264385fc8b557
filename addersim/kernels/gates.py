"""Gates driven cycle by cycle, events with inertial delays between two edges of the clock: what each net toggles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from addersim.errors import HardwareError
from addersim.kernels.core import core

__all__ = ["GATE_INPUTS", "MOST_STEPS", "Activity", "GateNetlist", "run_gates"]

Array = npt.NDArray[Any]
_Arrays = tuple[Array, Array, Array, Array, Array, Array, Array, Array, Array, Array, int]

GATE_INPUTS = 6
"""Pins of a gate; those that it has not read net 0."""
MOST_STEPS = 1 << 20
"""Steps in which all gates have settled, at most: the wheel of events has a slot for each."""
_MOST_GATES = 1 << 24


@dataclass(frozen=True, slots=True)
class GateNetlist:
    """Gates between registers, as arrays. Nets 0 and 1 hold those constants.

    Attributes
    ----------
    nets
        How many there are.
    gate_table, gate_pins, gate_delay, gate_net
        Of each gate its truth table, uint64, a bit a state of its pins; the nets that it reads; the steps from each of them to
        its output, 1 or more; and the net that it drives. Gates stand in an order in which each reads only what stands before.
    flop_table, flop_pins
        Of each register, all of one clock, what comes next, as a table of nets.
    source_net, source_delay, source_of, source_inverted
        Nets that inputs and registers drive: each with the steps behind the clock's edge, the input, or the number of inputs
        plus the register, that it shows, and whether inverted.
    inputs
        How many inputs there are.
    """

    nets: int
    gate_table: Array
    gate_pins: Array
    gate_delay: Array
    gate_net: Array
    flop_table: Array
    flop_pins: Array
    source_net: Array
    source_delay: Array
    source_of: Array
    source_inverted: Array
    inputs: int

    def steps(self) -> int:
        """Steps after which every gate has settled."""
        arrival = np.zeros(self.nets, np.int64)
        np.maximum.at(arrival, self.source_net, self.source_delay)
        for pins, delays, net in zip(self.gate_pins, self.gate_delay, self.gate_net, strict=True):
            arrival[net] = (arrival[pins] + delays).max()
        return int(arrival.max(initial=0)) + 1


class Activity(NamedTuple):
    """What was seen: settled values of the probed nets ``(cycles, probes)``, changes of each net, of settled values alone."""

    probed: Array
    toggles: Array
    settled: Array


def run_gates(netlist: GateNetlist, stimulus: Array, probes: Array) -> Activity:
    """Drive gates through cycles of their clock; the first is settled and not counted.

    A gate takes a new value one delay behind the input that made it, unless its inputs take that back before: shorter pulses
    vanish. Registers load what has settled when a cycle ends.

    Parameters
    ----------
    netlist
        The gates.
    stimulus
        uint8 ``(cycles, inputs)`` of 0 and 1.
    probes
        Nets whose settled values are wanted.

    Raises
    ------
    HardwareError
        The netlist contradicts itself.
    """
    checked = _checked(netlist, stimulus, probes)
    cycles = len(stimulus)
    probed = np.zeros((cycles, len(probes)), np.uint8)
    toggles, settled = np.zeros(netlist.nets, np.int64), np.zeros(netlist.nets, np.int64)
    status = core.run_gates(
        netlist.nets,
        *checked,
        np.ascontiguousarray(stimulus, np.uint8).reshape(cycles, -1),
        np.append(probes, 0).astype(np.int32),
        probed if probed.size else np.zeros((1, 1), np.uint8),
        toggles,
        settled,
    )
    if status == -1:
        raise MemoryError("addersim._core: no memory for the gates of a netlist")
    if status:
        raise HardwareError("gates: a cycle does not settle: the netlist oscillates")
    return Activity(probed, toggles, settled)


def _checked(netlist: GateNetlist, stimulus: Array, probes: Array) -> _Arrays:
    """The arrays of a netlist as the compiled loop takes them: it looks at nothing twice."""
    gates, flops = len(netlist.gate_net), len(netlist.flop_table)
    driven = np.concatenate([np.array([0, 1]), netlist.source_net, netlist.gate_net])
    nets = (netlist.gate_pins, netlist.flop_pins, probes, driven)
    if any(one.size and not 0 <= one.min() <= one.max() < netlist.nets for one in nets) or gates > _MOST_GATES:
        raise HardwareError(f"gates: a net that is none of the {netlist.nets:,}")
    if len(np.unique(driven)) != len(driven):
        raise HardwareError("gates: a net with two drivers")
    if stimulus.ndim != 2 or not len(stimulus) or stimulus.shape[1] != netlist.inputs or stimulus.max(initial=0) > 1:
        raise HardwareError(f"gates: stimulus of shape {stimulus.shape}, needs cycles x {netlist.inputs} of 0 and 1")
    if netlist.source_of.size and not 0 <= netlist.source_of.min() <= netlist.source_of.max() < netlist.inputs + flops:
        raise HardwareError("gates: a source that shows neither an input nor a register")
    steps = netlist.steps()
    if min(netlist.gate_delay.min(initial=1), netlist.source_delay.min(initial=1)) < 1 or steps >= MOST_STEPS:
        raise HardwareError(f"gates: delays must be 1 step or more and settle within {MOST_STEPS:,}")
    position = np.full(netlist.nets, -1)
    position[netlist.gate_net] = np.arange(gates)
    if (position[netlist.gate_pins] >= np.arange(gates)[:, None]).any():
        raise HardwareError("gates: one that reads what stands behind it")
    order = np.argsort(netlist.gate_pins.reshape(-1), kind="stable")
    read = netlist.gate_pins.reshape(-1)[order]
    starts = np.searchsorted(read, np.arange(netlist.nets + 1))
    sources = np.stack([netlist.source_net, netlist.source_delay, netlist.source_of])
    return (
        _ended(netlist.gate_table, np.uint64),
        _ended(netlist.gate_pins, np.int32),
        _ended(netlist.gate_delay, np.int32),
        _ended(netlist.gate_net, np.int32),
        _ended(netlist.flop_table, np.uint64),
        _ended(netlist.flop_pins, np.int32),
        starts.astype(np.int32),
        np.append(order, 0).astype(np.int32),
        np.ascontiguousarray(sources, np.int32),
        np.ascontiguousarray(netlist.source_inverted, np.uint8),
        1 << max(6, steps.bit_length()),
    )


def _ended(array: Array, kind: type) -> Array:
    """An array with one element more, so that it has an address where it holds nothing."""
    shape = (1, *array.shape[1:])
    return np.concatenate([array.astype(kind), np.zeros(shape, kind)])
