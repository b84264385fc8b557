"""Arrays of equal silicon, of equal processing elements, of equal throughput: so that designs compare on one footing.

The memories, the vector unit, the clock and DRAM stay as they are; only the sides of the array change, and of all shapes the
one is taken that serves the network best (`shape_search`), for every network alike. What an element contains is decided by the
network (`area.inventory`): where a network multiplies in its first and last layers, every element of its array can multiply,
too, and pays for it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import get_args

import numpy as np

from addersim.errors import HardwareError
from addersim.format_quantity import first_of
from addersim.hardware.accelerator import Accelerator, Objective
from addersim.hardware.area import AREA_TABLE, estimate_area
from addersim.hardware.arrays import AnyArray
from addersim.hardware.estimate import estimate
from addersim.hardware.even_parts import divisors
from addersim.hardware.layer_cost import Bound
from addersim.hardware.load import load_accelerator
from addersim.hardware.prices.csv_file import load_table
from addersim.hardware.prices.table import EnergyTable
from addersim.hardware.shape_bounds import ShapeCosts, resized
from addersim.hardware.shape_search import Found, Goal, Progress, candidates, stretched
from addersim.inputs.limits import BATCH, ELEMENTS, SIDE, shown
from addersim.inputs.text import did_you_mean
from addersim.trace import Trace

__all__ = ["Aim", "fit_area", "fit_elements", "fit_throughput"]

_LIMITS: Mapping[Bound, str] = MappingProxyType(
    {"array": "the array itself", "vector": "the vector unit", "buffer": "an on-chip memory", "dram": "DRAM"}
)


@dataclass(frozen=True, slots=True)
class Aim:
    """What an array is sized for, and how its shapes are priced.

    Attributes
    ----------
    goal
        What is least: ``latency`` of the network, its ``energy``, or ``energy-delay``, the product of both.
    prices, batch, objective
        As in `estimate`, which prices the shapes: the energy table, the images of a batch, how tiles are chosen.
    progress
        Told, while the search runs, how many shapes were priced and how many there are at most.
    """

    goal: Goal = "latency"
    prices: EnergyTable | str | os.PathLike[str] = "horowitz-45nm"
    batch: int | None = None
    objective: Objective | None = None
    progress: Progress | None = None

    def costs(self, trace: Trace, machine: Accelerator) -> ShapeCosts:
        """Costs of a network by the shape of an accelerator's array. Raises HardwareError where nothing could be sized."""
        if self.goal not in get_args(Goal):
            raise HardwareError(
                f"goal: found {self.goal!r}, needs one of {', '.join(get_args(Goal))}"
                f"{did_you_mean(str(self.goal), get_args(Goal))}"
            )
        if trace.convention == "paper":
            raise HardwareError(f"network {trace.name}: the paper convention has no cycles; count in the hardware convention")
        if not any(layer.work for layer in trace.layers):
            raise HardwareError(f"network {trace.name}: no layer runs on the array, so that no array can be sized")
        prices = self.prices if isinstance(self.prices, EnergyTable) else load_table(self.prices)
        images = BATCH.check(machine.batch if self.batch is None else self.batch, "batch", HardwareError)
        return ShapeCosts(trace, machine, prices, images, self.objective)


_FASTEST = Aim()


def fit_area(
    trace: Trace,
    accelerator: Accelerator | str | os.PathLike[str],
    budget_mm2: float,
    table: EnergyTable | str | os.PathLike[str] = AREA_TABLE,
    aim: Aim = _FASTEST,
) -> Accelerator:
    """The accelerator with the best array whose whole area stays within a budget.

    Parameters
    ----------
    trace
        The network that the accelerator is made for.
    accelerator
        Memories, vector unit, clock, DRAM and dataflow.
    budget_mm2
        For everything on the chip that the table has an area for.
    table
        Where areas come from.
    aim
        What is best: the least latency unless it says otherwise. Of equals it is the array with the fewest elements.

    Raises
    ------
    HardwareError
        The budget does not hold one processing element, or the table lacks an area.

    Examples
    --------
    >>> from addersim import count, load_network, quantize
    >>> adder, conv = (count(quantize(load_network(name), None)) for name in ("lenet5-adder", "lenet5-conv"))
    >>> [fit_area(trace, "systolic-16x16", 1.0).array.elements for trace in (adder, conv)]
    [432, 220]
    """
    machine = _machine(accelerator)
    if not 0 < budget_mm2 < math.inf:
        raise HardwareError(f"area budget: found {shown(budget_mm2)} mm2, needs a number > 0")
    costs = aim.costs(trace, machine)
    area = estimate_area(trace, machine, table)
    if area.missing:
        raise HardwareError(f"energy table {area.table!r} has no area for {first_of(area.missing)}; choose a table that has")
    fixed = area.area_um2 - area.by_unit()["array"]
    left, every, more = budget_mm2 * 1e6 - fixed, area.of_element(multiplying=False), area.of_element(multiplying=True)

    def fits(rows: AnyArray, columns: AnyArray) -> AnyArray:
        return rows * (columns * every + machine.array.multiplying_columns(columns) * more) <= left

    if not fits(1, 1):
        raise HardwareError(
            f"area budget: {budget_mm2:g} mm2 holds no processing element; memories and vector unit take "
            f"{fixed / 1e6:.4g} mm2, an element {(every + more) / 1e6:.4g} mm2"
        )
    found = candidates(costs, fits, aim.progress)
    return _sized(costs, found.best(aim.goal), f"area budget: no array within {budget_mm2:g} mm2")


