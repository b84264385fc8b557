"""addersim count: operations of a network for one image, from its shapes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from addersim.cli import options
from addersim.cli.output import print_json, print_table
from addersim.errors import ConfigError

if TYPE_CHECKING:
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
    from addersim.frontends.scalesim.topology import Topology, topology_trace
    from addersim.model_zoo import load
    from addersim.network import Network
    from addersim.quantization.pipeline import quantize
    from addersim.simulation import count

    found = load(network)
    if isinstance(found, Topology):
        if circuit is not None:
            raise ConfigError("--circuit: a SCALE-Sim topology has no adder layers of its own; give --datapath, such as l1-2a")
        return topology_trace(found, datapath or "mac", rules, convention)
    if datapath is not None:
        raise ConfigError("--datapath: for SCALE-Sim topologies (.csv) only; a network's layers bring their arithmetic")
    return count(quantize(found, None, rules) if isinstance(found, Network) else found, convention)


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
