"""addersim count: operations of a network for one image, from its shapes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from addersim.cli import options
from addersim.cli.output import print_json, print_table

if TYPE_CHECKING:
    from addersim.trace import LayerTrace, Trace


def run(
    network: options.Network_,
    convention: Annotated[str, typer.Option(help="hardware (all that runs) or paper (two additions a tap).")] = "hardware",
    bits: options.Bits = None,
    weight_bits: options.WeightBits = None,
    activation_bits: options.ActivationBits = None,
    layer: options.LayerBits = None,
    accumulator: options.AccumulatorText = None,
    circuit: options.Circuit = None,
    json: options.Json = False,
) -> None:
    """Count the operations of a network for one image."""
    from addersim.simulation import count
    from addersim.summary import trace_document

    rules = options.quantization(bits, weight_bits, activation_bits, layer, accumulator, circuit=circuit)
    trace = count(uncalibrated(network, rules), convention)
    if json:
        print_json(trace_document(trace))
        return
    rows = [_row(one) for one in trace.layers]
    rows.append({"layer": "total", "kind": "", "datapath": "", "taps": trace.taps, "operations": _words(trace)})
    print_table(f"{trace.name}: operations for one image, convention {trace.convention}", rows, total=True)


def uncalibrated(network: str, rules: Any) -> Any:
    """A program that can be counted and priced: as saved, or quantised without images."""
    from addersim.library import load_network_or_program
    from addersim.network import Network
    from addersim.quantizer import quantize

    found = load_network_or_program(network)
    return quantize(found, None, rules) if isinstance(found, Network) else found


def _words(one: LayerTrace | Trace) -> str:
    return ", ".join(f"{number:,} {op}" for op, number in one.operations.by_operation().items())


def _row(layer: LayerTrace) -> dict[str, Any]:
    return {
        "layer": layer.name,
        "kind": layer.kind,
        "datapath": layer.datapath or "",
        "taps": layer.work.taps if layer.work else 0,
        "operations": _words(layer),
    }
