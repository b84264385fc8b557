"""Sizes cut into parts as even as possible: the candidates of every search over tiles, and over the sides of an array."""

from __future__ import annotations

from functools import lru_cache
from math import isqrt

__all__ = ["divisors", "largest_parts"]


@lru_cache(maxsize=4096)  # layers repeat their sizes, and designs their layers
def largest_parts(size: int) -> tuple[int, ...]:
    """Sizes of the largest part for every number of parts, each once, rising.

    Parts of another size are no candidates: they give as many parts as one of these, which is smaller.

    Examples
    --------
    >>> largest_parts(10)  # 10, 5, 4, 3, 3, 2, 2, 2, 2 and 1, for 1 to 10 parts
    (1, 2, 3, 4, 5, 10)
    """
    few = range(1, isqrt(size) + 2)
    numbers = {*few, *(-(-size // length) for length in few)}
    return tuple(sorted({-(-size // number) for number in numbers}))


def divisors(size: int) -> list[int]:
    """Divisors of a size, rising."""
    return [part for part in largest_parts(size) if size % part == 0]
