"""Tilings that were found with larger memories, and hold with smaller ones: weights that stay on chip leave tiles less room.

The best tiling with a memory is the best with every smaller one that still has room for its tiles: those have no tiles that
the larger one has not. Thus a network whose weights may lie on chip in many ways is cut into tiles once, with the largest
memories, and again only where these tiles do not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from addersim.hardware.dataflow.array_run import ArrayRun
from addersim.hardware.dataflow.capacity import BufferCapacity
from addersim.hardware.dataflow.layer_on_array import LayerOnArray
from addersim.hardware.dataflow.systolic_mapper import ChosenTiling

__all__ = ["AskedTilings", "KnownTilings"]


class _Found(NamedTuple):
    """A tiling, how the array runs it, and the capacity that it was found with."""

    capacity: BufferCapacity
    tiling: ChosenTiling
    run: ArrayRun


class KnownTilings:
    """Tilings by what was asked: all that the choice depends on, under one table and objective, but the room for tiles."""

    def __init__(self) -> None:
        self._found: dict[Hashable, list[_Found]] = {}

    def run_of(self, asked: Hashable, layer: LayerOnArray) -> ArrayRun | None:
        """How the array runs a layer in the best tiling with its capacity, if that is known."""
        for capacity, tiling, run in self._found.get(asked, ()):
            if capacity.holds(layer.capacity) and layer.fits(tiling.tile, tiling.stays):
                return run
        return None

    def keep(self, asked: Hashable, layer: LayerOnArray, tiling: ChosenTiling, run: ArrayRun) -> None:
        """Keep what was found."""
        self._found.setdefault(asked, []).append(_Found(layer.capacity, tiling, run))


class AskedTilings(NamedTuple):
    """What is known, and what is asked of each layer."""

    known: KnownTilings
    asked: Sequence[Hashable]

    def at(self, places: Sequence[int]) -> AskedTilings:
        """What is asked of some of the layers."""
        return self._replace(asked=[self.asked[at] for at in places])

    def completed(
        self,
        layers: Sequence[LayerOnArray],
        search: Callable[[Sequence[int]], Sequence[tuple[ChosenTiling, ArrayRun] | None]],
    ) -> list[ArrayRun | None]:
        """How each layer runs: what is known, and what a search finds for the places of the others."""
        runs = [self.known.run_of(one, layer) for one, layer in zip(self.asked, layers, strict=True)]
        new = [at for at, run in enumerate(runs) if run is None]
        for at, found in zip(new, search(new) if new else (), strict=True):
            if found is not None:  # that nothing fits is found fast
                runs[at] = found[1]
                self.known.keep(self.asked[at], layers[at], *found)
        return runs
