"""Cost: what a trace costs on an accelerator."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, get_args

from addersim.arithmetic.ops import sum_by_key
from addersim.format_quantity import ENERGY_UNITS, TIME_UNITS, how_many, quantity
from addersim.hardware.layer_cost import (
    ArrayPrices,
    Bound,
    Component,
    LayerCost,
    UnitEnergyUsed,
    energy_by_component,
    intensity,
    utilisation,
)
from addersim.tabular import Row, Tabular, layer_rows
from addersim.trace import Convention

__all__ = ["ColdStart", "Compat", "Cost"]


Compat = Literal["scalesim"]


@dataclass(frozen=True, slots=True)
class ColdStart:
    """What is paid once, before the first image: the weights that then stay on chip.

    Attributes
    ----------
    energy_pj
        Of fetching them from DRAM and of writing them into their memory.
    cycles
        In which DRAM delivers them.
    dram_bytes
        Their size.
    share
        Of all weights, 0 to 1: less where only those of some layers stay.
    """

    energy_pj: float
    cycles: int
    dram_bytes: float
    share: float = 1.0

    @property
    def of_weights(self) -> str:
        """What stays, in words."""
        return "all weights" if self.share == 1 else f"{100 * self.share:.3g} % of the weights"


@dataclass(frozen=True, slots=True, repr=False)
class Cost(Tabular):
    """Cost of a network on an accelerator, for one batch; with the default batch of 1, for one image.

    Parts add up to totals exactly, in any order and grouping: see `on_common_grain`.

    Attributes
    ----------
    network, accelerator, table
        Names.
    convention
        The trace's. A cost in the ``paper`` convention holds arithmetic only: no memory, no cycles.
    batch
        Images that are run together. Energy, cycles and latency are those of all of them.
    clock_mhz, elements
        The accelerator's clock and processing elements; each computes at most one tap a cycle, the flat roof of a roofline.
    dram_bytes_per_cycle
        Bandwidth of DRAM, the slope of a roofline.
    taps
        Terms that the array computes, for the batch.
    layers
        In execution order.
    prices
        Every unit energy that was used.
    cold_start
        What is paid once and is in no other figure, where the weights stay on chip; None where they are fetched again.
    compat
        The tool whose printed numbers these are, without energy; None for our own.
    batch_parts
        Parts of the batch that run one after another: images, and how many such parts.
    known
        What must be known of the design beside its unit energies, and of which layers (`notes`).
    array_prices
        Under a table that knows processing elements, the array's energy of each window layer by every way of pricing it.

    Examples
    --------
    >>> from addersim import count, estimate, load_network, quantize
    >>> cost = estimate(count(quantize(load_network("lenet5-adder"), None)), "systolic-16x16")
    >>> cost  # doctest: +NORMALIZE_WHITESPACE
    <Cost lenet5-adder on systolic-16x16, one image, prices of horowitz-45nm:
    energy 473.2 nJ, latency 16.56 µs, cold start 10.38 µJ>
    >>> print(cost)  # doctest: +ELLIPSIS
    lenet5-adder on systolic-16x16, one image, prices of horowitz-45nm
    layer       kind      cycles  set by  utilisation  energy nJ  share
    conv1       l1-2a      2,236  array   21 %             198.6  42.0 %
    ...
    energy 473.2 nJ, latency 16.56 µs, cold start 10.38 µJ
    >>> cost.to_dict()["energy_pj"]["total"] == float(cost.to_frame()["energy_pj"].sum()) == cost.energy_pj
    True
    """

    network: str
    accelerator: str
    table: str
    convention: Convention
    batch: int
    clock_mhz: float
    elements: int
    dram_bytes_per_cycle: float
    taps: int
    layers: tuple[LayerCost, ...]
    prices: tuple[UnitEnergyUsed, ...]
    compat: Compat | None = None
    cold_start: ColdStart | None = None
    batch_parts: tuple[tuple[int, int], ...] = ()
    known: tuple[tuple[str, tuple[str, ...]], ...] = ()
    array_prices: tuple[ArrayPrices, ...] = ()

    @property
    def energy_pj(self) -> float:
        """Energy of the batch."""
        return sum(layer.energy_pj for layer in self.layers)

    @property
    def cold_start_pj(self) -> float:
        """Energy of what is paid once, before the first image; 0 where no weights stay."""
        return self.cold_start.energy_pj if self.cold_start else 0.0

    @property
    def cycles(self) -> int:
        """Cycles of the batch."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def latency_ms(self) -> float:
        """Time of the batch."""
        return self.cycles / (self.clock_mhz * 1e3)

    @property
    def utilisation(self) -> float:
        """Taps over what the whole array could have run in all cycles: that of the layers, weighed by their cycles."""
        return utilisation(self.taps, self.cycles, self.elements)

    @property
    def dram_bytes(self) -> float:
        """Bytes to and from DRAM."""
        return sum(layer.dram_bytes for layer in self.layers)

    @property
    def operational_intensity(self) -> float:
        """Taps a byte of DRAM traffic; infinite where there is no traffic, 0 without taps."""
        return intensity(self.taps, self.dram_bytes)

    def roof(self, operational_intensity: float) -> float:
        """Most taps a cycle at an operational intensity: what DRAM feeds, up to one tap a processing element."""
        return min(float(self.elements), operational_intensity * self.dram_bytes_per_cycle)

    @property
    def energy_pj_per_image(self) -> float:
        """Energy of one image of the batch."""
        return self.energy_pj / self.batch

    @property
    def images_per_second(self) -> float:
        """Throughput, one batch after another; 0 where the convention has no cycles."""
        return self.batch * self.clock_mhz * 1e6 / self.cycles if self.cycles else 0.0

    def notes(self) -> dict[str, tuple[str, ...]]:
        """What must be known of unit energies, and of which: outside the table's evidence, memories priced as one; and of
        layers, what zeros do not save or were not seen."""
        noted: dict[str, list[str]] = {note: list(layers) for note, layers in self.known}
        for used in self.prices:
            for note in filter(None, used.energy.note.split("; ")):
                if not used.what.startswith("leakage"):  # its rule names the circuits without a figure
                    noted.setdefault(note, []).append(used.what)
        return {note: tuple(whats) for note, whats in noted.items()}

    def time_by_bound(self) -> dict[Bound, float]:
        """Share of the time that each resource sets, the largest first; empty where the convention has no cycles."""
        cycles = sum_by_key((layer.bound, layer.cycles) for layer in self.layers if layer.cycles)
        return {bound: part / self.cycles for bound, part in sorted(cycles.items(), key=lambda one: -one[1])}

    def energy_by_component(self) -> dict[str, float]:
        """Energy in pJ by component, of those that there are (`Component`)."""
        return energy_by_component(part for layer in self.layers for part in layer.parts)

    def energy_by_part(self) -> dict[tuple[str, str], float]:
        """Energy in pJ by component and operation or operand."""
        return sum_by_key(((part.component, part.of), part.energy_pj) for layer in self.layers for part in layer.parts)

    def to_dict(self) -> Row:
        """Plain values, ready for JSON, for the whole batch."""
        return {key: getattr(self, key) for key in ("network", "accelerator", "table", "convention", "batch", "compat")} | {
            "batch_parts": [{"images": images, "times": times} for images, times in self.batch_parts],
            "clock_mhz": self.clock_mhz,
            "energy_pj": {"total": self.energy_pj} | self.energy_by_component(),
            "energy_pj_by_part": {f"{component} {of}": pj for (component, of), pj in self.energy_by_part().items()},
            "cycles": self.cycles,
            "latency_ms": self.latency_ms,
            "images_per_second": self.images_per_second,
            "utilisation": self.utilisation,
            "taps": self.taps,
            "peak_taps_per_cycle": self.elements,
            "dram_bytes": self.dram_bytes,
            "cold_start": self.cold_start and asdict(self.cold_start),
            "dram_bytes_per_cycle": self.dram_bytes_per_cycle,
            "layers": [layer.to_dict() for layer in self.layers],
            "array_energy_pj": [
                {"layer": one.layer, "zeros": one.zeros}
                | {f"{way} pj".replace(" ", "_"): pj for way, pj in one.energy_pj.items()}
                for one in self.array_prices
            ],
            "notes": {note: list(whats) for note, whats in self.notes().items()},
            "prices": [{"what": used.what, "unit": used.unit, **used.energy._asdict()} for used in self.prices],
        }

    def to_rows(self) -> list[Row]:
        """One row a layer, for the whole batch; energy by component in columns of their own."""
        document = self.to_dict()
        rows = layer_rows(document, ("network", "accelerator", "table", "batch"))
        energies = [layer["energy_pj"] for layer in document["layers"]]
        return [
            row | {"energy_pj": one["total"]} | {f"{name}_pj": one.get(name, 0.0) for name in get_args(Component)}
            for row, one in zip(rows, energies, strict=True)
        ]

    def _title(self) -> str:
        images = "one image" if self.batch == 1 else f"{self.batch:,} images"
        return f"{self.network} on {self.accelerator}, {images}, prices of {self.table}"

    def _figures(self) -> dict[str, str]:
        spent = {"energy": quantity(self.energy_pj, ENERGY_UNITS)}
        spent |= {"latency": quantity(self.latency_ms, TIME_UNITS)} if self.cycles else {}
        if self.cold_start:
            some = "" if self.cold_start.share == 1 else f" for {self.cold_start.of_weights}"
            spent["cold start"] = quantity(self.cold_start.energy_pj, ENERGY_UNITS) + some
        unknown = [layer.name for layer in self.layers if layer.kind == "unknown"]
        number = how_many(len(unknown), "operations")
        return spent | ({"left out": f"{number} without a layer, {unknown[0]} first"} if unknown else {})

    def _lines(self) -> list[Row]:
        total = self.energy_pj
        return [
            {
                "layer": layer.name,
                "kind": layer.datapath or layer.kind,
                "cycles": layer.cycles,
                "set by": layer.bound,
                "utilisation": f"{100 * layer.utilisation:.0f} %" if layer.cycles else "",
                "energy nJ": layer.energy_pj / 1e3,
                "share": f"{100 * layer.energy_pj / total:.1f} %" if total else "",
            }
            for layer in self.layers
        ]
