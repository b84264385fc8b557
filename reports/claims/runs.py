"""What several claims run: networks as traces, on accelerators, under every energy table that can price them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from addersim import (
    Cost,
    Quantization,
    Trace,
    count,
    estimate,
    load_images,
    load_network,
    load_topology,
    quantize,
    simulate,
    topology_trace,
)
from addersim.errors import PriceError
from addersim.hardware.prices.csv_file import table_names
from addersim.simulation import Simulation

__all__ = ["ON", "accuracy_points", "by_table", "simulated", "topology", "trace"]

ON = "systolic-16x16"
TOPOLOGIES = Path(__file__).parent / "topologies"


@cache
def trace(network: str, bits: int = 8, convention: str = "hardware", circuit: str = "2a") -> Trace:
    """A network's facts, by its shapes alone: nothing is calibrated, and an architecture stays untrained."""
    rules = Quantization(weight_bits=bits, activation_bits=bits, circuit=circuit)
    return count(quantize(load_network(network), None, rules), convention)


def topology(name: str, rules: Quantization | None = None) -> Trace:
    """A topology of this folder, multiplying."""
    return topology_trace(load_topology(TOPOLOGIES / f"{name}.csv"), "mac", rules or Quantization())


def by_table(one: Trace, other: Trace, on: str = ON) -> Iterator[tuple[str, Cost, Cost]]:
    """Both on one accelerator, under each bundled table that prices them."""
    for table in table_names():
        try:
            yield table, estimate(one, on, table), estimate(other, on, table)
        except PriceError:  # a table without an operation, or without scratchpads, says nothing of this design
            continue


@cache
def simulated(network: str, bits: int, clip_weights: bool = True) -> Simulation:
    """A bundled LeNet-5 on the 2,000 test images in the package, scales chosen on its 256 training images."""
    floats = load_network(network)
    rules = Quantization(weight_bits=bits, activation_bits=bits, clip_weights=clip_weights)
    program = quantize(floats, load_images("fashion-mnist-2000", split="train"), rules)
    return simulate(program, load_images("fashion-mnist-2000"), network=floats)


def accuracy_points(run: Simulation) -> float:
    """Accuracy lost to fixed point, in percentage points."""
    return 100 * (run.accuracy_float - run.accuracy)
