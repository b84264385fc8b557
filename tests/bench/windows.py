"""Window layers: the kernels beside PyTorch's float32 conv2d of the same shape, torch.cdist, and the machine's limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from addersim import kernels
from addersim.kernels.core import core
from tests.bench.timing import Pace, medians

__all__ = ["LAYERS", "Layer", "absolute_differences", "ceilings", "layers"]


@dataclass(frozen=True, slots=True)
class Layer:
    """A window layer with padding that keeps the size of the image."""

    name: str
    images: int
    channels: int
    size: int
    outputs: int
    kernel: int = 3
    groups: int = 1

    @property
    def taps(self) -> int:
        """Terms that are summed."""
        return self.images * self.size**2 * self.outputs * self.kernel**2 * self.channels // self.groups

    def calls(self, threads: int) -> dict[str, Callable[[], object]]:
        """One call of each arithmetic on seeded operands."""
        random = np.random.default_rng(7)
        shapes = (self.images, self.size, self.size, self.channels), (self.outputs, self.kernel, self.kernel, -1)
        count = self.outputs * self.kernel**2 * self.channels // self.groups
        x = random.integers(0, 65536, shapes[0], np.uint16)
        weights = random.integers(0, 65536, count, np.uint16).reshape(shapes[1])
        real_x, real_weights = (torch.from_numpy(one.astype(np.float32)).permute(0, 3, 1, 2) for one in (x, weights))
        moves: dict[str, Any] = {"padding": (self.kernel // 2,) * 2, "groups": self.groups, "threads": threads}
        bytes_of = {"8": ((x >> 8).astype(np.uint8), (weights >> 8).astype(np.uint8).view(np.int8))}
        halves = {"16": (x.view(np.int16), weights.view(np.int16))}

        def conv2d(layout: torch.memory_format) -> Callable[[], object]:
            operands = real_x.contiguous(memory_format=layout), real_weights.contiguous(memory_format=layout)

            def call() -> object:
                torch.set_num_threads(threads)
                with torch.inference_mode():
                    return functional.conv2d(*operands, padding=self.kernel // 2, groups=self.groups)

            return call

        ours = {
            f"{arithmetic} {bits}": (
                lambda arithmetic=arithmetic, two=two: kernels.window(*two, arithmetic=arithmetic, **moves)
            )
            for bits, two in (bytes_of | halves).items()
            for arithmetic in ("l1", "mac")
        }
        signs = tuple(one.view(np.int8) for one in bytes_of["8"])
        ours["xnor"] = lambda: kernels.window(*signs, arithmetic="xnor", **moves)
        return ours | {"conv2d": conv2d(torch.contiguous_format), "conv2d channels last": conv2d(torch.channels_last)}


LAYERS = (
    Layer("3x3 16->16 32x32", 128, 16, 32, 16),
    Layer("3x3 32->32 16x16", 256, 32, 16, 32),
    Layer("3x3 64->64 8x8", 256, 64, 8, 64),
    Layer("3x3 64->64 56x56", 8, 64, 56, 64),
    Layer("3x3 256->256 14x14", 32, 256, 14, 256),
    Layer("3x3 3->16 32x32", 128, 3, 32, 16),
    Layer("1x1 64->64 56x56", 16, 64, 56, 64, kernel=1),
    Layer("depthwise 3x3 64 56x56", 16, 64, 56, 64, groups=64),
    Layer("linear 400->120", 4096, 400, 1, 120, kernel=1),
)


def ceilings(steps: int = 1_000_000) -> dict[str, float]:
    """Absolute differences a nanosecond from registers alone, by one thread, for each instruction set."""
    found = {}
    available = kernels.kernel_info().available
    for number, name in enumerate(available):
        if name == "portable" and len(available) > 1:  # it has no registers of its own to keep the operands in
            continue
        best = float("inf")
        for _ in range(5):
            start = time.perf_counter()
            done = core.l1_ceiling(steps, number)
            best = min(best, (time.perf_counter() - start) / done)
        found[name] = 1e-9 / best
    return found


def layers(threads: int, pace: Pace, limits: Mapping[str, float], chosen: tuple[Layer, ...] = LAYERS) -> list[dict[str, Any]]:
    """A row a layer: taps a nanosecond of each arithmetic, l1 of 8 bits against the limit, and ratios to conv2d."""
    rows = []
    for layer in chosen:
        rates = {name: layer.taps / seconds * 1e-9 for name, seconds in medians(layer.calls(threads), pace).items()}
        ours, theirs = ({name: rate for name, rate in rates.items() if ("conv2d" in name) == is_torch} for is_torch in (0, 1))
        ratios = {f"{name} / conv2d": rate / max(theirs.values()) for name, rate in ours.items()}
        limit = max(limits.values()) * threads
        shares = {"l1 8 / limit": rates["l1 8"] / limit, "xnor / l1 8": rates["xnor"] / rates["l1 8"]}
        rows.append({"layer": layer.name, "threads": threads, **rates, **shares, **ratios})
    return rows


def absolute_differences(threads: int, pace: Pace, layer: Layer = LAYERS[2]) -> list[dict[str, Any]]:
    """The l1 kernel of 16 bits beside torch.cdist with p = 1 on the same windows, already gathered for it."""
    layer = replace(layer, images=min(layer.images, 32))
    calls = layer.calls(threads)
    random = torch.Generator().manual_seed(7)
    window = layer.kernel**2 * layer.channels
    windows = torch.randn((layer.images * layer.size**2, window), generator=random)
    filters = torch.randn((layer.outputs, window), generator=random)

    def cdist() -> object:
        torch.set_num_threads(threads)
        return torch.cdist(windows, filters, p=1)

    times = medians({"l1 8": calls["l1 8"], "l1 16": calls["l1 16"], "cdist": cdist}, pace)
    rates = {name: layer.taps / seconds * 1e-9 for name, seconds in times.items()}
    return [{"layer": layer.name, "threads": threads, **rates, "l1 16 / cdist": rates["l1 16"] / rates["cdist"]}]
