"""Pareto: which points no other point beats in both accuracy and energy."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["pareto"]


def pareto(costs: Sequence[float | None], gains: Sequence[float | None]) -> list[bool]:
    """Whether each point is Pareto-optimal: no other costs no more and gains no less, and is better in one of the two.

    Parameters
    ----------
    costs
        What is to be small, such as energy. None or NaN: the point is no candidate.
    gains
        What is to be large, such as accuracy, one for each cost.

    Examples
    --------
    >>> pareto([1.0, 2.0, 3.0, 3.0, None], [0.5, 0.9, 0.8, 0.9, 1.0])
    [True, True, False, False, False]
    """
    points = [
        (cost, -gain, place)
        for place, (cost, gain) in enumerate(zip(costs, gains, strict=True))
        if cost is not None and gain is not None and cost == cost and gain == gain  # not NaN  # noqa: PLR0124
    ]
    optimal, best, kept = [False] * len(costs), float("inf"), None
    for cost, loss, place in sorted(points):
        if loss < best or (cost, loss) == kept:
            best, kept = loss, (cost, loss)
            optimal[place] = True
    return optimal
