"""addersim search: per-layer bit widths of least energy within an accuracy floor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from addersim.cli import options
from addersim.cli.output import print_json, print_table, say, say_file, say_page, stages
from addersim.format_quantity import how_many
from addersim.inputs.limits import BITS, MEASURED_IMAGES, SEED, TRIALS, shown
from addersim.tabular import percent

if TYPE_CHECKING:
    from addersim.exploration.bit_search import BitSearch
    from addersim.hardware import Cost
    from addersim.trace import Trace


def run(
    network: options.Network_,
    out: Annotated[
        Path, typer.Option("--output", "--out", "-o", help="Folder of the results; a search that was stopped goes on there.")
    ],
    floor: Annotated[
        float, options.number("--floor", help="Points of accuracy (of 100) that may be lost against float.")
    ] = 1.0,
    bits: Annotated[str, typer.Option("--bits", help="Widths to choose from, separated by commas.")] = "3,4,5,6,8",
    trials: Annotated[int, options.whole(TRIALS, "--trials", help="Assignments to try after the sensitivity scan.")] = 50,
    seed: Annotated[int, options.whole(SEED, "--seed", help="Seed of the sampler.")] = 0,
    images: Annotated[
        int,
        options.whole(
            MEASURED_IMAGES, "--images", help="Training images; the first 256 (at most half) calibrate, the others measure."
        ),
    ] = 2256,
    data: options.Data = None,
    root: options.Root = None,
    resize: options.Resize = False,
    accelerator: options.AcceleratorName = "systolic-16x16",
    table: options.Table = "horowitz-45nm",
    ends: options.Ends = None,
    accumulator: options.AccumulatorText = None,
    datapath: options.Datapath = None,
    circuit: options.Circuit = None,
    multiplier: Annotated[
        str | None,
        typer.Option("--multiplier", metavar="FILE", help="Products of all multiplying layers, from a table, as in simulate."),
    ] = None,
    calibration: options.Calibration = None,
    weight_rounding: options.WeightRounding = None,
    correction: options.Correction = None,
    rules: options.Rules = None,
    figures: options.Figures = None,
    json: options.Json = False,
) -> None:
    """Search per-layer bit widths that take the least energy within an accuracy floor."""
    from addersim.arithmetic.multiplier_files import load_multiplier
    from addersim.datasets.find import find_images
    from addersim.exploration.bit_search import search_bits
    from addersim.model_zoo import load_network
    from addersim.quantization.pipeline import quantize
    from addersim.simulation import count

    options.check_figures(figures)
    chosen = options.datapaths(datapath, circuit)
    how = options.quantization(
        accumulator=accumulator,
        rules=rules,
        ends_bits=ends,
        circuit=options.adder_circuit(chosen),
        calibration=calibration,
        weight_rounding=weight_rounding,
        correction=correction,
    )
    floats = load_network(network)
    options.check_computed(chosen, [floats], how)
    products = load_multiplier(multiplier) if multiplier else None
    own = find_images(data, root, floats, "train", images, resize)
    train = own.images
    train.needed_labels("a search")
    with stages() as advance:
        found = search_bits(
            floats,
            train,
            out,
            floor_points=floor,
            accelerator=accelerator,
            table=table,
            rules=how,
            bits=_widths(bits),
            trials=trials,
            seed=seed,
            progress=advance,
            multiplier=products,
        )
    page = _page(found, floats.name, out, train.name, (accelerator, table), figures)
    if json:
        print_json(_document(found) | {"page": str(page)})
        return
    _print(count(quantize(floats, None, found.rules, multiplier=products)), found, train.name, out, (accelerator, table))
    for warning in own.warnings:
        say(f"warning: {warning}")
    say_page(page, figures)


def _page(found: BitSearch, name: str, out: Path, data: str, hardware: tuple[str, str], figures: Path | None) -> Path:
    from dataclasses import asdict

    from addersim import __version__
    from addersim.report.search_page import SearchRows, write_search_page

    rows = SearchRows(
        name=name,
        best=asdict(found.best.measured),
        trials=[asdict(one.measured) for one in found.trials],
        uniform=[{"bits": bits} | asdict(one) for bits, one in found.uniform.items()],
        widths=_document(found)["layers"],
        scan=[{"layer": one.layer, "operand": one.operand, "bits": one.bits} | asdict(one.measured) for one in found.scan],
        floor_points=found.floor_points,
        accuracy_float=found.accuracy_float,
        images=found.measuring_images,
    )
    about = {
        "data": f"training images of {data}",
        "calibration": how_many(found.calibration_images, "images"),
        "accelerator": hardware[0],
        "energy table": hardware[1],
        "made by": f"addersim {__version__}",
    }
    return write_search_page(out, rows, about, figures)


def _widths(text: str) -> tuple[int, ...]:
    return tuple(BITS.read(one, f"--bits {shown(text)}") for one in text.split(","))


def _document(found: BitSearch) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "floor_points": found.floor_points,
        "accuracy_float": found.accuracy_float,
        "calibration_images": found.calibration_images,
        "measuring_images": found.measuring_images,
        "best": asdict(found.best.measured),
        "layers": [
            {"layer": name, "weight_bits": one.weight_bits, "activation_bits": one.activation_bits}
            for name, one in found.rules.layers.items()
        ],
        "uniform": {str(bits): asdict(one) for bits, one in found.uniform.items()},
        "trials": len(found.trials),
    }


def _print(trace: Trace, found: BitSearch, data: str, out: Path, hardware: tuple[str, str]) -> None:
    from addersim.hardware import estimate

    cost = estimate(trace, *hardware)
    shares = _shares(cost, list(found.rules.layers))
    rows = [
        {
            "layer": name,
            "weight bits": one.weight_bits,
            "activation bits": one.activation_bits,
            "energy": percent(shares[name]),
        }
        for name, one in found.rules.layers.items()
    ]
    floor = how_many(found.floor_points, "points")
    print_table(f"{trace.name}: widths of least energy, at most {floor} lost", rows)
    assignments = {f"{bits} bits": one for bits, one in sorted(found.uniform.items(), reverse=True)}
    assignments["search"] = found.best.measured
    measured = how_many(found.measuring_images, "images")
    say()
    print_table(
        f"on {measured} of {data} that calibrated nothing; float {percent(found.accuracy_float)}",
        [
            {
                "widths": name,
                "accuracy": percent(one.accuracy),
                "points lost": f"{one.loss_points:.2f}",
                "agreement": percent(one.agreement),
                "energy nJ": one.energy_pj / 1e3,
            }
            for name, one in assignments.items()
        ],
    )
    say()
    say_file("formats, for addersim simulate --formats", out / "formats.toml")
    say("beside it: trials.csv and scan.csv")


def _shares(cost: Cost, windows: list[str]) -> dict[str, float]:
    """Share of the energy by window, with all that stands between it and the next one."""
    found = dict.fromkeys(windows, 0.0)
    current = windows[0]
    for layer in cost.layers:
        current = layer.name if layer.name in found else current
        found[current] += layer.energy_pj / cost.energy_pj
    return found
