"""addersim prove: accumulator widths that no input overflows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from addersim.cli import options
from addersim.cli.output import print_json, print_table, say, say_fact, say_file
from addersim.cli.simulate import calibrated_program


def run(
    network: options.Network_,
    data: options.Data = None,
    root: options.Root = None,
    resize: options.Resize = False,
    bits: options.Bits = None,
    weight_bits: options.WeightBits = None,
    activation_bits: options.ActivationBits = None,
    layer: options.LayerBits = None,
    ends: options.Ends = None,
    accumulator: options.AccumulatorText = None,
    datapath: options.Datapath = None,
    multiplier: options.Multiplier = None,
    clip_weights: options.ClipWeights = None,
    calibration: options.Calibration = None,
    weight_rounding: options.WeightRounding = None,
    correction: options.Correction = None,
    rules: options.Rules = None,
    reachable: Annotated[
        bool,
        typer.Option(
            "--reachable",
            help="Follow the codes that images can give through the layers: narrower widths, each a bound.",
        ),
    ] = False,
    witness: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for each layer's input patch that overflows one bit less, an .npz each."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Prove the least accumulator widths that no input overflows, and show the input that overflows one bit less."""
    from addersim.certificate.prove import prove
    from addersim.model_zoo import load_network_or_program

    chosen = options.datapaths(datapath)
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
        calibration=calibration,
        weight_rounding=weight_rounding,
        correction=correction,
    )
    found = load_network_or_program(network)
    options.check_quantised(found, how)
    options.check_computed(chosen, [found], how)
    program, calibrated, warnings = calibrated_program(found, how, data, root, resize)
    certificate = prove(options.with_multipliers(program, options.multipliers(multiplier)), reachable=reachable)
    if witness:
        certificate.save_witnesses(witness)
    if json:
        print_json(certificate.to_dict() | {"calibration": calibrated})
        return
    if certificate.layers:
        print_table(certificate.title, certificate.table())
        say()
    narrow = [one.name for one in certificate.layers if one.can_overflow]
    say_fact("registers", f"can overflow in {', '.join(narrow)}" if narrow else "hold every sum")
    say_fact("witnesses", f"{certificate.confirmed} confirmed by the kernels")
    say_fact("calibration", calibrated)
    if witness:
        say_file("written to", witness)
    for warning in warnings:
        say(f"warning: {warning}")
