"""The CUDA kernels beside cuDNN's convolution and the ceiling of additions, on a machine with a GPU: printed as tables.

python -m tests.bench.cuda          # without a GPU it says so, and measures nothing
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from addersim.train import kernels
from addersim.train.cuda import device
from addersim.train.cuda.launch import Launch
from tests.bench.timing import table

__all__ = ["LAYERS", "additions", "main", "rows"]

LAYERS = {  # images, channels, size, outputs, kernel, stride, groups
    "ResNet-20 stage 1": (256, 16, 32, 16, 3, 1, 1),
    "ResNet-20 stage 2": (256, 32, 16, 32, 3, 1, 1),
    "ResNet-20 stage 3": (256, 64, 8, 64, 3, 1, 1),
    "ResNet-50 3x3, 64": (64, 64, 56, 64, 3, 1, 1),
    "ResNet-50 3x3, 128, stride 2": (64, 128, 56, 128, 3, 2, 1),
    "ResNet-50 1x1, 256 to 512": (64, 256, 28, 512, 1, 1, 1),
    "ResNet-50 3x3, 512": (64, 512, 7, 512, 3, 1, 1),
    "depthwise 3x3, 256": (64, 256, 28, 256, 3, 1, 256),
}

ADDITIONS = """
extern "C" __global__ void additions(float* result, int steps) {
  float sum[16];
#pragma unroll
  for (int i = 0; i < 16; ++i) sum[i] = result[i];
#pragma unroll 1
  for (int step = 0; step < steps; ++step)
#pragma unroll
    for (int repeat = 0; repeat < 16; ++repeat)
#pragma unroll
      for (int i = 0; i < 16; ++i) sum[i] = sum[(i + 5) % 16] + fabsf(sum[i]);
  float total = 0;
#pragma unroll
  for (int i = 0; i < 16; ++i) total += sum[i];
  if (total == 1.5f) result[0] = total;
}
"""
"""Additions of magnitudes that wait for nothing but earlier ones; 256 a step and thread."""

Clock = Callable[[Callable[[], object]], float]
"""Seconds of a call."""


def main() -> None:
    if not torch.cuda.is_available():
        print("bench-cuda: torch finds no CUDA device here: nothing was measured, and no speed is claimed")
        return
    place = torch.device("cuda", torch.cuda.current_device())
    if not device.is_usable(place):
        print("bench-cuda: no NVRTC, or a GPU older than compute capability 8.0: the Triton kernels are measured")
    torch.backends.cudnn.benchmark = True
    ceiling = additions(place, by_events) if device.is_usable(place) else float("nan")
    print(f"# {torch.cuda.get_device_name(place)}, torch {torch.__version__}\n")
    print(f"Additions from registers alone: {ceiling / 1e12:.3g} 10^12/s. Taps in 10^9/s, of graphs: no launch is waited for.")
    for dtype in (torch.float32, torch.float16):
        print(f"\n## {dtype}\n\n{table(rows(place, dtype, by_graph, ceiling))}")


def by_graph(call: Callable[[], object], repeats: int = 20, calls: int = 5) -> float:
    """Seconds that a call takes a GPU: the median of a graph of several, which no processor has to start one by one."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):  # tiles are chosen, memory is taken
            call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(calls):
            call()
    return by_events(graph.replay, repeats) / calls


def by_events(call: Callable[[], object], repeats: int = 20) -> float:
    """Seconds between events around a call: the median, after three calls that are not timed."""
    for _ in range(3):
        call()
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(2 * repeats)]  # type: ignore[no-untyped-call]
    for begin, end in zip(marks[::2], marks[1::2], strict=True):
        begin.record()
        call()
        end.record()
    torch.cuda.synchronize()
    times = sorted(begin.elapsed_time(end) for begin, end in zip(marks[::2], marks[1::2], strict=True))
    return 1e-3 * times[repeats // 2]


def additions(place: torch.device, clock: Clock) -> float:
    """Additions a second of a whole GPU."""
    major, minor = torch.cuda.get_device_capability(place)
    kernel = device.compile_kernel("additions", f"sm_{major}{minor}", ADDITIONS).get_kernel("additions")
    blocks, steps = 8 * torch.cuda.get_device_properties(place).multi_processor_count, 1000
    launch = Launch("additions", (blocks, 1), 256, (torch.zeros(16, device=place), steps))
    return blocks * 256 * steps * 256 / clock(lambda: device.launch_kernel(kernel, launch, place.index))


def rows(
    place: torch.device,
    dtype: torch.dtype,
    clock: Clock,
    ceiling: float,
    chosen: Mapping[str, tuple[int, ...]] = LAYERS,
) -> list[dict[str, Any]]:
    """A row a layer and pass: taps a second, their share of the ceiling at two additions each, and the convolution's."""
    found = []
    for name, layer in chosen.items():
        images, channels, size, outputs, kernel, stride, groups = layer
        taps = images * outputs * (-(-size // stride)) ** 2 * kernel**2 * channels // groups
        for what, (ours, convolution) in passes(layer, place, dtype).items():
            seconds, other = clock(ours), clock(convolution)
            rate = taps / seconds
            found.append(
                {
                    "layer": name,
                    "pass": what,
                    "taps": rate / 1e9,
                    "share of ceiling": 2 * rate / ceiling,
                    "conv2d taps": taps / other / 1e9,
                    "ours / conv2d": other / seconds,
                }
            )
    return found


def passes(
    layer: tuple[int, ...], place: torch.device, dtype: torch.dtype
) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Of each pass a call of ours, and one of the convolution of the same shape."""
    images, channels, size, outputs, kernel, stride, groups = layer
    random = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        drawn = torch.randn(shape, generator=random).to(place, dtype)
        return drawn.contiguous(memory_format=torch.channels_last)

    x, filters = draw(images, channels, size, size), draw(outputs, channels // groups, kernel, kernel)
    moves = (stride, stride), (kernel // 2, kernel // 2), (1, 1)
    gradient = draw(*functional.conv2d(x, filters, None, *moves, groups).shape)

    def backward(by_input: bool) -> object:
        wanted = (by_input, not by_input, False)
        return torch.ops.aten.convolution_backward(gradient, x, filters, None, *moves, False, (0, 0), groups, wanted)

    operands = gradient, x, filters, *moves, groups
    return {
        "forward": (
            lambda: kernels.l1_forward(x, filters, *moves, groups, False),
            lambda: functional.conv2d(x, filters, None, *moves, groups),
        ),
        "input gradient": (lambda: kernels.l1_input_gradient(*operands), lambda: backward(True)),
        "gradient by sign": (lambda: kernels.l1_sign_filter_gradient(*operands), lambda: backward(False)),
    }


if __name__ == "__main__":
    main()
