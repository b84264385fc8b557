"""Arrays of equal silicon, of equal processing elements, of equal throughput: so that designs compare on one footing.

The memories, the vector unit, the clock and DRAM stay as they are; only the sides of the array change. Its shape follows one
rule: rows : columns stays within a quarter of what it was (`ASPECT_SLACK`), and of those sizes the one with the most elements
is taken, then the one nearest to the old shape. What an element contains is decided by the network (`area.inventory`): where a
network multiplies in its first and last layers, every element of its array can multiply, too, and pays for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import msgspec

from addersim.errors import HardwareError
from addersim.hardware.accelerator import Accelerator
from addersim.hardware.area import AREA_TABLE, estimate_area
from addersim.hardware.estimate import estimate
from addersim.hardware.even_parts import divisors
from addersim.hardware.load import load_accelerator
from addersim.hardware.prices.table import EnergyTable
from addersim.inputs.limits import ELEMENTS, SIDE
from addersim.trace import Trace

__all__ = ["ASPECT_SLACK", "fit_area", "fit_elements", "fit_throughput"]

ASPECT_SLACK = 1.25
"""How far rows : columns may move from the given array's, as a factor: chosen, so that little of a budget stays unused."""


def fit_area(
    trace: Trace,
    accelerator: Accelerator | str | os.PathLike[str],
    budget_mm2: float,
    table: EnergyTable | str | os.PathLike[str] = AREA_TABLE,
) -> Accelerator:
    """The accelerator with the largest array whose whole area stays within a budget.

    Parameters
    ----------
    trace
        The network that the accelerator is made for.
    accelerator
        Memories, vector unit, clock, DRAM, and the shape of the array.
    budget_mm2
        For everything on the chip that the table has an area for.
    table
        Where areas come from.

    Raises
    ------
    HardwareError
        The budget does not hold one processing element, or the table lacks an area.

    Examples
    --------
    >>> from addersim import count, load_network, quantize
    >>> adder, conv = (count(quantize(load_network(name), None)) for name in ("lenet5-adder", "lenet5-conv"))
    >>> [fit_area(trace, "systolic-16x16", 1.0).array.elements for trace in (adder, conv)]
    [400, 210]
    """
    machine = _machine(accelerator)
    if not 0 < budget_mm2 < float("inf"):
        raise HardwareError(f"area budget: found {budget_mm2!r} mm2, needs a number > 0")
    area = estimate_area(trace, machine, table)
    if area.missing:
        raise HardwareError(f"energy table {area.table!r} has no area for {_listed(area.missing)}; choose a table that has")
    if not area.element_um2:
        raise HardwareError(f"network {trace.name}: no layer runs on the array, so that no array can be sized")
    fixed = area.area_um2 - area.by_unit()["array"]
    elements = int((budget_mm2 * 1e6 - fixed) / area.element_um2)
    if elements < 1:
        raise HardwareError(
            f"area budget: {budget_mm2:g} mm2 holds no processing element; memories and vector unit take "
            f"{fixed / 1e6:.4g} mm2, an element {area.element_um2 / 1e6:.4g} mm2"
        )
    return _resized(machine, *_largest(elements, machine))


def fit_elements(accelerator: Accelerator | str | os.PathLike[str], elements: int) -> Accelerator:
    """The accelerator with a given number of processing elements, in the shape nearest to its array's.

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
    pairs = [(elements // columns, columns) for columns in divisors(elements)]
    sides = [pair for pair in pairs if max(pair) <= SIDE.most]
    if not sides:
        raise HardwareError(f"processing elements: {elements} have no two factors of at most {SIDE.most} each")
    return _resized(machine, *min(sides, key=lambda pair: (_stretch(pair, machine), pair)))


def fit_throughput(
    trace: Trace, accelerator: Accelerator | str | os.PathLike[str], images_per_second: float, batch: int | None = None
) -> Accelerator:
    """The accelerator with the smallest array, in its own shape, that runs a network at a throughput.

    Sides grow together, rows in proportion to columns. More elements are taken to be never slower.

    Raises
    ------
    HardwareError
        DRAM, the memories or the vector unit are the limit, whatever the array.
    """
    machine = _machine(accelerator)
    if not 0 < images_per_second < float("inf"):
        raise HardwareError(f"throughput: found {images_per_second!r} images/s, needs a number > 0")

    def speed(columns: int) -> float:
        return estimate(trace, _scaled(machine, columns), batch=batch).images_per_second

    high, reached = 1, speed(1)
    while reached < images_per_second:
        high, before = high * 2, reached
        reached = speed(high) if high <= 4096 else before
        if reached <= before and high > machine.array.columns:
            raise HardwareError(
                f"throughput: {images_per_second:g} images/s is out of reach of accelerator {machine.name!r}; the largest "
                f"array runs {max(reached, before):.4g}, where DRAM, memories or the vector unit are the limit"
            )
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if speed(middle) >= images_per_second else (middle, high)
    return _scaled(machine, high)


def _machine(accelerator: Accelerator | str | os.PathLike[str]) -> Accelerator:
    return accelerator if isinstance(accelerator, Accelerator) else load_accelerator(accelerator)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _stretch(sides: tuple[int, int], machine: Accelerator) -> float:
    """How far a shape is from the given one, as a factor of at least 1."""
    ratio = sides[0] / sides[1] * machine.array.columns / machine.array.rows
    return max(ratio, 1 / ratio)


def _largest(elements: int, machine: Accelerator) -> tuple[int, int]:
    """Sides with the most elements, within a number, of a shape within `ASPECT_SLACK`; else those nearest to the shape."""
    shapes = list(_shapes(elements, machine))
    if shapes:
        return min(shapes, key=lambda pair: (-pair[0] * pair[1], _stretch(pair, machine), pair))
    sides = [(max(1, elements // columns), columns) for columns in range(1, elements + 1)]
    return min(sides, key=lambda pair: (_stretch(pair, machine), -pair[0] * pair[1], pair))


def _shapes(elements: int, machine: Accelerator) -> Iterator[tuple[int, int]]:
    aspect = machine.array.rows / machine.array.columns
    for columns in range(1, min(SIDE.most, int((elements * ASPECT_SLACK / aspect) ** 0.5) + 1) + 1):
        rows = min(elements // columns, int(ASPECT_SLACK * aspect * columns), SIDE.most)
        if rows and _stretch((rows, columns), machine) <= ASPECT_SLACK:
            yield rows, columns


def _scaled(machine: Accelerator, columns: int) -> Accelerator:
    return _resized(machine, max(1, round(columns * machine.array.rows / machine.array.columns)), columns)


def _resized(machine: Accelerator, rows: int, columns: int) -> Accelerator:
    """The same accelerator with an array of other sides, named after them."""
    if (rows, columns) == (machine.array.rows, machine.array.columns):
        return machine
    array = msgspec.structs.replace(machine.array, rows=rows, columns=columns)
    return msgspec.structs.replace(machine, name=f"{machine.name}, array {rows}x{columns}"[:100], array=array)
