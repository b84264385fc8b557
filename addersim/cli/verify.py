"""addersim verify: a module of one's own beside a layer of the simulator, word for word."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from addersim.cli import options
from addersim.cli.export import vectors_of
from addersim.cli.output import print_json, say, say_fact
from addersim.cli.simulate import calibrated_program


def run(
    files: Annotated[list[Path], typer.Argument(metavar="RTL.v", help="Verilog of the module and of all that it needs.")],
    top: Annotated[str, typer.Option(help="The module, a processing element; its ports: docs/rtl.md.")],
    network: Annotated[str, typer.Option(help="The network or program that has the layer.")],
    layer: Annotated[str, typer.Option(help="The window layer whose sums it computes.")],
    data: options.Data = None,
    root: options.Root = None,
    bits: options.Bits = None,
    accumulator: options.AccumulatorText = None,
    datapath: options.Datapath = None,
    zero_points: options.ZeroPoints = None,
    rules: options.Rules = None,
    json: options.Json = False,
) -> None:
    """Run a processing element of your own on the words of a layer, compiled, and report the first wrong sum.

    Ends with status 1 where a sum is wrong. Needs yosys (pip install 'addersim[gates]') and a C++ compiler.
    """
    from addersim.golden.verify import verify_element
    from addersim.model_zoo import load_network_or_program
    from addersim.rtl.probe import read_verilog
    from addersim.rtl.tools import compiler, find_yosys

    find_yosys(headers=True)  # what is missing is told before anything is calibrated
    compiler()
    verilog = read_verilog(files)
    chosen = options.datapaths(datapath)
    found = load_network_or_program(network)
    how = options.quantization(
        bits, accumulator=accumulator, rules=rules, zero_points=zero_points, circuit=options.adder_circuit(chosen)
    )
    options.check_quantised(found, how)
    options.check_computed(chosen, [found], how)
    program, calibrated, _ = calibrated_program(found, how, data, root)
    words = vectors_of(program, layer, data, root)
    result = verify_element(verilog, top, words)
    if json:
        print_json(asdict(result) | {"calibration": calibrated})
    else:
        say(f"{top}: layer {layer} of {program.name}", 0)
        say_fact("sums", f"{result.sums:,} of {result.of_sums:,}, {result.taps:,} taps")
        say_fact("wrong", f"{result.wrong:,}")
        if result.first:
            say_fact("first wrong", result.first)
        say_fact("operands", words.element.words)
        say_fact("calibration", calibrated)
    if result.wrong:
        raise typer.Exit(1)
