"""addersim simulate: run a network bit for bit on images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from addersim.cli import options
from addersim.cli.activity import activity_machine, print_activity
from addersim.cli.folding import Fold, common, folded
from addersim.cli.output import alone_on_output, print_json, print_table, progress, say, say_fact
from addersim.format_quantity import how_many
from addersim.tabular import percent

if TYPE_CHECKING:
    from addersim.arithmetic.multiplier import MultiplierTable
    from addersim.datasets.own import FoundImages
    from addersim.datasets.records import Images
    from addersim.hardware.accelerator import Accelerator
    from addersim.hardware.activity import LayerActivity
    from addersim.network import Network
    from addersim.program import Program
    from addersim.quantization.rules import Quantization
    from addersim.simulation import Simulation
    from addersim.trace import LayerTrace

MOST_CLASSES = 5
"""Classes that are named where there are no labels."""


def run(
    network: options.Network_,
    data: options.Data = None,
    root: options.Root = None,
    resize: options.Resize = False,
    limit: options.Limit = None,
    bits: options.Bits = None,
    weight_bits: options.WeightBits = None,
    activation_bits: options.ActivationBits = None,
    layer: options.LayerBits = None,
    ends: options.Ends = None,
    accumulator: options.AccumulatorText = None,
    datapath: options.Datapath = None,
    circuit: options.Circuit = None,
    multiplier: options.Multiplier = None,
    rounding: options.Rounding = None,
    clip_weights: options.ClipWeights = None,
    zero_points: options.ZeroPoints = None,
    calibration: options.Calibration = None,
    weight_rounding: options.WeightRounding = None,
    correction: options.Correction = None,
    rules: options.Rules = None,
    save_program: Annotated[Path | None, typer.Option(help="Also save the quantised program to this .npz file.")] = None,
    reference: Annotated[bool, typer.Option("--reference", help="The same as --engine reference.")] = False,
    engine: Annotated[
        str | None,
        typer.Option(help="What runs the layers: kernels, reference (numpy, slow), rtl (Verilog; needs yosys)."),
    ] = None,
    threads: options.Threads = None,
    depth: options.Depth = None,
    top: options.Top = None,
    activity: Annotated[
        bool, typer.Option("--activity", help="Also measure zeros and toggles of the layers' operands.")
    ] = False,
    accelerator: Annotated[
        str | None, typer.Option(help="In whose elements' order; systolic-16x16 by default. With --activity.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Run a network bit for bit as fixed-point hardware would, and compare it with float."""
    from addersim.arithmetic.requantisation import requantisation_rule
    from addersim.model_zoo import load_network_or_program

    machine = activity_machine(activity, accelerator)
    chosen = options.datapaths(datapath, circuit)
    how = options.quantization(
        bits,
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
        weight_rounding=weight_rounding,
        correction=correction,
    )
    runs = _chosen_engine(reference, engine)
    if rounding is not None:
        requantisation_rule(rounding)  # a name that is none is refused before images are read
    alone = alone_on_output(save_program, json=json)
    found = load_network_or_program(network)
    options.check_quantised(found, how)
    options.check_computed(chosen, [found], how)
    program, result, test, calibrated = simulated(
        found,
        how,
        data,
        root,
        limit,
        options.multipliers(multiplier),
        rounding=rounding,
        engine=runs,
        threads=threads,
        resize=resize,
    )
    if save_program:
        program.save(save_program)
    if alone:
        return
    measured = _measured(program, test.images, machine) if machine is not None else ()
    if json:
        more: dict[str, Any] = {} if result.accuracy is not None else {"predictions": _predictions(result, test.images)}
        told = {"data": test.images.name, "calibration": calibrated, "multipliers": _multipliers(result)}
        more |= {"activity": [one.to_dict() for one in measured]} if machine is not None else {}
        print_json(result.to_dict() | told | more)
        return
    _print(result, test, calibrated, depth, top)
    if machine is not None:
        print_activity(measured, machine)


def _chosen_engine(reference: bool, name: str | None) -> str:
    """The name of an option; two that disagree, and one that cannot run here, are refused."""
    from addersim.engines import find_engine
    from addersim.errors import ConfigError

    if reference and name not in (None, "reference"):
        raise ConfigError(f"--reference and --engine {name}: give one of them")
    chosen = name or ("reference" if reference else "kernels")
    find_engine(chosen)
    return chosen


def calibrated_program(
    network: Network | Program, how: Quantization, data: str | None, root: Path | None, resize: bool = False
) -> tuple[Program, str, tuple[str, ...]]:
    """The program of a network, on which images it was calibrated, and what is to be said of them."""
    from addersim.datasets.find import CALIBRATION_IMAGES, find_images
    from addersim.network import Network
    from addersim.quantization.pipeline import quantize

    if not isinstance(network, Network):
        return network, "as saved", ()
    chosen = find_images(data, root, network, "train", CALIBRATION_IMAGES, resize)
    return quantize(network, chosen.images.pixels, how), chosen.words, chosen.warnings


