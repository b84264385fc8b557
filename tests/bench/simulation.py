"""Bit-exact simulation beside PyTorch's float32: single layers and a whole network.

    python -m tests.bench.simulation [--threads 2] [--repeats 7] [--tiny]

Ours and PyTorch take turns in one run; printed are medians and their ratio, above 1 where ours is faster. PyTorch's
convolutions run channels last, its faster layout here.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch.nn import functional

from addersim import Quantization, kernels, quantize
from addersim.train.lower import lower
from addersim.train.models import build

LAYERS = {  # channels, side, outputs
    "16->16 32x32": (16, 32, 16),
    "64->64 8x8": (64, 8, 64),
    "64->64 56x56": (64, 56, 64),
    "256->256 14x14": (256, 14, 256),
}
Work = Callable[[], object]


def medians(works: list[Work], repeats: int) -> list[float]:
    """Median seconds of each, taken in turns after one round to warm up."""
    times: list[list[float]] = [[] for _ in works]
    for round_ in range(repeats + 1):
        for work, found in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            if round_:
                found.append(time.perf_counter() - start)
    return [float(np.median(found)) for found in times]


def layer(name: str, images: int, threads: int, repeats: int) -> None:
    """3x3 window layers on 8-bit codes beside F.conv2d in float32, and 16-bit adders beside torch.cdist."""
    channels, side, outputs = LAYERS[name]
    random = np.random.default_rng(0)
    taps = images * side * side * 9 * channels * outputs
    x8, w8 = (
        random.integers(0, 256, shape, dtype=np.uint8) for shape in ((images, side, side, channels), (outputs, 3, 3, channels))
    )
    x16, w16 = x8.astype(np.int16) * 100, w8.astype(np.int16) * 100
    tensor = torch.rand(images, channels, side, side).contiguous(memory_format=torch.channels_last)
    weight = torch.rand(outputs, channels, 3, 3).contiguous(memory_format=torch.channels_last)
    columns, rows = functional.unfold(tensor[:1], 3, padding=1)[0].T.contiguous(), weight.flatten(1)
    run = partial(kernels.window, padding=(1, 1), threads=threads)
    l1, mac, wide, conv, cdist = medians(
        [
            lambda: run(x8, w8, lane="l1"),
            lambda: run(x8, w8.astype(np.int8), lane="mac"),
            lambda: run(x16, w16, lane="l1"),
            lambda: functional.conv2d(tensor, weight, padding=1),
            lambda: torch.cdist(columns, rows, p=1),
        ],
        repeats,
    )
    rate = [f"{taps / seconds / 1e9:10.1f}" for seconds in (l1, mac, wide, conv)]
    ratios = [f"{conv / l1:12.2f}", f"{conv / mac:12.2f}", f"{cdist * images / wide:14.2f}"]
    print(f"{name:18}", *rate, *ratios)


def network(images: int, threads: int, repeats: int) -> None:
    """ResNet-20 as adder and multiplying network at 8 bits beside its float32 twin in PyTorch."""
    pixels = np.random.default_rng(0).integers(0, 256, (images, 3, 32, 32), dtype=np.uint8)
    module = build("resnet20-conv", seed=0).eval().to(memory_format=torch.channels_last)
    tensor = torch.rand(images, 3, 32, 32).contiguous(memory_format=torch.channels_last)

    def program(name: str) -> Work:
        made = quantize(lower(build(name, seed=0), (3, 32, 32)), pixels[:16], Quantization(correction="none"))
        return lambda: [
            list(made.runs(pixels[start : start + 64], threads=threads, stream=True)) for start in range(0, images, 64)
        ]

    def floats() -> None:
        with torch.inference_mode():
            module(tensor)

    adder, conv, torch_ = medians([program("resnet20-adder"), program("resnet20-conv"), floats], repeats)
    print(f"\nResNet-20, {images} images: adder {images / adder:,.0f}, conv {images / conv:,.0f}, ", end="")
    print(f"PyTorch float32 {images / torch_:,.0f} images/s; ratios {torch_ / adder:.2f} and {torch_ / conv:.2f}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name, value in (("threads", 2), ("repeats", 7)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--tiny", action="store_true", help="one image, one repeat: only to see that it runs")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    images, repeats = (1, 1) if given.tiny else (16, given.repeats)
    print(f"{kernels.kernel_info().instruction_set}, {given.threads} threads, torch {torch.__version__}")
    print("3x3 layers, Gtap/s: l1 8 bit, mac 8 bit, l1 16 bit, conv2d; conv2d/l1, conv2d/mac, cdist/l1 16 bit")
    for name in LAYERS:
        layer(name, images, given.threads, repeats)
    network(1 if given.tiny else 256, given.threads, repeats)


if __name__ == "__main__":
    main()