def fit_elements(
    accelerator: Accelerator | str | os.PathLike[str], elements: int, trace: Trace | None = None, aim: Aim = _FASTEST
) -> Accelerator:
    """The accelerator with a given number of processing elements.

    Parameters
    ----------
    accelerator
        Memories, vector unit, clock, DRAM and dataflow.
    elements
        Exactly so many.
    trace, aim
        The network that the shape is to serve best, and what is best. Without a network: the shape nearest to its array's.

    Raises
    ------
    HardwareError
        Less than 1, or a number that is no product of two sides of at most 65,536.

    Examples
    --------
    >>> fit_elements("systolic-16x16", 512).array.rows
    16
    """
    machine = _machine(accelerator)
    ELEMENTS.check(elements, "processing elements", HardwareError)
    sides = np.array([side for side in divisors(elements) if max(side, elements // side) <= SIDE.most])
    if not len(sides):
        raise HardwareError(f"processing elements: {elements} have no two factors of at most {SIDE.most} each")
    if trace is None:
        stretch = stretched(sides, elements // sides, machine).tolist()
        rows = min(zip(stretch, sides.tolist(), strict=True))[1]
        return resized(machine, rows, elements // rows)
    costs = aim.costs(trace, machine)
    exactly = candidates(costs, lambda rows, columns: rows * columns <= elements, aim.progress, (elements, sides))
    return _sized(costs, exactly.best(aim.goal), f"processing elements: no array of {elements}")


def fit_throughput(
    trace: Trace,
    accelerator: Accelerator | str | os.PathLike[str],
    images_per_second: float,
    batch: int | None = None,
    aim: Aim = _FASTEST,
) -> Accelerator:
    """The accelerator with the smallest array that runs a network at a throughput.

    Parameters
    ----------
    trace, accelerator
        As in `fit_area`.
    images_per_second
        At least so many.
    batch, aim
        Images that run together, if the aim does not say; how shapes are priced. The goal is always the fewest elements.

    Raises
    ------
    HardwareError
        No array is as fast; the message says how fast the fastest one is, and what bounds it.
    """
    machine = _machine(accelerator)
    if not 0 < images_per_second < math.inf:
        raise HardwareError(f"throughput: found {shown(images_per_second)} images/s, needs a number > 0")
    costs = (aim if batch is None else replace(aim, batch=batch)).costs(trace, machine)
    enough = math.floor(
        costs.batch * machine.clock_mhz * 1e6 / images_per_second * (1 + 1e-12)
    )  # whole cycles, though rounded
    every = candidates(costs, lambda rows, columns: rows * columns <= ELEMENTS.most, aim.progress)
    fast = every.best("latency", enough)
    if fast is None or fast.value > enough:
        found = _sized(costs, fast, "throughput: no array")
        cost = estimate(trace, found, costs.prices, costs.batch, costs.objective)
        bound, share = next(iter(cost.time_by_bound().items()))
        raise HardwareError(
            f"throughput: {images_per_second:g} images/s is out of reach of accelerator {machine.name!r}; the fastest array, "
            f"{found.array.rows}x{found.array.columns}, runs {cost.images_per_second:.4g}, where {_LIMITS[bound]} sets "
            f"{100 * share:.0f} % of the time"
        )
    fewer = every.where(every.rows * every.columns <= fast.elements)
    return _sized(costs, fewer.smallest(enough) or fast, "throughput: no array")


def _sized(costs: ShapeCosts, found: Found | None, nothing: str) -> Accelerator:
    if found is None:
        raise HardwareError(f"{nothing} can run network {costs.trace.name}: no fold of such a shape fits the memories")
    return resized(costs.machine, found.rows, found.columns)


def _machine(accelerator: Accelerator | str | os.PathLike[str]) -> Accelerator:
    return accelerator if isinstance(accelerator, Accelerator) else load_accelerator(accelerator)
