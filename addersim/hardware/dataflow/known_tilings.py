"""Tilings that were found with larger memories, and hold with smaller ones: weights that stay on chip leave tiles less room.

The best tiling with a memory is the best with every smaller one that still has room for its tiles: those have no tiles that
the larger one has not. Thus a network whose weights may lie on chip in many ways is cut into tiles once, with the largest
memories, and again only where these tiles do not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from addersim.hardware.accelerator import SystolicArray
from addersim.hardware.dataflow.array_run import Beside, Placement
from addersim.hardware.dataflow.capacity import BufferCapacity
from addersim.hardware.dataflow.systolic_mapper import ChosenTiling
from addersim.hardware.dataflow.tiling_costs import LayerOnArray
from addersim.trace import LayerTrace

__all__ = ["KnownTilings", "question"]


def question(layer: LayerTrace, placement: Placement, beside: Beside, array: SystolicArray, batch: int) -> Hashable:
    """All that the choice of a tiling depends on, under one table and objective, but the room for tiles."""
    operands = layer.work, layer.inputs, layer.weights, layer.output, layer.accumulator_bits, layer.fused
    return *operands, placement, beside, array, batch


class KnownTilings:
    """Tilings by what was asked, each with the capacity that it was found with."""

    def __init__(self) -> None:
        self._found: dict[Hashable, list[tuple[BufferCapacity, ChosenTiling]]] = {}

    def completed(
        self,
        asked: Sequence[Hashable],
        layers: Sequence[LayerOnArray],
        search: Callable[[Sequence[int]], Sequence[ChosenTiling | None]],
    ) -> list[ChosenTiling | None]:
        """The best tiling of each layer: what is known, and what a search finds for the places of the others."""
        tilings = [self._of(one, layer) for one, layer in zip(asked, layers, strict=True)]
        new = [at for at, tiling in enumerate(tilings) if tiling is None]
        for at, tiling in zip(new, search(new) if new else (), strict=True):
            tilings[at] = tiling
            if tiling is not None:  # that nothing fits is found fast
                self._found.setdefault(asked[at], []).append((layers[at].capacity, tiling))
        return tilings

    def _of(self, asked: Hashable, layer: LayerOnArray) -> ChosenTiling | None:
        for capacity, tiling in self._found.get(asked, ()):
            if capacity.holds(layer.capacity) and layer.fits(tiling.tile, tiling.stays):
                return tiling
        return None
