"""Times taken in turns, so that what else the machine does weighs on all alike; and tables of them."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Pace", "medians", "processor", "table"]


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a row's calls are timed: `repeats` rounds, or fewer once they have taken `seconds`, but at least one."""

    repeats: int = 7
    seconds: float = float("inf")


def medians(calls: Mapping[str, Callable[[], object]], pace: Pace) -> dict[str, float]:
    """Median seconds of each call, after one turn to warm up; in every round each is called once.

    The pause before each lets the threads of the one before, which wait in a loop for more work, go to sleep.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    end = float("inf")
    for turn in range(pace.repeats + 1):
        if turn > 1 and time.perf_counter() > end:
            break
        if turn == 1:
            end = time.perf_counter() + pace.seconds
        for name, call in calls.items():
            time.sleep(0.005)
            start = time.perf_counter()
            call()
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of equal keys as a Markdown table with aligned columns; numbers to three digits."""
    cells = [list(rows[0])] + [[_text(value) for value in row.values()] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = ["| " + " | ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|", *lines[1:]])


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    return str(value)
