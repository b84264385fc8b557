"""Contrast: one result beside another, and what the differences are due to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import get_args

from addersim.format_quantity import ENERGY_UNITS, quantity
from addersim.hardware.cost import Cost
from addersim.hardware.layer_cost import Component
from addersim.results.result import Result

__all__ = ["COMPONENTS", "SAME", "Contrast", "Difference", "array_alone", "time_ms_per_image"]

COMPONENTS: Mapping[str, str] = MappingProxyType(
    {
        "array": "array",
        "vector": "vector unit",
        "register": "register files",
        "network": "array network",
        "buffer": "buffers",
        "l2": "second level",
        "dram": "DRAM",
        "leakage": "leakage",
        "idle": "idle power",
        "none": "nothing",
    }
)
"""What readers call components and resources."""
_OPERATIONS_ALONE = "operations times the table's unit energies, not registers, wires and clock inside it"
_ELEMENTS_ALONE = "taps times what its processing elements take in gates, by their zeros, not wires inside it"

SAME = 5e-4
"""Relative difference below which two energies are called the same."""
EXPLAINED = 0.9
"""Share of all differences that the named causes make up."""


def array_alone(*costs: Cost) -> str:
    """What the energy of the array is, wherever it is set beside another: no measurement of an array."""
    return _ELEMENTS_ALONE if costs and all(cost.array_prices for cost in costs) else _OPERATIONS_ALONE


@dataclass(frozen=True, slots=True)
class Difference:
    """What one operation or operand adds to the difference in energy of one image, in pJ: result minus first."""

    component: str
    of: str
    energy_pj: float

    def __str__(self) -> str:
        sign = "+" if self.energy_pj > 0 else "\N{MINUS SIGN}"
        return f"{COMPONENTS[self.component]} {self.of.replace('_', ' ')} {sign}{quantity(abs(self.energy_pj), ENERGY_UNITS)}"


@dataclass(frozen=True, slots=True)
class Contrast:
    """One result beside the first; ratios are result over first, for one image."""

    first: Result
    result: Result

    @property
    def energy_ratio(self) -> float | None:
        """Ratio of the energies; None where the first has none."""
        return _ratio(self.result.cost.energy_pj_per_image, self.first.cost.energy_pj_per_image)

    @property
    def time_ratio(self) -> float | None:
        """Ratio of the times an image, batches taken into account; None where the convention has no cycles."""
        return _ratio(time_ms_per_image(self.result.cost), time_ms_per_image(self.first.cost))

    @property
    def area_ratio(self) -> float | None:
        """Ratio of the areas, where both are known."""
        one, other = self.result.area, self.first.area
        return _ratio(one.area_um2, other.area_um2) if one and other else None

    def ratio_by_scope(self) -> dict[Component, float]:
        """Ratio of the energies when ever more is counted: the array alone, the vector unit too, and so on to all.

        That of the array alone is a convention (`array_alone`): gates differ with the data and the multiplier's style.

        Examples
        --------
        >>> from addersim import count, evaluate, load_network, quantize
        >>> traces = (count(quantize(load_network(name), None)) for name in ("lenet5-adder", "lenet5-conv"))
        >>> first, other = (evaluate(trace, "systolic-16x16") for trace in traces)
        >>> {scope: round(ratio, 1) for scope, ratio in Contrast(first, other).ratio_by_scope().items() if scope == "array"}
        {'array': 1.9}
        """
        one, other = self.result.cost, self.first.cost
        parts, bases = one.energy_by_component(), other.energy_by_component()
        found: dict[Component, float] = {}
        upper = lower = 0.0
        for component in get_args(Component):
            if parts.get(component) or bases.get(component):
                upper += parts.get(component, 0.0) / one.batch
                lower += bases.get(component, 0.0) / other.batch
                if lower:
                    found[component] = upper / lower
        return found

    def ratio_by_table(self) -> dict[str, float]:
        """Ratio of the energies under each energy table that prices both designs."""
        ours, theirs = self.result.energies_by_table(), self.first.energies_by_table()
        return {name: ours[name] / theirs[name] for name in ours if theirs.get(name)}

    def differences(self) -> tuple[Difference, ...]:
        """Differences in energy by operation and operand, the largest first; parts that are the same have none."""
        one, other = self.result.cost, self.first.cost
        parts, bases = one.energy_by_part(), other.energy_by_part()
        found = (
            Difference(
                component, of, parts.get((component, of), 0.0) / one.batch - bases.get((component, of), 0.0) / other.batch
            )
            for component, of in dict.fromkeys((*bases, *parts))
        )
        return tuple(sorted((one for one in found if one.energy_pj), key=lambda one: -abs(one.energy_pj)))

    def causes(self) -> tuple[Difference, ...]:
        """The largest differences, which together make up `EXPLAINED` of all."""
        listed = self.differences()
        left = (1 - EXPLAINED) * sum(abs(one.energy_pj) for one in listed)
        rest = 0.0
        for place in range(len(listed) - 1, 0, -1):
            rest += abs(listed[place].energy_pj)
            if rest > left:
                return listed[: place + 1]
        return listed[:1]

    def differs_in(self) -> dict[str, tuple[str, str]]:
        """What the two designs differ in: first's and result's value, by name."""
        return {
            what: (mine, other)
            for (what, mine), other in zip(_design(self.first).items(), _design(self.result).values(), strict=True)
            if mine != other
        }


def _ratio(value: float, base: float) -> float | None:
    return value / base if base else None


def time_ms_per_image(cost: Cost) -> float:
    return cost.latency_ms / cost.batch


def _design(result: Result) -> dict[str, str]:
    cost, windows = result.cost, [layer for layer in result.trace.layers if layer.work]
    bits = sorted({(layer.weights.bits, layer.inputs[0].bits) for layer in windows})
    return {
        "network": cost.network,
        "accelerator": cost.accelerator,
        "energy table": cost.table,
        "bits of weights and activations": ", ".join(f"{weight}/{activation}" for weight, activation in bits),
        "batch": str(cost.batch),
        "convention": cost.convention,
    }
