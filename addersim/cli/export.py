"""addersim export: a program becomes a file that other runtimes run, or a layer of it words for hardware."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from addersim.cli import options
from addersim.cli.output import alone_on_output, print_json, say, say_fact
from addersim.cli.simulate import calibrated_program
from addersim.errors import ConfigError

if TYPE_CHECKING:
    from addersim.golden.vectors import LayerVectors
    from addersim.program import Program


def run(
    network: options.Network_,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write, .onnx; - is standard output.")] = None,
    onnx: Annotated[str, typer.Option("--onnx", metavar="STYLE", help="ONNX style: qdq (for onnxruntime) or qonnx.")] = "qdq",
    layer: Annotated[str | None, typer.Option(help="With --vectors: the layer whose words are written.")] = None,
    vectors: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for a layer's golden vectors instead: operands, sums and codes of one image (.hex, .mif, .coe, .h)"
            " and a test bench.",
        ),
    ] = None,
    data: options.Data = None,
    root: options.Root = None,
    resize: options.Resize = False,
    bits: options.Bits = None,
    accumulator: options.AccumulatorText = None,
    datapath: options.Datapath = None,
    zero_points: options.ZeroPoints = None,
    rules: options.Rules = None,
    json: options.Json = False,
) -> None:
    """Write a quantised network without adder layers as ONNX, on the same codes: a saved program, or one quantised now.

    onnxruntime gives the codes that addersim simulate --rounding ort gives, and package qonnx those of --rounding qonnx.
    With --vectors it writes what one layer with weights reads and gives, for hardware of your own; addersim verify runs
    such hardware on the same words.
    """
    from addersim.frontends.onnx.writing.export import checked_style, export_onnx
    from addersim.model_zoo import load_network_or_program

    _check_targets(output, layer, vectors)
    checked_style(onnx)  # before anything is calibrated
    chosen = options.datapaths(datapath)
    found = load_network_or_program(network)
    how = options.quantization(
        bits, accumulator=accumulator, rules=rules, zero_points=zero_points, circuit=options.adder_circuit(chosen)
    )
    options.check_quantised(found, how)
    options.check_computed(chosen, [found], how)
    program, calibrated, warned = calibrated_program(found, how, data, root, resize)
    facts: dict[str, object]
    if vectors is not None:
        words = vectors_of(program, str(layer), data, root)
        facts = {"folder": str(vectors), "layer": words.layer, "sums": words.sums.size, "taps of a sum": words.shape.taps}
        facts |= {"files": ", ".join(path.name for path in write_files(words, vectors))}
    else:
        written = export_onnx(program, str(output), style=onnx)
        if alone_on_output(output, json=json):
            return
        facts = {"file": str(output), "style": onnx, "layers": len(written.layers)}
        facts |= {key: value for key, value in written.metadata.items() if key == "left out"}
    facts |= {"calibration": calibrated}
    if json:
        print_json({"network": program.name} | facts)
        return
    say(f"{program.name} -> {vectors or output}", 0)
    for name, value in facts.items():
        say_fact(name, str(value))
    for warning in dict.fromkeys(warned):
        say(f"warning: {warning}")


def vectors_of(program: Program, layer: str, data: str | None, root: Path | None) -> LayerVectors:
    """The golden vectors of a layer for the first test image."""
    from addersim.datasets.find import find_images
    from addersim.golden.vectors import layer_vectors

    return layer_vectors(program, layer, find_images(data, root, program, "test", 1).images.pixels[:1])


def write_files(words: LayerVectors, folder: Path) -> list[Path]:
    """Write the files of a layer's words."""
    from addersim.golden.files import write_vectors

    return write_vectors(words, folder)


def _check_targets(output: Path | None, layer: str | None, vectors: Path | None) -> None:
    if (vectors is None) != (layer is None):
        raise ConfigError("--layer and --vectors belong together: the layer, and the folder for its words")
    if (vectors is None) == (output is None):
        raise ConfigError("one of --output (ONNX) and --vectors (words of a layer) is needed")
