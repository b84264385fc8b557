"""addersim report: simulate and price networks, and write the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from addersim.cli import options
from addersim.cli.complete import completes
from addersim.cli.count import counted
from addersim.cli.output import print_json, print_table, say, say_page
from addersim.cli.simulate import simulated
from addersim.errors import ConfigError
from addersim.format_quantity import how_many
from addersim.inputs.limits import BITS
from addersim.tabular import percent, show

if TYPE_CHECKING:
    from addersim.arithmetic.multiplier import MultiplierTable
    from addersim.frontends.scalesim.topology import Topology
    from addersim.network import Network
    from addersim.program import Program
    from addersim.quantization.rules import Quantization
    from addersim.results.result import Result

NO_IMAGES = "none: operations, words and cycles follow from the shapes alone"
NO_WEIGHTS = "none: a topology has no weights; operations, words and cycles follow from its shapes"


def run(
    networks: Annotated[
        list[str],
        typer.Argument(
            metavar="NETWORK...",
            help="Bundled names, saved files, architectures, or SCALE-Sim's topologies.",
            autocompletion=completes("networks", "architectures"),
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the page and the tables.")] = Path("report"),
    data: options.Data = None,
    root: options.Root = None,
    resize: options.Resize = False,
    limit: options.Limit = None,
    bits: Annotated[
        list[int] | None,
        options.whole(
            BITS, "--bits", help="Width of weights and activations; repeatable: all networks at all widths; by default 8."
        ),
    ] = None,
    weight_bits: options.WeightBits = None,
    activation_bits: options.ActivationBits = None,
    layer: options.LayerBits = None,
    ends: options.Ends = None,
    accumulator: options.AccumulatorText = None,
    datapath: options.Datapath = None,
    circuit: options.Circuit = None,
    multiplier: options.Multiplier = None,
    twin: options.Twin = False,
    clip_weights: options.ClipWeights = None,
    zero_points: options.ZeroPoints = None,
    calibration: options.Calibration = None,
    correction: options.Correction = None,
    rules: options.Rules = None,
    accelerator: options.AcceleratorName = "systolic-16x16",
    table: options.Table = "horowitz-45nm",
    figures: options.Figures = None,
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """Simulate networks and estimate their energy, side by side; write a page, CSV tables and JSON.

    Without images (--data none, or a network that takes others than the package has) the page has no accuracies.
    """
    from addersim.datasets.find import NO_DATA
    from addersim.model_zoo import load
    from addersim.processes.result_folders import check_kind, held
    from addersim.storage import check_writable

    options.check_figures(figures)
    check_writable(output)
    check_kind(output, "report")
    chosen = options.datapaths(datapath, circuit)
    widths: Sequence[int | None] = bits or [None]
    rules_of = {
        width: options.quantization(
            width,
            weight_bits,
            activation_bits,
            layer,
            accumulator,
            rules,
            ends_bits=ends,
            circuit=options.adder_circuit(chosen),
            clip_weights=clip_weights,
            zero_points=zero_points,
            calibration=calibration,
            correction=correction,
        )
        for width in widths
    }
    loaded = {name: load(name, countable=True) for name in networks}  # all of them before the first hour of work
    if len(loaded) < len(networks):
        raise ConfigError(f"report: found {networks[0]} twice; give each network once")
    loaded = options.with_twins(loaded) if twin else loaded
    for one, how in product(loaded.values(), rules_of.values()):
        options.check_quantised(one, how)
    asked = [
        (name, width, path)
        for name, one in loaded.items()
        for width in rules_of
        for path in options.runs_in_turn(one, chosen, twin)
    ]
    if chosen:
        options.check_used(
            chosen, [counted(loaded[name], rules_of[width], [path] if path else chosen) for name, width, path in asked]
        )
    tables = options.multipliers(multiplier)
    told = _names({name: one.name for name, one in loaded.items()}, asked)
    results = []
    with held(output, "report"):
        for name, (key, width, path) in zip(told, asked, strict=True):
            shown = NO_DATA if key.endswith(options.TWIN) else data
            paths = [path] if path else chosen
            found = result_of(
                loaded[key], rules_of[width], shown, root, limit, accelerator, table, threads, tables, paths, resize
            )
            results.append(replace(found, name=name))
        finish(results, output, "addersim report", json, figures)


def _names(own: Mapping[str, str], asked: Sequence[tuple[str, int | None, str]]) -> list[str]:
    """Names of designs: the network's own, and after it what differs between them."""
    apart = len(set(own.values())) == len(own)
    several = len({width for _, width, _ in asked}) > 1
    return [
        ", ".join(filter(None, (own[name] if apart else name, f"{width} bit" if several else "", path)))
        for name, width, path in asked
    ]


