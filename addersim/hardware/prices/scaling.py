"""An energy table moved to another node by the fits of Stillmaker and Baas; never silently.

Energy of a switching gate is E ~ a2 V^2 + a1 V + a0 with a node's three coefficients, and area falls by a factor a node
(A. Stillmaker, B. Baas, "Scaling equations for the accurate prediction of CMOS device performance from 180 nm to 7 nm",
Integration 58, 2017). Every unit energy of a scaled table says so in its rule. The fits are of logic: memories scale less than
logic, and published operations of 7 nm chips cost a third or a quarter of those at 45 nm where the fits say a fifteenth. DRAM
is another chip and keeps its energy; leakage does not follow these fits and is left out. A wire's capacitance a mm stays about
the same (S. Keckler, W. Dally et al., "GPUs and the future of parallel computing", IEEE Micro 31(5), 2011), so that wires go
with the square of the supply.
"""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any, NamedTuple

from addersim.config import resolve_text
from addersim.errors import ConfigError, PriceError
from addersim.hardware.prices.row import OF_TOGGLES, EnergyRow
from addersim.hardware.prices.table import EnergyTable

__all__ = ["TechnologyNode", "nodes", "scale_table"]


class TechnologyNode(NamedTuple):
    """A technology of the fits: usual supply, coefficients of energy, area as a multiple of 45 nm's, and source."""

    node_nm: float
    voltage_v: float
    a2: float
    a1: float
    a0: float
    area: float
    source: str

    def energy(self, voltage_v: float) -> float:
        """Energy of a gate at a supply, in the unit of the fits."""
        return self.a2 * voltage_v**2 + self.a1 * voltage_v + self.a0


_ENERGIES = ("energy_pj", "zero_pj", "idle_pj", "accumulator_pj", "uniform_pj", *OF_TOGGLES)


def nodes() -> dict[float, TechnologyNode]:
    """The technologies that can be scaled between, by nm."""
    _, _, text = resolve_text("stillmaker-baas", "scaling", ".csv", "scaling")
    rows = list(csv.reader(io.StringIO(text, newline="")))[1:]
    known = []
    for *numbers, source in rows:
        node_nm, voltage_v, a2, a1, a0, area = map(float, numbers)
        known.append(TechnologyNode(node_nm, voltage_v, a2, a1, a0, area, source))
    return {node.node_nm: node for node in known}


def scale_table(table: EnergyTable, node_nm: float, voltage_v: float | None = None) -> EnergyTable:
    """A table at another node; the rules of its unit energies name the factor, the nodes and the voltages.

    Parameters
    ----------
    table
        A table whose on-chip rows are all of one node of `nodes`, and of one supply.
    node_nm, voltage_v
        Where to; None takes the node's usual supply.

    Raises
    ------
    ConfigError
        A node or supply that the fits do not have.
    PriceError
        A table of another node, or of several.

    Examples
    --------
    >>> from addersim.hardware import load_table
    >>> small = scale_table(load_table("horowitz-45nm"), 7)
    >>> small.name, small.explain("mul", 8).rule
    ('horowitz-45nm at 7 nm', 'exact, x 0.0684 from 45 nm 0.9 V to 7 nm 0.7 V by Stillmaker and Baas')
    """
    known = nodes()
    on_chip = [row for row in table.rows if row.component != "dram"]
    given = {(row.node_nm, row.voltage_v) for row in on_chip}
    if len(given) != 1:
        raise PriceError(f"energy table {table.name!r}: holds rows of several nodes or supplies; scaling needs one")
    old_nm, old_v = given.pop()
    listed = ", ".join(f"{nm:g}" for nm in known)
    if node_nm not in known:
        raise ConfigError(f"node {node_nm:g} nm: cannot be scaled to; known: {listed} nm")
    if old_nm not in known:
        raise PriceError(f"energy table {table.name!r}: its {old_nm:g} nm cannot be scaled from; known: {listed} nm")
    before, after = known[old_nm], known[node_nm]
    old_v, new_v = old_v or before.voltage_v, voltage_v or after.voltage_v
    energies = before.energy(old_v), after.energy(new_v)
    if not (0.3 <= new_v <= 3) or min(energies) <= 0:
        raise ConfigError(f"supply {new_v:g} V at {node_nm:g} nm: outside the fits; usual there: {after.voltage_v:g} V")
    energy, area, wire = energies[1] / energies[0], after.area / before.area, (new_v / old_v) ** 2
    rows = tuple(_scaled(row, wire if row.component == "wire" else energy, area, after.node_nm, new_v) for row in table.rows)
    step = f"from {old_nm:g} nm {old_v:g} V to {node_nm:g} nm {new_v:g} V"
    notes = {name: f"x {by:.3g} {step} by Stillmaker and Baas" for name, by in (("energy_pj", energy), ("area_um2", area))}
    return EnergyTable(f"{table.name} at {node_nm:g} nm", rows, notes | {"wire": f"x {wire:.3g} {step} by the supply squared"})


def _scaled(row: EnergyRow, energy: float, area: float, node_nm: float, voltage_v: float) -> EnergyRow:
    if row.component == "dram":
        return row
    energies: dict[str, Any] = {name: None if (pj := getattr(row, name)) is None else pj * energy for name in _ENERGIES}
    return replace(
        row,
        **energies,
        area_um2=None if row.area_um2 is None else row.area_um2 * area,
        leakage_uw=None,
        delay_ns=None,
        coefficients=tuple(one * energy for one in row.coefficients),
        node_nm=node_nm,
        voltage_v=voltage_v,
    )
