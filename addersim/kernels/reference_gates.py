"""The slow twin of `gates`: the same events, one by one, out of a heap."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.kernels.gates import Activity, GateNetlist

__all__ = ["run_gates"]

Array = npt.NDArray[Any]


def run_gates(netlist: GateNetlist, stimulus: Array, probes: Array) -> Activity:
    """As `addersim.kernels.gates.run_gates`.

    Changes of one time are all made before the gates that see them decide, so that no order among them counts.
    """
    run = _Run(netlist)
    run.settle(stimulus[0])
    probed = [run.values[probes].copy()]
    for inputs in stimulus[1:]:
        run.cycle(inputs)
        probed.append(run.values[probes].copy())
    return Activity(np.array(probed, np.uint8), run.toggles, run.settled)


class _Run:
    def __init__(self, netlist: GateNetlist) -> None:
        self.netlist = netlist
        self.values = np.zeros(netlist.nets, np.uint8)
        self.states = np.zeros(len(netlist.flop_table), np.uint8)
        self.toggles, self.settled = np.zeros(netlist.nets, np.int64), np.zeros(netlist.nets, np.int64)
        self.readers: dict[int, list[tuple[int, int]]] = {}
        for gate, pins in enumerate(netlist.gate_pins.tolist()):
            for pin, net in enumerate(pins):
                self.readers.setdefault(net, []).append((gate, pin))

    def table(self, table: int, pins: Array) -> int:
        state = sum(int(value) << place for place, value in enumerate(self.values[pins]))
        return int(table) >> state & 1

    def shown(self, inputs: Array) -> list[int]:
        held = np.concatenate([inputs, self.states])
        return [int(one) for one in held[self.netlist.source_of] ^ self.netlist.source_inverted]

    def settle(self, inputs: Array) -> None:
        netlist = self.netlist
        self.values[1] = 1
        self.values[netlist.source_net] = self.shown(inputs)
        for table, pins, net in zip(netlist.gate_table, netlist.gate_pins, netlist.gate_net, strict=True):
            self.values[net] = self.table(table, pins)

    def cycle(self, inputs: Array) -> None:
        netlist, before = self.netlist, self.values.copy()
        self.states = np.array(
            [self.table(table, pins) for table, pins in zip(netlist.flop_table, netlist.flop_pins, strict=True)], np.uint8
        )
        events: list[tuple[int, int, int]] = []  # time, net, gate or -1
        waiting: dict[int, int] = {}
        for net, delay, value in zip(netlist.source_net, netlist.source_delay, self.shown(inputs), strict=True):
            if value != self.values[net]:
                heapq.heappush(events, (int(delay), int(net), -1))
        while events:
            time = events[0][0]
            least: dict[int, int] = {}  # of gates that see a change now
            while events and events[0][0] == time:
                _, net, gate = heapq.heappop(events)
                waiting.pop(gate, None)
                self.values[net] ^= 1
                self.toggles[net] += 1
                for reader, pin in self.readers.get(net, []):
                    delay = int(netlist.gate_delay[reader, pin])
                    least[reader] = min(delay, least.get(reader, delay))
            self.look(time, least, waiting, events)
        self.settled += before != self.values

    def look(self, time: int, least: dict[int, int], waiting: dict[int, int], events: list[tuple[int, int, int]]) -> None:
        """Gates that saw a change decide, once for all changes of one time."""
        netlist = self.netlist
        for gate, delay in least.items():
            net = int(netlist.gate_net[gate])
            changes = self.table(netlist.gate_table[gate], netlist.gate_pins[gate]) != self.values[net]
            if changes and gate not in waiting:
                waiting[gate] = time + delay
                heapq.heappush(events, (time + delay, net, gate))
            elif not changes and gate in waiting:
                events.remove((waiting.pop(gate), net, gate))
                heapq.heapify(events)
