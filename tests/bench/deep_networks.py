"""How time grows with depth: what is not arithmetic, on networks of many small layers and a tiny image."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from addersim import count, estimate, load_network, quantize, simulate
from tests.bench.timing import Pace, medians
from tests.unit.networks import deep, images

__all__ = ["DEPTHS", "deep_networks"]

DEPTHS = (250, 500, 1000, 2500, 5000)


def deep_networks(pace: Pace, depths: Sequence[int] = DEPTHS) -> list[dict[str, Any]]:
    """A row a wiring and depth: median milliseconds of each verb, 8 images, one thread."""
    return [_row(pace, wiring, depth) for wiring in ("chain", "residual") for depth in depths]


def _row(pace: Pace, wiring: str, depth: int) -> dict[str, Any]:
    network = deep(depth, wiring)
    pixels = images(network, 8)
    program = quantize(network, pixels)
    trace = count(program)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.npz")
        network.save(path)
        calls: Mapping[str, Callable[[], object]] = {
            "load": lambda: load_network(path),
            "quantize": lambda: quantize(network, pixels),
            "count": lambda: count(program),
            "simulate": lambda: simulate(program, pixels, threads=1),
            "estimate": lambda: estimate(trace, "systolic-16x16"),
        }
        found = {f"{name}, ms": 1e3 * seconds for name, seconds in medians(calls, pace).items()}
    return {"network": wiring, "layers": len(network.layers), **found}
