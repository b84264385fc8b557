"""addersim report: simulate and price networks, and write the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from addersim.cli import options
from addersim.cli.output import print_json, print_table, say
from addersim.cli.simulate import simulated
from addersim.tabular import percent, show

if TYPE_CHECKING:
    from addersim.network import Network
    from addersim.program import Program
    from addersim.quantization.rules import Quantization
    from addersim.results.result import Result


def run(
    networks: Annotated[list[str], typer.Argument(metavar="NETWORK...", help="Bundled names, saved files or architectures.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the page and the tables.")] = Path("report"),
    data: options.Data = "fashion-mnist-2000",
    root: options.Root = None,
    limit: options.Limit = None,
    bits: options.Bits = None,
    weight_bits: options.WeightBits = None,
    activation_bits: options.ActivationBits = None,
    layer: options.LayerBits = None,
    ends: options.Ends = None,
    accumulator: options.AccumulatorText = None,
    datapath: options.Datapath = None,
    circuit: options.Circuit = None,
    clip_weights: options.ClipWeights = None,
    calibration: options.Calibration = None,
    correction: options.Correction = None,
    rules: options.Rules = None,
    accelerator: options.AcceleratorName = "systolic-16x16",
    table: options.Table = "horowitz-45nm",
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """Simulate and price networks side by side; write a page, CSV tables and JSON."""
    from addersim.model_zoo import load_network_or_program

    how = options.quantization(
        bits,
        weight_bits,
        activation_bits,
        layer,
        accumulator,
        rules,
        ends_bits=ends,
        circuit=options.adder_circuit(options.datapaths(datapath, circuit)),
        clip_weights=clip_weights,
        calibration=calibration,
        correction=correction,
    )
    loaded = [load_network_or_program(name) for name in networks]  # all of them before the first hour of work
    options.check_computed(options.datapaths(datapath), loaded, how)
    results = [result_of(network, how, data, root, limit, accelerator, table, threads) for network in loaded]
    finish(results, output, "addersim report", json)


def result_of(
    network: Network | Program,
    how: Quantization,
    data: str,
    root: Path | None,
    limit: int | None,
    accelerator: str,
    table: str,
    threads: int | None = None,
) -> Result:
    """One network, simulated and priced."""
    from addersim.results.result import evaluate

    program, simulation, calibrated = simulated(network, how, data, root, limit, threads=threads)
    notes = {**program.metadata, "data": data, "calibration": calibrated}
    return evaluate(
        simulation.trace,
        accelerator,
        table,
        name=program.name,
        simulation=simulation,
        program=program,
        notes=notes,
    )


def finish(results: Sequence[Result], output: Path, title: str, json: bool) -> None:
    """Write the page and print what is in it."""
    from addersim import __version__
    from addersim.report import write_report

    first = results[0]
    about = {
        "images": f"{first.simulation.images:,} test images of {first.notes['data']}" if first.simulation else "",
        "accelerator": f"{first.cost.accelerator} at {show(first.cost.clock_mhz)} MHz",
        "energy table": first.cost.table,
        "made by": f"addersim {__version__}",
    }
    page = write_report(results, output, title=title, about=about)
    if json:
        print_json({"page": str(page), "results": [result.to_dict() for result in results]})
        return
    print_table(f"one image on {about['accelerator']}, prices of {first.cost.table}", [_row(result) for result in results])
    say()
    say(f"report: {page}")


def _row(result: Result) -> dict[str, Any]:
    simulation, cost, operations = result.simulation, result.cost, result.trace.operations
    if simulation is None:
        return {"network": result.name}
    return {
        "network": result.name,
        "images": simulation.images,
        "float": percent(simulation.accuracy_float),
        "fixed point": percent(simulation.accuracy),
        "agreement": percent(simulation.agreement),
        "taps": result.trace.taps,
        "mul": operations.total("mul"),
        "add + sub": operations.total("add") + operations.total("sub"),
        "array nJ": cost.energy_by_component().get("array", 0.0) / cost.batch / 1e3,
        "energy nJ": cost.energy_pj_per_image / 1e3,
        "cycles": cost.cycles,
        "latency ms": cost.latency_ms,
    }
