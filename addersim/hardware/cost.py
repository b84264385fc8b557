"""Cost: what a trace costs on an accelerator."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from typing import Literal, NamedTuple, get_args

import numpy as np

from addersim.arithmetic.ops import sum_by_key
from addersim.format_quantity import ENERGY_UNITS, TIME_UNITS, how_many, quantity
from addersim.hardware.traffic import Access, Level, Stored, Tiling
from addersim.tabular import Row, Tabular, layer_rows
from addersim.trace import Convention

__all__ = [
    "Bound",
    "ColdStart",
    "Compat",
    "Component",
    "Cost",
    "EnergyPart",
    "LayerCost",
    "UnitEnergy",
    "UnitEnergyUsed",
    "on_common_grain",
    "utilisation",
]


Bound = Literal["array", "vector", "buffer", "dram", "fused", "none"]


class UnitEnergy(NamedTuple):
    """Energy in pJ of one operation, one access or one bit of DRAM traffic, the table's rule for it, and its source.

    Behind the first semicolon a rule says what a reader must know to trust it (`note`): that a size lies outside the table's
    evidence, or that a memory was not priced by its banks.
    """

    energy_pj: float
    rule: str
    source: str

    @property
    def note(self) -> str:
        """What must be known of it; empty where there is nothing."""
        return self.rule.partition("; ")[2]


Compat = Literal["scalesim"]
Component = Literal["array", "vector", "register", "network", "buffer", "l2", "dram", "leakage"]


class EnergyPart(NamedTuple):
    """Energy of one thing in one layer: an operation (array, vector), an operand's movement (register, network, buffer,
    l2, dram), or what a unit leaks meanwhile (leakage)."""

    component: Component
    of: str
    energy_pj: float


class UnitEnergyUsed(NamedTuple):
    """A unit energy behind a cost: of what, per which unit, and the energy with rule and source."""

    what: str
    unit: str
    energy: UnitEnergy

    @property
    def price(self) -> UnitEnergy:
        """`energy`, by its name until now."""
        return self.energy


@dataclass(frozen=True, slots=True)
class LayerCost:
    """Cost of one layer, for the whole batch.

    Attributes
    ----------
    name, kind, datapath
        As in the trace.
    cycles
        Cycles that pass. A stage of fused layers has them on its first layer and 0 on the others, so that cycles add up.
    bound
        The resource that sets `cycles` (``array``, ``vector``, ``buffer`` or ``dram``); ``fused`` on the followers of a stage,
        ``none`` where nothing takes time.
    compute_cycles, buffer_cycles, dram_cycles
        Cycles for which this layer alone keeps its unit (array or vector unit), the busiest on-chip memory and DRAM busy.
    taps
        Terms that the array computes; 0 for layers of the vector unit.
    utilisation
        Taps over what the whole array could have run in the cycles that pass (`utilisation`); a stage has it, with the taps of
        all its layers, on its first layer. 0 on the others, and where no cycles pass or the array is idle.
    mapping_efficiency
        Share of the processing elements that the folds fill; 0 for layers of the vector unit.
    tiling
        The tile loop that the array runs; None for layers of the vector unit.
    parts
        Energy, one part an operation or moved operand.
    accesses
        Words moved, by level and operand.
    """

    name: str
    kind: str
    datapath: str | None
    cycles: int
    bound: Bound
    compute_cycles: int
    buffer_cycles: int
    dram_cycles: int
    taps: int
    utilisation: float
    mapping_efficiency: float
    tiling: Tiling | None
    parts: tuple[EnergyPart, ...]
    accesses: tuple[Access, ...]

    def words(self, level: Level | None = None, operand: Stored | None = None) -> int:
        """Words read and written, of one level and operand or of all."""
        return sum(
            access.words for access in self.accesses if level in (None, access.level) and operand in (None, access.operand)
        )

    @property
    def dram_bytes(self) -> float:
        """Bytes to and from DRAM."""
        return sum(access.size_bits for access in self.accesses if access.level == "dram") / 8

    @property
    def operational_intensity(self) -> float:
        """Taps a byte of DRAM traffic, the abscissa of a roofline; infinite where there is no traffic, 0 without taps."""
        return _intensity(self.taps, self.dram_bytes)

    @property
    def energy_pj(self) -> float:
        """Energy of the layer."""
        return sum(part.energy_pj for part in self.parts)

    def energy_by_component(self) -> dict[str, float]:
        """Energy in pJ by component."""
        return _by_component(self.parts)

    def to_dict(self) -> Row:
        """Plain values, for the whole batch."""
        plain = ("name", "kind", "datapath", "cycles", "bound", "compute_cycles", "buffer_cycles", "dram_cycles")
        return {key: getattr(self, key) for key in (*plain, "taps", "utilisation", "mapping_efficiency")} | {
            "tiling": [loop._asdict() for loop in self.tiling.loops] if self.tiling else None,
            "accesses": [access._asdict() for access in self.accesses],
            "energy_pj": {"total": self.energy_pj} | self.energy_by_component(),
        }


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
    """

    energy_pj: float
    cycles: int
    dram_bytes: float


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

    @property
    def energy_pj(self) -> float:
        """Energy of the batch."""
        return sum(layer.energy_pj for layer in self.layers)

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
        return _intensity(self.taps, self.dram_bytes)

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
        """What must be known of unit energies, and of which: outside the table's evidence, memories priced as one."""
        noted: dict[str, list[str]] = {}
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
        """Energy in pJ by component: ``array``, ``vector``, ``buffer``, ``l2``, ``dram``."""
        return _by_component(part for layer in self.layers for part in layer.parts)

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
            spent["cold start"] = quantity(self.cold_start.energy_pj, ENERGY_UNITS)
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


def utilisation(taps: int, cycles: int, elements: int) -> float:
    """Taps that were computed over those that an array could have computed, one a cycle in every element, 0 to 1.

    The one meaning of the word here, of layers and of networks: cycles are those that pass, whatever they are waited for.

    Examples
    --------
    >>> utilisation(taps=1600, cycles=100, elements=64)
    0.25
    """
    return taps / (cycles * elements) if cycles else 0.0


def on_common_grain(layers: Sequence[Sequence[EnergyPart]]) -> list[tuple[EnergyPart, ...]]:
    """Round the parts of all layers to multiples of one power of two, 2^-52 of their total, so that sums of parts are exact.

    A sum of doubles that are whole multiples of one power of two, and stay below 2^53 of it, is not rounded. What is lost lies
    below the last bit of the total.
    """
    distinct = {id(parts): parts for parts in layers}  # layers of one shape share theirs
    flat = [*chain.from_iterable(distinct.values())]
    components, names, energies = zip(*flat, strict=True) if flat else ((), (), ())
    total = math.fsum([part.energy_pj for parts in layers for part in parts])
    grain = math.ldexp(1.0, max(math.frexp(total)[1] - 52, -1000))
    rounded = (np.rint(np.array(energies) / grain) * grain).tolist()
    new = map(EnergyPart, components, names, rounded)
    rounded_of = {key: tuple(islice(new, len(parts))) for key, parts in distinct.items()}
    return [rounded_of[id(parts)] for parts in layers]


def _intensity(taps: int, dram_bytes: float) -> float:
    return taps / dram_bytes if dram_bytes else math.inf if taps else 0.0


def _by_component(parts: Iterable[EnergyPart]) -> dict[str, float]:
    return sum_by_key((part.component, part.energy_pj) for part in parts)
