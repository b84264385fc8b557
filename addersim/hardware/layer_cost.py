"""LayerCost: what one layer costs on an accelerator, its parts of energy, and how parts add up exactly."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Literal, NamedTuple

import numpy as np
from msgspec import Struct

from addersim.arithmetic.ops import sum_by_key
from addersim.hardware.traffic import Access, Level, Stored, Tiling
from addersim.tabular import Row

__all__ = [
    "ArrayPrices",
    "Bound",
    "Component",
    "EnergyPart",
    "LayerCost",
    "UnitEnergy",
    "UnitEnergyUsed",
    "energy_by_component",
    "intensity",
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


Component = Literal["array", "vector", "register", "network", "buffer", "l2", "dram", "leakage", "idle"]


class EnergyPart(NamedTuple):
    """Energy of one thing in one layer: an operation (array, vector), an operand's movement (register, network, buffer,
    l2, dram), or what a unit leaks, or draws whatever it does, meanwhile (leakage, idle)."""

    component: Component
    of: str
    energy_pj: float


class ArrayPrices(NamedTuple):
    """Energy of one window layer's array, for one image, under the ways in which a table with processing elements tells it.

    Attributes
    ----------
    layer
        Its name.
    zeros
        Share of its taps that meet a zero or padding; None where no run saw it.
    energy_pj
        By way: ``constant``, its operations; ``zero share``, its element's line; ``toggles``, the same element by what
        its operands' bits do, where the trace has that; ``gates``, its own operands in gates. Those that the table has.
    """

    layer: str
    zeros: float | None
    energy_pj: Mapping[str, float]


class UnitEnergyUsed(NamedTuple):
    """A unit energy behind a cost: of what, per which unit, and the energy with rule and source."""

    what: str
    unit: str
    energy: UnitEnergy

    @property
    def price(self) -> UnitEnergy:
        """`energy`, by its name until now."""
        return self.energy


class LayerCost(Struct, frozen=True):
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
    gated_taps
        Taps whose circuit rests, for their input is zero (`zero_savings`).
    elements
        Processing elements that can run the layer: of a mixed array those that multiply, or all; 0 for layers of the vector
        unit.
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
    gated_taps: int = 0
    elements: int = 0

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
        return intensity(self.taps, self.dram_bytes)

    @property
    def energy_pj(self) -> float:
        """Energy of the layer."""
        return sum(part.energy_pj for part in self.parts)

    def energy_by_component(self) -> dict[str, float]:
        """Energy in pJ by component."""
        return energy_by_component(self.parts)

    def to_dict(self) -> Row:
        """Plain values, for the whole batch."""
        plain = ("name", "kind", "datapath", "cycles", "bound", "compute_cycles", "buffer_cycles", "dram_cycles")
        used = ("taps", "gated_taps", "utilisation", "mapping_efficiency", "elements")
        return {key: getattr(self, key) for key in (*plain, *used)} | {
            "tiling": [loop._asdict() for loop in self.tiling.loops] if self.tiling else None,
            "accesses": [access._asdict() for access in self.accesses],
            "energy_pj": {"total": self.energy_pj} | self.energy_by_component(),
        }


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


def intensity(taps: int, dram_bytes: float) -> float:
    """Taps a byte of DRAM traffic; infinite where there is no traffic, 0 without taps."""
    return taps / dram_bytes if dram_bytes else math.inf if taps else 0.0


def energy_by_component(parts: Iterable[EnergyPart]) -> dict[str, float]:
    """Energy in pJ by component."""
    return sum_by_key((part.component, part.energy_pj) for part in parts)
