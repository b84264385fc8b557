"""Who needs a price: the layers that a message about a missing one names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from addersim.errors import PriceError
from addersim.hardware.accelerator import Buffers
from addersim.hardware.schedule import Schedule
from addersim.hardware.traffic import Moved, Widths
from addersim.trace import LayerTrace

__all__ = ["Users", "needed_by"]


@contextmanager
def needed_by(names: Callable[[], Sequence[str]]) -> Iterator[None]:
    """Add the layers that need it to the message about a missing price; they are worked out only then."""
    try:
        yield
    except PriceError as error:
        found = names()
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise PriceError(f"{error}; needed by layers {', '.join(found[:3])}{more}" if found else str(error)) from None


@dataclass(frozen=True, slots=True)
class Users:
    """The layers of a trace that move words to and from a place."""

    layers: tuple[LayerTrace, ...]
    order: Schedule
    kept: frozenset[int]

    def of_memory(self, buffers: Buffers, name: str) -> list[str]:
        """Layers with an operand in an on-chip memory."""
        return [layer.name for _, layer in self._moving() if any(buffers.memory(one) == name for one in _operands(layer))]

    def of_dram(self) -> list[str]:
        """Layers with constants, or with an input or output that does not stay on chip."""
        return [
            layer.name
            for index, layer in self._moving()
            if layer.weights.words
            or not self.kept.issuperset(self.order.sources[index])
            or not (layer.fused or index in self.kept)
        ]

    def inside(self, bits: int) -> list[str]:
        """Layers with an operand of a width in the array."""
        return [layer.name for layer in self.layers if layer.work is not None and bits in Widths.of(layer)]

    def _moving(self) -> list[tuple[int, LayerTrace]]:
        return [(index, layer) for index, layer in enumerate(self.layers) if index not in self.order.views]


def _operands(layer: LayerTrace) -> Iterator[Moved]:
    if layer.inputs:
        yield "input"
    if layer.weights.words:
        yield "weight"
    if not layer.fused:
        yield "output"
    if layer.work is not None:
        yield "partial_sum"
