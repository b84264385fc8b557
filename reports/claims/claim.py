"""What a claim is, what deciding one gives, and the one rule that turns both into a verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

__all__ = ["VERDICTS", "Claim", "Measured", "verdict"]

VERDICTS = {
    "reproduced": "all of our values are the published one, within the stated tolerance",
    "bounded": "the published value lies within our range, over tables, accelerators or widths: it holds for some of them",
    "refuted": "none of our values is the published one",
    "not decidable": "addersim cannot decide it here, and says why",
}


class Measured(NamedTuple):
    """Our values, from the least to the largest, and what else was seen on the way."""

    low: float
    high: float
    note: str = ""

    @classmethod
    def of(cls, values: list[float], note: str = "") -> Measured:
        """The range of some values."""
        return cls(min(values), max(values), note)


@dataclass(frozen=True)
class Claim:
    """A published claim and how it is decided.

    Attributes
    ----------
    key
        A short name, unique.
    paper, text, source
        Who says it, what is said, and where we have it from.
    published
        Its value as an interval: twice the same for one number, an infinite end for "more than".
    unit
        Of published and ours.
    command
        What shows our number, or one of its range, on the command line.
    measure
        A function that decides it by public functions; None where nothing here can.
    about
        How it was decided and what that leaves open; or why it cannot be.
    tolerance
        How far beside the published value is still that value, as a share of it: by default half a unit of its last digit is
        written here.
    """

    key: str
    paper: str
    text: str
    source: str
    about: str
    published: tuple[float, float] | None = None
    unit: str = ""
    command: str = ""
    measure: Callable[[], Measured] | None = None
    tolerance: float = 0.0


def verdict(claim: Claim, found: Measured | None) -> str:
    """Where our range lies beside the published value.

    Examples
    --------
    >>> claim = Claim("x", "", "", "", "", published=(3.0, 3.0), tolerance=0.1)
    >>> [verdict(claim, ours) for ours in (Measured(2.9, 3.1), Measured(1, 5), Measured(4, 5), None)]
    ['reproduced', 'bounded', 'refuted', 'not decidable']
    """
    if found is None or claim.published is None:
        return "not decidable"
    low, high = (_widened(end, sign * claim.tolerance) for end, sign in zip(claim.published, (-1, 1), strict=True))
    if found.high < low or found.low > high:
        return "refuted"
    return "reproduced" if low <= found.low and found.high <= high else "bounded"


def _widened(end: float, share: float) -> float:
    return end if abs(end) == inf else end + abs(end) * share
