"""Whole networks: bit-exact programs of 8 bits beside PyTorch's float32 inference of the same network that multiplies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from addersim import lower, quantize, simulate
from addersim.train.models import build
from tests.bench.timing import Pace, medians

__all__ = ["networks"]

BATCH = 100


def networks(threads: int, pace: Pace, images: int = 2000) -> list[dict[str, Any]]:
    """A row an arithmetic of ResNet-20: images a second of ours and of PyTorch, and their ratio."""
    pixels = np.random.default_rng(7).integers(0, 256, (images, 3, 32, 32)).astype(np.uint8)
    floats = torch.from_numpy(pixels / np.float32(127.5) - 1)
    programs = {
        name: quantize(lower(build(f"resnet20-{name}", seed=0), (3, 32, 32)), pixels[:16]) for name in ("adder", "conv")
    }

    def by_torch(layout: torch.memory_format) -> Callable[[], object]:
        network, x = (one.to(memory_format=layout) for one in (build("resnet20-conv", seed=0).eval(), floats))

        def call() -> None:
            torch.set_num_threads(threads)
            with torch.inference_mode():
                for start in range(0, images, BATCH):
                    network(x[start : start + BATCH])

        return call

    calls: dict[str, Callable[[], object]] = {
        name: lambda program=program: simulate(program, pixels, batch=BATCH, threads=threads)  # type: ignore[misc]
        for name, program in programs.items()
    }
    layouts = {"PyTorch": by_torch(torch.contiguous_format), "PyTorch channels last": by_torch(torch.channels_last)}
    rates = {name: images / seconds for name, seconds in medians(calls | layouts, pace).items()}
    fastest = max(rates[name] for name in layouts)
    return [
        {
            "network": f"resnet20-{name}",
            "threads": threads,
            "images/s": rates[name],
            **{f"{layout} images/s": rates[layout] for layout in layouts},
            "ratio": rates[name] / fastest,
        }
        for name in programs
    ]
