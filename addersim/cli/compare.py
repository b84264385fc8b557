"""addersim compare: designs side by side, their ratios, and what these are due to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_args

import typer

from addersim.cli import options
from addersim.cli.complete import completes
from addersim.cli.count import counted
from addersim.cli.options import TWIN
from addersim.cli.output import print_json, print_table, progress, say, say_file, say_page
from addersim.cli.sizes import Sizes, sized
from addersim.errors import ConfigError
from addersim.inputs.limits import BITS, repeated
from addersim.tabular import show

if TYPE_CHECKING:
    from addersim.results.comparison import Comparison
    from addersim.results.contrast import Contrast
    from addersim.results.result import Result
    from addersim.trace import Trace

ACCELERATOR, TABLE, WIDTH = "systolic-16x16", "horowitz-45nm", 8
CAUSES = 5


class Design(NamedTuple):
    """What the user asked for, as text."""

    network: str
    accelerator: str
    table: str
    bits: int
    datapath: str = ""
    """Of a topology's layers, where it runs on several in turn; a network's layers run on all that are chosen."""


def run(
    designs: Annotated[
        list[str],
        typer.Argument(
            metavar="NETWORK[@ACCELERATOR[@TABLE]]...",
            autocompletion=completes("networks", "architectures"),
            help="Networks as in estimate, each on an accelerator and table of its own where they follow after @. The first "
            "design is what the others are measured by.",
        ),
    ],
    accelerator: Annotated[
        list[str] | None,
        typer.Option(
            "--accelerator",
            help="For networks without their own; repeatable: every network runs on every accelerator.",
            show_default=ACCELERATOR,
            autocompletion=completes("accelerators"),
        ),
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option("--table", help="Energy table, in the same way.", show_default=TABLE, autocompletion=completes("tables")),
    ] = None,
    bits: Annotated[
        list[int] | None,
        options.whole(
            BITS, "--bits", help="Width of weights and activations; repeatable: every design at every width.", show_default="8"
        ),
    ] = None,
    area_budget: options.AreaBudget = None,
    pes: options.Elements = None,
    throughput: options.Throughput = None,
    size_for: options.SizeFor = "latency",
    area_table: options.AreaTable = "aladdin-cacti-45nm",
    own_clock: options.OwnClock = False,
    batch: options.Batch = None,
    layer: options.LayerBits = None,
    ends: options.Ends = None,
    accumulator: options.AccumulatorText = None,
    datapath: options.Datapath = None,
    circuit: options.Circuit = None,
    multiplier: options.Multiplier = None,
    twin: options.Twin = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also write the page and its tables here.")] = None,
    figures: options.Figures = None,
    json: options.Json = False,
) -> None:
    """Compare designs: energy, latency and area side by side, the ratios, and what they are due to."""
    from addersim.hardware.load import load_accelerator
    from addersim.hardware.prices.csv_file import load_table
    from addersim.model_zoo import load
    from addersim.processes.result_folders import held
    from addersim.results.comparison import compare
    from addersim.results.result import evaluate

    options.check_figures(figures)
    chosen = options.datapaths(datapath, circuit)
    asked = _designs(designs, accelerator or [ACCELERATOR], table or [TABLE], bits or [WIDTH])
    if any(one.table == "all" for one in asked):
        raise ConfigError(
            "--table: found all; a comparison takes tables by their names, several with commas; the range of one network: "
            "addersim estimate NETWORK --table all"
        )
    loaded = {name: load(name, countable=True) for name in dict.fromkeys(one.network for one in asked)}
    if twin:
        loaded = options.with_twins(loaded)
        asked = [one._replace(network=name) for one in asked for name in (one.network, one.network + TWIN) if name in loaded]
    asked = [one._replace(datapath=path) for one in asked for path in options.runs_in_turn(loaded[one.network], chosen, twin)]
    machines = {one.accelerator: load_accelerator(one.accelerator) for one in asked}
    prices = {one.table: load_table(one.table) for one in asked}
    circuits = options.adder_circuit(chosen)
    tables = options.multipliers(multiplier)
    traces = {
        (name, width, path): counted(
            loaded[name],
            options.quantization(width, None, None, layer, accumulator, circuit=circuits, ends_bits=ends),
            [path] if path else chosen,
            tables,
        )
        for name, width, path in dict.fromkeys((one.network, one.bits, one.datapath) for one in asked)
    }
    options.check_used(chosen, traces.values())
    sizes = Sizes(area_budget, pes, throughput, size_for, area_table, own_clock)
    with held(output, "report"):
        results = []
        with progress(len(asked), "pricing designs") as advance:  # each under every table: seconds for a deep network
            for one, name in zip(asked, _names(asked, traces), strict=True):
                trace, prices_of = traces[one.network, one.bits, one.datapath], prices[one.table]
                machine = sized(sizes, trace, machines[one.accelerator], prices_of, batch)
                results.append(evaluate(trace, machine, prices_of, batch, name=name, area_table=area_table))
                advance(len(results))
        found = compare(results)
        page = _write(found, output, figures)
    if json:
        print_json(found.to_dict() | ({"page": str(page)} if page else {}))
        return
    _print(found)
    if page:
        say()
        say_page(page, figures, "report")
    elif figures:
        say_file("figures", figures)


def _designs(texts: Sequence[str], accelerators: Sequence[str], tables: Sequence[str], widths: Sequence[int]) -> list[Design]:
    """Every network on every accelerator, table and width, those of its own first."""
    found = []
    for text in texts:
        network, *own = text.split("@")
        if not network or len(own) > 2 or "" in own:
            raise ConfigError(f"design {text!r}: expected NETWORK[@ACCELERATOR[@TABLE]], such as lenet5-adder@systolic-32x32")
        on, by = own[:1] or accelerators, own[1:] or tables
        found += [Design(network, *rest) for rest in product(on, by, widths)]
    if again := repeated(found):
        twice = again[0]
        raise ConfigError(
            f"design {twice.network}@{twice.accelerator}@{twice.table} at {twice.bits} bits: given twice; give each once"
        )
    return found


def _names(asked: Sequence[Design], traces: dict[tuple[str, int, str], Trace]) -> list[str]:
    """The network's own name, and after it what differs between the designs."""
    own = {network: trace.name for (network, *_), trace in traces.items()}
    apart = len(set(own.values())) == len(own)
    parts = [
        [
            own[one.network] if apart else one.network,
            Path(one.accelerator).stem,
            Path(one.table).stem,
            f"{one.bits} bit",
            one.datapath,
        ]
        for one in asked
    ]
    told = [0, *(place for place in range(1, 5) if len({design[place] for design in parts}) > 1)]
    return [", ".join(design[place] for place in told if design[place]) for design in parts]


