"""A layer whose weights are constants of the circuit: Verilog that takes a window a cycle and sums it for all filters at once.

No element and no memory of weights is left. Each tap is a function of its input alone, which synthesis makes as small as it
can and which filters with the same weight share; taps are added pair by pair, with registers behind every level, each as wide
as its values need. Sums of adder layers are those of distances: what follows takes them off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.arithmetic.fixed import bits_for
from addersim.errors import HardwareError
from addersim.layers import IntegerWindow

__all__ = ["CONSTANT_LAYER", "constant_layer"]

CONSTANT_LAYER = "constant_layer"
"""Name of the module."""
_TERMS = {"l1": "({x} < 0 ? -{x} : {x})", "mac": "({x} * {w})"}
"""What a tap adds, by arithmetic: of the difference of an input and its weight, or of both."""
_TABLE_BITS = 6
"""Inputs of up to so many bits choose the term from a table: a look-up table of most families, or few, has each bit of it."""
MOST_TAPS = 20_000
"""Taps that are laid down at once; synthesis of more takes hours."""

Array = npt.NDArray[Any]


def constant_layer(layer: IntegerWindow) -> str:
    """Verilog of a layer with its weights as constants: ports ``clk``, ``codes`` and ``sums``.

    `codes` are the inputs under a window, in the order kernel row, kernel column, channel, the first in the lowest bits;
    `sums` those of the filters, one after another.

    Raises
    ------
    HardwareError
        An arithmetic that is not told here, zero points, or too many taps.
    """
    arithmetic = DATAPATHS[layer.datapath].arithmetic.name
    if arithmetic not in _TERMS or layer.multiplier is not None:
        raise HardwareError(
            f"layer {layer.name}: its arithmetic is {arithmetic}; weights as constants are known of {' and '.join(_TERMS)}"
        )
    if layer.input_format.zero_point or layer.weight_zero_points is not None:
        raise HardwareError(f"layer {layer.name}: has zero points; weights as constants are known without them")
    if layer.weights.size > MOST_TAPS:
        raise HardwareError(
            f"layer {layer.name}: has {layer.weights.size:,} weights; at most {MOST_TAPS:,} as constants: take a smaller layer"
        )
    circuit = _Circuit(layer, arithmetic)
    filters, height, width, channels = layer.weights.shape
    every, each = channels * layer.groups, filters // layer.groups
    places = np.arange(height * width)[:, None] * every + np.arange(channels)
    terms = []
    for number, weights in enumerate(layer.operand_weights(np.arange(filters)).reshape(filters, -1)):
        taps = zip((places + number // each * channels).reshape(-1).tolist(), weights.tolist(), strict=True)
        terms.append([circuit.term(place, weight) for place, weight in taps if weight or arithmetic != "mac"])
    for one in terms:
        circuit.sum(one, max(len(taps) - 1 for taps in terms).bit_length())
    return circuit.text(height * width * every)


@dataclass(slots=True)
class _Node:
    """A register: its name, and the least and the largest value."""

    name: str
    low: int
    high: int

    @property
    def bits(self) -> int:
        """Of its values, which have a sign."""
        return bits_for(min(self.low, -1), self.high)


@dataclass(slots=True)
class _Circuit:
    """Registers in the making; what is there already is not made twice."""

    layer: IntegerWindow
    arithmetic: str
    _known: dict[object, _Node] = field(default_factory=dict)
    _lines: list[str] = field(default_factory=list)
    _sums: list[_Node] = field(default_factory=list)

    def term(self, place: int, weight: int) -> _Node:
        """What the tap of an input adds."""
        held = self.layer.input_format
        codes = np.arange(held.minimum, held.maximum + 1)
        values = self._values(codes, weight)

        def lines(node: _Node) -> list[str]:
            code = f"h{place}"
            if held.bits > _TABLE_BITS:
                return [f"always @(posedge clk) {node.name} <= {self._expression(code, weight)};"]
            entries = zip((codes & (1 << held.bits) - 1).tolist(), values.tolist(), strict=True)
            rows = [f"{held.bits}'d{one}: {node.name} <= {value};" for one, value in entries]
            return [f"always @(posedge clk) case ({code})", *rows, "endcase"]

        return self._node(("term", place, weight), int(values.min()), int(values.max()), lines)

    def sum(self, taps: list[_Node], levels: int) -> None:
        """The sum of some taps, pair by pair, in as many levels as that of every filter, so that all are there at once."""
        level = taps or [self._node("nothing", 0, 0, lambda node: [f"always @(posedge clk) {node.name} <= 0;"])]
        for _ in range(levels):
            pairs = zip(level[::2], level[1::2], strict=False)
            level = [self._added(*pair) for pair in pairs] + [self._added(one) for one in level[len(level) // 2 * 2 :]]
        self._sums.append(level[0])

    def text(self, inputs: int) -> str:
        """The module."""
        bits = self.layer.input_format.bits
        signed = " signed" if self.layer.input_format.signed else ""
        wide = sum(one.bits for one in self._sums)
        held = [f"reg{signed} [{bits - 1}:0] h{place};" for place in range(inputs)]
        takes = [f"always @(posedge clk) h{place} <= codes[{place * bits} +: {bits}];" for place in range(inputs)]
        joined = ", ".join(one.name for one in reversed(self._sums))
        return "\n".join(
            [
                f"module {CONSTANT_LAYER}(input clk, input [{inputs * bits - 1}:0] codes, output [{wide - 1}:0] sums);",
                *held, *takes, *self._lines, f"assign sums = {{{joined}}};", "endmodule", "",
            ]
        )  # fmt: skip

    def _values(self, codes: Array, weight: int) -> Array:
        x, w = self.layer.operands(codes, np.array(weight))
        return np.abs(x - w) if self.arithmetic == "l1" else x * w

    def _expression(self, code: str, weight: int) -> str:
        """A term by what Verilog computes, in 32 bits, of which synthesis keeps those that count."""
        (places, _), w = self.layer.places(), int(self.layer.operands(np.zeros(1, np.int64), np.array(weight))[1])
        wide = f"($signed({{1'b0, {code}}}) <<< {places})" if not self.layer.input_format.signed else f"({code} <<< {places})"
        x = f"({wide} - ({w}))" if self.arithmetic == "l1" else wide
        return _TERMS[self.arithmetic].format(x=x, w=f"({w})")

    def _added(self, *nodes: _Node) -> _Node:
        """A sum of two, or one that waits for its neighbours."""
        names = [one.name for one in nodes]
        low, high = sum(one.low for one in nodes), sum(one.high for one in nodes)
        return self._node(tuple(names), low, high, lambda node: [f"always @(posedge clk) {node.name} <= {' + '.join(names)};"])

    def _node(self, key: object, low: int, high: int, lines: Callable[[_Node], list[str]]) -> _Node:
        if key not in self._known:
            node = self._known[key] = _Node(f"r{len(self._known)}", low, high)
            self._lines += [f"reg signed [{node.bits - 1}:0] {node.name};", *lines(node)]
        return self._known[key]
