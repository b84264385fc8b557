"""sweep_designs: a network on every design of a grid, on all processors."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from addersim.errors import check_kind
from addersim.exploration.sweeps.engines import open_engine
from addersim.hardware.accelerator import Accelerator, Objective
from addersim.hardware.designs.design_costs import DesignCosts, Figures
from addersim.hardware.designs.design_grid import design_grid
from addersim.hardware.designs.estimate_designs import Progress, estimate_designs
from addersim.hardware.prices.csv_file import load_table
from addersim.hardware.prices.table import EnergyTable
from addersim.trace import Trace

__all__ = ["sweep_designs"]

_WORTH_A_PROCESS = 4_000
"""Designs of a job: a process takes a second to begin, in which one that is there already does so many."""


def sweep_designs(
    trace: Trace,
    accelerator: Accelerator | str | os.PathLike[str],
    grid: Mapping[str, Any],
    table: EnergyTable | str | os.PathLike[str] = "horowitz-45nm",
    batch: int | None = None,
    objective: Objective | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> DesignCosts:
    """`estimate_designs` of every design of a grid, in several processes where there are many.

    Parameters
    ----------
    trace, table, batch, objective, progress
        As in `estimate_designs`.
    accelerator, grid
        As in `design_grid`.
    jobs
        Processes; None for as many as there are processors.

    Raises
    ------
    ConfigError, HardwareError
        As `estimate_designs` and `design_grid`.

    Examples
    --------
    >>> from addersim import count, load_network, quantize
    >>> trace = count(quantize(load_network("lenet5-adder"), None))
    >>> sweep_designs(trace, "systolic-16x16", {"dram.bandwidth_gb_s": [0.1, 12.8]}).cycles.astype(int).tolist()
    [12267, 8279]
    """
    check_kind(trace, Trace, "sweep_designs: trace")
    designs = design_grid(accelerator, grid)
    prices = table if isinstance(table, EnergyTable) else load_table(table)
    parts = _parts(designs)
    if len(parts) < 2 or jobs == 1:
        return estimate_designs(trace, designs, prices, batch, objective, progress)
    found = DesignCosts.empty(trace, prices.name, designs, batch)
    done = 0
    with tempfile.TemporaryDirectory() as folder, open_engine("local", jobs, most=len(parts), folder=Path(folder)) as engine:
        arguments = ((number, trace, [designs[at] for at in part], prices, batch, objective) for number, part in parts.items())
        for number, figures in engine.run(_estimate_part, arguments):
            found.set_part(parts[number], figures)
            done += len(parts[number])
            if progress is not None:
                progress(done, len(designs))
    return found


def _estimate_part(number: int, *what: Any) -> tuple[int, Figures]:
    """Jobs end in any order, so that each says its number."""
    return number, estimate_designs(*what).figures


def _parts(designs: Sequence[Accelerator]) -> dict[int, list[int]]:
    """Places of designs by the job that does them: those of one array together, for these share most."""
    by_array: dict[int, list[int]] = {}
    for place, design in enumerate(designs):
        by_array.setdefault(id(design.array), []).append(place)
    parts: dict[int, list[int]] = {0: []}
    for places in by_array.values():
        if len(parts[len(parts) - 1]) >= _WORTH_A_PROCESS:
            parts[len(parts)] = []
        parts[len(parts) - 1] += places
    return parts
