"""addersim characterise: processing elements of a library as rows of an energy table, or in an FPGA's fabric."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from addersim.cli import options
from addersim.cli.output import alone_on_output, print_json, print_table, progress, say, say_file
from addersim.errors import ConfigError
from addersim.format_quantity import how_many
from addersim.inputs.limits import BITS, GATE_STEPS, SEED, THREADS

if TYPE_CHECKING:
    from addersim.hardware.gates.element_table import Job, Row
    from addersim.hardware.gates.fabric import FabricUse
    from addersim.program import Program


def run(
    out: Annotated[
        Path, typer.Option("--output", "--out", "-o", help="The energy table; rows of an earlier run that are in it stay.")
    ],
    library: Annotated[
        Path | None, typer.Argument(metavar="[LIBERTY]", help="A Liberty file: .lib, .lib.gz or .lib.xz.", show_default=False)
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(metavar="xc7|ice40|ecp5", help="An FPGA family instead: look-up tables, registers, multipliers."),
    ] = None,
    datapath: Annotated[list[str] | None, typer.Option("--datapath", help="Only this datapath; repeatable.")] = None,
    bits: Annotated[str | None, typer.Option(metavar="2,4,8", help="Widths; 2 to 16 by default.")] = None,
    memories: Annotated[
        str | None, typer.Option(metavar="TABLE", help="Take memories, wires and DRAM from this table, as they are.")
    ] = None,
    network: Annotated[
        str | None, typer.Option("--network", help="Also drive its layers' elements with their own operands, at each width.")
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option("--layer", help="With --target: this layer of --network, its weights constants of the fabric."),
    ] = None,
    data: options.Data = None,
    root: options.Root = None,
    steps: Annotated[int, options.whole(GATE_STEPS, "--steps", help="Length of each stream of operands.")] = 2048,
    seed: Annotated[int, options.whole(SEED, "--seed", help="Of the operands.")] = 1,
    node_nm: Annotated[float | None, options.number("--node-nm", help="Technology, where the name does not tell it.")] = None,
    hide: Annotated[str | None, typer.Option(help="Regular expression of cells that are not to be used.")] = None,
    threads: Annotated[int, options.whole(THREADS, "--threads", help="Circuits at once.")] = 2,
    json: options.Json = False,
) -> None:
    """Measure energy, delay, area and leakage of processing elements, made of the gates of a cell library, as an energy table.

    With --target it is what they take of an FPGA's fabric, before placing.
    """
    from addersim.hardware.gates.element_table import characterise, element_jobs, operator_jobs
    from addersim.hardware.gates.liberty import load_library
    from addersim.hardware.gates.table_file import GrowingTable

    widths = _widths(bits)
    if library is None or target is not None:
        if target is None or library is not None:
            raise ConfigError("characterise: give a Liberty file, or --target and an FPGA family; one of them")
        used = _layer_use(target, network, layer, widths if bits else [8], data, root, out)
        _print_fabric(used or _elements_use(target, datapath, widths, out, threads), target, out, json)
        return
    if layer is not None:
        raise ConfigError("--layer: a layer's weights are constants in an FPGA's fabric; give --target too")
    if network is None and (data is not None or root is not None):
        raise ConfigError("--data and --root: say what drives the layers of --network; give both")
    jobs: list[Job] = [*element_jobs(datapath, widths if bits else None)]
    jobs += _own_layers(network, widths, data, root, steps, seed) if network else []
    jobs += operator_jobs() if datapath is None else []
    alone = alone_on_output(out, json=json)
    cells = load_library(library, hide)
    table = GrowingTable.open(out, memories)
    with progress(len(jobs), "circuits") as advance:
        done = 0

        def finished(job: Job, row: Row | None) -> None:
            nonlocal done
            done += 1
            table.add(row)
            advance(done)

        rows = characterise(
            cells, jobs, out.absolute().parent, steps=steps, seed=seed, threads=threads, node_nm=node_nm, done=table.rows,
            finished=finished,
        )  # fmt: skip
    table.finish()
    if alone:
        return
    if json:
        print_json({"library": cells.name, "sha256": cells.sha256, "rows": rows, "kept": len(jobs) - len(rows)})
        return
    shown = [_shown(row) for row in rows if row["component"] != "integer"]
    if shown:
        print_table(f"{cells.name}, {len(cells.cells)} cells, {cells.voltage_v:g} V", shown, lead=2)
    if len(rows) < len(jobs):
        say(f"{how_many(len(jobs) - len(rows), 'rows')} of an earlier run are kept")
    say_file("energy table", out)


def _elements_use(target: str, datapaths: list[str] | None, widths: list[int], out: Path, threads: int) -> list[FabricUse]:
    """What elements take of an FPGA."""
    from dataclasses import replace

    from addersim.hardware.gates.element_table import element_jobs
    from addersim.hardware.gates.fabric import OWN_MULTIPLIER, elements_in_fabric
    from addersim.hardware.prices.row import SCRATCHPADS, SIGNED

    beside = {SIGNED, SCRATCHPADS}
    elements = [job.element for job in element_jobs(datapaths, widths) if not beside & set(job.element.device.split())]
    elements += [replace(one, style=OWN_MULTIPLIER) for one in elements if one.datapath == "mac" and not one.style]
    with progress(len(elements), "circuits") as advance:
        return elements_in_fabric(elements, target, out.absolute().parent, threads=threads, finished=advance)


def _layer_use(
    target: str, network: str | None, layer: str | None, widths: list[int], data: str | None, root: Path | None, out: Path
) -> list[FabricUse]:
    """What a layer takes of an FPGA whose weights are constants, at each width; nothing where no layer is asked for."""
    from addersim.hardware.gates.fabric import layer_in_fabric
    from addersim.layers import IntegerWindow

    if (network is None) != (layer is None):
        raise ConfigError("characterise --target: --network and --layer come together: a layer with its weights as constants")
    if network is None:
        return []
    found = []
    with progress(len(widths), "circuits") as advance:
        for place, program in enumerate(_at_widths(network, widths, data, root)):
            windows = {one.name: one for one in program.layers if isinstance(one, IntegerWindow)}
            if layer not in windows:
                raise ConfigError(f"{network}: no window layer {layer!r}; it has {', '.join(windows)}")
            found.append(layer_in_fabric(windows[layer], target, out.absolute().parent))
            advance(place + 1)
    return found


def _print_fabric(used: list[FabricUse], target: str, out: Path, json: bool) -> None:
    """As a table and a file."""
    from dataclasses import asdict

    from addersim.storage import write_rows

    rows = [asdict(one) for one in used]
    write_rows(out, rows)
    if alone_on_output(out, json=json):
        return
    if json:
        print_json({"target": target, "elements": rows})
        return
    shown = [{"element": f"{one.datapath} {one.style}".strip(), "bits": one.bits, "LUTs": one.luts, "carries": one.carries,
              "flip-flops": one.flip_flops, "multipliers": one.multipliers} for one in used]  # fmt: skip
    print_table(f"elements in {target}, before placing", shown, lead=2)
    say_file("table", out)


def _widths(text: str | None) -> list[int]:
    if text is None:
        return list(range(BITS.least, BITS.most + 1))
    return list(dict.fromkeys(BITS.read(one, "--bits") for one in text.split(",")))


def _at_widths(network: str, widths: list[int], data: str | None, root: Path | None) -> Iterator[Program]:
    """A network quantised at each of some widths; a program as it is."""
    from addersim.cli.simulate import calibrated_program
    from addersim.model_zoo import load_network_or_program
    from addersim.network import Network

    found = load_network_or_program(network)
    if not isinstance(found, Network) and len(widths) > 1:
        raise ConfigError(f"{network}: has its own formats; give one width with --bits")
    for width in widths:
        yield calibrated_program(found, options.quantization(width, None, None, None, None), data, root)[0]


def _own_layers(network: str, widths: list[int], data: str | None, root: Path | None, steps: int, seed: int) -> list[Job]:
    """A job for every window layer of a network, at each width."""
    from addersim.datasets.find import find_images
    from addersim.hardware.gates.element_operands import Element, layer_operands
    from addersim.hardware.gates.element_table import LayerJob
    from addersim.hardware.prices.elements import element_bits
    from addersim.model_zoo import load_network_or_program

    jobs: list[Job] = []
    programs = _at_widths(network, widths, data, root)
    images = find_images(data, root, load_network_or_program(network), "test", 8).images.pixels[:8]
    for program in programs:
        traced = {layer.name: layer for layer in program.trace().layers}
        for layer, operands in layer_operands(program, images, steps, seed):
            name = layer.name
            jobs.append(LayerJob(program.name, name, Element.of_layer(layer), element_bits(traced[name]), operands))
    return jobs


def _shown(row: Row) -> dict[str, object]:
    return {
        "element": f"{row['op']} {row['device']}".strip(),
        "bits": int(row["bits"]),
        "pJ a tap": float(row["energy_pj"]),
        "less by zeros": row.get("zero_pj", ""),
        "um2": row.get("area_um2", ""),
        "ns": float(row["delay_ns"]),
        "leakage uW": row.get("leakage_uw", ""),
    }
