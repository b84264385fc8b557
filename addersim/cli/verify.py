"""addersim verify: a module of one's own beside a layer of the simulator, word for word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from addersim.cli import options
from addersim.cli.export import vectors_of
from addersim.cli.output import print_json, say, say_fact
from addersim.cli.simulate import calibrated_program
from addersim.errors import ConfigError

if TYPE_CHECKING:
    from addersim.golden.vectors import LayerVectors
    from addersim.quantization import Quantization


def run(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="RTL.v", help="Verilog of the module, of all that it needs, and files that it reads."),
    ],
    top: Annotated[str, typer.Option(help="The module, a processing element or a layer; its ports: docs/rtl.md.")],
    whole: Annotated[bool, typer.Option("--whole", help="It computes the whole layer: words in, sums out.")] = False,
    vectors: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Words that export --vectors wrote; or --network and --layer.")
    ] = None,
    network: Annotated[str | None, typer.Option(help="The network or program that has the layer.")] = None,
    layer: Annotated[str | None, typer.Option(help="The window layer whose sums it computes.")] = None,
    simulator: Annotated[
        str, typer.Option(help="compiled; or icarus, which sees unknown bits, or verilator, where installed.")
    ] = "compiled",
    data: options.Data = None,
    root: options.Root = None,
    bits: options.Bits = None,
    accumulator: options.AccumulatorText = None,
    datapath: options.Datapath = None,
    zero_points: options.ZeroPoints = None,
    rules: options.Rules = None,
    json: options.Json = False,
) -> None:
    """Run a processing element, or a whole layer (--whole), of your own on a layer's words, and report the first wrong sum.

    The words are those of a folder, or of a layer of a network. Ends with status 1 where a sum is wrong.
    Needs yosys (extra gates) and a C++ compiler, or a simulator.
    """
    from addersim.golden.reading import read_vectors
    from addersim.golden.verify import verify_element
    from addersim.golden.verify_layer import verify_layer
    from addersim.rtl.probe import read_verilog

    _check_tools(simulator)
    verilog = read_verilog(files)
    calibrated: str | None = None
    if vectors is not None:
        given: dict[str, object] = {
            "network": network,
            "layer": layer,
            "data": data,
            "root": root,
            "bits": bits,
            "accumulator": accumulator,
        }
        _refuse_beside_vectors(given | {"datapath": datapath, "zero-points": zero_points, "rules": rules})
        words = read_vectors(vectors)
    else:
        chosen = options.datapaths(datapath)
        how = options.quantization(
            bits, accumulator=accumulator, rules=rules, zero_points=zero_points, circuit=options.adder_circuit(chosen)
        )
        words, calibrated = _words_of(network, layer, chosen, how, data, root)
    result = (verify_layer if whole else verify_element)(verilog, top, words, simulator=simulator)
    if json:
        print_json(asdict(result) | ({} if calibrated is None else {"calibration": calibrated}))
    else:
        say(f"{top}: layer {result.layer} of {result.network}", 0)
        say_fact("sums", f"{result.sums:,} of {result.of_sums:,}, {result.taps:,} taps")
        say_fact("wrong", f"{result.wrong:,}")
        if result.first:
            say_fact("first wrong", result.first)
        say_fact("operands", words.element.words)
        if calibrated is not None:
            say_fact("calibration", calibrated)
    if result.wrong:
        raise typer.Exit(1)


def _check_tools(simulator: str) -> None:
    """What is missing is told before anything is calibrated."""
    from addersim.golden.verify import COMPILED
    from addersim.rtl.simulators import SIMULATORS, check_simulator
    from addersim.rtl.tools import compiler, find_yosys

    if simulator == COMPILED:
        find_yosys(headers=True)
        compiler()
        return
    if simulator not in SIMULATORS:
        raise ConfigError(f"--simulator: {simulator!r} is none of {', '.join((COMPILED, *SIMULATORS))}")
    check_simulator(simulator)
    find_yosys()


def _refuse_beside_vectors(how: Mapping[str, object]) -> None:
    given = [f"--{name}" for name, value in how.items() if value is not None and value != []]
    if given:
        raise ConfigError(f"--vectors has the layer's words; leave out {', '.join(given)}")


def _words_of(
    network: str | None, layer: str | None, chosen: tuple[str, ...], how: Quantization, data: str | None, root: Path | None
) -> tuple[LayerVectors, str]:
    """The words of a layer of a network that is quantised now, and how it was calibrated."""
    from addersim.model_zoo import load_network_or_program

    if network is None or layer is None:
        raise ConfigError("--vectors DIR, or --network and --layer, say whose sums are to be right")
    found = load_network_or_program(network)
    options.check_quantised(found, how)
    options.check_computed(chosen, [found], how)
    program, calibrated, _ = calibrated_program(found, how, data, root)
    return vectors_of(program, layer, data, root), calibrated
