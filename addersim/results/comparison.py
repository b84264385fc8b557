"""Comparison: results beside the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from addersim.errors import ConfigError, check_kind
from addersim.format_quantity import ENERGY_UNITS, quantity
from addersim.inputs.limits import repeated
from addersim.results.comparison_text import headline
from addersim.results.contrast import Contrast, time_ms_per_image
from addersim.results.result import Result
from addersim.tabular import Row, Tabular

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(Tabular):
    """Several results, and each but the first beside the first."""

    results: tuple[Result, ...]

    @property
    def contrasts(self) -> tuple[Contrast, ...]:
        """Every result but the first beside the first."""
        return tuple(Contrast(self.results[0], result) for result in self.results[1:])

    def to_dict(self) -> Row:
        """Plain values, ready for JSON, the results included."""
        return {
            "results": [result.to_dict() for result in self.results],
            "against_first": [_against_first(contrast) for contrast in self.contrasts],
        }

    def to_rows(self) -> list[Row]:
        """One row a design, for one image; the ratios are to the first."""
        return [
            {
                "name": one.result.name,
                "network": one.result.cost.network,
                "accelerator": one.result.cost.accelerator,
                "table": one.result.cost.table,
                "energy_pj": one.result.cost.energy_pj_per_image,
                "time_ms": time_ms_per_image(one.result.cost),
                "area_um2": one.result.area.area_um2 if one.result.area else None,
                "energy_ratio": one.energy_ratio,
                "time_ratio": one.time_ratio,
                "area_ratio": one.area_ratio,
            }
            for one in (Contrast(self.results[0], result) for result in self.results)
        ]

    def _title(self) -> str:
        first, *others = (result.name for result in self.results)
        return f"{first} against {others[0] if len(others) == 1 else f'{len(others)} others'}"

    def _figures(self) -> dict[str, str]:
        found = {"energy": quantity(self.results[0].cost.energy_pj_per_image, ENERGY_UNITS)}
        if len(self.results) != 2:
            return found
        row = self.to_rows()[1]
        return found | {f"{what} ratio": f"{row[f'{what}_ratio']:.3g}" for what in ("energy", "time") if row[f"{what}_ratio"]}

    def _lines(self) -> list[Row]:
        return [
            {
                "design": row["name"],
                "energy nJ": row["energy_pj"] / 1e3,
                "ratio": row["energy_ratio"],
                "time ms": row["time_ms"],
                "ratio of times": row["time_ratio"],
                "area mm2": "" if row["area_um2"] is None else row["area_um2"] * 1e-6,
            }
            for row in self.to_rows()
        ]


def _against_first(one: Contrast) -> Row:
    return {
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
    >>> round(contrast.time_ratio, 3), contrast.differs_in()
    (1.0, {'network': ('lenet5-adder', 'lenet5-conv')})
    >>> found
    <Comparison lenet5-adder against lenet5-conv: energy 473.2 nJ, energy ratio 1.12, time ratio 1>
    >>> print(found)
    lenet5-adder against lenet5-conv
    design        energy nJ  ratio  time ms  ratio of times  area mm2
    lenet5-adder      473.2      1  0.01656               1    0.8599
    lenet5-conv       531.1  1.122  0.01656               1     1.036
    energy 473.2 nJ, energy ratio 1.12, time ratio 1
    """
    check_kind(results, Sequence, "compare: results", "such as [evaluate(one), evaluate(other)]")
    for result in results:
        check_kind(result, Result, "compare: results")
    names = [result.name for result in results]
    if not names:
        raise ConfigError("compare: no results; give at least one")
    if twice := repeated(names):
        raise ConfigError(f"compare: two results are named {twice[0]!r}; give each a name of its own")
    return Comparison(tuple(results))
