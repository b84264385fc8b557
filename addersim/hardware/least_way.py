"""Of the ways in which a network's weights may lie on chip the best one, most of them without a search for their tiles.

What stays takes room from the tiles of other layers, and tiles with more room are never worse. So each way is given the whole
memories first: its value with those is least, and the tiles, which are searched once for all ways, are the true ones wherever
they fit what is left. Ways are then looked at by that value, and not at all where it is above what was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from addersim.errors import HardwareError
from addersim.hardware.batches import Parts, ways_to_cut
from addersim.hardware.runs import Runs

__all__ = ["least"]

_SLACK = 1e-9
"""Values are sums of rounded parts: what is above another one by no more than that share may be as good."""
_Value = tuple[float, ...]


def least(ways: Sequence[Runs], images: int) -> tuple[Runs, Parts]:
    """Of the ways in which weights may lie on chip and a batch be cut, the one with the least value of the objective.

    Raises
    ------
    HardwareError
        None of them can run.
    """
    bounds = _bounds(ways, images)
    found: list[tuple[_Value, int, Parts]] = []
    refused: dict[int, HardwareError] = {}
    for bound, place in sorted((bound, -place) for place, bound in enumerate(bounds)):  # of equals that with the most room
        if any(_more(bound, value, ways[0]) for value, _, _ in found):
            continue
        try:
            parts = ways[-place].best_parts(images)
            found.append((ways[-place].value(parts), -place, parts))
        except HardwareError as error:  # a unified memory that the weights fill may have no room for a tile
            refused[-place] = error
    if not found:
        last = ways[-1]
        if last.residency.machine.buffers.unified == last.machine.buffers.unified:
            raise refused[len(ways) - 1]
        raise HardwareError(
            f"{refused[len(ways) - 1]}; the rest holds the weights, which keep_weights wants to stay"
        ) from None
    _, best, parts = min(found, key=lambda one: one[:2])
    return ways[best], parts


def _bounds(ways: Sequence[Runs], images: int) -> list[_Value]:
    """What each way has at least; nothing where that is not known, or costs as much as to work them out."""
    machine = ways[0].machine
    searched = machine.array.row_stationary is None and not machine.buffers.fuse_layers
    sums = ways[0].objective != "energy-delay"  # the least products of layers say nothing of that of their sums
    if len(ways) > 1 and searched and sums:
        with suppress(HardwareError):  # one way or all may be refused
            cuts = [*ways_to_cut(images)]
            for number in sorted({number for parts in cuts for number in parts}):
                _search_together(ways, number)
            return [min(map(way.least_value, cuts)) for way in ways]
    return [(0.0, 0.0)] * len(ways)


def _search_together(ways: Sequence[Runs], images: int) -> None:
    """Search the tiles of all that the ways ask of the array, with whole memories, at once."""
    asked = [way.asked_of(images) for way in ways]
    for keeps_activations in (True, False):
        same = [
            (way.residency.whole, one)
            for way, one in zip(ways, asked, strict=True)
            if way.residency.whole.buffers.keep_activations == keeps_activations
        ]
        if same:
            machine, last = same[-1]
            windows = {window.shape: window for _, one in same for window in one.windows}
            last.walk.run_windows(machine, [*windows.values()])


def _more(bound: _Value, value: _Value, way: Runs) -> bool:
    """Whether a way with a bound has surely more than a value: cycles are whole, so that equal ones leave it to energy."""
    above = [one > other * (1 + _SLACK) for one, other in zip(bound, value, strict=False)]
    return above[0] or (way.objective == "latency" and bound[0] == value[0] and above[1])
