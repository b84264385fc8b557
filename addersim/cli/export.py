"""addersim export: a program becomes a file that other runtimes run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from addersim.cli import options
from addersim.cli.output import alone_on_output, print_json, say, say_fact
from addersim.cli.simulate import calibrated_program


def run(
    network: options.Network_,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, .onnx; - is standard output.")],
    onnx: Annotated[str, typer.Option("--onnx", metavar="STYLE", help="How ONNX says it: qdq, for onnxruntime.")] = "qdq",
    data: options.Data = None,
    root: options.Root = None,
    resize: options.Resize = False,
    bits: options.Bits = None,
    zero_points: options.ZeroPoints = None,
    rules: options.Rules = None,
    json: options.Json = False,
) -> None:
    """Write a quantised network of multiplying layers as ONNX, on the same codes: a saved program, or a network quantised now.

    onnxruntime gives the codes that addersim simulate --rounding ort gives.
    """
    from addersim.frontends.onnx.writing.export import checked_style, export_onnx
    from addersim.model_zoo import load_network_or_program

    checked_style(onnx)  # before anything is calibrated
    found = load_network_or_program(network)
    how = options.quantization(bits, rules=rules, zero_points=zero_points)
    options.check_quantised(found, how)
    program, calibrated, warned = calibrated_program(found, how, data, root, resize)
    export_onnx(program, output, style=onnx)
    if alone_on_output(output, json=json):
        return
    facts = {"file": str(output), "style": onnx, "layers": len(program.layers), "calibration": calibrated}
    if json:
        print_json({"network": program.name} | facts)
        return
    say(f"{program.name} -> {output}", 0)
    for name, value in facts.items():
        say_fact(name, str(value))
    for warning in dict.fromkeys(warned):
        say(f"warning: {warning}")
