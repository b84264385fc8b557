"""addersim count: operations of a network for one image, from its shapes alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from addersim.arithmetic.ops import OpCounts
from addersim.cli import options
from addersim.cli.folding import Fold, common, folded
from addersim.cli.output import print_json, print_table, say
from addersim.errors import ConfigError

if TYPE_CHECKING:
    from addersim.arithmetic.multiplier import MultiplierTable
    from addersim.frontends.scalesim.topology import Topology
    from addersim.network import Network
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
    ends: options.Ends = None,
    accumulator: options.AccumulatorText = None,
    datapath: options.Datapath = None,
    circuit: options.Circuit = None,
    multiplier: options.Multiplier = None,
    depth: options.Depth = None,
    top: options.Top = None,
    json: options.Json = False,
) -> None:
    """Count the operations of a network for one image."""
    chosen = options.datapaths(datapath, circuit)
    circuits = options.adder_circuit(chosen)
    rules = options.quantization(bits, weight_bits, activation_bits, layer, accumulator, circuit=circuits, ends_bits=ends)
    from addersim.model_zoo import load

    found = load(network, countable=True)
    trace = counted(found, rules, chosen, options.multipliers(multiplier), convention=convention)
    totals = trace.totals(parameters(found))
    options.check_used(chosen, [trace])
    if json:
        print_json(trace.to_dict() | {"totals": totals.to_dict()})
        return
    say(f"{trace.name}: {totals}")
    say()
    rows = [_row(one) for one in folded(trace.layers, attrgetter("name"), _weight, depth, top)]
    rows.append({"layer": "total", "kind": "", "datapath": "", "taps": trace.taps, "operations": _words(trace.operations)})
    print_table(f"operations for one image, convention {trace.convention}", rows, total=True)
    for what, shown in trace.left_out_in_words().items():
        say(f"{what}: {shown}")


def parameters(network: Network | Program | Topology) -> int | None:
    """Trained values; None where only integers or shapes are known."""
    from addersim.network import Network

    return network.totals().parameters if isinstance(network, Network) else None


def counted(
    network: str | Network | Program | Topology,
    rules: Quantization,
    datapaths: Sequence[str] = (),
    multipliers: Mapping[str, MultiplierTable] = MappingProxyType({}),
    *,
    convention: str = "hardware",
) -> Trace:
    """Facts of a network or of a SCALE-Sim topology, from shapes alone."""
    from addersim.frontends.scalesim.topology import Topology, topology_trace
    from addersim.model_zoo import load

    found = load(network, countable=True) if isinstance(network, str) else network
    if isinstance(found, Topology):
        if multipliers:
            raise ConfigError("--multiplier: a SCALE-Sim topology has no weights and codes to multiply; name a network")
        if len(datapaths) > 1:
            raise ConfigError(f"--datapath: found {', '.join(datapaths)}; a SCALE-Sim topology takes one for all its layers")
        return topology_trace(found, datapaths[0] if datapaths else "mac", rules, convention)
    options.check_quantised(found, rules)
    return options.counts(found, rules, convention, multipliers)


def _words(operations: OpCounts) -> str:
    return ", ".join(f"{number:,} {op}" for op, number in operations.by_operation().items())


def _weight(layer: LayerTrace) -> float:
    return sum(layer.operations.by_operation().values())


def _row(fold: Fold[LayerTrace]) -> dict[str, Any]:
    return {
        "layer": fold.title,
        "kind": common([layer.kind for layer in fold.layers]),
        "datapath": common([layer.datapath or "" for layer in fold.layers if layer.datapath or len(fold.layers) == 1] or [""]),
        "taps": sum(layer.work.taps for layer in fold.layers if layer.work),
        "operations": _words(sum((layer.operations for layer in fold.layers), OpCounts())),
    }