def _write(found: Comparison, folder: Path | None, figures: Path | None) -> Path | None:
    """The page where a folder is named, and its figures as files where one is."""
    if folder is None and figures is None:
        return None
    from addersim import __version__
    from addersim.report import Frames, report_page, write_figures, write_report

    names = [result.name for result in found.results]
    designs = dict.fromkeys(f"{one.cost.network} on {one.cost.accelerator}, {one.cost.table}" for one in found.results)
    about = {
        "designs": "; ".join(designs),
        "what ran": "nothing: operations, words and cycles follow from the shapes alone",
        "made by": f"addersim {__version__}",
    }
    title = " against ".join(names) if len(names) < 3 else f"{names[0]} against {len(names) - 1} other designs"
    if folder is not None:
        return write_report(found.results, folder, title=title, about=about, figures=figures)
    if figures is not None:
        write_figures(report_page(found.results, Frames.of(found.results), title, about).parts, figures)
    return None


def _print(found: Comparison) -> None:
    from addersim.results.comparison_text import headline
    from addersim.results.reasons import differing_reason, reasons_told

    results, contrasts = found.results, found.contrasts
    cells = [_cells(result, contrast) for result, contrast in zip(results, (None, *contrasts), strict=True)]
    rows = [
        {"one image": label} | {one.name: texts[label] for one, texts in zip(results, cells, strict=True)}
        for label in cells[0]
    ]
    rows = [row for row in rows if any(list(row.values())[1:])]
    print_table(f"{results[0].name} and what is compared with it", rows)
    say()
    for contrast in contrasts:
        say(headline(contrast.first, contrast.result))
        if causes := contrast.causes():
            more = f", and {len(causes) - CAUSES} more" if len(causes) > CAUSES else ""
            listed = ", ".join(map(str, causes[:CAUSES]))
            say(f"  due to: {listed}{more}")
        if unequal := differing_reason(contrast.first, contrast.result):
            say(f"  {unequal}")
    if not contrasts:
        say(headline(results[0]))
    for words, names in reasons_told(results).items():
        say(f"why: {words}" if len(names) == len(results) else f"why: {', '.join(names)}: {words}")


def _cells(result: Result, contrast: Contrast | None) -> dict[str, Any]:
    """What stands in a design's column, by the row's label."""
    from addersim.hardware.layer_cost import Component
    from addersim.results.contrast import COMPONENTS

    cost, area = result.cost, result.area
    known = {"energy": contrast.energy_ratio, "time": contrast.time_ratio, "area": contrast.area_ratio} if contrast else {}
    ratios = {what: "" if known.get(what) is None else f", {known[what]:.3g} x" for what in ("energy", "time", "area")}
    parts = {name: energy / cost.batch for name, energy in cost.energy_by_component().items()}
    cells = {
        "accelerator": cost.accelerator,
        "energy table": cost.table,
        "energy": f"{show(cost.energy_pj_per_image / 1e6)} uJ{ratios['energy']}",
    }
    cells |= {
        f"  {COMPONENTS[name]}": f"{show(parts[name] / 1e6)} uJ" if name in parts else "" for name in get_args(Component)
    }
    ends = [energy / 1e6 for energy in result.energies_by_table().values()]
    cold = cost.cold_start
    return cells | {
        "cold start": f"{show(cold.energy_pj / 1e6)} uJ, {cold.of_weights}" if cold else "",
        "energy, all tables": f"{show(min(ends))} to {show(max(ends))} uJ",
        "time": f"{show(cost.latency_ms / cost.batch)} ms{ratios['time']}" if cost.cycles else "",
        "  set by": ", ".join(f"{COMPONENTS[bound]} {100 * share:.0f} %" for bound, share in cost.time_by_bound().items()),
        "  utilisation": f"{100 * cost.utilisation:.0f} %",
        "area": f"{show(area.area_mm2)} mm2{ratios['area']}" if area and area.parts else "",
        "processing elements": f"{cost.elements:,}",
    }
