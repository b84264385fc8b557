"""Designs a minute of a grid of systolic arrays, memories and bandwidths: together, and beside it one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from addersim import count, design_grid, estimate, estimate_designs, load_energy_table, load_network, quantize, sweep_designs

__all__ = ["GRID", "designs"]

NETWORK, BASE = "resnet20-adder", "systolic-16x16"
SIDES = [4, 8, 12, 16, 20, 24, 32, 40, 48, 64, 96, 128]
GRID = {
    "array.rows": SIDES,
    "array.columns": SIDES,
    "buffers.*.capacity_kib": [8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384],
    "dram.bandwidth_gb_s": [round(0.4 * 1.17**step, 3) for step in range(32)],
}
ALONE = 12
"""Designs that are estimated one by one, drawn from the grid."""


def designs(processes: int, grid: Mapping[str, Any] = GRID, network: str = NETWORK) -> list[dict[str, Any]]:
    """A row a way: designs a minute on one processor, on all, and one by one, all of the same grid in one run.

    Files are loaded before; the grid is laid out, and processes are started, within the time.
    """
    trace, prices = count(quantize(load_network(network), None)), load_energy_table("horowitz-45nm")
    machines = design_grid(BASE, grid)
    some = [machines[at] for at in np.random.default_rng(0).choice(len(machines), ALONE)]
    calls: dict[str, tuple[int, int, Callable[[], object]]] = {
        "one by one": (ALONE, 1, lambda: [estimate(trace, one, prices) for one in some]),
        "at once": (len(machines), 1, lambda: estimate_designs(trace, design_grid(BASE, grid), prices)),
    }
    if processes > 1:
        everywhere = "at once, in processes"
        calls[everywhere] = len(machines), processes, lambda: sweep_designs(trace, BASE, grid, prices, jobs=processes)
    rows = []
    for name, (number, used, call) in calls.items():
        start = time.perf_counter()
        call()
        seconds = time.perf_counter() - start
        rows.append({"way": name, "network": network, "designs": number, "processes": used, "a minute": 60 * number / seconds})
    return rows
