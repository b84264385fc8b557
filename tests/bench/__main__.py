"""The speed of the kernels beside PyTorch on this machine, in one run: printed, and written to reports/bench/.

python -m tests.bench [--repeats 7] [--output reports/bench]
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch

from addersim import kernels
from tests.bench import training
from tests.bench.networks import networks
from tests.bench.timing import processor, table
from tests.bench.windows import absolute_differences, ceilings, layers

HEADS = {
    "layers": "Billions of taps a second. conv2d is float32; ratios are to the faster of its two memory layouts. "
    "The limit is the fastest instruction set's 8-bit absolute differences from registers alone, times the threads.",
    "absolute differences": "Billions of taps a second; torch.cdist takes p = 1 and windows that are already gathered.",
    "networks": "Images a second of addersim.simulate at 8 bits, random weights and images, batches of 100; ratios are to the "
    "faster memory layout of PyTorch's float32 inference of the network that multiplies.",
    "training": "Milliseconds of one layer forward and backward, batch 32: kernels, the formula by broadcasting, convolution.",
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="The kernels beside PyTorch, in one run; ratios are ratios of medians.")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--output", type=Path, default=Path("reports/bench"))
    given = parser.parse_args(arguments)
    info, limits = kernels.kernel_info(), ceilings()
    counts = sorted({1, info.threads})
    tables: dict[str, list[dict[str, Any]]] = {
        "layers": [row for threads in counts for row in layers(threads, given.repeats, limits)],
        "absolute differences": [absolute_differences(threads, given.repeats) for threads in counts],
        "networks": [row for threads in counts for row in networks(threads, given.repeats)],
        "training": training.rows(info.threads, given.repeats),
    }
    machine = {
        "processor": processor(),
        "threads": info.threads,
        "instruction set": info.instruction_set,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
    }
    text = _markdown(machine, limits, tables)
    print(text)
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "README.md").write_text(text, encoding="utf-8")
    record = {"machine": machine, "limits_gtaps_a_thread": limits, "tables": tables}
    (given.output / "speed.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _markdown(machine: dict[str, Any], limits: dict[str, float], tables: dict[str, list[dict[str, Any]]]) -> str:
    about = ", ".join(f"{name} {value}" for name, value in machine.items())
    found = ", ".join(f"{name} {limit:.0f}" for name, limit in limits.items())
    intro = "`make bench` writes this. Medians of calls that take turns in one run; ratios above 1 are faster than PyTorch."
    limit = f"8-bit absolute differences from registers alone, billions a second and thread: {found}."
    parts = [f"# Speed\n\n{intro}\n\n{about}\n\n{limit}\n"]
    return "\n".join(parts + [f"## {name}\n\n{HEADS[name]}\n\n{table(rows)}\n" for name, rows in tables.items()])


if __name__ == "__main__":
    main()
