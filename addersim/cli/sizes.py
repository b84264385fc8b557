"""Arrays of another size: --area-budget, --pes and --throughput, which any verb that prices designs may take."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, cast, get_args
from warnings import warn

from addersim.cli.output import stages
from addersim.errors import AddersimWarning, ConfigError
from addersim.inputs.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from addersim.hardware.accelerator import Accelerator, Objective
    from addersim.hardware.prices.table import EnergyTable
    from addersim.trace import Trace

__all__ = ["Sizes", "sized"]

_SILENT_S = 1.0
"""Seconds that a search may take before it shows how far it is."""


_NARROW = 8
"""Chosen: an array whose longer side has more than so many times the shorter one is worth a word."""
_FEW_ELEMENTS = 16
"""Chosen: of fewer elements every array is small, and nobody expects a square."""


class Sizes(NamedTuple):
    """What the user asked for: at most one of the first three, and whether each design has its own clock."""

    budget_mm2: float | None
    elements: int | None
    images_per_second: float | None
    size_for: str
    area_table: str
    own_clock: bool = False


def sized(
    asked: Sizes,
    trace: Trace,
    machine: Accelerator,
    table: EnergyTable | str,
    batch: int | None,
    objective: Objective | None = None,
) -> Accelerator:
    """The accelerator, or the one of another size or clock that was asked for.

    With every table, that of least energy prices shapes.
    """
    from addersim.hardware.shape_search import Goal
    from addersim.hardware.sizing import Aim, fit_area, fit_elements, fit_throughput
    from addersim.hardware.table_range import estimate_range

    if asked.size_for not in get_args(Goal):
        raise ConfigError(
            f"--size-for: found {asked.size_for!r}, needs one of {', '.join(get_args(Goal))}"
            f"{did_you_mean(str(asked.size_for), get_args(Goal))}"
        )
    given = [one is not None for one in asked[:3]]
    if sum(given) > 1:
        raise ConfigError("--area-budget, --pes, --throughput: each sizes the array; give one of them")
    if asked.size_for != "latency" and not any(given[:2]):
        raise ConfigError(f"--size-for {asked.size_for}: needs --area-budget or --pes, whose array it chooses")
    if asked.own_clock:
        machine = _at_own_clock(trace, machine, table)
    if not any(given):
        return machine
    prices = estimate_range(trace, machine, None, batch, objective).lowest.table if table == "all" else table
    with stages() as advance:
        aim = Aim(cast("Goal", asked.size_for), prices, batch, objective, _late(advance))
        if asked.budget_mm2 is not None:
            return fit_area(trace, machine, asked.budget_mm2, asked.area_table, aim)
        if asked.elements is not None:
            _told_if_narrow(asked.elements)
            return fit_elements(machine, asked.elements, trace, aim)
        assert asked.images_per_second is not None
        return fit_throughput(trace, machine, asked.images_per_second, aim=aim)


def _told_if_narrow(elements: int) -> None:
    """Warn of a number whose factors leave only long, narrow arrays: 61 is prime, and 1 x 61."""
    from addersim.hardware.even_parts import divisors

    short = max((side for side in divisors(elements) if side * side <= elements), default=1)
    if elements >= _FEW_ELEMENTS and elements > _NARROW * short * short:
        told = f"--pes {elements}: exactly so many elements make no squarer array than {short} x {elements // short}"
        warn(f"{told}; take a number with more factors for others", AddersimWarning, stacklevel=2)


def _at_own_clock(trace: Trace, machine: Accelerator, table: EnergyTable | str) -> Accelerator:
    """The accelerator at the clock of its slowest element."""
    from addersim.hardware.own_clock import at_own_clock
    from addersim.hardware.prices.csv_file import load_table

    if table == "all":
        raise ConfigError("--own-clock: needs one energy table, whose delays set it; found --table all")
    return at_own_clock(trace, machine, load_table(table) if isinstance(table, str) else table).machine


def _late(advance: Callable[[str, int, int], None]) -> Callable[[int, int], None]:
    """Progress of a search, from a second on."""
    start = monotonic()

    def tell(done: int, total: int) -> None:
        if monotonic() - start > _SILENT_S:
            advance("sizing the array", done, total)

    return tell
