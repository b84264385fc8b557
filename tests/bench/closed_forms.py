"""What must feel instant: count and estimate of ResNet-50, loading the package, and the help of its command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from addersim import Trace, count, estimate, load_accelerator, load_energy_table, load_network, quantize
from tests.bench.timing import Pace, medians

__all__ = ["closed_forms"]

NETWORK = "resnet50-adder"
IMPORT = "import time; start = time.perf_counter(); import addersim; print(time.perf_counter() - start)"


def closed_forms(pace: Pace, network: str = NETWORK) -> list[dict[str, Any]]:
    """A row a task: its median in milliseconds; a process's time holds the start of Python, an import's does not.

    Files are loaded before. Nothing of a call is kept for the next: on a systolic array each counts and estimates from the
    start, as the first does; what a program keeps of its first count is taken from it.
    """
    program = quantize(load_network(network), None)
    machine, prices = load_accelerator("systolic-16x16"), load_energy_table("horowitz-45nm")
    trace = count(program)

    def counted() -> Trace:
        vars(program).pop("_hardware_facts")
        return count(program)

    calls: Mapping[str, Callable[[], object]] = {
        f"count {network}": counted,
        f"estimate {network}": lambda: estimate(trace, machine, prices),
        f"count and estimate {network}": lambda: estimate(counted(), machine, prices),
        "addersim --help": lambda: _python("-m", "addersim", "--help"),
    }
    found = {name: 1e3 * seconds for name, seconds in medians(calls, pace).items()}
    imports = sorted(1e3 * float(_python("-c", IMPORT)) for _ in range(pace.repeats))
    found["import addersim"] = imports[len(imports) // 2]
    return [{"task": name, "ms": milliseconds} for name, milliseconds in found.items()]


def _python(*arguments: str) -> str:
    """What a fresh Python prints, in this source tree whatever the working folder is."""
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True, env=here).stdout
