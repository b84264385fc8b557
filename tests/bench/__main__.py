"""The speed of the kernels beside PyTorch on this machine, in one run: printed, and written to reports/bench/.

python -m tests.bench [--repeats 7] [--seconds 2.5] [--output reports/bench]
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from addersim import kernels
from addersim.storage import write_atomically
from tests.bench import training
from tests.bench.aims import aims
from tests.bench.closed_forms import closed_forms
from tests.bench.deep_networks import DEPTHS, deep_networks
from tests.bench.designs import designs
from tests.bench.timing import Pace, processor, table
from tests.bench.whole_networks import networks
from tests.bench.windows import LAYERS, absolute_differences, ceilings, layers

Rows = list[dict[str, Any]]

HEADS = {
    "aims": "What the kernels are to reach, and what this run measured; the tables below say how.",
    "layers": "Billions of taps a second. conv2d is float32; ratios are to the faster of its two memory layouts. "
    "The limit is the fastest instruction set's 8-bit absolute differences from registers alone, times the threads.",
    "absolute differences": "Billions of taps a second; torch.cdist takes p = 1 and windows that are already gathered.",
    "networks": "Images a second of addersim.simulate at 8 bits, random weights and images, batches of 100 (ours one a "
    "thread); ratios are to the faster memory layout of PyTorch's float32 inference of the network that multiplies.",
    "training": "Milliseconds of one layer forward and backward, batch 32: kernels, the formula by broadcasting, convolution. "
    "With AVX-512 a tap takes two vector operations forward, three for the input's gradient and one for the filters', a "
    "convolution's one each: at equal shares of their ceilings adder / conv2d is 2.",
    "closed forms": "Milliseconds. All files are loaded before, and no call keeps anything for the next; "
    "a command's time holds the start of Python.",
    "designs": "Designs a minute: energy, cycles and DRAM traffic of a network on a grid of systolic arrays, memories and "
    "bandwidths, all at once and one by one.",
    "deep networks": "Milliseconds, which should grow as the number of layers does: small layers, 8 images of 4 x 4, "
    "one thread; the residual ones add to one stream.",
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="The kernels beside PyTorch, in one run; ratios are ratios of medians.")
    parser.add_argument("--repeats", type=int, default=7, help="rounds of a row, at most")
    parser.add_argument(
        "--seconds", type=float, default=2.5, help="a row begins no round after so long; whole networks get 4x"
    )
    parser.add_argument("--output", type=Path, default=Path("reports/bench"))
    given = parser.parse_args(arguments)
    info, limits = kernels.kernel_info(), ceilings()
    tables = {name: list(_told(name, calls)) for name, calls in _calls(info.threads, limits, given.repeats, given.seconds)}
    machine = {
        "processor": processor(),
        "threads": info.threads,
        "instruction set": info.instruction_set,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
    }
    tables = {"aims": aims(tables), **tables}
    text = _markdown(machine, limits, tables)
    print(text)
    record = {"machine": machine, "limits_gtaps_a_thread": limits, "tables": tables}
    for name, content in (("README.md", text), ("speed.json", json.dumps(record, indent=1) + "\n")):
        with write_atomically(given.output / name, "w") as file:
            file.write(content)


def _calls(threads: int, limits: dict[str, float], repeats: int, seconds: float) -> list[tuple[str, list[Callable[[], Rows]]]]:
    """Of each table the calls that measure its rows."""
    counts, pace = sorted({1, threads}), Pace(repeats, seconds)
    return [
        ("layers", [partial(layers, count, pace, limits, (layer,)) for count in counts for layer in LAYERS]),
        ("absolute differences", [partial(absolute_differences, count, pace) for count in counts]),
        ("networks", [partial(networks, count, Pace(repeats, 4 * seconds)) for count in counts]),
        (
            "training",
            [
                partial(training.rows, count, pace, chosen={name: layer})
                for count in counts
                for name, layer in training.LAYERS.items()
            ],
        ),
        ("closed forms", [partial(closed_forms, pace)]),
        ("designs", [partial(designs, threads)]),
        ("deep networks", [partial(deep_networks, pace, (depth,)) for depth in DEPTHS]),
    ]


def _told(name: str, calls: list[Callable[[], Rows]]) -> Iterator[dict[str, Any]]:
    """The rows of some calls, and a line on standard error after each."""
    for number, call in enumerate(calls, 1):
        start = time.perf_counter()
        rows = call()
        yield from rows
        labels = ", ".join(str(next(iter(row.values()))) for row in rows)
        print(f"{name} {number}/{len(calls)}: {labels}, {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)


def _markdown(machine: dict[str, Any], limits: dict[str, float], tables: dict[str, list[dict[str, Any]]]) -> str:
    about = ", ".join(f"{name} {value}" for name, value in machine.items())
    found = ", ".join(f"{name} {limit:.0f}" for name, limit in limits.items())
    intro = "`make bench` writes this. Medians of calls that take turns in one run; ratios above 1 are faster than PyTorch."
    limit = f"8-bit absolute differences from registers alone, billions a second and thread: {found}."
    parts = [f"# Speed\n\n{intro}\n\n{about}\n\n{limit}\n"]
    return "\n".join(parts + [f"## {name}\n\n{HEADS[name]}\n\n{table(rows)}\n" for name, rows in tables.items()])


if __name__ == "__main__":
    main()
