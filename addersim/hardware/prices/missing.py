"""A missing unit energy: which layers of a trace need it, and what to do, for the message."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from addersim.errors import PriceError
from addersim.format_quantity import first_of
from addersim.hardware.accelerator import Buffers
from addersim.hardware.schedule import Schedule
from addersim.hardware.traffic import Stored, Widths
from addersim.trace import LayerTrace

__all__ = ["WHAT_TO_DO", "LayersNeeding", "naming_layers"]

WHAT_TO_DO = "; take a table that has it (addersim list tables), or add that row to a copy of this one"
"""The end of a message of a missing price, unless what lacks it knows which tables have it."""


@contextmanager
def naming_layers(needing: Callable[[], Sequence[str]], to_do: str = WHAT_TO_DO) -> Iterator[None]:
    """Append the names of the layers that need a unit energy, and what to do, to the message that the table lacks it.

    `needing` gives the names, and is called only if the unit energy is missing.
    """
    try:
        yield
    except PriceError as error:
        names = needing()
        needed = f"; needed by layers {first_of(names)}" if names else ""
        raise PriceError(f"{error}{needed}{to_do}") from None


@dataclass(frozen=True, slots=True)
class LayersNeeding:
    """The layers of a trace that need the unit energy of a memory, of DRAM or a word inside the array."""

    layers: tuple[LayerTrace, ...]
    order: Schedule
    kept: frozenset[int]

    def memory(self, buffers: Buffers, name: str) -> list[str]:
        """Layers with an operand in an on-chip memory; all may have one in the second level."""
        return [
            layer.name
            for _, layer in self._not_views()
            if name == "l2" or any(buffers.memory(operand) == name for operand in _stored_operands(layer))
        ]

    def dram(self) -> list[str]:
        """Layers with constants, or with an input or output that does not stay on chip."""
        return [
            layer.name
            for index, layer in self._not_views()
            if layer.weights.words
            or not self.kept.issuperset(self.order.sources[index])
            or not (layer.fused or index in self.kept)
        ]

    def word_in_array(self, bits: int) -> list[str]:
        """Layers with an operand of a width in the array."""
        return [layer.name for layer in self.layers if layer.work is not None and bits in Widths.of(layer)]

    def _not_views(self) -> list[tuple[int, LayerTrace]]:
        return [(index, layer) for index, layer in enumerate(self.layers) if index not in self.order.views]


def _stored_operands(layer: LayerTrace) -> Iterator[Stored]:
    if layer.inputs:
        yield "input"
    if layer.weights.words:
        yield "weight"
    if not layer.fused:
        yield "output"
    if layer.work is not None:
        yield "partial_sum"
