"""addersim estimate: energy and latency of a network on an accelerator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast, get_args

import typer

from addersim.cli import options
from addersim.cli.count import counted, parameters
from addersim.cli.folding import Fold, common, folded
from addersim.cli.output import alone_on_output, print_json, print_table, say, say_fact, write_like_scalesim
from addersim.cli.silicon import print_area, print_notes, print_packing, print_priced, print_rules, show_range
from addersim.cli.simulate import simulated
from addersim.cli.sizes import Sizes, sized
from addersim.errors import ConfigError
from addersim.inputs.limits import IMAGES
from addersim.tabular import show

if TYPE_CHECKING:
    from addersim.arithmetic.multiplier import MultiplierTable
    from addersim.frontends.scalesim.topology import Topology
    from addersim.hardware.accelerator import Objective
    from addersim.hardware.area import Area
    from addersim.hardware.cost import Compat, Cost
    from addersim.hardware.layer_cost import LayerCost
    from addersim.hardware.prices.table import EnergyTable
    from addersim.network import Network
    from addersim.program import Program
    from addersim.quantization.rules import Quantization
    from addersim.trace import Trace

ACTIVITY_IMAGES = 100
"""Images that are run for zeros and toggles where nobody says how many: 2,000 change no tap of LeNet-5 by a per cent."""


def run(
    network: options.Countable,
    accelerator: options.AcceleratorName = "systolic-16x16",
    table: options.Tables = "horowitz-45nm",
    node: options.NodeNm = None,
    area_budget: options.AreaBudget = None,
    pes: options.Elements = None,
    throughput: options.Throughput = None,
    size_for: options.SizeFor = "latency",
    area_table: options.AreaTable = "aladdin-cacti-45nm",
    own_clock: options.OwnClock = False,
    batch: options.Batch = None,
    bits: options.Bits = None,
    weight_bits: options.WeightBits = None,
    activation_bits: options.ActivationBits = None,
    layer: options.LayerBits = None,
    ends: options.Ends = None,
    accumulator: options.AccumulatorText = None,
    datapath: options.Datapath = None,
    circuit: options.Circuit = None,
    multiplier: options.Multiplier = None,
    objective: Annotated[
        str | None,
        typer.Option(help="What the tiling of each layer minimises: energy (default), latency, dram, energy-delay."),
    ] = None,
    activity: Annotated[
        bool,
        typer.Option("--activity", help="Run images first: zeros and toggles price the array, under tables of elements."),
    ] = False,
    data: options.Data = None,
    root: options.Root = None,
    limit: Annotated[int | None, options.whole(IMAGES, "--limit", help="Images that --activity runs; 100 by default.")] = None,
    compat: Annotated[str | None, typer.Option(help="scalesim: what SCALE-Sim prints, without energy.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write one row a layer to this CSV file.")] = None,
    compute_report: Annotated[Path | None, typer.Option(help="Also write SCALE-Sim's COMPUTE_REPORT columns here.")] = None,
    depth: options.Depth = None,
    top: options.Top = None,
    json: options.Json = False,
) -> None:
    """Estimate energy and latency on an accelerator."""
    from addersim.hardware.area import estimate_area
    from addersim.hardware.estimate import estimate
    from addersim.hardware.load import load_accelerator
    from addersim.hardware.prices.csv_file import load_table
    from addersim.hardware.scalesim.compute_report import REPORT_COLUMNS
    from addersim.hardware.scalesim.compute_report import compute_report as report_rows
    from addersim.hardware.table_range import estimate_range
    from addersim.model_zoo import load
    from addersim.storage import write_rows

    for option, given in (("--depth", depth), ("--top", top), ("--node", node)):
        if compat and given is not None:
            raise ConfigError(f"{option}: changes nothing in what --compat {compat} prints; leave one of them out")
    chosen = options.datapaths(datapath, circuit)
    circuits = options.adder_circuit(chosen)
    rules = options.quantization(bits, weight_bits, activation_bits, layer, accumulator, circuit=circuits, ends_bits=ends)
    found = load(network, countable=True)
    tables = options.multipliers(multiplier)
    ran = _Ran(data, root, limit, activity)
    ran.check()
    trace = ran.trace(found, rules, tables, accelerator) if activity else counted(found, rules, chosen, tables)
    options.check_used(chosen, [trace])
    aim = cast("Objective | None", objective)  # a wrong name, of compat too, is refused by estimate
    asked = Sizes(area_budget, pes, throughput, size_for, area_table, own_clock)
    machine = sized(asked, trace, load_accelerator(accelerator), table, batch, aim)
    area = estimate_area(trace, machine, area_table)
    if table == "all":
        if compute_report or compat:
            raise ConfigError(f"--{'compat' if compat else 'compute-report'}: needs one energy table; found --table all")
        show_range(estimate_range(trace, machine, None, batch, aim, node), area, csv, json)
        return
    prices = _at_node(load_table(table), node)
    cost = estimate(trace, machine, prices, batch, aim, cast("Compat | None", compat))
    alone = alone_on_output(csv, compute_report, json=json)
    if csv:
        write_rows(csv, cost.to_rows())
    if compute_report:
        write_like_scalesim(compute_report, REPORT_COLUMNS, report_rows(trace, cost, machine))
    if alone:
        return
    if json:
        print_json(cost.to_dict() | {"area": area.to_dict()})
        return
    if cost.compat:
        print_table(
            f"{cost.network} on {cost.accelerator} as SCALE-Sim prints it",
            [_scalesim_row(layer) for layer in cost.layers if layer.taps],
        )
        print_notes(cost)
        return
    _print(trace, cost, area, parameters(found), depth, top)


class _Ran(NamedTuple):
    """What `--activity` runs: images, of which its limit."""

    data: str | None
    root: Path | None
    limit: int | None
    asked: bool

    def check(self) -> None:
        """Refuse images that nothing runs."""
        if not self.asked and (self.data, self.root, self.limit) != (None, None, None):
            raise ConfigError("--data, --root and --limit: say which images --activity runs; give it too")

    def trace(
        self,
        network: Network | Program | Topology,
        rules: Quantization,
        multipliers: Mapping[str, MultiplierTable],
        accelerator: str,
    ) -> Trace:
        """The trace of a simulation, with toggles in the order of a machine."""
        from addersim.frontends.scalesim.topology import Topology
        from addersim.hardware.activity import measure_activity, with_activity
        from addersim.hardware.load import load_accelerator
        from addersim.hardware.tap_order import tap_order

        if isinstance(network, Topology):
            raise ConfigError("--activity: a SCALE-Sim topology has no weights, and nothing to run; name a network")
        machine = load_accelerator(accelerator)
        tap_order(machine)  # what cannot be measured is refused before images are read
        limit = ACTIVITY_IMAGES if self.limit is None else self.limit
        program, result, test, _ = simulated(network, rules, self.data, self.root, limit, multipliers)
        return with_activity(result.trace, measure_activity(program, test.images.pixels, machine))


def _print(trace: Trace, cost: Cost, area: Area, parameters: int | None, depth: int | None, top: int | None) -> None:
    """What it takes in a few lines, then layer by layer, then what must be known of the figures."""
    from addersim.hardware.layer_cost import Component
    from addersim.results.reasons import reasons
    from addersim.results.result import Result

    images = "one image" if cost.batch == 1 else f"{cost.batch} images"
    say(f"{cost.network} on {cost.accelerator}, {images}, prices of {cost.table}")
    say_fact("energy", f"{show(cost.energy_pj / 1e6)} uJ")
    if cost.cold_start:
        say_fact(
            "cold start", f"{show(cost.cold_start.energy_pj / 1e6)} uJ, once: {cost.cold_start.of_weights}, which then stay"
        )
    say_fact("latency", f"{show(cost.latency_ms)} ms at {show(cost.clock_mhz)} MHz")
    say_fact("throughput", f"{show(cost.images_per_second)} images/s")
    totals = trace.totals(parameters)
    say_fact("taps", ", ".join(f"{number:,} {name}" for name, number in totals.macs.items()) or "none")
    if totals.parameters is not None:
        say_fact("parameters", f"{totals.parameters:,}")
    say_fact("weights", f"{totals.weight_bytes:,} bytes")
    say_fact("activations", f"{totals.activation_bytes:,} bytes, at most {totals.largest_live_bytes:,} at a time")
    print_area(area)
    for why in reasons(Result(trace.name, trace, cost)):
        say(f"why: {why}")
    spent = cost.energy_by_component()
    components = [name for name in get_args(Component) if name in spent or name in ("array", "vector", "buffer", "dram")]
    rows = [_row(one, cost, components) for one in folded(cost.layers, attrgetter("name"), _weight, depth, top)]
    rows.append(
        {"layer": "total", "kind": "", "cycles": cost.cycles, "set by": "", "utilisation": f"{100 * cost.utilisation:.0f} %"}
        | _energies([cost], components)
    )
    say()
    print_table("layer by layer", rows, total=True)
    say()
    print_priced(cost)
    print_packing(trace)
    print_rules(cost, area)


def _at_node(table: EnergyTable, node_nm: float | None) -> EnergyTable:
    from addersim.hardware.prices.scaling import scale_table

    return table if node_nm is None else scale_table(table, node_nm)


def _scalesim_row(layer: LayerCost) -> dict[str, Any]:
    return {
        "layer": layer.name,
        "total cycles": layer.cycles,
        "overall util %": 100 * layer.utilisation,
        "mapping efficiency %": 100 * layer.mapping_efficiency,
        "SRAM ifmap reads": layer.words("buffer", "input"),
        "SRAM filter reads": layer.words("buffer", "weight"),
        "SRAM ofmap writes": layer.words("buffer", "output"),
    }


def _weight(layer: LayerCost) -> float:
    return layer.energy_pj or layer.cycles


def _row(fold: Fold[LayerCost], cost: Cost, components: Sequence[str]) -> dict[str, Any]:
    from addersim.hardware.layer_cost import utilisation

    cycles = sum(layer.cycles for layer in fold.layers)
    one = fold.layers[0].utilisation if len(fold.layers) == 1 else None
    busy = utilisation(sum(layer.taps for layer in fold.layers), cycles, cost.elements) if one is None else one
    bounds = [layer.bound for layer in fold.layers if layer.cycles] or [fold.layers[0].bound]
    return {
        "layer": fold.title,
        "kind": common([layer.datapath or layer.kind for layer in fold.layers]),
        "cycles": cycles,
        "set by": common(bounds, "several"),
        "utilisation": f"{100 * busy:.0f} %" if cycles else "",
    } | _energies(fold.layers, components)


def _energies(costs: Sequence[Cost | LayerCost], components: Sequence[str]) -> dict[str, Any]:
    parts = [one.energy_by_component() for one in costs]
    columns = {f"{name} nJ": sum(one.get(name, 0.0) for one in parts) / 1e3 for name in components}
    return columns | {"energy nJ": sum(one.energy_pj for one in costs) / 1e3}
