"""SCALE-Sim's COMPUTE_REPORT of a cost: its columns, its meaning of each, so that its users' scripts read it.

One row for each matrix product, numbered from 0; SCALE-Sim knows no other layers, and makes a row of each channel of a
depthwise one. Cycles of vector layers that run in the same pipeline count as stalls where they last longer than the array.

- Total Cycles (incl. prefetch): version 3 counts from the first word that its simulated DRAM delivers to the last that it
  takes. That has no closed form, so that this is Total Cycles again.
- Total Cycles: index of the last cycle, stalls included (one less than the number of cycles).
- Stall Cycles: cycles beyond the array's own.
- Overall Util %: 100 M K N / (Total Cycles x R C).
- Mapping Efficiency %: 100 Sr Sc / (folds x R C), see `dataflow.systolic`.
- Compute Util %: Mapping Efficiency x T / cycles of a fold, where SCALE-Sim takes C - 1 more cycles a fold for weight and
  input stationary arrays (2 R + 2 C + T - 3) than in its own total.
"""

from __future__ import annotations

from addersim.errors import HardwareError
from addersim.hardware.accelerator import Accelerator
from addersim.hardware.cost import Cost
from addersim.hardware.dataflow.stationary import systolic_dataflow
from addersim.hardware.dataflow.systolic import mapping_efficiency
from addersim.trace import MatrixWork, Trace

__all__ = ["REPORT_COLUMNS", "compute_report"]

REPORT_COLUMNS = (
    *("LayerID", "Total Cycles (incl. prefetch)", "Total Cycles", "Stall Cycles"),
    *("Overall Util %", "Mapping Efficiency %", "Compute Util %"),
)


def compute_report(trace: Trace, cost: Cost, accelerator: Accelerator) -> list[tuple[int | float, ...]]:
    """Rows of `REPORT_COLUMNS`.

    Parameters
    ----------
    trace, cost, accelerator
        Facts, what they cost, and the machine on which `estimate` priced them.

    Raises
    ------
    HardwareError
        A dataflow that SCALE-Sim does not have, a cost without cycles, or a cost of another trace.
    """
    if [layer.name for layer in trace.layers] != [layer.name for layer in cost.layers]:
        raise HardwareError(f"cost of {cost.network}: its layers are not those of trace {trace.name}")
    if cost.convention == "paper":
        raise HardwareError(
            f"cost of {cost.network}: the paper convention has no cycles; a COMPUTE_REPORT needs the hardware one"
        )
    rows: list[tuple[int | float, ...]] = []
    for layer, priced in zip(trace.layers, cost.layers, strict=True):
        if layer.work is None:
            continue
        work = layer.work.batched(cost.batch)
        mapping, compute = _percentages(work, accelerator)
        groups, last = work.groups, int(cost.compat is None)  # the index of the last cycle
        for cycles, busy in zip(_evenly(priced.cycles, groups), _evenly(priced.compute_cycles, groups), strict=True):
            total = cycles - last
            overall = 100 * work.taps / groups / (total * accelerator.array.elements) if total else 0.0
            rows.append((len(rows), total, total, cycles - busy, overall, mapping, compute))
    return rows


def _evenly(cycles: int, parts: int) -> list[int]:
    """Cycles of equal products that run one after another."""
    return [cycles * (place + 1) // parts - cycles * place // parts for place in range(parts)]


def _percentages(work: MatrixWork, accelerator: Accelerator) -> tuple[float, float]:
    """Mapping efficiency and compute utilisation."""
    rows, columns, dataflow = accelerator.array.rows, accelerator.array.columns, accelerator.array.systolic
    how = systolic_dataflow(dataflow)
    steps = int(how.sides(work)[2])
    fold_cycles = how.fill_cycles(rows, columns) + steps + (columns - 1 if how.preloaded else 0)
    mapping = 100 * mapping_efficiency(work, rows, columns, dataflow)
    return mapping, mapping * steps / fold_cycles
