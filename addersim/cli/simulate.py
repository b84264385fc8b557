"""addersim simulate: run a network bit for bit on images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from addersim.cli import options
from addersim.cli.output import alone_on_output, print_json, print_table, progress, say
from addersim.tabular import percent

if TYPE_CHECKING:
    from addersim.network import Network
    from addersim.program import Program
    from addersim.quantization.rules import Quantization
    from addersim.simulation import Simulation


def run(
    network: options.Network_,
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
    weight_rounding: options.WeightRounding = None,
    correction: options.Correction = None,
    rules: options.Rules = None,
    save_program: Annotated[Path | None, typer.Option(help="Also save the quantised program to this .npz file.")] = None,
    reference: Annotated[
        bool, typer.Option(help="Run the numpy reference kernels, slowly, instead of the compiled kernels.")
    ] = False,
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """Run a network bit for bit as fixed-point hardware would, and compare it with float."""
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
        weight_rounding=weight_rounding,
        correction=correction,
    )
    alone = alone_on_output(save_program, json=json)
    found = load_network_or_program(network)
    options.check_computed(options.datapaths(datapath), [found], how)
    program, result, calibrated = simulated(found, how, data, root, limit, reference=reference, threads=threads)
    if save_program:
        program.save(save_program)
    if alone:
        return
    if json:
        print_json(result.to_dict() | {"data": data, "calibration": calibrated})
    else:
        _print(result)


def simulated(
    network: Network | Program,
    how: Quantization,
    data: str,
    root: Path | None,
    limit: int | None,
    *,
    reference: bool = False,
    threads: int | None = None,
) -> tuple[Program, Simulation, str]:
    """Quantise and simulate; the program, what was found, and what the program was calibrated on."""
    from addersim import kernels
    from addersim.kernels import reference as twins
    from addersim.simulation import simulate

    _ = network.outputs  # a network without scores is refused before images are read
    images = options.load_images(data, root, "test", limit)
    floats, program, calibrated = options.prepare(network, how, data, root)
    with progress(len(images), f"simulating {program.name}") as advance:
        result = simulate(
            program,
            images.pixels,
            images.labels,
            floats,
            engine=twins if reference else kernels,
            threads=threads,
            progress=advance,
        )
    return program, result, calibrated


def _print(result: Simulation) -> None:
    errors = {error.name: error.relative_error for error in result.errors}
    rows = []
    for layer in result.trace.layers:
        seen = layer.observed
        rows.append(
            {
                "layer": layer.name,
                "kind": layer.datapath or layer.kind,
                "format": layer.output_format,
                "minimum": seen.minimum if seen else "",
                "maximum": seen.maximum if seen else "",
                "overflowed": seen.overflowed if seen else "",
                "bits needed": seen.bits_needed if seen else "",
                "relative error": f"{errors[layer.name]:.4f}" if layer.name in errors else "",
            }
        )
    print_table(f"{result.network}: {result.images:,} images, bit for bit", rows)
    facts = {
        "preprocessing": result.preprocessing,
        "input": f"{result.input}, {percent(result.input_clipped)} of its values clipped",
        "float accuracy": percent(result.accuracy_float),
        "fixed-point accuracy": percent(result.accuracy),
        "agreement": percent(result.agreement),
        "first departure": _departure(result),
    }
    say()
    for name, value in facts.items():
        say(f"{name:22}{value}".rstrip())
    for warning in result.warnings:
        say(f"warning: {warning}")


def _departure(result: Simulation) -> str:
    if not result.errors:
        return "not compared: there is no float network"
    if result.departure is None:
        worst = max(result.errors, key=lambda error: error.relative_error)
        beyond = f"none beyond {100 * result.threshold:g} %"
        return f"{beyond}; the largest relative error is {100 * worst.relative_error:.1f} %, at {worst.name}"
    return f"layer {result.departure.name}, relative error {100 * result.departure.relative_error:.1f} %"
