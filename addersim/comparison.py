"""Comparison: results beside the first of them, what the differences are due to, and that in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, get_args

from addersim.errors import ConfigError
from addersim.hardware.cost import Component, Cost
from addersim.summary import Result, to_json
from addersim.units import ENERGY_UNITS, TIME_UNITS, quantity

__all__ = ["COMPONENTS", "Comparison", "Contrast", "Difference", "bounds", "compare", "comparison_document", "headline"]

COMPONENTS: Mapping[str, str] = MappingProxyType(
    {
        "array": "array",
        "vector": "vector unit",
        "register": "register files",
        "network": "array network",
        "buffer": "buffers",
        "dram": "DRAM",
        "leakage": "leakage",
        "none": "nothing",
    }
)
"""What readers call components and resources."""
SAME = 5e-4
"""Relative difference below which two energies are called the same."""
EXPLAINED = 0.9
"""Share of all differences that the named causes make up."""


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
        return _ratio(_time_ms(self.result.cost), _time_ms(self.first.cost))

    @property
    def area_ratio(self) -> float | None:
        """Ratio of the areas, where both are known."""
        one, other = self.result.area, self.first.area
        return _ratio(one.area_um2, other.area_um2) if one and other else None

    def ratio_by_scope(self) -> dict[Component, float]:
        """Ratio of the energies when ever more is counted: the array alone, the vector unit too, and so on to all.

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


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several results, and each but the first beside the first."""

    results: tuple[Result, ...]

    @property
    def contrasts(self) -> tuple[Contrast, ...]:
        """Every result but the first beside the first."""
        return tuple(Contrast(self.results[0], result) for result in self.results[1:])


def bounds(cost: Cost) -> dict[str, float]:
    """Share of the time that each resource sets, the largest first; empty where the convention has no cycles."""
    cycles: dict[str, int] = {}
    for layer in cost.layers:
        if layer.cycles:
            cycles[layer.bound] = cycles.get(layer.bound, 0) + layer.cycles
    return {bound: part / cost.cycles for bound, part in sorted(cycles.items(), key=lambda one: -one[1])}


def compare(results: Sequence[Result]) -> Comparison:
    """Set results beside the first of them.

    Parameters
    ----------
    results
        One or more, of different names, such as those of `evaluate`. The first is what the others are measured by.

    Raises
    ------
    ConfigError
        No result, or two of one name.

    Examples
    --------
    >>> from addersim import count, evaluate, load_network, quantize
    >>> names = ("lenet5-adder", "lenet5-conv")
    >>> found = compare([evaluate(count(quantize(load_network(name), None)), "systolic-16x16") for name in names])
    >>> contrast, = found.contrasts
    >>> contrast.time_ratio, contrast.differs_in()
    (1.0, {'network': ('lenet5-adder', 'lenet5-conv')})
    """
    names = [result.name for result in results]
    if not names:
        raise ConfigError("compare: no results; give at least one")
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise ConfigError(f"compare: two results are named {twice!r}; give each a name of its own")
    return Comparison(tuple(results))


def headline(first: Result, result: Result | None = None) -> str:
    """The finding in two or three sentences: who takes less, what the array alone says, and where the saving vanishes."""
    if result is None or not (first.cost.energy_pj and result.cost.energy_pj):
        return _alone(first)
    contrast = Contrast(first, result)
    low, high = sorted((first, result), key=lambda one: one.cost.energy_pj_per_image)
    less = low.cost.energy_pj_per_image / high.cost.energy_pj_per_image
    energies = [quantity(one.cost.energy_pj_per_image, ENERGY_UNITS) for one in (low, high)]
    full, short, both = _told_apart(first.name, result.name)
    if less > 1 - SAME:
        words = [f"{full[first.name]} and {full[result.name]}{both} take the same energy an image, {energies[0]}"]
    else:
        words = [
            f"{full[low.name]} takes {_share(1 - less)} less energy an image than {full[high.name]}{both}: "
            f"{energies[0]} against {energies[1]}"
        ]
    words += _array_words(low, high, short[high.name]) + _cause_words(contrast, short[result.name])
    words += _time_words(first, result, short)
    ratios = contrast.ratio_by_table()
    if len(ratios) > 1:
        ends = min(ratios.values()), max(ratios.values())
        words.append(
            f"Under each of {len(ratios)} energy tables the two take the same energy"
            if max(abs(ends[0] - 1), abs(ends[1] - 1)) < SAME
            else f"Under {len(ratios)} energy tables {short[result.name]} takes {ends[0]:.3g} to {ends[1]:.3g} times "
            f"{short[first.name]}'s energy"
        )
    if tables := contrast.differs_in().get("energy table"):
        words.append(f"They are priced by different tables ({tables[0]}, {tables[1]}), which is part of the difference")
    return ". ".join(words) + "."


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """A comparison as plain values, the results included."""
    return {
        "results": [to_json(result) for result in comparison.results],
        "against_first": [
            {
                "name": one.result.name,
                "first": one.first.name,
                "differs_in": {what: list(values) for what, values in one.differs_in().items()},
                "energy_ratio": one.energy_ratio,
                "time_ratio": one.time_ratio,
                "area_ratio": one.area_ratio,
                "energy_ratio_by_scope": one.ratio_by_scope(),
                "energy_ratio_by_table": one.ratio_by_table(),
                "differences": [
                    {"component": part.component, "of": part.of, "energy_pj": part.energy_pj} for part in one.differences()
                ],
                "headline": headline(one.first, one.result),
            }
            for one in comparison.contrasts
        ],
    }


def _ratio(value: float, base: float) -> float | None:
    return value / base if base else None


def _time_ms(cost: Cost) -> float:
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


def _alone(result: Result) -> str:
    cost = result.cost
    words = f"{result.name} takes {quantity(cost.energy_pj_per_image, ENERGY_UNITS)} an image"
    words += "" if cost.batch == 1 else f", {cost.batch} images together,"
    if not cost.cycles:
        return f"{words}, of arithmetic alone."
    parts = sorted(cost.energy_by_component().items(), key=lambda part: -part[1])
    shares = ", ".join(f"{COMPONENTS[name]} {_share(energy / cost.energy_pj)}" for name, energy in parts if energy)
    return f"{words} on {cost.accelerator} ({shares}) and {quantity(_time_ms(cost), TIME_UNITS)}."


def _told_apart(one: str, other: str) -> tuple[dict[str, str], dict[str, str], str]:
    """By name, all parts that tell two names apart and the first of them; and what the two share.

    Names of designs are parts with commas between them, such as a network, an accelerator and a table.
    """
    names = one, other
    parts = [name.split(", ") for name in names]
    if len(parts[0]) != len(parts[1]) or one == other:
        return dict(zip(names, names, strict=True)), dict(zip(names, names, strict=True)), ""
    apart = [(mine, theirs) for mine, theirs in zip(*parts, strict=True) if mine != theirs]
    shared = [mine for mine, theirs in zip(*parts, strict=True) if mine == theirs]
    full = {name: ", ".join(pair[place] for pair in apart) for place, name in enumerate(names)}
    return full, dict(zip(names, apart[0], strict=True)), f" (both {', '.join(shared)})" if shared else ""


def _array_words(low: Result, high: Result, high_name: str) -> list[str]:
    """What the array alone says, and how much of the whole it and the largest other component are."""
    mine, theirs = ({name: pj / one.cost.batch for name, pj in one.cost.energy_by_component().items()} for one in (low, high))
    if not (mine.get("array") and theirs.get("array")) or not low.cost.cycles or not high.cost.cycles:
        return []
    total = sum(theirs.values())
    largest = max((name for name in theirs if name != "array"), key=lambda name: theirs[name])
    change = mine["array"] / theirs["array"]
    if abs(change - 1) < SAME:
        return []
    share = theirs["array"] / total
    joined = "but" if change < 1 and share < 0.5 else "and"
    kept = _change(mine.get(largest, 0.0) / theirs[largest]) if theirs[largest] else "the same"
    takes = "take" if COMPONENTS[largest].endswith("s") else "takes"
    return [
        f"Its array alone takes {_change(change)}, {joined} the array is {_share(share)} of {high_name}'s energy; "
        f"{COMPONENTS[largest]}, {_share(theirs[largest] / total)}, {takes} {kept}"
    ]


def _cause_words(contrast: Contrast, name: str) -> list[str]:
    """Where the difference is, where it is not in the array."""
    array = contrast.ratio_by_scope().get("array")
    if array is None or abs(array - 1) >= SAME or not (causes := contrast.causes()):
        return []
    more = f" and {len(causes) - 1} more" if len(causes) > 1 else ""
    return [f"Arithmetic in the array is the same; {name} differs in {causes[0]}{more}"]


def _time_words(first: Result, result: Result, names: Mapping[str, str]) -> list[str]:
    mine, other = _time_ms(first.cost), _time_ms(result.cost)
    if not (mine and other):
        return []
    times = f"{quantity(mine, TIME_UNITS)}"
    if abs(other / mine - 1) < SAME:
        return [f"Both take {times} an image"]
    return [f"An image takes {times} with {names[first.name]}, {quantity(other, TIME_UNITS)} with {names[result.name]}"]


def _change(ratio: float) -> str:
    if abs(ratio - 1) < SAME:
        return "the same"
    return f"{_share(abs(1 - ratio))} {'less' if ratio < 1 else 'more'}"


def _share(share: float) -> str:
    return f"{100 * share:.{3 if share >= 0.1 else 2}g}\u00a0%"
