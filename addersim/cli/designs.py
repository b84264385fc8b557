"""addersim designs: a network on every combination of values for some fields of an accelerator."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from addersim.cli import options
from addersim.cli.count import counted
from addersim.cli.output import alone_on_output, bars, print_json, print_table, say
from addersim.cli.vary import Vary, grid_of
from addersim.errors import ConfigError
from addersim.format_quantity import how_many
from addersim.inputs.limits import JOBS
from addersim.tabular import show

if TYPE_CHECKING:
    from addersim.hardware.accelerator import Objective
    from addersim.hardware.designs.design_costs import DesignCosts

MOST_ROWS = 40
"""Pareto-optimal designs that are printed; of more, as many evenly among them."""


def run(
    network: options.Countable,
    accelerator: options.AcceleratorName = "systolic-16x16",
    vary: Vary = None,
    grid: Annotated[
        Path | None, typer.Option(help="A TOML file of fields and lists: array.rows = [8, 16]; --vary adds to it.")
    ] = None,
    table: options.Table = "horowitz-45nm",
    batch: options.Batch = None,
    bits: options.Bits = None,
    weight_bits: options.WeightBits = None,
    activation_bits: options.ActivationBits = None,
    layer: options.LayerBits = None,
    ends: options.Ends = None,
    accumulator: options.AccumulatorText = None,
    datapath: options.Datapath = None,
    circuit: options.Circuit = None,
    objective: Annotated[str | None, typer.Option(help="As in addersim estimate; with energy designs run in batch.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write one row a design to this CSV file.")] = None,
    jobs: Annotated[int | None, options.whole(JOBS, "--jobs", help="Local processes; all processors by default.")] = None,
    json: options.Json = False,
) -> None:
    """Estimate a network on a grid of designs, all at once; the Pareto-optimal ones in energy and latency are printed."""
    from addersim.exploration.sweeps.designs import sweep_designs
    from addersim.hardware.designs.design_grid import grid_points
    from addersim.storage import write_rows

    chosen = options.datapaths(datapath, circuit)
    circuits = options.adder_circuit(chosen)
    rules = options.quantization(bits, weight_bits, activation_bits, layer, accumulator, circuit=circuits, ends_bits=ends)
    wanted = grid_of(vary, grid)
    if not wanted:
        raise ConfigError("designs: nothing varies; give --vary, such as --vary array.rows=8,16,32, or --grid FILE")
    trace = counted(network, rules, chosen)
    options.check_used(chosen, [trace])
    aim = cast("Objective | None", objective)  # a wrong name is refused by estimate_designs
    with bars() as shown:
        task = shown.add_task("designs", total=None)
        found = sweep_designs(
            trace, accelerator, wanted, table, batch, aim, jobs, lambda done, of: shown.update(task, completed=done, total=of)
        )
    points = list(grid_points(wanted))
    alone = alone_on_output(csv, json=json)
    if csv or json:
        numbered = enumerate(zip(points, found.to_rows(), strict=True), 1)
        rows = [{"design": number} | point | row for number, (point, row) in numbered]
    if csv:
        write_rows(csv, rows)
    if alone:
        return
    if json:
        print_json({"network": found.network, "table": found.table, "pareto": found.pareto() + 1, "designs": rows})
        return
    _print(found, points)


def _print(found: DesignCosts, points: list[dict[str, Any]]) -> None:
    best = found.pareto().tolist()
    step = max(1, -(-len(best) // MOST_ROWS))
    heads = _heads(points[0])
    rows = [
        {"design": place + 1}
        | {heads[field]: show(value) for field, value in points[place].items()}
        | {
            "energy nJ": float(found.energy_pj[place] / found.batches[place]) / 1e3,
            "latency ms": float(found.latency_ms[place]),
            "DRAM KiB": float(found.dram_bytes[place]) / 1024,
            "cold nJ": float(found.cold_start_pj[place]) / 1e3,
        }
        for place in best[::step]
    ]
    title = f"{found.network} on {how_many(len(points), 'designs')}, prices of {found.table}: {len(best):,} Pareto-optimal"
    if rows:
        print_table(title, rows, lead=1 + len(points[0]))
    say("Pareto-optimal: no other design takes less energy an image and is as fast, or is faster for as much")
    if found.cold_start_pj[best].any():
        say("cold nJ: what fetching the weights that then stay on chip takes, once; it is in no other figure")
    if found.errors:
        say(f"{how_many(len(found.errors), 'designs')} refused; the first: {found.errors[min(found.errors)]}")


def _heads(fields: Iterable[str]) -> dict[str, str]:
    """A heading for each field: the last of its names, unless two have the same."""
    last = {field: "+".join(path.rpartition(".")[2] for path in field.split("+")) for field in fields}
    known = [*last.values(), "design"]
    return {field: name if known.count(name) == 1 else field for field, name in last.items()}
