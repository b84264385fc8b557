"""addersim estimate: energy and latency of a network on an accelerator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from addersim.cli import options
from addersim.cli.count import uncalibrated
from addersim.cli.output import print_json, print_table, show

if TYPE_CHECKING:
    from addersim.hardware.cost import Cost, LayerCost


def run(
    network: options.Network_,
    accelerator: options.AcceleratorName = "systolic-16x16",
    table: options.Table = "horowitz-45nm",
    batch: Annotated[int, typer.Option(min=1, help="Images that run together.")] = 1,
    bits: options.Bits = 8,
    weight_bits: options.WeightBits = None,
    activation_bits: options.ActivationBits = None,
    layer: options.LayerBits = None,
    accumulator: options.AccumulatorText = "exact",
    circuit: options.Circuit = "2a",
    json: options.Json = False,
) -> None:
    """Estimate energy and latency on an accelerator."""
    from addersim.hardware.estimate import estimate
    from addersim.simulation import count

    rules = options.quantization(bits, weight_bits, activation_bits, layer, accumulator, circuit=circuit)
    cost = estimate(count(uncalibrated(network, rules)), accelerator, table, batch)
    if json:
        print_json(document(cost))
        return
    images = "one image" if batch == 1 else f"{batch} images"
    rows = [_row(one) for one in cost.layers]
    rows.append(
        {"layer": "total", "kind": "", "cycles": cost.cycles, "set by": "", "utilisation": f"{100 * cost.utilisation:.0f} %"}
        | _energies(cost)
    )
    print_table(f"{cost.network} on {cost.accelerator}, {images}, prices of {cost.table}", rows, total=True)
    print()
    print(f"{'energy':22}{show(cost.energy_pj / 1e6)} uJ")
    print(f"{'latency':22}{show(cost.latency_ms)} ms at {show(cost.clock_mhz)} MHz")
    print(f"{'throughput':22}{show(cost.images_per_second)} images/s")
    print("not priced: registers, wires and control inside the array, clock tree, leakage")


def _row(layer: LayerCost) -> dict[str, Any]:
    return {
        "layer": layer.name,
        "kind": layer.datapath or layer.kind,
        "cycles": layer.cycles,
        "set by": layer.bound,
        "utilisation": f"{100 * layer.utilisation:.0f} %" if layer.compute_cycles else "",
    } | _energies(layer)


def _energies(cost: Cost | LayerCost) -> dict[str, Any]:
    parts = cost.energy_by_component()
    columns = {f"{name} nJ": parts.get(name, 0.0) / 1e3 for name in ("array", "vector", "buffer", "dram")}
    return columns | {"energy nJ": cost.energy_pj / 1e3}


def document(cost: Cost) -> dict[str, Any]:
    """A cost as plain values."""
    return {
        "network": cost.network,
        "accelerator": cost.accelerator,
        "table": cost.table,
        "convention": cost.convention,
        "batch": cost.batch,
        "clock_mhz": cost.clock_mhz,
        "energy_pj": {"total": cost.energy_pj} | cost.energy_by_component(),
        "energy_pj_by_part": {f"{component} {of}": pj for (component, of), pj in cost.energy_by_part().items()},
        "cycles": cost.cycles,
        "latency_ms": cost.latency_ms,
        "images_per_second": cost.images_per_second,
        "utilisation": cost.utilisation,
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "datapath": layer.datapath,
                "cycles": layer.cycles,
                "bound": layer.bound,
                "compute_cycles": layer.compute_cycles,
                "dram_cycles": layer.dram_cycles,
                "utilisation": layer.utilisation,
                "energy_pj": {"total": layer.energy_pj} | layer.energy_by_component(),
            }
            for layer in cost.layers
        ],
        "prices": [
            {"what": used.what, "unit": used.unit, "energy_pj": used.price[0], "rule": used.price[1], "source": used.price[2]}
            for used in cost.prices
        ],
    }