def simulated(
    network: Network | Program,
    how: Quantization,
    data: str | None,
    root: Path | None,
    limit: int | None,
    multipliers: Mapping[str, MultiplierTable] = MappingProxyType({}),
    *,
    rounding: str | None = None,
    engine: str = "kernels",
    threads: int | None = None,
    resize: bool = False,
) -> tuple[Program, Simulation, FoundImages, str]:
    """Quantise and simulate; the program, what was found, on which images, and on which it was calibrated."""
    from addersim.datasets.find import find_images
    from addersim.network import Network
    from addersim.simulation import simulate

    _ = network.outputs  # a network without scores is refused before images are read
    test = find_images(data, root, network, "test", limit, resize)
    program, calibrated, warned = calibrated_program(network, how, data, root, resize)
    images, warned = test.images, tuple(dict.fromkeys((*test.warnings, *warned)))
    floats = network if isinstance(network, Network) else None
    program = options.with_multipliers(program, multipliers)
    if rounding is not None:
        program = program.with_rounding(rounding)
    with progress(len(images), f"simulating {program.name}") as advance:
        result = simulate(
            program,
            images.pixels,
            images.labels,
            floats,
            engine=engine,
            threads=threads,
            progress=advance,
        )
    return program, replace(result, warnings=(*result.warnings, *warned)), test, calibrated


def _measured(program: Program, images: Images, machine: Accelerator) -> tuple[LayerActivity, ...]:
    from addersim.hardware.activity import measure_activity

    return measure_activity(program, images.pixels, machine)


def _predictions(result: Simulation, images: Images) -> dict[str, int]:
    """How often each class was chosen, the most frequent first: what there is to see without labels."""
    import numpy as np

    found = np.bincount(result.predictions, minlength=len(images.classes))
    return {images.classes[place]: int(found[place]) for place in np.argsort(-found, kind="stable") if found[place]}


def _print(result: Simulation, test: FoundImages, calibrated: str, depth: int | None, top: int | None) -> None:
    errors = {error.name: error.relative_error for error in result.errors}
    facts = {
        "images": test.words,
        "calibration": calibrated,
        "preprocessing": result.preprocessing,
        "multiplier": "; ".join(f"{name} in {', '.join(layers)}" for name, layers in _multipliers(result).items()),
        "input": f"{result.input}, {percent(result.input_clipped)} of its values clipped",
        "float accuracy": percent(result.accuracy_float),
        "fixed-point accuracy": percent(result.accuracy) or "not known: the images have no labels",
        "predictions": "" if result.accuracy is not None else _most_frequent(_predictions(result, test.images)),
        "agreement": percent(result.agreement),
        "first departure": _departure(result),
    }
    say(f"{result.network}: {how_many(result.images, 'images')}, bit for bit")
    for name, value in facts.items():
        if value:
            say_fact(name, value)
    for warning in result.warnings:
        say(f"warning: {warning}")
    say()
    rows = folded(result.trace.layers, attrgetter("name"), lambda layer: errors.get(layer.name, 0.0), depth, top)
    print_table("layers", [_row(one, errors) for one in rows])


def _row(fold: Fold[LayerTrace], errors: Mapping[str, float]) -> dict[str, Any]:
    """What was seen in a layer; of several the extremes, and the largest error."""
    seen = [layer.observed for layer in fold.layers if layer.observed]
    apart = [errors[layer.name] for layer in fold.layers if layer.name in errors]
    return {
        "layer": fold.title,
        "kind": common([layer.datapath or layer.kind for layer in fold.layers]),
        "format": common([layer.output_format for layer in fold.layers]),
        "minimum": min((one.minimum for one in seen), default=""),
        "maximum": max((one.maximum for one in seen), default=""),
        "overflowed": sum(one.overflowed for one in seen) if seen else "",
        "bits needed": max((one.bits_needed for one in seen), default=""),
        "error": f"{max(apart):.4f}" if apart else "",
    }


def _multipliers(result: Simulation) -> dict[str, list[str]]:
    """Layers by the name of the table that multiplies in them."""
    found: dict[str, list[str]] = {}
    for layer in result.trace.layers:
        if layer.multiplier is not None:
            found.setdefault(layer.multiplier.name, []).append(layer.name)
    return found


def _most_frequent(found: Mapping[str, int]) -> str:
    listed = ", ".join(f"{name} {number:,} times" for name, number in list(found.items())[:MOST_CLASSES])
    return listed + (f", {len(found) - MOST_CLASSES} more classes" if len(found) > MOST_CLASSES else "")


def _departure(result: Simulation) -> str:
    if not result.errors:
        return "not compared: there is no float network"
    if result.departure is None:
        worst = max(result.errors, key=lambda error: error.relative_error)
        beyond = f"none beyond {100 * result.threshold:g} %"
        return f"{beyond}; the largest relative error is {100 * worst.relative_error:.1f} %, at {worst.name}"
    return f"layer {result.departure.name}, relative error {100 * result.departure.relative_error:.1f} %"
