"""Totals: what a network computes and stores for one image, in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Totals", "largest_live"]


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all layers, for one image.

    Attributes
    ----------
    macs
        Taps by arithmetic: ``mac`` multiplies and accumulates, ``l1`` subtracts and accumulates.
    parameters
        Trained values, those that layers share once; None where only integers are known.
    weight_bytes
        All stored constants.
    activation_bytes, largest_live_bytes
        All stored values, the image included; and the most that must be held at one time.
    """

    macs: Mapping[str, int]
    parameters: int | None
    weight_bytes: int
    activation_bytes: int
    largest_live_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        names = ("parameters", "weight_bytes", "activation_bytes", "largest_live_bytes")
        return {"macs": dict(self.macs)} | {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        macs = ", ".join(f"{number:,} {name}" for name, number in self.macs.items()) or "none"
        known = "" if self.parameters is None else f"; parameters {self.parameters:,}"
        live = f"{self.activation_bytes:,} bytes, at most {self.largest_live_bytes:,} at a time"
        return f"total of one image: taps {macs}{known}; weights {self.weight_bytes:,} bytes; activations {live}"


def largest_live(sizes: Sequence[int], reads: Sequence[Sequence[int]]) -> int:
    """Most that must be held at one time.

    Parameters
    ----------
    sizes
        Of the image, and of the output of each layer, in order.
    reads
        For each layer, the places in `sizes` of what it reads.

    Examples
    --------
    >>> largest_live([4, 10, 10, 1], [[0], [1], [1, 2]])
    21
    """
    last = {place: step for step, places in enumerate(reads) for place in places}
    live, most = sizes[0], sizes[0]
    for step, places in enumerate(reads):
        live += sizes[step + 1]
        most = max(most, live)
        live -= sum(sizes[place] for place in set(places) if last[place] == step)
    return most
