"""Area: the circuits of an accelerator made for a network, each at its table's figure.

What is counted (`inventory`):

- A processing element has the circuits of one tap of every datapath that the network runs on it (`SystolicArray.datapaths`, or
  all that it needs), each as wide as its widest layer; one adder and one register for the sum, as wide as the widest
  accumulator, which the datapaths share; and two operand registers. With overlapped folds the stationary value is held twice.
  In a row stationary array the scratchpads, a register a word, stand for all registers. In a broadcast array the adders of an
  element are its share of the tree, weights are held twice, and each tree has a register for each sum of a stripe. Where a
  share of the columns multiplies (`SystolicArray.multiplier_share`), the others have no circuits of datapaths that do. Where
  the table knows whole processing elements, each datapath's is one circuit, registers and adder included; scratchpads stand
  beside it.
- A lane of the vector unit has one circuit for each operation of the layers that run there, as wide as the widest.
- The on-chip memories, each as the macros that its energy is priced by (`prices.macros`): one a bank.

What no table has a row for is not counted, and named: control, clock tree, wires and the interface to DRAM always.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.arithmetic.ops import sum_by_key
from addersim.errors import PriceError, check_kind
from addersim.format_quantity import AREA_UNITS, quantity
from addersim.hardware.accelerator import Accelerator, Buffer, SystolicArray
from addersim.hardware.dataflow.stationary import systolic_dataflow
from addersim.hardware.load import load_accelerator
from addersim.hardware.prices.csv_file import load_table
from addersim.hardware.prices.elements import element_bits
from addersim.hardware.prices.macros import Macros, macros_of
from addersim.hardware.prices.multipliers import with_multiplier
from addersim.hardware.prices.row import REGISTERS
from addersim.hardware.prices.scratchpads import for_array
from addersim.hardware.prices.table import EnergyTable, Figure
from addersim.hardware.traffic import sum_bits
from addersim.tabular import Row, Tabular
from addersim.trace import LayerTrace, Trace

__all__ = ["AREA_TABLE", "NOT_COUNTED", "Area", "AreaPart", "EqualCircuits", "Unit", "estimate_area", "inventory"]

Unit = Literal["array", "vector", "buffer"]
AREA_TABLE = "aladdin-cacti-45nm"
"""The table that gives areas unless another is asked for: of the bundled ones, the reference node."""
_GRAIN_UM2 = 2.0**-16
"""Areas are whole multiples of it, so that sums of them, up to 100,000 mm2, are exact in any order and grouping."""
NOT_COUNTED = ("control", "clock tree", "wires", "DRAM interface")


class EqualCircuits(NamedTuple):
    """A number of equal circuits or memories of an accelerator, as an energy table names them."""

    unit: Unit
    what: str
    component: str
    op: str
    bits: int
    capacity_kib: float | None
    number: int
    device: str | None = None
    multiplying: bool = False
    """Whether it is in those elements alone that multiply, of an array of which a share does."""


class AreaPart(NamedTuple):
    """Area of all circuits of one kind."""

    circuit: EqualCircuits
    area_um2: float
    figure: Figure


@dataclass(frozen=True, slots=True, repr=False)
class Area(Tabular):
    """Area of an accelerator.

    Attributes
    ----------
    accelerator, table, node_nm
        Names, and the node of the table's figures.
    elements, multiplying_elements
        Processing elements, and those that can multiply.
    parts
        What the table has a figure for.
    missing
        What it has none for, in words; besides these, `NOT_COUNTED` is never counted.

    Examples
    --------
    >>> from addersim import count, load_network, quantize
    >>> area = estimate_area(count(quantize(load_network("lenet5-adder"), None)), "systolic-16x16")
    >>> area
    <Area systolic-16x16, areas of aladdin-cacti-45nm: area 0.8599 mm², element 747.1 µm², node 45 nm>
    >>> print(area)  # doctest: +ELLIPSIS
    systolic-16x16, areas of aladdin-cacti-45nm
    unit    what                        number  area um2  share
    array   sub of 8 bits                  512    52,007  6.0 %
    ...
    area 0.8599 mm², element 747.1 µm², node 45 nm
    >>> area.to_dict()["area_um2"]["total"] == area.area_um2
    True
    """

    accelerator: str
    table: str
    node_nm: float
    elements: int
    multiplying_elements: int
    parts: tuple[AreaPart, ...]
    missing: tuple[str, ...]

    @property
    def area_um2(self) -> float:
        """Area of all parts."""
        return sum(part.area_um2 for part in self.parts)

    @property
    def area_mm2(self) -> float:
        """The same in mm2."""
        return self.area_um2 * 1e-6

    @property
    def element_um2(self) -> float:
        """Area of one processing element, on average."""
        return self.by_unit().get("array", 0.0) / self.elements

    def of_element(self, multiplying: bool) -> float:
        """Area in um2, in each element of the array, of what all elements have, or of what only those have that multiply."""
        chosen = [part for part in self.parts if part.circuit.unit == "array" and part.circuit.multiplying == multiplying]
        return sum(part.area_um2 for part in chosen) / (self.multiplying_elements if multiplying else self.elements)

    def by_unit(self) -> dict[Unit, float]:
        """Area in um2 of array, vector unit and memories."""
        return sum_by_key((part.circuit.unit, part.area_um2) for part in self.parts)

    def to_dict(self) -> Row:
        """Plain values, ready for JSON."""
        return {
            "accelerator": self.accelerator,
            "table": self.table,
            "node_nm": self.node_nm,
            "elements": self.elements,
            "multiplying_elements": self.multiplying_elements,
            "element_um2": self.element_um2,
            "area_um2": {"total": self.area_um2} | self.by_unit(),
            "parts": [
                {
                    "unit": part.circuit.unit,
                    "what": part.circuit.what,
                    "number": part.circuit.number,
                    "area_um2": part.area_um2,
                    "rule": part.figure.rule,
                    "source": part.figure.source,
                }
                for part in self.parts
            ],
            "missing": [*self.missing, *NOT_COUNTED],
        }

    def to_rows(self) -> list[Row]:
        """One row a kind of circuit."""
        same = {"accelerator": self.accelerator, "table": self.table, "node_nm": self.node_nm}
        return [same | part for part in self.to_dict()["parts"]]

    def _title(self) -> str:
        return f"{self.accelerator}, areas of {self.table}"

    def _figures(self) -> dict[str, str]:
        found = {"area": quantity(self.area_um2, AREA_UNITS), "element": f"{self.element_um2:,.4g} µm²"}
        return found | {"node": f"{self.node_nm:g} nm"}

    def _lines(self) -> list[Row]:
        return [
            {
                "unit": part.circuit.unit,
                "what": part.circuit.what,
                "number": part.circuit.number,
                "area um2": part.area_um2,
                "share": f"{100 * part.area_um2 / self.area_um2:.1f} %" if self.area_um2 else "",
            }
            for part in self.parts
        ]


def estimate_area(
    trace: Trace,
    accelerator: Accelerator | str | os.PathLike[str] = "systolic-16x16",
    table: EnergyTable | str | os.PathLike[str] = AREA_TABLE,
) -> Area:
    """Area of an accelerator that is made for a network.

    Parameters
    ----------
    trace
        Facts of the network: its datapaths and widths decide what a processing element holds.
    accelerator
        A record, a bundled name or a TOML file.
    table
        An energy table with areas, a bundled name or a CSV file.

    Raises
    ------
    ConfigError
        An accelerator or table that does not exist or does not parse.

    Examples
    --------
    >>> from addersim import count, load_network, quantize
    >>> adder, conv = (count(quantize(load_network(name), None)) for name in ("lenet5-adder", "lenet5-conv"))
    >>> [round(estimate_area(trace, "systolic-16x16").element_um2) for trace in (adder, conv)]
    [747, 1256]
    """
    check_kind(trace, Trace, "estimate_area: trace")
    machine = accelerator if isinstance(accelerator, Accelerator) else load_accelerator(accelerator)
    stated = with_multiplier(table if isinstance(table, EnergyTable) else load_table(table), trace.layers)
    figures = for_array(stated, machine.array)
    parts: list[AreaPart] = []
    missing: list[str] = []
    for circuit in inventory(trace, machine, figures):
        try:
            figure = figures.area(circuit.component, circuit.op, circuit.bits, circuit.capacity_kib, circuit.device)
        except PriceError:
            missing.append(f"{circuit.what} ({circuit.unit})")
            continue
        parts.append(AreaPart(circuit, round(figure.value * circuit.number / _GRAIN_UM2) * _GRAIN_UM2, figure))
    missing += _beside_elements(machine.array, figures)
    node = figures.rows[0].node_nm
    elements = machine.array.elements, _multiplying(machine.array)
    return Area(machine.name, figures.name, node, *elements, tuple(parts), tuple(missing))


def _beside_elements(array: SystolicArray, table: EnergyTable) -> Iterator[str]:
    """What an array has beside the elements that a table knows whole, and no row for."""
    contents = [row.contains for row in table.rows if row.component == "pe" and row.contains]
    if any(REGISTERS not in one for one in contents):
        yield f"{REGISTERS} (array)"
    if table.knows_elements and array.broadcast is not None:
        yield "sums of a stripe (array)"


def inventory(trace: Trace, accelerator: Accelerator, table: EnergyTable | None = None) -> tuple[EqualCircuits, ...]:
    """Every circuit of an accelerator that is made for a network, and the macros of its memories, as far as a table has them.

    Without a table each memory is one macro.
    """
    windows = [layer for layer in trace.layers if layer.work is not None]
    others = [layer for layer in trace.layers if layer.work is None]
    lanes, whole = accelerator.vector.lanes, table is not None and table.knows_elements
    array = [*(_whole_elements if whole else _tap_circuits)(windows, accelerator.array)]
    if not whole or accelerator.array.row_stationary:
        array += [_register(what, bits, number) for what, bits, number in _registers(windows, accelerator.array)]
    vector = [_circuit("vector", op, bits, lanes) for op, bits in _widest(others).items()]
    memories = [_memory(name, one, accelerator, table) for name, one in accelerator.buffers.all_memories().items()]
    return tuple(array + vector + memories)


def _memory(name: str, buffer: Buffer, accelerator: Accelerator, table: EnergyTable | None) -> EqualCircuits:
    whole = Macros(1, buffer.capacity_kib)
    macros = whole if table is None else macros_of(buffer, table, accelerator.buffers.monolithic)
    what = f"{name} buffer of {buffer.capacity_kib:g} KiB"
    return EqualCircuits("buffer", what, "sram", "read", buffer.word_bits, macros.capacity_kib, macros.number, buffer.device)


def _circuit(unit: Unit, op: str, bits: int, count: int) -> EqualCircuits:
    return EqualCircuits(unit, f"{op} of {bits} bits", "integer", op, bits, None, count)


def _element(datapath: str, bits: int, count: int) -> EqualCircuits:
    return EqualCircuits("array", f"element {datapath} of {bits} bits", "pe", datapath, bits, None, count)


def _register(what: str, bits: int, count: int) -> EqualCircuits:
    return EqualCircuits("array", f"{what} register of {bits} bits", "register", "read", bits, None, count)


def _widest(layers: Iterable[LayerTrace]) -> dict[str, int]:
    """The greatest width of each operation that the layers run."""
    widest: dict[str, int] = {}
    for layer in layers:
        for op, bits in layer.operations:
            widest[op] = max(bits, widest.get(op, 0))
    return widest


def _multiplying(array: SystolicArray) -> int:
    """Processing elements that can multiply."""
    return array.rows * array.multiplying_columns(array.columns)


def _datapaths(windows: list[LayerTrace], array: SystolicArray) -> Iterator[tuple[str, list[LayerTrace], int, bool]]:
    """Datapaths of the array, the layers that set their widths, how many elements have them, and whether only a share does."""
    needed = {layer.datapath for layer in windows if layer.datapath}
    for name in array.datapaths or sorted(needed):
        part = array.multiplier_share is not None and DATAPATHS[name].multiplies
        own = [layer for layer in windows if layer.datapath == name] or windows
        yield name, own, _multiplying(array) if part else array.elements, part


def _whole_elements(windows: list[LayerTrace], array: SystolicArray) -> Iterator[EqualCircuits]:
    """The processing elements, as tables know them that have them whole."""
    for name, own, elements, part in _datapaths(windows, array):
        if own:
            yield _element(name, max(map(element_bits, own)), elements)._replace(multiplying=part)


def _tap_circuits(windows: list[LayerTrace], array: SystolicArray) -> Iterator[EqualCircuits]:
    """The circuits of the processing elements."""
    for name, own, elements, part in _datapaths(windows, array):
        operations = DATAPATHS[name].tap_operations
        for op in dict.fromkeys(operations):
            yield _circuit("array", op, _operand_bits(own), operations.count(op) * elements)._replace(multiplying=part)
    if windows:
        yield _circuit("array", "add", _sum_bits(windows), array.elements)


def _registers(windows: list[LayerTrace], array: SystolicArray) -> list[tuple[str, int, int]]:
    """Name, width and number of the registers of the processing elements; scratchpads are banks of them."""
    if not windows:
        return []
    pads, trees, elements = array.row_stationary, array.broadcast, array.elements
    if pads is not None:
        named = (("input", pads.input_words), ("weight", pads.weight_words), ("sum", pads.sum_words))
        return [(f"{name} scratchpad", pads.word_bits, words * elements) for name, words in named]
    operand, total = _operand_bits(windows), _sum_bits(windows)
    if trees is not None:
        return [("operand", operand, 3 * elements), ("sum", total, trees.stripe * array.columns)]
    twice = array.overlapped_folds
    preloaded = systolic_dataflow(array.systolic).preloaded
    operands, sums = 2 + (twice and preloaded), 1 + (twice and not preloaded)
    return [("operand", operand, operands * elements), ("sum", total, sums * elements)]


def _operand_bits(windows: list[LayerTrace]) -> int:
    return max(cast("int", layer.operand_bits) for layer in windows)


def _sum_bits(windows: list[LayerTrace]) -> int:
    return max(map(sum_bits, windows))