def result_of(
    network: Network | Program | Topology,
    how: Quantization,
    data: str | None,
    root: Path | None,
    limit: int | None,
    accelerator: str,
    table: str,
    threads: int | None = None,
    multipliers: Mapping[str, MultiplierTable] = MappingProxyType({}),
    datapaths: Sequence[str] = (),
    resize: bool = False,
) -> Result:
    """One network, simulated and priced; or counted and priced, where there are no images or no weights."""
    from addersim.datasets.find import NO_DATA, default_data
    from addersim.frontends.scalesim.topology import Topology
    from addersim.results.result import evaluate

    if isinstance(network, Topology) or data == NO_DATA or (data is None and default_data(network) == NO_DATA):
        about = {"images": NO_WEIGHTS} if isinstance(network, Topology) else {**network.metadata, "images": NO_IMAGES}
        trace = counted(network, how, datapaths, multipliers)
        return evaluate(trace, accelerator, table, name=network.name, notes=about)
    program, simulation, test, calibrated = simulated(
        network, how, data, root, limit, multipliers, threads=threads, resize=resize
    )
    notes = {**program.metadata, "data": test.images.name, "calibration": calibrated}
    return evaluate(
        simulation.trace,
        accelerator,
        table,
        name=program.name,
        simulation=simulation,
        program=program,
        notes=notes,
    )


def finish(results: Sequence[Result], output: Path, title: str, json: bool, figures: Path | None = None) -> None:
    """Write the page and print what is in it."""
    from addersim import __version__
    from addersim.report import write_report

    first = results[0]
    ran = next((result for result in results if result.simulation), None)
    images = (
        f"{how_many(ran.simulation.images, 'test images')} of {ran.notes['data']}" if ran and ran.simulation else NO_IMAGES
    )
    about = {
        "images": images,
        "accelerator": f"{first.cost.accelerator} at {show(first.cost.clock_mhz)} MHz",
        "energy table": first.cost.table,
        "made by": f"addersim {__version__}",
    }
    page = write_report(results, output, title=title, about=about, figures=figures)
    if json:
        print_json({"page": str(page), "results": [result.to_dict() for result in results]})
        return
    rows = [_row(result, simulated=ran is not None) for result in results]
    print_table(f"one image on {about['accelerator']}, prices of {first.cost.table}", rows)
    say()
    shapes, without = (
        [result.name for result in results if not result.simulation and (result.notes.get("images") == NO_WEIGHTS) is one]
        for one in (True, False)
    )
    if shapes:
        say(f"no accuracy of {'; '.join(shapes)}: a topology has no weights")
    if without:
        say(f"no accuracy of {'; '.join(without)}: no images ran; --data takes a set (addersim list data) or your own")
    for result in results:
        for one in result.simulation.warnings if result.simulation else ():
            say(f"warning: {result.name}: {one}")
    say_page(page, figures, "report")


def _row(result: Result, simulated: bool) -> dict[str, Any]:
    """One line of the table; `simulated`: whether any of the results was, so that all have the same columns."""
    simulation, cost, operations = result.simulation, result.cost, result.trace.operations
    shares = ("accuracy_float", "accuracy", "agreement")
    found = [percent(getattr(simulation, share)) if simulation else "" for share in shares]
    ran = {"images": simulation.images if simulation else 0} | dict(
        zip(("float", "fixed point", "agreement"), found, strict=True)
    )
    return {
        "network": result.name,
        **(ran if simulated else {}),
        "taps": result.trace.taps,
        "mul": operations.total("mul"),
        "add + sub": operations.total("add") + operations.total("sub"),
        "array nJ": cost.energy_by_component().get("array", 0.0) / cost.batch / 1e3,
        "energy nJ": cost.energy_pj_per_image / 1e3,
        "cycles": cost.cycles,
        "latency ms": cost.latency_ms,
    }
