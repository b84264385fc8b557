"""addersim count: operations of a network for one image, from its shapes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from addersim.cli import options
from addersim.cli.output import print_json, print_table
from addersim.errors import ConfigError
from addersim.inputs.opening import STANDARD, begins

if TYPE_CHECKING:
    from addersim.program import Program
    from addersim.quantization.rules import Quantization
    from addersim.trace import LayerTrace, Trace


def run(
    network: options.Countable,
    convention: Annotated[str, typer.Option(help="hardware (all that runs) or paper (two additions a tap).")] = "hardware",
    bits: options.Bits = None,
    weight_bits: options.WeightBits = None,
    activation_bits: options.ActivationBits = None,
    layer: options.LayerBits = None,
    accumulator: options.AccumulatorText = None,
    circuit: options.Circuit = None,
    datapath: options.Circuits = None,
    json: options.Json = False,
) -> None:
    """Count the operations of a network for one image."""
    rules = options.quantization(bits, weight_bits, activation_bits, layer, accumulator, circuit=circuit)
    trace = counted(network, rules, circuit=circuit, datapath=datapath, convention=convention)
    if json:
        print_json(trace.to_dict())
        return
    rows = [_row(one) for one in trace.layers]
    rows.append({"layer": "total", "kind": "", "datapath": "", "taps": trace.taps, "operations": _words(trace)})
    print_table(f"{trace.name}: operations for one image, convention {trace.convention}", rows, total=True)


def counted(
    network: str, rules: Quantization, *, circuit: str | None = None, datapath: str | None = None, convention: str = "hardware"
) -> Trace:
    """Facts of a network or of a SCALE-Sim topology, from shapes alone."""
    from addersim.simulation import count

    if not (network.lower().endswith(".csv") or begins_as_text(network)):
        if datapath is not None:
            raise ConfigError("--datapath: for SCALE-Sim topologies (.csv) only; a network's layers bring their arithmetic")
        return count(uncalibrated(network, rules), convention)
    from addersim.frontends.scalesim.topology import load_topology, topology_trace

    if circuit is not None:
        raise ConfigError("--circuit: a SCALE-Sim topology has no adder layers of its own; give --datapath, such as l1-2a")
    return topology_trace(load_topology(network), datapath or "mac", rules, convention)


def begins_as_text(network: str) -> bool:
    """Whether standard input is a topology: arrays and ONNX begin with other bytes than text does."""
    return network == STANDARD and begins(network, ConfigError).decode("latin-1").strip("\n\r\t\xef\xbb\xbf").isprintable()


def uncalibrated(network: str, rules: Quantization) -> Program:
    """A program that can be counted and priced: as saved, or quantised without images."""
    from addersim.model_zoo import load_network_or_program
    from addersim.network import Network
    from addersim.quantization.pipeline import quantize

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
