"""A library characterised: rows of an energy table for processing elements, operations, and a network's own layers.

What is done is a list of jobs, each a circuit that is synthesised, checked and driven; finished rows are kept whatever comes
after, and a job whose row is there already, of the same library, tools and seed, is not done again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.errors import ConfigError, HardwareError
from addersim.hardware.gates.cells import Library
from addersim.hardware.gates.characterise import Circuit, Fit, fit_elements
from addersim.hardware.gates.element_operands import Element, Operands
from addersim.hardware.gates.operators import OPERATORS, operator_module, operator_row, operator_verilog
from addersim.hardware.gates.synthesis import RECIPE, Workshop, workshop
from addersim.hardware.prices.elements import row_of_layer
from addersim.hardware.prices.row import OF_TOGGLES, REGISTERS, EnergyRow
from addersim.inputs.text import did_you_mean
from addersim.rtl.sources import sources_text

__all__ = [
    "OPERATOR_BITS", "ElementJob", "Job", "LayerJob", "OperatorJob", "Row", "characterise", "element_jobs",
    "node_of", "operator_jobs", "rule_rows",
]  # fmt: skip

Row = dict[str, str | float]

OPERATOR_BITS = (8, 16, 32)
"""Widths of single operations that are characterised; between them rules hold."""
_NODES = {
    "sg13g2": 130.0,
    "sky130": 130.0,
    "gf180mcu": 180.0,
    "osu018": 180.0,
    "nangate": 45.0,
    "freepdk45": 45.0,
    "asap7": 7.0,
}
"""Nodes in nm that names of libraries tell; the files do not say them."""
MOST_NM = 10_000
"""Largest node: that of the first microprocessors."""
_MULTIPLIERS: Mapping[str, tuple[str, ...]] = {"mac": ("", "booth")}
"""Styles of the datapaths that have several."""
_BY_SIGN = ("mac",)
"""Datapaths with rows for inputs that have a sign: bits above a small number change together there, which costs a multiplier
less than as many that change apart. Of adders unsigned rows were as near (lenet5's first layer: 2 % against 7 %)."""


ROW_BITS = (2, 4, 6, 8, 12, 16)
"""Widths at which elements of row stationary arrays are characterised unless others are asked for: lines stand between."""


class ElementJob(NamedTuple):
    """A processing element of a width."""

    element: Element

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Component, operation, device and bits of its row."""
        return "pe", self.element.datapath, self.element.device, str(self.element.input_bits)

    def row(self, shop: Workshop, library: Library, steps: int, seed: int) -> Row:
        """Its row."""
        circuit = _circuit(self.element, shop, library)
        return _figures(circuit, fit_elements(circuit, steps, seed))


class LayerJob(NamedTuple):
    """The element of a layer, with operands of the layer's own."""

    network: str
    layer: str
    element: Element
    bits: int
    operands: Operands

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Component, operation, device and bits of its row."""
        return "layer", row_of_layer(self.network, self.layer, self.element.datapath), "", str(self.bits)

    def row(self, shop: Workshop, library: Library, steps: int, seed: int) -> Row:
        """Its row: one energy, for the operands' zeros are in it."""
        circuit = _circuit(self.element, shop, library)
        energy, lanes = circuit.energy(self.operands), self.element.lanes
        return _size(circuit) | {
            "energy_pj": energy.total_pj / lanes,
            "idle_pj": energy.clock_pj / lanes,
            "accumulator_bits": self.element.accumulator_bits,
        }


class OperatorJob(NamedTuple):
    """An operation of the vector unit."""

    op: str
    bits: int

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Component, operation, device and bits of its row."""
        return "integer", self.op, "", str(self.bits)

    def row(self, shop: Workshop, library: Library, steps: int, seed: int) -> Row:
        """Its row."""
        module = shop.netlist(operator_module(self.op), {"BITS": self.bits})
        return {**operator_row(self.op, self.bits, module, library, steps, seed)}


Job = ElementJob | LayerJob | OperatorJob


def element_jobs(datapaths: Sequence[str] | None = None, bits: Sequence[int] | None = None) -> list[ElementJob]:
    """Elements of some datapaths, of all that the package has in Verilog where none are named, at some widths.

    A width for which a datapath has no weights is left out; binary layers have one. Multipliers come without and with a sign
    of their inputs. All come as systolic arrays have them, and as row stationary ones do; where no widths are named, at 2 to
    16 bits, and at `ROW_BITS`.
    """
    named = [name for name, one in DATAPATHS.items() if one.arithmetic.name != "table"]
    jobs = []
    for name in named if datapaths is None else datapaths:
        if name not in named:
            raise ConfigError(
                f"datapath {name!r}: there is no element of it in Verilog; known: {', '.join(named)}"
                + did_you_mean(name, named)
            )
        record = DATAPATHS[name].arithmetic
        signs = (False, True) if name in _BY_SIGN else (False,)
        for scratchpads, every in ((False, bits or tuple(range(2, 17))), (True, bits or ROW_BITS)):
            widths = [1] if record.activation_bits == 1 else [one for one in every if one >= record.codec.fewest]
            jobs += [
                ElementJob(Element.of_width(name, one, style, signed=signed, scratchpads=scratchpads))
                for style in _MULTIPLIERS.get(name, ("",))
                for signed in signs
                for one in widths
            ]
    return jobs


def operator_jobs() -> list[OperatorJob]:
    """The operations of the vector unit."""
    return [OperatorJob(op, bits) for op in OPERATORS for bits in OPERATOR_BITS]


@dataclass(frozen=True, slots=True)
class _Origin:
    """What all rows of one run have in common."""

    library: Library
    node_nm: float
    source: str

    def row(self, job: Job, figures: Row) -> Row:
        component, op, device, bits = job.key
        _check_figures(figures, f"library {self.library.name}: {op} of {bits} bits")
        contains = "dynamic" if component == "integer" else f"dynamic + clock + {REGISTERS}"
        return (
            {
                "component": component,
                "op": op,
                "bits": bits,
                "capacity_kib": "",
                "energy_pj": "",
                "unit": "pJ",
                "node_nm": f"{self.node_nm:g}",
                "voltage_v": f"{self.library.voltage_v:g}",
                "rule": "exact",
                "device": device,
                "temperature_k": f"{self.library.temperature_c + 273.15:g}",
                "contains": contains,
            }
            | {key: float(f"{value:.5g}") for key, value in figures.items()}
            | {"source": self.source}
        )


def characterise(
    library: Library,
    jobs: Sequence[Job],
    folder: Path,
    *,
    steps: int = 2048,
    seed: int = 1,
    threads: int = 2,
    node_nm: float | None = None,
    done: Sequence[EnergyRow] = (),
    finished: Callable[[Job, Row | None], None] | None = None,
) -> list[Row]:
    """Rows of an energy table, one a job, in the order of the jobs.

    Parameters
    ----------
    library
        What circuits are made of.
    jobs
        What is characterised.
    folder
        Where yosys may work; what it writes there is removed.
    steps, seed
        Length of each stream of operands, and the seed that they are drawn with.
    threads
        Circuits that are worked on at once.
    node_nm
        Technology, where the library's name does not tell it.
    done
        Rows of an earlier run: those of the same origin are taken as they are, and are not given again.
    finished
        Called with every job that is done, and its row; with None in its place where the row was there.

    Raises
    ------
    ConfigError, HardwareError
        No yosys, no node, or a netlist that computes something else.
    """
    sources = sources_text() | operator_verilog()
    node = node_of(library.name) if node_nm is None else _node(node_nm)
    with ExitStack() as stack, ThreadPoolExecutor(threads) as pool:
        shops: SimpleQueue[Workshop] = SimpleQueue()
        made = [stack.enter_context(workshop(library, sources, folder)) for _ in range(threads)]
        for one in made:
            shops.put(one)
        origin = _Origin(library, node, _source(library, made[0].version, steps, seed))
        known = {_key_of(row) for row in done if row.source == origin.source}

        def work(job: Job) -> Row:
            shop = shops.get()
            try:
                return origin.row(job, job.row(shop, library, steps, seed))
            finally:
                shops.put(shop)

        return list(_in_order(jobs, known, pool, work, finished))


def _in_order(
    jobs: Sequence[Job],
    known: set[tuple[str, str, str, str]],
    pool: ThreadPoolExecutor,
    work: Callable[[Job], Row],
    finished: Callable[[Job, Row | None], None] | None,
) -> Iterator[Row]:
    """Rows of the jobs that are not known, as they come; what is not begun when one fails is not begun at all."""
    waiting = [(job, None if job.key in known else pool.submit(work, job)) for job in jobs]
    try:
        for job, future in waiting:
            row = None if future is None else future.result()
            if finished is not None:
                finished(job, row)
            if row is not None:
                yield row
    finally:
        for _, future in waiting:
            if future is not None:
                future.cancel()


def node_of(name: str) -> float:
    """The node of a library by its name. Raises ConfigError where the name is not known."""
    found = next((node for word, node in _NODES.items() if word in name.lower()), None)
    if found is None:
        raise ConfigError(f"library {name!r}: its node is not known; give --node-nm, such as --node-nm 65")
    return found


def _node(found: float) -> float:
    if not 0 < found <= MOST_NM:
        raise ConfigError(f"--node-nm: found {found:g}, needs a number above 0 to {MOST_NM:,}")
    return found


def rule_rows(rows: Sequence[Row], bits: tuple[int, int] = (2, 16), operator_bits: tuple[int, int] = (1, 64)) -> list[Row]:
    """Rules between the widths of exact rows: straight lines for elements, and power laws for operations, positive ever."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((str(row["component"]), str(row["op"]), str(row["device"])), []).append(row)
    found = []
    for (component, _, _), alike in groups.items():
        if component not in ("pe", "integer") or len(alike) < 2:
            continue
        span = bits if component == "pe" else operator_bits
        if component == "pe" and {int(row["bits"]) for row in alike} >= set(range(span[0], span[1] + 1)):
            continue
        rule, how = ("linear", "a straight line") if component == "pe" else ("power", "a power law")
        kept = ("component", "op", "unit", "node_nm", "voltage_v", "device", "temperature_k", "contains")
        words: Row = {
            "bits": f"{span[0]}..{span[1]}",
            "rule": rule,
            "source": f"chosen: {how} through the nearest two widths that were run",
        }
        found.append({key: alike[0][key] for key in kept} | words)
    return found


def _check_figures(figures: Row, where: str) -> None:
    """Refuse what no circuit takes: tables whose numbers are each in range may still tell it."""
    for column, value in figures.items():
        if not 0 <= float(value) < math.inf:
            raise HardwareError(f"{where}: {column} comes out as {float(value):g}; the library's tables cannot be right")


def _circuit(element: Element, shop: Workshop, library: Library) -> Circuit:
    return Circuit.of(element, shop.netlist(element.module, element.parameters), library)


def _size(circuit: Circuit) -> Row:
    return {**circuit.netlist.size(circuit.element.lanes), "delay_ns": circuit.timing.delay_ns}


def _figures(circuit: Circuit, fit: Fit) -> Row:
    """An element's columns. A bit more of the accumulator is taken to cost what its registers' clock does, the mean of all.

    An element between scratchpads has two registers a bit: of the sum that comes, and of the one that goes.
    """
    registers = len(circuit.netlist.flops) / circuit.element.lanes
    of_sum = 2 if circuit.element.scratchpads else 1
    return _size(circuit) | {
        "energy_pj": fit.energy_pj,
        "zero_pj": fit.zero_pj,
        "idle_pj": fit.idle_pj,
        "accumulator_pj": of_sum * fit.idle_pj / registers / circuit.element.lanes,
        "accumulator_bits": circuit.element.accumulator_bits,
        "uniform_pj": fit.uniform_pj,
        "fit_error": fit.error,
        **dict(zip(OF_TOGGLES, fit.by_toggles, strict=False)),
        **({"toggle_error": fit.toggle_error} if fit.by_toggles else {}),
    }


def _source(library: Library, version: str, steps: int, seed: int) -> str:
    return (
        f"addersim characterise: {library.name} (sha256 {library.sha256[:16]}), {version} ({RECIPE}), streams of "
        f"{steps} steps of seed {seed}, free, held and short, wires: {library.wires.about}"
    )


def _key_of(row: EnergyRow) -> tuple[str, str, str, str]:
    return row.component, row.op, row.device, f"{row.bits[0]:g}" if row.bits else ""
