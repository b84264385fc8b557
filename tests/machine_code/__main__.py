"""The table of the CUDA kernels' machine code, made without a GPU and written into the README beside their source.

python -m tests.machine_code        # needs pip install 'addersim[cuda]' and Triton
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from addersim.storage import write_atomically
from addersim.train.cuda import device
from tests.machine_code.disassembly import ARCHITECTURES, Code, read
from tests.machine_code.listed import KERNELS

README = Path(device.__file__).with_name("README.md")
COMMAND = "python -m tests.machine_code"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"

TRITON = [("_forward", "fp32"), ("_forward", "fp16"), ("_input_gradient", "fp32"), ("_sign_filter_gradient", "fp32")]
"""Kernels, and types of their data, of the fallback."""


def main() -> None:
    rows = [f"| kernel | {' | '.join(f'sm_{one}' for one in ARCHITECTURES)} |", "|---|" + "---:|" * len(ARCHITECTURES)]
    with tempfile.TemporaryDirectory() as folder:
        compiled = [(f"Triton `{name}`, {element}", 128, partial(_triton, name, element)) for name, element in TRITON]
        compiled += [(f"`{kernel}`", kernel.threads, partial(_ours, kernel.name)) for kernel in KERNELS]
        rows += [_row(label, threads, Path(folder, "kernel.cubin"), code) for label, threads, code in compiled]
    text = README.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    with write_atomically(README, "w") as file:
        file.write(f"{before}{BEGIN}\n{_versions()}\n\n" + "\n".join(rows) + f"\n{END}{after}")


def _row(label: str, threads: int, cubin: Path, compiled: Callable[[int], bytes]) -> str:
    cells = []
    for architecture in ARCHITECTURES:
        cubin.write_bytes(compiled(architecture))
        cells.append(_cell(read(cubin, threads, architecture)))
    print(label, *cells, sep=" | ", flush=True)
    return f"| {label} | {' | '.join(cells)} |"


def _cell(code: Code) -> str:
    share = f"{100 * code.share:.0f} %" if code.loop else "-"
    spilled = f", {code.spills} spills" if code.spills else ""
    return f"{share}, {code.registers}, {100 * code.occupancy:.0f} %{spilled}"


def _ours(name: str, architecture: int) -> bytes:
    return bytes(device.compile_kernel(name, f"sm_{architecture}").code)


def _triton(name: str, element: str, architecture: int) -> bytes:
    """A kernel of the fallback with a tile of 16 x 4 a thread, as its operands are aligned in most layers."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from addersim.train import triton_kernels

    kernel, pointers = getattr(triton_kernels, name), ("gradient", "x", "filters", "zeros", "y", "result")
    tile = next(one for one in triton_kernels.CONFIGS if one.kwargs["HEIGHT"] == 16 and one.num_warps == 4)
    place: dict[str, Any] = {argument: (position,) for position, argument in enumerate(kernel.arg_names)}
    types = {argument: f"*{element}" if argument in pointers else "i32" for argument in place}
    types |= dict.fromkeys(tile.kwargs, "constexpr")
    aligned = {place[one]: [["tt.divisibility", 16]] for one in place if one in (*pointers, "channels", "outputs")}
    constants = {place[key]: value for key, value in tile.kwargs.items()}
    source = ASTSource(kernel, types, constants, aligned)
    target = GPUTarget("cuda", architecture, 32)
    return bytes(triton.compile(source, target=target, options={"num_warps": tile.num_warps}).asm["cubin"])


def _versions() -> str:
    import triton
    from cuda.bindings import nvrtc

    _, major, minor = nvrtc.nvrtcVersion()
    return f"NVRTC {major}.{minor}, Triton {triton.__version__}."


if __name__ == "__main__":
    main()
