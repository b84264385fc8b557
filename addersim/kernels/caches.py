"""How much a core's second-level cache holds, as Linux tells; elsewhere a size that most have."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

__all__ = ["values_bytes"]

TOLD = Path("/sys/devices/system/cpu/cpu0/cache/index2")
COMMON_BYTES = 600_000
LEAST_BYTES, MOST_BYTES = 200_000, 1_000_000
"""Ends of what is believed: less would run images one by one, and a cache that many cores share is not this one's."""


@cache
def values_bytes(told: Path = TOLD) -> int:
    """Bytes that values between layers may take: two thirds of the cache; weights and scratch have the rest.

    Parameters
    ----------
    told
        The folder in which files ``level`` and ``size`` describe a cache.
    """
    try:
        level, size = ((told / name).read_text("ascii").strip() for name in ("level", "size"))
    except (OSError, UnicodeDecodeError):
        level = size = ""
    found = re.fullmatch(r"(\d{1,9})K", size)
    held = int(found[1]) * 1024 if found and level == "2" else COMMON_BYTES
    return max(LEAST_BYTES, min(held * 2 // 3, MOST_BYTES))
