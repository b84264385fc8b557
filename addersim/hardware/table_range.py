"""The same design under every energy table: how much of an answer is the table's."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from addersim.errors import PriceError, check_kind
from addersim.hardware.accelerator import Accelerator, Objective
from addersim.hardware.cost import Cost
from addersim.hardware.estimate import estimate
from addersim.hardware.load import load_accelerator
from addersim.hardware.prices.csv_file import load_table, table_names
from addersim.hardware.prices.scaling import scale_table
from addersim.hardware.prices.table import EnergyTable
from addersim.trace import Trace

__all__ = ["EnergyRange", "estimate_range"]


@dataclass(frozen=True, slots=True)
class EnergyRange:
    """Costs of one network on one accelerator by energy table.

    Attributes
    ----------
    costs
        By table, of those that have every unit energy of the design, the lowest energy first.
    refused
        Which unit energy each of the other tables lacks, by name.

    Examples
    --------
    >>> from addersim import count, load_network, quantize
    >>> tables = ["horowitz-45nm", "qtools-45nm", "aladdin-cacti-45nm"]
    >>> found = estimate_range(count(quantize(load_network("lenet5-adder"), None)), "systolic-16x16", tables)
    >>> found.lowest.table, found.highest.table, round(found.spread, 1)
    ('aladdin-cacti-45nm', 'qtools-45nm', 1.7)
    """

    costs: tuple[Cost, ...]
    refused: Mapping[str, str]

    @property
    def lowest(self) -> Cost:
        """The cost under the table of least energy."""
        return self.costs[0]

    @property
    def highest(self) -> Cost:
        """The cost under the table of most energy."""
        return self.costs[-1]

    @property
    def spread(self) -> float:
        """Highest energy over lowest."""
        return self.highest.energy_pj / self.lowest.energy_pj if self.lowest.energy_pj else 1.0


def estimate_range(
    trace: Trace,
    accelerator: Accelerator | str | os.PathLike[str] = "systolic-16x16",
    tables: Iterable[EnergyTable | str | os.PathLike[str]] | None = None,
    batch: int | None = None,
    objective: Objective | None = None,
    node_nm: float | None = None,
) -> EnergyRange:
    """Energy and latency of a network on an accelerator under several energy tables.

    Tables differ in node and supply as well as in what they measured, so that the range is one of published opinion about the
    same facts, not an error bar of one technology.

    Parameters
    ----------
    trace, accelerator, batch, objective
        As in `estimate`.
    tables
        Records, bundled names or CSV files; None for every bundled table.
    node_nm
        Scale every table to this node (`scaling.scale_table`); None leaves each at its own.

    Raises
    ------
    PriceError
        Every table lacks a unit energy of the design; the message is that of the first.
    HardwareError
        The design itself does not work, whatever the table.
    ConfigError
        An accelerator or table that does not exist or does not parse.
    """
    check_kind(trace, Trace, "estimate_range: trace")
    machine = accelerator if isinstance(accelerator, Accelerator) else load_accelerator(accelerator)
    costs: list[Cost] = []
    refused: dict[str, str] = {}
    for one in table_names() if tables is None else tables:
        table = one if isinstance(one, EnergyTable) else load_table(one)
        try:
            scaled = table if node_nm is None else scale_table(table, node_nm)
            costs.append(estimate(trace, machine, scaled, batch, objective))
        except PriceError as error:
            refused[table.name] = str(error)
    if not costs:
        first = next(iter(refused.values()), "no energy table was given")
        raise PriceError(first if len(refused) < 2 else f"none of {len(refused)} energy tables can price this: {first}")
    return EnergyRange(tuple(sorted(costs, key=lambda cost: cost.energy_pj)), refused)
